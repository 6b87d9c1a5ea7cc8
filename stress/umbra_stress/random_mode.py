# SPDX-License-Identifier: MIT
"""umbra-stress random: programs made at random, run in bunches, and what fails shrunk to a listing.

One boot runs BUNCH programs of SLICE seconds each. The seed fixes the programs of each boot and where they
run, so that -seed comes to the same ones again; whether a race is lost is up to the host. When a bunch
fails, its bad program is run alone, or else the bunch as a whole, and made smaller as long as it fails.
"""

import random
import re
import shlex
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from . import catalog, program, runner, shrink

PAYLOADS = ("random", "random-lpae")
BUNCH, SLICE = 12, 0.3
AGAIN = 3.0          # seconds that a bad program is given to fail once more
TRIES = 2            # runs of a candidate before it counts as good
BAD_PROGRAM = re.compile(r"program (\d+) operation")


def add_arguments(commands, positive):
    command_ = commands.add_parser("random", help="programs made at random; failures are shrunk")
    command_.add_argument("-smp", type=positive(int, 1, catalog.SMP_MAX),
                          help="CPUs (default: 4; --replay: those of the file)")
    command_.add_argument("-t", type=positive(float, 0.1, 86400), metavar="SECONDS",
                          help="how long to look (default: 10; --replay: as the file says)")
    command_.add_argument("-seed", type=positive(int, 0, 2**32 - 1), help="the same programs again")
    command_.add_argument("-mmu", action="append", metavar="MODE", help=", ".join(catalog.MODES))
    command_.add_argument("--emulator", metavar="CMD", help="another emulator, as for run")
    command_.add_argument("--inject", metavar="LIST", help="umbra -inject LIST (build preset inject)")
    command_.add_argument("--replay", type=Path, metavar="FILE", help="run a listing again")
    command_.add_argument("--shrink", type=positive(float, 0, 86400), default=180.0, metavar="SECONDS",
                          help="time to make a failure small (default: %(default)s; 0: leave it)")
    command_.add_argument("--listing", type=Path, metavar="FILE",
                          help="where a failure is written (default: among the logs)")
    command_.add_argument("--grace", type=positive(float, 0, 3600), default=runner.GRACE,
                          metavar="SECONDS", help="as for run (default: %(default)s)")
    command_.add_argument("--logs", type=Path, default=Path(tempfile.gettempdir()) / "umbra-stress",
                          help="where logs of failures are kept (default: %(default)s)")


@dataclass(frozen=True)
class RandomCell(runner.Cell):
    """A bunch of programs; how to run it again is in the listing that a failure leaves."""
    listing: str = ""

    def replay(self, options=""):
        return f"umbra-stress random --replay {self.listing}"


def listing_path(logs, seed):
    return logs / f"random-{seed}.txt"


class Runner:
    """Runs lists of programs as cells do: the image is a copy with the programs in it."""

    def __init__(self, command, logs, grace=runner.GRACE, patient=True):
        self.command, self.logs, self.grace, self.patient = command, logs, grace, patient
        self.images = catalog.build_images({f"{p}.{s}" for p in PAYLOADS for s in catalog.STATES})

    def run(self, cell, programs):
        """Each program for an equal part of the cell's time."""
        milliseconds = max(int(1000 * cell.seconds / len(programs)), 1)
        name = f"{cell.payload}.{cell.state}.elf"
        with tempfile.TemporaryDirectory(prefix="umbra-stress-") as scratch:
            program.write_image(programs, milliseconds, self.images / name,
                                Path(scratch) / name)
            return runner.run(self.command, cell, Path(scratch), self.logs, self.grace, self.patient)


def bunch(seed, cpus):
    """The programs of one boot. An emulator may treat an instruction that has met a device differently from
    then on, and all programs share the instructions that access memory: so there are devices in one boot of
    four."""
    devices = random.Random(seed).random() < 0.25
    return [program.generate(f"{seed}/{i}", cpus, devices) for i in range(BUNCH)]


