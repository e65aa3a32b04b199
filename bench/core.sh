#!/usr/bin/env bash
# One room of 1,000 members: 4 senders keep 8 messages of 128 bytes each on the way, for 5 s after 2 s of warming up. The server has
# CPU 0 for itself, the load generator CPU 1. Prints the generator's JSON line and what it says.
#
#   FANLOAD_DIR=<folder with `side` and `fanload`> make bench-core
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "bench-core: $*" >&2; exit 2; }
[ "$(uname -s)" = Linux ] || fail "needs Linux: the generator reads /proc"
[ -n "${FANLOAD_DIR:-}" ] || fail "FANLOAD_DIR is not set; set it to the folder of the load generator, with 'side' and 'fanload' in it"
for tool in side fanload; do
  [ -x "$FANLOAD_DIR/$tool" ] || fail "no executable '$tool' in FANLOAD_DIR ($FANLOAD_DIR); build it there with make"
done
[ "$(nproc)" -ge 2 ] || fail "needs 2 processors, one for the server and one for the generator"
[ -x bin/roomcast ] || fail "bin/roomcast is missing; run make bench-core, which builds it"

code=0
json=$("$FANLOAD_DIR/side" roomcast 8080 '-c 1000 -s 4 -w 8 -z 128 -d 5 -W 2' -- \
  bin/roomcast serve --addr 127.0.0.1:8080 --log-level error) || code=$?
printf '%s\n' "$json"

# number prints one number of the JSON line, or "?".
number() { grep -oE "\"$1\": *-?[0-9.e+]+" <<<"$json" | head -n 1 | sed 's/.*: *//' | grep . || echo '?'; }
if grep -q '"error"' <<<"$json" || [ -z "$json" ]; then
  fail "the generator could not run (exit $code)"
fi
cat <<SUMMARY

1,000 members, 4 senders with 8 messages of 128 bytes on the way, one processor for the server:
  deliveries/s                 $(number deliveries_per_s)
  server CPU ns per delivery   $(number server_cpu_ns_per_delivery)
  missing / dup / out of order $(number missing) / $(number dup) / $(number out_of_order)
SUMMARY
exit "$code"
