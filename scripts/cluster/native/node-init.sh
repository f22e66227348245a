#!/usr/bin/env bash
# The first process of a node, in mount, process and network namespaces of its own: when it dies, the node loses its power.
#
# Usage: scripts/cluster/native/node-init.sh N DIR
set -uo pipefail
# shellcheck source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

n=$1 dir=$2 name=n$1

bind() {
  mkdir -p "$2"
  mount --bind "$1" "$2"
}

hostname "$name"
# Volumes need shared mounts; as a slave of the machine's, none of them gets out.
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lock /run/netns
# The folders must not appear on the machine's own disk.
for place in /var/lib /var/log /etc/cni /opt; do
  mkdir -p "/run/places$place"
done
mount -t tmpfs -o mode=755 tmpfs /opt
mount_over() { mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$1"; }
for place in /var/lib /var/log /etc; do
  mkdir -p "/run/places$place"/{upper,work}
  mount_over "$place" "/run/places$place"
done
bind "$dir/kubelet" /var/lib/kubelet
bind "$dir/containerd" /var/lib/containerd
bind "$dir/cni-state" /var/lib/cni
bind "$dir/pods" /var/log/pods
bind "$dir/containers" /var/log/containers
bind "$dir/local-path" /opt/local-path-provisioner
bind "$dir/cni-config" /etc/cni/net.d

# keep NAME COMMAND…: starts it again whenever it ends.
keep() {
  local program=$1
  shift
  while :; do
    "$@" >>"$dir/logs/$program.log" 2>&1
    echo "$program ended with $?" >>"$dir/logs/init.log"
    sleep 1
  done
}

labels=topology.kubernetes.io/zone=zone-$n
[ "$n" != "$ingress_node" ] || labels+=,ingress-ready=true

keep containerd containerd --config "$dir/containerd.toml" --log-level warn &
until [ -e "$dir/images-ready" ]; do sleep 0.05; done
keep kubelet kubelet --config="$dir/kubelet.yaml" --kubeconfig="$kubeconfigs/$name/kubelet.conf" --hostname-override="$name" \
  --node-ip="$(node_address "$n")" --node-labels="$labels" &
keep kube-proxy kube-proxy --kubeconfig="$kubeconfigs/kube-proxy.conf" --hostname-override="$name" --proxy-mode=nftables \
  --cluster-cidr="$pod_network.0.0/16" --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 \
  --conntrack-tcp-timeout-close-wait=0 &
# The pods' network plugin enforces no policies.
keep kube-router kube-router --kubeconfig="$kubeconfigs/kube-router.conf" --hostname-override="$name" --run-firewall=true \
  --run-router=false --run-service-proxy=false --service-cluster-ip-range="$service_range" --iptables-sync-period=1m &
wait
