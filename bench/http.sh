#!/usr/bin/env bash
# HTTP publishes per second: one in a request, to an empty room and to one of 100 members, and 100 in a request; 128 bytes each, over 16
# connections that are kept. The server has CPU 0 for itself, the generator, which reads for the members too, CPU 1.
#
#   make bench-http
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "bench-http: $*" >&2; exit 2; }
[ "$(uname -s)" = Linux ] || fail "needs Linux: the generator reads /proc"
command -v taskset >/dev/null || fail "taskset is missing; install util-linux"
[ "$(nproc)" -ge 2 ] || fail "needs 2 processors, one for the server and one for the generator"
for tool in bin/roomcast bench/bin/publish; do
  [ -x "$tool" ] || fail "$tool is missing; run make bench-http, which builds it"
done

addr=${ADDR:-127.0.0.1:8089}
ROOMCAST_API_KEY=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export ROOMCAST_API_KEY
GOMAXPROCS=1 taskset -c 0 bin/roomcast serve --addr "$addr" --log-level error >/dev/null &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT

taskset -c 1 bench/bin/publish -addr "$addr" -pid "$server" "$@"
awk -F ': ' '/^model name/ {cpu = $2} END {print "on " (cpu ? cpu : "an unknown processor")}' /proc/cpuinfo
echo "load average $(cut -d ' ' -f 1-3 /proc/loadavg)"
