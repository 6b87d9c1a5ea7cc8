# SPDX-License-Identifier: MIT
"""Tables, plots and bars from the measurements. Ratios are taken pair by pair (the same round), quoted as their median with
the 95 % bootstrap interval."""
import collections
import functools
import math
import os
import random
import statistics
import sys

from evaluation import machine, plot
from evaluation.programs import DETERMINISTIC, PARALLEL, PROGRAMS

MAIN = ("spt=shared", "spt=shared,prefill=300", "spt=private", "auto")
GROUPS = tuple(f"spt=group,windows={n}" for n in (1, 4, 8, 16, 32))
PREFILLS = tuple(f"spt=shared,prefill={w}" for w in range(100, 900, 100))
SHOWN_COUNTERS = {"spt_fills": "fills", "spt_global_fills": "of global pages", "spt_drops": "drops", "spt_retires": "retires", "soft_misses": "soft misses",
                  "spt_faults": "host faults", "vmas": "VMAs"}
Ratio = collections.namedtuple("Ratio", "median low high pairs")


def bootstrap(values, rounds=2000):
    rng = random.Random(1)
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(rounds))
    return medians[int(rounds * 0.025)], medians[int(rounds * 0.975)]


def ratio_of(values):
    return Ratio(statistics.median(values), *bootstrap(values), len(values)) if values else None


def show(ratio, digits=2):
    if ratio is None:
        return ""
    return f"{ratio.median:.{digits}f} [{ratio.low:.{digits}f} .. {ratio.high:.{digits}f}]"


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- " * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


class View:
    """The measurements of one set at one length, of the newest build: value(program, mode, round, metric)."""

    def __init__(self, results, which, length, metric="seconds"):
        self.metric = metric
        keys = [k for k in results.data if k.set == which and k.length == length]
        ours = [k.build for k in keys if k.mode not in machine.OTHERS]
        self.build = ours[-1] if ours else ""
        self.keys = [k for k in keys if k.mode in machine.OTHERS or k.build == self.build]
        self.results, self.set = results, which
        self.places = sorted({(k.smp, k.flavour) for k in self.keys})
        self.index = {(k.smp, k.flavour, k.program, k.mode, k.round): results.data[k] for k in self.keys}

    def modes(self):
        return {k.mode for k in self.keys}

    def programs(self, place):
        present = {k.program for k in self.keys if (k.smp, k.flavour) == place}
        return [n for n in PROGRAMS if n in present]

    def rounds(self):
        return sorted({k.round for k in self.keys})

    def value(self, place, program, mode, round_, metric):
        return self.index.get((*place, program, mode, round_), {}).get(metric)

    def median(self, place, program, mode, metric):
        values = [self.value(place, program, mode, r, metric) for r in self.rounds()]
        values = [v for v in values if v is not None]
        return statistics.median(values) if values else None

    def pairs(self, place, program, base, mode, metric=None):
        """{round: base over mode} where both have ended well."""
        out, metric = {}, metric or self.metric
        for r in self.rounds():
            a, b = self.value(place, program, base, r, metric), self.value(place, program, mode, r, metric)
            if a and b:
                out[r] = a / b
        return out

    def geomean(self, places, base, mode, metric=None):
        """Of every round in which all programs that have pairs at all have one."""
        each = [self.pairs(p, n, base, mode, metric) for p in places for n in self.programs(p)]
        each = [e for e in each if e]
        common = set.intersection(*(set(e) for e in each)) if each else set()
        return ratio_of([math.exp(statistics.fmean(math.log(e[r]) for e in each)) for r in sorted(common)])


