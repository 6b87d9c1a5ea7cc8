#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The debugger stub, with gdb-multiarch as the debugger.

    gdb_stub.py            all cases
    gdb_stub.py NAME...    some of them

  basics     one CPU, both MMU modes: breakpoints, steps, registers and memory read and written, the MMU
             off and on, physical memory, system registers, detach, the guest runs on to its end
  watch      watchpoints of all three kinds stop at the right instruction, a neighbour in the same page
             does not; without them nothing is watched
  threads    four CPUs: each one's registers, steps of one while the others stand or run, Ctrl-C
  reset      `monitor reset` in the middle, breakpoints survive; kill ends the emulator
  linux      a running 4-CPU Debian kernel with symbols: break, continue, step, watch, Ctrl-C, memory;
             detached, it powers off
  garbage    what is no debugger is turned away, nothing breaks; a port in use is one clear sentence

UMBRA is the emulator to test (default build/release/umbra).
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boot

UMBRA = Path(os.environ.get("UMBRA") or boot.ROOT / "build/release/umbra")
BASE = ["-M", "virt", "-cpu", "cortex-a15", "-nographic"]
PROMPT = b"(gdb) "
LIMIT = 60


class Wrong(Exception):
    """A check failed."""


class Machine:
    """An emulator with a stub on a unix socket; its console is a file."""

    def __init__(self, folder, arguments, paused=True, reboot=False):
        self.path = Path(folder) / "gdb"
        self.log = Path(folder) / "console"
        self.path.unlink(missing_ok=True)
        command = [str(UMBRA)] + BASE + [str(word) for word in arguments]
        command += ["-gdb", f"unix:{self.path}"] + (["-S"] if paused else [])
        command += [] if reboot else ["-no-reboot"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log,
                                            stderr=subprocess.STDOUT)
        self.until(self.path.exists, "the stub's socket")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def console(self):
        return self.log.read_bytes().decode("utf-8", "replace")

    def until(self, condition, what, seconds=LIMIT):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise Wrong(f"no {what}: {self.console()[-500:]}")
            time.sleep(0.02)

    def type(self, text):
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def wait(self, status=0):
        try:
            got = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            got = None
        if got != status:
            raise Wrong(f"the emulator ended with {got}, not {status}: {self.console()[-500:]}")

    def need(self, pattern):
        if not re.search(pattern, self.console()):
            raise Wrong(f"the guest did not say {pattern}: {self.console()[-500:]}")


