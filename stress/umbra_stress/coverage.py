# SPDX-License-Identifier: MIT
"""Coverage of interleavings: which passages of the points where threads meet followed each other.

A build with injection that runs with -inject coverage counts, for each ordered pair of points (A, B), how
often B was the next passage of any thread after A, and another thread's (src/base/inject.c, which prints
a line for each point at exit). So a pair that was seen is a schedule in which one thread stood at A, between
two steps of an argument in docs/concurrency.md, while another one made its step B. What can be seen at most is
every pair: some of them may be impossible, so that the share given is a lower bound.
"""

import re

LINE = re.compile(r"^umbra: inject: after (\S+) (\S+):((?: \S+=\d+)*)\r?$", re.MULTILINE)


def parse(text):
    """{point: [argument, {next point: times}]} in the order of the emulator's table; empty: not measured."""
    return {name: [argument, {b: int(n) for b, n in (word.split("=") for word in pairs.split())}]
            for argument, name, pairs in LINE.findall(text)}


def add(total, met):
    for name, (argument, pairs) in met.items():
        into = total.setdefault(name, [argument, {}])[1]
        for b, n in pairs.items():
            into[b] = into.get(b, 0) + n


def pairs_of(points, inside=None):
    """All pairs; those of one argument only, or those across two."""
    return [(a, b) for a in points for b in points
            if inside is None or (points[a][0] == points[b][0]) == inside]


def share(points, inside=None):
    """(seen, possible)"""
    pairs = pairs_of(points, inside)
    return sum(b in points[a][1] for a, b in pairs), len(pairs)


def percent(seen, possible):
    return f"{seen} of {possible} ({100 * seen / max(possible, 1):.0f} %)"


def sentence(points):
    return (f"{percent(*share(points))} pairs of passages; {percent(*share(points, True))} of those "
            f"within one argument")


def letter(index):
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[index % 52]


def table(points):
    """A row for each point, a column for what another thread passed next: the number of digits of how often."""
    rows = [f"{'':30}" + "".join(letter(i) for i in range(len(points)))]
    for i, (name, (argument, pairs)) in enumerate(points.items()):
        marks = "".join(str(min(len(str(pairs[b])), 9)) if b in pairs else "." for b in points)
        rows.append(f"{letter(i)} {argument:10}{name:18}{marks}")
    return rows


def never(points):
    """Pairs within one argument that no run came to, by their first point."""
    for a in points:
        missing = [b for b in points if points[a][0] == points[b][0] and b not in points[a][1]]
        if missing:
            yield f"{a}, then {', '.join(missing)}"


def report(records):
    """Lines for all records, and for each set of options that measured."""
    parts, total = {}, {}
    for record in records:
        met = record.get("met")
        if met:
            add(parts.setdefault(record.get("extra", ""), {}), met)
            add(total, met)
    if not total:
        return []
    lines = ["", "coverage of interleavings (docs/stress.md): a passage of one thread, then of another"]
    for extra, points in sorted(parts.items()):
        count = sum(bool(r.get("met")) and r.get("extra", "") == extra for r in records)
        lines.append(f"{count} runs with '{extra}': {sentence(points)}")
    if len(parts) > 1:
        lines.append(f"together: {sentence(total)}")
    lines += table(total)
    lines += [f"never: {line}" for line in never(total)]
    return lines
