#!/usr/bin/env bash
# setup-e2e.sh: what the end-to-end tests need: the Node packages of internal/e2e, a Chromium, and for the C library python3 and pkg-config.
# It can be run again and again; when nothing is missing it changes nothing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../internal/e2e"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# quietly WHAT COMMAND…: says what is being done; shows the command's output only if it fails.
quietly() {
  local what=$1 start=$SECONDS
  shift
  printf 'setup: %s … ' "$what"
  if "$@" >"$log" 2>&1 </dev/null; then
    printf 'done, %d s\n' $((SECONDS - start))
  else
    printf 'failed:\n' >&2
    tail -n 40 "$log" >&2
    return 1
  fi
}

npm_packages() {
  local installed=node_modules/.package-lock.json # npm writes it last
  if [[ -e $installed && ! package-lock.json -nt $installed && ! package.json -nt $installed ]]; then
    return
  fi
  if ! command -v npm >/dev/null; then
    echo 'setup: npm is missing: install Node 20 or newer, https://nodejs.org/' >&2
    return 1
  fi
  quietly 'npm packages of internal/e2e' npm ci --ignore-scripts --no-audit --no-fund
  touch "$installed"
}

browser() {
  if node chromium.mjs >/dev/null; then
    return
  fi
  if [[ -n ${CHROMIUM:-} ]]; then
    echo "setup: CHROMIUM names $CHROMIUM, which is no program: correct it, or unset it to have one looked for" >&2
    return 1
  fi
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo 'setup: no Chromium found: install it (Debian: sudo apt-get install chromium; macOS: Google Chrome), or set CHROMIUM to its path' >&2
    return 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  quietly 'apt-get update' apt-get update
  quietly 'apt-get install chromium (some 300 MB)' apt-get install -y --no-install-recommends chromium
  if ! node chromium.mjs >/dev/null; then
    echo 'setup: the package "chromium" brought no browser (on Ubuntu it is a stand-in for a snap): install Google Chrome, or set CHROMIUM' >&2
    return 1
  fi
}

c_library() {
  local tool missing=()
  [[ $(uname -s) == Linux ]] || return 0 # it is not built elsewhere
  for tool in python3 pkg-config; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  if [[ ${#missing[@]} == 0 ]]; then
    return
  fi
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "setup: ${missing[*]} not found: install it (Debian: sudo apt-get install ${missing[*]})" >&2
    return 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  quietly 'apt-get update' apt-get update
  quietly "apt-get install ${missing[*]}" apt-get install -y --no-install-recommends "${missing[@]}"
}

npm_packages
c_library
browser
echo "setup: ok (Chromium: $(node chromium.mjs))"
