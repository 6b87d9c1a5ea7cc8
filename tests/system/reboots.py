#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A Debian kernel that uses its devices and reboots, again and again: the emulator stays as it is.

    reboots.py [--count N] [--mmu MODE]

Each life mounts a shared folder, asks for an address, reads a disk and writes to a port; then it reboots. After
warm-up (a fifth of the reboots) the emulator's own memory, its mappings, threads and descriptors must be flat.
Bare-metal resets, 100 in seconds: control.py reset. UMBRA is the emulator to test (default build/release/umbra).
"""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

import guest

LIFE = """
mkdir -p /m; mount -t 9p -o trans=virtio,version=9p2000.L tag /m || echo 'TEST: no share'
n=$(($(cat /m/count) + 1)); echo $n >/m/count
ip link set eth0 up; busybox udhcpc -i eth0 -n -q -s /bin/true >/dev/null || echo 'TEST: no address'
dd if=/dev/vda of=/dev/null bs=64k count=64 2>/dev/null; dd if=/dev/urandom of=/dev/vda bs=64k count=16 conv=fsync 2>/dev/null
echo life $n >/dev/vport0p1
umount /m
echo "TEST: life $n"
[ $n -gt COUNT ] || { sleep 0.2; reboot -f; }
"""
GROWTH_KIB, GROWTH_MAPS = 8192, 200


def used(pid):
    """(private KiB, mappings, threads, descriptors): guest RAM is shared memory and not in the first."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return (int(re.search(r"Anonymous: +(\d+)", rollup)[1]),
            Path(f"/proc/{pid}/maps").read_bytes().count(b"\n"),
            len(list(Path(f"/proc/{pid}/task").iterdir())), len(list(Path(f"/proc/{pid}/fd").iterdir())))


def judge(samples):
    """What grows from the rounds after warm-up to the last ones; soft numbers by their highest."""
    fifth = max(1, len(samples) // 5)
    early, late = ([max(column) for column in zip(*part)]
                   for part in (samples[fifth:2 * fifth + 1], samples[-fifth:]))
    wrong = []
    if late[0] > early[0] + GROWTH_KIB:
        wrong.append(f"memory grows from {early[0]} to {late[0]} KiB")
    if late[1] > early[1] + GROWTH_MAPS:
        wrong.append(f"mappings grow from {early[1]} to {late[1]}")
    if late[2:] != early[2:]:
        wrong.append(f"threads and descriptors were {early[2:]}, are {late[2:]}")
    print(f"   KiB, mappings, threads, descriptors: {early} -> {late}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--mmu", default="auto")
    args = parser.parse_args()
    guest.need_kernel()
    with tempfile.TemporaryDirectory(prefix="umbra-reboots-") as scratch:
        share, disk = Path(scratch) / "share", Path(scratch) / "disk"
        share.mkdir()
        (share / "count").write_text("0\n", encoding="ascii")
        disk.write_bytes(bytes(8 << 20))
        options = ["-mmu", args.mmu, "-virtfs", f"local,path={share},mount_tag=tag,security_model=none",
                   "-nic", "user", "-device", "virtio-rng-device", "-chardev", "ringbuf,id=r",
                   "-device", "virtio-serial-device", "-device", "virtserialport,chardev=r,name=r"]
        machine = guest.Guest(scratch, LIFE.replace("COUNT", str(args.count)),
                              options + guest.drive("d", disk), reboots=True, limit=120 + 60 * args.count)
        samples, started = [], time.monotonic()
        while machine.read_until("TEST: life"):
            samples.append(used(machine.process.pid))
        problem = machine.end()
        wrong = [problem] if problem else judge(samples)
        lives = [int(n) for n in re.findall(r"TEST: life (\d+)", machine.text)]
        if lives != list(range(1, args.count + 2)) or "TEST: no" in machine.text:
            wrong.append(f"lives {lives}: {machine.text[-300:]}")
    for line in wrong:
        print(f"FAIL: {line}")
    print(f"{len(samples) - 1} reboots in {time.monotonic() - started:.0f} s")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
