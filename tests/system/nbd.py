#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Drives that are qcow2 images or NBD servers, with qemu-img and qemu-nbd as peers.

    nbd.py            all cases
    nbd.py NAME...    some of them

  qcow2     written, zeroed and discarded by the guest; the image is sound and holds what it should,
            and no server is left
  snapshot  what the guest writes to a qcow2 image is forgotten
  uri       a server on a Unix socket
  monitors  format and size of such drives, as the guest sees them
  lost      the server dies: the guest sees I/O errors and goes on
  wrong     no qemu-nbd, no server, a file that is no qcow2 image, a missing file: one sentence

UMBRA is the emulator to test (default build/release/umbra).
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import guest
import qmp
from guest import Guest, missing

SIZE = 64 << 20
SCRIPT = """
md5sum </dev/vda | sed 's/^/TEST: before /'
dd if=/dev/urandom of=/tmp/f bs=64k count=40 2>/dev/null
dd if=/tmp/f of=/dev/vda bs=64k seek=16 conv=notrunc,fsync 2>&1 | grep copied
md5sum </tmp/f | sed 's/^/TEST: wrote /'
echo 3 >/proc/sys/vm/drop_caches
dd if=/dev/vda bs=64k skip=16 count=40 2>/dev/null | md5sum | sed 's/^/TEST: read /'
blkdiscard -o 33554432 -l 1048576 /dev/vda && echo 'TEST: discarded'
echo "TEST: size $(cat /sys/block/vda/size)"
"""


def run(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True,
                          text=True)


def image(scratch):
    """A qcow2 image and the raw data that it was made of."""
    raw, qcow2 = Path(scratch) / "raw", Path(scratch) / "disk.qcow2"
    data = hashlib.sha256(b"umbra").digest() * 4096
    raw.write_bytes(data + b"\0" * (SIZE - len(data)))
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2)
    return raw, qcow2


def boot_with(scratch, script, drive):
    return Guest(scratch, script, ["-drive", f"if=none,id=d,{drive}",
                                   "-device", "virtio-blk-device,drive=d"])


def servers(path):
    """qemu-nbd processes that serve a file."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"qemu-nbd") and str(path).encode() in words:
                found.append(int(entry.name))
    return found


def judge(text):
    md5 = dict(re.findall(r"TEST: (wrote|read) (\w+)", text))
    if not md5.get("wrote") or md5.get("wrote") != md5.get("read"):
        return f"what was read is not what was written: {text[-800:]}"
    return missing(text, f"TEST: size {SIZE // 512}", "TEST: discarded")


def check_qcow2():
    with tempfile.TemporaryDirectory(prefix="umbra-nbd-") as scratch:
        raw, qcow2 = image(scratch)
        machine = boot_with(scratch, SCRIPT, f"file={qcow2}")
        problem = machine.end() or judge(machine.text)
        if problem:
            return problem
        before = re.search(r"TEST: before (\w+)", machine.text).group(1)
        if before != hashlib.md5(raw.read_bytes()).hexdigest():
            return "the guest reads something else than the image holds"
        time.sleep(0.5)
        if servers(qcow2):
            return "a qemu-nbd is left"
        run("qemu-img", "check", qcow2)
        out = Path(scratch) / "out"
        run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", qcow2, out)
        data = out.read_bytes()[1 << 20:(1 << 20) + 40 * 65536]
        wrote = re.search(r"TEST: wrote (\w+)", machine.text).group(1)
        return None if hashlib.md5(data).hexdigest() == wrote else "the image lacks what was written"


def check_snapshot():
    with tempfile.TemporaryDirectory(prefix="umbra-nbd-") as scratch:
        _, qcow2 = image(scratch)
        before = qcow2.read_bytes()
        machine = boot_with(scratch, SCRIPT, f"file={qcow2},format=qcow2,snapshot=on")
        problem = machine.end() or judge(machine.text)
        return problem or (None if qcow2.read_bytes() == before else "the image was written")


def serve(scratch):
    raw, _ = image(scratch)
    path = Path(scratch) / "socket"
    server = subprocess.Popen(["qemu-nbd", "-f", "raw", "-k", path, "-t", raw])
    while not path.exists():
        time.sleep(0.02)
    return raw, server, f"file=nbd+unix:///?socket={path}"


def check_uri():
    with tempfile.TemporaryDirectory(prefix="umbra-nbd-") as scratch:
        raw, server, drive = serve(scratch)
        machine = boot_with(scratch, SCRIPT, drive)
        problem = machine.end() or judge(machine.text)
        server.terminate()
        server.wait()
        data = raw.read_bytes()[1 << 20:(1 << 20) + 40 * 65536]
        if not problem and hashlib.md5(data).hexdigest() not in machine.text:
            problem = "the server lacks what was written"
        return problem


def check_monitors():
    with tempfile.TemporaryDirectory(prefix="umbra-nbd-") as scratch:
        raw, server, drive = serve(scratch)
        qcow2 = Path(scratch) / "disk.qcow2"
        with subprocess.Popen(guest.emulator() + guest.kernel("") + [
                "-S", "-display", "none", "-serial", "null", "-qmp", f"unix:{scratch}/qmp,server=on,wait=off",
                "-drive", f"file={qcow2},id=a,snapshot=on", "-drive", f"id=b,{drive}",
                "-drive", f"file={raw},id=c,if=none,format=raw"]) as process:
            with qmp.Client(f"{scratch}/qmp") as client:
                found = [(d["device"], d["inserted"]["drv"], d["inserted"]["image"]["virtual-size"])
                         for d in client.execute("query-block")]
                text = client.human("info block")
                client.execute("quit")
            process.wait()
        server.terminate()
        server.wait()
        if found != [("a", "qcow2", SIZE), ("b", "nbd", SIZE), ("c", "raw", 0)]:
            return f"query-block: {found}"
        return missing(text, f"a: {qcow2} (qcow2, snapshot) {SIZE} bytes", f"(nbd) {SIZE} bytes", f"c: {raw} (no device")


def check_lost():
    with tempfile.TemporaryDirectory(prefix="umbra-nbd-") as scratch:
        _, server, drive = serve(scratch)
        script = """
