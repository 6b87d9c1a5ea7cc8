# SPDX-License-Identifier: MIT
"""One run of one payload: start the emulator, watch it against a time limit, judge what it printed.

The log of a run that is not a pass is kept. The emulator runs in a session of its own, which is
killed as a whole at the time limit. That counts CPU time rather than the clock's (Patience), or a busy
host would give false alarms.
"""

import os
import re
import shlex
import signal
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from . import catalog, coverage, stopper

GRACE = 20  # seconds of CPU time above the asked-for time that a run may take


@dataclass(frozen=True)
class Cell:
    """What is run: one payload image on so many CPUs in one mode, with a seed and a duration."""
    payload: str
    state: str
    mode: str  # of catalog.MODES; "-" for another emulator
    smp: int
    seed: int
    seconds: float
    pinned: bool = False
    stops: bool = False
    extra: str = ""  # more options of the emulator

    def name(self):
        pin = (" pinned" if self.pinned else "") + (" stops" if self.stops else "")
        pin += f" with {self.extra}" if self.extra else ""
        return f"{self.payload}.{self.state} {self.mode} smp{self.smp}{pin} seed {self.seed}"

    def replay(self, options=""):
        mode = "" if self.mode == "-" else f" -mmu {self.mode}"
        pin = " --pin-one-core" if self.pinned else ""
        pin += " --stop-threads" if self.stops else ""
        pin += self.with_extra()
        return (f"umbra-stress run {self.payload}.{self.state}{mode} -smp {self.smp} "
                f"-seed {self.seed} -t {self.seconds:g}{pin}{options}")

    def with_extra(self):
        return f" --with {shlex.quote(self.extra)}" if self.extra else ""


@dataclass
class Outcome:
    """What came of it. verdict: pass, fail (a check failed), broken (no complete report)."""
    cell: Cell
    verdict: str
    why: list
    wall: float
    log: str
    met: dict = field(default_factory=dict)  # coverage.parse()
    limits: tuple = ()  # what the payload says that the emulator is known not to do

    def record(self):
        return asdict(self.cell) | {"verdict": self.verdict, "why": self.why,
                                    "wall": round(self.wall, 2), "log": self.log} | (
            {"met": self.met} if self.met else {})


class Command:
    """How an emulator is started: umbra in a mode, or another one by template."""

    def __init__(self, template=None, binary=None, extra=()):
        self.template = template
        self.binary = binary
        self.extra = list(extra)

    def options(self):
        """The options of umbra-stress run that make this command."""
        template = f" --emulator {shlex.quote(self.template)}" if self.template else ""
        return template + (f" --inject {self.extra[1]}" if self.extra else "")

    def strictness(self, cell):
        """What a payload may ask for, when the emulator is told to keep it."""
        return " strict=1" if "-exclusive strict" in " ".join(shlex.split(cell.extra)) else ""

    def line(self, cell, image):
        text = f"seed={cell.seed} ms={int(cell.seconds * 1000)}" + self.strictness(cell)
        if self.template is None:
            return [str(self.binary), "-M", "virt", "-cpu", catalog.cpu_model(cell.payload), "-smp", str(cell.smp),
                    "-m", "256", "-nographic", "-no-reboot", *catalog.MODES[cell.mode],
                    *self.extra, *shlex.split(cell.extra), "-append", text, "-kernel", str(image)]
        words = shlex.split(self.template)
        line = [word.replace("%k", str(image)).replace("%n", str(cell.smp)).replace("%a", text)
                for word in words]
        return line if any("%a" in word for word in words) else line + ["-append", text]


def judge(text, status, limit):
    """(verdict, why) of what was printed; status None: killed at the limit."""
    bad, plan, seen, final = [], None, 0, None
    for line in text.replace("\r", "").splitlines():
        if re.match(r"(not )?ok \d+ - ", line):
            seen += 1
            if line.startswith("not"):
                bad.append(line.split(" - ", 1)[1])
        elif re.fullmatch(r"1\.\.\d+", line):
            plan = int(line[3:])
        elif line.startswith("Bail out!"):
            bad.append(line)
        elif line in ("PASS", "FAIL"):
            final = line
    if status is None:
        how = "hangs" if text.strip() else "prints nothing"
        return "broken", bad + [f"it {how}: killed after {limit:g} s"]
    if status != 0:
        how = f"died of signal {-status}" if status < 0 else f"ended with status {status}"
        last = text.strip().splitlines()[-1:] or ["nothing printed"]
        return "broken", bad + [f"the emulator {how}: {last[0][:200]}"]
    if final is None or (plan != seen and not bad):
        return "broken", bad + ["the guest ended without a report" if text.strip()
                                else "the emulator ended and printed nothing"]
    if bad or final == "FAIL":
        return "fail", bad or ["the guest says FAIL"]
    return "pass", []


def limits_of(text):
    """Known limitations, which are no failures, with what was found."""
    return tuple(re.findall(r"^# (known limitation: .*?)\r?$", text, re.MULTILINE))


def _one_core():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _kill(process, sig):
    try:
        os.killpg(process.pid, sig)
    except ProcessLookupError:
        pass


