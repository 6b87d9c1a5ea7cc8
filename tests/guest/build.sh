#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the bare-metal payloads of tests/guest and stress/guest with the armhf cross compiler.
# usage: build.sh OUTDIR [PAYLOAD...]       (a payload is NAME.arm or NAME.thumb; default: all)
# Each NAME.c with its optional NAME_asm.S becomes OUTDIR/NAME.{arm,thumb}.elf.  Variants with
# other parameters are lines "NAME VARIANT -Dflags" in stress/guest/variants. What is up to date stays;
# several of these may run at once.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
stress=$here/../../stress/guest
out=${1:?usage: build.sh OUTDIR [PAYLOAD...]}
shift
only=" $* "
CC=${GUEST_CC:-arm-linux-gnueabihf-gcc}
FLAGS="-std=gnu11 -O2 -g -march=armv7ve -mfloat-abi=soft -mno-unaligned-access -ffreestanding
 -fno-pic -fno-pie -fno-stack-protector -fno-common -fno-strict-aliasing -fno-tree-loop-distribute-patterns
 -fno-asynchronous-unwind-tables -ffunction-sections
 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef -Wvla
 -Wformat=2 -Wimplicit-fallthrough -Wno-psabi -Werror -I$here"
LDFLAGS="-nostdlib -static -Wl,--build-id=none -Wl,--gc-sections -Wl,--no-warn-rwx-segments -Wl,-z,noexecstack"
mkdir -p "$out"
exec 9>"$out/lock"
flock 9

build_lib() { # state
    mkdir -p "$out/lib.$1"
    for src in "$here"/lib/*.c "$here"/lib/*.S; do
        obj=$out/lib.$1/$(basename "$src").o
        if [ ! -e "$obj" ] || [ -n "$(find "$here/lib" "$here/build.sh" -newer "$obj" -type f | head -1)" ]; then
            # shellcheck disable=SC2086
            "$CC" $FLAGS -m"$1" -c "$src" -o "$obj"
        fi
    done
}

build_one() { # source.c name state flags...
    src=$1 name=$2 state=$3
    shift 3
    case $only in "  " | *" $name.$state "* | *" $name "*) ;; *) return 0 ;; esac
    elf=$out/$name.$state.elf
    extra=${src%.c}_asm.S
    [ -e "$extra" ] || extra=
    if [ -e "$elf" ] && [ -z "$(find "$here" "$stress" -newer "$elf" \
        \( -path '*/lib/*' -o -name "$(basename "${src%.c}")*" -o -name 'build.sh' -o -name variants -o -name '*.inc.c' -o -name '*.h' \) \
        -type f | head -1)" ]; then
        return 0
    fi
    # shellcheck disable=SC2086
    "$CC" $FLAGS "-m$state" "$@" $LDFLAGS -T "$here/lib/payload.ld" -Wl,-Map="$elf.map" \
        "$src" $extra "$out/lib.$state"/*.o -o "$elf.tmp"
    mv "$elf.tmp" "$elf"
}

for state in arm thumb; do
    build_lib $state
    for src in "$here"/*.c "$stress"/*.c; do
        case $src in *.inc.c) continue ;; esac
        [ -e "$src" ] && build_one "$src" "$(basename "${src%.c}")" "$state"
    done
    if [ -e "$stress/variants" ]; then
        while read -r base variant flags; do
            case $base in '' | '#'*) continue ;; esac
            # shellcheck disable=SC2086
            build_one "$stress/$base.c" "$base-$variant" $state $flags
        done < "$stress/variants"
    fi
done
