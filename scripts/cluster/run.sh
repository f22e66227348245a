#!/usr/bin/env bash
# Runs a command where it reaches the cluster: inside the native cluster's network, where the name of the page is known; else
# right here, with the KUBECONFIG of the cluster.
#
# Usage: scripts/cluster/run.sh COMMAND…
set -euo pipefail
# shellcheck source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

[ $# -gt 0 ] || die 'expected a command to run'
[ -e "$info_file" ] || die 'there is no cluster: make cluster starts one'
KUBECONFIG=$(jq -r .kubeconfig "$info_file")
export KUBECONFIG
PATH=$(tools_path):$PATH
if [ "$(jq -r .kind "$info_file")" != native ] || [ -n "${KUBE_SFU_INSIDE:-}" ]; then exec "$@"; fi
is_root || die 'the native cluster needs root'
export KUBE_SFU_INSIDE=1
# shellcheck disable=SC2016 # expands in there
exec nsenter "--net=/run/netns/$outer" unshare --mount --propagation slave \
  bash -c 'mount --bind "$0" /etc/hosts && exec "$@"' "$cluster_dir/hosts" "$@"
