#!/usr/bin/env bash
# Starts the native cluster, or what of it does not run.
set -euo pipefail
# shellcheck source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
for file in network control-plane node-config node; do
  # shellcheck source=/dev/null
  . "$native/$file.sh"
done

write_info() {
  jq -n --arg kubeconfig "$KUBECONFIG" --arg url "https://$page_host" --arg address "$(node_address "$ingress_node")" \
    '{kind: "native", kubeconfig: $kubeconfig, pageUrl: $url, ingressAddress: $address, nodes: $ARGS.positional}' \
    --args "$(node_name 1)" "$(node_name 2)" >"$info_file"
  { printf '127.0.0.1 localhost\n'; printf '%s %s\n' "$(node_address "$ingress_node")" "$page_host"; } >"$cluster_dir/hosts"
}

require_root
# What an earlier start left half done without its certificates is of no use.
if namespace_exists "$outer" && [ ! -e "$KUBECONFIG" ]; then "$native/down.sh"; fi
mkdir -p "$logs" "$cluster_dir/pids" "$kubeconfigs"
make_outer_network
make_network "$control_plane" "$control_plane_address"
for n in "${node_numbers[@]}"; do make_network "$(node_namespace "$n")" "$(node_address "$n")"; done
make_pod_routes
make_certificates || die "no certificates: $(tail -n 3 "$logs/kubeadm.log")"
# They boot while the control plane starts; kubelets try until it answers.
boots=()
for n in "${node_numbers[@]}"; do
  set_port "$n" up
  boot_node "$n" &
  boots+=($!)
done
start_control_plane
for boot in "${boots[@]}"; do wait "$boot"; done
for n in "${node_numbers[@]}"; do wait_for "node n$n" node_ready "$n"; done
write_info
