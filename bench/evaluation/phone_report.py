# SPDX-License-Identifier: MIT
"""Tables, plot and bars of bench/android, beside the paper's."""
import math
import os
import statistics

from evaluation import machine, phone, plot
from evaluation.report import GROUPS, bar, number, ordered, ratio_of, table, write_doc

ROWS = ("boot1", "boot2", *phone.APPLICATIONS)
NAMES = {"boot1": "first boot", "boot2": "second boot"}
JUDGED_BELOW = 0.5  # CPUs that other work may take
SET = ROWS[1:]  # what the paper's set is: a boot and six applications
PAPER = {"spt=shared": 0.47, "spt=shared,prefill=300": 0.56, "spt=private": 1.44,
         **dict(zip(GROUPS, (0.472, 0.639, 1.171, 1.440, 1.442)))}


class View:
    """The measurements of the newest build."""

    def __init__(self, results):
        keys = [k for k in results.data if k.set == "android"]
        ours = [k.build for k in keys if k.mode not in machine.PEERS]
        self.build = ours[-1] if ours else ""
        self.keys = [k for k in keys if k.mode in machine.PEERS or k.build == self.build]
        self.data = {(k.smp, k.mode, k.program, k.round): results.data[k] for k in self.keys}
        self.smps = sorted({k.smp for k in self.keys})

    def modes(self, smp):
        return ordered({k.mode for k in self.keys if k.smp == smp})

    def values(self, smp, mode, what, metric="seconds"):
        """{round: value}."""
        return {k[3]: v[metric] for k, v in self.data.items() if k[:3] == (smp, mode, what) and metric in v}

    def ratio(self, smp, base, mode, what):
        """Times of base over times of mode: of the same round where both have one, else of the medians."""
        a, b = self.values(smp, base, what), self.values(smp, mode, what)
        pairs = [a[r] / b[r] for r in sorted(set(a) & set(b))]
        if not pairs and a and b:
            pairs = [statistics.median(a.values()) / statistics.median(b.values())]
        return ratio_of(pairs)

    def set_ratio(self, smp, base, mode, rows):
        """Geometric mean over the rows that both have; None if one of the base's, or many of all, are missing."""
        ratios = [self.ratio(smp, base, mode, what) for what in rows]
        present = [what for what in rows if self.values(smp, base, what)]
        ratios = [r for r in ratios if r]
        if len(ratios) < max(len(present), len(rows) - 2):
            return None
        return math.exp(statistics.fmean(math.log(r.median) for r in ratios))


def times(view, smp):
    modes, rows = view.modes(smp), []
    for what in ROWS:
        medians = [view.values(smp, m, what) for m in modes]
        if any(medians):
            rows.append([NAMES.get(what, what), *(f"{statistics.median(v.values()):.2f}" if v else "" for v in medians)])
    return table(["seconds (medians)", *modes], rows)


def ratios(view, smp, base):
    modes = [m for m in view.modes(smp) if m != base]
    rows, plotted = [], {m: {} for m in modes}
    for what in ROWS:
        each = [view.ratio(smp, base, m, what) for m in modes]
        if any(each):
            rows.append([NAMES.get(what, what), *(f"{r.median:.2f}" if r else "" for r in each)])
            for m, r in zip(modes, each):
                if r:
                    plotted[m][NAMES.get(what, what)] = r
    for text, chosen in (("**second boot and applications**", SET), ("applications alone", SET[1:])):
        means = [view.set_ratio(smp, base, m, chosen) for m in modes]
        rows.append([f"{text}, geometric mean", *(f"**{v:.2f}**" if v else "" for v in means)])
    if base == "soft" and any(m in PAPER for m in modes):
        rows.append(["the paper (boot and six applications, 1 vCPU)", *(f"{PAPER[m]:.2f}" if m in PAPER else "" for m in modes)])
    return table([f"speed over {base}", *modes], rows), plotted


