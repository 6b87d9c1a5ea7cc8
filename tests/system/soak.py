#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Memory management under stress, for as long as you like: Debian guests, cell after cell.

    soak.py run --minutes 30 --log soak.jsonl [--seed N]
    soak.py report --log soak.jsonl
    soak.py cell armmp-lpae spt 4 200 mremap [--seed N]      one of them

A cell is (flavour, mode, CPUs, budget of host mappings, stressor of stress-ng --verify). `run` takes
always the cell that the log has least often, in an order that the log's seed decides; it can be
stopped and started again: the log adds up, and a line that was cut off is passed over.

A cell fails if a round of the stressor does, if the log has a cry for help, if the emulator does not
end with status 0, if its host mappings or its own memory are not flat after warm-up (the first half of
the rounds), or if the host's count of mappings is ever above the budget and what the process has
besides windows.

UMBRA is the emulator to test (default build/release/umbra).
"""

import argparse
import itertools
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import boot
import guest
import rotation

MODES = boot.MODES + ("spt=group,windows=2",)
SMPS = (1, 2, 4, 8)
BUDGETS = (0, 2000, 64)  # 0: the host's
STRESSORS = {"vm": "--vm {n} --vm-bytes 32M", "mmap": "--mmap {n} --mmap-bytes 16M",
             "mremap": "--mremap {n} --mremap-bytes 8M", "fork": "--fork {n}",
             "tlb-shootdown": "--tlb-shootdown 1", "switch": "--switch {n}"}
ROUNDS = 6
BESIDES = 700       # mappings of a process that are no window's: libraries, threads, tables
GROWTH_KIB = 4096   # of private memory from the first half of the rounds to the second; and for each
GROWTH_CPU = 2048   # CPU, since each still meets paths of the kernel that it has not translated
GROWTH_MAPS = 1500  # and of mappings, beyond a quarter

SCRIPT = """#!/bin/sh
echo "UMBRA: user space reached"
n=$(nproc)
for round in $(seq {rounds}); do
    if stress-ng --verify --seed {seed} --timeout {seconds} --temp-path /tmp --oomable {stressor} \\
        >/tmp/log 2>&1; then
        echo "UMBRA: round $round ok"
    else
        echo "UMBRA: round $round FAILED"
        tail -n 20 /tmp/log
    fi
    sleep 1
done
"""


def all_cells():
    """Budgets are for windows only."""
    for cell in itertools.product(boot.FLAVOURS, MODES, SMPS, BUDGETS, STRESSORS):
        if cell[1] != "soft" or not cell[3]:
            yield cell


def used(pid):
    """(mappings, private KiB) of the emulator: guest RAM is shared memory and not in the second."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    private = int(re.search(r"Anonymous: +(\d+)", rollup)[1])
    return Path(f"/proc/{pid}/maps").read_bytes().count(b"\n"), private


def command_line(cell, script):
    flavour, mode, smp, budget, _ = cell
    command = guest.emulator() + guest.machine(smp, 768) + ["-nographic", "-no-reboot"] + \
        guest.kernel(guest.script_append(True), flavour) + guest.root_drive() + \
        guest.drive("script", script, ",readonly=on") + ["-mmu", mode]
    return command + (["-vma-budget", str(budget)] if budget else [])


def watch(process, log, limit):
    """(status or None, text, what was used after each round)"""
    lines, samples = [], []
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
        if line.startswith(b"UMBRA: round"):
            samples.append(used(process.pid))
    status = process.wait()
    timer.cancel()
    return (None if expired.is_set() else status), "".join(lines), samples


def flat(samples, smp, budget):
    """What grows: the second half of the rounds against the first."""
    half = len(samples) // 2
    if not half:
        return ["no round was sampled"]
    wrong = []
    early, late = ([max(column) for column in zip(*part)]
                   for part in (samples[:half], samples[half:]))
    if late[0] > early[0] * 1.25 + GROWTH_MAPS:
        wrong.append(f"mappings grow from {early[0]} to {late[0]}")
    if late[1] > early[1] + GROWTH_KIB + smp * GROWTH_CPU:
        wrong.append(f"memory grows from {early[1]} to {late[1]} KiB")
    if budget and max(early[0], late[0]) > budget + BESIDES:
        wrong.append(f"{max(early[0], late[0])} mappings with a budget of {budget}")
    return wrong


