# Nodes of the native cluster: boot, power loss, images.
# shellcheck shell=bash disable=SC2154 # settings.sh

# boot_node N: with the disk of its last boot, if there was one.
boot_node() {
  local n=$1 dir namespace parent
  ! node_init "$n" >/dev/null || return 0
  dir=$(node_dir "$n")
  end_processes_of "$(node_namespace "$n")" || die "node n$n: an earlier boot does not end"
  write_node_config "$n"
  make_node_cgroup "$n"
  rm -f "$dir/images-ready"
  namespace=/run/netns/$(node_namespace "$n")
  # Not by a function: what is started here must be the parent of the node's first process.
  nsenter "--net=$namespace" setsid unshare --mount --pid --uts --fork --kill-child=KILL --mount-proc \
    --propagation slave "$native/node-init.sh" "$n" "$dir" >>"$dir/logs/init.log" 2>&1 </dev/null &
  parent=$!
  until note_first_process "$n" "$parent"; do
    [ -d "/proc/$parent" ] || die "node n$n did not start: $(tail -n 3 "$dir/logs/init.log")"
    sleep 0.05
  done
  wait_for "containerd on n$n" on_node "$n" ctr version
  import_addon_images "$n"
  touch "$dir/images-ready"
}

# note_first_process N PARENT: fails until there is one.
note_first_process() {
  local child
  child=$(cat "/proc/$2/task/$2/children" 2>/dev/null)
  echo "${child%% *}" >"$(node_dir "$1")/init.pid"
  node_init "$1" >/dev/null
}

import_addon_images() {
  local images stamp
  images=$(image_dir)
  stamp=$(node_dir "$1")/images-$(basename "$images")
  [ ! -e "$stamp" ] || return 0
  import_images "$1" "$images"/*.tar
  touch "$stamp"
}

# import_images N ARCHIVE…
import_images() {
  local n=$1 archive
  shift
  for archive; do
    on_node "$n" ctr -n k8s.io images import "$archive" >>"$(node_dir "$n")/logs/import.log" 2>&1 ||
      die "node n$n does not take the image $archive: $(tail -n 3 "$(node_dir "$n")/logs/import.log")"
  done
}

# kill_node N: takes its power away.
kill_node() {
  local pid
  pid=$(node_init "$1") || return 0
  kill -9 "$pid"
  while [ -d "/proc/$pid" ]; do sleep 0.1; done
}

node_ready() { inside "$outer" kubectl get node "n$1" --no-headers | grep -qw Ready; }
