# What the cluster of `make cluster` needs: kind where Docker runs; else the programs of the native cluster, from Go modules.
# shellcheck shell=bash disable=SC2154 # cache, root: lib.sh

setup_cluster() {
  [ "$(cluster_kind)" != external ] || return 0
  # shellcheck source=../cluster/settings.sh
  . "$root/scripts/cluster/settings.sh"
  if [ "$(cluster_kind)" = kind ]; then
    command -v kind >/dev/null || go_part kind "$kind_version" "sigs.k8s.io/kind@v$kind_version"
    return
  fi
  is_root || die 'without Docker the cluster is made of network namespaces, for which it needs root'
  need_packages 'the cluster' gcc libc6-dev libseccomp-dev nftables iptables ipset conntrack busybox-static jq iproute2 || return 0
  setup_all_of_kubernetes
  setup_node_parts
  setup_addon_images
}

# Which kind of cluster there will be: that of KUBECONFIG, unless it is our own's; else kind where Docker runs, else the native one.
cluster_kind() {
  if [ -n "${KUBECONFIG:-}" ] && [ "$KUBECONFIG" != "$run_dir/cluster/kubeconfig" ]; then
    echo external
  elif command -v docker >/dev/null && limit 10 docker info >/dev/null 2>&1; then
    echo kind
  else
    echo native
  fi
}

setup_node_parts() {
  go_part containerd "$containerd_version" \
    github.com/containerd/containerd/v2/cmd/{containerd,containerd-shim-runc-v2,ctr}"@v$containerd_version"
  CGO_ENABLED=1 GO_PART_FLAGS='-tags=seccomp,netgo,osusergo' GO_PART_LINK='-extldflags -static' \
    go_part runc "$runc_version" "github.com/opencontainers/runc@v$runc_version"
  go_part cni-plugins "$cni_version" \
    github.com/containernetworking/plugins/plugins/{main/ptp,main/loopback,meta/portmap,ipam/host-local}"@v$cni_version"
  go_part kube-router "$kube_router_version" "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router@v$kube_router_version"
  go_part metrics-server "$metrics_server_version" "sigs.k8s.io/metrics-server/cmd/metrics-server@v$metrics_server_version"
  built_part coredns "$coredns_version" build_in_module "$kubernetes_recipe/server" ./coredns
  built_part local-path-provisioner "$local_path_version" \
    build_in_module "$kubernetes_recipe/server" github.com/rancher/local-path-provisioner
  built_part traefik "$traefik_version" "$root/scripts/cluster/traefik/build.sh"
}

# go_part NAME VERSION PACKAGE…: programs that Go installs by itself.
go_part() {
  local name=$1 version=$2
  shift 2
  built_part "$name" "$version" install_by_go "$@"
}

install_by_go() {
  local dir=$1
  shift
  (cd / && GOBIN=$dir in_go_environment go install ${GO_PART_FLAGS:+"$GO_PART_FLAGS"} -gcflags=all=-dwarf=false \
    -ldflags "-s -w ${GO_PART_LINK:-}" "$@")
}

build_in_module() {
  local dir=$1 module=$2 package=$3
  (cd "$module" && in_go_environment go build -gcflags=all=-dwarf=false -ldflags '-s -w' -o "$dir/" "$package")
}

in_go_environment() {
  CGO_ENABLED=${CGO_ENABLED:-0} GOFLAGS='-buildvcs=false -trimpath' GOTOOLCHAIN=auto GOWORK=off "$@"
}

# built_part NAME VERSION COMMAND…: what the command makes in a folder that it gets as its first argument, kept by version.
built_part() {
  local name=$1 version=$2 dir
  dir=$(part_dir "$name" "$version")
  shift 2
  [ -d "$dir" ] || with_lock "$(basename "$dir")" make_part "$dir" "$name $version" "$@"
}

make_part() {
  local dir=$1 label=$2 command=$3 scratch
  shift 3
  [ ! -d "$dir" ] || return 0
  find_go || return 0
  scratch=$(new_scratch "$dir")
  with_progress "$label: building it from Go modules, once" "$command" "$scratch" "$@"
  mv "$scratch" "$dir"
}

setup_addon_images() {
  local dir
  dir=$(image_dir)
  [ -d "$dir" ] || with_lock "$(basename "$dir")" make_addon_images "$dir"
}

make_addon_images() {
  local dir=$1 scratch
  [ ! -d "$dir" ] || return 0
  scratch=$(new_scratch "$dir")
  with_progress 'images of the cluster' "$root/scripts/cluster/images.sh" "$scratch"
  mv "$scratch" "$dir"
}