def _look_at(pid):
    """Seconds that the process's threads ran on a CPU, those that each waited for one, and whether a thread runs
    or waits right now."""
    ran, waited, runnable = 0, {}, False
    for task in Path(f"/proc/{pid}/task").glob("*"):
        try:
            on_cpu, waited_ns = (task / "schedstat").read_text(encoding="ascii").split()[:2]
            runnable |= (task / "stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] in "RD"
        except (OSError, IndexError, ValueError):
            continue
        ran += int(on_cpu)
        waited[task.name] = int(waited_ns) / 1e9
    return ran / 1e9, waited, runnable


class Pulse:
    """A payload whose last line is BEAT has promised another line soon: it hangs when none comes in STILL seconds,
    not counting those in which the host kept one of its threads waiting for a CPU."""
    BEAT = "# beat"
    STILL = 3

    def __init__(self, log):
        self.log, self.size, self.at, self.waited, self.beats = log, -1, 0.0, {}, False

    def last_bytes(self):
        """Of a log that may be long."""
        with self.log.open("rb") as log:
            log.seek(max(log.seek(0, os.SEEK_END) - 2 * len(self.BEAT), 0))
            return log.read()

    def stopped(self, now, waited):
        size = self.log.stat().st_size
        if size != self.size:
            self.size, self.at, self.waited = size, now, waited
            self.beats = self.last_bytes().rstrip().endswith(self.BEAT.encode())
        kept = max((seconds - self.waited.get(thread, 0) for thread, seconds in waited.items()), default=0)
        return self.beats and now - self.at - kept > self.STILL


class Patience:
    """Tells a run that has had its time from one that a busy host did not let have it: the limit is one of
    CPU time, of all CPUs of the host, since the last line of output, for as long as there are threads that run
    or want to. Who only sleeps will not wake up."""
    ASLEEP = 8     # seconds in which next to nothing ran and nobody was seen to want to
    SHARE = 0.02   # next to nothing
    MOST = 10      # times the limit that is waited for at most

    def __init__(self, pid, limit, log):
        self.pid, self.limit, self.log = pid, limit, log
        self.start = self.awake = time.monotonic()
        self.printed, self.ran, self.ran_awake = 0, 0.0, 0.0
        self.pulse = Pulse(log)

    def over(self):
        """Called once in a while: is it not worth while to wait? Before the limit only a pulse can say so."""
        now, (ran, waited, runnable) = time.monotonic(), _look_at(self.pid)
        printed = self.log.stat().st_size
        if printed != self.printed:
            self.printed, self.ran = printed, ran
        if runnable or ran - self.ran_awake > self.SHARE * (now - self.awake):
            self.awake, self.ran_awake = now, ran
        if self.pulse.stopped(now, waited):
            return True
        if now - self.start < self.limit:
            return False
        return (ran - self.ran >= self.limit * len(os.sched_getaffinity(0)) or
                now - self.start > self.MOST * self.limit or now - self.awake >= self.ASLEEP)


def _wait(process, limit, log, stops=False, patient=True):
    """The exit status; None: it had to be killed. Politely at first, so that it may say what it counted."""
    patience, end = Patience(process.pid, limit, log), time.monotonic() + limit
    try:
        while True:
            if stops:
                stopper.stop_once(process.pid)
            left = end - time.monotonic()
            try:
                return process.wait(timeout=0.01 if stops else max(min(left, 1), 0.01 if left > 0 else 1))
            except subprocess.TimeoutExpired:
                if patience.over() or (not patient and time.monotonic() >= end):
                    break
        _kill(process, signal.SIGTERM)
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            pass
        return None
    finally:
        _kill(process, signal.SIGKILL)
        process.wait()


def start(line, log, limit, pinned=False, stops=False, patient=True):
    """The exit status of a command whose output goes to the log, after the command; None: killed."""
    with open(log, "w", encoding="utf-8") as out:
        out.write(f"# {shlex.join(line)}\n")
        out.flush()
        try:
            process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=out,
                                       stderr=subprocess.STDOUT, start_new_session=True,
                                       preexec_fn=_one_core if pinned else None)
        except OSError as error:
            raise catalog.Problem(f"cannot start {line[0]}: {error.strerror}", 3) from error
        return _wait(process, limit, Path(log), stops, patient)


def run(command, cell, images, logs, grace=GRACE, patient=True):
    """Run one cell; an Outcome whatever happens, but for an emulator that cannot be started. Unless patient,
    the limit is one of the wall clock, also where the host is busy."""
    image = images / f"{cell.payload}.{cell.state}.elf"
    line = command.line(cell, image)
    limit = 2 * cell.seconds + grace
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / (re.sub(r"[^\w.-]+", "-", cell.name()) + f"-{os.getpid()}.log")
    started = time.monotonic()
    status = start(line, log, limit, cell.pinned, cell.stops, patient)
    wall = time.monotonic() - started
    text = Path(log).read_text(encoding="utf-8", errors="replace").split("\n", 1)[1]
    verdict, why = judge(text, status, round(wall))
    if verdict == "pass":
        log.unlink()
    return Outcome(cell, verdict, why, wall, "" if verdict == "pass" else str(log), coverage.parse(text),
                   limits_of(text))
