#!/usr/bin/env bash
# What the protocol roomcast.v1 costs: server CPU per delivery at /ws against the raw relay at /rooms/{room}, in the same scenarios, with the same
# bytes of the application. Raw and protocol take turns, each with a fresh server that has CPU 0 for itself and GOMAXPROCS=1; the generator
# (roomcast bench) has CPU 1. Prints a line for each run, and then medians and their ratio.
#
#   make bench-protocol            # REPEAT=3 SECONDS_EACH=5 SCENARIOS="a b c" are the defaults
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "bench-protocol: $*" >&2; exit 2; }
[ "$(uname -s)" = Linux ] || fail "needs Linux: the CPU time is read from /proc"
[ "$(nproc)" -ge 2 ] || fail "needs 2 processors, one for the server and one for the generator"
command -v taskset >/dev/null || fail "needs taskset, of the package util-linux"
[ -x bin/roomcast ] || fail "bin/roomcast is missing; run make bench-protocol, which builds it"
repeat=${REPEAT:-3} seconds=${SECONDS_EACH:-5}

declare -A name=(
  [a]='1,000 members, 4 senders, 32 messages on the way'
  [b]='1,000 members, 16 senders, 256 messages on the way'
  [c]='1,000 members, 40 broadcasts/s in all'
)
declare -A load=(
  [a]='--senders 4 --window 8'
  [b]='--senders 16 --window 16'
  [c]='--senders 4 --rate 40'
)

work=$(mktemp -d)
server=
stop() { # the server, if there is one
  [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null || true; }
  server=
}
trap 'stop; rm -rf "$work"' EXIT

# start runs a fresh server and sets url.
start() {
  : >"$work/out"
  GOMAXPROCS=1 taskset -c 0 bin/roomcast serve --addr 127.0.0.1:0 --log-level error --max-message-rate 0 --max-byte-rate 0 >"$work/out" &
  server=$!
  for _ in $(seq 100); do
    url=$(grep -oE '127\.0\.0\.1:[0-9]+' "$work/out") && url=ws://$url && return
    kill -0 "$server" 2>/dev/null || fail "the server has ended: run bin/roomcast serve by hand to see why"
    sleep 0.05
  done
  fail "the server did not say within 5 s where it listens"
}

# number prints one number of the JSON line.
number() { grep -oE "\"$1\":-?[0-9.e+]+" <<<"$json" | tail -n 1 | cut -d: -f2; }
# busy prints the ticks that all processors were busy so far, used those of a process, ended those of all that this script has waited for.
busy() { awk '/^cpu / {print $2 + $3 + $4 + $7 + $8 + $9}' /proc/stat; }
used() { awk '{sub(/.*\) /, ""); print $12 + $13}' "/proc/$1/stat"; }
ended() { awk '{sub(/.*\) /, ""); print $14 + $15}' "/proc/$$/stat"; }

# measure runs the generator once: scenario, and --protocol or nothing.
measure() {
  start
  local code=0 before0 before1 before2 after0 others
  before0=$(busy) before1=$(used "$server") before2=$(ended)
  # shellcheck disable=SC2086 # flags
  json=$(taskset -c 1 bin/roomcast bench "$url" $2 --conns 1000 --size 128 ${load[$1]} --duration "${seconds}s" --warmup 2s \
    --pid "$server" --json --no-progress) || code=$?
  after0=$(busy)
  others=$((after0 - before0 - ($(used "$server") - before1) - ($(ended) - before2)))
  [ -n "$json" ] || fail "the generator could not run (exit $code)"
  stop
  number cpu_ns_per_delivery >>"$work/$1$2"
  awk -v what="${2:-raw}" -v scenario="$1" -v ns="$(number cpu_ns_per_delivery)" -v rate="$(grep -oE '"deliveries":[^}]*' <<<"$json" | grep -oE '[0-9.]+$')" \
    -v p50="$(number p50)" -v user="$(grep -oE '"server":.*' <<<"$json" | grep -oE '"cpu_user_seconds":[0-9.]+' | head -n 1 | cut -d: -f2)" \
    -v all="$(grep -oE '"server":.*' <<<"$json" | grep -oE '"cpu_system_seconds":[0-9.]+' | head -n 1 | cut -d: -f2)" -v others="$others" -v code="$code" \
    'BEGIN {sub("--", "", what); printf "%s  %-9s %9.1f ns/delivery (%2.0f %% in the kernel) %11d deliveries/s  others had %.2f s%s\n", scenario, what, ns,
      100 * all / (all + user), rate, others / 100, code ? "  FAULTS" : ""}'
  [ "$code" -eq 0 ] || { printf '%s\n' "$json"; faults=1; }
}

median() { sort -g "$1" | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }

faults=0
for ((round = 1; round <= repeat; round++)); do
  for scenario in ${SCENARIOS:-a b c}; do
    measure "$scenario" ""
    measure "$scenario" --protocol
  done
done

printf '\nserver CPU ns per delivery, medians of %d\n%-52s%8s%10s%8s\n' "$repeat" '' raw protocol ratio
for scenario in ${SCENARIOS:-a b c}; do
  raw=$(median "$work/$scenario") protocol=$(median "$work/$scenario--protocol")
  printf '%-52s%8.1f%10.1f%8.2f\n' "$scenario  ${name[$scenario]}" "$raw" "$protocol" "$(awk "BEGIN {print $protocol / $raw}")"
done
exit "$faults"
