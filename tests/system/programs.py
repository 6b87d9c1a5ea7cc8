#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Real programs for as long as you like, every output compared: Debian guests, cell after cell.

    programs.py run --minutes 30 --log programs.jsonl [--seed N]
    programs.py report --log programs.jsonl
    programs.py cell gcc forced auto 2 [--seed N]      one of them

A cell is (program, tier of the translator, mode, CPUs). Programs: `gcc` (random programs of csmith and a large source at
every level of optimisation: the assembly text is the cross compiler's, and what they print is the same at all levels),
`openssl` (digests, ciphers, keys, signatures: what the host's openssl says), `stress` (stress-ng --verify), `python` and
`perl` (their own tests, and a program that must print what it prints on the host). Tiers: `1` (-tier2-threshold 0),
`forced` (1), `default`. The flavour of the kernel and what is run follow from the seed.

`run` takes the cell that the log has least often and can be stopped and started again (rotation.py). It ends at the
first failure and keeps everything beside the log: the console, the inputs, what came out and what was expected. The
seed of a cell depends on how often it ran, so every cell's first run has the same inputs. Needs `scripts/guest all
programs` and what scripts/setup installs.

UMBRA is the emulator to test (default build/release/umbra).
"""

import argparse
import itertools
import re
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import boot
import guest
import program_inputs
import rotation

PROGRAMS = tuple(program_inputs.PREPARE)
TIERS = {"1": ["-tier2-threshold", "0"], "forced": ["-tier2-threshold", "1"], "default": []}
SMPS = (1, 2, 4)
IMAGE = guest.FOLDER / "programs.img"
RESULTS_MIB = 64


def all_cells():
    return list(itertools.product(PROGRAMS, TIERS, boot.MODES, SMPS))


def flavour_of(cell, seed):
    return boot.FLAVOURS[rotation.seed_of(seed, " ".join(map(str, cell))) % 2]


# ---- disks ----
def write_archive(path, folder):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, file.name)
    pad(path, 4096)
    return path


def write_results(path):
    path.write_bytes(b"UMBRA-RESULTS")
    pad(path, RESULTS_MIB << 20)
    return path


def pad(path, unit):
    with open(path, "ab") as file:
        file.truncate(-(-file.tell() // unit) * unit)


def files_of(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def read_results(path, folder):
    """What the guest put out; nothing if it never came to that."""
    folder.mkdir()
    try:
        with tarfile.open(path) as tar:
            tar.extractall(folder)
    except tarfile.TarError:
        pass
    return files_of(folder)


# ---- one cell ----
def command_line(cell, seed, disks):
    _, tier, mode, smp = cell
    options = [] if guest.is_peer() else ["-mmu", mode, *TIERS[tier]]
    return guest.emulator() + guest.machine(smp, 1024) + ["-nographic", "-no-reboot"] + \
        guest.kernel(guest.script_append(True), flavour_of(cell, seed)) + \
        guest.drive("root", IMAGE, ",snapshot=on") + guest.drive("script", disks / "script", ",readonly=on") + \
        guest.drive("inputs", disks / "archive", ",readonly=on") + guest.drive("results", disks / "results") + options


def verdict(status, text, got, expected):
    """List of what is wrong with a finished cell."""
    wrong = []
    if status is None:
        wrong.append("time limit reached")
    elif status != 0:
        wrong.append(f"exit status {status}")
    if not re.search(r"UMBRA: step .* ok", text):
        wrong.append("no step was done")
    for marker in ("UMBRA: steps done", "reboot: Power down"):
        if marker not in text:
            wrong.append(f"no '{marker}'")
    wrong += [f"log: {line.strip()[:160]}" for line in text.splitlines()
              if guest.CRIES.search(line) or "UMBRA: step" in line and "FAILED" in line]
    for name in sorted(expected.keys() | got.keys()):
        if name not in got:
            wrong.append(f"no output {name}")
        elif got[name] != expected.get(name):
            wrong.append(f"output {name} differs")
    return wrong


def run_cell(cell, seed, args, folder, number):
    """The record of one cell; what failed stays in a folder of its own."""
    kept = folder / f"{number:04d}-{'-'.join(str(part) for part in cell)}-{seed}"
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="umbra-programs-") as scratch:
        scratch = Path(scratch)
        (scratch / "inputs").mkdir()
        (scratch / "expected").mkdir()
        words = program_inputs.PREPARE[cell[0]](seed, scratch / "inputs", scratch / "expected")
        guest.write_script(scratch / "script", program_inputs.script(cell[0], seed, words))
        write_archive(scratch / "archive", scratch / "inputs")
        write_results(scratch / "results")
        status, text, _ = boot.run_guest(command_line(cell, seed, scratch), scratch / "console", args.timeout)
        expected = files_of(scratch / "expected")
        why = verdict(status, text, read_results(scratch / "results", scratch / "got"), expected)
        if why:
            (scratch / "results").unlink()
            shutil.copytree(scratch, kept, dirs_exist_ok=True)
    steps = len(re.findall(r"UMBRA: step .* ok", text))
    return {"cell": cell, "seed": seed, "flavour": flavour_of(cell, seed), "why": why, "steps": steps,
            "outputs": len(expected), "seconds": round(time.monotonic() - started, 1), "kept": str(kept) if why else ""}


def say(record):
    cell = " ".join(str(part) for part in record["cell"])
    print(f"{'FAIL' if record['why'] else 'ok'} {cell} --seed {record['seed']} ({record['flavour']}, "
          f"{record['seconds']} s): {record['steps']} steps, {record['outputs']} outputs compared", flush=True)
    for reason in record["why"][:12]:
        print(f"     {reason}", flush=True)
    if record["why"]:
        print(f"     {record['kept']}", flush=True)


# ---- the soak ----
def run(args):
    folder = args.log.parent / (args.log.name + ".logs")
    failed = rotation.run(args, all_cells(), lambda cell, seed, number, times: run_cell(
        cell, rotation.seed_of(seed, times), args, folder, number), say, stop=True)
    report(args)
    return 1 if failed else 0


def report(args):
    seed, records = rotation.read_log(args.log)
    if seed is None:
        sys.exit(f"programs.py: {args.log} is not a log of a soak")
    print("\n".join(rotation.summary(records, all_cells(), seed, {
        0: PROGRAMS, 1: TIERS, 2: boot.MODES, 3: SMPS})))
    print(f"  {sum(record['steps'] for record in records)} steps, "
          f"{sum(record['outputs'] for record in records)} outputs compared")
    if args.cells:
        for record in records:
            say(record)
    bad = [record for record in records if record["why"]]
    for record in bad:
        say(record)
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="action", required=True)
    for name in ("run", "report", "cell"):
        command = commands.add_parser(name)
        if name != "cell":
            command.add_argument("--log", type=Path, required=True)
        command.add_argument("--cells", action="store_true", help="report every run")
        if name == "run":
            command.add_argument("--minutes", type=float, default=30)
        if name != "report":
            command.add_argument("--seed", type=int, default=0)
            command.add_argument("--timeout", type=float, default=3600, help="seconds for one cell")
        if name == "cell":
            command.add_argument("program", choices=PROGRAMS)
            command.add_argument("tier", choices=tuple(TIERS))
            command.add_argument("mode")
            command.add_argument("smp", type=int)
    args = parser.parse_args()
    if args.action == "report":
        sys.exit(report(args))
    boot.need_guest([boot.Cell("initramfs", flavour, 1, "spt") for flavour in boot.FLAVOURS])
    guest.need(IMAGE)
    if args.action == "run":
        sys.exit(run(args))
    record = run_cell((args.program, args.tier, args.mode, args.smp), args.seed or 1, args,
                      boot.ROOT / "build/system-logs", 0)
    say(record)
    sys.exit(1 if record["why"] else 0)


if __name__ == "__main__":
    main()
