#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every shell script of the repository passes shellcheck, every Python file compiles.

set -eu
cd "$(dirname "$0")/.."
status=0

files() {
    git ls-files --cached --others --exclude-standard scripts tools tests stress bench .ci |
        while read -r file; do
            [ ! -f "$file" ] || echo "$file"
        done
}

files | grep '\.py$' | python3 -c '
import sys
wrong = 0
for name in sys.stdin.read().split():
    with open(name, encoding="utf-8") as source:
        try:
            compile(source.read(), name, "exec")
        except SyntaxError as e:
            print(f"check-scripts: {name}:{e.lineno}: {e.msg}", file=sys.stderr)
            wrong = 1
sys.exit(wrong)' || status=1
# Named so, or by the first line.
{
    files | grep '\.sh$'
    files | grep -v '\.\(sh\|py\)$' | xargs awk 'FNR == 1 && /^#!.*[\/ ](ba|da)?sh/ { print FILENAME } { nextfile }'
} | xargs shellcheck -x || status=1
exit "$status"
