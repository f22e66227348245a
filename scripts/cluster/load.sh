#!/usr/bin/env bash
# Gives the nodes the images of .run/images. A cluster that KUBECONFIG names pulls its own.
# shellcheck disable=SC2154 # settings.sh
set -euo pipefail
# shellcheck source=native/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/native/settings.sh"
# shellcheck source=native/node.sh
. "$native/node.sh"

kind=$(jq -r .kind "$info_file")
[ "$kind" != external ] || exit 0
archives=("$run_dir"/images/*.tar)
[ -e "${archives[0]}" ] || die 'there are no images: make images builds them'
if [ "$kind" = native ]; then
  for n in "${node_numbers[@]}"; do import_images "$n" "${archives[@]}"; done
else
  PATH=$PATH:$(part_dir kind "$kind_version")
  for archive in "${archives[@]}"; do kind load image-archive "$archive" --name "$cluster_name"; done
fi
