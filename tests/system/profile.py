#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counted blocks (-d tb-stats), their names (-symbols) and where they are shown.

    profile.py            all cases
    profile.py NAME...    some of them

  counts    a loop's runs are counted to the one, also over a code cache that was emptied in between;
            -stats and the log agree; the perf map has the names
  plain     nothing is counted without the option, and blocks are no longer than before
  monitor   `info jit` shows the same while the program runs
  regions   a program that runs for long spends nearly all its time in regions, found by samples
UMBRA is the emulator to test (default build/release/umbra).
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boot

UMBRA = shlex.split(os.environ.get("UMBRA") or str(boot.ROOT / "build/release/umbra"))
LOOPS = 50000
# `wide` is more blocks than a code cache of 1 MiB holds.
PROGRAM = f"""
    .arch armv7-a
    .arm
    .text
    .global _start
    .type _start, %function
_start:
    bl hot
    bl wide
    bl hot
    mov r0, #0x18
    ldr r1, =0x20026
    svc #0x123456
    .type hot, %function
hot:
    ldr r0, =FACTOR * {LOOPS}
1:  subs r0, r0, #1
    bne 1b
    bx lr
    .ltorg
    .type wide, %function
wide:
    .rept 12000
    add r0, r0, #1
    b 1f
1:
    .endr
    bx lr
"""


def build(scratch, factor=1):
    source, out = Path(scratch) / "program.S", Path(scratch) / "program.elf"
    source.write_text(PROGRAM.replace("FACTOR", str(factor)))
    subprocess.run(["arm-linux-gnueabihf-gcc", "-nostdlib", "-static", "-no-pie",
                    "-Wl,-Ttext=0x40010000,--build-id=none", "-o", out, source], check=True)
    return out


def command(elf, *options):
    return [*UMBRA, "-M", "virt", "-m", "64", "-serial", "null", "-nic", "none", "-kernel", str(elf),
            "-accel", "tcg,tb-size=1", "-semihosting", *options]


def nm(elf, out):
    with open(out, "wb") as f:
        subprocess.run(["arm-linux-gnueabihf-nm", elf], stdout=f, check=True)


def blocks_of(stats):
    return {(b.get("symbol"), b.get("offset")): b for b in stats.get("hot_blocks", [])}


def perf_map_names(pid):
    path = Path(f"/tmp/perf-{pid}.map")
    text = path.read_text()
    path.unlink()
    return re.search(r"(?m)^[0-9a-f]+ [0-9a-f]+ cpu0:priv:[0-9a-f]{8}:hot\+0x4$", text)


def counts(symbols_of):
    with tempfile.TemporaryDirectory(prefix="umbra-profile-") as scratch:
        elf, log, out = build(scratch), Path(scratch) / "log", Path(scratch) / "stats"
        process = subprocess.Popen(command(
            elf, "-symbols", str(symbols_of(elf, Path(scratch) / "map")), "-d", "tb-stats", "-D",
            str(log), "-stats", str(out), "-perf-map"), stdin=subprocess.DEVNULL)
        if process.wait(120) != 0:
            return f"exit status {process.returncode}"
        if not perf_map_names(process.pid):
            return "the perf map does not name the loop"
        stats = json.loads(out.read_text())
        loop = blocks_of(stats).get(("hot", 4), {})
        # The first round of the loop belongs to the block that begins at the function.
        wanted = {"runs": 2 * (LOOPS - 1), "insns": 2, "translations": 2}
        if {key: loop.get(key) for key in wanted} != wanted:
            return f"the loop: {loop}"
        if not stats["total"]["blocks_evicted"]:
            return "nothing was evicted: the test shows less than it should"
        line = re.search(r"(?m)^ *([0-9.]+)% .* (\d+) +2 +(\d+) +\d+ +2 priv +[0-9a-f]{8}:hot\+0x4$",
                         log.read_text())
        if not line or int(line[2]) != wanted["runs"] or not 80 < float(line[1]) < 100:
            return f"the log: {log.read_text()[:400]}"
        density = re.search(r"(?m)^priv: \d+ instructions, [0-9.]+ in a run, ([0-9.]+) host instructions for one,",
                            log.read_text())
        # Nearly all of the program is that loop.
        if not density or not 0.85 < float(density[1]) / (int(line[3]) / 2) < 1.15:
            return f"host instructions: {density and density[0]}; the loop's line: {line[0]}"
        if not re.search(r"(?m)^ *[0-9.]+% .* priv [0-9a-f]{8}:hot$", log.read_text()):
            return "the log has no line for the function"
    return None


