# SPDX-License-Identifier: MIT
"""umbra-stress linux: the programs of stress/linux in a Debian guest, one boot for all of them.

Programs are cross-compiled and linked statically. They reach the guest in a tar archive on a drive of its
own, and a script on another one runs them one by one; the root disk is that of scripts/guest, and what the
guest writes to it is thrown away. Each program prints TAP between two lines of the script. Faults are armed
between these lines only (-inject from=FILE), so that what notices them is the program and not the boot.
"""

import contextlib
import os
import random
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from . import catalog, coverage, runner

SOURCES = catalog.ROOT / "stress/linux"
FLAVOURS = ("armmp-lpae", "armmp")
BOOT = 600   # seconds that a boot may take on a busy host
STRETCH = 4  # and how much slower than asked for a program may be,
STUCK = 60   # and by how many seconds besides: then the guest ends it
FLAGS = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wstrict-prototypes",
         "-march=armv7-a", "-mfpu=vfpv3-d16", "-static", "-pthread", "-s"]
# What a healthy kernel never prints.
CRIES = re.compile(r"Oops|\bBUG\b|Unable to handle|Internal error|Kernel panic|rcu.*detected (expedited )?stall|soft lockup|"
                   r"hung task|WARNING: CPU|undefined instruction|Unhandled (fault|prefetch abort)|"
                   r"bad mode|umbra: (bug|fatal)", re.IGNORECASE)
MARK = re.compile(r"UMBRA-STRESS (begin|end) (\w+)(?: (\d+))?")


@dataclass(frozen=True)
class LinuxCell(runner.Cell):
    """payload: names of programs, joined by '+'; state: the kernel's flavour."""

    def replay(self, options=""):
        return (f"umbra-stress linux {self.payload.replace('+', ' ')} -mmu {self.mode} -smp {self.smp} "
                f"-seed {self.seed} -t {self.seconds:g} --flavour {self.state}{self.with_extra()}{options}")


def programs():
    return {path.stem: catalog.sentence_of(path) for path in sorted(SOURCES.glob("*.c"))}


def add_arguments(commands, positive):
    linux = commands.add_parser("linux", help="programs in a Debian guest (scripts/guest)")
    linux.add_argument("names", nargs="*", metavar="NAME", help=", ".join(programs()))
    linux.add_argument("-smp", type=positive(int, 1, catalog.SMP_MAX), default=4,
                       help="CPUs (default: 4)")
    linux.add_argument("-t", type=positive(float, 0.1, 86400), default=5.0, metavar="SECONDS",
                       help="time of each program (default: 5)")
    linux.add_argument("-seed", type=positive(int, 0, 2**32 - 1), help="of the programs' choices")
    linux.add_argument("-mmu", action="append", metavar="MODE", help="default: auto")
    linux.add_argument("--flavour", choices=FLAVOURS, default=FLAVOURS[0], help="of the kernel")
    linux.add_argument("--inject", metavar="LIST", help="umbra -inject LIST while a program runs (build "
                       "preset inject)")
    linux.add_argument("--with", dest="extra", default="", metavar="OPTIONS",
                       help="more options of umbra, in one word")
    linux.add_argument("--logs", type=Path, default=Path(tempfile.gettempdir()) / "umbra-stress",
                       help="where logs of failures are kept (default: %(default)s)")


def guest_folder():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("UMBRA_CACHE") or Path(base) / "umbra") / "guest"


def guest_files(flavour):
    """kernel, initramfs, root disk"""
    folder = guest_folder()
    files = [folder / flavour / "vmlinuz", folder / flavour / "initrd.img", folder / "disk.img"]
    missing = [str(path) for path in files if not path.exists()]
    if missing:
        raise catalog.Problem(f"missing {', '.join(missing)}: run scripts/guest", 3)
    return files


def compiler_name():
    return os.environ.get("GUEST_CC", "arm-linux-gnueabihf-gcc")


