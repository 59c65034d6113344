#!/usr/bin/env bash
# A throw-away PostgreSQL for the tests, on loopback alone.
#
#   tests/postgres.sh start   makes and starts it (or finds it running), and prints its URL
#   tests/postgres.sh stop    stops it and removes everything it kept
#
#   export SPINECARE_TEST_POSTGRES=$(tests/postgres.sh start)
#
# Nothing here is safe for data: it does not wait for the disk. SPINECARE_TEST_POSTGRES_DIR says where it lies.
set -euo pipefail

dir=${SPINECARE_TEST_POSTGRES_DIR:-/tmp/spinecare-postgres-$(id -u)}
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
[ -n "$bin" ] || bin=$(dirname "$(command -v pg_ctl || true)")
if [ ! -x "$bin/pg_ctl" ]; then
  echo "postgres.sh: PostgreSQL is not installed. On Debian: apt-get install postgresql" >&2
  exit 1
fi

# PostgreSQL refuses to run as root; Debian's package brings a user for it.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

running() { as_postgres "$bin/pg_ctl" -D "$dir/data" status >/dev/null 2>&1; }

start() {
  if [ -f "$dir/url" ] && running; then
    cat "$dir/url"
    return
  fi
  rm -rf "$dir"
  mkdir -p -m 700 "$dir"
  local password port
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '%s' "$password" >"$dir/password"
  [ "$(id -u)" != 0 ] || chown -R postgres "$dir"
  (
    cd "$dir"
    as_postgres "$bin/initdb" -D "$dir/data" -U spinecare -E UTF8 --locale=C --auth=scram-sha-256 \
      --pwfile="$dir/password" --no-sync >"$dir/initdb.log"
  )
  for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 10000))
    if (cd "$dir" && as_postgres "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 30 start \
      -o "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories='' -c max_connections=200 \
          -c fsync=off -c full_page_writes=off -c shared_buffers=64MB") >/dev/null; then
      echo "postgresql://spinecare:$password@127.0.0.1:$port/postgres" | tee "$dir/url"
      return
    fi
  done
  echo "postgres.sh: it did not start; $dir/log says why" >&2
  exit 1
}

stop() {
  if running; then (cd "$dir" && as_postgres "$bin/pg_ctl" -D "$dir/data" -m fast -w stop >/dev/null); fi
  rm -rf "$dir"
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  *) sed -n '2,9p' "$0" >&2; exit 2 ;;
esac
