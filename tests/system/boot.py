#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots Debian guests and judges what they print.

A cell is (payload, flavour, smp, mmu mode). The payload "initramfs" reaches user space, counts CPUs
and memory and powers off; "disk" boots the whole Debian from a scratch copy of the root disk and runs
its self test (compiler, perl, gzip, stress-ng --verify). A cell passes if every marker is there with
the right values, nothing in the log looks like a kernel's cry for help, the emulator exits with
status 0 within the time limit and, with a disk, the file system is clean afterwards.

    boot.py run --payload disk --flavour armmp --smp 4 --mmu spt
    boot.py soak --count 100 --smp 4        many small boots, flavours and modes in turn
    boot.py list pairwise|matrix            the cells of a selection, one per line

The environment variable UMBRA is the command to test (default build/release/umbra). If it names a
qemu-system-arm, options that only umbra has are left out: so the driver itself can be checked.
"""

import argparse
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import guest

ROOT, GUEST, CRIES = guest.ROOT, guest.FOLDER, guest.CRIES
FLAVOURS = ("armmp", "armmp-lpae")
SMPS = (1, 2, 4, 8)
MODES = ("soft", "auto", "spt", "spt=shared,prefill=300", "spt=group,windows=4")

STEPS = ("cpus", "sieve", "perl", "gzip", "files", "stress-vm", "stress-fork", "stress-mmap",
         "stress-futex", "stress-switch", "stress-tlb-shootdown")


class Cell:
    """One boot to be done."""

    def __init__(self, payload, flavour, smp, mmu, memory=None):
        self.payload, self.flavour, self.smp, self.mmu = payload, flavour, smp, mmu
        self.memory = memory or (1024 if payload == "disk" else 512)

    def __str__(self):
        return f"{self.payload}-{self.flavour}-smp{self.smp}-{self.mmu}"


def pairwise():
    """Every pair of (flavour, smp), (flavour, mode) and (smp, mode) at least once, in 20 cells."""
    for i, smp in enumerate(SMPS):
        for j, mode in enumerate(MODES):
            yield Cell("initramfs", FLAVOURS[(i + j) % 2], smp, mode)
    yield Cell("disk", "armmp", 2, "auto")
    yield Cell("disk", "armmp-lpae", 4, "auto")
    yield Cell("disk", "armmp-lpae", 2, "spt")


def matrix():
    """Everything."""
    for payload in ("initramfs", "disk"):
        for flavour, smp, mmu in itertools.product(FLAVOURS, SMPS, MODES):
            yield Cell(payload, flavour, smp, mmu)


SELECTIONS = {"pairwise": pairwise, "matrix": matrix}


def command_line(cell, disk, stats, seconds):
    """The emulator's command for a cell."""
    append = "console=ttyAMA0"
    if cell.payload == "disk":
        append += f" root=LABEL=umbra rw umbra.test=full umbra.seconds={seconds}"
    else:
        append += " umbra.test=boot"
    command = guest.emulator() + guest.machine(cell.smp, cell.memory) + \
        guest.kernel(append, cell.flavour) + ["-nographic", "-no-reboot"]
    if disk:
        command += guest.drive("disk", disk)
    if guest.is_peer():
        command += ["-nic", "none"]
    else:
        command += ["-mmu", cell.mmu, "-stats", str(stats)]
    return command


