#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A guest that attacks its devices from all CPUs (tests/guest/devices.c): no crash, no hang, nothing outside its RAM
and its disks is touched, and the devices work again after a reset.

    hostile.py [--seconds N] [--each N] [--seed S] [--smp N]

Each run has another seed; every second one has virtio-mmio slots of version 1. For AddressSanitizer and UBSan:

    cmake --preset asan && cmake --build --preset asan
    UMBRA=build/asan/umbra tests/system/hostile.py --seconds 600

UMBRA is the emulator to test (default build/release/umbra), PAYLOADS the folder of the bare-metal payloads (built
when it is not set).
"""

import argparse
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import guest


def payload(scratch):
    if os.environ.get("PAYLOADS"):
        return Path(os.environ["PAYLOADS"]) / "devices.arm.elf"
    subprocess.run([guest.ROOT / "tests/guest/build.sh", scratch, "devices.arm"], check=True)
    return Path(scratch) / "devices.arm.elf"


def command(scratch, elf, seed, milliseconds, smp):
    """One device of each kind, several of those with several back ends."""
    drives = [f"if=none,id=a,format=raw,file={scratch}/disk", f"if=none,id=b,format=raw,snapshot=on,file={scratch}/ro",
              f"if=none,id=c,format=raw,readonly=on,file={scratch}/ro"]
    words = guest.machine(smp) + [
             "-M", "virt,watchdog=on", "-action", "watchdog=none", "-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot",
             "-kernel", elf, "-append", f"seed={seed} ms={milliseconds}"]
    for drive in drives:
        words += ["-drive", drive]
    words += ["-device", "virtio-blk-device,drive=a,num-queues=2", "-device", "virtio-blk-device,drive=b",
              "-device", "virtio-blk-device,drive=c",
              "-netdev", "user,id=n,restrict=on", "-device", "virtio-net-device,netdev=n",
              "-device", "virtio-rng-device",
              "-chardev", "null,id=p0", "-chardev", "null,id=p1",
              "-device", "virtio-serial-device", "-device", "virtconsole,chardev=p0",
              "-device", "virtserialport,chardev=p1,name=test",
              "-virtfs", f"local,path={scratch}/share,mount_tag=host,security_model=mapped-xattr",
              "-device", "virtio-gpu-device", "-device", "virtio-keyboard-device", "-device", "virtio-tablet-device"]
    return guest.emulator() + [str(word) for word in words] + ["-global", "virtio-mmio.force-legacy=true"] * (seed % 2)


def digest(folder):
    """What the guest must not change, in names and contents."""
    total = hashlib.md5()
    for path in sorted(Path(folder).rglob("*")):
        total.update(f"{path} {path.lstat().st_mode}".encode())
        if path.is_file():
            total.update(path.read_bytes())
    return total.hexdigest()


def one_run(scratch, elf, seed, seconds, smp):
    """(problem or None, what the guest said)."""
    words = command(scratch, elf, seed, int(seconds * 1000), smp)
    before = digest(f"{scratch}/outside"), hashlib.md5(Path(f"{scratch}/ro").read_bytes()).hexdigest()
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=5 * seconds + 240,
                              check=False)
    except subprocess.TimeoutExpired as expired:
        return f"it hangs: {shlex.join(words)}\n{(expired.stdout or b'')[-600:]!r}", ""
    text = done.stdout.decode("utf-8", "replace").replace("\r", "")
    lines = text.splitlines()
    after = digest(f"{scratch}/outside"), hashlib.md5(Path(f"{scratch}/ro").read_bytes()).hexdigest()
    wrong = [line for line in lines if line.startswith(("not ok", "Bail out!", "# CPU"))]
    rounds = "; ".join(line[2:] for line in lines if line.startswith("# CPU"))
    if done.returncode != 0:
        return f"status {done.returncode}: {shlex.join(words)}\n{done.stderr.decode('utf-8', 'replace')[-6000:]}", rounds
    if "PASS" not in lines:
        return f"no PASS: {wrong} {text[-600:]!r}", rounds
    if before != after:
        return "files changed that the guest may not write", rounds
    return None, rounds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4, help="of attacks, all runs together")
    parser.add_argument("--each", type=float, help="seconds of one run (default: 30, or half of all)")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1000000)
    parser.add_argument("--smp", type=int, default=4)
    args = parser.parse_args()
    each = args.each or min(30, args.seconds / 2)
    failed = 0
    runs = max(1, round(args.seconds / each))
    for seed in range(args.seed, args.seed + runs):
        with tempfile.TemporaryDirectory(prefix="umbra-hostile-") as scratch:
            for name in ("share", "outside"):
                Path(scratch, name).mkdir()
                Path(scratch, name, "file").write_text("contents\n", encoding="utf-8")
            Path(scratch, "disk").write_bytes(bytes(8 << 20))
            Path(scratch, "ro").write_bytes(bytes(range(256)) * (1 << 14))
            problem, rounds = one_run(scratch, payload(scratch), seed, each, args.smp)
            failed += bool(problem)
            print(f"FAIL seed {seed}: {problem}" if problem else f"ok seed {seed}: {rounds}", flush=True)
    print(f"{runs - failed} of {runs} runs of {each:g} s passed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
