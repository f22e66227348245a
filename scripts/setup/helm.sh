# Helm, and the CRDs of others that the chart makes objects of.
# shellcheck shell=bash disable=SC2154 # root, cache: lib.sh

helm_version=v4.3.1
gateway_api_version=1.6.1

# Modules whose folders have CRDs, each with the folder in it.
upstream_crds=(
  github.com/cert-manager/cert-manager@v1.21.2:deploy/crds
  github.com/cloudnative-pg/cloudnative-pg@v1.29.0:config/crd/bases
  "sigs.k8s.io/gateway-api@v$gateway_api_version:config/crd/standard"
  github.com/prometheus-operator/prometheus-operator@v0.85.0:example/prometheus-operator-crd
)

setup_helm() {
  local dir=$cache/helm-$helm_version-$(uname -s)-$(uname -m)
  if [ -n "${HELM_BIN:-}" ]; then
    "$HELM_BIN" version >/dev/null 2>&1 || die "HELM_BIN=$HELM_BIN does not start"
    set_env HELM_BIN "$(realpath "$HELM_BIN")"
    return
  fi
  # Any of the same major does.
  if command -v helm >/dev/null && helm version --short 2>/dev/null | grep -q "^${helm_version%%.*}\."; then
    set_env HELM_BIN "$(command -v helm)"
    return
  fi
  [ -x "$dir/helm" ] || with_lock helm make_helm "$dir"
  [ ! -x "$dir/helm" ] || set_env HELM_BIN "$dir/helm"
}

make_helm() {
  local dir=$1 scratch
  [ ! -x "$dir/helm" ] || return 0
  find_go || return 0
  scratch=$(new_scratch "$dir")
  GOFLAGS='' GOTOOLCHAIN=auto GOWORK=off GOBIN=$scratch with_progress \
    "Helm: building it from Go modules, once (about 4 minutes of processor time)" \
    go install "helm.sh/helm/v4/cmd/helm@$helm_version"
  "$scratch/helm" version >/dev/null || die 'the Helm that was built does not start'
  rm -rf "$dir"
  mv "$scratch" "$dir"
}

setup_upstream-crds() {
  local dir
  dir=$cache/upstream-crds-$(printf '%s\n' "${upstream_crds[@]}" | hash_of | cut -c 1-12)
  [ -d "$dir" ] || with_lock upstream-crds make_upstream_crds "$dir"
  [ ! -d "$dir" ] || set_env UPSTREAM_CRDS "$dir"
}

make_upstream_crds() {
  local dir=$1 scratch
  [ ! -d "$dir" ] || return 0
  find_go || return 0
  scratch=$(new_scratch "$dir")
  with_progress 'CRDs of cert-manager, CloudNativePG, the Gateway API and the Prometheus Operator' \
    fetch_upstream_crds "$scratch"
  mv "$scratch" "$dir"
}

fetch_upstream_crds() {
  local entry module source
  for entry in "${upstream_crds[@]}"; do
    # Not in this tree: it has no Go module of its own.
    module=$(cd "$1" && GOFLAGS='' GOTOOLCHAIN=auto GOWORK=off go mod download -json "${entry%%:*}" |
      sed -n 's/^[[:space:]]*"Dir": "\(.*\)",*$/\1/p')
    for source in "$module/${entry#*:}"/*.yaml; do
      grep -q '^kind: CustomResourceDefinition' "$source" || continue
      install -m 0644 "$source" "$1/"
    done
  done
  ls "$1"/*.yaml >/dev/null
}
