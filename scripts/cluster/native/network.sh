# The networks of the native cluster. All is in one outer network namespace, which has no way out: no interface of the machine, no
# default route. What is not there is unreachable at once.
# shellcheck shell=bash disable=SC2154 # settings.sh

make_outer_network() {
  namespace_exists "$outer" || ip netns add "$outer"
  ip -n "$outer" link set lo up
  ip -n "$outer" link show br0 >/dev/null 2>&1 || ip -n "$outer" link add br0 type bridge
  ip -n "$outer" addr replace "$network.1/24" dev br0
  ip -n "$outer" link set br0 up
  ip -n "$outer" route replace unreachable "$pod_network.0.0/16" metric 4096
  ip -n "$outer" route replace unreachable "$service_range" metric 4096
  # The control plane's kube-proxy answers for services.
  ip -n "$outer" route replace "$service_range" via "$control_plane_address" metric 100
  inside "$outer" sysctl -qw net.ipv4.ip_forward=1
}

# make_network NAMESPACE ADDRESS: a network namespace on the bridge.
make_network() {
  local port=p-${1#"$outer-"}
  port=${port:0:15}
  namespace_exists "$1" || ip netns add "$1"
  ip -n "$outer" link show "$port" >/dev/null 2>&1 ||
    ip -n "$outer" link add "$port" type veth peer name eth0 netns "$1"
  ip -n "$outer" link set "$port" master br0 up
  ip -n "$1" link set lo up
  ip -n "$1" link set eth0 up
  ip -n "$1" addr replace "$2/24" dev eth0
  ip -n "$1" route replace default via "$network.1"
  # A service that kube-proxy has not programmed yet is refused here instead of going round in circles.
  ip -n "$1" rule show | grep -q "to $service_range iif eth0" ||
    ip -n "$1" rule add iif eth0 to "$service_range" unreachable
  inside "$1" sysctl -qw net.ipv4.ip_forward=1
}

# Every namespace knows the way to every node's pods.
make_pod_routes() {
  local n namespace other
  for n in "${node_numbers[@]}"; do
    for namespace in "$outer" "$control_plane" $(for other in "${node_numbers[@]}"; do node_namespace "$other"; done); do
      [ "$namespace" = "$(node_namespace "$n")" ] ||
        ip -n "$namespace" route replace "$pod_network.$n.0/24" via "$(node_address "$n")"
    done
  done
}

# set_port N up|down: a node's network cable.
set_port() { ip -n "$outer" link set "p-n$1" "$2"; }

# end_processes_of NAMESPACE…: fails when some are still there after a while.
end_processes_of() {
  local attempt pids
  for attempt in {1..50}; do
    pids=$(processes_of "$@")
    [ -n "$pids" ] || return 0
    # shellcheck disable=SC2086 # one word for each process
    kill -9 $pids 2>/dev/null || true
    sleep 0.1
  done
  say "these processes do not end ($attempt attempts): $pids"
  return 1
}

processes_of() {
  local namespace
  for namespace; do ip netns pids "$namespace"; done
}

all_namespaces() {
  find /run/netns -maxdepth 1 \( -name "$outer" -o -name "$control_plane" -o -name "$outer-n[0-9]" \) -printf '%f\n' 2>/dev/null
}
