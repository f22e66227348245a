# Shared by the parts of scripts/setup.sh: messages, progress, locks, and where things are.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${KUBE_SFU_CACHE:-$HOME/.cache/kube-sfu}
run_dir=$root/.run
# shellcheck disable=SC2034 # for node.sh
user_path=$PATH

# To standard error: the output of a target such as demo-status is for programs.
say() { printf 'setup: %s\n' "$*" >&2; }

die() {
  printf 'setup: error: %s\n' "$*" >&2
  exit 1
}

is_root() { [ "$(id -u)" = 0 ]; }

# Reads what to hash from standard input. git is what every machine with this tree has.
hash_of() { git hash-object --stdin; }

# limit SECONDS COMMAND…: ends the command after that time, where coreutils has timeout.
limit() {
  local seconds=$1
  shift
  if command -v timeout >/dev/null; then
    timeout --kill-after=10 "$seconds" "$@"
  else
    "$@"
  fi
}

# with_lock NAME COMMAND…: waits while another set-up does the same. What the command makes appears in one step anyway; the lock
# saves doing the work twice. The command starts in a subshell and finds out itself whether the work is done by now.
with_lock() {
  local file=$cache/locks/$1
  shift
  mkdir -p "$cache/locks"
  if ! command -v flock >/dev/null; then
    "$@"
    return
  fi
  (
    flock --nonblock 9 || {
      say 'waiting for another set-up to finish this step'
      flock 9
    }
    # Children must not keep the lock when this is killed.
    "$@" 9>&-
  ) 9>"$file"
}

# with_progress LABEL COMMAND…: shows how long the command takes and its last line: each second on a terminal, every 15 s
# elsewhere. Its output goes to a log, whose end is shown when it fails.
with_progress() {
  local label=$1 log status=0 ticker
  shift
  mkdir -p "$run_dir/logs"
  log=$run_dir/logs/$(date +%s)-$$-$RANDOM.log
  say "$label"
  tick "$log" &
  ticker=$!
  "$@" >"$log" 2>&1 </dev/null || status=$?
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  [ ! -t 2 ] || printf '\r\033[K' >&2
  if [ "$status" != 0 ]; then
    tail -n 40 "$log" >&2
    say "failed: $label (the whole log: $log)"
    return "$status"
  fi
  rm -f "$log"
}

tick() {
  local log=$1 start=$SECONDS line every=15
  [ ! -t 2 ] || every=1
  # The sleep may outlive this by some seconds, and must not keep a reader of our output waiting.
  while sleep "$every" >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
    line=$(tail -n 1 "$log" 2>/dev/null | tr -d '\r' | cut -c 1-60)
    if [ -t 2 ]; then
      printf '\r\033[K  %4d s  %s' $((SECONDS - start)) "$line" >&2
    else
      say "… $((SECONDS - start)) s  $line"
    fi
  done
}

# set_env NAME VALUE: what the make targets find in their environment. Each name has a file, so that a set-up for one target
# keeps what a set-up for another has found.
set_env() {
  write_env_line "$1" "$(printf 'export %s=%q' "$1" "$2")"
  export "$1=$2"
}

# Before what the user's own PATH holds.
prepend_path() {
  # shellcheck disable=SC2016 # expands where the file is read
  write_env_line PATH "$(printf 'export PATH=%q:"$PATH"' "$1")"
  PATH=$1:$PATH
}

write_env_line() {
  local file=$run_dir/env.d/$1
  mkdir -p "$run_dir/env.d"
  printf '%s\n' "$2" >"$file.$$"
  mv "$file.$$" "$file"
}

# new_scratch DIR: makes a folder beside DIR to build it in, and removes those that runs left behind which were cut off long ago.
new_scratch() {
  find "$cache" -maxdepth 1 -name '*.tmp.*' -mmin +1440 -exec rm -rf {} + 2>/dev/null || true
  mkdir -p "$1.tmp.$$"
  echo "$1.tmp.$$"
}

# missing_packages NAME…: those of the Debian packages that are not installed.
missing_packages() {
  local name
  for name; do
    dpkg-query -W -f '${db:Status-Abbrev}' "$name" 2>/dev/null | grep -q '^ii' || printf '%s ' "$name"
  done
}

# need_packages WHAT_FOR NAME…: installs Debian packages as root. As another user it notes them for the message at the end of the
# set-up, and fails.
need_packages() {
  local purpose=$1 missing
  shift
  { command -v dpkg-query && command -v apt-get; } >/dev/null ||
    die "$purpose: can only be installed on Debian and what is made from it (see make help for other ways)"
  missing=$(missing_packages "$@")
  missing=${missing% }
  [ -n "$missing" ] || return 0
  if ! is_root; then
    printf '%s\n' "$missing" >>"$run_dir/missing-packages"
    return 1
  fi
  # shellcheck disable=SC2086 # one word for each package
  with_lock apt with_progress "Debian packages for $purpose: $missing" apt_install $missing
}

# Ends the set-up when need_packages has noted something.
stop_at_missing_packages() {
  [ -s "$run_dir/missing-packages" ] || return 0
  {
    printf 'setup: packages are missing that only root can install. Install them, then start this again:\n\n'
    printf '  sudo apt-get install --no-install-recommends %s\n\n' "$(tr '\n' ' ' <"$run_dir/missing-packages")"
  } >&2
  exit 1
}

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q || echo 'apt-get update failed; trying with the lists that are there'
  apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}
