# SPDX-License-Identifier: MIT
"""Proof that the finder finds: breaks one rule at a time (umbra -inject) until a test fails.

For each fault the tests of its row are tried at 2 CPUs, then 3, then 4, until one of them fails within
LIMIT --runs times in a row; without such a test the one that missed the fault least often counts. A
detection is a run that does not pass: a failed check, a hang, a guest that dies. Time to detection counts
from the first start, over as many short runs with new seeds as it takes. The same tests have to pass
without a fault first. --linux: one boot of the Debian guest for each detection, in which every program has its
fault while it runs.
"""

import os
import random
import re
import shlex
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import catalog, linux, random_mode, runner

LIMIT = 60  # seconds a detection may take
GRACE = 12  # a hang is one too, and shall be noticed in time
SMPS = (2, 3, 4)
TABLE = catalog.ROOT / "docs/stress.md"
BEGIN, END = "<!-- prove: begin -->", "<!-- prove: end -->"
PROGRAMS_BEGIN, PROGRAMS_END = "<!-- prove programs: begin -->", "<!-- prove programs: end -->"
LINUX_BEGIN, LINUX_END = "<!-- prove linux: begin -->", "<!-- prove linux: end -->"

PROGRAMS = "programs"  # instead of a payload: random programs
TORTURE = "torture"  # instead of a mode: a program of stress/*.c, which takes its faults from UMBRA_INJECT