def verdict(cell, status, text, samples):
    """List of what is wrong with a finished cell."""
    wrong = []
    if status is None:
        wrong.append("time limit reached")
    elif status != 0:
        wrong.append(f"exit status {status}")
    rounds = re.findall(r"UMBRA: round \d+ ok", text)
    if len(rounds) != ROUNDS:
        wrong.append(f"{len(rounds)} of {ROUNDS} rounds are ok")
    if "reboot: Power down" not in text:
        wrong.append("no clean power off")
    wrong += [f"log: {line.strip()[:160]}" for line in text.splitlines()
              if guest.CRIES.search(line) or "UMBRA: round" in line and "FAILED" in line]
    return wrong + flat(samples, cell[2], cell[3])


def run_cell(cell, seed, args, folder, number):
    """The record of one cell."""
    folder.mkdir(parents=True, exist_ok=True)
    log_path = folder / f"{number:04d}-{'-'.join(str(part) for part in cell)}.log"
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="umbra-soak-") as scratch:
        script = guest.write_script(Path(scratch) / "script", SCRIPT.format(
            rounds=ROUNDS, seed=seed, seconds=args.seconds, stressor=STRESSORS[cell[4]].format(n="$n")))
        with open(log_path, "wb") as log:
            process = subprocess.Popen(command_line(cell, script), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            try:
                status, text, samples = watch(process, log, args.timeout)
            finally:
                process.kill()
                process.wait()
    why = verdict(cell, status, text, samples)
    return {"cell": cell, "seed": seed, "why": why, "samples": samples, "log": str(log_path),
            "seconds": round(time.monotonic() - started, 1)}


def say(record):
    cell = " ".join(str(part) for part in record["cell"])
    print(f"{'FAIL' if record['why'] else 'ok'} {cell} --seed {record['seed']} "
          f"({record['seconds']} s): mappings, KiB {record['samples']}", flush=True)
    for reason in record["why"][:12]:
        print(f"     {reason}", flush=True)
    if record["why"]:
        print(f"     {record['log']}", flush=True)


def run(args):
    folder = args.log.parent / (args.log.name + ".logs")
    failed = rotation.run(args, all_cells(), lambda cell, seed, number, _: run_cell(
        cell, rotation.seed_of(seed, number), args, folder, number), say)
    report(args)
    return 1 if failed else 0


def report(args):
    seed, records = rotation.read_log(args.log)
    if seed is None:
        sys.exit(f"soak.py: {args.log} is not a log of a soak")
    print("\n".join(rotation.summary(records, all_cells(), seed, {
        1: MODES, 2: SMPS, 3: BUDGETS, 4: STRESSORS, 0: boot.FLAVOURS})))
    bad = [record for record in records if record["why"]]
    for record in bad:
        say(record)
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="action", required=True)
    for name in ("run", "report", "cell"):
        command = commands.add_parser(name)
        if name != "cell":
            command.add_argument("--log", type=Path, required=True)
        if name == "run":
            command.add_argument("--minutes", type=float, default=30)
        if name != "report":
            command.add_argument("--seed", type=int, default=0)
            command.add_argument("--seconds", type=int, default=5, help="length of a round")
            command.add_argument("--timeout", type=float, default=900, help="seconds for one cell")
        if name == "cell":
            command.add_argument("flavour", choices=boot.FLAVOURS)
            command.add_argument("mode")
            command.add_argument("smp", type=int)
            command.add_argument("budget", type=int)
            command.add_argument("stressor", choices=tuple(STRESSORS))
    args = parser.parse_args()
    if args.action == "report":
        sys.exit(report(args))
    boot.need_guest([boot.Cell("disk", flavour, 1, "spt") for flavour in boot.FLAVOURS])
    if args.action == "run":
        sys.exit(run(args))
    record = run_cell((args.flavour, args.mode, args.smp, args.budget, args.stressor),
                      args.seed or 1, args, boot.ROOT / "build/system-logs", 0)
    say(record)
    sys.exit(1 if record["why"] else 0)


if __name__ == "__main__":
    main()