def cpu_times(view, smp, base):
    """CPU seconds of the emulator and, in brackets, those of the base over them: less noise beside other work."""
    modes, rows = view.modes(smp), []
    for what in ROWS:
        cells = []
        for m in modes:
            own, of_base = (view.values(smp, x, what, "cpu") for x in (m, base))
            # The time of a series that failed in between is not comparable.
            own = {r: v for r, v in own.items() if r in view.values(smp, m, what)}
            of_base = {r: v for r, v in of_base.items() if r in view.values(smp, base, what)}
            if not own:
                cells.append("")
                continue
            mine = statistics.median(own.values())
            over = f" ({statistics.median(of_base.values()) / mine:.2f})" if of_base and m != base and mine else ""
            cells.append(f"{mine:.1f}{over}")
        if any(cells):
            rows.append([NAMES.get(what, f"{what}, all starts"), *cells])
    return table([f"CPU seconds (speed over {base})", *modes], rows)


def counters(view, smp):
    names = ("spt_fills", "spt_drops", "spt_retires", "soft_misses", "spt_faults", "spt_evictions", "context_switches",
             "translations", "vmas", "cpu", "others")
    rows = []
    for mode in view.modes(smp):
        values = [view.values(smp, mode, "boot2", n) for n in names]
        if any(values):
            rows.append([mode, *(number(statistics.median(v.values())) if v else "" for v in values)])
    return table(["second boot", *(n.removeprefix("spt_").replace("_", " ") for n in names)], rows) if rows else ""


def met(view, smp):
    """The bars; a host that does other things as well judges nothing."""
    others = [v["others"] for k, v in view.data.items() if k[0] == smp and "others" in v]
    if others and statistics.median(others) > JUDGED_BELOW:
        return (f"Bars are not judged: other work took {statistics.median(others):.2f} of a CPU beside the median measurement "
                f"(more than {JUDGED_BELOW}).")
    out = []
    for peer in machine.PEERS:
        for what in ROWS:
            out += bar(f"{smp} CPUs, {NAMES.get(what, what)}: auto over {peer}", view.ratio(smp, peer, "auto", what), 2.0)
    for what in ROWS:
        out += bar(f"{smp} CPUs, {NAMES.get(what, what)}: auto over soft", view.ratio(smp, "soft", "auto", what), 1.0)
    value = view.set_ratio(smp, "soft", "spt=private", SET)
    if value:
        out.append(f"- {smp} CPUs: private over soft on the set: {value:.2f}, bar 1.44: "
                   f"{'met' if value >= 1.44 else '**not met**'}")
    return "\n".join(out)


def describe(view):
    loads = [v["load"] for v in view.data.values() if "load" in v]
    others = [v["others"] for v in view.data.values() if "others" in v]
    text = f"Build {view.build}; load average {statistics.median(loads):.1f} in the median, {max(loads):.1f} in the worst"
    if others:
        text += f"; other work took {statistics.median(others):.2f} of a CPU in the median measurement, {max(others):.2f} in the worst"
    rounds = {}
    for k in view.keys:
        rounds.setdefault((k.smp, k.mode), set()).add(k.round)
    return text + f"; {min(map(len, rounds.values()))} to {max(map(len, rounds.values()))} rounds."


def write(results, args):
    """Prints everything; 1 when something failed."""
    view = View(results)
    if not view.keys:
        return 0
    bad = [f"- {NAMES.get(k.program, k.program)} failed: {k.mode}, {k.smp} CPUs, round {k.round + 1}" for k in view.keys
           if "failed" in results.data[k]]
    text = [describe(view)] + (["Failures:\n\n" + "\n".join(bad)] if bad else [])
    folder = os.path.join(machine.ROOT, "docs") if args.doc else os.path.dirname(os.path.abspath(args.out))
    for smp in view.smps:
        text += [f"### {smp} CPU{'s' if smp > 1 else ''}", times(view, smp)]
        base = "soft" if "soft" in view.modes(smp) else view.modes(smp)[0]
        shown, plotted = ratios(view, smp, base)
        text += [shown, cpu_times(view, smp, base), counters(view, smp), met(view, smp)]
        if any(plotted.values()):
            file = f"evaluation-android-{smp}.svg"
            plot.bars(os.path.join(folder, file), plotted, f"speed over {base}, {smp} CPUs")
            text.append(f"![Android, {smp} CPUs]({file})")
    text = "\n\n".join(t for t in text if t)
    print(f"\n## Android\n\n{text}")
    if args.doc:
        write_doc(text, "android")
    return 1 if bad else 0
