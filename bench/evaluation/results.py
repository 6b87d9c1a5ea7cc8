# SPDX-License-Identifier: MIT
"""The file of measurements: one line for each number, appended as it comes, never rewritten."""
import collections
import os

COLUMNS = ("set", "program", "mode", "build", "smp", "flavour", "length", "round", "metric", "value")
Key = collections.namedtuple("Key", COLUMNS[:-2])


class Results:
    """data: {Key: {metric: value}}. Used by one process at a time."""

    def __init__(self, path):
        self.path, self.data = path, {}
        if os.path.exists(path):
            self.read()
        else:
            with open(path, "w", encoding="utf-8") as f:
                print(*COLUMNS, sep="\t", file=f)

    def read(self):
        with open(self.path, encoding="utf-8") as f:
            if f.readline().rstrip("\n") != "\t".join(COLUMNS):
                raise SystemExit(f"evaluate: {self.path} is not a file of measurements of this version")
            for line in f:
                field = line.rstrip("\n").split("\t")
                if len(field) == len(COLUMNS):  # the last line of a killed run may be cut
                    key = Key(field[0], field[1], field[2], field[3], int(field[4]), field[5], field[6], int(field[7]))
                    self.data.setdefault(key, {})[field[8]] = float(field[9])

    def add(self, key, metrics):
        self.data[key] = dict(metrics)
        text = "".join("\t".join(map(str, (*key, name, value))) + "\n" for name, value in metrics.items())
        with open(self.path, "a", encoding="utf-8") as f:
            f.write(text)

    def forget_failures(self, build):
        """So that what failed is tried again; the lines stay in the file, later ones win."""
        for key in [k for k, m in self.data.items() if "failed" in m and k.build in build.values()]:
            del self.data[key]

    def seconds(self, program, mode, length, flavour):
        """Median time of a program so far, or None: for planning."""
        times = sorted(m["seconds"] for k, m in self.data.items() if "seconds" in m and
                       (k.program, k.mode, k.length, k.flavour) == (program, mode, length, flavour))
        return times[len(times) // 2] if times else None
