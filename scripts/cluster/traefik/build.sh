#!/usr/bin/env bash
# Builds Traefik from Go modules, without the libraries of DNS providers.
#
# Usage: scripts/cluster/traefik/build.sh DIR     DIR gets the program
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export CGO_ENABLED=0 GOFLAGS='-buildvcs=false -trimpath' GOTOOLCHAIN=auto GOWORK=off
cp -R "$here"/{go.mod,go.sum,ext} "$work/"
cd "$work"
lego=$(go mod edit -json | jq -r '.Require[] | select(.Path == "github.com/go-acme/lego/v5") | .Path + "@" + .Version')
cp -R "$(go mod download -json "$lego" | jq -r .Dir)" lego
chmod -R u+w lego
cp "$here/lego/zz_gen_dns_providers.go" lego/providers/dns/
go mod edit -replace github.com/go-acme/lego/v5=./lego
version=$(go mod edit -json | jq -r '.Require[] | select(.Path == "github.com/traefik/traefik/v3") | .Version')
go build -mod=mod -v -gcflags=all=-dwarf=false -ldflags "-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=${version#v}" \
  -o "$dir/traefik" github.com/traefik/traefik/v3/cmd/traefik