# fault: the tests that should notice, the best first, as payload.state and mode.
TESTS = {
    "skip-remote-drop": [("shootdown.arm", "spt")],
    "skip-generation-step": [("shootdown.arm", "spt"), ("shootdown.arm", "soft")],
    "skip-request": [("shootdown.arm", "soft")],
    "lose-kick": [("inj_late.arm", "soft")],
    "no-dsb-wait": [("inj_late.arm", "soft"), ("shootdown.arm", "soft")],
    "busy-wait": [("inj_mutual.arm", "soft")],
    "ack-before-drop": [("shootdown.arm", "soft")],
    "skip-overflow": [("inj_batch.arm", "soft")],
    "drop-wrong-asid": [("shootdown.arm", "spt"), ("shootdown-lpae.arm", "spt")],
    "skip-serve": [("shootdown.arm", "soft")],
    "serve-in-flight": [("inj_late.arm", "soft"), (PROGRAMS, "soft")],
    "stay-in-blocks": [("inj_wait.arm", "soft")],
    "forget-under-code": [("inj_wait.arm", "soft")],
    "skip-generation-check": [("shootdown.arm", "spt")],
    "skip-generation-soft": [("shootdown.arm", "soft")],
    "skip-note": [("shootdown.arm", "soft"), ("shootdown.arm", "spt")],
    "forget-current-asid": [("inj_late.arm", "spt"), ("shootdown.arm", "spt")],
    "drop-one-bank": [("shootdown.arm", "soft")],
    "skip-asid-note": [("shootdown.arm", "spt"), ("procs.arm", "soft")],
    "miss-softtlb": [("shootdown.arm", "soft")],
    "miss-jump-cache": [("inj_remap.arm", "soft"), ("inj_remap.arm", "spt")],
    "all-global": [("spaces.arm", "soft")],
    "keep-class": [("inj_class.arm", "soft")],
    "class-unnoted": [("inj_class.arm", "soft")],
    "adopt-any-page": [("spaces.arm", "soft"), ("inj_remap.arm", "soft")],
    "keep-jump-cache": [("leaves.arm", "soft")],
    "miss-fetch-cache": [("inj_remap.arm", "soft"), ("inj_remap.arm", "spt")],
    "miss-leaf": [("leaves.arm", "spt"), ("leaves.arm", "soft")],
    "skip-stale-mark": [("shootdown.arm", "spt")],
    "skip-stale-look": [("procs.arm", "spt"), ("inj_asid.arm", "spt")],
    "skip-revalidate": [("shootdown.arm", "spt")],
    "keep-writable": [("shootdown.arm", "spt"), ("perms.arm", "spt")],
    "keep-retired": [("procs.arm", "spt=group,windows=2")],
    "free-uncleared": [("procs.arm", "spt=group,windows=2")],
    "adopt-keeps-nonglobal": [("inj_asid.arm", "spt")],
    "keep-domain": [("perms.arm", "auto")],
    "split-leaf-marks": [("leaves.arm", "spt")],
    "keep-mapping": [("shootdown.arm", "spt-tight"), ("shootdown.arm", "spt")],
    "skip-writer-bit": [("codeshoot.arm", "soft")],
    "stale-code": [("codeshoot.arm", "soft")],
    "skip-writer-stop": [("codeshoot.arm", "soft")],
    "skip-write-protect": [("codeshoot.arm", "spt")],
    "skip-own-drain": [("codeshoot.arm", "soft"), ("smc.arm", "soft")],
    "skip-code-request": [("codeshoot.arm", "soft")],
    "skip-epoch-check": [("inj_remap.arm", "soft"), ("codeshoot.arm", "soft")],
    "link-to-crossing": [("inj_cross.arm", "soft")],
    "link-across-pages": [("inj_remap.arm", "spt")],
    "keep-incoming": [("evict.arm", "tiny-cache")],
    "keep-evicted": [("evict.arm", "tiny-cache")],
    "skip-fp-need": [("procs.arm", "soft"), ("procs.arm", "spt")],
    "skip-dma-mark": [("inj_dma.arm", "soft"), ("inj_dma.arm", "spt")],
    "no-fence": [("inj_order.arm", "spt")],
    "plain-cas": [("exclusives.arm", "spt")],
    "unmarked-atomic": [("exclusives.arm", "spt"), ("exclusives.arm", "soft")],
    "blind-store": [("exclusives.arm", "spt")],
    "skip-version-step": [("exclusives.arm", "spt")],
    "lose-ipi": [("inj_sleep.arm", "spt")],
    "lose-wakeup": [("inj_sleep.arm", "spt")],
    "sleep-blindly": [("inj_sleep.arm", "spt")],
    "lose-event": [("events.arm", "auto")],
    "lose-timer": [("inj_sleep.arm", "spt")],
    "lose-power-on": [("inj_sleep.arm", "spt")],
    "pause-at-once": [("pause_torture", TORTURE)],
    "skip-grace-wait": [("rcu_torture", TORTURE)],
    "free-at-once": [("rcu_torture", TORTURE)],
}


# What random programs alone have to find (--programs): fault, mode.
PROGRAM_TESTS = {fault: [(PROGRAMS, mode)] for fault, mode in {
    "skip-remote-drop": "spt", "skip-request": "soft", "drop-wrong-asid": "spt",
    "skip-generation-check": "spt", "miss-softtlb": "soft", "miss-leaf": "spt",
    "stale-code": "soft"}.items()}


# What each program of stress/linux has to find (--linux), by itself: in this mode, with so many CPUs.
LINUX_TESTS = {"fork": "keep-writable:0.1", "jit": "stale-code", "mprotect": "skip-remote-drop:0.3",
               "mremap": "skip-remote-drop:1", "munmap": "skip-remote-drop", "userfaultfd": "skip-remote-drop"}
LINUX_MODE, LINUX_SMP, LINUX_SECONDS = "spt", 2, 5.0


@dataclass
class Proof:
    """What one fault came to. times: of the detections; tried: proofs attempted."""
    fault: str
    rule: str
    test: str = "none"
    smp: int = 0
    times: tuple = ()
    tried: int = 0
    sign: str = ""

    def row(self):
        if not self.times:
            return f"| `{self.fault}` | {self.rule} | **none** | - | - | 100 % |"
        missed = 100 * (self.tried - len(self.times)) / self.tried
        return (f"| `{self.fault}` | {self.rule} | {self.test}: {self.sign} | {self.smp} | "
                f"{statistics.median(self.times):.1f} | {missed:.0f} % |")


