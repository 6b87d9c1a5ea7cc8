# SPDX-License-Identifier: MIT
"""Which files make a guest: in a folder, or of an AVD (the Android emulator's .ini files)."""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import Problem, formats

KERNELS = ("kernel", "kernel-qemu2", "kernel-ranchu", "kernel-qemu", "zImage")
RAMDISKS = ("ramdisk.img", "ramdisk.cpio.gz", "ramdisk.cpio", "ramdisk-recovery.img")
# In the order in which the Android emulator's board has them: vda, vdb, ...
DISKS = {"system": ("system.img", "system-qemu.img"), "cache": ("cache.img",),
         "userdata": ("userdata.img", "userdata-qemu.img"), "vendor": ("vendor.img", "vendor-qemu.img")}
ARM_ABIS = ("armeabi", "armeabi-v7a")


@dataclass
class Guest:
    name: str
    kernel: Path = None
    ramdisk: Path = None           # None: in the boot image, or none
    disks: dict = field(default_factory=dict)  # name: Path, in DISKS' order
    state: Path = None             # where what the guest writes is kept
    cmdline: str = ""              # words of the image's own
    hardware: str = ""             # androidboot.hardware
    kernel_version: tuple = ()
    memory: int = 0
    cpus: int = 0
    dtb: Path = None


def _first(folders, names):
    for folder in folders:
        for name in names:
            if (folder / name).is_file():
                return folder / name
    return None


def _ini(path):
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as err:
        raise Problem(f"{path}: {err.strerror}") from err
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and line[:1] not in "#;")
    return {key.strip(): value.strip() for key, value in pairs}


def _check_abi(where, abi):
    if abi and abi not in ARM_ABIS:
        raise Problem(f"{where} is for {abi}; an image for 32-bit ARM (armeabi-v7a) is needed")


def _examine(guest):
    """Look into kernel and RAM disk; find out what the command line needs."""
    data = formats.read(guest.kernel)
    boot = formats.boot_image(guest.kernel, data)
    kernel = formats.kernel(guest.kernel, boot.kernel if boot else data)
    if kernel.goldfish_only:
        raise Problem(f"{guest.kernel} is a kernel for the old single-CPU goldfish board; one for the ranchu or "
                      "virt board is needed, --kernel FILE gives one")
    guest.kernel_version = kernel.version
    ramdisk = None
    if guest.ramdisk:
        ramdisk = formats.ramdisk(guest.ramdisk, formats.read(guest.ramdisk))
    elif boot and boot.ramdisk:
        ramdisk = formats.ramdisk(guest.kernel, boot.ramdisk)
    if ramdisk is None and "system" not in guest.disks:
        raise Problem(f"{guest.name} has neither a RAM disk ({', '.join(RAMDISKS)}, or in boot.img) nor a "
                      "system image; there is nothing to boot")
    if ramdisk and not guest.hardware and "androidboot.hardware=" not in guest.cmdline:
        usable = [h for h in ("virt", "ranchu", "goldfish") if h in ramdisk.hardware]
        guest.hardware = (usable or ramdisk.hardware or ["virt"])[0]
    for path in guest.disks.values():
        formats.disk_format(path)
    return guest


def from_folder(folder, kernel=None, state=None):
    """The guest whose files lie in a folder."""
    folder = Path(folder)
    if not folder.is_dir():
        raise Problem(f"{folder} is not a folder; one with kernel or boot.img and the image's files is needed")
    guest = Guest(str(folder))
    for name in ("build.prop", "source.properties"):
        if (folder / name).is_file():
            values = _ini(folder / name)
            _check_abi(folder / name, values.get("ro.product.cpu.abi") or values.get("SystemImage.Abi"))
    guest.kernel = Path(kernel) if kernel else _first([folder], KERNELS + ("boot.img",))
    if guest.kernel is None:
        raise Problem(f"{folder} has no kernel ({', '.join(KERNELS)}) and no boot.img; --kernel FILE gives one")
    guest.ramdisk = _first([folder], RAMDISKS)
    if guest.ramdisk is None and kernel and (folder / "boot.img").is_file():
        raise Problem(f"{folder} has its RAM disk in boot.img, which --kernel replaces; unpack it as ramdisk.img")
    guest.disks = {n: p for n, p in ((n, _first([folder], names)) for n, names in DISKS.items()) if p}
    guest.dtb = _first([folder], ("umbra.dtb",))
    if (folder / "cmdline").is_file():
        guest.cmdline = " ".join((folder / "cmdline").read_text(encoding="utf-8").split())
    guest.state = Path(state) if state else _state(folder)
    return _examine(guest)


