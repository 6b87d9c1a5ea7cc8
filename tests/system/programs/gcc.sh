# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# Random programs at every level of optimisation: the assembly text, and what the programs print. The generator of the
# programs runs once more, too. CSMITH: words SEED:NAME.

cat >compile <<'TXT'
#!/bin/sh
set -e
source=$1 level=$2
to=$OUT/${source%.i}-O$level
gcc -w -fno-ident "-O$level" -S -o "$to.s" "$source"
case $source in
    random*) gcc -o "${to##*/}.run" "$to.s" && "./${to##*/}.run" >"$to.txt" ;;
esac
TXT
chmod 755 compile

for item in $CSMITH; do
    # The source names its options, so the file has the same name here and on the host.
    # shellcheck disable=SC2086 # options are words
    step "csmith ${item%%:*}" csmith $CSMITH_OPTIONS --seed "${item%%:*}" --output "${item#*:}.c"
    mv "${item#*:}.c" "$OUT"
done
for level in 0 1 2 3 s; do
    for source in *.i; do
        echo "$source $level"
    done
done >compile.list
step compile xargs -a compile.list -P "$CPUS" -n 2 ./compile
