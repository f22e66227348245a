#!/usr/bin/env bash
# Starts the cluster of kind, unless it is there.
set -euo pipefail
# shellcheck source=../settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"
PATH=$PATH:$(part_dir kind "$kind_version")
export KUBECONFIG=$cluster_dir/kubeconfig

nodes_run() {
  local node
  for node in $(kind get nodes --name "$cluster_name"); do
    [ "$(docker inspect --format '{{.State.Running}}' "$node")" = true ] || return 1
  done
}

mkdir -p "$cluster_dir"
if ! kind get clusters 2>/dev/null | grep -qx "$cluster_name"; then
  with_progress 'kind: making the cluster' kind create cluster --config "$cluster_scripts/kind/config.yaml" --wait "${ready_limit}s"
elif ! nodes_run; then
  # shellcheck disable=SC2046 # one word for each node
  docker start $(kind get nodes --name "$cluster_name") >/dev/null
fi
kind export kubeconfig --name "$cluster_name" --kubeconfig "$KUBECONFIG" 2>/dev/null
# kind keeps pods off the control plane when there are workers.
kubectl taint nodes --all node-role.kubernetes.io/control-plane:NoSchedule- >/dev/null 2>&1 || true
# shellcheck disable=SC2046 # one word for each node
jq -n --arg kubeconfig "$KUBECONFIG" --arg url "https://$page_host" \
  '{kind: "kind", kubeconfig: $kubeconfig, pageUrl: $url, ingressAddress: "127.0.0.1", nodes: $ARGS.positional}' \
  --args $(kubectl get nodes -o name | sed 's#^node/##') >"$info_file"
