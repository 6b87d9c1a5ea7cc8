# SPDX-License-Identifier: MIT
"""What the tests of this folder share: where guests are, the parts of an emulator's command line, a running guest whose
serial port is read line by line, and the main program of a file of cases.

UMBRA is the emulator to test (default build/release/umbra); UMBRA_CACHE has the guests of scripts/guest.
"""

import os
import re
import shlex
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("UMBRA_CACHE") or
             Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "umbra")
FOLDER = CACHE / "guest"
FLAVOUR = "armmp-lpae"
SCRIPT_SIZE = 65536

# What a healthy boot never prints.
CRIES = re.compile(
    r"Oops|\bBUG\b|Unable to handle|Internal error|Kernel panic|rcu.*(stall|kthread starved)|"
    r"soft lockup|hung task|blocked for more than|WARNING: CPU|undefined instruction|"
    r"Unhandled (fault|prefetch abort)|bad mode|segfault|EXT4-fs (error|warning)|I/O error|"
    r"UMBRA: .*(FAIL|cannot)|umbra: (bug|fatal)", re.IGNORECASE)


# ---- command lines ----
def emulator():
    return shlex.split(os.environ.get("UMBRA") or str(ROOT / "build/release/umbra"))


def is_peer():
    """Is it another emulator, which lacks the options that only umbra has?"""
    return "qemu" in emulator()[0]


def machine(smp=2, memory=256):
    return ["-M", "virt", "-cpu", "cortex-a15", "-smp", str(smp), "-m", str(memory)]


def kernel(append, flavour=FLAVOUR, initrd=None):
    folder = FOLDER / flavour
    return ["-kernel", str(folder / "vmlinuz"), "-initrd", str(initrd or folder / "initrd.img"),
            "-append", append]


def drive(name, file, options=""):
    """A raw image as a disk; options begin with a comma."""
    return ["-drive", f"if=none,id={name},format=raw,file={file}{options}",
            "-device", f"virtio-blk-device,drive={name}"]


def root_drive(copy=None):
    """The Debian of scripts/guest: a copy that may be written, or what is written is forgotten."""
    return drive("root", copy or FOLDER / "disk.img", "" if copy else ",snapshot=on")


def script_append(disk=False, more="", consoles="ttyAMA0"):
    """The kernel's command line for a guest that runs the script on one of its disks."""
    return " ".join(f"console={name}" for name in consoles.split()) + " umbra.script=auto" + " root=LABEL=umbra rw" * bool(disk) + \
        (f" {more}" if more else "")


def write_script(path, text, behind=b""):
    """A disk that begins with the script; what is behind it follows after 64 KiB."""
    data = (text if text.startswith("#!") else "#!/bin/sh\n" + text).encode()
    Path(path).write_bytes(data + b"\0" * (SCRIPT_SIZE - len(data)) + behind)
    return path


def need(*paths):
    """Say plainly what is missing instead of failing every boot."""
    missing = sorted(str(path) for path in paths if not Path(path).exists())
    if missing:
        sys.exit(f"{Path(sys.argv[0]).name}: missing {', '.join(missing)}: run scripts/guest")


def need_kernel(flavour=FLAVOUR):
    need(FOLDER / flavour / "vmlinuz", FOLDER / flavour / "initrd.img")


# ---- a running guest ----
def cry(text):
    """The first line that no healthy guest prints, as a problem, or None."""
    for line in text.splitlines():
        if CRIES.search(line):
            return f"log: {line.strip()[:160]}"
    return None


def missing(text, *markers):
    for marker in markers:
        if marker not in text:
            return f"no '{marker}' in: {text[-800:]}"
    return None


class Guest:
    """A Debian kernel that runs a script: from its initramfs, or from a root disk (a copy of disk.img)."""

    def __init__(self, scratch, script, options, disk=None, behind=b"", append="", initrd=None,
                 consoles="ttyAMA0", fds=(), reboots=False, smp=2, limit=120,
                 stdin=subprocess.DEVNULL):
        path = write_script(Path(scratch) / "script", script, behind)
        words = machine(smp) + ["-display", "none", "-serial", "stdio"] + \
            ([] if reboots else ["-no-reboot"]) + \
            kernel(script_append(disk, append, consoles), initrd=initrd) + \
            (root_drive(disk) if disk else []) + drive("script", path, ",readonly=on")
        self.process = subprocess.Popen([str(word) for word in emulator() + words + list(options)],
                                        stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, pass_fds=fds)
        self.timer = threading.Timer(limit, self.process.kill)
        self.timer.start()
        self.text = ""

    def read_until(self, marker):
        """The line with the marker, or None when none came."""
        for line in self.process.stdout:
            line = line.decode("utf-8", "replace")
            self.text += line
            if marker in line:
                return line
        return None

    def end(self, status=0):
        """Read to the end; what is wrong with it, or None."""
        self.read_until("\0")
        self.process.wait()
        self.timer.cancel()
        if self.process.returncode != status:
            return f"status {self.process.returncode}: {self.text[-600:]}"
        return cry(self.text)

    def kill(self):
        self.timer.cancel()
        self.process.kill()
        self.process.wait()


# ---- cases ----
def run_cases(cases, *expected):
    """The main program: runs the cases named on the command line, or all. A case returns what is wrong, or None;
    exceptions of the kinds `expected` say it too."""
    name = Path(sys.argv[0]).name
    failed = 0
    for case in sys.argv[1:] or cases:
        if case not in cases:
            sys.exit(f"{name}: unknown case {case}: {', '.join(cases)}")
        started = time.monotonic()
        try:
            problem = cases[case]()
        except expected as error:
            problem = f"{type(error).__name__}: {error}"
        failed += bool(problem)
        print(f"FAIL {case}: {problem}" if problem else
              f"ok {case} ({time.monotonic() - started:.1f} s)", flush=True)
    sys.exit(1 if failed else 0)
