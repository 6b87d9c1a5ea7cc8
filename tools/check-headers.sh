#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A folder's *_internal.h is for that folder: no file of another folder below src/ may include it.
# Headers must use #pragma once. UMBRA_DEBUG is always defined, 0 or 1: #ifdef would be wrong.

set -eu
cd "$(dirname "$0")/.."
found=$(mktemp)
trap 'rm -f "$found"' EXIT

files() { # PATTERN...: those that exist
    git ls-files --cached --others --exclude-standard "$@" | while read -r file; do
        [ ! -f "$file" ] || echo "$file"
    done
}
sources() { files 'src/*.c' 'src/*.h' 'src/*.inc'; }

sources | xargs grep -HoE '^ *# *include *"[^"]*_internal\.h"' | while IFS=: read -r file include; do
    header=${include#*\"}
    header=${header%\"}
    [ -f "${file%/*}/${header##*/}" ] || echo "$file includes $header of another folder"
done >"$found"
files 'src/*.h' | xargs grep -L '^#pragma once$' | sed 's/$/ has no #pragma once/' >>"$found" || true
sources | xargs grep -lE '^ *# *(ifn?def|if.*defined).*UMBRA_DEBUG' |
    sed 's/$/: use #if UMBRA_DEBUG/' >>"$found" || true
sed 's/^/check-headers: /' "$found" >&2
[ ! -s "$found" ]
