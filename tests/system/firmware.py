#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots the Debian disk by firmware in flash, from disks on PCI.

    firmware.py uboot    Debian's U-Boot: finds extlinux.conf, kernel and initramfs on its own
    firmware.py efi      Debian's EDK2 and GRUB for ARM (needs UMBRA_EFI=1: it takes longer)

Three disks: one with kernel and boot loader, made here, the only one that U-Boot looks at; Debian's
root; and a script that the guest runs in it. Firmware lies in the first bank of flash, read-only, its variables in the second, in a file
that is looked at afterwards. The environment variable UMBRA is the command to test.
"""

import os
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("UMBRA_CACHE") or
             Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "umbra")
GUEST = CACHE / "guest"
FLAVOUR = os.environ.get("UMBRA_FLAVOUR") or "armmp-lpae"
UMBRA = shlex.split(os.environ.get("UMBRA") or str(ROOT / "build/release/umbra"))
UBOOT = Path("/usr/lib/u-boot/qemu_arm/u-boot.bin")
EDK2 = Path("/usr/share/AAVMF")
SKIP = 77
BANK = 64 << 20
START, SIZE = 1 << 20, 48 << 20  # of the partition, bytes
APPEND = "console=ttyAMA0 root=LABEL=umbra rw umbra.script=auto"

SCRIPT = b"""#!/bin/sh
echo "TEST: root $(findmnt -no FSTYPE / 2>/dev/null || sed -n 's/.* \\/ \\([a-z0-9]*\\) .*/\\1/p' /proc/mounts)"
for disk in /sys/block/vd*; do
    case $(readlink -f $disk) in *pci0000:00*) echo "TEST: pci ${disk##*/}" ;; esac
done
head -c 4096 /dev/vdc | cksum | sed 's/^/TEST: cksum /'
"""


def build_script(folder):
    """A raw disk that begins with the script."""
    path = folder / "script.img"
    path.write_bytes(SCRIPT.ljust(64 << 10, b"\0"))
    return path


def partition(path, kind):
    """An MBR with one active partition of this kind."""
    sector = bytearray(512)
    sector[446:462] = struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", kind, b"\xfe\xff\xff",
                                  START // 512, SIZE // 512)
    sector[510:512] = b"\x55\xaa"
    with open(path, "r+b") as image:
        image.truncate(START + SIZE)
        image.write(sector)


def build_uboot_disk(folder):
    """What U-Boot's standard boot looks for: extlinux.conf on an active partition."""
    tree, image = folder / "tree", folder / "boot.img"
    (tree / "extlinux").mkdir(parents=True)
    for name in ("vmlinuz", "initrd.img"):
        shutil.copy(GUEST / FLAVOUR / name, tree / name)
    (tree / "extlinux" / "extlinux.conf").write_text(
        "default umbra\ntimeout 1\nlabel umbra\n"
        f"  linux /vmlinuz\n  initrd /initrd.img\n  append {APPEND}\n")
    image.touch()
    partition(image, 0x83)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "^metadata_csum", "-d", tree,
                    "-E", f"offset={START}", image, f"{SIZE >> 10}k"], check=True,
                   env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin"))
    return image


def grub_modules(folder):
    """GRUB's modules for ARM, from Debian's package."""
    environment = dict(os.environ, APT_CONFIG=str(CACHE / "apt-armhf/apt.conf"))
    subprocess.run(["apt-get", "download", "grub-efi-arm-bin"], cwd=folder, env=environment,
                   check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["dpkg-deb", "-x", *folder.glob("grub-efi-arm-bin*.deb"), folder / "grub"],
                   check=True)
    return folder / "grub/usr/lib/grub/arm-efi"