def possible():
    """Is there all that it takes?"""
    try:
        guest_files(FLAVOURS[0])
        guest_files(FLAVOURS[1])
    except catalog.Problem:
        return False
    return shutil.which(compiler_name()) is not None and bool(programs())


def build(names, folder):
    compiler = compiler_name()
    for name in names:
        line = [compiler, *FLAGS, str(SOURCES / f"{name}.c"), "-o", str(folder / name)]
        try:
            done = subprocess.run(line, capture_output=True, text=True, check=False)
        except OSError as error:
            raise catalog.Problem(f"{compiler}: {error.strerror}; run scripts/setup", 3) from error
        if done.returncode:
            raise catalog.Problem(f"{name} does not build:\n{done.stderr.strip()}", 3)


def pad(path, size=65536):
    with open(path, "ab") as out:
        out.write(b"\0" * (-path.stat().st_size % size))


def make_drives(cell, folder):
    """The script and the archive."""
    names = cell.payload.split("+")
    build(names, folder)
    threads = max(cell.smp - 1, 1)
    script = ["#!/bin/sh", "mkdir -p /run/stress", "cd /run/stress",
              "for disk in /dev/vd?; do tar xf $disk 2>/dev/null; done",
              "echo 1 >/proc/sys/vm/unprivileged_userfaultfd 2>/dev/null"]
    for name in names:
        script += [f"echo UMBRA-STRESS begin {name}",
                   f"timeout -s KILL {STRETCH * cell.seconds + STUCK:g} ./{name} {cell.seconds:g} {threads} "
                   f"{cell.seed}",
                   f"echo UMBRA-STRESS end {name} $?"]
    paths = folder / "script", folder / "archive"
    paths[0].write_text("\n".join(script) + "\n", encoding="utf-8")
    with tarfile.open(paths[1], "w", format=tarfile.GNU_FORMAT) as archive:
        for name in names:
            archive.add(folder / name, name)
    for path in paths:
        pad(path)
    return paths


class Faults:
    """Arms the faults of a program while it runs: follows what the guest prints, and writes the file that the
    emulator follows."""

    POLL = 0.05

    def __init__(self, faults, log, path):
        self.faults, self.log, self.path = faults, log, path
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.follow)

    def __enter__(self):
        self.arm("")
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    def arm(self, text):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.rename(self.path)

    def follow(self):
        rest = ""
        while not self.log.exists() and not self.over.wait(self.POLL):
            pass
        with open(self.log, encoding="utf-8", errors="replace") as lines:
            while not self.over.wait(self.POLL):
                *whole, rest = (rest + lines.read()).split("\n")
                marks = [mark for mark in map(MARK.search, whole) if mark]
                if marks:
                    self.arm(self.faults.get(marks[-1][2], "") if marks[-1][1] == "begin" else "")


def boot_words(extra):
    """The kernel's command line. Its watchdogs go by the clock, which runs on while -inject perturb makes umbra sleep
    and yield; a CPU that stays away for ever shows by the time limit all the same."""
    quiet = " nowatchdog rcupdate.rcu_cpu_stall_suppress=1" if catalog.needs_injection(extra) else ""
    return "console=ttyAMA0 root=LABEL=umbra rw umbra.script=auto" + quiet


def command_line(command, cell, drives, extra):
    kernel, initrd, disk = guest_files(cell.state)
    line = [str(command.binary), "-M", "virt", "-cpu", "cortex-a15", "-smp", str(cell.smp), "-m", "512",
            "-nographic", "-no-reboot", *catalog.MODES[cell.mode], *extra,
            "-kernel", str(kernel), "-initrd", str(initrd),
            "-append", boot_words(cell.extra)]
    for number, (path, how) in enumerate([(disk, "snapshot=on"), *((d, "readonly=on") for d in drives)]):
        line += ["-drive", f"if=none,id=d{number},format=raw,{how},file={path}",
                 "-device", f"virtio-blk-device,drive=d{number}"]
    return line


