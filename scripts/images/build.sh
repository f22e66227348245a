#!/usr/bin/env bash
# Builds the images into .run/images, each as NAME.tar, an OCI archive, with its bill of materials NAME.cdx.json: from the Dockerfile by
# docker or podman where one of them runs; else with buildah, from Debian's packages and this tree. Does nothing when nothing has changed.
#
# Usage: scripts/images/build.sh
# shellcheck disable=SC2154 # root, cache, run_dir: ../setup/lib.sh
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in lib node worker; do
  # shellcheck source=/dev/null
  . "$here/../setup/$part.sh"
done

out=$run_dir/images
version=$(node -p "require('$root/package.json').version")
mapfile -t names < <(node "$here/services.ts")

full_name() { echo "docker.io/kube-sfu/$1:$version"; }

engine() {
  local name
  for name in docker podman; do
    if command -v "$name" >/dev/null && limit 20 "$name" info >/dev/null 2>&1; then
      echo "$name"
      return
    fi
  done
  echo buildah
}

# Everything that the images are made from.
inputs() {
  (
    cd "$root"
    find common operator signaling media-node trial-postgres migrations crds config client web scripts/images scripts/postgres \
      scripts/setup scripts/mediasoup-worker package.json package-lock.json .node-version Dockerfile LICENSE -type f \
      ! -path 'web/dist/*' ! -name '*.test.ts' ! -name '*.test.tsx' | LC_ALL=C sort | xargs sha256sum
  )
  echo "$1 $version"
  [ "$1" != buildah ] || "$here/rootfs.sh" --packages
  [ -z "${MEDIASOUP_WORKER_BIN:-}" ] || sha256sum <"$MEDIASOUP_WORKER_BIN"
}

# The same for all: docker and podman number what they build by themselves.
build_by_engine() {
  local engine=$1 scratch=$2 name image
  for name in "${names[@]}"; do
    image=$(full_name "$name")
    if [ "$engine" = docker ]; then
      docker buildx build --load --target "$name" --tag "$image" "$root"
      docker save --output "$scratch/$name.tar" "$image"
    else
      podman build --format docker --target "$name" --tag "$image" "$root"
      podman save --format oci-archive --output "$scratch/$name.tar" "$image"
    fi
    copy_bill "$engine" "$image" "$scratch/$name.cdx.json"
  done
}

# From a container that never runs.
copy_bill() {
  local container
  container=$("$1" create "$2")
  "$1" cp "$container:/app/sbom.cdx.json" "$3"
  "$1" rm "$container" >/dev/null
}

# The part of the Dockerfile from "FROM scratch" on; the folders take the place of its build stage.
build_by_buildah() {
  local scratch=$1 node name image
  node=$(image_node)
  (cd "$root" && npm run --silent build:web)
  "$here/trees.sh" "$node" "$scratch/context/trees"
  # buildah tells by the times too whether something changed.
  find "$scratch/context/trees" -exec touch --no-dereference --date=@0 {} +
  sed -n '/^FROM scratch/,$p' "$root/Dockerfile" >"$scratch/Dockerfile"
  mkdir "$scratch/empty"
  for name in "${names[@]}"; do
    image=$(full_name "$name")
    in_storage build --isolation chroot --layers --timestamp 0 --format oci --file "$scratch/Dockerfile" \
      --build-context "build=$scratch/context" --target "$name" --tag "$image" "$scratch/empty"
    in_storage push "$image" "oci:$scratch/$name:$image"
    node "$here/archive.ts" "$scratch/$name" "$image" "$scratch/$name.tar"
    cp "$scratch/context/trees/$name/sbom.cdx.json" "$scratch/$name.cdx.json"
  done
  # Those that no image is made from any more.
  in_storage rmi --prune
}

# Not in the user's own storage. It stays, so that what did not change is not made again.
in_storage() { buildah --root "$cache/images-storage" --runroot "$cache/images-storage-run" "$@"; }

# The Node of .node-version, whichever the tree runs with.
image_node() {
  local wanted package dir
  wanted=$(cat "$root/.node-version")
  package=$(node_package)
  dir=$cache/node-$wanted
  [ -x "$dir/node_modules/$package/bin/node" ] || with_lock node install_node "$dir" "$package" "$wanted" >&2
  echo "$dir/node_modules/$package/bin/node"
}

build() {
  local chosen=$1 key=$2 scratch
  [ "$(cat "$out/.key" 2>/dev/null)" != "$key" ] || return 0
  scratch=$(new_scratch "$cache/images")
  if [ "$chosen" = buildah ]; then
    build_by_buildah "$scratch"
  else
    build_by_engine "$chosen" "$scratch"
  fi
  mkdir -p "$out"
  rm -f "$out/.key"
  mv "$scratch"/*.tar "$scratch"/*.cdx.json "$out/"
  echo "$key" >"$out/.key"
  rm -rf "$scratch"
}

print_sizes() {
  local name
  printf '%-16s %-11s %s\n' IMAGE ARCHIVE FILE
  for name in "${names[@]}"; do
    printf '%-16s %-11s %s\n' "$name" "$(du -h "$out/$name.tar" | cut -f 1)" ".run/images/$name.tar"
  done
}

main() {
  local chosen key
  chosen=$(engine)
  if [ "$chosen" = buildah ]; then
    need_packages 'the images' buildah || stop_at_missing_packages
  fi
  key=$(inputs "$chosen" | hash_of)
  if [ "$(cat "$out/.key" 2>/dev/null)" != "$key" ]; then
    with_lock images with_progress "images, by $chosen" build "$chosen" "$key"
  fi
  print_sizes
}

main "$@"
