# SPDX-License-Identifier: MIT
"""One boot of one emulator: starts it, follows what the guest says on its serial port, and reads counters, CPU time and
host mappings when a program begins and ends."""
import glob
import hashlib
import json
import os
import platform
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
import urllib.request

from evaluation import programs

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.environ.get("UMBRA_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "umbra")
UMBRA = os.environ.get("UMBRA") or os.path.join(ROOT, "build/release/umbra")
PEERS = {"qemu7": "qemu-system-arm", "qemu10": os.path.join(CACHE, "bin/qemu-system-arm-10")}
HOST = ("native", "qemu-arm")  # no system: the programs themselves, on the host
OTHERS = (*PEERS, *HOST)
COUNTERS = ("spt_fills", "spt_global_fills", "spt_prefills", "spt_drops", "spt_retires", "spt_evictions", "soft_misses",
            "spt_faults", "sites_patched", "sites_unpatched", "spt_promotions", "spt_demotions", "context_switches",
            "translations", "shootdowns_sent", "shootdown_wait_ns")
TICK = os.sysconf("SC_CLK_TCK")
SAMPLE_S = 2


def have(mode):
    if mode == "qemu-arm":
        return shutil.which("qemu-arm") is not None
    return shutil.which(PEERS[mode]) is not None if mode in PEERS else True


def user_root(disk="bench"):
    """The packages of that disk, unpacked for user-mode emulation; made anew when they change."""
    packages = os.path.join(CACHE, "guest", disk + ".packages")
    with open(packages, encoding="utf-8") as f:
        names = f.read().split()
    root = os.path.join(CACHE, "guest", disk + "-root-" + hashlib.sha256("\n".join(names).encode()).hexdigest()[:12])
    if not os.path.exists(root):
        with tempfile.TemporaryDirectory(dir=os.path.dirname(root)) as work:
            for name in names:
                subprocess.run(["dpkg-deb", "-x", os.path.join(CACHE, "deb", name), os.path.join(work, "root")], check=True)
            os.rename(os.path.join(work, "root"), root)
    return root


def can_run(mode, program):
    """Is there something to run in this mode?"""
    if mode not in HOST:
        return True
    commands = programs.HOST_NEEDS.get(program, "").split()
    if mode == "native" or commands == ["sh"]:
        return bool(commands) and all(shutil.which(c, path=os.environ["PATH"] + ":/usr/games") for c in commands)
    return bool(commands) and all(user_program(c) for c in commands)


def user_program(name):
    """The path of an unpacked program, None without one."""
    if name == "gcc":  # its driver could not start the compiler
        found = glob.glob(os.path.join(user_root(), "usr/lib/gcc/*/*/cc1"))
        return found[0] if found else None
    paths = (os.path.join(user_root(), place, name) for place in ("usr/bin", "bin", "usr/games"))
    return next((os.path.realpath(p) for p in paths if os.path.exists(p)), None)


def prepare_host(mode, folder, archive):
    """A folder as the guest has it, where programs of the host or wrappers around the emulator stand first in PATH."""
    wrappers = os.path.join(folder, "bin")
    os.makedirs(wrappers)
    with tarfile.open(archive) as tar:
        tar.extractall(folder)
    if mode == "native":
        programs.compile_guest_programs(folder, os.environ.get("CC", "cc"))
        return wrappers
    for name in ("compute", "numeric"):
        os.rename(os.path.join(folder, name), os.path.join(folder, name + ".arm"))
        write_wrapper(os.path.join(folder, name), f"qemu-arm ./{name}.arm")
    for name in set(" ".join(programs.HOST_NEEDS.values()).split()) - {"sh"}:
        if path := user_program(name):
            write_wrapper(os.path.join(wrappers, name), f"qemu-arm -L {user_root()} {path}", COMPILER if name == "gcc" else "")
    return wrappers


# As the driver calls it, less -S, which the compiler itself does not know.
COMPILER = """for word; do
    shift
    [ "$word" = -S ] || set -- "$@" "$word"
done
set -- -quiet -mfloat-abi=hard -mtls-dialect=gnu -mthumb -march=armv7-a+fp "$@"
"""


def write_wrapper(path, command, before=""):
    with open(path, "w", encoding="utf-8") as f:
        f.write(f'#!/bin/sh\n{before}exec {command} "$@"\n')
    os.chmod(path, 0o755)

def build_of(mode):
    """What was measured: a short hash of our program, the version of a peer."""
    if mode in PEERS:
        out = subprocess.run([PEERS[mode], "--version"], capture_output=True, text=True, check=True).stdout
        return re.search(r"version (\S+)", out).group(1)
    if mode in HOST:
        return platform.machine() if mode == "native" else "qemu-arm"
    path = shlex.split(UMBRA)[0]
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()[:8]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def host_busy():
    """Seconds that all CPUs of the host have been used or stolen for since it started."""
    with open("/proc/stat", encoding="ascii") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    return (v[0] + v[1] + v[2] + v[5] + v[6] + v[7]) / TICK


class Snapshot:
    """Everything that is counted, at one moment."""

    def __init__(self, machine, at_start=False):
        """at_start: of an emulator that has just been started, which does not answer yet and has counted nothing."""
        self.time, self.busy = time.monotonic(), host_busy()
        self.counters = dict.fromkeys(COUNTERS if machine.port else (), 0) if at_start else machine.counters()
        with open(f"/proc/{machine.process.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        self.cpu = sum(map(int, fields[11:15])) / TICK  # its own and that of what it has waited for

    def since(self, before):
        """{metric: value} of the time in between."""
        elapsed = max(self.time - before.time, 1e-3)
        cpu = self.cpu - before.cpu
        metrics = {name: self.counters[name] - before.counters[name] for name in self.counters}
        metrics["cpu"] = round(cpu, 2)
        metrics["others"] = round(max(0.0, (self.busy - before.busy - cpu) / elapsed), 2)
        return metrics


class Failure(Exception):
    """The guest did not do what it should; args: what happened, end of its console."""


class Machine:
    """Use as a context manager: whatever happens, no emulator stays behind."""

    def __init__(self, mode, flavour, smp, append, drives, initramfs_only, options=(), popen=None):
        """popen: more arguments to Popen, by name."""
        self.mode, self.port, self.tail, self.mappings_max = mode, None, [], 0
        command = [PEERS[mode], "-accel", "tcg,thread=multi", "-nic", "none"] if mode in PEERS else \
            shlex.split(UMBRA) + ["-mmu", mode]
        if mode not in PEERS:
            self.port = free_port()
            command += ["-metrics", str(self.port)]
        guest = os.path.join(CACHE, "guest", flavour)
        command += ["-M", "virt", "-cpu", "cortex-a15", "-smp", str(smp), "-m", "1024", "-display", "none", "-serial", "stdio",
                    *options, "-no-reboot", "-kernel", f"{guest}/vmlinuz", "-initrd", f"{guest}/initrd.img"]
        root = "" if initramfs_only else " root=LABEL=umbra rw"
        command += ["-append", f"console=ttyAMA0 quiet{root} {append}"]
        if not initramfs_only:
            drives = [os.path.join(CACHE, "guest/bench.img") + ",snapshot=on"] + drives
        for i, path in enumerate(drives):
            command += ["-drive", f"if=none,file={path},format=raw,id=d{i}", "-device", f"virtio-blk-device,drive=d{i}"]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                                        **{"stdin": subprocess.DEVNULL, **(popen or {})})
        os.set_blocking(self.process.stdout.fileno(), False)

    @classmethod
    def on_host(cls, mode, folder, wrappers, script):
        """The script of the guest on the host; nothing is counted."""
        self = cls.__new__(cls)
        self.mode, self.port, self.tail, self.mappings_max, self.started = mode, None, [], 0, time.monotonic()
        environment = dict(os.environ, EVAL_FOLDER=folder, PATH=wrappers + ":" + os.environ["PATH"], LC_ALL="C")
        self.process = subprocess.Popen(["sh", script], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, start_new_session=True, env=environment)
        os.set_blocking(self.process.stdout.fileno(), False)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # a session of its own
        self.process.wait()
        self.process.stdout.close()

    def counters(self):
        if self.port is None:
            return {}
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
                page = answer.read().decode()
        except OSError as e:
            raise Failure(f"no counters: {e}", "\n".join(self.tail)) from None
        totals = {}
        for name, value in re.findall(r"^umbra_(\w+?)(?:_total)?\{[^}]*\} (\d+)$", page, re.MULTILINE):
            totals[name] = totals.get(name, 0) + int(value)
        return {name: totals[name] for name in COUNTERS}

    def count_mappings(self):
        try:
            with open(f"/proc/{self.process.pid}/maps", "rb") as f:
                count = sum(chunk.count(b"\n") for chunk in iter(lambda: f.read(1 << 20), b""))
        except (FileNotFoundError, ProcessLookupError):
            return 0
        self.mappings_max = max(self.mappings_max, count)
        return count

    def lines(self, patience, sample_mappings=False):
        """What the guest prints, line by line, until the emulator ends; Failure after so many seconds of silence."""
        rest, last, sampled = b"", time.monotonic(), time.monotonic()
        while True:
            select.select([self.process.stdout], [], [], SAMPLE_S)
            data = self.process.stdout.read()
            now = time.monotonic()
            if sample_mappings and now - sampled >= SAMPLE_S:
                self.count_mappings()
                sampled = now
            if data == b"":
                return
            if data is None:
                if now - last > patience:
                    raise Failure(f"silent for {patience:.0f} s", "\n".join(self.tail))
                continue
            last = now
            *whole, rest = (rest + data).split(b"\n")
            for raw in whole:
                line = raw.decode(errors="replace").rstrip("\r")
                self.tail = self.tail[-30:] + [line]
                yield line


def run_boot(mode, flavour, smp):
    """{metric: value} of power-on to power-off with the small initramfs, as the emulator says them at its end: it may be gone
    before anybody could ask it once more."""
    with tempfile.TemporaryDirectory() as folder:
        stats = os.path.join(folder, "stats.json")
        options = [] if mode in PEERS else ["-stats", stats]
        with Machine(mode, flavour, smp, "umbra.test=boot", [], True, options) as machine:
            busy, reached = host_busy(), False
            for line in machine.lines(120):
                reached = reached or "UMBRA: user space reached" in line
                if "UMBRA: powering off" in line:
                    machine.count_mappings()
            _, status, usage = os.wait4(machine.process.pid, 0)
            machine.process.returncode = os.waitstatus_to_exitcode(status)
            if not reached or status != 0:
                raise Failure(f"boot: status {machine.process.returncode}", "\n".join(machine.tail))
            seconds, cpu = time.monotonic() - machine.started, usage.ru_utime + usage.ru_stime
            metrics = {"cpu": round(cpu, 2), "others": round(max(0.0, (host_busy() - busy - cpu) / seconds), 2),
                       "seconds": round(seconds, 3), "vmas": machine.mappings_max}
        if options:
            with open(stats, encoding="utf-8") as f:
                total = json.load(f)["total"]
            metrics.update({name: total[name] for name in COUNTERS})
        return metrics


def run_on_host(mode, script, archive, patience):
    """As run_programs()."""
    with tempfile.TemporaryDirectory() as folder:
        wrappers = prepare_host(mode, folder, archive)
        with open(script, "rb") as f:
            text = f.read().rstrip(b"\0")
        path = os.path.join(folder, "script")
        with open(path, "wb") as f:
            f.write(text)
        yield from follow(Machine.on_host(mode, folder, wrappers, path), False, patience)


def run_programs(mode, flavour, smp, drives, initramfs_only, sample, patience):
    """Yields (program, {metric: value}) as programs end; a program whose status is not 0 has the metric "failed".

    Failure carries the name of the program that was running as its third argument.
    """
    yield from follow(Machine(mode, flavour, smp, "umbra.script=auto", drives, initramfs_only), sample, patience)


def follow(started, sample, patience):
    """What run_programs() yields, from a machine that was started."""
    current, metrics, ended = "boot", None, False
    with started as machine:
        try:
            for line in machine.lines(patience, sample):
                word = line.split()
                if word[:1] != ["UMBRA-EVAL"] or len(word) < 2:
                    continue
                if word[1] == "value" and metrics is not None:
                    metrics[word[3]] = float(word[4])
                    continue
                if metrics is not None:
                    yield current, metrics
                    metrics = None
                if word[1] == "begin":
                    current, machine.mappings_max, begin = word[2], 0, Snapshot(machine)
                elif word[1] == "end":
                    machine.count_mappings()
                    metrics = Snapshot(machine).since(begin)
                    metrics["vmas"] = machine.mappings_max
                    metrics["checksum"] = int(word[5], 16)
                    metrics["seconds" if word[3] == "0" else "failed"] = float(word[4])
                elif word[1] == "done":
                    ended = True
            status = machine.process.wait()
        except Failure as failure:
            raise Failure(*failure.args, current) from None
        if not ended or status != 0:
            raise Failure(f"the emulator ended with status {status}", "\n".join(machine.tail), current)
