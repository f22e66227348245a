#!/usr/bin/env bash
# Puts the images of the add-ons together from the programs that the set-up has built, for nodes that cannot pull them.
#
# Usage: scripts/cluster/images.sh FOLDER
set -euo pipefail
# shellcheck source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pack() { "$cluster_scripts/oci-image.sh" "$1" "$work/$2" "$folder/$2.tar" "$3"; }

# program NAME:TAG FILE USER: an image of one static program.
program() {
  local name
  name=$(basename "$2")
  mkdir -p "$work/$name/tmp"
  chmod 1777 "$work/$name/tmp"
  cp "$2" "$work/$name/"
  pack "$1" "$name" "{\"Entrypoint\":[\"/$name\"],\"Env\":[\"PATH=/\"],\"User\":\"$3\"}"
}

pause() {
  local source
  source=$(cd "$root/scripts/kubernetes/server" && GOFLAGS=-mod=mod GOWORK=off go list -m -f '{{.Dir}}' k8s.io/kubernetes)
  mkdir -p "$work/pause"
  gcc -Os -static -s "-DVERSION=$pause_version" -o "$work/pause/pause" "$source/build/pause/linux/pause.c"
  pack "localhost/pause:$pause_version" pause '{"Entrypoint":["/pause"],"User":"65535:65535"}'
}

# For the pods that make and remove the folders of volumes.
shell() {
  local name
  mkdir -p "$work/busybox"/{bin,tmp,etc}
  chmod 1777 "$work/busybox/tmp"
  cp /bin/busybox "$work/busybox/bin/"
  echo 'root:x:0:0:root:/:/bin/sh' >"$work/busybox/etc/passwd"
  for name in $(/bin/busybox --list); do
    [ "$name" = busybox ] || ln -sf busybox "$work/busybox/bin/$name"
  done
  pack localhost/busybox:1 busybox '{"Cmd":["sh"],"Env":["PATH=/bin"]}'
}

pause
shell
program "localhost/coredns:$coredns_version" "$(part_dir coredns "$coredns_version")/coredns" 65532:65532
program "localhost/local-path-provisioner:$local_path_version" \
  "$(part_dir local-path-provisioner "$local_path_version")/local-path-provisioner" 0
program "localhost/metrics-server:$metrics_server_version" \
  "$(part_dir metrics-server "$metrics_server_version")/metrics-server" 65534
# Named as upstream's, so that the manifest is the same where it is pulled.
program "docker.io/library/traefik:v$traefik_version" "$(part_dir traefik "$traefik_version")/traefik" 65532:65532