def split_output(text):
    """Name -> (lines, status or None), and all lines that belong to none."""
    parts, rest, name = {}, [], None
    for line in text.replace("\r", "").splitlines():
        mark = MARK.search(line)
        if mark and mark[1] == "begin":
            name = mark[2]
            parts[name] = ([], None)
        elif mark:
            parts[mark[2]] = (parts.get(mark[2], ([],))[0], int(mark[3] or 1))
            name = None
        else:
            (parts[name][0] if name else rest).append(line)
    return parts, rest


def judge(cell, text, status, limit):
    """(verdict, why) of the whole boot, and the verdict of each program."""
    parts, _ = split_output(text)
    each, why, broken = {}, [], False
    for name in cell.payload.split("+"):
        lines, ended = parts.get(name, ([], None))
        bad = [line for line in lines if re.match(r"not ok \d+ - |Bail out!", line)]
        complete = ended is not None and any(re.fullmatch(r"1\.\.\d+", line) for line in lines)
        if not bad and (not complete or ended != 0):
            bad = ["it did not start" if name not in parts else "it did not end" if ended is None
                   else f"it ended with status {ended}"]
            broken = True
        each[name] = bad
        why += [f"{name}: {line}" for line in bad]
    why += [f"log: {line[:160]}" for line in text.splitlines() if CRIES.search(line)]
    if status != 0:
        how = f"killed after {limit:g} s" if status is None else f"the emulator ended with status {status}"
        why.append(how)
        broken = True
    return ("pass" if not why else "broken" if broken else "fail"), why, each


def run(command, cell, logs, faults=None):
    """(Outcome of the boot, verdict of each program). faults: for each program what is injected while it runs;
    otherwise what the command has holds for all of them."""
    names = cell.payload.split("+")
    if faults is None and command.extra:
        faults = dict.fromkeys(names, command.extra[1])
    limit = BOOT + (STRETCH * cell.seconds + STUCK) * len(names)
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / (re.sub(r"[^\w.-]+", "-", f"linux-{cell.name()}") + f"-{os.getpid()}.log")
    guest_files(cell.state)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="umbra-stress-") as scratch:
        path = Path(scratch) / "faults"
        extra = [*(["-inject", f"from={path}"] if faults else []), *shlex.split(cell.extra)]
        line = command_line(command, cell, make_drives(cell, Path(scratch)), extra)
        log.unlink(missing_ok=True)
        with Faults(faults, log, path) if faults else contextlib.nullcontext():
            status = runner.start(line, log, limit)
    wall = time.monotonic() - started
    text = log.read_text(encoding="utf-8", errors="replace").split("\n", 1)[1]
    verdict, why, each = judge(cell, text, status, limit)
    if verdict == "pass":
        log.unlink()
    return runner.Outcome(cell, verdict, why, wall, "" if verdict == "pass" else str(log),
                          coverage.parse(text)), each


def command(args, make_command, modes):
    known = programs()
    for name in args.names:
        if name not in known:
            raise catalog.Problem(f"no program '{name}'; there are {', '.join(known)}")
    seed = args.seed if args.seed is not None else random.randrange(1, 2**31)
    emulator, number, worst = make_command(args), 0, 0
    for mode in modes:
        cell = LinuxCell("+".join(args.names or known), args.flavour, mode, args.smp, seed, args.t,
                         extra=args.extra)
        outcome, each = run(emulator, cell, args.logs)
        for name, bad in each.items():
            number += 1
            print(f"{'not ok' if bad else 'ok'} {number} - linux {name} {args.flavour} {mode} "
                  f"smp{args.smp} seed {seed}", flush=True)
        for line in outcome.why:
            print(f"# {line}")
        print(f"# {outcome.wall:.1f} s", flush=True)
        if outcome.log:
            inject = f" --inject {shlex.quote(args.inject)}" if args.inject else ""
            print(f"# log: {outcome.log}\n# again: {cell.replay(inject)}", flush=True)
        worst = max(worst, {"pass": 0, "fail": 1, "broken": 3}[outcome.verdict])
    print(f"1..{number}")
    return worst