def make_cell(dice, modes, smp):
    return runner.Cell(dice.choice(PAYLOADS), dice.choice(catalog.STATES), dice.choice(modes), smp,
                       dice.randrange(2**31), BUNCH * SLICE)


# ---- shrinking ----
class Shrinker:
    """Makes the programs of a failed cell small, within a time limit."""

    def __init__(self, runs, cell, seconds):
        self.runs, self.cell = runs, cell
        self.end = time.monotonic() + seconds
        self.count, self.outcome, self.after = 0, None, None

    def over(self):
        return time.monotonic() > self.end

    def fails(self, programs, cell=None):
        for _ in range(TRIES):
            self.count += 1
            outcome = self.runs.run(cell or self.cell, programs)
            if outcome.verdict != "pass":
                log = Path(outcome.log)
                found = re.search(r"failed after (\d+) ms", log.read_text(encoding="utf-8",
                                                                          errors="replace"))
                log.unlink()
                self.outcome, self.after = outcome, int(found[1]) if found else None
                return True
        return False

    def with_seconds(self, seconds):
        self.cell = replace(self.cell, seconds=seconds)

    def suspect(self, programs, outcome):
        """The one bad program if it fails alone, else all of them; None: it does not come back."""
        named = [BAD_PROGRAM.search(line) for line in outcome.why]
        for number in [int(m[1]) for m in named if m][:3]:
            self.with_seconds(AGAIN)
            if self.fails([programs[number - 1]]):
                return [programs[number - 1]]
        self.with_seconds(2 * BUNCH * SLICE)
        return programs if self.fails(programs) else None

    def settle_time(self):
        """Candidates get a few times what the failure took, so that a good one does not cost much."""
        if self.after is not None:
            self.with_seconds(min(max(self.after * 8 / 1000, 0.4), self.cell.seconds))

    def by_operations(self, programs):
        def rebuilt(items):
            lists = [[op for i, op in items if i == k] for k in range(len(programs))]
            return [program.Program(p.slots, ops) for p, ops in zip(programs, lists) if ops]

        items = [(i, op) for i, p in enumerate(programs) for op in p.ops]
        return rebuilt(shrink.shrink(items, lambda c: self.fails(rebuilt(c)), self.over))

    def without_idle_slots(self, programs):
        small = []
        for p in programs:
            used = sorted({op.slot for op in p.ops if op.name not in program.OTHERS})
            ops = [replace(op, slot=used.index(op.slot)) if op.slot in used else op for op in p.ops]
            small.append(program.Program([p.slots[i] for i in used], ops))
        return small if small != programs and self.fails(small) else programs

    def shrink(self, programs, outcome):
        """(programs, outcome of the last failure); None when it cannot be made to fail again."""
        programs = self.suspect(programs, outcome)
        if programs is None:
            return None
        if len(programs) > 1:
            programs = shrink.shrink(programs, self.fails, self.over)
        self.settle_time()
        programs = self.by_operations(programs)
        if not self.over():
            programs = self.without_idle_slots(programs)
        return programs, self.outcome


# ---- listings ----
def listing(cell, programs, outcome, command, note):
    words = [f"payload={cell.payload}", f"state={cell.state}", f"mode={cell.mode}", f"smp={cell.smp}",
             f"t={cell.seconds:g}"]
    if cell.extra:
        words.append(shlex.quote(f"with={cell.extra}"))
    if command.extra:
        words.append(f"inject={command.extra[1]}")
    if command.template:
        words.append(shlex.quote(f"emulator={command.template}"))
    lines = ["# A program of umbra-stress random that failed; umbra-stress random --replay THIS FILE",
             *(f"# {line}" for line in [*outcome.why, note]), "run " + " ".join(words),
             *(p.text() for p in programs)]
    return "\n".join(lines) + "\n"


def write_listing(path, text):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise catalog.Problem(f"{path}: {error.strerror}", 3) from error


