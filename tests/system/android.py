#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Android's formats and guests.

    android.py images        Debian's kernel and initramfs in boot images of every version that Debian's
                             mkbootimg makes, with a disk that img2simg made sparse: read, written to, unharmed
    android.py guests        every guest in the folder UMBRA_ANDROID boots with umbra-android in all modes

A guest is a folder as umbra-android takes it; its file "until" names the stage that its boot must reach
(default home). Without UMBRA_ANDROID, or without the tools, the exit status is 77: skipped."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
UMBRA = os.environ.get("UMBRA") or str(ROOT / "build/release/umbra")
CACHE = Path(os.environ.get("UMBRA_CACHE") or Path.home() / ".cache/umbra")
GUEST = CACHE / "guest/armmp"
MODES = ("soft", "spt", "auto")
SKIPPED = 77

SCRIPT = """#!/bin/sh
echo "CMDLINE $(cat /proc/cmdline)"
mkdir -p /mnt
for disk in /dev/vd*; do mount -t ext4 -o rw $disk /mnt 2>/dev/null && break; done
for file in /mnt/data/*; do echo "SUM $(md5sum <$file | cut -c1-32) ${file##*/}"; done
dd if=/mnt/data/one of=/mnt/copy bs=65536 2>/dev/null
sync
echo 3 >/proc/sys/vm/drop_caches
echo "COPY $(md5sum </mnt/copy | cut -c1-32)"
umount /mnt
exit 0
"""


def need(*tools):
    missing = [tool for tool in tools if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin")]
    if missing:
        print(f"skipped: {', '.join(missing)} not installed")
        sys.exit(SKIPPED)


def run(command, log, limit):
    """(exit status or None, output)."""
    with open(log, "wb") as out:
        try:
            status = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                    timeout=limit, check=False).returncode
        except subprocess.TimeoutExpired:
            status = None
    return status, log.read_text(encoding="utf-8", errors="replace")


def make_sparse_disk(folder):
    """An ext4 image of random files, sparse; returns its path and the files' sums."""
    rng = random.Random(7)
    data = folder / "tree/data"
    data.mkdir(parents=True)
    sums = {}
    for name, size in (("one", 3 << 20), ("two", 12345), ("holes", 0)):
        body = rng.randbytes(size) if size else bytes(1 << 20) + b"end" + bytes(2 << 20) + b"\xa5" * 70000
        (data / name).write_bytes(body)
        sums[name] = hashlib.md5(body).hexdigest()
    raw, sparse = folder / "disk.raw", folder / "disk.img"
    subprocess.run(["/sbin/mke2fs", "-q", "-t", "ext4", "-d", folder / "tree", raw, "64M"], check=True,
                   stdout=subprocess.DEVNULL)
    subprocess.run(["img2simg", raw, sparse], check=True)
    if sparse.stat().st_size > raw.stat().st_size // 2:
        sys.exit("img2simg left nothing out")
    return sparse, sums


def check_boot(version, text, status, sums):
    """Problems of one boot."""
    problems = [] if status == 0 else [f"exit status {status}"]
    if "CMDLINE console=ttyAMA0 umbra.script=auto from=image from=append" not in text:
        problems.append("the command line is not the image's and then that of -append")
    for name, value in sums.items():
        if f"SUM {value} {name}" not in text:
            problems.append(f"{name} was not read right")
    if f"COPY {sums['one']}" not in text:
        problems.append("what was written did not read back")
    return [f"version {version}: {problem}" for problem in problems]


def images():
    need("mkbootimg", "img2simg", "mke2fs")
    problems = []
    with tempfile.TemporaryDirectory(prefix="umbra-android-test-") as name:
        folder = Path(name)
        sparse, sums = make_sparse_disk(folder)
        before = hashlib.md5(sparse.read_bytes()).digest()
        script = folder / "script"
        script.write_bytes(SCRIPT.encode().ljust(65536, b"\0"))
        for version in range(4):
            boot = folder / f"boot{version}.img"
            more = ["--dtb", str(script)] if version == 2 else []
            subprocess.run(["mkbootimg", "--header_version", str(version), "--kernel", GUEST / "vmlinuz",
                            "--ramdisk", GUEST / "initrd.img", "--cmdline",
                            "console=ttyAMA0 umbra.script=auto from=image", *more, "-o", boot], check=True,
                           stdout=subprocess.DEVNULL)
            command = [UMBRA, "-M", "virt", "-smp", "2", "-m", "512", "-nographic", "-no-reboot", "-kernel",
                       str(boot), "-append", "from=append",
                       "-drive", f"if=none,file={script},format=raw,id=s,readonly=on",
                       "-device", "virtio-blk-device,drive=s",
                       "-drive", f"if=none,file={sparse},format=raw,id=d,snapshot=on",
                       "-device", "virtio-blk-device,drive=d"]
            status, text = run(command, folder / "log", 280)
            found = check_boot(version, text, status, sums)
            print(f"boot image version {version}: {'ok' if not found else 'FAILED'}", flush=True)
            if found:
                print("\n".join(text.split("\n")[-30:]))
            problems += found
        if hashlib.md5(sparse.read_bytes()).digest() != before:
            problems.append("the sparse image was changed")
    return problems


def guests():
    where = os.environ.get("UMBRA_ANDROID")
    if not where:
        print("skipped: UMBRA_ANDROID names no folder with Android guests")
        sys.exit(SKIPPED)
    folders = sorted(p for p in Path(where).iterdir() if p.is_dir())
    if not folders:
        return [f"{where} has no folder in it"]
    problems = []
    with tempfile.TemporaryDirectory(prefix="umbra-android-test-") as name:
        for guest in folders:
            until = guest / "until"
            stage = until.read_text(encoding="utf-8").strip() if until.is_file() else "home"
            for smp in (1, 2, 4):
                for mode in MODES:
                    command = [sys.executable, str(ROOT / "tools/umbra-android"), str(guest), "--umbra", UMBRA,
                               "--smp", str(smp), "--mmu", mode, "--adb-port", "0", "--until", stage, "--wait",
                               "--state", f"{name}/{guest.name}", "--wipe-data", "--timeout", "1500"]
                    status, text = run(command, Path(name) / "log", 1600)
                    print(f"{guest.name} -smp {smp} -mmu {mode}: {'ok' if status == 0 else 'FAILED'}", flush=True)
                    print("    " + text.strip().replace("\n", "\n    "), flush=True)
                    if status != 0:
                        problems.append(f"{guest.name} -smp {smp} -mmu {mode}: {text.strip()[-300:]}")
    return problems


def main():
    cases = {"images": images, "guests": guests}
    if len(sys.argv) != 2 or sys.argv[1] not in cases:
        print(__doc__)
        return 2
    problems = cases[sys.argv[1]]()
    for problem in problems:
        print(f"not ok - {problem}")
    print("PASS" if not problems else "FAIL")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
