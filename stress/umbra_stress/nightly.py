# SPDX-License-Identifier: MIT
"""The long form: cells (payload x state x mode x CPUs x placement) in rotation, for hours, resumable.

The log has one JSON object a line, and adds up over runs: the next cell is the one that was run least
often so far, in an order that the rotation seed of the log decides, and the seed of each run follows
from the rotation seed and the number of the run. A line that was cut off when the host went down is
passed over.
"""

import hashlib
import itertools
import json
import os
import random
import subprocess
import time
from collections import Counter
from pathlib import Path

from . import catalog, runner

SMPS = (2, 4, 8)


def add_arguments(commands, positive):
    night = commands.add_parser("nightly", help="all cells in rotation, for hours")
    night.add_argument("--hours", type=positive(float, 0.001, 10000), default=8.0)
    night.add_argument("-t", type=positive(float, 0.1, 3600), default=10.0, metavar="SECONDS",
                       help="time of each run (default: 10)")
    report = commands.add_parser("report", help="what the log of nightly says")
    for command in (night, report):
        command.add_argument("--log", type=Path, required=True, metavar="FILE")


def all_cells():
    """Keys (payload, state, mode, smp, pinned); over-subscription comes with smp 8."""
    for payload, state, mode, smp, pinned in itertools.product(
            catalog.payloads(), catalog.STATES, catalog.MODES, SMPS, (False, True)):
        if smp >= catalog.cpus_needed(payload):
            yield (payload, state, mode, smp, pinned)


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


def command(args):
    binary = runner.Command(binary=catalog.emulator("release"))
    rotation, records = start_log(args.log)
    images = catalog.build_images()
    order = list(all_cells())
    random.Random(rotation).shuffle(order)
    counts = Counter(key_of(r) for r in records)
    version, end = commit(), time.monotonic() + args.hours * 3600
    number, worst = len(records), 0
    while time.monotonic() < end:
        key = min(order, key=lambda k: counts[k])
        cell = runner.Cell(*key[:4], seed_of(rotation, number), args.t, key[4])
        outcome = runner.run(binary, cell, images, args.log.parent / (args.log.name + ".logs"))
        append(args.log, outcome.record() | {"commit": version, "time": int(time.time())})
        counts[key] += 1
        number += 1
        if outcome.verdict != "pass":
            worst = max(worst, 1 if outcome.verdict == "fail" else 3)
            print(f"{outcome.verdict}: {cell.replay()}  # {'; '.join(outcome.why)}", flush=True)
    command_report(args)
    return worst


def command_report(args):
    """Cells run and not run, by payload and mode, and every failure with its replay."""
    rotation, records = read_log(args.log)
    if rotation is None:
        raise catalog.Problem(f"--log {args.log}: not a log of umbra-stress nightly")
    cells = set(all_cells())
    done = Counter(key_of(r) for r in records)
    hours = sum(r["wall"] for r in records) / 3600
    print(f"{len(records)} runs, {hours:.2f} hours, {len(cells & set(done))} of {len(cells)} cells, "
          f"rotation seed {rotation}")
    print(f"{'payload':18}" + "".join(f"{mode.split(',')[0]:>12}" for mode in catalog.MODES))
    for payload in catalog.payloads():
        row = [sum(n for k, n in done.items() if k[0] == payload and k[2] == mode)
               for mode in catalog.MODES]
        print(f"{payload:18}" + "".join(f"{n:12}" for n in row))
    bad = [r for r in records if r["verdict"] != "pass"]
    for r in bad:
        cell = runner.Cell(r["payload"], r["state"], r["mode"], r["smp"], r["seed"], r["seconds"],
                           r["pinned"])
        print(f"{r['verdict']} ({r.get('commit', '?')}): {cell.replay()}  # {'; '.join(r['why'])}")
    return 1 if bad else 0
