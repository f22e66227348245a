#!/usr/bin/env bash
# Installs what this tree needs, once: Node, the npm packages, the mediasoup worker, Postgres, a Kubernetes API server and
# Chromium. What is there already is found in a moment. Writes the environment of the make targets to .run/env. See `make help`
# for the variables.
#
# Usage: scripts/setup.sh [PART…]    parts: node dependencies worker postgres kubernetes helm upstream-crds chromium (all of them)
# shellcheck disable=SC2154 # cache, run_dir: setup/lib.sh
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
for part in lib node worker postgres kubernetes helm cluster chromium; do
  # shellcheck source=/dev/null
  . "$here/setup/$part.sh"
done

# What each make target runs with.
write_env() {
  mkdir -p "$run_dir/env.d"
  cat "$run_dir"/env.d/* >"$run_dir/env.$$"
  mv "$run_dir/env.$$" "$run_dir/env"
}

main() {
  local part
  mkdir -p "$run_dir" "$cache"
  rm -f "$run_dir/missing-packages"
  [ $# -gt 0 ] || set -- node dependencies worker postgres kubernetes helm upstream-crds chromium
  for part; do
    case $part in
      node | dependencies | worker | postgres | kubernetes | helm | upstream-crds | cluster | chromium) "setup_$part" ;;
      *) die "no such part: $part" ;;
    esac
  done
  stop_at_missing_packages
  write_env
}

main "$@"
