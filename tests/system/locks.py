#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who may open an image that somebody has, with flock(1) and qemu's tools as peers, in both directions.

    locks.py            all cases
    locks.py NAME...    some of them

  flock     a file held by flock(1); flock(1) on the file of a running guest; a free file is no matter
  tools     the same with the locks of the mainstream emulator's tools: a writer keeps out a reader
  readers   all who only read share: two guests, a tool, flock -s; none of them lets a writer in
  qcow2     an image that qemu-nbd serves for us
  flash     a bank of flash

UMBRA is the emulator to test (default build/release/umbra).
"""

import contextlib
import re
import subprocess
import tempfile
import time
from pathlib import Path

import guest

SIZE = 64 << 20  # a bank of flash has it too
BUSY = r"in use by another process or another drive; end that one, or let .*readonly=on"


def command(drive):
    device = [] if "pflash" in drive else ["-device", "virtio-blk-device,drive=d"]
    identity = "" if "pflash" in drive else "if=none,id=d,"
    return guest.emulator() + guest.kernel("") + [
        "-S", "-display", "none", "-serial", "null", "-monitor", "stdio", "-drive", identity + drive] + device


def refused(drive):
    """What is wrong with how a drive is refused, or None."""
    result = subprocess.run(command(drive), capture_output=True, text=True, timeout=10, check=False,
                            stdin=subprocess.DEVNULL)
    lines = result.stderr.strip().splitlines()
    if result.returncode == 0 or len(lines) != 1 or not re.search(BUSY, lines[0]):
        return f"{drive}: status {result.returncode}: {result.stderr!r}"
    return None


@contextlib.contextmanager
def running(drive):
    """A machine that has the drive."""
    with subprocess.Popen(command(drive), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as machine:
        try:
            text = b""
            while b"(umbra)" not in text:
                chunk = machine.stdout.read1(4096)
                if not chunk:
                    raise AssertionError(f"{drive}: {text[-300:]!r}")
                text += chunk
            yield
        finally:
            machine.kill()


@contextlib.contextmanager
def holder(*words, ready):
    """A program that has the file, once ready() says so."""
    with subprocess.Popen([str(word) for word in words], stdin=subprocess.PIPE) as process:
        try:
            while not ready():
                if process.poll() is not None:
                    raise AssertionError(f"{words}: status {process.returncode}")
                time.sleep(0.02)
            yield
        finally:
            process.terminate()


def flocked(path, *options):
    """flock(1) that holds the file."""
    mark = Path(f"{path}.held")
    mark.unlink(missing_ok=True)
    return holder("flock", *options, "--no-fork", path, "sh", "-c", f"touch {mark}; exec sleep 1000", ready=mark.exists)


def served(path, *options):
    """The mainstream emulator's server that has the file."""
    socket = Path(f"{path}.socket")
    return holder("qemu-nbd", "-f", "raw", "-k", socket, "-t", *options, path, ready=socket.exists)


def may_flock(path, *options):
    return subprocess.run(["flock", "-n", *options, str(path), "true"], check=False).returncode == 0


def may_write(path):
    """Does the mainstream emulator's tool write to the image?"""
    result = subprocess.run(["qemu-img", "resize", "-f", "raw", str(path), str(SIZE)], capture_output=True, text=True,
                            check=False)
    if result.returncode != 0 and "lock" not in result.stderr:
        raise AssertionError(result.stderr)
    return result.returncode == 0


def may_read(path):
    result = subprocess.run(["qemu-io", "-r", "-f", "raw", "-c", "read 0 512", str(path)], capture_output=True,
                            check=False)
    return result.returncode == 0


def first(*problems):
    return next((problem for problem in problems if problem), None)


def expect(condition, text):
    return None if condition else text


def check_flock(path):
    with flocked(path):
        problem = refused(f"format=raw,file={path}") or refused(f"format=raw,readonly=on,file={path}")
    with running(f"format=raw,file={path}"):
        problem = problem or expect(not may_flock(path), "flock had the image of a running guest") or \
            expect(not may_flock(path, "-s"), "flock -s had the image of a writing guest")
    return problem or expect(may_flock(path), "the lock outlives the machine")


def check_tools(path):
    with served(path):
        problem = first(refused(f"format=raw,file={path}"), refused(f"format=raw,snapshot=on,file={path}"))
    with running(f"format=raw,file={path}"):
        problem = problem or expect(not may_read(path), "a tool read the image of a writing guest") or \
            expect(not may_write(path), "a tool wrote to the image of a writing guest")
    return problem or expect(may_write(path), "the lock outlives the machine")


def check_readers(path):
    drive = f"format=raw,readonly=on,file={path}"
    with running(drive), running(f"format=raw,snapshot=on,file={path}"), flocked(path, "-s"), served(path, "-r"):
        problem = first(expect(may_read(path), "a tool could not read beside readers"),
                        expect(not may_write(path), "a tool wrote to what guests read"),
                        refused(f"format=raw,file={path}"))
    with running(drive):
        return first(problem, expect(not may_flock(path), "flock had what a guest reads"),
                     expect(not may_write(path), "a tool wrote to what a guest reads"),
                     refused(f"format=raw,file={path}"))


def check_qcow2(path):
    image = Path(f"{path}.qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "16M"], check=True)
    with flocked(image):
        problem = refused(f"file={image}") or refused(f"readonly=on,file={image}")
    with running(f"file={image}"):
        problem = first(problem, refused(f"file={image}"), expect(not may_flock(image), "flock had it"))
    with running(f"file={image},snapshot=on"), running(f"file={image},readonly=on"):
        return problem or expect(may_flock(image, "-s"), "flock -s could not read beside readers")


def check_flash(path):
    drive = f"if=pflash,format=raw,file={path}"
    with flocked(path):
        problem = refused(drive)
    with served(path):
        problem = first(problem, refused(drive), refused(f"{drive},readonly=on"))
    with running(f"{drive},readonly=on"), running(f"{drive},snapshot=on"):
        problem = problem or refused(drive)
    with running(drive):
        return first(problem, refused(drive), expect(not may_flock(path), "flock had the flash of a running guest"))


def fresh(check):
    """The case with an image of its own."""
    with tempfile.TemporaryDirectory(prefix="umbra-locks-") as scratch:
        path = Path(scratch) / "image"
        path.write_bytes(b"")
        with open(path, "r+b") as file:
            file.truncate(SIZE)
        return check(path)


CASES = {name: lambda check=check: fresh(check) for name, check in
         (("flock", check_flock), ("tools", check_tools), ("readers", check_readers), ("qcow2", check_qcow2),
          ("flash", check_flash))}


def main():
    guest.need_kernel()
    guest.run_cases(CASES, AssertionError, subprocess.TimeoutExpired)


if __name__ == "__main__":
    main()