def tell_failure(runs, cell, programs, outcome, seconds, folder, path=None):
    """Make it small in so many seconds, write the listing, say where it is."""
    path = path or listing_path(folder, cell.seed)
    note = "not made smaller"
    if seconds:
        # Logs of candidates have a folder of their own: their cells have equal names.
        work = Shrinker(Runner(runs.command, folder / "shrinking", runs.grace, runs.patient), cell, seconds)
        small = work.shrink(programs, outcome)
        note = f"made smaller in {work.count} runs" if small else "it did not fail again"
        if small:
            (programs, outcome), cell = small, work.cell
    write_listing(path, listing(cell, programs, outcome, runs.command, note))
    size = sum(len(p.ops) for p in programs)
    print(f"# {size} operations, {note}: {path}\n# again: umbra-stress random --replay {path}", flush=True)


def replay(args, command):
    try:
        text = args.replay.read_text(encoding="utf-8")
    except OSError as error:
        raise catalog.Problem(f"--replay {args.replay}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise catalog.Problem(f"--replay {args.replay}: it is not text") from error
    words, programs = program.parse(text, str(args.replay))
    payload, state = words.get("payload", "random"), words.get("state", "arm")
    if not args.mmu and not args.inject:
        args.emulator = args.emulator or words.get("emulator")
    extra = "" if args.emulator else words.get("with", "")
    mode = "-" if args.emulator else (args.mmu or [words.get("mode", "auto")])[0]
    try:
        smp, seconds = args.smp or int(words.get("smp", 4)), args.t or float(words.get("t", 2))
    except ValueError as error:
        raise catalog.Problem(f"{args.replay}: the line 'run': {error}") from error
    if mode == "-" and not args.emulator:
        raise catalog.Problem(f"{args.replay}: found with another emulator: name one, or a mode of umbra")
    if payload not in PAYLOADS or state not in catalog.STATES or (
            mode not in catalog.MODES and not args.emulator) or not 1 <= smp <= catalog.SMP_MAX:
        raise catalog.Problem(f"{args.replay}: the line 'run' names what there is not")
    needed = max(p.cpus() for p in programs)
    if smp < needed:
        raise catalog.Problem(f"{args.replay}: its programs need {needed} CPUs, not {smp}")
    cell = runner.Cell(payload, state, mode, smp, 1, seconds, extra=extra)
    args.extra = extra
    outcome = Runner(command(words.get("inject")), args.logs, args.grace).run(cell, programs)
    print(f"{'ok' if outcome.verdict == 'pass' else 'not ok'} 1 - {cell.name()}  # {outcome.wall:.1f} s")
    for line in outcome.why:
        print(f"# {line}")
    print("1..1")
    return {"pass": 0, "fail": 1, "broken": 3}[outcome.verdict]


def command(args, make_command, modes):
    if args.replay:
        return replay(args, make_command)
    seed = args.seed if args.seed is not None else random.randrange(1, 2**31)
    dice, smp = random.Random(seed), args.smp or 4
    runs = Runner(make_command(args.inject), args.logs, args.grace)
    end, number, status = time.monotonic() + (args.t or 10), 0, 0
    print(f"# seed {seed}", flush=True)
    while not status and (not number or time.monotonic() < end):
        number += 1
        cell = make_cell(dice, modes, smp)
        programs = bunch(cell.seed, smp)
        outcome = runs.run(cell, programs)
        status = {"pass": 0, "fail": 1, "broken": 3}[outcome.verdict]
        print(f"{'not ok' if status else 'ok'} {number} - {cell.name()}: {BUNCH} programs  "
              f"# {outcome.wall:.1f} s", flush=True)
        for line in outcome.why:
            print(f"# {line}", flush=True)
        if status:
            print(f"# log: {outcome.log}", flush=True)
            tell_failure(runs, cell, programs, outcome, args.shrink, args.logs, args.listing)
    print(f"1..{number}")
    return status
