# SPDX-License-Identifier: MIT
"""A soak that can be stopped and started again: a log that adds up, and which cell comes next.

A cell is a tuple of values. The log's first line has the seed of the rotation, which decides the order of the cells and
the seed of each run; every further line is the record of one run. A line that was cut off is passed over.
"""

import hashlib
import itertools
import json
import os
import random
import time
from collections import Counter


def seed_of(rotation, number):
    digest = hashlib.sha256(f"{rotation} {number}".encode()).digest()
    return int.from_bytes(digest[:4], "little") >> 1


def read_log(path):
    """(seed or None, records)"""
    rotation, records = None, []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if "rotation" in record:
                rotation = record["rotation"]
            elif "cell" in record:
                records.append(record)
    return rotation, records


def append(path, record):
    """A whole line at once, so that a crash cuts off at most this one."""
    with open(path, "a", encoding="utf-8") as out:
        out.write(json.dumps(record) + "\n")
        out.flush()
        os.fsync(out.fileno())


def start_log(path, seed):
    rotation, records = read_log(path)
    if path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
        with open(path, "a", encoding="utf-8") as out:
            out.write("\n")
    if rotation is None:
        rotation = seed or random.randrange(1, 2**31)
        append(path, {"rotation": rotation})
    return rotation, records


class Rotation:
    """Always the cell that ran least often; among those the one whose pairs of values did, so that a short soak has
    met every pair long before it has met every cell."""

    def __init__(self, cells, rotation, records):
        self.order = list(cells)
        random.Random(rotation).shuffle(self.order)
        self.counts, self.pairs = Counter(), Counter()
        for record in records:
            self.count(tuple(record["cell"]))

    @staticmethod
    def pairs_of(cell):
        return itertools.combinations(enumerate(cell), 2)

    def count(self, cell):
        self.counts[cell] += 1
        self.pairs.update(self.pairs_of(cell))

    def next(self):
        return min(self.order, key=lambda cell: (
            self.counts[cell], sum(self.pairs[pair] for pair in self.pairs_of(cell))))


def run(args, cells, run_cell, say, stop=False):
    """run_cell(cell, rotation, number, how often it ran) until args.minutes are over, or the first failure if stop.
    Returns how many failed."""
    rotation, records = start_log(args.log, args.seed)
    turn = Rotation(cells, rotation, records)
    end, failed = time.monotonic() + args.minutes * 60, 0
    number = len(records)
    while time.monotonic() < end and not (failed and stop):
        cell = turn.next()
        record = run_cell(cell, rotation, number, turn.counts[cell])
        append(args.log, record)
        say(record)
        turn.count(cell)
        number += 1
        failed += bool(record["why"])
    return failed


def summary(records, cells, rotation, dimensions):
    """Lines about what ran; dimensions: {index in a cell: its values}."""
    done = Counter(tuple(record["cell"]) for record in records)
    minutes = sum(record["seconds"] for record in records) / 60
    cells = set(cells)
    return [f"{len(records)} runs, {minutes:.1f} minutes, {len(cells & set(done))} of {len(cells)} "
            f"cells, seed {rotation}"] + [
        "  " + ", ".join(f"{value}: {sum(n for key, n in done.items() if key[index] == value)}" for value in values)
        for index, values in dimensions.items()]
