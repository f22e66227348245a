# Node, and the npm packages of this tree.
# shellcheck shell=bash disable=SC2154 # root, cache, user_path: lib.sh

# Node runs TypeScript by itself, without a flag or a warning, from this version on.
minimum_major=24

node_major() { "$1" --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p'; }

setup_node() {
  local version major package dir
  major=$(node_major node)
  if [ "${major:-0}" -ge "$minimum_major" ]; then
    prepend_path "$(dirname "$(command -v node)")"
    return
  fi
  command -v npm >/dev/null || die "needs Node $minimum_major, or any Node from 18 on with npm to fetch it with"
  version=$(cat "$root/.node-version")
  package=$(node_package)
  dir=$cache/node-$version
  [ -x "$dir/node_modules/$package/bin/node" ] || with_lock node install_node "$dir" "$package" "$version"
  prepend_path "$dir/node_modules/$package/bin"
}

# The packages of binaries from which the npm package `node` picks one, in its install script.
node_package() {
  node -p '(process.platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node") +
    "-" + process.platform + "-" + process.arch'
}

install_node() {
  local dir=$1 package=$2 version=$3 scratch
  [ ! -x "$dir/node_modules/$package/bin/node" ] || return 0
  scratch=$(new_scratch "$dir")
  echo '{ "private": true }' >"$scratch/package.json"
  with_progress "Node $version" npm install --prefix "$scratch" --no-audit --no-fund --ignore-scripts \
    --cache "$scratch/npm-cache" "$package@$version"
  rm -rf "$scratch/npm-cache"
  [ "$(node_major "$scratch/node_modules/$package/bin/node")" = "${version%%.*}" ] ||
    die "the npm package $package does not run here: install Node $minimum_major yourself"
  rm -rf "$dir"
  mv "$scratch" "$dir"
}

# npm ci, when the lock file or Node is another one than at the last time.
setup_dependencies() {
  local stamp=$root/node_modules/.kube-sfu-installed want
  want="$(hash_of <"$root/package-lock.json") $(node --version)"
  [ "$(cat "$stamp" 2>/dev/null)" != "$want" ] || return 0
  with_lock "npm-$(hash_of <<<"$root")" install_dependencies "$stamp" "$want"
}

install_dependencies() {
  local stamp=$1 want=$2
  [ "$(cat "$stamp" 2>/dev/null)" != "$want" ] || return 0
  # What npm wrote down as installed tells whether somebody ran npm by hand.
  if ! node "$root/scripts/setup/installed.ts" "$root"; then
    rm -f "$stamp"
    # npm finds its machine-wide settings, such as the registry, beside the node that it runs on. Another node is first on
    # PATH now, so it is told where they are.
    NPM_CONFIG_GLOBALCONFIG=$(PATH=$user_path npm config get globalconfig)
    export NPM_CONFIG_GLOBALCONFIG
    (cd "$root" && with_progress 'npm packages' npm ci)
  fi
  echo "$want" >"$stamp"
}
