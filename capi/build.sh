#!/usr/bin/env bash
# Builds the C library:  capi/build.sh FOLDER
#
#   FOLDER/lib/libroomcast.so -> .so.0 -> .so.0.1.0    FOLDER/lib/libroomcast.a
#   FOLDER/lib/pkgconfig/roomcast.pc                   FOLDER/include/snow_ws.h
#
# The folder can be moved: nothing in it knows where it is.
set -euo pipefail

if [ $# -ne 1 ]; then echo "usage: capi/build.sh FOLDER" >&2; exit 2; fi
if [ "$(uname -s)" != Linux ]; then echo "the C library is built on Linux; this is $(uname -s)" >&2; exit 1; fi
mkdir -p "$1/lib/pkgconfig" "$1/include"
out=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")"

go=${GO:-go}
export CGO_ENABLED=1
cc=$($go env CC)
command -v "${cc%% *}" >/dev/null || { echo "the C library needs a C compiler ($cc): install gcc (apt-get install gcc) or clang" >&2; exit 1; }

version=$(sed -n 's/^#define SNOW_WS_VERSION "\(.*\)"$/\1/p' snow_ws.h)
soname=libroomcast.so.${version%%.*}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp export.map "$work" # the path of the checkout may have spaces, which flags of flags cannot

flags=(-trimpath -tags netgo,osusergo) # names are looked up without C, so that a static link needs no resolver

# The generated headers stay in $work: snow_ws.h is the one for users.
$go build "${flags[@]}" -buildmode=c-shared -o "$work/$soname" \
  -ldflags "-s -w -extldflags '-Wl,--version-script=$work/export.map -Wl,-soname,$soname'" .
$go build "${flags[@]}" -buildmode=c-archive -ldflags '-s -w' -o "$work/all.a" .

# One object whose only global symbols are ours, so that the archive does not clash with the program.
(cd "$work" && ar x all.a && ld -r -d -o roomcast.o ./*.o && objcopy --wildcard --keep-global-symbol='snow_ws_*' roomcast.o)
rm -f "$out/lib/libroomcast.a"
ar rcs "$out/lib/libroomcast.a" "$work/roomcast.o"

install -m 755 "$work/$soname" "$out/lib/libroomcast.so.$version"
ln -sf "libroomcast.so.$version" "$out/lib/$soname"
ln -sf "$soname" "$out/lib/libroomcast.so"
install -m 644 snow_ws.h "$out/include/snow_ws.h"
sed "s|@VERSION@|$version|" roomcast.pc.in >"$out/lib/pkgconfig/roomcast.pc"
