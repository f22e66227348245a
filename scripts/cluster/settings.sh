# What the scripts of the cluster share: names, addresses, versions, and where things are.
# shellcheck shell=bash disable=SC2034 # for those that source it
# shellcheck source=../setup/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../setup/lib.sh"
# shellcheck source=../setup/kubernetes.sh
. "$root/scripts/setup/kubernetes.sh"
# shellcheck source=../setup/helm.sh
. "$root/scripts/setup/helm.sh"

cluster_scripts=$root/scripts/cluster
cluster_dir=$run_dir/cluster
info_file=$cluster_dir/info.json

cluster_name=kube-sfu
page_host=kube-sfu.test
system_namespace=kube-sfu-system
media_namespace=kube-sfu-media
release=kube-sfu

# The native cluster: one outer network namespace, with one more for the control plane and each node.
outer=kube-sfu
network=10.89.0
control_plane_address=$network.2
pod_network=10.244
service_range=10.96.0.0/16
dns_address=10.96.0.10
node_numbers=(1 2)
ingress_node=1

# How soon a silent node counts as lost, and how much later its pods are replaced. Kubernetes' own 50 and 300 s would make every
# test of a lost node take minutes.
node_grace=20s
eviction_seconds=10

# How long to wait for one part of the cluster to become ready, in seconds.
ready_limit=120

kubernetes_version=$("$root/scripts/kubernetes/build.sh" --version)
containerd_version=2.3.7
runc_version=1.4.3
cni_version=1.9.1
coredns_version=1.14.6
local_path_version=0.0.30
metrics_server_version=0.9.0
kube_router_version=2.1.0
traefik_version=3.7.13
pause_version=3.10
kind_version=0.33.0

# part_dir NAME VERSION: where the programs of one part are kept.
part_dir() { echo "$cache/$1-$2-$(uname -s)-$(uname -m)"; }

# The folder with the archives of the add-ons' images: another one as soon as one of these changes.
image_dir() {
  local recipe
  recipe=$(cat "$cluster_scripts"/{settings.sh,oci-image.sh,images.sh} | hash_of | cut -c 1-12)
  echo "$cache/cluster-images-$recipe"
}

node_name() { echo "n$1"; }
node_address() { echo "$network.$((10 + $1))"; }
node_dir() { echo "$cluster_dir/nodes/n$1"; }
node_namespace() { echo "$outer-n$1"; }

# wait_for LABEL COMMAND…: until the command succeeds.
wait_for() {
  local label=$1 deadline=$((SECONDS + ready_limit))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || die "waited $ready_limit s for $label: $("$@" 2>&1 | tail -n 3)"
    sleep 0.2
  done
}

# Where kubectl, helm and kind are, if the set-up had to get them.
tools_path() {
  echo "$(full_kubernetes_dir):$cache/helm-$helm_version-$(uname -s)-$(uname -m):$(part_dir kind "$kind_version")"
}