def speed_table(view, base, modes):
    """Speed over the base of each program; also {mode: {label: Ratio}} for the plot."""
    rows, plotted = [], {m: {} for m in modes}
    for place in view.places:
        for name in view.programs(place):
            label = name if place[0] == min(p[0] for p in view.places) else f"{name}, {place[0]} CPUs"
            ratios = [ratio_of(list(view.pairs(place, name, base, m).values())) for m in modes]
            if not any(ratios):
                continue
            for m, ratio in zip(modes, ratios):
                if ratio:
                    plotted[m][label] = ratio
            time = view.median(place, name, base, view.metric)
            rows.append([label, max(r.pairs for r in ratios if r), f"{time:.2f}", *map(show, ratios)])
    other = {"seconds": ("the same of the emulator's CPU time", "cpu"), "cpu": ("the same of the guest's clock", "seconds")}
    for label, metric in (("**geometric mean**", view.metric), other[view.metric]):
        rows.append([label, "", "", *(show(view.geomean(view.places, base, m, metric)) for m in modes)])
    return table(["program", "pairs", f"{base}, s", *modes], rows), plotted


def counter_table(view, modes):
    rows = []
    for place in view.places:
        for name in view.programs(place):
            for m in modes:
                values = [view.median(place, name, m, c) for c in SHOWN_COUNTERS]
                if any(v is not None for v in values):
                    rows.append([name, m, *map(number, values)])
    return table(["program", "mode", *SHOWN_COUNTERS.values()], rows)


def sum_table(view, modes):
    """Counters of the whole set, for sweeps of a parameter."""
    rows = []
    for m in modes:
        sums = []
        for counter in SHOWN_COUNTERS:
            values = [view.median(p, n, m, counter) for p in view.places for n in view.programs(p)]
            values = [v for v in values if v is not None]
            sums.append(number((max if counter == "vmas" else sum)(values) if values else None))
        rows.append([m, *sums])
    return table(["mode, whole set", *SHOWN_COUNTERS.values()], rows)


def bar(text, ratio, least):
    if ratio is None:
        return []
    met = "met" if ratio.median >= least else "met by the interval" if ratio.high >= least else "**not met**"
    return [f"- {text}: {show(ratio)}, bar {least}: {met}"]


def auto_against_better(view, place, name):
    """The better of soft and private is chosen by the other rounds than the one it is compared in."""
    ratios, rounds = [], view.rounds()
    for r in rounds:
        auto = view.value(place, name, "auto", r, view.metric)
        times = {}
        for m in ("soft", "spt=private"):
            others = [view.value(place, name, m, o, view.metric) for o in rounds if o != r or len(rounds) == 1]
            others, here = [v for v in others if v], view.value(place, name, m, r, view.metric)
            if others and here:
                times[m] = (statistics.median(others), here)
        if auto and len(times) == 2:
            ratios.append(min(times.values())[1] / auto)
    return ratio_of(ratios)


def bars(view):
    out = []
    if view.set == "compute":
        out += bar("private over soft, geometric mean", view.geomean(view.places, "soft", "spt=private"), 1.5)
    for place in view.places:
        for name in view.programs(place):
            out += bar(f"{name}: auto over the better of soft and private", auto_against_better(view, place, name), 0.97)
            if view.set == "process":
                out += bar(f"{name}: auto over soft", ratio_of(list(view.pairs(place, name, "soft", "auto").values())), 1.0)
    return "\n".join(out)


def organisations(view):
    """The sets compute and process: {plot: data} and text."""
    present = view.modes()
    text, plots = [], {}
    parts = (("", "soft", [m for m in MAIN if m in present]), ("groups", "soft", [m for m in GROUPS if m in present]),
             ("prefill", "spt=shared", [m for m in PREFILLS if m in present]))
    for name, base, modes in parts:
        if base not in present or not modes or (name == "prefill" and modes == ["spt=shared,prefill=300"]):
            continue
        shown, plotted = speed_table(view, base, modes)
        text += [f"Speed over `{base}`:\n\n{shown}"]
        plots[name] = (plotted, f"speed over {base}")
        if name:
            text.append(sum_table(view, [base] + modes))
    if "soft" in present:
        text.append(bars(view))
    text.append(counter_table(view, [m for m in ("soft",) + MAIN if m in present]))
    return [t for t in text if t], plots


