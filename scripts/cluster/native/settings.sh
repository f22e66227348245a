# What the scripts of the native cluster share.
# shellcheck shell=bash disable=SC2034 # for those that source it
# shellcheck source=../settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/../settings.sh"

native=$cluster_scripts/native
logs=$cluster_dir/logs
pki=$cluster_dir/pki
kubeconfigs=$cluster_dir/kubeconfigs
kubeadm_config=$cluster_dir/kubeadm.yaml
kubernetes_programs=$(full_kubernetes_dir)
cni_programs=$(part_dir cni-plugins "$cni_version")
runc=$(part_dir runc "$runc_version")/runc
PATH=$kubernetes_programs:$(part_dir containerd "$containerd_version"):$(part_dir kube-router "$kube_router_version"):$PATH
export KUBECONFIG=$cluster_dir/kubeconfig

control_plane=$outer-control-plane

# The hierarchies of control groups: one folder each in version 1, one for all in version 2.
cgroup_roots() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    echo /sys/fs/cgroup
  else
    local name
    for name in cpu cpuacct cpuset memory devices freezer blkio pids systemd; do
      [ ! -d "/sys/fs/cgroup/$name" ] || echo "/sys/fs/cgroup/$name"
    done
  fi
}

# inside NAMESPACE COMMAND…: runs it in that network namespace.
inside() { nsenter "--net=/run/netns/$1" "${@:2}"; }

namespace_exists() { [ -e "/run/netns/$1" ]; }

# The first process of a running node; fails when it is off. A number used again by another process does not count.
node_init() {
  local pid
  pid=$(cat "$(node_dir "$1")/init.pid" 2>/dev/null) &&
    tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "^bash .*native/node-init.sh $1 " && echo "$pid"
}

# on_node N COMMAND…: runs it there.
on_node() { nsenter --target "$(node_init "$1")" --mount --pid --uts --net "${@:2}"; }

require_root() { is_root || die 'the native cluster needs root (or install Docker: then kind needs none)'; }
