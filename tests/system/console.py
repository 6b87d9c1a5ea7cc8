#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The emulator at a terminal, and at rest.

    console.py            all cases
    console.py NAME...    some of them

  shell     what is typed reaches the guest's shell, what it answers comes back; Ctrl-A x ends the
            emulator and the terminal is as it was before
  sockets   a shell behind -serial tcp: and unix:, client after client
  signals   SIGINT, SIGTERM and SIGHUP end it within seconds, terminal restored, and a write that the
            guest has finished is in the disk's file
  fatal     no memory left for guest RAM ends it with one sentence, a crash with its signal, and the
            terminal is restored
  idle      8 idle CPUs use less than 3 % of one of the host's, with and without windows

UMBRA is the command to test (default build/release/umbra).
"""

import os
import pty
import resource
import select
import signal
import socket
import subprocess
import tempfile
import termios
import time
from pathlib import Path

import guest

PROMPT = b"# "


class Console:
    """An emulator on a pseudo terminal."""

    def __init__(self, arguments):
        if guest.is_peer():
            arguments = [word for word in arguments if word not in ("-mmu", "soft", "spt")]
            arguments += ["-nic", "none"]
        command = guest.emulator() + guest.machine(1) + ["-nographic", "-no-reboot"] + \
            guest.kernel("console=ttyAMA0 quiet") + arguments
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.output = b""
        self.process = subprocess.Popen(command, stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def wait_for(self, text, seconds):
        """Read until text has come, and drop what came up to it; False when the time is over."""
        deadline = time.monotonic() + seconds
        while text not in self.output:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                return False
            self.output += os.read(self.master, 65536)
        self.output = self.output[self.output.index(text) + len(text):]
        return True

    def type(self, text):
        os.write(self.master, text)

    def ended(self, seconds):
        """The status after at most so many seconds, or None. Output is read on meanwhile."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.1)[0]:
                self.output += os.read(self.master, 65536)
        return self.process.poll()

    def terminal_restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def at_prompt(self):
        return self.wait_for(b"UMBRA: user space reached", 120) and self.wait_for(PROMPT, 30)


def check_shell():
    with Console(["-smp", "2"]) as console:
        if not console.at_prompt():
            return f"no prompt: {console.output[-300:]}"
        console.type(b"echo answer-$((6 * 7))\n")
        if not console.wait_for(b"answer-42", 20):
            return f"no answer: {console.output[-300:]}"
        # An interrupt character is the guest's, not ours.
        console.type(b"sleep 1000\n")
        time.sleep(1)
        console.type(b"\x03")
        console.type(b"echo still-$((1 + 1))\n")
        if not console.wait_for(b"still-2", 20):
            return f"Ctrl-C did not end sleep: {console.output[-300:]}"
        console.type(b"\x01x")
        status = console.ended(10)
        if status != 0:
            return f"Ctrl-A x: status {status}"
        if not console.terminal_restored():
            return "Ctrl-A x: the terminal is not as it was"
    return None


def ask(connection, question, answer):
    """Type a line; does the answer come back? What came is returned when it does not."""
    connection.settimeout(20)
    connection.sendall(question)
    text = b""
    try:
        while answer not in text and (chunk := connection.recv(4096)):
            text += chunk
    except TimeoutError:
        pass
    return None if answer in text else f"no {answer!r} in {text[-300:]!r}"


def check_sockets():
    with tempfile.TemporaryDirectory(prefix="umbra-console-") as scratch:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        places = {f"tcp:127.0.0.1:{port}": (socket.AF_INET, ("127.0.0.1", port)),
                  f"unix:{scratch}/serial": (socket.AF_UNIX, f"{scratch}/serial")}
        for spec, (family, address) in places.items():
            with Console(["-serial", f"{spec},server=on,wait=on"]) as console:
                if not console.wait_for(b"waiting for a client", 20):
                    return f"{spec}: {console.output!r}"
                for client in range(2):
                    with socket.socket(family) as connection:
                        connection.connect(address)
                        problem = None if client else ask(connection, b"", PROMPT)
                        problem = problem or ask(connection, b"echo answer-$((6 * 7))\n", b"answer-42")
                    if problem:
                        return f"{spec}, client {client + 1}: {problem}"
    return None


