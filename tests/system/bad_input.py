#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What bad input gets: one clear sentence and a non-zero status, never a crash, hang or damaged file.

    bad_input.py            all cases
    bad_input.py NAME...    some of them (names as printed)

Cases where the guest can go on (a disk that is full, read-only or too short) boot the initramfs with
a script that uses the disk: the guest must see an I/O error and power off cleanly.
UMBRA is the emulator to test (default build/release/umbra).
"""

import ctypes
import hashlib
import os
import re
import resource
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import boot
import guest

UMBRA = Path(os.environ.get("UMBRA") or boot.ROOT / "build/release/umbra")
KERNEL = boot.GUEST / "armmp-lpae" / "vmlinuz"
INITRD = boot.GUEST / "armmp-lpae" / "initrd.img"
BASE = ["-M", "virt", "-cpu", "cortex-a15", "-nographic", "-no-reboot"]


class Files:
    """Damaged inputs, made in a scratch folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        kernel = KERNEL.read_bytes()
        self.missing = self.folder / "missing"
        self.empty = self.make("empty", b"")
        self.garbage = self.make("garbage", bytes(range(1, 256)) * 64)
        self.short_kernel = self.make("short-kernel", kernel[:len(kernel) // 2])
        self.stub_kernel = self.make("stub-kernel", kernel[:48])
        self.short_gzip = self.make("short.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03abc")
        elf = bytearray(Path("/bin/true").read_bytes())
        self.x86_elf = self.make("x86.elf", bytes(elf))
        elf[18:20] = (183).to_bytes(2, "little")
        self.a64_elf = self.make("a64.elf", bytes(elf))
        self.short_elf = self.make("short.elf", bytes(elf[:30]))
        self.short_dtb = self.make("short.dtb", bytes.fromhex("d00dfeed00001000") + b"\0" * 24)
        self.short_sparse = self.make("short.simg", struct.pack(
            "<IHHHHIIIIHHII", 0xed26ff3a, 1, 0, 28, 12, 4096, 2048, 100, 0, 0xcac1, 0, 10, 12 + 40960) + bytes(1000))
        self.disk = self.make("disk", b"\0" * (8 << 20))
        self.odd_disk = self.make("odd-disk", b"\0" * 1000)
        self.busy_tcp = socket.create_server(("127.0.0.1", 0))
        self.busy_port = self.busy_tcp.getsockname()[1]
        self.busy_unix = socket.socket(socket.AF_UNIX)
        self.busy_path = self.folder / "busy"
        self.busy_unix.bind(str(self.busy_path))
        self.busy_unix.listen()
        self.busy = self.busy_tcp

    def make(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path


def refusals(files):
    """(name, arguments, pattern the sentence must match) of what must be refused at once."""
    kernel = ["-kernel", KERNEL]
    disk = ["-device", "virtio-blk-device,drive=d", "-drive"]
    yield "no-kernel", [], "kernel"
    yield "kernel-missing", ["-kernel", files.missing], "missing.*No such file"
    yield "kernel-empty", ["-kernel", files.empty], "empty"
    yield "kernel-folder", ["-kernel", files.folder], "directory|regular"
    yield "kernel-truncated", ["-kernel", files.short_kernel], "truncated|short"
    yield "kernel-stub", ["-kernel", files.stub_kernel], "truncated|short"
    yield "kernel-gzip-broken", ["-kernel", files.short_gzip], "gzip|compress|truncated"
    yield "kernel-x86", ["-kernel", files.x86_elf], "ARM|architecture|machine"
    yield "kernel-aarch64", ["-kernel", files.a64_elf], "ARM|architecture|machine|64"
    yield "kernel-elf-truncated", ["-kernel", files.short_elf], "truncated|short|ELF"
    yield "initrd-missing", kernel + ["-initrd", files.missing], "missing.*No such file"
    yield "initrd-empty", kernel + ["-initrd", files.empty], "empty"
    yield "dtb-missing", kernel + ["-dtb", files.missing], "missing.*No such file"
    yield "dtb-empty", kernel + ["-dtb", files.empty], "empty|device tree"
    yield "dtb-garbage", kernel + ["-dtb", files.garbage], "device tree"
    yield "dtb-truncated", kernel + ["-dtb", files.short_dtb], "device tree"
    yield "smp-0", kernel + ["-smp", "0"], "smp.*1"
    yield "smp-9", kernel + ["-smp", "9"], "smp.*8|8.*GIC"
    yield "smp-999", kernel + ["-smp", "999"], "smp.*8|8.*GIC"
    yield "smp-negative", kernel + ["-smp", "-1"], "smp"
    yield "smp-word", kernel + ["-smp", "many"], "smp.*many|many.*smp"
    yield "memory-0", kernel + ["-m", "0"], "-m|memory|RAM"
    yield "memory-word", kernel + ["-m", "lots"], "lots"
    yield "memory-small", kernel + ["-m", "4"], "RAM|memory|-m"
    yield "memory-small-initrd", kernel + ["-initrd", INITRD, "-m", "8"], "RAM|memory|-m"
    yield "memory-over-board", kernel + ["-m", "64G"], "32"
    yield "memory-overflow", kernel + ["-m", "99999999999999999999G"], "-m|memory|RAM"
    yield "cpu-unknown", kernel + ["-cpu", "z80"], "z80.*cortex-a15"
    yield "machine-unknown", kernel + ["-M", "toaster"], "toaster.*virt"
    yield "mmu-unknown", kernel + ["-mmu", "magic"], "magic.*soft.*spt"
    yield "device-unknown", kernel + ["-device", "flux"], "flux.*virtio-blk, "
    yield "device-pci-slot", kernel + ["-device", "virtio-rng-pci,addr=20"], "addr=20.*1 to 1f"
    yield "device-pci-bus", kernel + ["-device", "virtio-rng-pci,bus=pci.9"], "pci.9.*pcie.0"
    for driver, option in (("virtio-blk-pci", "drive=x"), ("virtio-blk", "drive=x"), ("virtio-net-pci", "netdev=x"),
                           ("virtio-net-pci", "mac=1"), ("virtio-9p-pci", "fsdev=x,mount_tag=t"),
                           ("virtio-gpu-pci", "xres=9000"), ("virtio-blk-pci", "drive=x,num-queues=0")):
        yield f"{driver}-named-{option}", kernel + ["-device", f"{driver},{option}"], f"-device {driver}: "
    yield "bios-missing", ["-bios", files.missing], "missing.*No such file"
    yield "bios-empty", ["-bios", files.empty], "empty"
    yield "flash-size", kernel + ["-drive", f"if=pflash,format=raw,file={files.disk}"], \
        "bytes.*67108864"
    yield "flash-folder", kernel + ["-drive", f"if=pflash,format=raw,file={files.folder}"], \
        "directory|regular"
    yield "ranchu-pci", kernel + ["-M", "ranchu", "-device", "virtio-rng-pci"], "ranchu has no PCI"
    yield "ranchu-flash", kernel + ["-M", "ranchu", "-bios", files.disk], "ranchu has no flash.*-bios"
    yield "option-unknown", kernel + ["-frobnicate"], "frobnicate"
    yield "option-without-value", ["-kernel"], "kernel"
    yield "serial-unknown", kernel + ["-serial", "pigeon"], "pigeon.*stdio"
    yield "gdb-unknown", kernel + ["-gdb", "pigeon"], "pigeon.*tcp:.*unix:"
    yield "gdb-port", kernel + ["-gdb", "tcp::99999"], "99999.*tcp:"
    yield "gdb-path", kernel + ["-gdb", f"unix:{files.missing}/socket"], "missing.*No such file"
    yield "log-mask-unknown", kernel + ["-d", "everything"], "everything.*in_asm"
    for name, path, why in (("missing", files.missing, "No such file"), ("empty", files.empty, "empty"),
                            ("folder", files.folder, "directory"),
                            ("garbage", files.garbage, "System.map"),
                            ("elf", files.x86_elf, "32-bit.*ARM"), ("short", files.short_elf, "ARM")):
        yield f"symbols-{name}", kernel + ["-symbols", str(path)], f"-symbols.*{why}"
    yield "drive-format", kernel + disk + [f"if=none,id=d,format=vmdk,file={files.disk}"], \
        "vmdk.*raw"
    yield "drive-missing", kernel + disk + [f"if=none,id=d,format=raw,file={files.missing}"], \
        "missing.*No such file"
    yield "drive-folder", kernel + disk + [f"if=none,id=d,format=raw,file={files.folder}"], \
        "directory|regular"
    yield "drive-unnamed", kernel + ["-device", "virtio-blk-device,drive=nobody"], "nobody"
    for driver in ("virtio-blk-device,drive=d", "virtio-net-device", "virtio-rng-device", "virtio-serial-device",
                   "virtio-9p-device", "virtio-keyboard-device"):
        yield f"{driver.split(',', maxsplit=1)[0]}-option", kernel + ["-device", f"{driver},shiny=1"], "shiny.*accepted"
    yield "drive-sparse-truncated", kernel + disk + [f"if=none,id=d,snapshot=on,file={files.short_sparse}"], \
        "short.simg.*damaged"
    yield "drive-option", kernel + disk + [f"if=none,id=d,shiny=1,file={files.disk}"], "shiny"
    yield from monitor_refusals(files, kernel)
    yield "drive-locked", kernel + disk + [f"if=none,id=d,format=raw,file={files.disk}", "-drive",
                                           f"if=virtio,format=raw,file={files.disk}"], \
        "disk is in use"
    port = files.busy.getsockname()[1]
    yield "nic-kind", kernel + ["-nic", "pigeon"], "pigeon.*user"
    yield "nic-option", kernel + ["-nic", "user,shiny=1"], "shiny.*hostfwd"
    yield "nic-hostfwd", kernel + ["-nic", "user,hostfwd=tcp:80"], "tcp:80.*PORT"
    yield "nic-port-in-use", kernel + ["-nic", f"user,hostfwd=tcp:127.0.0.1:{port}-:22"], \
        f"{port}.*in use"
    yield "nic-tap-fd", kernel + ["-nic", "tap,fd=0"], "fd=0.*tap"
    yield "nic-netdev-missing", kernel + ["-device", "virtio-net-device,netdev=nobody"], "nobody"
    yield "nic-mac", kernel + ["-nic", "user,mac=01:02"], "01:02.*52:54"
    yield "display-unknown", kernel + ["-display", "pigeon"], "pigeon.*none.*vnc=.*web="
    yield "display-vnc", kernel + ["-display", "vnc=5901"], "vnc=5901.*ADDR"
    yield "display-web", kernel + ["-display", "web=65536"], "web=65536.*PORT"
    yield "display-port-in-use", kernel + ["-display", f"web={port}"], f"{port}.*in use"
    yield "display-vnc-in-use", kernel + ["-display", f"vnc=:{port - 5900}"], f"{port}.*in use"
    yield "display-address", kernel + ["-display", "vnc=192.0.2.1:1"], "192.0.2.1.*assign"
    yield "framebuffer-size", kernel + ["-device", "simple-framebuffer,width=0"], "width=0.*4096"
    yield "framebuffer-format", kernel + ["-device", "simple-framebuffer,format=x"], "=x.*r5g6b5"
    yield "framebuffer-option", kernel + ["-device", "simple-framebuffer,shiny=1"], "shiny.*width"
    yield "framebuffer-twice", kernel + 2 * ["-device", "simple-framebuffer"], "only one"
    yield "framebuffer-room", kernel + ["-m", "4M", "-device", "simple-framebuffer"], "4 MiB.*-m"
    yield "gpu-option", kernel + ["-device", "virtio-gpu-device,shiny=1"], "shiny.*xres"
    yield "gpu-size", kernel + ["-device", "virtio-gpu-device,xres=9000"], "9000.*8192"
    share = ["-virtfs", f"local,path={files.missing},mount_tag=t,security_model=none"]
    yield "share-missing", kernel + share, "missing.*No such file"
    yield "share-file", kernel + ["-virtfs", f"local,path={files.disk},mount_tag=t,"
                                  "security_model=none"], "Not a directory"
    yield "share-model", kernel + ["-virtfs", "local,path=/tmp,mount_tag=t"], "security_model"
    yield "share-kind", kernel + ["-virtfs", "synth,mount_tag=t"], "synth.*local"
    yield "share-tag", kernel + ["-virtfs", "local,path=/tmp,security_model=none"], "mount_tag"
    yield "share-unnamed", kernel + ["-device", "virtio-9p-device,fsdev=x,mount_tag=t"], "id=x"
    yield "global-unknown", kernel + ["-global", "virtio-mmio.shiny=1"], "shiny.*force-legacy"
    yield "drive-snapshot-missing", kernel + disk + \
        [f"if=none,id=d,format=raw,snapshot=on,file={files.missing}"], "missing.*No such file"
    yield "log-file", kernel + ["-D", files.missing / "log", "-d", "int"], "log"


def monitor_refusals(files, kernel):
    yield "monitor-unknown", kernel + ["-monitor", "pigeon"], "pigeon.*unix:"
    yield "qmp-option", kernel + ["-qmp", "unix:/tmp/x,fast=on"], "fast.*server=on"
    yield "qmp-path-long", kernel + ["-qmp", "unix:/" + "p" * 110 + ",server=on"], "107"
    yield "qmp-folder-missing", kernel + ["-qmp", f"unix:{files.missing}/q,server=on,wait=off"], \
        "missing.*No such file"
    yield "qmp-nobody-listens", kernel + ["-qmp", f"unix:{files.missing}"], "No such file"
    yield "qmp-path-in-use", kernel + ["-qmp", f"unix:{files.busy_path},server=on,wait=off"], \
        "in use"
    yield "qmp-port-in-use", kernel + \
        ["-qmp", f"tcp:127.0.0.1:{files.busy_port},server=on,wait=off"], "in use"
    yield "qmp-host-unknown", kernel + ["-qmp", "tcp:no.such.invalid:1,server=on"], \
        "no.such.invalid"
    yield "metrics-port", kernel + ["-metrics", "99999"], "99999.*65535"
    yield "metrics-in-use", kernel + ["-metrics", str(files.busy_port)], "in use"
    yield "stdio-twice", kernel + ["-serial", "stdio", "-monitor", "stdio"], "stdio.*twice"
    yield "mon-unknown", kernel + ["-mon", "chardev=nobody"], "nobody.*chardev=ID"
    yield "chardev-unknown", kernel + ["-chardev", "carrier,id=c"], "carrier.*socket"
    yield "chardev-no-id", kernel + ["-chardev", "stdio"], "id="
    yield "action-unknown", kernel + ["-action", "rain=umbrella"], "rain.*reboot="
    yield "chardev-ringbuf-size", kernel + ["-chardev", "ringbuf,id=a,size=100"], "size=100.*power of two"
    yield "chardev-ringbuf-twice", kernel + \
        ["-chardev", "ringbuf,id=a", "-serial", "chardev:a", "-device", "virtio-serial-device",
         "-device", "virtconsole,chardev=a"], "ringbuf: a is used"
    yield "serial-on-a-file", kernel + ["-serial", f"unix:{files.disk},server=on,wait=off"], "in use"
    yield "serial-path-in-use", kernel + ["-serial", f"unix:{files.busy_path},server=on,wait=off"], "in use"
    yield "gdb-on-a-file", kernel + ["-gdb", f"unix:{files.disk}"], "in use"
    yield "qmp-on-a-file", kernel + ["-qmp", f"unix:{files.disk},server=on,wait=off"], "in use"
    yield "action-panic", kernel + ["-action", "panic=perhaps"], "perhaps.*exit-failure"
    yield "pvpanic-option", kernel + ["-device", "pvpanic-mmio,shiny=1"], "shiny"
    yield "action-value", kernel + ["-action", "reboot=perhaps"], "perhaps.*reset.shutdown"
    yield "name-option", kernel + ["-name", "x,colour=red"], "colour.*guest="


def run(arguments, limit=30, preexec=None):
    command = [str(UMBRA)] + [str(word) for word in BASE + arguments]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit,
                              check=False, preexec_fn=preexec)
    except subprocess.TimeoutExpired:
        return None


def judge_refusal(result, pattern):
    """What is wrong with the way an input was refused, or None."""
    if result is None:
        return "hangs"
    text = result.stderr.decode("utf-8", "replace").strip()
    if result.returncode < 0:
        return f"killed by signal {-result.returncode}: {text[-200:]}"
    if result.returncode == 0:
        return "status 0"
    if "ERROR: AddressSanitizer" in text or "runtime error" in text:
        return text[-400:]
    lines = text.splitlines()
    if len(lines) != 1:
        return f"{len(lines)} lines instead of one: {text[:300]!r}"
    if not re.search(pattern, text, re.IGNORECASE):
        return f"the sentence does not match {pattern!r}: {text!r}"
    return None


def limit_address_space():
    """Not enough for one window of 4 GiB, enough for RAM of 64 MiB."""
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))


