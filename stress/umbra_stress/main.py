# SPDX-License-Identifier: MIT
"""The command line of umbra-stress, and the commands list and run."""

import argparse
import json
import os
import random
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from . import catalog, linux, nightly, prove, random_mode, runner

HELP = """Stress tests of TLB shootdown, memory order and exclusives for ARMv7-A emulators.

  umbra-stress list                          the payloads and the modes
  umbra-stress run                           everything, in every mode, 2 seconds each
  umbra-stress run shootdown -mmu spt -smp 8 -t 60 -seed 7
  umbra-stress run --emulator 'qemu-system-arm -accel tcg,thread=multi -M virt -cpu cortex-a15
                               -smp %n -m 256 -nic none -nographic -no-reboot -kernel %k'
  umbra-stress random -t 60 -smp 4           programs made at random; a failure is made small
  umbra-stress random --replay FILE          and run again
  umbra-stress linux -smp 4 -mmu spt         programs in a Debian guest (scripts/guest)
  umbra-stress prove                         breaks umbra in each way it knows, and must notice
  umbra-stress prove --linux                 the same for each program in the Debian guest
  umbra-stress nightly --hours 8 --log night.jsonl;  umbra-stress report --log night.jsonl

Exit status: 0 all passed, 1 a check failed, 2 wrong usage, 3 no complete report (the emulator did
not start, hung, died or printed nothing)."""

STATUS = {"pass": 0, "fail": 1, "broken": 3}


def positive(kind, low, high):
    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"'{text}' is not a number from {low} to {high}")
        return value
    return parse