def best_peer(view, place, program, metric):
    times = {m: view.median(place, program, m, metric) for m in machine.PEERS if m in view.modes()}
    times = {m: t for m, t in times.items() if t}
    return max(times, key=times.get) if times else None


def ordered(modes):
    order = ["soft", *MAIN[:3], *GROUPS, "auto", *machine.OTHERS]
    return sorted(modes, key=lambda m: (order.index(m) if m in order else len(order), m))


def shootdown(view):
    modes, speed, stall, out, plotted = ordered(view.modes()), [], [], [], {}
    for place in view.places:
        for phase in ("mprotect", "munmap", "remap"):
            metric = f"{phase}_ops"
            peer = best_peer(view, place, "shootdown", metric)
            cells = []
            for m in modes:
                ratio = ratio_of([1 / v for v in view.pairs(place, "shootdown", peer, m, metric).values()]) if peer else None
                rate = number(view.median(place, "shootdown", m, metric))
                cells.append(rate + (f", {show(ratio)}" if ratio and m not in machine.PEERS else ""))
                if ratio and m not in machine.PEERS:
                    plotted.setdefault(m, {})[f"{phase}, {place[0]} CPUs"] = ratio
                    if place[0] == 2:
                        out += bar(f"{phase}, 2 CPUs, {m} over {peer}", ratio, 3.0)
            speed.append([place[0], phase, peer or "", *cells])
        for phase in ("idle", "mprotect", "munmap", "remap"):
            stall.append([place[0], phase, *(
                f"{number(view.median(place, 'shootdown', m, phase + '_worst_us'))} / "
                f"{number(view.median(place, 'shootdown', m, phase + '_p999_us'))}" for m in modes)])
    text = ["Operations per second, and how many times the better peer's:\n\n" +
            table(["CPUs", "phase", "better peer", *modes], speed),
            "Worst stall of a reader / 99.9 % of batches below, us (median of the rounds; `idle` is the host's own share):\n\n" +
            table(["CPUs", "phase", *modes], stall), "\n".join(out)]
    return [t for t in text if t], {"": (plotted, "operations per second over the better peer's")}


def pan(view):
    modes, rows, out, plotted = ordered(view.modes()), [], [], {}
    smps = sorted({p[0] for p in view.places})
    flavours = [f for f in ("armmp-lpae", "armmp", "backports-armmp-lpae", "backports-armmp")
                if any(p[1] == f for p in view.places)]
    for smp in smps:
        for loop in ("getppid", "switch"):
            for mode in modes:
                cells = []
                for flavour in flavours:
                    value = view.median((smp, flavour), "syscalls", mode, loop)
                    ratios = []
                    for r in view.rounds():
                        a = view.value((smp, flavour), "syscalls", mode, r, loop)
                        b = view.value((smp, flavours[0]), "syscalls", mode, r, loop)
                        if a and b:
                            ratios.append(a / b)
                    ratio = ratio_of(ratios) if flavour != flavours[0] else None
                    cells.append(number(value) + (f", {show(ratio)}" if ratio else ""))
                    if flavour == "armmp" and ratio:
                        plotted.setdefault(mode, {})[loop] = ratio
                        if mode not in machine.PEERS:
                            met = "met" if ratio.median <= 1.15 else "met by the interval" if ratio.low <= 1.15 else "**not met**"
                            out.append(f"- {loop}, {mode}: armmp takes {show(ratio)} of armmp-lpae, bar 1.15: {met}")
                rows.append([loop, mode, *cells])
    text = [f"Nanoseconds for one call or round trip, and how many times those of `{flavours[0] if flavours else ''}`:\n\n" +
            table(["loop", "emulator", *flavours], rows), "\n".join(out)]
    return [t for t in text if t], {"": (plotted, "time on armmp over time on armmp-lpae")}


