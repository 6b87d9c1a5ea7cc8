#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every shell script of the repository passes shellcheck, every Python file compiles.

set -eu
cd "$(dirname "$0")/.."
status=0
scripts=''
for file in $(git ls-files --cached --others --exclude-standard scripts tools tests stress bench .ci); do
    [ -f "$file" ] || continue
    case $file in
        *.sh) scripts="$scripts $file" ;;
        *.py)
            python3 - "$file" <<'PY' || status=1
import sys
name = sys.argv[1]
with open(name, encoding="utf-8") as source:
    compile(source.read(), name, "exec")
PY
            ;;
        *) head -n 1 "$file" | grep -qE '^#!.*[/ ](ba|da)?sh' && scripts="$scripts $file" ;;
    esac
done
# shellcheck disable=SC2086 # names are words
shellcheck -x $scripts || status=1
exit "$status"
