# A Chromium for the browser tests.
# shellcheck shell=bash disable=SC2154 # root, cache, run_dir: lib.sh

# How long playwright's download may take, in seconds.
chromium_download_limit=300

setup_chromium() {
  if [ -n "${CHROMIUM_BIN:-}" ]; then
    chromium_starts "$CHROMIUM_BIN" || die "CHROMIUM_BIN=$CHROMIUM_BIN does not start"
    set_env CHROMIUM_BIN "$(realpath "$CHROMIUM_BIN")"
    return
  fi
  known_chromium && return
  use_chromium && return
  with_lock chromium get_chromium
  use_chromium || [ -s "$run_dir/missing-packages" ] ||
    die 'the Chromium that was installed does not start; set CHROMIUM_BIN to one that does'
}

# What an earlier run has found and tried.
known_chromium() {
  local known
  # shellcheck source=/dev/null
  known=$(. "$run_dir/env.d/CHROMIUM_BIN" 2>/dev/null && printf '%s' "$CHROMIUM_BIN") && [ -x "$known" ]
}

# Playwright's own, of the version that it is made for, before the system's.
use_chromium() {
  local candidate
  for candidate in "$(playwright_chromium)" chromium chromium-browser google-chrome google-chrome-stable; do
    candidate=$(command -v "$candidate") || continue
    if chromium_starts "$candidate"; then
      set_env CHROMIUM_BIN "$candidate"
      return 0
    fi
  done
  return 1
}

# A downloaded browser may lack libraries of the system.
chromium_starts() { limit 30 "$1" --version >/dev/null 2>&1; }

playwright_chromium() {
  (cd "$root" && node -p 'require("playwright-core").chromium.executablePath()')
}

get_chromium() {
  ! use_chromium || return 0
  say "Chromium: trying playwright's download"
  if limit "$chromium_download_limit" "$root/node_modules/.bin/playwright-core" install --no-shell chromium \
    >/dev/null 2>&1 </dev/null && use_chromium; then
    return 0
  fi
  say "Chromium: playwright's is not to be had, or does not start; taking Debian's"
  need_packages 'Chromium' chromium || true
}
