# SPDX-License-Identifier: MIT
"""The long form: cells (payload x state x mode x CPUs x placement) in rotation, for hours, resumable.

The log has one JSON object a line, and adds up over runs: the next cell is the one that was run least
often so far, in an order that the rotation seed of the log decides, and the seed of each run follows
from the rotation seed and the number of the run. A line that was cut off when the host went down is
passed over. Random programs have every fifth run, since no two of these are alike, and the programs in
Linux one in twenty-five, since a boot comes before them.

Options given by --with are one more dimension: each run of a cell takes those that the cell had least often,
none being one of them. So a new option of the emulator gets its share of the nights, and "-inject coverage" has
runs whose records say which interleavings there were (coverage.py).
"""

import hashlib
import itertools
import json
import os
import random
import subprocess
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from . import catalog, coverage, linux, random_mode, runner

SMPS = (2, 4, 8)
RANDOM_EVERY, LINUX_EVERY = 5, 25
SHRINK = 120  # seconds to make a failure of random programs small


def add_arguments(commands, positive):
    night = commands.add_parser("nightly", help="all cells in rotation, for hours")
    night.add_argument("--hours", type=positive(float, 0.001, 10000), default=8.0)
    night.add_argument("-t", type=positive(float, 0.1, 3600), default=10.0, metavar="SECONDS",
                       help="time of each run (default: 10)")
    night.add_argument("--with", dest="extras", action="append", default=[], metavar="OPTIONS",
                       help="more options of umbra, in one word, for a share of the runs; may be given "
                       "again for another share; with -inject among them the build preset inject is run")
    report = commands.add_parser("report", help="what the log of nightly says")
    for command in (night, report):
        command.add_argument("--log", type=Path, required=True, metavar="FILE")


def all_cells():
    """Keys (payload, state, mode, smp, pinned); over-subscription comes with smp 8."""
    for payload, state, mode, smp, pinned in itertools.product(
            catalog.payloads(), catalog.STATES, catalog.MODES, SMPS, (False, True)):
        if smp >= catalog.cpus_needed(payload):
            yield (payload, state, mode, smp, pinned)


def random_cells():
    for payload, state, mode, smp in itertools.product(random_mode.PAYLOADS, catalog.STATES,
                                                       catalog.MODES, SMPS):
        yield (payload, state, mode, smp, False)


def linux_cells():
    """The state is the flavour of the kernel; none where there is no guest to boot. Under the tightest
    budget of host mappings a boot of Linux takes hours."""
    if linux.possible():
        for flavour, mode, smp in itertools.product(linux.FLAVOURS, catalog.MODES, SMPS):
            if mode == "spt-tight":
                continue
            yield ("linux", flavour, mode, smp, False)


def read_log(path):
    """(rotation seed or None, records)"""
    rotation, records = None, []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if "rotation" in record:
                rotation = record["rotation"]
            elif "payload" in record:
                records.append(record)
    return rotation, records


def key_of(record):
    return tuple(record[k] for k in ("payload", "state", "mode", "smp", "pinned"))


