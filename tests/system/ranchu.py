#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The Android emulator's board, and the window: with a bare-metal guest that draws and listens.

    ranchu.py            all cases
    ranchu.py NAME...    some of them

  devices  the goldfish devices and their interrupts, in every MMU mode; what is played is in the file
  keys     a screendump shows what it draws; keys, fingers and the power key by the control socket
  window   -display sdl on a virtual X server: the same picture there, keys and a click by xdotool,
           another size, and the end when the window is closed (skipped without Xvfb and xdotool)
  kernels  UMBRA_RANCHU names a folder of real kernels: kernel-qemu2 or kernel-ranchu* must find the
           devices, kernel-qemu is refused (skipped without it)

UMBRA is the emulator to test (default build/release/umbra); PAYLOADS the folder of the bare-metal
guests (default: built into a scratch folder).
"""

import ctypes
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boot
import qmp
import rfb

UMBRA = shlex.split(os.environ.get("UMBRA") or str(boot.ROOT / "build/release/umbra"))
BUSYBOX = "busybox-static_*_armhf.deb"
WIDTH, HEIGHT = 240, 160
RED, GREEN, BLUE = 0xff0000, 0x00ff00, 0x0000ff


class Wrong(Exception):
    """What a case found."""


class Skipped(Exception):
    """What a case needs and has not."""


def expect(condition, text):
    if not condition:
        raise Wrong(text)


def payload(scratch):
    folder = Path(os.environ.get("PAYLOADS") or scratch / "guest")
    file = folder / "goldfish.arm.elf"
    if not file.exists():
        subprocess.run([boot.ROOT / "tests/guest/build.sh", folder, "goldfish.arm"], check=True)
    return file


def machine(scratch, *more, append=""):
    board = f"ranchu,xres={WIDTH},yres={HEIGHT},prop=a.b=c,wav={scratch / 'out.wav'}"
    return [str(word) for word in (
        *UMBRA, "-M", board, "-m", "256", "-no-reboot", "-nographic", "-kernel", payload(scratch),
        "-append", append, *more)]


class Guest:
    """The payload, ready for events."""

    def __init__(self, scratch, *more, env=None):
        command = machine(scratch, "-serial", "stdio", "-qmp",
                          f"unix:{scratch / 'qmp'},server=on,wait=off", *more, append="events=1")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env=env, text=True)
        self.text = ""
        self.line("READY")
        self.control = qmp.Client(str(scratch / "qmp"))

    def line(self, wanted):
        for line in self.process.stdout:
            self.text += line
            if line.strip() == wanted:
                return
        raise Wrong(f"no '{wanted}': {self.text[-800:]}")

    def events(self, *wanted):
        for event in wanted:
            self.line("EVENT %u %u %u" % event)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def check_picture(rows, what):
    expect((len(rows[0]), len(rows)) == (WIDTH, HEIGHT), f"{what}: {len(rows[0])} x {len(rows)}")
    found = (rows[0][0], rows[HEIGHT - 1][WIDTH // 2 - 1], rows[0][WIDTH - 1],
             rows[HEIGHT - 1][WIDTH - 1])
    expect(found == (RED, RED, GREEN, BLUE), f"{what}: colours {['%06x' % c for c in found]}")


def check_devices(scratch):
    for mmu in ("auto", "soft", "spt", "spt=shared"):
        done = subprocess.run(machine(scratch, "-mmu", mmu), stdin=subprocess.DEVNULL, text=True,
                              capture_output=True, timeout=60, check=False)
        text = done.stdout
        expect(done.returncode == 0 and "not ok" not in text and "\nPASS" in text.replace("\r", ""),
               f"{mmu}: {done.returncode} {text[-800:]} {done.stderr}")
        wav = (scratch / "out.wav").read_bytes()
        expect(wav[:4] == b"RIFF" and len(wav) == 44 + 4096 and
               struct.unpack_from("<I", wav, 40)[0] == 4096, f"{mmu}: WAV file of {len(wav)} bytes")


def check_keys(scratch):
    with Guest(scratch) as guest:
        control = guest.control
        control.execute("screendump", filename=str(scratch / "screen.png"))
        check_picture(rfb.png_rows(scratch / "screen.png"), "screendump")
        control.execute("send-key", keys=[{"type": "qcode", "data": "a"}])
        guest.events((1, 30, 1), (0, 0, 0), (1, 30, 0), (0, 0, 0))
        move = [{"type": "data", "slot": 0, "axis": axis, "value": 1000} for axis in "xy"]
        control.execute("input-send-event", events=[
            {"type": "mtt", "data": data} for data in (*move, {"type": "begin", "slot": 0})])
        guest.events((3, 47, 0), (3, 57, 0), (3, 53, 1000), (3, 54, 1000), (3, 0, 1000),
                     (3, 1, 1000), (1, 330, 1), (0, 0, 0))
        control.execute("system_powerdown")
        guest.events((1, 116, 1), (0, 0, 0), (1, 116, 0), (0, 0, 0))
        control.execute("send-key", keys=[{"type": "qcode", "data": "q"}])
        guest.line("PASS")
        expect(guest.process.wait(20) == 0, "status")


# ---- the window ----
class Desktop:
    """An X server that nobody sees; its screen is a file."""

    def __init__(self, scratch):
        if not shutil.which("Xvfb") or not shutil.which("xdotool"):
            raise Skipped("Xvfb and xdotool (scripts/setup brings them)")
        ready, write = os.pipe()
        self.process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-fbdir", scratch,
             "-nolisten", "tcp"], pass_fds=(write,), stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(ready) as number:
            self.name = ":" + number.read().strip()
        self.file = scratch / "Xvfb_screen0"
        self.env = dict(os.environ, DISPLAY=self.name, SDL_VIDEODRIVER="x11")

    def do(self, *words):
        done = subprocess.run(["xdotool", *map(str, words)], env=self.env, capture_output=True,
                              text=True, timeout=60, check=False)
        expect(done.returncode == 0, f"xdotool {words}: {done.stderr}")
        return done.stdout

    def window(self):
        window = self.do("search", "--sync", "--name", "^Test window$").split()[-1]
        numbers = dict(re.findall(r"(\w+)=(\d+)", self.do("getwindowgeometry", "--shell", window)))
        return window, *(int(numbers[word]) for word in ("X", "Y", "WIDTH", "HEIGHT"))

    def close(self, window):
        """What a window manager does when its user closes a window: xdotool has no word for it."""
        class Message(ctypes.Structure):
            _fields_ = [("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("sent", ctypes.c_int),
                        ("display", ctypes.c_void_p), ("window", ctypes.c_ulong),
                        ("what", ctypes.c_ulong), ("format", ctypes.c_int),
                        ("data", ctypes.c_long * 5), ("room", ctypes.c_long * 24)]

        x11 = ctypes.CDLL("libX11.so.6")
        x11.XOpenDisplay.restype = ctypes.c_void_p
        x11.XInternAtom.restype = ctypes.c_ulong
        display = ctypes.c_void_p(x11.XOpenDisplay(self.name.encode()))
        atoms = [x11.XInternAtom(display, name, 0) for name in (b"WM_PROTOCOLS",
                                                                b"WM_DELETE_WINDOW")]
        message = Message(type=33, window=int(window), what=atoms[0], format=32)
        message.data[0] = atoms[1]
        x11.XSendEvent(display, ctypes.c_ulong(int(window)), 0, ctypes.c_long(0),
                       ctypes.byref(message))
        x11.XCloseDisplay(display)

    def rows(self, x, y, width, height):
        data = self.file.read_bytes()  # an XWD file: 25 words, a name, colours, the pixels
        head = struct.unpack_from(">25I", data)
        start, line = head[0] + head[19] * 12, head[12]
        return [[pixel & 0xffffff for pixel in
                 struct.unpack_from(f"<{width}I", data, start + (y + row) * line + x * 4)]
                for row in range(height)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def until(check, what, seconds=20):
    """Until the check no longer raises."""
    limit = time.monotonic() + seconds
    while True:
        try:
            return check()
        except Wrong as problem:
            if time.monotonic() > limit:
                raise Wrong(f"{what}: {problem}") from problem
        time.sleep(0.1)


def check_window(scratch):
    with Desktop(scratch) as desktop, \
            Guest(scratch, "-display", "sdl", "-name", "Test window", env=desktop.env) as guest:
        window = desktop.window()[0]

        def shows(width, height):
            _, x, y, now_width, now_height = desktop.window()
            expect((now_width, now_height) == (width, height), f"{now_width} x {now_height}")
            rows = desktop.rows(x, y, width, height)
            check_picture([row[::width // WIDTH] for row in rows[::height // HEIGHT]], "window")

        until(lambda: shows(WIDTH, HEIGHT), "the window")
        desktop.do("windowfocus", "--sync", window)
        desktop.do("key", "b")
        guest.events((1, 48, 1), (0, 0, 0), (1, 48, 0), (0, 0, 0))
        desktop.do("mousemove", "--window", window, WIDTH - 1, HEIGHT - 1, "click", 1)
        guest.events((3, 47, 0), (3, 57, 0), (3, 53, 32767), (3, 54, 32767), (3, 0, 32767),
                     (3, 1, 32767), (1, 330, 1), (0, 0, 0), (3, 47, 0))
        desktop.do("windowsize", "--sync", window, 2 * WIDTH, 2 * HEIGHT)
        until(lambda: shows(2 * WIDTH, 2 * HEIGHT), "twice as large")
        desktop.do("mousemove", "--window", window, WIDTH, HEIGHT, "mousedown", 1)
        guest.events((3, 47, 0), (3, 57, 1))  # the middle
        for line in guest.process.stdout:
            if found := re.match(r"EVENT 3 53 (\d+)", line):
                expect(abs(int(found[1]) - 16384) < 300, f"{line}: not the middle")
                break
        desktop.do("mouseup", 1)
        # Held while the window loses the keyboard: released.
        desktop.do("keydown", "c")
        guest.events((1, 46, 1))
        desktop.do("windowunmap", window)
        guest.events((1, 46, 0))
        desktop.do("keyup", "c")
        desktop.do("windowmap", "--sync", window)
        desktop.close(window)
        expect(guest.process.wait(20) == 0, "status after the window was closed")


# ---- real kernels ----
INIT = """#!/busybox sh
/busybox mount -t proc p /proc; /busybox mount -t sysfs s /sys; /busybox mkdir -p /dev
/busybox mdev -s
echo "TEST: fb $(/busybox cat /sys/class/graphics/fb0/virtual_size)"
echo "TEST: input $(/busybox grep -o qwerty2 /proc/bus/input/devices)"
echo "TEST: battery $(/busybox cat /sys/class/power_supply/battery/capacity)"
echo "TEST: clock $(/busybox date +%s) $(/busybox ls /sys/class/rtc)"
echo "TEST: audio $(/busybox ls /dev/eac)"
exec 3<>/dev/goldfish_pipe
/busybox printf 'pipe:qemud:boot-properties\\0' >&3
/busybox printf '0004list' >&3
echo "TEST: pipe $(/busybox dd bs=9 count=1 <&3 2>/dev/null)"
/busybox yes | /busybox head -c 76800 | /busybox tr '\\n' y >/dev/fb0
echo TEST: drawn
/busybox dd if=/dev/input/event0 of=/event bs=16 count=1 2>/dev/null
echo "TEST: event $(/busybox od -An -tu2 -j8 /event)"
/busybox poweroff -f
"""


def small_user_land(scratch):
    debs = sorted((boot.GUEST.parent / "deb").glob(BUSYBOX))
    if not debs:
        raise Skipped("Debian's busybox (scripts/guest fetches it)")
    root = scratch / "root"
    root.mkdir()
    subprocess.run(["dpkg-deb", "-x", debs[-1], root / "deb"], check=True)
    (root / "deb/bin/busybox").rename(root / "busybox")
    shutil.rmtree(root / "deb")
    for folder in ("proc", "sys"):
        (root / folder).mkdir()
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    names = "".join(f"{path.relative_to(root)}\n" for path in sorted(root.rglob("*")))
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, check=True,
                             input=names.encode(), capture_output=True).stdout
    (scratch / "initrd").write_bytes(archive)
    return scratch / "initrd"


def boot_kernel(scratch, kernel, initrd, smp):
    command = [str(word) for word in (
        *UMBRA, "-M", "ranchu,xres=240,yres=160,prop=a.b=c", "-smp", smp, "-m", "512", "-no-reboot",
        "-serial", "stdio", "-qmp", f"unix:{scratch / 'qmp'},server=on,wait=off", "-kernel", kernel,
        "-initrd", initrd, "-append", "console=ttyAMA0 quiet")]
    found = {}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:
        killer = subprocess.Popen(["sh", "-c", f"sleep 240; kill -9 {process.pid}"],
                                  start_new_session=True)
        for line in process.stdout:
            if "TEST: " in line:
                word, _, rest = line.split("TEST: ")[1].strip().partition(" ")
                found[word] = rest.strip()
            if "TEST: drawn" in line:
                control = qmp.Client(str(scratch / "qmp"))
                control.execute("screendump", filename=str(scratch / "screen.png"))
                found["pixel"] = "%06x" % rfb.png_rows(scratch / "screen.png")[0][0]
                time.sleep(1)
                control.execute("send-key", keys=[{"type": "qcode", "data": "a"}])
            if "TEST: event" in line:
                process.kill()
        os.killpg(killer.pid, signal.SIGKILL)
        killer.wait()
    print(f"   {kernel.name} -smp {smp}: {found}", flush=True)
    return found


def check_kernels(scratch):
    folder = os.environ.get("UMBRA_RANCHU")
    if not folder:
        raise Skipped("UMBRA_RANCHU, a folder of kernels")
    initrd = small_user_land(scratch)
    for kernel in sorted(Path(folder).iterdir()):
        if kernel.name == "kernel-qemu":
            done = subprocess.run([*UMBRA, "-M", "ranchu", "-kernel", str(kernel)], text=True,
                                  capture_output=True, timeout=60, check=False)
            expect(done.returncode == 1 and len(done.stderr.splitlines()) == 1 and
                   "older board goldfish" in done.stderr, f"{kernel}: {done.stderr}")
            continue
        for smp in (1, 2, 4):
            found = boot_kernel(scratch, kernel, initrd, smp)
            expect(found.get("input") == "qwerty2" and found.get("pipe") == "0005a.b=c" and
                   "rtc0" in found.get("clock", "") and
                   found.get("event", "").split()[:3] == ["1", "30", "1"], f"{kernel}: {found}")
            expect(abs(int(found["clock"].split()[0]) - time.time()) < 60, "the clock is wrong")
            if "qemu2" in kernel.name:  # Linux 3.18; what the 3.10 ones lack is in docs/android.md
                expect(found["fb"] == "240,320" and found["audio"] == "/dev/eac" and
                       found["pixel"] == "7b2cce", f"{kernel}: {found}")
            else:
                expect(found["battery"] == "100", f"{kernel}: {found}")


CASES = {"devices": check_devices, "keys": check_keys, "window": check_window,
         "kernels": check_kernels}


def main():
    failed = skipped = 0
    names = sys.argv[1:] or list(CASES)
    for name in names:
        if name not in CASES:
            sys.exit(f"ranchu.py: unknown case {name}: {', '.join(CASES)}")
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="umbra-ranchu-") as scratch:
            try:
                CASES[name](Path(scratch))
                print(f"ok {name} ({time.monotonic() - started:.1f} s)", flush=True)
            except Skipped as needs:
                skipped += 1
                print(f"skipped {name}: needs {needs}", flush=True)
            except (Wrong, EOFError, OSError, ValueError, struct.error, qmp.Error,
                    subprocess.SubprocessError) as error:
                failed += 1
                print(f"FAIL {name}: {error}", flush=True)
    sys.exit(1 if failed else 77 if skipped == len(names) else 0)


if __name__ == "__main__":
    main()
