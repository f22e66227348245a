#!/usr/bin/env bash
# Makes the folders that the images consist of: `base`, their common root file system, and one for each image with its /app. Used in
# the Dockerfile's build stage, and without an engine.
#
# Usage: scripts/images/trees.sh NODE_BINARY FOLDER     the page in web/dist is built already
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

main() {
  local node=$1 out=$2 name
  "$here/rootfs.sh" "$node" "$out/base"
  # Where the trial server has its data.
  mkdir "$out/data"
  node "$here/services.ts" | while read -r name; do
    node "$here/stage.ts" "$name" "$out/$name"
    node "$here/sbom.ts" "$name" "$out/$name" "$out/base" </dev/null
  done
}

main "$@"
