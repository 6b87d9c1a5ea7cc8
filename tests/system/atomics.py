#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Loops of LDREX and STREX that become one atomic operation: each is run as it stands and with a NOP
after the LDREX, which keeps it a loop, and must leave the same registers, flags and memory. Loops
that look alike but are none must not be taken for one.

    atomics.py [--seed N] [MODE...]      default: soft, spt; a seed that changes daily

The program is made at random, in A32 and T32, and compares for itself; how many operations were fused
is in the counters. UMBRA is the emulator to test (default build/release/umbra).
"""

import argparse
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boot

UMBRA = shlex.split(os.environ.get("UMBRA") or str(boot.ROOT / "build/release/umbra"))
WORDS = [0, 1, 2, 0xff, 0x100, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe, 0xffff, 0x8000]
EACH = 6  # of every form

HEAD = """
    .syntax unified
    .arch armv7ve
    .text
    .global _start
    .arm
_start:
"""
TAIL = """
    .arm
    mov r0, #0x18
    ldr r1, =0x20026
    svc #0x123456
failed:
    mov r0, #4
    svc #0x123456
    mov r0, #0x18
    ldr r1, =0x20023
    svc #0x123456
    .ltorg
    .data
    .balign 4096
cell: .word 0, 0
    .balign 64
first: .space 64
second: .space 64
"""


class Form:
    """A loop: what is between LDREX and the test of the status, in terms of registers."""

    def __init__(self, name, body, fused=True, sizes=("", "b", "h"), modes="at", matches=False):
        self.name, self.body, self.fused, self.sizes = name, body, fused, sizes
        self.modes, self.matches = modes, matches


def operations():
    for op in ("add", "sub", "and", "orr", "eor", "bic"):
        yield Form(op, [f"{op} {{d}}, {{t}}, {{m}}"])
        yield Form(f"{op}-imm", [f"{op} {{d}}, {{t}}, #{{imm}}"])
        yield Form(f"{op}-same", [f"{op} {{t}}, {{t}}, {{m}}", "strex{z} {s}, {t}, [{n}]"])
        yield Form(f"{op}s", [f"{op}s {{d}}, {{t}}, {{m}}"])
    yield Form("swap", ["strex{z} {s}, {v}, [{n}]"])
    for op in ("orr", "eor", "bic"):
        yield Form(f"old-{op}", ["and {d}, {t}, {m}", f"{op} {{t}}, {{t}}, {{m}}",
                                 "strex{z} {s}, {t}, [{n}]"])
        yield Form(f"olds-{op}", ["ands {d}, {t}, {m}", f"{op} {{t}}, {{t}}, {{m}}",
                                  "strex{z} {s}, {t}, [{n}]"])


def comparisons():
    for test in ("cmp", "teq"):
        for matches in (True, False):
            yield Form(f"{test}-branch-{matches}", [f"{test} {{t}}, {{m}}", "bne 2f",
                                                    "strex{z} {s}, {v}, [{n}]"], matches, matches=matches)
            yield Form(f"{test}-equal-{matches}", ["mov {s}, #0", f"{test} {{t}}, {{m}}",
                                                   "strex{z}eq {s}, {v}, [{n}]"], matches, modes="a",
                       matches=matches)


def others():
    """Not one operation, or registers that get in each other's way."""
    yield Form("shifted", ["add {d}, {t}, {m}, lsl #1"], False)
    yield Form("own-value", ["add {d}, {t}, {t}"], False)
    yield Form("two", ["add {d}, {t}, {m}", "add {d}, {d}, {m}"], False)
    yield Form("constant", ["add {d}, {m}, {m}"], False)
    yield Form("operand-lost", ["add {m}, {t}, {m}", "strex{z} {s}, {m}, [{n}]"], False)
    yield Form("stores-old", ["add {d}, {t}, {m}", "strex{z} {s}, {t}, [{n}]"], False)
    yield Form("reverse", ["rsb {d}, {t}, {m}"], False)
    yield Form("sum", ["adc {d}, {t}, {m}"], False)
    yield Form("two-results", ["and {d}, {t}, {m}", "strex{z} {s}, {v}, [{n}]"], False)