def build_efi_disk(folder):
    """A partition with GRUB where EFI looks for a loader, its configuration, and the kernel."""
    image, config, loader = folder / "boot.img", folder / "grub.cfg", folder / "bootarm.efi"
    config.write_text(f"linux /vmlinuz {APPEND}\ninitrd /initrd.img\nboot\n")
    subprocess.run(["grub-mkimage", "-O", "arm-efi", "-d", grub_modules(folder), "-p", "/EFI/BOOT",
                    "-o", loader, "fat", "part_msdos", "linux", "normal", "configfile", "fdt"],
                   check=True)
    image.touch()
    partition(image, 0xef)
    at = f"{image}@@{START}"
    subprocess.run(["mformat", "-i", at, "-T", str(SIZE // 512), "-h", "16", "-s", "63", "::"],
                   check=True)
    subprocess.run(["mmd", "-i", at, "::EFI", "::EFI/BOOT"], check=True)
    for source, name in ((loader, "EFI/BOOT/BOOTARM.EFI"), (config, "EFI/BOOT/grub.cfg"),
                         (GUEST / FLAVOUR / "vmlinuz", "vmlinuz"),
                         (GUEST / FLAVOUR / "initrd.img", "initrd.img")):
        subprocess.run(["mcopy", "-i", at, source, f"::{name}"], check=True)
    return image


def flash(path, file, **options):
    text = "".join(f",{key}={value}" for key, value in options.items())
    return ["-drive", f"if=pflash,format=raw,file={path / file}{text}"]


def disk(file, name):
    return ["-drive", f"if=none,id={name},format=raw,snapshot=on,file={file}",
            "-device", f"virtio-blk-pci,drive={name}"]


def run(arguments, limit):
    command = UMBRA + ["-M", "virt", "-smp", "2", "-m", "1024", "-nographic", "-no-reboot"] + \
        [str(a) for a in arguments]
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=limit, check=False)
        return result.returncode, result.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as error:
        return None, (error.stdout or b"").decode("utf-8", "replace")


def judge(status, text, script, wanted):
    checksum = subprocess.run(["cksum"], input=script.read_bytes()[:4096], capture_output=True,
                              check=True).stdout.decode().split()[0]
    wanted = [*wanted, "TEST: root ext4", "UMBRA: script status=0", "reboot: Power down"]
    missing = [line for line in wanted if line not in text]
    disks = text.count("TEST: pci vd")
    if status == 0 and not missing and disks == 3 and f"TEST: cksum {checksum}" in text:
        return True
    print(text[-6000:])
    print(f"firmware: FAIL: status {status}, {disks} disks on PCI, missing {missing}")
    return False


def missing_tools(files, programs):
    gone = [str(f) for f in files if not f.exists()]
    gone += [p for p in programs if not shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin")]
    if gone:
        print("firmware: skipped, there is no", ", ".join(gone))
    return gone


def uboot(folder):
    if missing_tools([UBOOT, GUEST / "disk.img"], ["mke2fs"]):
        return SKIP
    image, variables = folder / "u-boot.img", folder / "environment.img"
    shutil.copy(UBOOT, image)
    for path in (image, variables):
        with open(path, "ab") as f:
            f.truncate(BANK)
    script = build_script(folder)
    status, text = run(flash(folder, image.name, unit=0, readonly="on") +
                       flash(folder, variables.name, unit=1) +
                       disk(build_uboot_disk(folder), "boot") + disk(GUEST / "disk.img", "root") +
                       disk(script, "script"), 200)
    return 0 if judge(status, text, script, ["U-Boot 20", "extlinux.conf"]) else 1


def efi(folder):
    if os.environ.get("UMBRA_EFI") != "1":
        print("firmware: skipped, UMBRA_EFI=1 asks for it")
        return SKIP
    code, variables = EDK2 / "AAVMF32_CODE.fd", folder / "AAVMF32_VARS.fd"
    if missing_tools([code, GUEST / "disk.img"], ["mformat", "grub-mkimage"]):
        return SKIP
    shutil.copy(EDK2 / variables.name, variables)
    script = build_script(folder)
    status, text = run(flash(EDK2, code.name, unit=0, readonly="on") +
                       flash(folder, variables.name, unit=1) +
                       disk(build_efi_disk(folder), "boot") + disk(GUEST / "disk.img", "root") +
                       disk(script, "script"), 400)
    if not judge(status, text, script, ["UEFI firmware"]):
        return 1
    if variables.read_bytes() == (EDK2 / variables.name).read_bytes():
        print("firmware: FAIL: no variable was written to flash")
        return 1
    return 0


CASES = {"uboot": uboot, "efi": efi}


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in CASES:
        print("usage: firmware.py", "|".join(CASES))
        return 2
    with tempfile.TemporaryDirectory(prefix="umbra-firmware-") as folder:
        status = CASES[sys.argv[1]](Path(folder))
    if status == 0:
        print(f"firmware: {sys.argv[1]}: ok")
    return status


if __name__ == "__main__":
    sys.exit(main())