def check_signals():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with tempfile.NamedTemporaryFile(prefix="umbra-disk-") as disk:
            disk.truncate(8 << 20)
            with Console(["-smp", "2", "-drive", f"if=none,id=d,format=raw,file={disk.name}",
                          "-device", "virtio-blk-device,drive=d"]) as console:
                if not console.at_prompt():
                    return f"no prompt: {console.output[-300:]}"
                console.type(b"echo written-by-the-guest | dd of=/dev/vda conv=fsync; "
                             b"echo done-$((2 + 3))\n")
                if not console.wait_for(b"done-5", 20):
                    return f"no write: {console.output[-300:]}"
                console.process.send_signal(number)
                status = console.ended(10)
                if status is None:
                    return f"{number.name}: still running after 10 s"
                if not console.terminal_restored():
                    return f"{number.name}: the terminal is not as it was"
            if not Path(disk.name).read_bytes().startswith(b"written-by-the-guest"):
                return f"{number.name}: the disk's file lacks what the guest wrote"
    return None


def take_ram_away(pid):
    """What the guest touches next is beyond the end of the file that is its RAM: SIGBUS, as when the
    host has no page left."""
    files = Path(f"/proc/{pid}/fd").iterdir()
    os.truncate(next(fd for fd in files if "umbra-ram" in os.readlink(fd)), 0)


def check_fatal():
    sentence = b"umbra: the host has no memory left for a page of guest RAM"
    cases = (("no memory", take_ram_away, 1, sentence),
             ("crash", lambda pid: os.kill(pid, signal.SIGSEGV), -signal.SIGSEGV, b""))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, harm, wanted, text in cases:
        with Console(["-smp", "2"]) as console:
            if not console.at_prompt():
                return f"no prompt: {console.output[-300:]}"
            harm(console.process.pid)
            console.type(b"\n")
            status = console.ended(10)
            if status != wanted:
                return f"{name}: status {status}, not {wanted}"
            if not console.terminal_restored():
                return f"{name}: the terminal is not as it was"
            if text and not console.wait_for(text, 1):
                return f"{name}: not the sentence: {console.output[-300:]}"
    return None


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share_of_a_core(pid, seconds):
    started, used = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return (cpu_seconds(pid) - used) / (time.monotonic() - started)


def check_idle():
    """CPU time of the emulator's own threads, which other load on the host does not add to (it can
    only stretch the settling, which the guest's clock and its tasks decide)."""
    for mode in ("soft", "auto"):
        with Console(["-smp", "8", "-mmu", mode]) as console:
            if not console.at_prompt():
                return f"{mode}: no prompt: {console.output[-300:]}"
            console.type(b"sleep 10; echo settled-$((7 + 1))\n")
            if not console.wait_for(b"settled-8", 120):
                return f"{mode}: no answer: {console.output[-300:]}"
            # A guest that has just booted on a busy host still has things to do for a while.
            shares = []
            while len(shares) < 3 and min(shares, default=1) >= 0.03:
                shares.append(share_of_a_core(console.process.pid, 10))
            print(f"   idle, -smp 8 -mmu {mode}: {', '.join(f'{100 * s:.1f} %' for s in shares)} of a core")
            if min(shares) >= 0.03:
                return f"{mode}: never below {100 * min(shares):.1f} % of a core"
    return None


CASES = {"shell": check_shell, "sockets": check_sockets, "signals": check_signals, "fatal": check_fatal,
         "idle": check_idle}


def main():
    guest.need_kernel()
    guest.run_cases(CASES)


if __name__ == "__main__":
    main()
