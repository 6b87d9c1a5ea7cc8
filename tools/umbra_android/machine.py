# SPDX-License-Identifier: MIT
"""The command line of the emulator for a guest."""

import os
import shutil
import subprocess
from pathlib import Path

from . import Problem, pieces

ROOT = Path(__file__).resolve().parent.parent.parent


def emulator(given):
    """Path of umbra: as told, of this tree's build, or beside the installed tool, or in PATH."""
    wanted = given or os.environ.get("UMBRA")
    if wanted:
        found = shutil.which(wanted)
        if not found:
            raise Problem(f"there is no emulator {wanted}")
        return found
    for path in (ROOT / "build/release/umbra", ROOT.parent.parent / "bin/umbra"):
        if path.is_file():
            return str(path)
    found = shutil.which("umbra")
    if not found:
        raise Problem("there is no umbra in PATH; --umbra FILE says where it is")
    return found


def _knows(umbra, option):
    done = subprocess.run([umbra, "-help"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                          check=False)
    return option in done.stdout


def display(umbra, kind, web_port):
    """Options for headless, window or web."""
    if kind == "headless":
        return ["-display", "none"]
    want = "sdl" if kind == "window" else "web"
    if not _knows(umbra, want):
        raise Problem(f"this {umbra} has no -display {want}; --headless works")
    return ["-display", want if kind == "window" else f"web={web_port}"]


def screen(guest, old, size):
    """A screen that the kernel has a driver for, with keys and fingers where it can have them. A device tree of the
    image's own brings what it brings."""
    width, height = size.lower().split("x")
    if guest.dtb:
        return []
    if old:
        return ["-device", f"simple-framebuffer,width={width},height={height},format=r5g6b5"]
    return ["-device", f"virtio-gpu-device,xres={width},yres={height}", "-device", "virtio-keyboard-device",
            "-device", "virtio-multitouch-device"]


def kernel_words(guest, extra):
    """The command line of the kernel. What comes last wins, so the user's words do."""
    words = ["console=ttyAMA0", "androidboot.console=ttyAMA0"]
    if guest.hardware:
        words.append(f"androidboot.hardware={guest.hardware}")
    return " ".join(words + guest.cmdline.split() + extra.split())


def command(umbra, guest, options, disks, serial, control):
    """The whole command line. `disks`: own copies of what is written to."""
    old = guest.kernel_version and guest.kernel_version < (4, 0)
    cpus = options.smp or min(guest.cpus or 2, 8)
    line = [umbra, "-M", "virt", "-cpu", options.cpu or ("cortex-a15" if old else "max"),
            "-smp", str(cpus), "-m", str(options.memory or guest.memory or 1024),
            "-kernel", str(guest.kernel), "-append", kernel_words(guest, options.append)]
    if guest.ramdisk:
        line += ["-initrd", str(guest.ramdisk)]
    if guest.dtb:
        line += ["-dtb", str(guest.dtb)]
    if old:
        line += ["-global", "virtio-mmio.force-legacy=true"]
    # Slots are filled from the highest address down and Linux finds the lowest first: vda comes last.
    for name in reversed(pieces.DISKS):
        if name in disks:
            line += _drive(name, disks[name], "")
        elif name in guest.disks:
            line += _drive(name, guest.disks[name], ",snapshot=on")
    line += ["-nic", f"user,hostfwd=tcp:127.0.0.1:{options.adb_port}-:5555", "-device", "virtio-rng-device"]
    line += ["-serial", f"file:{serial}", "-monitor", "none", "-qmp", f"unix:{control},server=on,wait=off"]
    line += ["-name", guest.name.replace(",", " "), "-no-reboot"]
    if options.mmu:
        line += ["-mmu", options.mmu]
    line += screen(guest, old, options.screen)
    return line + display(umbra, options.display, options.web_port) + options.rest


def _drive(name, path, more):
    if "," in str(path):
        raise Problem(f"{path}: the emulator cannot take a name with a comma")
    return ["-drive", f"file={path},format=raw,if=none,id={name}{more}",
            "-device", f"virtio-blk-device,drive={name}"]
