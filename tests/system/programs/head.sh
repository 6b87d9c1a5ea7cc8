#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Begins what tests/system/programs.py runs, in a guest and (to have something to compare with) on the host.
# The host has put SEED=... and the program's own words before it. IN has the inputs, what is written into OUT
# is compared. Markers for the host: "UMBRA: step NAME ok" or "... FAILED", at the end "UMBRA: steps done".

# step NAME COMMAND...: what it prints is shown only when it fails.
step() {
    what=$1
    shift
    log=$(mktemp)
    if "$@" >"$log" 2>&1 </dev/null; then
        echo "UMBRA: step $what ok"
    else
        echo "UMBRA: step $what FAILED"
        tail -n 60 "$log"
    fi
    rm -f "$log"
}

# disk_of MAGIC OFFSET: the virtio disk that has these bytes there.
disk_of() {
    for disk in /dev/vd?; do
        if [ "$(dd if="$disk" bs=1 skip="$2" count=${#1} 2>/dev/null | tr -d '\0')" = "$1" ]; then
            echo "$disk"
        fi
    done
}

if [ -z "${OUT:-}" ]; then
    echo "UMBRA: user space reached"
    # shellcheck disable=SC2034 # for tail.sh
    IN=/tmp/in OUT=/tmp/out results=$(disk_of UMBRA-RESULTS 0)
    mkdir -p "$IN" "$OUT"
    tar -xf "$(disk_of ustar 257)" -C "$IN"
fi
cd "$IN" || exit 1
CPUS=$(nproc)
export IN OUT SEED CPUS
