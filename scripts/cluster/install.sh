#!/usr/bin/env bash
# Installs or upgrades the chart in the namespace of the system, where Pod Security "restricted" is enforced.
set -euo pipefail
# shellcheck source=settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/settings.sh"

inside() { "$cluster_scripts/run.sh" "$@"; }

inside kubectl apply -f - >/dev/null <<END
apiVersion: v1
kind: Namespace
metadata:
  name: $system_namespace
  labels: { pod-security.kubernetes.io/enforce: restricted }
END
inside "${HELM_BIN:-helm}" upgrade "$release" "$root/charts/kube-sfu" --install --namespace "$system_namespace" \
  --values "$cluster_scripts/values.yaml" --wait --timeout 5m >/dev/null