class Gdb:
    """gdb-multiarch on pipes, one command at a time."""

    def __init__(self, machine, symbols):
        self.process = subprocess.Popen(
            ["gdb-multiarch", "-q", "-nx", str(symbols)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.answer()
        for word in ("pagination off", "confirm off", "width 0", "remotetimeout 10",
                     "print entry-values no"):
            self.do(f"set {word}")
        self.do(f"target remote {machine.path}", r"\?\?|\bin\b|at ")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def answer(self):
        """What comes up to the next prompt."""
        text, deadline = b"", time.monotonic() + LIMIT
        while not text.endswith(PROMPT):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise Wrong(f"gdb does not answer: {text[-500:].decode('utf-8', 'replace')}")
            piece = self.process.stdout.read()
            if piece:
                text += piece
            else:
                time.sleep(0.005)
        return text[:-len(PROMPT)].decode("utf-8", "replace").strip()

    def send(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def check(self, command, pattern):
        text = self.answer()
        if pattern is not None and not re.search(pattern, text):
            raise Wrong(f"{command}: no {pattern!r} in {text!r}")
        return text

    def do(self, command, pattern=None):
        """Run a command; its output, which must match the pattern."""
        self.send(command)
        return self.check(command, pattern)

    def value(self, expression):
        """The value of an expression as a number."""
        text = self.do(f"output/u {expression}", r"^\d+$")
        return int(text)

    def need(self, expression, wanted):
        got = self.value(expression)
        if got != wanted:
            raise Wrong(f"{expression} is {got:#x}, not {wanted:#x}")

    def interrupt(self, pattern):
        """Ctrl-C while the machine runs."""
        self.process.send_signal(signal.SIGINT)
        return self.check("Ctrl-C", pattern)


def payload():
    """The folder of the bare-metal guest, which is built when it is not there yet."""
    out = UMBRA.resolve().parent / "guest"
    elf = out / "debuggee.arm.elf"
    result = subprocess.run([str(boot.ROOT / "tests/guest/build.sh"), str(out), "debuggee"],
                            capture_output=True, check=False)
    if result.returncode or not elf.exists():
        raise Wrong(f"cannot build debuggee: {result.stderr.decode()[-500:]}")
    return out


def bare(out, state="arm", cpus=4, mmu="spt"):
    elf = out / f"debuggee.{state}.elf"
    return elf, ["-smp", cpus, "-m", 256, "-mmu", mmu, "-kernel", elf]


def check_basics(folder):
    out = payload()
    for state, mmu in (("arm", "spt"), ("thumb", "soft")):
        elf, arguments = bare(out, state, 1, mmu)
        with Machine(folder, arguments) as machine, Gdb(machine, elf) as gdb:
            start = gdb.value("$pc")
            gdb.need("$sctlr & 1", 0)  # the MMU is off
            first = gdb.value(f"*(unsigned *){start}")
            gdb.do("break touch", "Breakpoint 1")
            gdb.do("continue", r"Breakpoint 1, touch \(value=1\)")
            gdb.need("$sctlr & 1", 1)
            gdb.need("$cpsr >> 5 & 1", state == "thumb")
            gdb.need(f"*(unsigned *){start}", first)  # no breakpoint is in memory
            gdb.do("finish", "payload_main")
            gdb.need("watched", 1)
            before = gdb.value("$pc")
            gdb.do("stepi")
            if not 0 < gdb.value("$pc") - before <= 4:
                raise Wrong("a step is not one instruction")
            gdb.do("tbreak look", "Temporary")
            gdb.do("continue", r"Breakpoint 1, touch \(value=2\)")
            gdb.do("delete 1")
            gdb.do("continue", "look")
            # Registers and memory of all sorts, written and read back.
            for register, number in (("$r7", 0x12345678), ("$tpidrurw", 0xabcd), ("$lr_fiq", 77),
                                     ("$cntkctl", 3)):
                gdb.do(f"set {register} = {number}")
                gdb.do("maintenance flush register-cache")
                gdb.need(register, number)
            gdb.do("set $d5 = 2.5")
            gdb.do("maintenance flush register-cache")
            gdb.do("p $d5", "2.5")
            gdb.do("p $q2", "u64")
            gdb.need("$midr", 0x414fc0f0)
            gdb.do("set var watched = 2")
            gdb.do("set var quiet = 0x55aa")
            gdb.need("quiet", 0x55aa)
            address = gdb.value("&quiet")
            gdb.do("monitor phys on", "physical")
            gdb.need(f"*(unsigned *){address}", 0x55aa)
            gdb.need("*(unsigned *)0x09000fe0 & 0xff", 0x11)  # PL011's identity
            gdb.do("monitor phys off", "virtual")
            gdb.do("maintenance packet qqemu.PhyMemMode", 'received: "0"')
            gdb.do("x/2i $pc", "look")
            gdb.do("monitor info", "CPU 0: power on")
            gdb.do("tbreak bump", "Temporary")
            gdb.do("continue", r"bump \(cpu=0\)")
            gdb.do("set var release = 1")
            gdb.do("detach", "detached")
            machine.wait()
            machine.need(r"released: 1\b[\s\S]*PASS")


def check_watch(folder):
    out = payload()
    for mmu in boot.MODES:
        elf, arguments = bare(out, "arm", 2, mmu)
        with Machine(folder, arguments) as machine, Gdb(machine, elf) as gdb:
            gdb.do("tbreak payload_main")
            gdb.do("continue", "payload_main")
            gdb.do("watch watched", "[Ww]atchpoint 2")
            gdb.do("continue", r"Old value = 0\s+New value = 1")
            gdb.do("continue", r"Old value = 1\s+New value = 2")
            gdb.need("quiet", 7)
            gdb.do("delete")
            gdb.do("rwatch watched", "Hardware read watchpoint")
            gdb.do("continue", r"Value = 2[\s\S]*look")
            gdb.do("delete")
            gdb.do("awatch rounds[1]", "access .* watchpoint")
            gdb.do("continue", r"Thread 2 hit.*rounds\[1\][\s\S]*bump \(cpu=1\)")
            gdb.do("delete")
            gdb.do("tbreak bump if cpu == 0", "Temporary")
            gdb.do("continue", r"bump \(cpu=0\)")
            gdb.do("set var release = 1")
            gdb.do("detach", "detached")
            machine.wait()
            machine.need("PASS")


def run_briefly(gdb):
    gdb.send("continue")
    time.sleep(0.1)
    gdb.interrupt("SIGINT")


def check_threads(folder):
    out = payload()
    elf, arguments = bare(out)
    with Machine(folder, arguments) as machine, Gdb(machine, elf) as gdb:
        gdb.do("info threads", r"CPU 0 \(on\)[\s\S]*CPU 3 \(off\)")
        gdb.do("hbreak bump if cpu == 2", "breakpoint 1")
        gdb.do("continue", r"Thread 3 hit Breakpoint 1, bump \(cpu=2\)")
        gdb.do("info threads", r"\* 3 +Thread 3 \(CPU 2 \(on\)\) +bump")
        gdb.do("delete")
        # Each thread has its own registers.
        seen = set()
        for cpu in range(4):
            gdb.do(f"thread {cpu + 1}")
            gdb.need("$mpidr & 3", cpu)
            seen.add(gdb.value("$sp"))
        if len(seen) != 4:
            raise Wrong("two CPUs have one stack")
        # One runs, the others stand.
        gdb.do("thread 2")
        gdb.do("set scheduler-locking on")
        others = [gdb.value(f"rounds[{cpu}]") for cpu in (0, 2, 3)]
        mine = gdb.value("rounds[1]")
        gdb.do("tbreak bump")
        gdb.do("continue", "Thread 2 hit Temporary breakpoint")
        gdb.do("tbreak bump")
        gdb.do("continue", "Thread 2 hit Temporary breakpoint")
        if gdb.value("rounds[1]") <= mine:
            raise Wrong("CPU 1 did not run")
        if [gdb.value(f"rounds[{cpu}]") for cpu in (0, 2, 3)] != others:
            raise Wrong("others ran though they were held")
        for _ in range(20):
            gdb.do("stepi")
        gdb.do("set scheduler-locking off")
        # While one steps, the others run.
        deadline = time.monotonic() + 10
        while gdb.value("rounds[3]") == others[2]:
            gdb.do("stepi")
            if time.monotonic() > deadline:
                raise Wrong("CPU 3 stands while CPU 1 steps")
        run_briefly(gdb)
        # Code that the debugger writes runs at once on all of them: bump() returns.
        gdb.do("set var *(unsigned *)bump = 0xe12fff1e")
        run_briefly(gdb)
        counts = [gdb.value(f"rounds[{cpu}]") for cpu in range(4)]
        run_briefly(gdb)
        if [gdb.value(f"rounds[{cpu}]") for cpu in range(4)] != counts:
            raise Wrong("old translations of what the debugger wrote still run")
        gdb.do("set var release = 1")
        gdb.do("detach", "detached")
        # Another debugger comes while it ends, or finds it gone.
        machine.wait()
        machine.need("PASS")


def check_reset(folder):
    out = payload()
    elf, arguments = bare(out)
    with Machine(folder, arguments, reboot=True) as machine:
        with Gdb(machine, elf) as gdb:
            start = gdb.value("$pc")
            gdb.do("break touch", "Breakpoint 1")
            gdb.do("continue", r"touch \(value=1\)")
            gdb.do("monitor reset", "reset")
            gdb.do("maintenance flush register-cache")
            gdb.need("$pc", start)
            gdb.do("continue", r"touch \(value=1\)")
        # That debugger was killed: the guest goes on, and the next one may attach.
        with Gdb(machine, elf) as gdb:
            gdb.do("break bump", "Breakpoint 1")
            gdb.do("continue", "bump")
            gdb.do("kill", "killed")
        machine.wait()


def kernel_symbols(machine, folder, names):
    """An ELF file with the addresses that a running guest's kernel gives its symbols."""
    machine.type(b"grep -wE '" + "|".join(names).encode() + b"' /proc/kallsyms; echo end-$((1 + 1))\n")
    machine.until(lambda: "end-2" in machine.console(), "symbols")
    found = dict(reversed(line.split()[::2])
                 for line in re.findall(r"^[0-9a-f]{8} \w \w+", machine.console(), re.MULTILINE))
    if set(names) - set(found):
        raise Wrong(f"no symbols {set(names) - set(found)}")
    source, elf = Path(folder) / "symbols.S", Path(folder) / "symbols.elf"
    lines = ['.section .kernel, "ax", %nobits', "base: .space 0x2000000"]
    for name, address in found.items():
        lines += [f".global {name}", f".type {name}, %function",
                  f".set {name}, base + {int(address, 16) - 0xc0000000:#x}"]
    source.write_text("\n".join(lines) + "\n")
    subprocess.run(["arm-linux-gnueabihf-gcc", "-nostdlib", "-static", "-o", elf, source,
                    "-Wl,--section-start=.kernel=0xc0000000,--build-id=none"], check=True,
                   capture_output=True)
    return elf


def check_linux(folder):
    guest = boot.GUEST / "armmp-lpae"
    boot.need_guest([boot.Cell("initramfs", "armmp-lpae", 4, "spt")])
    arguments = ["-smp", 4, "-m", 256, "-kernel", guest / "vmlinuz", "-initrd", guest / "initrd.img",
                 "-append", "console=ttyAMA0 quiet"]
    with Machine(folder, arguments, paused=False) as machine:
        machine.until(lambda: "user space reached" in machine.console(), "user space")
        symbols = kernel_symbols(machine, folder, ["uptime_proc_show", "vfs_read"])
        with Gdb(machine, symbols) as gdb:
            gdb.do("info threads", r"CPU 0 \(on\)[\s\S]*CPU 3 \(on\)")
            # A breakpoint that user space runs into, on whichever CPU.
            gdb.do("break *uptime_proc_show", "Breakpoint 1")
            gdb.send("continue")
            machine.type(b"cat /proc/uptime; echo up-$((1 + 2))\n")
            gdb.check("continue", r"hit Breakpoint 1, .*uptime_proc_show")
            gdb.need("$cpsr & 0x1f", 0x13)
            gdb.need("$sctlr & 1", 1)
            entry, buffer = gdb.value("$pc"), gdb.value("$r0")
            for _ in range(10):
                gdb.do("stepi")
            if gdb.value("$pc") == entry:
                raise Wrong("ten steps lead nowhere")
            for cpu in range(4):
                gdb.do(f"thread {cpu + 1}")
                gdb.need("$mpidr & 3", cpu)
            gdb.do("delete")
            # It prints into a buffer whose fill (a word of its first argument) grows.
            gdb.do(f"watch *(unsigned *){buffer + 12}", "atchpoint")
            gdb.do("continue", r"Old value = 0\s+New value = [1-9]")
            gdb.do("delete")
            # Code that the debugger writes is what runs next: the function returns 0 at once.
            saved = [gdb.value(f"*(unsigned *){entry + i}") for i in (0, 4)]
            for i, word in ((0, 0xe3a00000), (4, 0xe12fff1e)):
                gdb.do(f"set var *(unsigned *){entry + i} = {word}")
            gdb.send("continue")
            machine.until(lambda: "up-3" in machine.console(), "answer")
            machine.type(b"echo; echo patched:$(cat /proc/uptime): $((2 + 2))\n")
            machine.until(lambda: "patched:: 4" in machine.console(), "empty uptime")
            gdb.interrupt("SIGINT")
            for i, word in zip((0, 4), saved):
                gdb.do(f"set var *(unsigned *){entry + i} = {word}")
            gdb.do("break vfs_read", "Breakpoint")
            gdb.send("continue")
            machine.type(b"echo whole:$(cat /proc/uptime):\n")
            gdb.check("continue", "vfs_read")
            gdb.do("detach", "detached")
            machine.until(lambda: re.search(r"whole:\d+\.\d+ ", machine.console()), "uptime")
        machine.type(b"poweroff -f\n")
        machine.wait()
        if boot.CRIES.search(machine.console()):
            raise Wrong(f"the guest complains: {machine.console()[-1000:]}")


def check_garbage(folder):
    elf, arguments = bare(payload())
    path = Path(folder) / "gdb"
    with Machine(folder, arguments) as machine:
        hostile = [b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 1024, b"$" * 100000,
                   b"$m0,ffffffffffffffff#00", b"$" + b"m" * 40000 + b"#00", b"\x03" * 200000,
                   b"-" * 200000, b"$g#67+$vCont;s:ffffffff#af$vCont;c:p0.0#00"]
        hostile += [b"$%s#%02x" % (text, sum(text) & 255) for text in (
            b"", b"Z", b"Z0", b"Z0,", b"Z0,zz,4", b"Z9,0,0", b"Z2,0,ffffffffffffffff", b"z2,1,1",
            b"m", b"m,", b"mffffffffffffffff,10", b"m0,ffffffff", b"M0,4:12", b"X0,10:ab", b"P", b"P0",
            b"Pffffffff=0", b"p", b"pffffffffffffffff", b"G12", b"Hgzz", b"Hx1", b"T99", b"vCont",
            b"vCont;", b"vCont;q", b"vCont;C", b"vCont;c:99", b"qRcmd,zz", b"qRcmd," + b"41" * 500,
            b"qXfer:features:read:target.xml:ffffffffffffffff,ffffffffffffffff", b"qThreadExtraInfo,99",
            b"vMustReplyEmpty", b"s12zz", b"}", b"X0,1:}")]
        for data in hostile:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(10)
                peer.connect(str(path))
                try:
                    peer.sendall(data)
                    peer.shutdown(socket.SHUT_WR)
                    while peer.recv(65536):
                        pass
                except (BrokenPipeError, ConnectionResetError):
                    pass
            if machine.process.poll() is not None:
                raise Wrong(f"the emulator died of {data[:40]!r}")
        with Gdb(machine, elf) as gdb:
            gdb.do("info threads", r"CPU 3")
            with socket.socket(socket.AF_UNIX) as second:
                second.connect(str(path))
                second.settimeout(10)
                if second.recv(1):
                    raise Wrong("two debuggers at a time")
            gdb.do("kill", "killed")
        machine.wait()
    for option in ("unix:" + str(path), "tcp:127.0.0.1:{}"):
        listener = socket.socket(socket.AF_UNIX if option[0] == "u" else socket.AF_INET)
        with listener:
            listener.bind(str(path) if option[0] == "u" else ("127.0.0.1", 0))
            listener.listen()
            port = "" if option[0] == "u" else listener.getsockname()[1]
            command = [str(UMBRA)] + BASE + [str(word) for word in arguments]
            result = subprocess.run(command + ["-gdb", option.format(port)], capture_output=True,
                                    timeout=LIMIT, check=False, stdin=subprocess.DEVNULL)
        text = result.stderr.decode()
        if result.returncode != 1 or text.count("\n") != 1 or "already in use" not in text:
            raise Wrong(f"{option} in use: status {result.returncode}, {text!r}")


CASES = {"basics": check_basics, "watch": check_watch, "threads": check_threads,
         "reset": check_reset, "linux": check_linux, "garbage": check_garbage}


def main():
    if not shutil.which("gdb-multiarch"):
        sys.exit("gdb_stub.py: gdb-multiarch is missing (scripts/setup)")
    failed = 0
    for name in sys.argv[1:] or CASES:
        if name not in CASES:
            sys.exit(f"gdb_stub.py: unknown case {name}: {', '.join(CASES)}")
        started = time.monotonic()
        problem = None
        with tempfile.TemporaryDirectory(prefix="umbra-gdb-") as folder:
            try:
                CASES[name](folder)
            except Wrong as wrong:
                problem = wrong
        failed += bool(problem)
        took = f"({time.monotonic() - started:.1f} s)"
        print(f"FAIL {name}: {problem}" if problem else f"ok {name} {took}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
