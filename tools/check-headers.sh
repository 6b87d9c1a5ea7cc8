#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A folder's *_internal.h is for that folder: no file of another folder below src/ may include it.
# Headers must use #pragma once. UMBRA_DEBUG is always defined, 0 or 1: #ifdef would be wrong.

set -eu
cd "$(dirname "$0")/.."
status=0

fail() {
    echo "check-headers: $*" >&2
    status=1
}

for file in $(git ls-files --cached --others --exclude-standard 'src/*.c' 'src/*.h' 'src/*.inc'); do
    [ -f "$file" ] || continue
    folder=$(dirname "$file")
    # shellcheck disable=SC2013 # one word a line
    for header in $(sed -n 's/^ *# *include *"\([^"]*_internal\.h\)".*/\1/p' "$file"); do
        [ -f "$folder/$(basename "$header")" ] || fail "$file includes $header of another folder"
    done
    case $file in
        *.h) grep -q '^#pragma once$' "$file" || fail "$file has no #pragma once" ;;
    esac
    if grep -qE '^ *# *(ifn?def|if.*defined).*UMBRA_DEBUG' "$file"; then
        fail "$file: use #if UMBRA_DEBUG"
    fi
done
exit "$status"