def _state(folder):
    """The folder itself when it can be written to, else one of the user's."""
    if os.access(folder, os.W_OK):
        return folder / "umbra"
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    digest = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return home / "umbra/android" / f"{folder.name}-{digest}"


def _avd_folder(name):
    home = Path(os.environ.get("ANDROID_AVD_HOME") or Path.home() / ".android/avd")
    ini = home / f"{name}.ini"
    if not ini.is_file():
        there = ", ".join(sorted(p.stem for p in home.glob("*.ini"))) or "none"
        raise Problem(f"there is no AVD {name} in {home}; there is: {there}")
    values = _ini(ini)
    for key, base in (("path", None), ("path.rel", home.parent)):
        if key in values:
            folder = base / values[key] if base else Path(values[key])
            if folder.is_dir():
                return folder
    raise Problem(f"{ini} names a folder that is not there: {values.get('path', 'no path= line')}")


def _sdk_folders(config):
    roots = [os.environ.get("ANDROID_SDK_ROOT"), os.environ.get("ANDROID_HOME"), Path.home() / "Android/Sdk"]
    for key in ("image.sysdir.1", "image.sysdir.2"):
        for root in roots:
            if root and config.get(key) and (Path(root) / config[key]).is_dir():
                yield Path(root) / config[key]
                break


def _number(text, unit_default=1):
    digits = "".join(c for c in text if c.isdigit())
    return int(digits) * unit_default if digits else 0


def from_avd(name, kernel=None, state=None):
    """The guest of an AVD: files of the user's folder before those of the system image."""
    folder = _avd_folder(name)
    config = _ini(folder / "config.ini")
    _check_abi(folder / "config.ini", config.get("abi.type"))
    folders = [folder, *_sdk_folders(config)]
    if len(folders) == 1:
        raise Problem(f"{folder / 'config.ini'} names the system image {config.get('image.sysdir.1', '(none)')}, "
                      "which is not there; ANDROID_SDK_ROOT says where the SDK is")
    guest = Guest(f"AVD {name}")
    given = kernel or config.get("kernel.path")
    guest.kernel = Path(given) if given else _first(folders, KERNELS + ("boot.img",))
    if guest.kernel is None or not guest.kernel.is_file():
        raise Problem(f"AVD {name} has no kernel ({guest.kernel or ', '.join(KERNELS)}); --kernel FILE gives one")
    guest.ramdisk = _first(folders, RAMDISKS)
    guest.disks = {n: p for n, p in ((n, _first(folders, names)) for n, names in DISKS.items()) if p}
    guest.memory = _number(config.get("hw.ramSize", ""))
    guest.cpus = _number(config.get("hw.cpu.ncore", ""))
    guest.cmdline = "qemu=1 qemu.gles=0"
    guest.state = Path(state) if state else folder / "umbra"
    return _examine(guest)


# ---- what the guest writes to ----

def _mke2fs():
    found = shutil.which("mke2fs", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if not found:
        raise Problem("making a userdata image takes mke2fs (Debian's package e2fsprogs)")
    return found


def _make(path, label, mib):
    """An empty ext4 file system that also old kernels mount."""
    command = [_mke2fs(), "-q", "-t", "ext4", "-b", "4096", "-L", label,
               "-O", "^metadata_csum,^64bit,^huge_file", str(path), f"{mib}M"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Problem(f"mke2fs cannot make {path}: {' '.join(done.stdout.split())}")


def _copy(source, target):
    if formats.disk_format(source) == "sparse":
        formats.unsparse(source, target)
        return
    done = subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)],
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Problem(f"cannot copy {source}: {done.stderr.strip()}")


def writable_disks(guest, wipe, data_mib):
    """Own copies of userdata and cache, made when missing; the image's files are never written to."""
    try:
        guest.state.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise Problem(f"{guest.state}: {err.strerror}; --state FOLDER names another place") from err
    result = {}
    for name, mib in (("cache", 64), ("userdata", data_mib)):
        path = guest.state / f"{name}.img"
        if wipe or not path.is_file():
            part = guest.state / f"{name}.part"
            part.unlink(missing_ok=True)
            if name in guest.disks:
                _copy(guest.disks[name], part)
            else:
                _make(part, name, mib)
            part.replace(path)
        result[name] = path
    return result
