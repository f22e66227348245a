# Kubernetes: etcd, kube-apiserver and kubectl for the tests, and all its programs for the native cluster.
# shellcheck shell=bash disable=SC2154 # root, cache: lib.sh

kubernetes_recipe=$root/scripts/kubernetes

# The Kubernetes project's own manager of such binaries.
setup_envtest=sigs.k8s.io/controller-runtime/tools/setup-envtest@v0.25.1

# How long it may take to fetch that and what it downloads, in seconds. On a network that drops packets silently it would take
# minutes.
envtest_download_limit=60

# The oldest Go that fetches by itself the newer one which a module asks for.
minimum_go=1.21

setup_kubernetes() {
  local dir key
  if [ -n "${KUBEBUILDER_ASSETS:-}" ]; then
    use_own_control_plane
    return
  fi
  key=$(kubernetes_key)
  [ -x "$cache/$key/kube-apiserver" ] || [ -x "$(full_kubernetes_dir)/kubelet" ] ||
    with_lock "$key" make_control_plane "$cache/$key"
  # What was built for a cluster serves the tests as well.
  for dir in "$(full_kubernetes_dir)" "$cache/$key"; do
    [ ! -x "$dir/kube-apiserver" ] || { set_env KUBEBUILDER_ASSETS "$dir" && return; }
  done
}

# Where all the programs are, if they were built: for the tests, where there is no download, or for the native cluster.
full_kubernetes_dir() { echo "$cache/$(kubernetes_key)-all"; }

# Part of the set-up of the native cluster: there is no download of all of them.
setup_all_of_kubernetes() {
  local dir
  dir=$(full_kubernetes_dir)
  [ -x "$dir/kubelet" ] || with_lock "$(kubernetes_key)" build_kubernetes "$dir"
}

use_own_control_plane() {
  local name
  for name in etcd kube-apiserver kubectl; do
    [ -x "$KUBEBUILDER_ASSETS/$name" ] || die "KUBEBUILDER_ASSETS=$KUBEBUILDER_ASSETS is a folder without an executable $name"
  done
  set_env KUBEBUILDER_ASSETS "$(realpath "$KUBEBUILDER_ASSETS")"
}

# The version of Kubernetes, the system, and the recipe: when one of them changes, so do the programs.
kubernetes_key() {
  local recipe_hash
  recipe_hash=$(cat "$kubernetes_recipe"/{build.sh,server/main.go,server/go.mod,server/go.sum} | hash_of | cut -c 1-12)
  echo "kubernetes-$("$kubernetes_recipe/build.sh" --version)-$(uname -s)-$(uname -m)-$recipe_hash"
}

# In a folder of its own, which takes its place when the programs start.
make_control_plane() {
  local dir=$1 scratch
  { [ ! -x "$dir/kube-apiserver" ] && [ ! -x "$(full_kubernetes_dir)/kubelet" ]; } || return 0
  find_go || return 0
  scratch=$(new_scratch "$dir")
  if download_control_plane "$scratch"; then
    rm -rf "$dir"
    mv "$scratch" "$dir"
  else
    rm -rf "$scratch"
    build_kubernetes "$(full_kubernetes_dir)"
  fi
}

build_kubernetes() {
  local dir=$1 scratch
  [ ! -x "$dir/kubelet" ] || return 0
  find_go || return 0
  scratch=$(new_scratch "$dir")
  with_progress 'Kubernetes: building it from Go modules, once (about 14 minutes of processor time)' \
    "$kubernetes_recipe/build.sh" "$scratch"
  check_control_plane "$scratch" || die 'the Kubernetes API server that was built does not start'
  rm -rf "$dir"
  mv "$scratch" "$dir"
}

check_control_plane() {
  limit 30 "$1/etcd" --version && limit 30 "$1/kube-apiserver" --version && limit 30 "$1/kubectl" version --client
} >/dev/null 2>&1

# Fails when it is for root to install it.
find_go() {
  local advice found
  advice="install Go $minimum_go or newer, or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver and kubectl"
  if ! command -v go >/dev/null; then
    at_least "$minimum_go" "$(packaged_go)" || die "the Kubernetes API server of the tests needs Go: $advice"
    need_packages 'the Kubernetes API server' golang-go || return 1
  fi
  found=$(go env GOVERSION)
  at_least "$minimum_go" "${found#go}" || die "the Kubernetes API server of the tests needs a newer Go than $found: $advice"
}

# The version that the system's packages have; nothing where there are no such packages.
packaged_go() {
  ! command -v apt-cache >/dev/null || apt-cache policy golang-go | sed -n 's/^ *Candidate: \([0-9]*:\)\{0,1\}\([0-9.]*\).*/\2/p'
}

# at_least MINIMUM VERSION: whether there is a version, and it is the minimum or newer.
at_least() { [ -n "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# Patch releases are not all published there: any of the same minor will do.
download_control_plane() {
  local dir=$1/download version found status=1
  version=$("$kubernetes_recipe/build.sh" --version)
  say "Kubernetes API server: trying the download of envtest's"
  mkdir "$dir"
  if found=$(fetch_envtest "${version%.*}.x" "$dir") && check_control_plane "$found"; then
    mv "$found"/* "$1/"
    status=0
  else
    say "Kubernetes API server: no download ($(grep -v '^exit status' "$dir/log" | tail -n 1 | cut -c 1-200))"
  fi
  chmod -R u+w "$dir"
  rm -rf "$dir"
  return "$status"
}

# fetch_envtest VERSION DIR: prints the folder below DIR that has the programs.
fetch_envtest() {
  (cd "$2" && GOFLAGS='' GOTOOLCHAIN=auto GOWORK=off limit "$envtest_download_limit" \
    go run "$setup_envtest" use "$1" --print path --bin-dir "$2" 2>"$2/log" </dev/null)
}
