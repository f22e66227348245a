#!/usr/bin/env bash
# Installs what the product needs of a cluster: names, volumes, metrics, an ingress controller. kind has the first two itself.
set -euo pipefail
# shellcheck source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

kind=$(jq -r .kind "$info_file")
kubectl() { "$cluster_scripts/run.sh" kubectl "$@"; }
apply() { kubectl apply --server-side --force-conflicts -f "$@" >/dev/null; }

# The definitions come with the module of the Gateway API.
gateway_definitions() {
  (cd / && GOFLAGS='' GOWORK=off GOTOOLCHAIN=auto go mod download -json "sigs.k8s.io/gateway-api@v$gateway_api_version") |
    jq -r '.Dir + "/config/crd/standard"'
}

rollout() { kubectl -n "$1" rollout status "$2" --timeout="${ready_limit}s" >/dev/null; }

if [ "$kind" = native ]; then
  apply "$cluster_scripts/addons/coredns.yaml"
  apply "$cluster_scripts/addons/local-path.yaml"
  apply "$cluster_scripts/addons/metrics-server.yaml"
fi
apply "$(gateway_definitions)"
wait_for 'the Gateway API' "$cluster_scripts/run.sh" kubectl wait --for=condition=Established crd/gateways.gateway.networking.k8s.io
apply "$cluster_scripts/addons/traefik.yaml"
if [ "$kind" = native ]; then
  rollout kube-system deployment/coredns
  rollout local-path-storage deployment/local-path-provisioner
  rollout kube-system deployment/metrics-server
fi
rollout traefik daemonset/traefik
