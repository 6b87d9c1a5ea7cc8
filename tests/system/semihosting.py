#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Semihosting, and the other ways by which a bare-metal program gives its exit status.

    semihosting.py            all cases
    semihosting.py NAME...    some of them

  a32-svc a32-hlt t32-svc t32-hlt   a program that uses only semihosting: files, console, command
            line, clock, exit status, calls that make no sense
  off       without -semihosting the call is a supervisor call like any other
  peer      the same program on qemu-system-arm, if there is one
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import guest

UMBRA = guest.emulator()
SOURCE = Path(__file__).parent / "payloads/semihosting.c"


def build(scratch, thumb, hlt, peer=False):
    out = Path(scratch) / "payload.elf"
    subprocess.run(["arm-linux-gnueabihf-gcc", "-march=armv7-a", "-mthumb" if thumb else "-marm",
                    "-mgeneral-regs-only", "-mfloat-abi=soft", "-O1", "-Wall", "-Wextra", "-Werror",
                    "-ffreestanding", "-nostdlib", "-static", "-no-pie", "-fno-pic",
                    "-fno-stack-protector", "-Wl,-Ttext=0x40010000,--build-id=none,-e,_start",
                    f"-DUSE_HLT={int(hlt)}", f"-DIS_PEER={int(bool(peer))}", "-o", out, SOURCE], check=True)
    return out


def run(command, scratch, elf, options):
    words = command + guest.machine(1, 64) + ["-display", "none", "-serial", "null", "-monitor", "none",
                                              "-nic", "none", "-kernel", elf]
    return subprocess.run([str(word) for word in words + options], capture_output=True, timeout=60,
                          check=False, stdin=subprocess.DEVNULL, cwd=scratch)


def check(thumb, hlt, command=None):
    with tempfile.TemporaryDirectory(prefix="umbra-semihosting-") as scratch:
        elf = build(scratch, thumb, hlt, command)
        result = run(command or UMBRA, scratch, elf,
                     ["-chardev", "stdio,id=out", "-semihosting-config",
                      f"enable=on,target=native,chardev=out,arg=program,arg={scratch}"])
        if result.returncode != 42:
            return f"status {result.returncode}: {result.stdout[-300:]!r} {result.stderr[-300:]!r}"
        if b"to the console\na string\nx" not in result.stdout:
            return f"console: {result.stdout!r}"
        data = (Path(scratch) / "b").read_bytes()
        if data != bytes(i * 7 & 255 for i in range(20000)):
            return "the file is not what was written"
    return None


def check_off():
    """The program waits for ever in the vector of the call; a timer ends it."""
    with tempfile.TemporaryDirectory(prefix="umbra-semihosting-") as scratch:
        elf = build(scratch, False, False)
        try:
            subprocess.run(UMBRA + guest.machine(1, 64) + ["-serial", "null", "-monitor", "none", "-kernel", str(elf)],
                           capture_output=True, timeout=3, check=False, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return "a file was made" if (Path(scratch) / "b").exists() else None
        return "it ended"


def check_peer():
    peer = shutil.which("qemu-system-arm")
    if not peer:
        print("   left out: no qemu-system-arm")
        return None
    return check(False, False, [peer])


CASES = {"a32-svc": lambda: check(False, False), "a32-hlt": lambda: check(False, True),
         "t32-svc": lambda: check(True, False), "t32-hlt": lambda: check(True, True),
         "off": check_off, "peer": check_peer}


if __name__ == "__main__":
    guest.run_cases(CASES)
