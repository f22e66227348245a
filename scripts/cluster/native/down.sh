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

# shellcheck disable=SC2046 # one word for each namespace
end_processes_of $(all_namespaces)
for namespace in $(all_namespaces); do ip netns del "$namespace"; done
# runc makes groups in the hierarchy of version 2 as well, where both are mounted.
for parent in $(cgroup_roots) /sys/fs/cgroup/unified; do remove_cgroup "$parent/$cluster_name"; done
rm -rf "$cluster_dir"
