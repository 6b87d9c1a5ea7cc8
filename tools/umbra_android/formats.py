# SPDX-License-Identifier: MIT
"""What is in a file: kernels, boot images, RAM disks, disk images. Every length in them is checked, and
nothing is unpacked beyond a limit."""

import re
import struct
import zlib
from dataclasses import dataclass

from . import Problem

MAX_FILE = 256 << 20
ELF_MACHINES = {40: "arm", 183: "arm64", 3: "x86", 62: "x86_64", 8: "mips", 243: "riscv"}
SPARSE_MAGIC = 0xED26FF3A


def read(path, limit=MAX_FILE):
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except OSError as err:
        raise Problem(f"{path}: {err.strerror}") from err
    if len(data) > limit:
        raise Problem(f"{path} is larger than {limit >> 20} MiB, which no kernel or RAM disk is")
    return data


def gunzip(data, limit=MAX_FILE):
    """The contents of a gzip member, as far as they are intact."""
    unpack = zlib.decompressobj(31)
    try:
        return unpack.decompress(data, limit)
    except zlib.error:
        return b""


@dataclass
class BootImage:
    kernel: bytes
    ramdisk: bytes
    cmdline: str


def boot_image(path, data):
    """The parts of an Android boot image; None when it is none."""
    if not data.startswith(b"ANDROID!"):
        return None
    if len(data) < 1580:
        raise Problem(f"{path} is a damaged Android boot image: it ends within its header")
    version = struct.unpack_from("<I", data, 40)[0]
    version = 0 if version >= 1024 else version  # a vendor's table size
    if version > 4:
        raise Problem(f"{path} is an Android boot image with header version {version}; versions 0 to 4 "
                      "are known")
    if version <= 2:
        kernel_size, _, ramdisk_size, _, _, _, _, page = struct.unpack_from("<8I", data, 8)
        text = data[64:576].split(b"\0")[0] + data[608:1632].split(b"\0")[0]
    else:
        kernel_size, ramdisk_size = struct.unpack_from("<2I", data, 8)
        page = 4096
        text = data[44:1580].split(b"\0")[0]
    if page not in {2048 << n for n in range(7)}:
        raise Problem(f"{path} is a damaged Android boot image: its page size is {page}")
    ramdisk_at = page + -(-kernel_size // page) * page
    if page + kernel_size > len(data) or ramdisk_size and ramdisk_at + ramdisk_size > len(data):
        raise Problem(f"{path} is a truncated Android boot image: its kernel of {kernel_size} and RAM disk "
                      f"of {ramdisk_size} bytes do not fit in {len(data)} bytes")
    return BootImage(data[page:page + kernel_size], data[ramdisk_at:ramdisk_at + ramdisk_size],
                     text.decode("latin-1").strip())


@dataclass
class Kernel:
    version: tuple  # () when it does not say
    goldfish_only: bool


def kernel(path, data):
    """What a kernel is; a Problem when it is not for this machine."""
    if data[:3] == b"\x1f\x8b\x08":
        data = gunzip(data)
    foreign = None
    if data[0x38:0x3C] == b"ARM\x64":
        foreign = "an arm64 kernel"
    elif data[0x202:0x206] == b"HdrS":
        foreign = "an x86 kernel"
    elif data[:4] == b"\x7fELF" and len(data) >= 20:
        machine = struct.unpack_from("<H", data, 18)[0]
        if machine != 40:
            foreign = f"an ELF file for {ELF_MACHINES.get(machine, f'machine {machine}')}"
    elif data[0x24:0x28] != b"\x18\x28\x6f\x01":
        foreign = "no kernel that is known"
    if foreign:
        raise Problem(f"{path} is {foreign}; a 32-bit ARM kernel (zImage) is needed, --kernel FILE gives one")
    at = data.find(b"\x1f\x8b\x08")
    plain = gunzip(data[at:]) if at >= 0 else b""
    found = re.search(rb"Linux version (\d+)\.(\d+)", plain or data)
    goldfish = bool(plain) and b"goldfish" in plain and b"psci" not in plain.lower() \
        and b"virtio,mmio" not in plain
    return Kernel(tuple(int(n) for n in found.groups()) if found else (), goldfish)


def cpio_entries(data, limit=100000):
    """(name, mode, contents) of a "newc" archive, also of several one after another; ends where it is
    not well-formed."""
    at = 0
    for _ in range(limit):
        while data[at:at + 4] == b"\0\0\0\0":
            at += 4
        if data[at:at + 6] not in (b"070701", b"070702") or at + 110 > len(data):
            return
        try:
            field = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        except ValueError:
            return
        name_at = at + 110
        body_at = (name_at + field[11] + 3) & ~3
        if body_at + field[6] > len(data) or field[11] == 0:
            return
        name = data[name_at:name_at + field[11] - 1].decode("utf-8", "replace")
        at = (body_at + field[6] + 3) & ~3
        if name != "TRAILER!!!":
            yield name.lstrip("./"), field[1], data[body_at:body_at + field[6]]


@dataclass
class Ramdisk:
    arch: str          # of its /init; "" when that cannot be told
    hardware: list     # names H for which there is an init.H.rc or fstab.H


def ramdisk(path, data):
    """What a RAM disk is made for; a Problem when it is damaged or for another machine."""
    if data[:3] == b"\x1f\x8b\x08":
        data = gunzip(data)
    if data[:5] != b"07070":
        if data[:4] in (b"\x02\x21\x4c\x18", b"\x04\x22\x4d\x18", b"\xfd7zX", b"\x28\xb5\x2f\xfd"):
            return Ramdisk("", [])  # for the kernel to unpack
        raise Problem(f"{path} is damaged or no RAM disk; a cpio archive, gzip'd or not, is needed")
    files = {name: (mode, body) for name, mode, body in cpio_entries(data)}
    arch = ""
    name = "init"
    for _ in range(4):
        mode, body = files.get(name, (0, b""))
        if mode & 0o170000 != 0o120000:
            if body[:4] == b"\x7fELF" and len(body) >= 20:
                machine = struct.unpack_from("<H", body, 18)[0]
                arch = ELF_MACHINES.get(machine, f"machine {machine}")
            break
        name = body.decode("utf-8", "replace").strip("\0").lstrip("/")
    if arch not in ("", "arm"):
        raise Problem(f"{path} is the RAM disk of an {arch} image; one for 32-bit ARM (armeabi-v7a) is needed")
    known = {"recovery", "usb", "environ", "trace", "zygote32", "zygote64", "zygote64_32"}
    names = (re.fullmatch(r"(?:init|fstab)\.(?:recovery\.)?([a-z0-9_]+?)(?:\.rc)?", n) for n in files)
    return Ramdisk(arch, sorted({m.group(1) for m in names if m} - known - {"rc"}))


def disk_format(path):
    """"raw", "sparse" or a Problem."""
    try:
        with open(path, "rb") as file:
            head = file.read(28)
    except OSError as err:
        raise Problem(f"{path}: {err.strerror}") from err
    if not head:
        raise Problem(f"{path} is empty; a disk image is needed")
    if head[:4] == b"QFI\xfb":
        raise Problem(f"{path} is a qcow2 image; a raw or Android sparse one is needed (qemu-img convert -O raw)")
    if len(head) == 28 and struct.unpack_from("<I", head)[0] == SPARSE_MAGIC:
        return "sparse"
    return "raw"


def unsparse(source, target):
    """Write what a sparse image stands for to a raw file with holes."""
    with open(source, "rb") as file, open(target, "wb") as out:
        head = file.read(28)
        _, major, _, header, chunk_header, block, blocks, chunks, _ = struct.unpack("<I4H4I", head)
        if major != 1 or header < 28 or chunk_header < 12 or not 0 < block <= 1 << 20:
            raise Problem(f"{source} is a damaged Android sparse image: its header makes no sense")
        file.seek(header)
        at = 0
        for _ in range(chunks):
            kind, _, count, total = struct.unpack("<2H2I", file.read(12).ljust(12, b"\0"))
            file.seek(chunk_header - 12, 1)
            length = count * block
            if kind != 0xCAC4 and at + length > blocks * block:
                raise Problem(f"{source} is a damaged Android sparse image: a chunk is beyond its end")
            at = _unsparse_chunk(source, file, out, kind, length, total - chunk_header, at)
        out.truncate(blocks * block)


def _unsparse_chunk(source, file, out, kind, length, data, at):
    if data != {0xCAC1: length, 0xCAC2: 4, 0xCAC3: 0, 0xCAC4: 4}.get(kind):
        raise Problem(f"{source} is a damaged Android sparse image: a chunk has the wrong size")
    if kind == 0xCAC4:
        file.seek(4, 1)
        return at
    word = file.read(4) if kind == 0xCAC2 else b""
    left = length if kind == 0xCAC1 or word.strip(b"\0") else 0
    out.seek(at)
    while left > 0:
        step = min(left, 1 << 20)
        piece = file.read(step) if kind == 0xCAC1 else word * (step // 4)
        if len(piece) != step:
            raise Problem(f"{source} is a truncated Android sparse image")
        out.write(piece)
        left -= step
    return at + length
