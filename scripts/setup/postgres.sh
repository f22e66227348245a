# Postgres: embedded, unless DATABASE_URL names a server.
# shellcheck shell=bash disable=SC2154 # root: lib.sh

setup_postgres() {
  [ -z "${DATABASE_URL:-}" ] || return 0
  node "$root/scripts/postgres/prepare.ts"
}
