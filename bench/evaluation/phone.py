# SPDX-License-Identifier: MIT
"""One Android guest under one emulator: the same files for Umbra and its peers, started, watched through adbd, measured."""
import contextlib
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

from evaluation import machine

sys.path.insert(0, os.path.join(machine.ROOT, "tools"))
from umbra_android import Problem, adb, formats, pieces, stages  # noqa: E402

SCREEN = (320, 480)
MEMORY_MIB = 1024
DATA_MIB = 1024
FRAMEBUFFER = 0x40000000 + (MEMORY_MIB - 4) * (1 << 20)  # of peers; "mem=" keeps the kernel away from it
# The paper's six and where versions of Android have them: the first that the image has counts.
APPLICATIONS = {
    "clock": ("com.android.deskclock/.DeskClock", "com.google.android.deskclock/com.android.deskclock.DeskClock"),
    "calendar": ("com.android.calendar/.AllInOneActivity", "com.android.calendar/.LaunchActivity"),
    "messages": ("com.android.mms/.ui.ConversationList", "com.android.messaging/.ui.conversationlist.ConversationListActivity"),
    "calculator": ("com.android.calculator2/.Calculator",),
    "phone": ("com.android.dialer/.DialtactsActivity", "com.android.contacts/.DialtactsActivity"),
    "contacts": ("com.android.contacts/.activities.PeopleActivity", "com.android.contacts/.DialtactsContactsEntryActivity"),
}
QUIET_CPU, QUIET_S, QUIET_LIMIT_S = 0.35, 4, 90


def prepare_disks(guest, folder):
    """Raw images that every emulator reads: {name: path}. What the guest writes to and the image lacks is made empty."""
    guest.state = folder / "new"
    disks = pieces.writable_disks(guest, False, DATA_MIB)
    for name, path in guest.disks.items():
        if name in disks:
            continue
        raw = folder / f"{name}.raw"
        if not raw.is_file():
            part = folder / f"{name}.part"
            if formats.disk_format(path) == "sparse":
                formats.unsparse(path, part)
            else:
                copy(path, part)
            part.replace(raw)
        disks[name] = raw
    return disks


def copy(source, target):
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)], check=True)