def instance(rng, form, size, mode, test, number):
    """One comparison; registers r0 to r12 are the loop's, r14 is the frame's."""
    names = rng.sample(range(13), 6)
    reg = dict(zip("tdsnmv", (f"r{r}" for r in names)))
    reg |= {"z": size, "imm": rng.choice([1, 2, 0x80, 0xff, 0])}
    mask = {"": 0xffffffff, "h": 0xffff, "b": 0xff}[size]
    cell = rng.choice(WORDS)
    values = [rng.choice(WORDS + [rng.getrandbits(32)]) for _ in range(13)]
    values[names[3]] = "cell"
    if form.name.startswith(("cmp", "teq")):
        values[names[4]] = cell & mask if form.matches else cell & mask ^ 1
    body = [line.format(**reg) for line in form.body]
    if not any(line.startswith("strex") for line in body):
        body.append("strex{z} {s}, {d}, [{n}]".format(**reg))
    flags = rng.getrandbits(4) << 28
    text = [f"    .arm\n    ldr r0, ={number}\n    b 9f\nt{number}: .asciz "
            f"\"{form.name} {mode} ldrex{size} {test}: {' '.join(reg[k] for k in 'tdsnmv')}\\n\"\n"
            f"    .balign 4\ni{number}: .word {', '.join(map(str, values))}, {flags}\n9:"]
    for out, nop in (("first", ""), ("second", "    nop\n")):
        text.append(f"""
    .arm
    ldr lr, =cell
    ldr r1, ={cell}
    str r1, [lr]
    str r1, [lr, #4]
    ldr lr, =i{number} + 52
    ldr r0, [lr]
    msr cpsr_f, r0
    sub lr, lr, #52
    ldm lr, {{r0-r12}}
    {'adr lr, 3f + 1' if mode == 't' else 'nop'}
    {'bx lr' if mode == 't' else 'b 3f'}
    .balign 4
    {'.thumb' if mode == 't' else ''}
3:
1:  ldrex{size} {reg['t']}, [{reg['n']}]
{nop}    {chr(10).join('    ' + line for line in body)}
    {test} {reg['s']}, #0
    bne 1b
2:
    {'.balign 4; bx pc; .balign 4; .arm' if mode == 't' else ''}
    ldr lr, ={out}
    stm lr!, {{r0-r12}}
    mrs r0, cpsr
    and r0, r0, #0xf0000000
    ldr r1, =cell
    ldm r1, {{r1, r2}}
    stm lr, {{r0-r2}}
""")
    text.append(f"""
    ldr r0, =first
    ldr r1, =second
    mov r2, #16
8:  ldr r3, [r0], #4
    ldr r4, [r1], #4
    cmp r3, r4
    bne 7f
    subs r2, r2, #1
    bne 8b
    b 6f
7:  ldr r1, =t{number}
    b failed
    .ltorg
6:
""")
    return "".join(text)


def program(seed):
    rng = random.Random(seed)
    text, fused = [HEAD], 0
    for form in [*operations(), *comparisons(), *others()]:
        for k in range(EACH):
            mode, size = form.modes[k % len(form.modes)], form.sizes[k // 2 % len(form.sizes)]
            test = rng.choice(["cmp", "teq"]) if form.name[-1] != "s" and "olds" not in form.name \
                else "cmp"
            text.append(instance(rng, form, size, mode, test, len(text)))
            fused += form.fused
    return "".join(text) + TAIL, fused


def run(mode, seed):
    source, expected = program(seed)
    with tempfile.TemporaryDirectory(prefix="umbra-atomics-") as scratch:
        path, elf, out = (Path(scratch) / name for name in ("p.S", "p.elf", "stats"))
        path.write_text(source)
        subprocess.run(["arm-linux-gnueabihf-gcc", "-nostdlib", "-static", "-no-pie",
                        "-Wl,-Ttext=0x40010000,--build-id=none", "-o", elf, path], check=True)
        result = subprocess.run(
            [*UMBRA, "-M", "virt", "-m", "64", "-serial", "null", "-nic", "none", "-kernel", str(elf),
             "-mmu", mode, "-semihosting", "-stats", str(out)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        if result.returncode:
            return f"{result.stdout.decode(errors='replace')}(exit status {result.returncode})"
        done = json.loads(out.read_text())["total"]["excl_fused"]
    # A loop across the end of a page stays one, and the first is, for the software TLB does not know the page.
    return None if expected - 6 <= done <= expected else f"{done} of {expected} were fused"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=int(time.time()) // 86400)
    parser.add_argument("modes", nargs="*", default=["soft", "spt"])
    args = parser.parse_args()
    failed = 0
    for mode in args.modes:
        problem = run(mode, args.seed)
        failed += problem is not None
        print(f"{'FAIL' if problem else 'ok'} {mode}, seed {args.seed}{': ' + problem if problem else ''}",
              flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
