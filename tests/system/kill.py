#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No acknowledged flush is lost when the emulator is killed.

    kill.py [--kills N] [--seed S]

A guest writes numbered records of 4 KiB to a disk, with fsync after each batch, and reports on the
console, after fsync has returned, up to which number it is through; two more writers keep the disk
busy meanwhile. At a random moment the emulator gets SIGKILL. Then every record up to the last one
reported must be in the image, whole, and a new process must get the lock of the image at once.

One round in six the drive has snapshot=on: of those nothing may be in the image.
UMBRA is the emulator to test (default build/release/umbra).
"""

import argparse
import random
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from guest import Guest, drive, need_kernel

RECORD = 4096
RECORDS = 4096            # then the next pass over them begins
LOAD = 4 << 20            # behind the records, for the other writers
WRITER = r"""
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Record n: its number and 4 KiB that follow from it. */
int main(int argc, char **argv)
{
    static uint32_t block[1024];
    int fd = open(argv[1], O_WRONLY);
    uint32_t batch = 1;

    if (fd < 0 || argc < 2) {
        return 1;
    }
    for (uint32_t n = 1;; n++) {
        for (uint32_t i = 0; i < 1024; i++) {
            block[i] = n ^ i * 2654435761u;
        }
        if (pwrite(fd, block, sizeof block, (off_t)(n % %RECORDS%) * sizeof block) !=
            sizeof block) {
            return 2;
        }
        if (--batch == 0) {
            if (fsync(fd) != 0) {
                return 3;
            }
            printf("DURABLE %u\n", n);
            fflush(stdout);
            batch = 1 + n % 7;
        }
    }
}
"""
SCRIPT = """
mkdir /w && mount -t tmpfs none /w
dd if=/dev/SCRIPTDISK of=/w/writer bs=4096 skip=16 2>/dev/null; chmod 755 /w/writer
(while :; do dd if=/dev/zero of=/dev/DATADISK bs=64k seek=SEEK count=64 conv=notrunc; done) 2>/dev/null &
(while :; do dd if=/dev/urandom of=/dev/DATADISK bs=4k seek=SEEK4 count=512 oflag=direct conv=notrunc; done) 2>/dev/null &
echo "TEST: start"
/w/writer /dev/DATADISK
"""


def build(scratch):
    source, out = Path(scratch) / "writer.c", Path(scratch) / "writer"
    source.write_text(WRITER.replace("%RECORDS%", str(RECORDS)))
    subprocess.run(["arm-linux-gnueabihf-gcc", "-O1", "-Wall", "-static", "-o", out, source],
                   check=True)
    return out


class Writer(Guest):
    """A guest with the writer's program behind the script on its second disk."""

    def __init__(self, scratch, program, image, snapshot):
        script = SCRIPT.replace("SCRIPTDISK", "vdb").replace("DATADISK", "vda")
        script = script.replace("SEEK4", str(RECORDS + 1)).replace(
            "SEEK", str((RECORDS + 1) * RECORD // 65536 + 64))
        super().__init__(scratch, script, drive("data", image, ",snapshot=on" * snapshot),
                         behind=program.read_bytes(), limit=900)


def numbers(image):
    """What each record slot holds: its number, 0 for an empty one, None for a torn one."""
    result = []
    with open(image, "rb") as file:
        for slot in range(RECORDS):
            block = file.read(RECORD)
            words = struct.unpack("<1024I", block)
            number = words[0]
            whole = all(word == (number ^ (i * 2654435761 & 0xffffffff))
                        for i, word in enumerate(words))
            empty = not any(words)
            result.append(0 if empty else number if whole and number % RECORDS == slot else None)
    return result


def check_image(image, durable, snapshot):
    """What is wrong, or None."""
    found = numbers(image)
    if snapshot:
        return "a drive with snapshot=on was written" if any(n != 0 for n in found) else None
    for number in range(max(1, durable - RECORDS + 1), durable + 1):
        n = found[number % RECORDS]
        # The slot may hold a later record, or be torn by one that was under way and not reported.
        later = number + RECORDS
        if n == number or (n is not None and n >= later) or (n is None and durable + 64 >= later):
            continue
        return f"record {number} of {durable} reported as durable is {n}"
    return None


def one_kill(scratch, program, image, snapshot, seconds):
    """(problem, number reported)."""
    with open(image, "wb") as file:
        file.truncate((RECORDS + 1) * RECORD + 4 * LOAD)
    guest = Writer(scratch, program, image, snapshot)
    if not guest.read_until("DURABLE"):
        return f"no writer: {guest.text[-400:]}", 0
    threading.Timer(seconds, guest.process.kill).start()
    guest.read_until("\0")
    guest.process.wait()
    guest.timer.cancel()
    durable = max(int(n) for n in re.findall(r"DURABLE (\d+)\r?\n", guest.text))
    return check_image(image, durable, snapshot), durable


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    need_kernel()
    chance = random.Random(arguments.seed)
    print(f"seed {arguments.seed}", flush=True)
    failed = records = 0
    with tempfile.TemporaryDirectory(prefix="umbra-kill-") as scratch:
        program = build(scratch)
        image = Path(scratch) / "image"
        for round_ in range(arguments.kills):
            snapshot = round_ % 6 == 5
            seconds = chance.uniform(0.05, 2.5)
            problem, durable = one_kill(scratch, program, image, snapshot, seconds)
            records += 0 if snapshot else durable
            failed += bool(problem)
            print(f"{'FAIL' if problem else 'ok'} {round_ + 1}: {durable} records in "
                  f"{seconds:.2f} s{', snapshot' * snapshot}{': ' + problem if problem else ''}",
                  flush=True)
    print(f"{arguments.kills - failed} of {arguments.kills} kills lost nothing, {records} records")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