# What auto is to reach over others: (over whom, of the geometric mean, of the slowest program).
BARS = {"compute": (("system emulator", 4.0, 2.0), ("qemu-arm", 2.0, None)), "process": (("system emulator", 2.0, None),),
        "numeric": (("system emulator", 5.0, None),), "tools": (("system emulator", 4.0, None), ("qemu-arm", 2.0, None))}


def slowest(means, least):
    """The bar of a single program, for the one that has the most to do to reach it."""
    ratios = {name: ratio_of(list(pairs.values())) for name, pairs in means.items() if pairs}
    if not ratios or least is None:
        return []
    name = min(ratios, key=lambda n: ratios[n].median)
    return bar(f"{name}, the slowest", ratios[name], least)


def against_others(view, among=machine.OTHERS):
    """auto and others: {plot: data} and text."""
    others = [m for m in ordered(view.modes()) if m in among]
    rows, plotted, means = [], {m: {} for m in others}, {m: {} for m in (*others, "system emulator")}
    for place in view.places:
        for name in view.programs(place):
            each = {m: view.pairs(place, name, m, "auto") for m in others}
            if not any(each.values()):
                continue
            peers = [m for m in machine.PEERS if each.get(m)]
            faster = min(peers, key=lambda m: statistics.median(each[m].values())) if peers else None
            for m in others:
                if each[m]:
                    plotted[m][name] = ratio_of(list(each[m].values()))
                    means[m][name] = each[m]
            if faster:
                means["system emulator"][name] = each[faster]
            time = view.median(place, name, "auto", view.metric)
            rows.append([name + (f", {place[0]} CPUs" if place[0] > 1 else ""), number_of_pairs(each),
                         "" if time is None else f"{time:.2f}",
                         *(show(plotted[m].get(name)) for m in others)])
    rows.append(["**geometric mean**", "", "", *(show(mean_of(means[m])) for m in others)])
    text = [f"Times the speed of each, by `auto`:\n\n{table(['program', 'pairs', 'auto, s', *others], rows)}"]
    out = []
    for m, least, each in BARS[view.set]:
        out += bar(f"auto over {'the faster ' if m == 'system emulator' else ''}{m}, geometric mean", mean_of(means.get(m, {})), least)
        out += slowest(means.get(m, {}), each)
    text.append("\n".join(out))
    return [t for t in text if t], {"": (plotted, "times the speed of the other")}


def speedups(view, place, name, mode):
    """{round: times the speed with the second thread} of one mode."""
    out = {}
    for r in view.rounds():
        one, two = (view.value(place, f"{name}{n}", mode, r, view.metric) for n in (1, 2))
        if one and two:
            out[r] = one / two
    return out


def parallel(view, least=0.95):
    """The set parallel: the speed-up of each mode, and of the guest's over the host's in the same round."""
    modes, rows, out, plotted = ordered(view.modes()), [], [], {}
    guests = [m for m in modes if m != "native"]
    means = {m: {} for m in guests}
    for place in view.places:
        for name in PARALLEL:
            each = {m: speedups(view, place, name, m) for m in modes}
            if not any(each.values()):
                continue
            native, ratios = each.get("native", {}), {}
            for m in guests:
                shared = {r: each[m][r] / native[r] for r in sorted(each[m].keys() & native.keys())}
                ratios[m] = ratio_of(list(shared.values()))
                if shared:
                    means[m][name], plotted.setdefault(m, {})[name] = shared, ratios[m]
            rows.append([name, number_of_pairs(each), *(show(ratio_of(list(each[m].values()))) for m in modes),
                         *(show(ratios[m]) for m in guests)])
            out += bar(f"{name}: speed-up of auto over that of the host", ratios.get("auto"), least)
    rows.append(["**geometric mean**", "", *("" for _ in modes), *(show(mean_of(means[m])) for m in guests)])
    head = ["work", "rounds", *modes, *(f"{m} / native" for m in guests)]
    text = [f"Times the speed with two threads or jobs instead of one, and that of the guest over the host's:\n\n{table(head, rows)}",
            "\n".join(out)]
    return [t for t in text if t], {"": (plotted, "speed-up of the guest over the host's")}


