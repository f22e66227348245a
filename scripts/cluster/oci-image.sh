#!/usr/bin/env bash
# Packs a folder into an OCI archive of one layer, by tar and jq alone.
#
# Usage: scripts/cluster/oci-image.sh NAME:TAG FOLDER ARCHIVE CONFIG
#        CONFIG is the image's configuration as JSON, such as {"Entrypoint":["/pause"],"User":"65535:65535"}
set -euo pipefail

[ $# = 4 ] || { echo 'usage: oci-image.sh NAME:TAG FOLDER ARCHIVE CONFIG' >&2; exit 2; }
name=$1 folder=$2 archive=$3 config=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/blobs/sha256"

architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
  esac
}

# Moves a file among the blobs; prints what refers to it: TYPE, digest and size as JSON.
add_blob() {
  local type=$1 file=$2 digest size
  digest=$(sha256sum "$file" | cut -d ' ' -f 1)
  size=$(stat -c %s "$file")
  mv "$file" "$work/blobs/sha256/$digest"
  jq -cn --arg t "$type" --arg d "sha256:$digest" --argjson s "$size" '{mediaType: $t, digest: $d, size: $s}'
}

tar --numeric-owner --owner=0 --group=0 --sort=name --mtime=@0 -C "$folder" -cf "$work/layer" .
layer=$(add_blob application/vnd.oci.image.layer.v1.tar "$work/layer")
jq -cn --argjson config "$config" --argjson layer "$layer" --arg arch "$(architecture)" \
  '{created: "1970-01-01T00:00:00Z", architecture: $arch, os: "linux", config: $config,
    rootfs: {type: "layers", diff_ids: [$layer.digest]}}' >"$work/config"
config=$(add_blob application/vnd.oci.image.config.v1+json "$work/config")
jq -cn --argjson config "$config" --argjson layer "$layer" \
  '{schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config: $config, layers: [$layer]}' >"$work/manifest"
manifest=$(add_blob application/vnd.oci.image.manifest.v1+json "$work/manifest")
jq -cn --argjson manifest "$manifest" --arg name "$name" --arg arch "$(architecture)" \
  '{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [$manifest + {
    platform: {architecture: $arch, os: "linux"},
    annotations: {"io.containerd.image.name": $name, "org.opencontainers.image.ref.name": $name}}]}' >"$work/index.json"
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/oci-layout"
tar -C "$work" -cf "$archive" oci-layout index.json blobs