def tree_with_screen(command, target):
    """A peer's device tree with a framebuffer in it."""
    subprocess.run([*command, "-machine", f"dumpdtb={target}"], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    node, (width, height) = f"/framebuffer@{FRAMEBUFFER:x}", SCREEN
    size = width * height * 2
    subprocess.run(["fdtput", "-c", str(target), node], check=True)
    for kind, name, *values in (("-ts", "compatible", "simple-framebuffer"), ("-ts", "format", "r5g6b5"),
                                ("-tx", "reg", "0", f"{FRAMEBUFFER:x}", "0", f"{size:x}"), ("-tu", "width", width),
                                ("-tu", "height", height), ("-tu", "stride", width * 2)):
        subprocess.run(["fdtput", kind, str(target), node, name, *map(str, values)], check=True)


class Phone(machine.Machine):
    """A running guest. `disks`: raw images; userdata and cache are written to, the others are not. A context manager."""

    def __init__(self, mode, guest, smp, disks, scratch):
        self.mode, self.tail, self.mappings_max, self.link = mode, [], 0, None
        self.serial, self.adb = Path(scratch) / "serial", machine.free_port()
        self.serial.unlink(missing_ok=True)
        peer, self.port = mode in machine.PEERS, None
        base = [machine.PEERS[mode], "-accel", "tcg,thread=multi", "-M", "virt,highmem=off"] if peer else \
            shlex.split(machine.UMBRA) + ["-mmu", mode, "-M", "virt"]
        base += ["-cpu", "cortex-a15", "-smp", str(smp), "-m", str(MEMORY_MIB), "-display", "none"]
        if peer:
            dtb = Path(scratch) / "dtb"
            tree_with_screen([*base, "-nic", "none"], dtb)
            base += ["-dtb", str(dtb)]
        else:
            self.port = machine.free_port()
            base += ["-metrics", str(self.port),
                     "-device", f"simple-framebuffer,width={SCREEN[0]},height={SCREEN[1]},format=r5g6b5"]
        base += ["-global", "virtio-mmio.force-legacy=true"] if guest.kernel_version < (4, 0) else []
        words = ["console=ttyAMA0", "androidboot.console=ttyAMA0", f"androidboot.hardware={guest.hardware}", guest.cmdline]
        base += ["-kernel", str(guest.kernel), "-append", " ".join(words) + f" mem={MEMORY_MIB - 4}M"]
        base += ["-initrd", str(guest.ramdisk)] if guest.ramdisk else []
        for name in reversed(pieces.DISKS):
            if name in disks:
                more = "" if name in ("userdata", "cache") else ",snapshot=on"
                base += ["-drive", f"file={disks[name]},format=raw,if=none,id={name}{more}",
                         "-device", f"virtio-blk-device,drive={name}"]
        base += ["-netdev", f"user,id=n,hostfwd=tcp:127.0.0.1:{self.adb}-:5555", "-device", "virtio-net-device,netdev=n",
                 "-serial", f"file:{self.serial}", "-no-reboot"]
        self.started = time.monotonic()
        self.process = subprocess.Popen(base, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True)
        os.set_blocking(self.process.stdout.fileno(), False)

    def console(self):
        with contextlib.suppress(OSError):
            return "\n".join(self.serial.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
        return ""

    def fail(self, what):
        said = (self.process.stdout.read() or b"").decode(errors="replace")
        raise machine.Failure(what, said + self.console())

    def shell(self, command, limit=120):
        """Output of a command; None when nobody answers. One connection serves all: adbd is not good at many."""
        try:
            self.link = self.link or adb.Link(self.adb, timeout=10)
            return self.link.shell(command, limit)
        except (OSError, adb.Refused):
            if self.link:
                self.link.close()
            self.link = None
            return None

    def wait_for(self, command, wanted, limit, pause=0.5):
        """Ask until the answer has `wanted` in it; seconds since the start of the emulator."""
        end = self.started + limit
        while time.monotonic() < end:
            if self.process.poll() is not None:
                self.fail(f"the emulator ended with status {self.process.returncode}")
            text = self.shell(command, 60)
            if text is not None and wanted(text):
                return time.monotonic() - self.started
            time.sleep(pause)
        self.fail(f"not within {limit:.0f} s: {command}")
        return None

    def wait_boot(self, limit):
        return self.wait_for("getprop sys.boot_completed", lambda text: text.strip() == "1", limit)

    def wait_home(self, limit):
        return self.wait_for("dumpsys window windows | grep -E 'mCurrentFocus|mFocusedApp'", stages.home_of, limit)

    def wait_quiet(self):
        """Until what runs after a boot has ended, or most of it."""
        end = time.monotonic() + QUIET_LIMIT_S
        while time.monotonic() < end:
            before = self.cpu_time()
            time.sleep(QUIET_S)
            if self.cpu_time() - before < QUIET_CPU * QUIET_S:
                return

    def unlock(self):
        """No lock screen, and none after a while."""
        self.shell("settings put system screen_off_timeout 86400000; input keyevent 82")

    def cpu_time(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / machine.TICK

    def power_off(self, limit=120):
        """A clean end; Failure if it does not come."""
        self.shell("sync; reboot -p", 5)
        try:
            if self.process.wait(limit) != 0:
                self.fail(f"the emulator ended with status {self.process.returncode}")
        except subprocess.TimeoutExpired:
            self.fail(f"no end {limit} s after reboot -p")

    def applications(self):
        """{name: activity} of what the image has."""
        there = set((self.shell("pm list packages", 120) or "").replace("package:", "").split())
        found = {}
        for name, activities in APPLICATIONS.items():
            for activity in activities:
                if activity.split("/")[0] in there and name not in found:
                    found[name] = activity
        return found

    def start_once(self, activity, limit):
        """Milliseconds from the order to start to the first picture, as the guest says; None: it did not start."""
        before = self.serial.stat().st_size
        text = self.shell(f"am start -W -n {activity}", limit) or ""
        found = re.search(r"TotalTime: (\d+)", text)
        if found and "Error" not in text:
            return int(found.group(1))
        # am gives up after 10 s; the log has the same number when it comes, and our guest has its log on the console.
        shown = re.compile(rb"Displayed " + re.escape(activity).encode() + rb": \+(?:(\d+)m)?(?:(\d+)s)?(\d+)ms")
        end = time.monotonic() + limit
        while "timeout" in text and time.monotonic() < end:
            time.sleep(1)
            with open(self.serial, "rb") as file:
                file.seek(before)
                found = shown.search(file.read())
            if found:
                minutes, seconds, ms = (int(part or 0) for part in found.groups())
                return (minutes * 60 + seconds) * 1000 + ms
        return None

    def cold_start(self, activity, runs=5, limit=120):
        """Milliseconds of the middle runs, each after a forced stop; None: one did not start."""
        times = []
        for _ in range(runs):
            self.shell(f"am force-stop {activity.split('/')[0]}; sleep 1", limit)
            times.append(self.start_once(activity, limit))
            self.shell("input keyevent 3; sleep 1", limit)
        if None in times:
            return None
        times.sort()
        cut = (len(times) - 3) // 2 if len(times) > 3 else 0
        middle = times[cut:len(times) - cut]
        return sum(middle) / len(middle)


def find_guest(folder):
    """The first guest below UMBRA_ANDROID (or in it) that boots to a home screen."""
    folder = Path(folder)
    for path in [folder, *sorted(p for p in folder.iterdir() if p.is_dir())]:
        until = path / "until"
        if until.is_file() and until.read_text(encoding="utf-8").strip() not in ("home", "boot_completed"):
            continue
        with contextlib.suppress(Problem):
            return pieces.from_folder(path)
    raise Problem(f"{folder} has no guest that boots to a home screen")

