# The native mediasoup worker.
# shellcheck shell=bash disable=SC2154 # root, cache: lib.sh

recipe=$root/scripts/mediasoup-worker

# How long mediasoup's own download may take, in seconds. On a network that drops packets silently it would take minutes.
download_limit=60

setup_worker() {
  local key worker
  if [ -n "${MEDIASOUP_WORKER_BIN:-}" ]; then
    use_own_worker
    return
  fi
  key=$(worker_key)
  worker=$cache/$key/mediasoup-worker
  [ -x "$worker" ] || with_lock "$key" make_worker "$worker"
  [ ! -x "$worker" ] || set_env MEDIASOUP_WORKER_BIN "$worker"
}

# Checked once for each file that the variable has named.
use_own_worker() {
  [ -x "$MEDIASOUP_WORKER_BIN" ] || die "MEDIASOUP_WORKER_BIN=$MEDIASOUP_WORKER_BIN is not an executable file"
  local checked
  checked=$cache/checked-workers/$(hash_of <"$MEDIASOUP_WORKER_BIN")
  if [ ! -e "$checked" ]; then
    check_worker "$MEDIASOUP_WORKER_BIN" || die 'the worker that MEDIASOUP_WORKER_BIN names failed its DTLS handshake check'
    mkdir -p "$(dirname "$checked")"
    touch "$checked"
  fi
  set_env MEDIASOUP_WORKER_BIN "$(realpath "$MEDIASOUP_WORKER_BIN")"
}

# The version of mediasoup, the system, and the recipe: when one of them changes, so does the worker.
worker_key() {
  local version libc recipe_hash
  version=$(sed -n 's/^[[:space:]]*"version": "\(.*\)",$/\1/p' "$root/node_modules/mediasoup/package.json" | head -n 1)
  libc=$( (ldd --version 2>&1 || true) | sed -n '1s/.* //p' | tr -dc '[:alnum:].')
  recipe_hash=$(cd "$recipe" && find build.sh overlay patches -type f | LC_ALL=C sort | xargs cat | hash_of | cut -c 1-12)
  echo "mediasoup-worker-$version-$(uname -s)-$(uname -m)-libc${libc:-0}-$recipe_hash"
}

# In a folder of its own, which takes its place when the worker has passed its check.
make_worker() {
  local target=$1 dir scratch
  dir=$(dirname "$target")
  [ ! -x "$target" ] || return 0
  scratch=$(new_scratch "$dir")
  # Told by the benchmark, which reads it beside the binary.
  echo 'the official binary' >"$scratch/source"
  if ! download_worker "$scratch" || ! check_worker "$scratch/mediasoup-worker"; then
    # shellcheck disable=SC2046 # one word for each package
    if ! need_packages 'the mediasoup worker' $("$recipe/build.sh" --packages); then
      rm -rf "$scratch"
      return 0
    fi
    with_progress 'mediasoup worker: building it from source, once (about 12 minutes of processor time)' \
      "$recipe/build.sh" "$root/node_modules/mediasoup" "$scratch/mediasoup-worker"
    check_worker "$scratch/mediasoup-worker" || die 'the new mediasoup worker failed its DTLS handshake check'
    echo 'built from source with system libraries' >"$scratch/source"
  fi
  rm -rf "$dir"
  mv "$scratch" "$dir"
}

check_worker() {
  MEDIASOUP_WORKER_BIN=$1 node "$recipe/dtls-check.ts"
}

# Runs the install script of the mediasoup package in a copy. When the download fails the script builds the worker with Python,
# from sources that it downloads; there is no such Python here, so it ends instead.
download_worker() {
  local dir=$1/download
  say 'mediasoup worker: trying the official download'
  mkdir -p "$dir/mediasoup"
  ln -s "$root/node_modules" "$dir/node_modules"
  cp "$root/node_modules/mediasoup/npm-scripts.mjs" "$root/node_modules/mediasoup/package.json" "$dir/mediasoup/"
  if (cd "$dir/mediasoup" && PYTHON=/bin/false limit "$download_limit" node npm-scripts.mjs postinstall) \
    >"$dir/log" 2>&1 </dev/null && mv "$dir/mediasoup/worker/out/Release/mediasoup-worker" "$1/"; then
    rm -rf "$dir"
    return 0
  fi
  say "mediasoup worker: no download ($(sed -n 's/.*reason: //p' "$dir/log" | head -n 1))"
  rm -rf "$dir"
  return 1
}
