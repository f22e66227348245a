#!/usr/bin/env bash
# What can happen to a node of the cluster that `make cluster` made. NODE is its name or, in the native cluster, its number.
#
# Usage: scripts/cluster/node.sh cut NODE    takes its network away
#        scripts/cluster/node.sh mend NODE   gives it back
#        scripts/cluster/node.sh kill NODE   takes its power away: every process of it dies at once
#        scripts/cluster/node.sh up NODE     boots it again, with the disk it had
#        scripts/cluster/node.sh tag NODE IMAGE NAME   gives an image that is on it a second name
#        scripts/cluster/node.sh enter NODE COMMAND…   runs the command on it
# shellcheck disable=SC2154 # settings.sh
set -euo pipefail
# shellcheck source=native/settings.sh
. "$(dirname "${BASH_SOURCE[0]}")/native/settings.sh"
for file in network node-config node; do
  # shellcheck source=/dev/null
  . "$native/$file.sh"
done

# The name that containerd gives an image: with a host and a repository.
canonical() {
  case $1 in
    *.*/* | localhost/*) echo "$1" ;;
    */*) echo "docker.io/$1" ;;
    *) echo "docker.io/library/$1" ;;
  esac
}

on_native_node() {
  local n=${node#n}
  require_root
  namespace_exists "$outer" || die 'the native cluster does not run: make cluster starts it'
  case $action in
    cut) set_port "$n" down ;;
    mend) set_port "$n" up ;;
    kill) kill_node "$n" ;;
    up) boot_node "$n" ;;
    tag) on_node "$n" ctr -n k8s.io images tag --force "$(canonical "$1")" "$(canonical "$2")" >/dev/null ;;
    enter) on_node "$n" "$@" ;;
  esac
}

on_kind_node() {
  case $action in
    cut) docker network disconnect --force kind "$node" ;;
    mend) docker network connect kind "$node" ;;
    kill) docker kill "$node" >/dev/null ;;
    up) docker start "$node" >/dev/null ;;
    tag) docker exec "$node" ctr -n k8s.io images tag --force "$(canonical "$1")" "$(canonical "$2")" >/dev/null ;;
    enter) docker exec "$node" "$@" ;;
  esac
}

action=${1:-} node=${2:-}
[[ $action =~ ^(cut|mend|kill|up|tag|enter)$ ]] || die "expected cut, mend, kill, up, tag or enter, not '$action'"
[ -e "$info_file" ] || die 'there is no cluster: make cluster starts one'
kind=$(jq -r .kind "$info_file")
[ "$kind" != external ] || die 'the nodes of a cluster that KUBECONFIG names are not ours'
[ "$kind" != native ] || node=n${node#n}
jq -e --arg node "$node" '.nodes | index($node) != null' "$info_file" >/dev/null ||
  die "expected a node ($(jq -r '.nodes | join(", ")' "$info_file")), not '$node'"
shift 2
"on_${kind}_node" "$@"
