#!/usr/bin/env bash
# Makes the root file system that all the images share: Node and the libraries that it links, from Debian's packages. No shell and
# no package manager. What packages it is made from is noted in it, where scanners of images look.
#
# Usage: scripts/images/rootfs.sh NODE_BINARY FOLDER
#        scripts/images/rootfs.sh --packages           prints the packages as they would be downloaded now, with their hashes
set -euo pipefail

packages=(base-files ca-certificates gcc-12-base libc6 libgcc-s1 libstdc++6)

# The account of the images: the same numbers that other images without a shell use.
user=65532

list_packages() {
  local lists
  # shellcheck disable=SC2016 # for apt
  lists=$(apt-get indextargets --format '$(FILENAME)' 'Created-By: Packages' | xargs -r ls 2>/dev/null || true)
  [ -n "$lists" ] || apt-get update -q >&2
  apt-get download -q --print-uris "${packages[@]}" | awk '{ print $2, $4 }'
}

# Without the folders that only an installed system needs.
unpack() {
  local root=$1 deb name
  mkdir -p "$root/var/lib/dpkg/status.d"
  for deb in *.deb; do
    name=$(dpkg-deb --field "$deb" Package)
    # Where images without a package manager have it.
    dpkg-deb --field "$deb" >"$root/var/lib/dpkg/status.d/$name"
    if [ "$name" = base-files ]; then
      dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" ./etc/debian_version ./etc/os-release ./usr/lib/os-release
    else
      dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root"
    fi
  done
  # Converters between character sets, tables of other languages, and the packages' tools.
  (
    cd "$root"
    rm -rf usr/lib/*/{gconv,audit} usr/bin usr/sbin usr/share/{gdb,gcc,lintian,man,locale} etc/ca-certificates
  )
  # The licences stay.
  find "$root/usr/share/doc" -type f ! -name copyright -delete
}

# What the packages' own scripts would do.
configure() {
  local root=$1
  mkdir -p "$root"/{app,dev,etc/ssl/certs,proc,sys,tmp,usr/local/bin,var/tmp}
  chmod 1777 "$root/tmp" "$root/var/tmp"
  find "$root/usr/share/ca-certificates" -name '*.crt' | LC_ALL=C sort | xargs cat >"$root/etc/ssl/certs/ca-certificates.crt"
  cat >"$root/etc/passwd" <<EOF
root:x:0:0:root:/:/sbin/nologin
nonroot:x:$user:$user:kube-sfu:/app:/sbin/nologin
EOF
  printf 'root:x:0:\nnonroot:x:%s:\n' "$user" >"$root/etc/group"
  echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
}

main() {
  if [ "$1" = --packages ]; then
    list_packages
    return
  fi
  local node root scratch
  node=$(realpath "$1")
  mkdir -p "$2"
  root=$(realpath "$2")
  umask 022
  scratch=$(mktemp -d)
  # shellcheck disable=SC2064 # the folder of now
  trap "rm -rf '$scratch'" EXIT
  cd "$scratch"
  list_packages >/dev/null
  # As root, apt would download as another account, which cannot enter the folder.
  apt-get download -q -o APT::Sandbox::User=root "${packages[@]}"
  unpack "$root"
  configure "$root"
  install -m 755 "$node" "$root/usr/local/bin/node"
}

main "$@"