def add_arguments(commands, positive):
    prove = commands.add_parser("prove", help="each injected fault must be noticed")
    prove.add_argument("faults", nargs="*", metavar="FAULT", help="default: all")
    prove.add_argument("--runs", type=positive(int, 1, 1000), default=5,
                       help="detections of each fault (default: 5)")
    prove.add_argument("--random", type=positive(int, 1, 100), metavar="N",
                       help="N faults chosen at random, and no table")
    prove.add_argument("--programs", action="store_true",
                       help="by umbra-stress random instead of the payloads")
    prove.add_argument("--linux", action="store_true",
                       help="by the programs of umbra-stress linux instead; FAULT is then a program's name")
    prove.add_argument("-t", type=positive(float, 0.1, 60), default=1.0, metavar="SECONDS",
                       help="time of one run (default: 1)")
    prove.add_argument("--with", dest="extra", default="", metavar="OPTIONS",
                       help="more options of umbra, in one word, and no table")
    prove.add_argument("--no-table", action="store_true", help=f"leave {TABLE.name} as it is")
    prove.add_argument("--logs", type=Path, default=Path("/tmp/umbra-stress-prove"))


def known_faults(binary):
    """Name -> the rule it breaks, from the emulator itself."""
    done = subprocess.run([binary, "-inject", "help"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise catalog.Problem(f"{binary} knows no -inject; build it with the preset inject", 3)
    rows = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    faults = {name: rule for name, _, rule in rows if rule != "-"}
    missing = sorted(set(faults) ^ set(TESTS))
    if missing:
        raise catalog.Problem(f"faults and tests do not match: {', '.join(missing)} (the table TESTS "
                              "in prove.py, INJECT_FAULTS in src/base/inject.h)", 3)
    return faults


def check_struck(fault, outcome):
    """A failure in a run where the fault never struck is no detection, but a bug of umbra or test."""
    text = Path(outcome.log).read_text(encoding="utf-8", errors="replace")
    if re.search(rf"inject: {fault} struck 0 of", text):
        raise catalog.Problem(f"{outcome.cell.name()} fails though {fault} never struck: "
                              f"{'; '.join(outcome.why)} (log {outcome.log})", 1)
    Path(outcome.log).unlink()


class Prover:
    def __init__(self, binary, images, args):
        self.binary, self.images, self.args = binary, images, args
        self.dice = random.Random()
        self.tests = PROGRAM_TESTS if args.programs else TESTS

    def once(self, test, smp, fault=None):
        name, mode = test
        seed = self.dice.randrange(1, 2**31)
        if mode == TORTURE:
            return self.torture(name, smp, seed, fault)
        extra = shlex.split(catalog.options_of(self.args.extra))
        if fault:
            extra += ["-inject", f"{fault},seed={seed}"]
        if name == PROGRAMS:
            runs = random_mode.Runner(runner.Command(binary=self.binary, extra=extra), self.args.logs,
                                      GRACE, patient=False)
            cell = random_mode.make_cell(self.dice, [mode], smp)
            return runs.run(cell, random_mode.bunch(cell.seed, smp))
        payload, state = name.split(".")
        cell = runner.Cell(payload, state, mode, smp, seed, self.args.t)
        return runner.run(runner.Command(binary=self.binary, extra=extra), cell, self.images,
                          self.args.logs, GRACE, patient=False)

    def torture(self, name, smp, seed, fault):
        """A program that says by its exit status what it found."""
        program = self.binary.parent / f"stress/stress_{name}"
        cell = runner.Cell(name, "c", TORTURE, smp, seed, self.args.t)
        log = self.args.logs / f"{name}-{os.getpid()}.log"
        self.args.logs.mkdir(parents=True, exist_ok=True)
        line = ["env", *([f"UMBRA_INJECT={fault},seed={seed}"] if fault else []), str(program)]
        if not program.exists():
            raise catalog.Problem(f"no {program}: cmake --build --preset inject", 3)
        start = time.monotonic()
        status = runner.start(line, log, LIMIT, patient=False)
        good = status == 0
        sign = [] if good else ["it hangs" if status is None else
                                f"it died of signal {-status}" if status < 0 else self.last_line(log)]
        return runner.Outcome(cell, "pass" if good else "fail", sign, time.monotonic() - start, str(log))

    @staticmethod
    def last_line(log):
        """What a torture program says of it."""
        lines = Path(log).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        lines = [line for line in lines if not line.startswith(("#", "umbra: inject:"))]
        return lines[-1][:100] if lines else "it says nothing"

    def detect(self, test, smp, fault):
        """(seconds, sign) or None when LIMIT passes without a detection."""
        start = time.monotonic()
        while time.monotonic() - start < LIMIT:
            outcome = self.once(test, smp, fault)
            seconds = time.monotonic() - start
            if outcome.verdict != "pass":
                check_struck(fault, outcome)
                sign = re.sub(r"^program \d+ operation \d+: CPU \d+ ", "one ", outcome.why[0])
                return (seconds, sign) if seconds <= LIMIT else None
        return None

    def attempt(self, fault, rule, test, smp):
        """A proof by this test on so many CPUs; None when it does not notice the first time."""
        results = [self.detect(test, smp, fault)]
        if results[0] is None:
            return None
        results += [self.detect(test, smp, fault) for _ in range(self.args.runs - 1)]
        times = tuple(r[0] for r in results if r)
        return Proof(fault, rule, " ".join(test), smp, times, len(results), results[0][1])

    def prove(self, fault, rule):
        """By the fewest CPUs on which a test always notices, else where it misses the least."""
        best = Proof(fault, rule)
        for smp in SMPS:
            for test in self.tests[fault]:
                proof = self.attempt(fault, rule, test, smp)
                if proof and len(proof.times) == proof.tried:
                    return proof
                if proof and len(proof.times) > len(best.times):
                    best = proof
        return best

    def control(self, faults):
        """Without a fault the same tests pass, or nothing is proven."""
        for test in sorted({t for f in faults for t in self.tests[f]}):
            outcome = self.once(test, SMPS[-1])
            if outcome.verdict != "pass":
                raise catalog.Problem(f"{' '.join(test)} fails without a fault: "
                                      f"{'; '.join(outcome.why)} (log {outcome.log})", 1)


def write_table(proofs, begin=BEGIN, end=END):
    """Rows of the faults proven now replace theirs; those of others stay."""
    text = TABLE.read_text(encoding="utf-8")
    before, rest = text.split(begin)
    old, after = rest.split(end)
    rows = {line.split("`")[1]: line for line in old.splitlines() if line.startswith("| `")}
    rows |= {p.fault: p.row() for p in proofs}
    head = ["| fault | the rule it breaks | noticed by | CPUs | median s | undetected |",
            "| --- | --- | --- | --- | --- | --- |"]
    body = [rows[f] for f in TESTS if f in rows]
    TABLE.write_text(before + "\n".join([begin, *head, *body, end]) + after, encoding="utf-8")


def linux_proof(names, outcomes):
    """Rows of the table: how many boots there were in which the program noticed, and what it said first."""
    rows = {}
    for name in names:
        found = [each[name] for _, each in outcomes if each[name]]
        sign = re.sub(r"^not ok \d+ - ", "", found[0][0]) if found else "**nothing**"
        rows[name] = f"| {name} | `{LINUX_TESTS[name]}` | {sign} | {len(found)} of {len(outcomes)} |"
    return rows


def write_linux_table(rows):
    text = TABLE.read_text(encoding="utf-8")
    before, rest = text.split(LINUX_BEGIN)
    old, after = rest.split(LINUX_END)
    kept = {line.split("|")[1].strip(): line for line in old.splitlines() if "| `" in line}
    kept |= rows
    head = [f"| program | fault (`-mmu {LINUX_MODE} -smp {LINUX_SMP}`, {LINUX_SECONDS:g} s) | what it says | boots |",
            "| --- | --- | --- | --- |"]
    body = [kept[name] for name in LINUX_TESTS if name in kept]
    TABLE.write_text(before + "\n".join([LINUX_BEGIN, *head, *body, LINUX_END]) + after, encoding="utf-8")


def command_linux(args, binary):
    """Programs that notice their fault in every boot are proven; a program that ends badly, or takes the guest
    with it, has noticed, too: without a fault it does neither."""
    missing = sorted(set(linux.programs()) ^ set(LINUX_TESTS))
    if missing:
        raise catalog.Problem(f"programs of stress/linux and LINUX_TESTS do not match: {', '.join(missing)}", 3)
    for name in args.faults:
        if name not in LINUX_TESTS:
            raise catalog.Problem(f"no program '{name}'; there are {', '.join(LINUX_TESTS)}")
    names = args.faults or list(LINUX_TESTS)
    outcomes = []
    for number in range(args.runs):
        cell = linux.LinuxCell("+".join(names), linux.FLAVOURS[0], LINUX_MODE, LINUX_SMP,
                               random.randrange(1, 2**31), LINUX_SECONDS)
        outcome, each = linux.run(runner.Command(binary=binary), cell, args.logs,
                                  {name: LINUX_TESTS[name] for name in names})
        outcomes.append((outcome, each))
        for name in names:
            print(f"{'ok' if each[name] else 'not ok'} {number * len(names) + names.index(name) + 1} - linux {name}: "
                  f"{LINUX_TESTS[name]}  # {'; '.join(each[name]) or 'nothing noticed'}", flush=True)
    print(f"1..{args.runs * len(names)}")
    if TABLE.exists() and not args.no_table:
        write_linux_table(linux_proof(names, outcomes))
    return 0 if all(each[name] for _, each in outcomes for name in names) else 1


def choose(args, faults):
    for name in args.faults:
        if name not in faults:
            raise catalog.Problem(f"no fault '{name}'; there are {', '.join(faults)}")
    if args.programs:
        faults = {name: rule for name, rule in faults.items() if name in PROGRAM_TESTS}
    for name in args.faults:
        if name not in faults:
            raise catalog.Problem(f"random programs do not look for '{name}', but for {', '.join(faults)}")
    names = args.faults or list(faults)
    return random.sample(names, min(args.random, len(names))) if args.random else names


def command(args):
    binary = catalog.emulator("inject")
    faults = known_faults(binary)
    if args.linux and args.extra:
        raise catalog.Problem("prove --linux takes no --with")
    if args.linux:
        return command_linux(args, binary)
    names = choose(args, faults)
    payloads = {test for name in names for test, mode in TESTS[name] if mode != TORTURE} - {PROGRAMS}
    images = catalog.build_images(payloads) if payloads and not args.programs else None
    prover = Prover(binary, images, args)
    prover.control(names)
    proofs = []
    for number, name in enumerate(names, 1):
        proof = prover.prove(name, faults[name])
        proofs.append(proof)
        word = "ok" if len(proof.times) == proof.tried and proof.times else "not ok"
        times = " ".join(f"{t:.1f}" for t in proof.times)
        print(f"{word} {number} - {name}: {proof.test} smp{proof.smp}  # {times} s", flush=True)
        if TABLE.exists() and not (args.no_table or args.random or args.extra):
            write_table(proofs, *((PROGRAMS_BEGIN, PROGRAMS_END) if args.programs else ()))
    print(f"1..{len(proofs)}")
    return 0 if all(p.times and len(p.times) == p.tried for p in proofs) else 1
