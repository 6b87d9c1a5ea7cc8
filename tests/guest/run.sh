#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one payload, or all of the list, on an emulator and judges the TAP output.
# usage: run.sh [-x DEVIATIONS] [-t SECONDS] [-v] TEMPLATE PAYLOAD.elf SMP
#        run.sh [-x DEVIATIONS] [-c CLASS] [-v] -a OUTDIR TEMPLATE
# TEMPLATE is a command with %k for the payload file and %n for the number of CPUs, for example
#   'qemu-system-arm -accel tcg,thread=multi -M virt -cpu cortex-a15 -smp %n -m 256 -nic none -nographic -no-reboot -kernel %k'
# DEVIATIONS: lines "payload: test name"; such a test may fail on this emulator (known to be different);
# the test name * stands for a payload that may fail as a whole.
# CLASS: ci (default), long, or a class of the list file.  A payload name ends in .arm or .thumb.
# exit: 0 passed, 1 a test failed, 2 wrong usage, 3 no complete report (crash, hang, bail out).
set -u
here=$(cd "$(dirname "$0")" && pwd)
dev=/dev/null limit='' verbose=0 all='' class=ci
usage() { sed -n '3,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while getopts x:t:c:va: o; do
    case $o in
    x) dev=$OPTARG ;;
    t) limit=$OPTARG ;;
    c) class=$OPTARG ;;
    v) verbose=1 ;;
    a) all=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))

# judge LOG PAYLOAD: prints failures that are not allowed; exit as above
judge() {
    tr -d '\r' < "$1" | awk -v payload="$2" -v dev="$dev" '
    BEGIN {
        while ((getline line < dev) > 0) {
            sub(/[ \t]+# .*/, "", line)
            if (index(line, payload ": ") == 1) allowed[substr(line, length(payload) + 3)] = 1
        }
    }
    /^(not )?ok [0-9]+ - / {
        seen++
        name = $0; sub(/^(not )?ok [0-9]+ - /, "", name)
        num = $0; sub(/^(not )?ok /, "", num); sub(/ .*/, "", num)
        if (num + 0 != seen) { print "test number " num " out of order"; broken = 1 }
        if ($1 == "not") {
            if (name in allowed) known++
            else { bad++; printf "%s%s\n", diag, $0; want = 1; diag = ""; next }
        }
        diag = ""; want = 0
    }
    /^#/ && want { print; next }
    /^#/ { diag = diag $0 "\n"; next }
    { want = 0 }
    /^1\.\.[0-9]+$/ { plan = substr($0, 4) + 0 }
    /^Bail out!/ { print; broken = 1 }
    /^(PASS|FAIL)$/ { final = $0 }
    END {
        if (plan == 0 || plan != seen) { print "plan " plan + 0 ", tests seen " seen + 0; broken = 1 }
        if (final == "") { print "no final line"; broken = 1 }
        if (final == "FAIL" && !bad && !known) broken = 1
        if (known) print "# " known " known deviations"
        if ((broken || bad) && ("*" in allowed)) { print "# known: not for this emulator"; exit 0 }
        exit broken ? 3 : bad ? 1 : 0
    }'
}

run_one() { # template elf smp seconds
    cmd=$(printf '%s' "$1" | sed "s|%k|$2|g; s|%n|$3|g")
    log=$(mktemp)
    start=$(date +%s%N)
    timeout -k 5 "$4" sh -c "exec $cmd" > "$log" 2>&1 < /dev/null
    st=$?
    ms=$((($(date +%s%N) - start) / 1000000))
    name=$(basename "$2" | sed 's/\.\(arm\|thumb\)\.\(elf\|bin\)$//; s/\.\(elf\|bin\)$//')
    [ $verbose = 1 ] && tr -d '\r' < "$log"
    report=$(judge "$log" "$name")
    rc=$?
    if [ $st -ne 0 ] && ! grep -q "^$name: \*" "$dev"; then
        [ $st -eq 124 ] && report="$report
time limit of $4 s" || report="$report
emulator exit status $st"
        [ $rc -ne 0 ] && report="$report
$(tail -n 4 "$log")"
        rc=3
    fi
    case $rc in 0) word=pass ;; 1) word=FAIL ;; *) word=BROKEN ;; esac
    printf '%-6s %-28s smp %s  %d.%03d s\n' $word "$(basename "$2")" "$3" $((ms / 1000)) $((ms % 1000))
    [ -n "$report" ] && printf '%s\n' "$report" | sed 's/^/       /'
    rm -f "$log"
    return $rc
}

if [ -z "$all" ]; then
    [ $# -eq 3 ] || usage
    [ -r "$2" ] || { echo "run.sh: no payload $2" >&2; exit 2; }
    run_one "$1" "$2" "$3" "${limit:-60}"
    exit
fi
[ $# -eq 1 ] || usage
worst=0
while read -r name smp secs cls _; do
    case $name in '' | '#'*) continue ;; esac
    [ "$cls" = "$class" ] || continue
    for state in arm thumb; do
        run_one "$1" "$all/$name.$state.elf" "$smp" "${limit:-$secs}"
        rc=$?
        [ $rc -gt $worst ] && worst=$rc
    done
done < "$here/list"
exit $worst
