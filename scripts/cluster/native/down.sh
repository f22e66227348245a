#!/usr/bin/env bash
# Ends the native cluster and everything that runs in its network; leaves nothing but the cache.
set -euo pipefail
# shellcheck source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"
for file in network node-config; do
  # shellcheck source=/dev/null
  . "$native/$file.sh"
done

require_root
[ ! -e "/run/netns/$outer" ] || [ "$(readlink "/proc/$$/ns/net")" != "$(inside "$outer" readlink /proc/self/ns/net)" ] ||
  die 'this shell is inside the cluster: leave it first'

for attempt in {1..50}; do
  pids=$(processes_inside)
  [ -n "$pids" ] || break
  # shellcheck disable=SC2086 # one word for each process
  kill -9 $pids 2>/dev/null || true
  sleep 0.1
done
[ -z "${pids:-}" ] || die "these processes do not end: $pids"
for namespace in $(all_namespaces); do ip netns del "$namespace"; done
for parent in $(cgroup_roots); do remove_cgroup "$parent/$cluster_name"; done
rm -rf "$cluster_dir"
