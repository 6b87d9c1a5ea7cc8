#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What Android asks of a machine, on a Debian kernel: its binder module and shared memory, by a small program.

    binder.py [--modes soft,auto] [--calls N]

Four processes call a server of two threads on a guest with 4 CPUs; each call hands over a memfd that both map."""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boot
import display

GUEST = boot.GUEST / "armmp-lpae"
MODULE = "modules/kernel/drivers/android/binder_linux.ko"
SOURCE = Path(__file__).parent / "payloads/binder.c"
SCRIPT = """#!/bin/sh
insmod /lib/binder/binder_linux.ko devices=binder || echo 'TEST: no module'
[ -e /dev/binder ] || mknod /dev/binder c 10 "$(sed -n 's/^ *\\([0-9]*\\) binder$/\\1/p' /proc/misc)"
/lib/binder/test CALLS
echo "TEST: status $?"
exit 0
"""


def make_initrd(folder):
    binary = folder / "test"
    subprocess.run(["arm-linux-gnueabihf-gcc", "-O1", "-Wall", "-static", "-pthread", "-o", binary, SOURCE], check=True)
    archive = display.cpio_entry(1, "lib/binder", 0o40755)
    archive += display.cpio_entry(2, "lib/binder/binder_linux.ko", 0o100644, (GUEST / MODULE).read_bytes())
    archive += display.cpio_entry(3, "lib/binder/test", 0o100755, binary.read_bytes())
    archive += display.cpio_entry(0, "TRAILER!!!", 0)
    base = (GUEST / "initrd.img").read_bytes()
    (folder / "initrd").write_bytes(base + b"\0" * (-len(base) % 512) + archive)


def run(folder, mode, calls):
    """What is wrong, or None."""
    script = SCRIPT.replace("CALLS", str(calls)).encode()
    (folder / "script").write_bytes(script.ljust(65536, b"\0"))
    command = shlex.split(os.environ.get("UMBRA") or str(boot.ROOT / "build/release/umbra")) + [
        "-M", "virt", "-cpu", "cortex-a15", "-smp", "4", "-m", "256", "-no-reboot", "-nographic", "-mmu", mode,
        "-kernel", GUEST / "vmlinuz", "-initrd", folder / "initrd", "-append", "console=ttyAMA0 umbra.script=auto",
        "-drive", f"if=none,id=s,format=raw,readonly=on,file={folder / 'script'}",
        "-device", "virtio-blk-device,drive=s"]
    start = time.monotonic()
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=300, check=False)
    text = done.stdout.decode("utf-8", "replace")
    cries = [line for line in text.splitlines() if boot.CRIES.search(line)]
    good = f"TEST: binder {4 * calls} calls" in text and "TEST: status 0" in text and done.returncode == 0 and not cries
    print(f"{'ok' if good else 'not ok'} {mode} ({time.monotonic() - start:.1f} s)", flush=True)
    return None if good else f"{mode}: status {done.returncode}: {cries[:3] or text[-1500:]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modes", default="auto")
    parser.add_argument("--calls", type=int, default=100, help="of each process")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="umbra-binder-") as name:
        make_initrd(Path(name))
        problems = [run(Path(name), mode, arguments.calls) for mode in arguments.modes.split(";" if ";" in arguments.modes else ",")]
    for problem in filter(None, problems):
        print(f"not ok - {problem}")
    return 1 if any(problems) else 0


if __name__ == "__main__":
    sys.exit(main())
