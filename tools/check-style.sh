#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What a compiler does not see: the licence line, tabs, trailing blanks, long lines, long files and
# words that mark unfinished work. Snapshots that tests write (tests/codegen/*.txt) are not source.

set -eu
cd "$(dirname "$0")/.."
files=$(git ls-files --cached --others --exclude-standard 'src/*' 'tests/*' 'stress/*' 'tools/*' \
    'bench/*' 'scripts/*' 'cmake/*' CMakeLists.txt | grep -vx 'tests/codegen/[a-z]*\.txt' |
    grep -E '\.(c|h|S|inc|def|decode|py|sh|cmake|txt)$|^scripts/' || true)
status=0

# report TEXT: complain about what the command before the pipe found, and fail.
report() {
    found=$(head -n 20)
    [ -n "$found" ] || return 0
    printf 'check-style: %s\n%s\n' "$1" "$found" >&2
    return 1
}

existing=''
for file in $files; do
    [ -f "$file" ] && existing="$existing $file"
done
# The list is passed as words: no name in the repository has blanks.
# shellcheck disable=SC2086
set -- $existing
code=$(printf '%s\n' "$@" | grep -E '\.(c|h|S|inc|def|py|sh|cmake)$')

# Inputs of tests are data, not source.
printf '%s\n' "$@" | grep -vE '^tests/(decode|ir|emit)/.*\.(decode|txt)$' | xargs awk '
    FNR == 1 { all[FILENAME] }
    /SPDX-License-Identifier: MIT/ { good[FILENAME] }
    FNR == 5 { nextfile }
    END { for (file in all) if (!(file in good)) print file }' | report "no SPDX line" || status=1
# shellcheck disable=SC2086
grep -nP '\t' $code /dev/null | report "tab" || status=1
# shellcheck disable=SC2086
grep -nE ' +$' $code /dev/null | report "blank at the end of a line" || status=1
# Tables of macros and command lines may run on; the text of programs may not.
long_lines=$(printf '%s\n' "$code" | grep -E '^src/|\.c$' | grep -E '\.(c|h)$')
# shellcheck disable=SC2086
grep -nE '^.{101,}' $long_lines /dev/null | report "line over 100 columns" || status=1
# shellcheck disable=SC2086
grep -nwE 'TODO|FIXME|XXX|HACK' $code /dev/null | grep -v '^tools/check-style.sh' |
    report "unfinished" || status=1
exit "$status"