def number_of_pairs(each):
    return max((len(e) for e in each.values()), default=0)


def mean_of(pairs):
    """Of {program: {round: ratio}}: geometric means of the rounds that all have."""
    common = set.intersection(*(set(e) for e in pairs.values())) if pairs else set()
    return ratio_of([math.exp(statistics.fmean(math.log(e[r]) for e in pairs.values())) for r in sorted(common)])


def troubles(view):
    """What failed, and outputs that differ between modes."""
    out = []
    for k in view.keys:
        if "failed" in view.results.data[k]:
            out.append(f"- {k.program} failed: {k.mode}, {k.smp} CPUs, {k.flavour}, round {k.round + 1}")
    for place in view.places:
        for name in set(view.programs(place)) & DETERMINISTIC:
            sums = collections.defaultdict(set)
            for m in ordered(view.modes() - {"native"}):  # other builds of the programs
                for r in view.rounds():
                    value = view.value(place, name, m, r, "checksum")
                    if value is not None:
                        sums[value].add(m)
            if len(sums) > 1:
                out.append(f"- {name} printed different things: " + "; ".join(
                    f"{int(v)} in {', '.join(sorted(m))}" for v, m in sums.items()))
    return out


def describe(view, length):
    values = [m["others"] for k in view.keys if "others" in (m := view.results.data[k])]
    noise = f"; other work on the host took {statistics.median(values):.2f} of a CPU in the median run, " \
            f"{max(values):.2f} in the worst" if values else ""
    return f"{len(view.rounds())} rounds, length {length}, build {view.build}{noise}."


def write_doc(text, title):
    path = os.path.join(machine.ROOT, "docs/evaluation.md")
    with open(path, encoding="utf-8") as f:
        doc = f.read()
    begin, end = f"<!-- {title}: begin -->\n", f"<!-- {title}: end -->"
    if begin not in doc or end not in doc:
        sys.exit(f"evaluate: {path} has no place for '{title}': it needs the lines {begin.strip()} and {end}")
    head, rest = doc.split(begin, 1)
    with open(path, "w", encoding="utf-8") as f:
        f.write(head + begin + text + "\n" + end + rest.split(end, 1)[1])


def write(results, args):
    """Prints everything; returns how many things went wrong."""
    wrong = 0
    for which in args.sets:
        view = View(results, which, f"{args.length:g}", args.metric)
        if not view.keys:
            continue
        bad = troubles(view)
        wrong += len(bad)
        for title, part in sections(view):
            write_section(view, args, title, part, bad)
    return wrong


def sections(view):
    """Of a set's report: (title, function) each."""
    part = {"shootdown": shootdown, "pan": pan, "numeric": against_others, "tools": against_others, "parallel": parallel}
    if view.set in part:
        return [(view.set, part[view.set])]
    modes = set(view.modes())
    out = [(view.set, organisations)] if modes - set(machine.OTHERS) - {"auto"} else []
    for title, among in (("peers", machine.PEERS), ("host", machine.HOST)):
        if modes & set(among):
            out.append((f"{view.set}-{title}", functools.partial(against_others, among=among)))
    return out


def write_section(view, args, title, part, bad):
    text, plots = part(view)
    text = [describe(view, args.length) + (" Seconds are CPU time of the emulator." if args.metric == "cpu" else "")] + (["Failures:\n\n" + "\n".join(bad)] if bad else []) + text
    for name, (plotted, unit) in plots.items():
        if not any(plotted.values()):
            continue
        file = "-".join(filter(None, ("evaluation", title, name))) + ".svg"
        folder = os.path.join(machine.ROOT, "docs") if args.doc else os.path.dirname(os.path.abspath(args.out))
        plot.bars(os.path.join(folder, file), plotted, unit)
        text.append(f"![{title} {name}]({file})")
    print(f"\n## {title}\n\n" + "\n\n".join(text))
    if args.doc:
        write_doc("\n\n".join(text), title)