dd if=/dev/vda of=/dev/null bs=4k count=1 && echo 'TEST: first'
sleep 1.5
dd if=/dev/vda of=/dev/null bs=4k skip=1000 count=1 iflag=direct || echo 'TEST: refused'
echo x | dd of=/dev/vda conv=fsync || echo 'TEST: refused too'
"""
        machine = boot_with(scratch, script, drive)
        machine.read_until("TEST: first")
        server.kill()
        server.wait()
        machine.read_until("\0")
        machine.timer.cancel()
        if machine.process.wait() != 0:  # the log has I/O errors, as it should
            return f"status {machine.process.returncode}: {machine.text[-300:]}"
        said = machine.text.count("is gone; the guest gets I/O errors from this drive")
        return missing(machine.text, "TEST: refused", "TEST: refused too") or \
            (None if said == 1 else f"the loss is told {said} times")


def refused(arguments, pattern, env=None):
    result = subprocess.run(guest.emulator() + guest.kernel("") +
                            ["-serial", "null", "-device", "virtio-blk-device,drive=d", "-drive", arguments],
                            capture_output=True, text=True, timeout=30, check=False, env=env,
                            stdin=subprocess.DEVNULL)
    if result.returncode == 0 or not re.search(pattern, result.stderr):
        return f"{arguments}: {result.returncode} {result.stderr!r}"
    return None


def check_wrong():
    with tempfile.TemporaryDirectory(prefix="umbra-nbd-") as scratch:
        raw, qcow2 = image(scratch)
        return refused(f"if=none,id=d,file={qcow2}", "qemu-nbd is needed and not installed",
                       {"PATH": "/nonexistent"}) or \
            refused("if=none,id=d,file=nbd://127.0.0.1:1/x", "cannot connect") or \
            refused(f"if=none,id=d,format=qcow2,file={raw}", "qemu-nbd cannot serve") or \
            refused(f"if=none,id=d,file={scratch}/no.qcow2", "No such file")


CASES = {"qcow2": check_qcow2, "snapshot": check_snapshot, "uri": check_uri, "monitors": check_monitors, "lost": check_lost,
         "wrong": check_wrong}


def main():
    if not shutil.which("qemu-nbd"):
        sys.exit("nbd.py: no qemu-nbd on this host: run scripts/setup")
    guest.need_kernel()
    guest.run_cases(CASES)


if __name__ == "__main__":
    main()
