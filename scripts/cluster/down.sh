#!/usr/bin/env bash
# Takes down the cluster that `make cluster` made; of one that KUBECONFIG names it only forgets the address.
set -euo pipefail
# shellcheck source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

kind=$(jq -r .kind "$info_file" 2>/dev/null || true)
if [ "$kind" = kind ]; then
  PATH=$PATH:$(part_dir kind "$kind_version")
  kind delete cluster --name "$cluster_name"
elif [ -e "/run/netns/$outer" ]; then
  "$cluster_scripts/native/down.sh"
fi
rm -rf "$cluster_dir"