def run_guest(command, log_path, limit):
    """Run to the end or to the limit. Returns (status or None, text, seconds to user space)."""
    started = time.monotonic()
    reached = None
    lines = []
    with open(log_path, "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT)
        expired = threading.Event()

        def expire():
            expired.set()
            process.kill()

        timer = threading.Timer(limit, expire)
        timer.start()
        for line in process.stdout:
            log.write(line)
            log.flush()
            lines.append(line.decode("utf-8", "replace"))
            if reached is None and line.startswith(b"UMBRA: user space reached"):
                reached = time.monotonic() - started
        status = process.wait()
        timer.cancel()
    return (None if expired.is_set() else status), "".join(lines), reached


def verdict(cell, status, text):
    """List of what is wrong with a finished boot."""
    wrong = []
    if status is None:
        wrong.append("time limit reached")
    elif status != 0:
        wrong.append(f"exit status {status}")
    if "UMBRA: user space reached" not in text:
        wrong.append("user space was not reached")
    counted = re.search(r"UMBRA: cpus=(\d+) memtotal_kb=(\d+)", text)
    if not counted:
        wrong.append("no count of CPUs and memory")
    else:
        if int(counted[1]) != cell.smp:
            wrong.append(f"guest sees {counted[1]} CPUs, not {cell.smp}")
        if not 0.88 * cell.memory * 1024 <= int(counted[2]) <= cell.memory * 1024:
            wrong.append(f"guest sees {counted[2]} kB of {cell.memory} MiB")
    if not re.search(r"reboot: Power down", text):
        wrong.append("no clean power off")
    if cell.payload == "disk":
        for step in STEPS:
            if not re.search(rf"UMBRA: step {step} ok", text):
                wrong.append(f"step {step} is not ok")
        if "UMBRA: verdict PASS" not in text:
            wrong.append("no verdict PASS")
    for line in text.splitlines():
        if CRIES.search(line):
            wrong.append(f"log: {line.strip()[:160]}")
    return wrong


def check_stats(cell, stats):
    """The counters must show that the mode asked for was the one at work."""
    if not stats.exists():
        return []
    try:
        counters = json.loads(stats.read_text())
    except ValueError as error:
        return [f"-stats file is not JSON: {error}"]
    fills = find_counter(counters, "spt_fills")
    if fills is None or (fills > 0) == (cell.mmu != "soft"):
        return []
    return [f"mode {cell.mmu}, yet the counter of window fills is {fills}"]


def find_counter(counters, name):
    """Value of a counter in the total of a -stats file, however deep."""
    if isinstance(counters, dict):
        if isinstance(counters.get(name), int):
            return counters[name]
        for key in ("total", "totals", "counters"):
            found = find_counter(counters.get(key), name)
            if found is not None:
                return found
    return None


def check_disk(disk):
    """The file system after power off must be clean."""
    env = dict(os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    result = subprocess.run(["e2fsck", "-fn", str(disk)], capture_output=True, text=True, env=env,
                            check=False)
    return [] if result.returncode == 0 else [f"e2fsck: {result.stdout.strip()[-300:]}"]


def boot(cell, args, tag=""):
    """Boot a cell, print one line about it, return whether it passed."""
    logs = Path(args.logs)
    logs.mkdir(parents=True, exist_ok=True)
    log_path = logs / f"{cell}{tag}.log"
    limit = args.timeout or (900 if cell.payload == "disk" else 180)
    with tempfile.TemporaryDirectory(prefix="umbra-boot-", dir=os.environ.get("TMPDIR")) as scratch:
        disk = None
        if cell.payload == "disk":
            disk = Path(scratch) / "disk.img"
            subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(GUEST / "disk.img"),
                            str(disk)], check=True)
        stats = Path(scratch) / "stats.json"
        command = command_line(cell, disk, stats, args.seconds)
        started = time.monotonic()
        try:
            status, text, reached = run_guest(command, log_path, limit)
        except OSError as error:
            print(f"FAIL {cell}: cannot start {command[0]}: {error.strerror}", flush=True)
            return False
        wrong = verdict(cell, status, text) + check_stats(cell, stats)
        if disk:
            wrong += check_disk(disk)
        if stats.exists():
            shutil.copy(stats, log_path.with_suffix(".json"))
    total = time.monotonic() - started
    user = f"{reached:.1f} s to user space, " if reached else ""
    print(f"{'FAIL' if wrong else 'ok'} {cell}{tag}: {user}{total:.1f} s in all", flush=True)
    if wrong:
        for reason in wrong[:12]:
            print(f"     {reason}")
        print("     " + shlex.join(command))
        print(f"     the end of {log_path}:")
        for line in text.splitlines()[-25:]:
            print(f"     | {line}")
    return not wrong


def need_guest(cells):
    """Say plainly what is missing instead of failing every boot."""
    needed = {GUEST / cell.flavour / name for cell in cells for name in ("vmlinuz", "initrd.img")}
    if any(cell.payload == "disk" for cell in cells):
        needed.add(GUEST / "disk.img")
    guest.need(*needed)


def soak_cells(args):
    """The cells of a soak: flavours and modes in turn."""
    for i in range(args.count):
        flavour = args.flavour or FLAVOURS[i % 2]
        mode = args.mmu or MODES[(i // 2 + 1) % len(MODES)]
        yield Cell(args.payload, flavour, args.smp, mode, args.memory)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("run", "soak", "list", *SELECTIONS))
    parser.add_argument("selection", nargs="?", choices=tuple(SELECTIONS), default="pairwise")
    parser.add_argument("--payload", choices=("initramfs", "disk"), default="initramfs")
    parser.add_argument("--flavour", choices=FLAVOURS)
    parser.add_argument("--smp", type=int, default=4)
    parser.add_argument("--mmu", help="soft, spt or any other mode of the emulator")
    parser.add_argument("--memory", type=int, help="MiB")
    parser.add_argument("--count", type=int, default=100, help="boots of a soak")
    parser.add_argument("--timeout", type=float, help="seconds for one boot")
    parser.add_argument("--seconds", type=int, default=3, help="length of a stress-ng step")
    parser.add_argument("--logs", default=str(ROOT / "build/system-logs"))
    args = parser.parse_args()

    if args.action == "list":
        for cell in SELECTIONS[args.selection]():
            print(cell.payload, cell.flavour, cell.smp, cell.mmu)
        return
    if args.action == "run":
        cells = [Cell(args.payload, args.flavour or "armmp-lpae", args.smp, args.mmu or "spt",
                      args.memory)]
    elif args.action == "soak":
        cells = list(soak_cells(args))
    else:
        cells = list(SELECTIONS[args.action]())
    need_guest(cells)
    failed = 0
    for number, cell in enumerate(cells):
        tag = f"-{number + 1:03d}" if args.action == "soak" else ""
        failed += not boot(cell, args, tag)
    if len(cells) > 1:
        print(f"{len(cells) - failed} of {len(cells)} boots passed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