def text_map(elf, path):
    nm(elf, path)
    return path


def plain():
    with tempfile.TemporaryDirectory(prefix="umbra-profile-") as scratch:
        elf, out = build(scratch), Path(scratch) / "stats"
        size = []
        for options in ([], ["-d", "tb-stats", "-D", str(Path(scratch) / "log")]):
            subprocess.run(command(elf, "-stats", str(out), *options), check=True, timeout=120,
                           stdin=subprocess.DEVNULL)
            stats = json.loads(out.read_text())
            size.append(stats["total"]["host_code_bytes"] / stats["total"]["translations"])
            if bool(options) != ("hot_blocks" in stats):
                return f"{options}: {'no ' if options else ''}counts in the statistics"
    return None if size[0] + 8 < size[1] else f"bytes of code for a block: {size}"


def monitor():
    with tempfile.TemporaryDirectory(prefix="umbra-profile-") as scratch:
        elf = build(scratch, 40000)
        process = subprocess.Popen(
            command(elf, "-symbols", str(elf), "-d", "tb-stats", "-D", str(Path(scratch) / "log"),
                    "-monitor", "stdio"),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        out, _ = process.communicate("info jit\nquit\n", timeout=60)
        line = re.search(r"(?m)^ *(?:99|100)\.[0-9]+% .* priv +[0-9a-f]{8}:hot\+0x4\r?$", out)
    return None if line else f"info jit: {out[-600:]}"


def regions():
    with tempfile.TemporaryDirectory(prefix="umbra-profile-") as scratch:
        out, log, elf = Path(scratch) / "stats", Path(scratch) / "log", Path(scratch) / "hot.arm.elf"
        subprocess.run([boot.ROOT / "tests/guest/build.sh", scratch, "hot.arm"], check=True)
        for threshold, least, most in (("sampled", 75, 100), ("0", 0, 0)):
            guest = subprocess.run([*UMBRA, "-M", "virt", "-m", "256", "-nographic", "-no-reboot", "-nic", "none", "-kernel",
                                    str(elf), "-tier2-threshold", threshold, "-d", "tb-stats", "-D", str(log), "-stats", str(out)],
                                   stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=True)
            if not guest.stdout.rstrip().endswith("PASS"):
                return f"{threshold}: {guest.stdout[-400:]}"
            share = [float(s) for s in re.findall(r"(?m)^(?:user|priv): .* ([0-9.]+)% in regions$", log.read_text())]
            count = json.loads(out.read_text())["total"]["regions"]
            if len(share) != 2 or not all(least <= s <= most for s in share) or (count == 0) != (threshold == "0"):
                return f"{threshold}: {count} regions, {share} % of user and privileged instructions"
    return None


CASES = {"counts": lambda: counts(lambda elf, _: elf) or counts(text_map), "plain": plain,
         "monitor": monitor, "regions": regions}


def main():
    failed = 0
    for name in sys.argv[1:] or CASES:
        if name not in CASES:
            sys.exit(f"profile.py: unknown case {name}: {', '.join(CASES)}")
        problem = CASES[name]()
        failed += problem is not None
        print(f"{'FAIL' if problem else 'ok'} {name}{': ' + problem if problem else ''}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