def without_net_admin():
    """Not even root may configure interfaces in what is executed next."""
    ctypes.CDLL(None).prctl(24, 12, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_NET_ADMIN


def limit_file_size(pid):
    """Writes to a disk beyond 4 MiB fail, as on a full file system. Only now: RAM is a larger file."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4 << 20, 4 << 20))


def check_no_room(files):
    """No room for windows or RAM: refused with a sentence."""
    del files
    result = run(["-kernel", KERNEL, "-m", "64", "-mmu", "spt"], preexec=limit_address_space)
    return judge_refusal(result, "reserve|allocate|memory|window|address space")


def check_tap_forbidden(files):
    """A tap interface that we may not make: refused with a way out."""
    del files
    result = run(["-kernel", KERNEL, "-nic", "tap,ifname=umbra-none"], preexec=without_net_admin)
    return judge_refusal(result, "umbra-none.*permitted.*ip tuntap|cannot open /dev/net/tun")


def guest_script(files, body, drive_options="", harm=None):
    """Boot with an 8 MiB disk and a script that finds it as $disk. Returns (problem, output)."""
    script_disk = guest.write_script(
        files.folder / "script", "for d in vda vdb; do [ $(cat /sys/block/$d/size) = 16384 ] && "
        "disk=/dev/$d; done\n" + body + "\n")
    disk = files.make("target", bytes(os.urandom(1 << 20)) * 8)
    before = disk.read_bytes()
    arguments = ["-smp", "2", "-m", "256"] + guest.kernel(guest.script_append()) + \
        guest.drive("s", script_disk) + guest.drive("d", disk, drive_options)
    if harm is None:
        result = run(arguments, 180)
    else:
        result = run_and_harm(arguments, lambda pid: harm(pid, disk))
    if result is None:
        return "hangs", "", before, disk
    text = (result.stdout + result.stderr).decode("utf-8", "replace")
    if result.returncode != 0:
        return f"status {result.returncode}: {text[-400:]}", text, before, disk
    if "UMBRA: script status=" not in text or "reboot: Power down" not in text:
        return f"the guest did not end cleanly: {text[-400:]}", text, before, disk
    return None, text, before, disk


def run_and_harm(arguments, harm):
    """Run; when the guest says so, do something to the disk behind its back: harm(pid)."""
    command = [str(UMBRA)] + [str(word) for word in BASE + arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT) as process:
        output = b""
        for line in process.stdout:
            output += line
            if line.startswith(b"TEST: harm now"):
                harm(process.pid)
        process.wait()
        return subprocess.CompletedProcess(command, process.returncode, output, b"")


def expect(text, *wanted):
    """The first marker that is not in the text, as a complaint."""
    for marker in wanted:
        if marker not in text:
            return f"no '{marker}' in: {text[-500:]}"
    return None


def check_disk_read_only(files):
    """readonly=on: the guest cannot write, the file does not change."""
    problem, text, before, disk = guest_script(
        files, "dd if=/dev/zero of=$disk bs=4k count=1 conv=fsync && echo TEST: written || "
        "echo TEST: refused; md5sum $disk >/dev/null && echo TEST: readable",
        drive_options=",readonly=on")
    if not problem and disk.read_bytes() != before:
        problem = "the file changed"
    return problem or expect(text, "TEST: refused", "TEST: readable")


def check_disk_snapshot(files):
    """snapshot=on: the guest reads what it wrote, and beside it what was there; the file stays."""
    problem, text, before, disk = guest_script(
        files, "head -c 100000 $disk | md5sum\n"
        "head -c 70000 /dev/zero | tr '\\0' x | dd of=$disk bs=512 seek=64 conv=fsync,notrunc\n"
        "echo 3 >/proc/sys/vm/drop_caches; echo TEST: sum $(md5sum <$disk)",
        drive_options=",snapshot=on")
    expected = bytearray(before)
    expected[64 * 512:64 * 512 + 70000] = b"x" * 70000
    if not problem and disk.read_bytes() != before:
        problem = "the file changed"
    return problem or expect(text, "TEST: sum " + hashlib.md5(expected).hexdigest())


def check_disk_full(files):
    """Writes that the host refuses are I/O errors in the guest; others arrive."""
    problem, text, before, disk = guest_script(
        files, "echo TEST: harm now; sleep 1\n"
        "dd if=/dev/zero of=$disk bs=64k count=1 conv=fsync && echo TEST: low ok\n"
        "dd if=/dev/zero of=$disk bs=64k seek=100 count=2 conv=fsync && echo TEST: high ok || "
        "echo TEST: high refused", harm=lambda pid, disk: limit_file_size(pid))
    after = disk.read_bytes()
    if not problem and (after[:65536] != b"\0" * 65536 or after[65536:] != before[65536:]):
        problem = "the file does not hold what was written, and only that"
    return problem or expect(text, "TEST: low ok", "TEST: high refused")


def check_disk_short(files):
    """A file cut short while the guest runs: reads beyond its end are I/O errors."""
    problem, text, _, _ = guest_script(
        files, "echo TEST: harm now; sleep 1\n"
        "dd if=$disk of=/dev/null bs=64k count=1 iflag=direct && echo TEST: low ok\n"
        "dd if=$disk of=/dev/null bs=64k skip=100 count=1 iflag=direct && echo TEST: high ok || "
        "echo TEST: high refused", harm=lambda pid, disk: os.truncate(disk, 1 << 20))
    return problem or expect(text, "TEST: low ok", "TEST: high refused")


def check_disk_odd(files):
    """A disk that is no whole number of sectors: the guest sees the last one filled with zeroes."""
    script = b"#!/bin/sh\nfor d in vda vdb; do echo TEST: size $(cat /sys/block/$d/size).; done\n"
    script_disk = files.make("script", script + b"\0" * (65536 - len(script)))
    result = run(["-m", "256", "-kernel", KERNEL, "-initrd", INITRD,
                  "-append", "console=ttyAMA0 umbra.script=auto",
                  "-drive", f"if=none,id=s,format=raw,file={script_disk}",
                  "-device", "virtio-blk-device,drive=s",
                  "-drive", f"if=none,id=d,format=raw,file={files.odd_disk}",
                  "-device", "virtio-blk-device,drive=d"], 180)
    if result is None or result.returncode != 0:
        return f"{result and result.stderr[-300:]}"
    return expect(result.stdout.decode("utf-8", "replace"), "TEST: size 2.")


def check_few_mappings(files):
    """A budget of very few mappings makes the guest slower, nothing else."""
    del files
    cell = boot.Cell("initramfs", "armmp-lpae", 2, "spt")
    result = run(["-smp", "2", "-m", "512", "-mmu", "spt", "-vma-budget", "600", "-kernel", KERNEL,
                  "-initrd", INITRD, "-append", "console=ttyAMA0 umbra.test=boot"], 240)
    if result is None:
        return "hangs"
    wrong = boot.verdict(cell, result.returncode, result.stdout.decode("utf-8", "replace"))
    return "; ".join(wrong) or None


def check_much_memory(files):
    """More RAM than the host has is only reserved: the guest boots."""
    del files
    cell = boot.Cell("initramfs", "armmp-lpae", 1, "spt", 32768)
    result = run(["-smp", "1", "-m", "32G", "-kernel", KERNEL, "-initrd", INITRD,
                  "-append", "console=ttyAMA0 umbra.test=boot"], 300)
    if result is None:
        return "hangs"
    wrong = boot.verdict(cell, result.returncode, result.stdout.decode("utf-8", "replace"))
    return "; ".join(wrong) or None


RUNS = {
    "no-room-for-windows": check_no_room,
    "tap-forbidden": check_tap_forbidden,
    "disk-read-only": check_disk_read_only,
    "disk-snapshot": check_disk_snapshot,
    "disk-full": check_disk_full,
    "disk-cut-short": check_disk_short,
    "disk-odd-size": check_disk_odd,
    "few-mappings": check_few_mappings,
    "much-memory": check_much_memory,
}


def main():
    chosen = set(sys.argv[1:])
    boot.need_guest([boot.Cell("initramfs", "armmp-lpae", 1, "spt")])
    if not shutil.which(str(UMBRA)):
        sys.exit(f"bad_input.py: no emulator at {UMBRA}")
    total = failed = 0
    with tempfile.TemporaryDirectory(prefix="umbra-bad-") as scratch:
        files = Files(scratch)
        cases = [(name, lambda a=arguments, p=pattern: judge_refusal(run(a), p))
                 for name, arguments, pattern in refusals(files)]
        cases += [(name, lambda c=check: c(files)) for name, check in RUNS.items()]
        unknown = chosen - {name for name, _ in cases}
        if unknown:
            sys.exit(f"bad_input.py: unknown case {', '.join(sorted(unknown))}")
        for name, check in cases:
            if chosen and name not in chosen:
                continue
            total += 1
            problem = check()
            failed += bool(problem)
            print(f"FAIL {name}: {problem}" if problem else f"ok {name}", flush=True)
    print(f"{total - failed} of {total} cases passed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
