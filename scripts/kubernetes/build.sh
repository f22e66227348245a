#!/usr/bin/env bash
# Builds Kubernetes from Go modules, for the tests and for a cluster: one program, which is etcd, kube-apiserver, kubelet and all
# the others by the name it is called by.
#
# Usage: scripts/kubernetes/build.sh DIR     DIR gets the program under these names
#        scripts/kubernetes/build.sh --version   the version of Kubernetes, which server/go.mod names
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

kubernetes_version() { sed -n 's/^require k8s.io\/kubernetes v//p' "$here/server/go.mod"; }

# What the Kubernetes project's own build writes into these packages.
version_flags() {
  local version package
  version=$(kubernetes_version)
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    printf ' -X %s' \
      "$package.gitVersion=v$version" \
      "$package.gitMajor=${version%%.*}" \
      "$package.gitMinor=$(cut -d . -f 2 <<<"$version")" \
      "$package.gitCommit=modules" \
      "$package.gitTreeState=clean" \
      "$package.buildDate=1970-01-01T00:00:00Z"
  done
}

build() {
  local dir name
  dir=$(realpath "$1")
  cd "$here/server"
  # Without what debuggers need it takes much less time, memory and room. The names of the packages tell how far it is.
  CGO_ENABLED=0 GOFLAGS='-buildvcs=false -trimpath' GOTOOLCHAIN=auto GOWORK=off \
    go build -v -gcflags=all=-dwarf=false -ldflags "-s -w$(version_flags)" -o "$dir/kubernetes" .
  for name in etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubeadm kubectl; do
    ln -s kubernetes "$dir/$name"
  done
}

case ${1:-} in
  --version) kubernetes_version ;;
  '') echo 'usage: build.sh DIR | --version' >&2 && exit 2 ;;
  *) build "$1" ;;
esac
