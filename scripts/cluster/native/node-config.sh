# The configuration of a node's programs.
# shellcheck shell=bash disable=SC2154 # settings.sh

write_node_config() {
  local n=$1 dir
  dir=$(node_dir "$n")
  mkdir -p "$dir"/{kubelet,containerd,logs,pods,containers,local-path,cni-config,cni-state}
  : >"$dir/resolv.conf"
  write_kubelet_config "$n" "$dir"
  write_containerd_config "$dir"
  write_pod_network "$n" "$dir"
}

write_kubelet_config() {
  cat >"$2/kubelet.yaml" <<END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$cluster_name/n$1
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: $pki/ca.crt } }
authorization: { mode: Webhook }
clusterDomain: cluster.local
clusterDNS: [$dns_address]
resolvConf: $2/resolv.conf
failSwapOn: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: { memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%, imagefs.inodesFree: 1% }
nodeStatusUpdateFrequency: 4s
nodeLeaseDurationSeconds: 16
syncFrequency: 10s
END
}

write_containerd_config() {
  cat >"$1/containerd.toml" <<END
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "localhost/pause:$pause_version"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["$cni_programs"]
  conf_dir = "/etc/cni/net.d"
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    BinaryName = "$runc"
    SystemdCgroup = false
END
}

write_pod_network() {
  cat >"$2/cni-config/10-pods.conflist" <<END
{ "cniVersion": "1.0.0", "name": "pods", "plugins": [
  { "type": "ptp", "ipMasq": false, "mtu": 1500, "ipam": {
      "type": "host-local", "ranges": [[{ "subnet": "$pod_network.$1.0/24" }]], "routes": [{ "dst": "0.0.0.0/0" }] } },
  { "type": "portmap", "backend": "nftables", "capabilities": { "portMappings": true }, "snat": true }] }
END
}

# One parent group for each node. A boot finds none of the last one: the kubelet spends seconds on each.
make_node_cgroup() {
  local parent
  for parent in $(cgroup_roots); do
    mkdir -p "$parent/$cluster_name"
    if [ -e "$parent/cgroup.controllers" ]; then
      delegate_controllers "$parent"
      delegate_controllers "$parent/$cluster_name"
    elif [ -e "$parent/cpuset.cpus" ]; then
      echo 1 >"$parent/$cluster_name/cgroup.clone_children"
      cat "$parent/cpuset.cpus" >"$parent/$cluster_name/cpuset.cpus"
      cat "$parent/cpuset.mems" >"$parent/$cluster_name/cpuset.mems"
    fi
    remove_cgroup "$parent/$cluster_name/n$1"
    mkdir -p "$parent/$cluster_name/n$1"
  done
}

delegate_controllers() { sed 's/\([a-z_]*\)/+\1/g' "$1/cgroup.controllers" >"$1/cgroup.subtree_control"; }

# Groups that still have a process a moment after it was killed are tried again.
remove_cgroup() {
  local attempts=50
  while ((attempts-- > 0)); do
    [ -d "$1" ] || return 0
    find "$1" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    [ ! -d "$1" ] || sleep 0.1
  done
  [ ! -d "$1" ] || say "the control group $1 is still in use"
}
