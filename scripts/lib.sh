# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# Functions shared by the scripts of this folder. To be sourced, from bash.

UMBRA_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
UMBRA_CACHE=${UMBRA_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/umbra}
export UMBRA_ROOT UMBRA_CACHE

# When the first of several scripts that call each other started.
UMBRA_STARTED=${UMBRA_STARTED:-$EPOCHSECONDS}
export UMBRA_STARTED

# say TEXT...: one line of progress with the seconds since the start, on standard error, so that
# standard output stays free for results.
say() {
    printf '[%4ds] %s\n' "$((EPOCHSECONDS - UMBRA_STARTED))" "$*" >&2
}

die() {
    printf '%s: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

# need_cache: the folder for guests and packages, or a word about what to do.
need_cache() {
    mkdir -p "$UMBRA_CACHE" 2>/dev/null ||
        die "cannot create $UMBRA_CACHE: set UMBRA_CACHE to a folder that you may write to"
}

# run_quiet WHAT COMMAND...: run with the output kept; show it only when the command fails. While a
# terminal is attached its last line tells how far it is.
run_quiet() {
    local what=$1 log pid status=0
    shift
    say "$what"
    log=$(mktemp)
    "$@" >"$log" 2>&1 &
    pid=$!
    if [ -t 2 ]; then
        while kill -0 "$pid" 2>/dev/null; do
            sleep 0.2
            printf '\r\033[K        %s' \
                "$(tail -n 1 "$log" | tr -cd '[:print:]' | cut -c "1-$((${COLUMNS:-80} - 10))")" >&2
        done
        printf '\r\033[K' >&2
    fi
    wait "$pid" || status=$?
    if [ "$status" -ne 0 ]; then
        cat "$log" >&2
        say "failed with status $status: $what"
    fi
    rm -f "$log"
    return "$status"
}

# cpu_count: CPUs this process may use.
cpu_count() {
    nproc 2>/dev/null || echo 1
}

# build_preset NAME [TARGET...]: configure (once) and build a preset; output only on failure.
build_preset() {
    local preset=$1 generator
    shift
    if [ ! -f "$UMBRA_ROOT/build/$preset/CMakeCache.txt" ]; then
        generator="Unix Makefiles"
        command -v ninja >/dev/null && generator=Ninja
        run_quiet "configure build/$preset" \
            cmake -S "$UMBRA_ROOT" --preset "$preset" -G "$generator" || return
    fi
    run_quiet "build build/$preset" cmake --build "$UMBRA_ROOT/build/$preset" \
        --parallel "$(cpu_count)" ${1:+--target "$@"}
}