def commit():
    done = subprocess.run(["git", "-C", catalog.ROOT, "describe", "--always", "--dirty"],
                          capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def seed_of(rotation, number):
    digest = hashlib.sha256(f"{rotation} {number}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def append(log, record):
    """A whole line at once, so that a crash cuts off at most this one."""
    with open(log, "a", encoding="utf-8") as out:
        out.write(json.dumps(record) + "\n")
        out.flush()
        os.fsync(out.fileno())


def start_log(log):
    rotation, records = read_log(log)
    try:
        if log.exists() and log.stat().st_size and not log.read_bytes().endswith(b"\n"):
            with open(log, "a", encoding="utf-8") as out:
                out.write("\n")
        if rotation is None:
            rotation = random.randrange(1, 2**31)
            append(log, {"rotation": rotation})
    except OSError as error:
        raise catalog.Problem(f"--log {log}: {error.strerror}") from error
    return rotation, records


class Night:
    """One session: which cell comes next, and how it is run."""

    def __init__(self, args, rotation, records):
        self.args, self.rotation = args, rotation
        self.command = runner.Command(binary=catalog.emulator("release"))
        self.extras = ["", *map(catalog.options_of, args.extras)]
        self.injecting = (runner.Command(binary=catalog.emulator("inject"))
                          if any(map(catalog.needs_injection, self.extras)) else None)
        self.images = catalog.build_images()
        self.logs = logs_of(args.log)
        self.counts = Counter(key_of(r) for r in records)
        self.extra_counts = Counter((key_of(r), r.get("extra", "")) for r in records)
        self.orders = [list(cells()) for cells in (all_cells, random_cells, linux_cells)]
        for order in self.orders:
            random.Random(rotation).shuffle(order)
        if not self.orders[2]:
            print("# no Linux guest or no compiler for it: that part is left out", flush=True)

    def next_key(self, number):
        which = 2 if number % LINUX_EVERY == 13 else 1 if number % RANDOM_EVERY == 2 else 0
        return min(self.orders[which] or self.orders[0], key=lambda k: self.counts[k])

    def next_extra(self, key, number):
        """Of those that the cell had least often another one in each run, or all would begin with the first."""
        order = self.extras[number % len(self.extras):] + self.extras[:number % len(self.extras)]
        return min(order, key=lambda extra: self.extra_counts[key, extra])

    def run(self, key, number):
        """The outcome; what fails at random is made small, and its listing is among the logs."""
        extra = self.next_extra(key, number)
        cell = cell_of(*key, seed_of(self.rotation, number), self.args.t, self.args.log, extra)
        command = self.injecting if catalog.needs_injection(extra) else self.command
        self.counts[key] += 1
        self.extra_counts[key, extra] += 1
        if key[0] == "linux":
            return linux.run(command, cell, self.logs)[0]
        if key[0] not in random_mode.PAYLOADS:
            return runner.run(command, cell, self.images, self.logs)
        programs, runs = random_mode.bunch(cell.seed, cell.smp), random_mode.Runner(command, self.logs)
        outcome = runs.run(cell, programs)
        if outcome.verdict != "pass":
            random_mode.tell_failure(runs, cell, programs, outcome, SHRINK, self.logs)
        return outcome


def logs_of(log):
    return log.parent / (log.name + ".logs")


def cell_of(payload, state, mode, smp, pinned, seed, seconds, log, extra=""):
    if payload == "linux":
        return linux.LinuxCell("+".join(linux.programs()), state, mode, smp, seed, max(seconds / 3, 1),
                               extra=extra)
    if payload in random_mode.PAYLOADS:
        return random_mode.RandomCell(payload, state, mode, smp, seed, seconds, extra=extra,
                                      listing=str(random_mode.listing_path(logs_of(log), seed)))
    return runner.Cell(payload, state, mode, smp, seed, seconds, pinned, extra=extra)


def command(args):
    rotation, records = start_log(args.log)
    night = Night(args, rotation, records)
    version, end = commit(), time.monotonic() + args.hours * 3600
    number, worst = len(records), 0
    while time.monotonic() < end:
        key = night.next_key(number)
        outcome = night.run(key, number)
        record = outcome.record() | {"payload": key[0], "commit": version, "time": int(time.time())}
        append(args.log, record)
        number += 1
        if outcome.verdict != "pass":
            worst = max(worst, 1 if outcome.verdict == "fail" else 3)
            print(f"{outcome.verdict}: {outcome.cell.replay()}  # {'; '.join(outcome.why)}", flush=True)
    command_report(args)
    return worst


def command_report(args):
    """Cells run and not run, by payload and mode, every failure with its replay, and what was measured. Of
    the log of run --json, too."""
    rotation, records = read_log(args.log)
    if rotation is None and not records:
        raise catalog.Problem(f"--log {args.log}: not a log of umbra-stress nightly")
    cells = {key for part in (all_cells, random_cells, linux_cells) for key in part()}
    done = Counter(key_of(r) for r in records)
    hours = sum(r["wall"] for r in records) / 3600
    print(f"{len(records)} runs, {hours:.2f} hours, {len(cells & set(done))} of {len(cells)} cells, "
          f"rotation seed {rotation}")
    extras = Counter(r.get("extra", "") for r in records)
    if set(extras) != {""}:
        print(", ".join(f"{n} runs {f'with {extra}' if extra else 'without more options'}"
                        for extra, n in sorted(extras.items())))
    print(f"{'payload':18}" + "".join(f"{mode.split(',')[0]:>12}" for mode in catalog.MODES))
    for payload in [*catalog.payloads(), *random_mode.PAYLOADS, "linux"]:
        row = [sum(n for k, n in done.items() if k[0] == payload and k[2] == mode)
               for mode in catalog.MODES]
        print(f"{payload:18}" + "".join(f"{n:12}" for n in row))
    bad = [r for r in records if r["verdict"] != "pass"]
    for r in bad:
        cell = replace(cell_of(*key_of(r), r["seed"], r["seconds"], args.log,
                               r.get("extra", "")), seconds=r["seconds"])
        print(f"{r['verdict']} ({r.get('commit', '?')}): {cell.replay()}  # {'; '.join(r['why'])}")
    for line in coverage.report(records):
        print(line)
    return 1 if bad else 0