def parser():
    top = argparse.ArgumentParser(prog="umbra-stress", description=HELP,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("list", help="payloads, what each proves, and modes")
    run = commands.add_parser("run", help="run payloads")
    run.add_argument("names", nargs="*", metavar="NAME", help="NAME, NAME.arm or NAME.thumb")
    run.add_argument("-smp", type=positive(int, 1, catalog.SMP_MAX), help="CPUs (default: 4)")
    run.add_argument("-t", type=positive(float, 0.1, 86400), default=2.0, metavar="SECONDS",
                     help="time of each run (default: 2)")
    run.add_argument("-seed", type=positive(int, 0, 2**32 - 1), help="replays a run, and the choice of --sample")
    run.add_argument("-mmu", action="append", metavar="MODE", help=", ".join(catalog.MODES))
    run.add_argument("--emulator", metavar="CMD",
                     help="another emulator: %%k kernel, %%n CPUs, %%a parameters (without %%a: "
                          "-append is added)")
    run.add_argument("--inject", metavar="LIST", help="umbra -inject LIST (build preset inject)")
    run.add_argument("--with", dest="extra", default="", metavar="OPTIONS",
                     help="more options of umbra, in one word; with -inject among them the build preset "
                     "inject is run")
    run.add_argument("--pin-one-core", action="store_true", help="all threads on one host core")
    run.add_argument("--stop-threads", action="store_true",
                     help="stop single CPU threads for up to 30 ms, again and again")
    run.add_argument("--sample", type=positive(int, 1, 100000), metavar="N",
                     help="only N runs, chosen at random, on 2, 4 and 8 CPUs unless -smp is given")
    run.add_argument("--grace", type=positive(float, 0, 3600), default=runner.GRACE,
                     metavar="SECONDS", help="CPU time above twice -t after which a run is killed "
                     "(default: %(default)s)")
    run.add_argument("--json", metavar="FILE", help="also write results there, one object a line")
    run.add_argument("--logs", type=Path, default=Path(tempfile.gettempdir()) / "umbra-stress",
                     help="where logs of failures are kept (default: %(default)s)")
    random_mode.add_arguments(commands, positive)
    linux.add_arguments(commands, positive)
    prove.add_arguments(commands, positive)
    nightly.add_arguments(commands, positive)
    return top


def choose_images(names):
    """(payload, state) for each name; all of them without names."""
    known = catalog.payloads()
    chosen = []
    for name in names or known:
        base, _, state = name.partition(".")
        if base not in known or state not in ("", *catalog.STATES):
            raise catalog.Problem(f"no test '{name}'; umbra-stress list shows what there is")
        chosen += [(base, s) for s in ([state] if state else catalog.STATES)]
    return chosen


def choose_modes(args):
    if args.emulator is not None:
        if args.mmu or args.inject or getattr(args, "extra", ""):
            raise catalog.Problem("-mmu, --with and --inject are umbra's; another emulator is set up by its "
                                  "own --emulator command")
        return ["-"]
    for mode in args.mmu or []:
        if mode not in catalog.MODES:
            raise catalog.Problem(f"no mode '{mode}'; there are {', '.join(catalog.MODES)}")
    return args.mmu or list(catalog.MODES)


def make_cells(args):
    seed = args.seed if args.seed is not None else random.randrange(1, 2**31)
    smps = [args.smp] if args.smp else nightly.SMPS if args.sample else [4]
    cells = [runner.Cell(payload, state, mode, smp, seed, args.t, args.pin_one_core,
                         args.stop_threads, args.extra)
             for payload, state in choose_images(args.names)
             for mode in choose_modes(args) for smp in smps
             if args.smp or smp >= catalog.cpus_needed(payload)]
    if args.sample and args.sample < len(cells):
        cells = random.Random(seed).sample(cells, args.sample)
    return cells


def make_command(args):
    if args.emulator is None:
        extra = ["-inject", args.inject] if args.inject else []
        injects = args.inject or catalog.needs_injection(catalog.options_of(getattr(args, "extra", "")))
        return runner.Command(binary=catalog.emulator("inject" if injects else "release"), extra=extra)
    if not args.emulator.strip() or "%k" not in args.emulator:
        raise catalog.Problem("--emulator: the command has no %k for the payload's file")
    try:
        name = shlex.split(args.emulator)[0]
    except ValueError as error:
        raise catalog.Problem(f"--emulator {args.emulator}: {error}") from error
    if not shutil.which(name):
        raise catalog.Problem(f"cannot start {name}: no such program", 3)
    return runner.Command(template=args.emulator)


class Report:
    """TAP on standard output, a progress line on a terminal, JSON lines in a file."""

    def __init__(self, total, command, json_path=None):
        self.total = total
        self.command = command
        self.count = 0
        self.worst = 0
        self.tty = sys.stderr.isatty()
        try:
            self.json = open(json_path, "w", encoding="utf-8") if json_path else None
        except OSError as error:
            raise catalog.Problem(f"--json {json_path}: {error.strerror}") from error

    def begin(self, cell):
        if self.tty:
            print(f"\r\033[K[{self.count + 1}/{self.total}] {cell.name()}", end="",
                  file=sys.stderr, flush=True)

    def end(self, outcome):
        self.count += 1
        self.worst = max(self.worst, STATUS[outcome.verdict])
        if self.tty:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
        word = "ok" if outcome.verdict == "pass" else "not ok"
        print(f"{word} {self.count} - {outcome.cell.name()}  # {outcome.wall:.1f} s", flush=True)
        for line in (*outcome.why, *outcome.limits):
            print(f"# {line}")
        if outcome.log:
            print(f"# log: {outcome.log}\n# again: {outcome.cell.replay(self.command.options())}",
                  flush=True)
        if self.json:
            print(json.dumps(outcome.record()), file=self.json, flush=True)

    def close(self):
        print(f"1..{self.count}", flush=True)
        if self.json:
            self.json.close()
        return self.worst


def command_random(args):
    def make(inject):
        args.inject = args.inject or inject
        return make_command(args)

    return random_mode.command(args, make, choose_modes(args))


def command_linux(args):
    args.emulator = None
    args.mmu = args.mmu or ["auto"]
    return linux.command(args, make_command, choose_modes(args))


def command_list(_args):
    for name, what in catalog.payloads().items():
        print(f"{name:18} {what}")
    print("\nrandom             programs made at random: umbra-stress random")
    for name, what in linux.programs().items():
        print(f"{'linux ' + name:18} {what}")
    print(f"\nmodes: {', '.join(catalog.MODES)}")
    return 0


def command_run(args):
    command = make_command(args)
    cells = make_cells(args)
    images = catalog.build_images({f"{c.payload}.{c.state}" for c in cells})
    report = Report(len(cells), command, args.json)
    for cell in cells:
        report.begin(cell)
        report.end(runner.run(command, cell, images, args.logs, args.grace))
    return report.close()


def join_with(argv):
    """--with takes what looks like options itself."""
    joined = []
    for word in argv:
        if joined and joined[-1] == "--with":
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def main(argv):
    args = parser().parse_args(join_with(argv))
    commands = {"list": command_list, "run": command_run, "random": command_random, "linux": command_linux,
                "prove": prove.command,
                "nightly": nightly.command, "report": nightly.command_report}
    if args.command is None:
        parser().print_help(sys.stderr)
        return 2
    try:
        return commands[args.command](args)
    except catalog.Problem as problem:
        print(f"umbra-stress: {problem}", file=sys.stderr)
        return problem.status
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("\numbra-stress: interrupted", file=sys.stderr)
        return 130
