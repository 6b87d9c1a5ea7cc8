# SPDX-License-Identifier: MIT
"""The record of a boot: a table, JSON, a drawing."""

import json
from xml.sax.saxutils import escape

from .stages import STAGES


def text(record):
    lines = [f"{record['name']}: {record['result']}"]
    before = 0.0
    for stage in STAGES:
        at = record["stages"].get(stage)
        if at is None:
            lines.append(f"  {stage:<15} -")
        else:
            lines.append(f"  {stage:<15} {at:8.2f} s  (+{at - before:.2f})")
            before = at
    return "\n".join(lines) + "\n"


def svg(record):
    """One bar for each stage, from the one before it to when it came."""
    total = max([*record["stages"].values(), 0.1])
    height = 34 * len(STAGES) + 60
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" '
           'font-family="sans-serif" font-size="14">',
           f'<text x="10" y="24" font-size="16">{escape(record["name"])}: {escape(record["result"])}</text>']
    before, y = 0.0, 44
    for stage in STAGES:
        at = record["stages"].get(stage)
        out.append(f'<text x="10" y="{y + 17}">{stage}</text>')
        if at is not None:
            x, width = 150 + 500 * before / total, max(1.0, 500 * (at - before) / total)
            out.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="24" fill="#4a7ebb"/>')
            out.append(f'<text x="{x + width + 6:.1f}" y="{y + 17}">{at:.1f} s</text>')
            before = at
        y += 34
    return "\n".join(out + ["</svg>"]) + "\n"


def write(record, prefix):
    """PREFIX.txt, PREFIX.json and PREFIX.svg."""
    for suffix, data in (("txt", text(record)), ("json", json.dumps(record, indent=2) + "\n"),
                         ("svg", svg(record))):
        with open(f"{prefix}.{suffix}", "w", encoding="utf-8") as file:
            file.write(data)
