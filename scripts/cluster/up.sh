#!/usr/bin/env bash
# Starts the cluster with its add-ons, gives it the images, and installs the chart; what is there already stays.
#
# Usage: scripts/cluster/up.sh            all of it
#        INSTALL=0 scripts/cluster/up.sh  without the chart
set -euo pipefail
# shellcheck source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
# shellcheck source=../setup/cluster.sh
. "$root/scripts/setup/cluster.sh"

use_external() {
  local address
  mkdir -p "$cluster_dir"
  kubectl get --raw /readyz >/dev/null || die "KUBECONFIG=$KUBECONFIG leads to no cluster that answers"
  address=$(kubectl get ingress --all-namespaces -o jsonpath='{.items[*].status.loadBalancer.ingress[0].ip}' | cut -d ' ' -f 1)
  # shellcheck disable=SC2046 # one word for each node
  jq -n --arg kubeconfig "$KUBECONFIG" --arg url "https://$page_host" --arg address "${INGRESS_ADDRESS:-${address:-127.0.0.1}}" \
    '{kind: "external", kubeconfig: $kubeconfig, pageUrl: $url, ingressAddress: $address, nodes: $ARGS.positional}' \
    --args $(kubectl get nodes -o name | sed 's#^node/##') >"$info_file"
}

tell() {
  say "the page is at https://$page_host"
  case $kind in
    native) say 'it is reached from inside the cluster'"'"'s network: make cluster-shell, or scripts/cluster/run.sh COMMAND' ;;
    kind) say "add a line to /etc/hosts: 127.0.0.1 $page_host; media comes from the nodes' own addresses, which Docker Desktop hides" ;;
    external) say "$page_host must lead to the ingress controller" ;;
  esac
}

kind=$(cluster_kind)
if [ "$kind" = external ]; then
  use_external
else
  "$cluster_scripts/$kind/up.sh"
  with_progress 'cluster: add-ons' "$cluster_scripts/addons.sh"
  with_progress 'cluster: loading the images' "$cluster_scripts/load.sh"
fi
[ "${INSTALL:-1}" = 1 ] || exit 0
with_progress 'cluster: installing the chart' "$cluster_scripts/install.sh"
tell
