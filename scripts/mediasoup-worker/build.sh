#!/usr/bin/env bash
# Builds mediasoup-worker from the mediasoup npm package's own source, against the libraries of Debian or a distribution made
# from it. Needs the packages that `build.sh --packages` prints. See README.md beside this file.
#
# Usage: build.sh PACKAGE_DIR OUTPUT_FILE
#   PACKAGE_DIR  the unpacked npm package, e.g. node_modules/mediasoup
#   JOBS         compile jobs (all processors)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ "${1:-}" = --packages ]; then
  echo g++ pkg-config patch libuv1-dev libssl-dev libflatbuffers-dev flatbuffers-compiler python3-venv
  exit
fi

package=$(realpath "${1:?PACKAGE_DIR}")
output=$(realpath -m "${2:?OUTPUT_FILE}")
jobs=${JOBS:-$(nproc)}
work=$(mktemp -d -t mediasoup-worker-XXXXXX)
trap 'rm -rf "$work"' EXIT
worker=$work/src/worker

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

step() { printf '%s\n' "$*"; }

copy_source() {
  step 'source of the npm package'
  mkdir "$work/src"
  cp -a "$package/package.json" "$package/worker" "$work/src/"
  rm -rf "$worker/out" "$worker/prebuild"
  [ -f "$worker/meson.build" ] || die "no worker source in $package"
}

# libsrtp 2 comes as source, from the archive that the machine's own package sources name. They may list binaries alone, so
# apt gets a list of sources of its own, with state of its own: no root needed, and nothing of the machine's is touched.
fetch_libsrtp() {
  step 'libsrtp 2 source'
  local apt=$work/apt tarball
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/download"
  source_list >"$apt/sources.list"
  [ -s "$apt/sources.list" ] || die 'apt knows no archive to take libsrtp2 from'
  local options=(
    -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache"
    # apt's own download account can't write into a private folder; signatures and checksums are checked all the same.
    -o APT::Sandbox::User="$(id -un)"
  )
  apt-get -qq "${options[@]}" update
  (cd "$apt/download" && apt-get -qq "${options[@]}" source --download-only --tar-only libsrtp2)
  tarball=$(find "$apt/download" -name 'libsrtp2_*.orig.tar.*' ! -name '*.asc')
  [ -n "$tarball" ] || die 'the archive has no source of libsrtp2'
  mkdir "$worker/subprojects/libsrtp2"
  tar -xf "$tarball" -C "$worker/subprojects/libsrtp2" --strip-components=1
}

# A deb-src line for each archive of binaries, e.g. "deb-src [signed-by=…] URI bookworm main".
source_list() {
  # shellcheck disable=SC2016 # apt's own placeholders
  apt-get indextargets --format '$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)' 'Created-By: Packages' |
    grep -v -e '-security|' -e '-backports|' | sort -u |
    while IFS='|' read -r uri release component signed_by; do
      # A key in the list itself has several lines and shows up empty or cut here; apt's trusted keys serve then.
      case $signed_by in /*) signed_by="[signed-by=$signed_by] " ;; *) signed_by= ;; esac
      echo "deb-src $signed_by$uri $release $component"
    done
}

lay_overlay() {
  step 'stand-ins for the downloaded subprojects'
  local wrap name dir
  for wrap in "$worker"/subprojects/*.wrap; do
    name=$(basename "$wrap" .wrap)
    dir=$(sed -n 's/^directory *= *//p' "$wrap")
    case $name in
      catch2 | wingetopt) continue ;; # for tests; for Windows
    esac
    [ -d "$here/overlay/$name" ] || die "this mediasoup has a dependency that the overlay does not know: $name"
    mkdir -p "$worker/subprojects/$dir"
    cp -a "$here/overlay/$name/." "$worker/subprojects/$dir/"
  done
}

# A patch that upstream has taken meanwhile is skipped; one that doesn't fit is an error.
apply_patches() {
  local file
  for file in "$here"/patches/*.patch; do
    if patch -d "$work/src" -p1 -R --dry-run -s -f <"$file" >/dev/null 2>&1; then
      step "upstream has $(basename "$file")"
    else
      patch -d "$work/src" -p1 -N <"$file" || die "$(basename "$file") does not apply"
    fi
  done
}

# In the versions that mediasoup itself builds with.
install_meson() {
  step 'meson and ninja'
  local meson ninja
  meson=$(sed -n 's/^MESON_VERSION = .* or "\(.*\)"$/\1/p' "$worker/tasks.py")
  ninja=$(sed -n 's/^NINJA_VERSION = .* or "\(.*\)"$/\1/p' "$worker/tasks.py")
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install -q --disable-pip-version-check \
    "meson${meson:+==$meson}" "ninja${ninja:+==$ninja}"
  PATH=$work/venv/bin:$PATH
}

compile() {
  step 'configure'
  (cd "$worker" && meson setup --wrap-mode=nodownload --buildtype release -Db_ndebug=true "$work/build")
  step "compile with $jobs jobs"
  nice -n 5 ninja -C "$work/build" -j "$jobs" mediasoup-worker
}

install_binary() {
  local status=0
  # Started by hand, the worker says that nobody gave it a channel, and exits with 41.
  "$work/build/mediasoup-worker" >/dev/null 2>&1 || status=$?
  [ "$status" = 41 ] || die "the new worker does not start (exit status $status)"
  mkdir -p "$(dirname "$output")"
  strip -o "$output.tmp" "$work/build/mediasoup-worker"
  mv "$output.tmp" "$output"
}

copy_source
fetch_libsrtp
lay_overlay
apply_patches
install_meson
compile
install_binary
step "built $output"
