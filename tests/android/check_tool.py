#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""umbra-android is judged: what it makes of images that are complete, wrong, damaged or of another
machine, and of guests that boot, hang, die or are not reached. The emulator is a small script that plays a
guest's console and adbd; no guest runs. Images of Debian's mkbootimg and img2simg are read where the tools
are installed."""

import contextlib
import gzip
import io
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from umbra_android import Problem, adb, formats, main, stages, timeline  # noqa: E402

HOME_PROBE = ("1\n=\nrunning\n=\n1\n=\n  mCurrentFocus=Window{41f0 u0 com.android.launcher/"
              "com.android.launcher2.Launcher}\n")


def zimage(text=b"Linux version 6.1.0 psci", tail=b""):
    head = bytearray(0x40)
    struct.pack_into("<4I", head, 0x24, 0x016F2818, 0, 0x2000, 0x04030201)
    return bytes(head) + gzip.compress(text, mtime=0) + tail


def elf(machine):
    return b"\x7fELF\1\1\1" + bytes(9) + struct.pack("<2H", 2, machine) + bytes(32)


def cpio(files):
    """files: {name: (mode, contents)}."""
    out = b""
    for name, (mode, body) in [*files.items(), ("TRAILER!!!", (0, b""))]:
        path = name.encode() + b"\0"
        fields = (1, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(path), 0)
        out += b"070701" + b"".join(b"%08x" % f for f in fields) + path
        out += bytes(-len(out) % 4) + body
        out += bytes(-len(out) % 4)
    return out


def ramdisk(machine=40, **more):
    files = {"init": (0o100755, elf(machine)), "init.ranchu.rc": (0o100644, b""), **more}
    return gzip.compress(cpio(files), mtime=0)


def boot_image(version, kernel, disk, cmdline=b"a=b"):
    head = bytearray(4096)
    head[:8] = b"ANDROID!"
    if version <= 2:
        struct.pack_into("<8I", head, 8, len(kernel), 0, len(disk), 0, 0, 0, 0, 4096)
        head[64:64 + len(cmdline)] = cmdline
    else:
        struct.pack_into("<2I", head, 8, len(kernel), len(disk))
        head[44:44 + len(cmdline)] = cmdline
    struct.pack_into("<I", head, 40, version)
    return bytes(head) + kernel.ljust(-(-len(kernel) // 4096) * 4096, b"\0") + disk


class Scratch(unittest.TestCase):
    def setUp(self):
        self.dir = Path(tempfile.mkdtemp(prefix="umbra-check-android-"))
        self.addCleanup(shutil.rmtree, self.dir)
        for name in ("UMBRA", "ANDROID_SDK_ROOT", "ANDROID_HOME", "ANDROID_AVD_HOME", "ANDROID_USER_HOME"):
            os.environ.pop(name, None)

    def put(self, name, data=b""):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def refused(self, word, function, *arguments):
        with self.assertRaises(Problem) as caught:
            function(*arguments)
        text = str(caught.exception)
        self.assertIn(word, text)
        self.assertNotIn("\n", text)


class Formats(Scratch):
    def test_boot_images(self):
        for version in range(5):
            got = formats.boot_image("b", boot_image(version, b"K" * 5000, b"R" * 300))
            self.assertEqual((got.kernel, got.ramdisk, got.cmdline), (b"K" * 5000, b"R" * 300, "a=b"))
        self.assertIsNone(formats.boot_image("b", b"nothing" * 500))
        good = boot_image(0, b"K" * 5000, b"R" * 300)
        self.refused("truncated", formats.boot_image, "b", good[:-1])
        self.refused("within its header", formats.boot_image, "b", good[:1000])
        self.refused("version 7", formats.boot_image, "b", good[:40] + struct.pack("<I", 7) + good[44:])
        self.refused("page size is 1", formats.boot_image, "b", good[:36] + struct.pack("<I", 1) + good[40:])

    def test_kernels(self):
        self.assertEqual(formats.kernel("k", zimage()).version, (6, 1))
        self.assertEqual(formats.kernel("k", gzip.compress(zimage())).version, (6, 1))
        self.assertFalse(formats.kernel("k", zimage(b"goldfish psci")).goldfish_only)
        self.assertTrue(formats.kernel("k", zimage(b"Linux version 3.4 goldfish")).goldfish_only)
        self.refused("arm64", formats.kernel, "k", bytes(0x38) + b"ARM\x64" + bytes(100))
        self.refused("x86", formats.kernel, "k", bytes(0x202) + b"HdrS")
        self.refused("x86_64", formats.kernel, "k", elf(62))
        self.refused("no kernel", formats.kernel, "k", b"hello")
        self.refused("no kernel", formats.kernel, "k", b"\x1f\x8b\x08damaged")

    def test_ramdisks(self):
        got = formats.ramdisk("r", ramdisk())
        self.assertEqual((got.arch, got.hardware), ("arm", ["ranchu"]))
        link = {"init": (0o120777, b"/system/bin/init"), "system/bin/init": (0o100755, elf(40))}
        self.assertEqual(formats.ramdisk("r", cpio(link)).arch, "arm")
        self.assertEqual(formats.ramdisk("r", cpio({"init": (0o120777, b"init")})).arch, "")
        self.refused("x86 image", formats.ramdisk, "r", ramdisk(3))
        self.refused("arm64 image", formats.ramdisk, "r", ramdisk(183))
        self.refused("damaged", formats.ramdisk, "r", b"\x1f\x8b\x08" + bytes(100))
        self.refused("damaged", formats.ramdisk, "r", b"hello")

    def test_hostile_cpio(self):
        good = cpio({"init": (0o100755, elf(40)), "fstab.x": (0o100644, b"1")})
        rng = random.Random(int(os.environ.get("SEED", "1")))
        for _ in range(300):
            data = bytearray(good)
            for _ in range(rng.randrange(1, 6)):
                data[rng.randrange(len(data))] = rng.choice(b"0123456789abcdef\0/.~")
            list(formats.cpio_entries(bytes(data)))
            list(formats.cpio_entries(bytes(data[:rng.randrange(len(data))])))

    def test_sparse(self):
        chunks = [(0xCAC1, 1, b"D" * 4096), (0xCAC2, 2, b"abcd"), (0xCAC3, 3, b""), (0xCAC4, 0, b"xxxx"),
                  (0xCAC2, 1, bytes(4))]
        body = b"".join(struct.pack("<2H2I", k, 0, n, 12 + len(d)) + d for k, n, d in chunks)
        head = struct.pack("<I4H4I", 0xED26FF3A, 1, 0, 28, 12, 4096, 7, len(chunks), 0)
        path = self.put("s", head + body)
        self.assertEqual(formats.disk_format(path), "sparse")
        formats.unsparse(path, self.dir / "raw")
        self.assertEqual((self.dir / "raw").read_bytes(), b"D" * 4096 + b"abcd" * 2048 + bytes(4 * 4096))
        for cut, word in ((len(head + body) - 17, "wrong size"), (100, "truncated")):
            self.refused(word, formats.unsparse, self.put("cut", (head + body)[:cut]), self.dir / "raw")
        big = head + struct.pack("<2H2I", 0xCAC3, 0, 0xFFFFFFFF, 12)
        self.refused("beyond its end", formats.unsparse, self.put("big", big), self.dir / "raw")
        self.refused("qcow2", formats.disk_format, self.put("q", b"QFI\xfb" + bytes(100)))
        self.refused("is empty", formats.disk_format, self.put("empty"))

    @unittest.skipUnless(shutil.which("img2simg"), "img2simg is not installed (android-sdk-libsparse-utils)")
    def test_debian_sparse(self):
        data = os.urandom(40960) + bytes(1 << 20) + b"wxyz" * 4096 + os.urandom(4096)
        raw = self.put("raw", data)
        subprocess.run(["img2simg", raw, self.dir / "sparse"], check=True)
        formats.unsparse(self.dir / "sparse", self.dir / "back")
        self.assertEqual((self.dir / "back").read_bytes(), data)

    @unittest.skipUnless(shutil.which("mkbootimg"), "mkbootimg is not installed")
    def test_debian_boot_image(self):
        kernel, disk = self.put("k", os.urandom(9000)), self.put("r", os.urandom(7000))
        for version in range(4):  # as many as Debian 12's knows
            extra = ["--dtb", kernel] if version == 2 else []
            out = self.dir / f"boot{version}"
            subprocess.run(["mkbootimg", "--header_version", str(version), "--kernel", kernel, "--ramdisk", disk,
                            "--cmdline", "c=" + "d" * 800, *extra, "-o", out], check=True,
                           stdout=subprocess.DEVNULL)
            got = formats.boot_image(out, out.read_bytes())
            self.assertEqual((got.kernel, got.ramdisk), (kernel.read_bytes(), disk.read_bytes()))
            self.assertEqual(got.cmdline, "c=" + "d" * 800)


class Stages(unittest.TestCase):
    def test_probe(self):
        self.assertEqual(stages.from_probe(HOME_PROBE)[-1], "home")
        self.assertEqual(stages.from_probe("\n=\nrunning\n=\n0\n=\n")[-1], "zygote")
        self.assertEqual(stages.from_probe("\n=\nrestarting\n=\n0\n=\n")[-1], "init")
        self.assertEqual(stages.from_probe("\n=\nrunning\n=\n1\n=\n")[-1], "system_server")
        self.assertEqual(stages.from_probe("1\n=\nrunning\n=\n1\n=\n mCurrentFocus=null\n")[-1],
                         "boot_completed")
        self.assertEqual(stages.from_probe("garbage"), [])
        self.assertIsNone(stages.home_of("mCurrentFocus=Window{1 u0 com.android.settings/.FallbackHome}"))
        # Behind the lock screen of Android 4.4, 5 and 12; something else is there; nothing is.
        app = "mFocusedApp=AppWindowToken{1 token=Token{2 ActivityRecord{3 u0 %s t1}}}"
        launcher = app % "com.android.launcher3/.Launcher"
        for lock in ("Keyguard", "StatusBar", "NotificationShade"):
            text = "mCurrentFocus=Window{1 u0 " + lock + "}\n  "
            self.assertEqual(stages.home_of(text + launcher), "com.android.launcher3/.Launcher")
            self.assertIsNone(stages.home_of(text + app % "com.android.settings/.Settings"))
        self.assertIsNone(stages.home_of("mCurrentFocus=null\n " + launcher))
        self.assertIsNone(stages.home_of("mCurrentFocus=Window{1 u0 com.android.settings/.Settings}\n" + launcher))

    def console(self, text):
        with tempfile.NamedTemporaryFile() as file:
            file.write(text.encode())
            file.flush()
            watcher = stages.Watcher(file.name, 1, time.monotonic())
            watcher.read_console()
        return watcher

    def test_console(self):
        # "cblist_init_generic: " is not init.
        self.assertEqual(list(self.console("[0.0] Linux version 6.1\n[0.1] cblist_init_generic: x\n").seen),
                         ["kernel"])
        self.assertIn("init", self.console("[2.0] init: init second stage started!\n").seen)
        self.assertIn("init", self.console("Freeing unused kernel memory: 360K\n").seen)
        self.assertEqual(self.console("Kernel panic - not syncing: no init\n").death,
                         "Kernel panic - not syncing: no init")
        self.assertNotIn("kernel", self.console("Linux version 6.1 without its end").seen)

    def test_timeline(self):
        record = {"name": "a & b", "result": "home after 3.00 s", "stages": {"kernel": 1.0, "home": 3.0}}
        self.assertIn("(+2.00)", timeline.text(record))
        self.assertIn("a &amp; b", timeline.svg(record))


def der(tag, data):
    size = bytes([len(data)]) if len(data) < 128 else b"\x82" + len(data).to_bytes(2, "big")
    return bytes([tag]) + size + data


def der_number(value):
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def prime(bits, rng):
    while True:
        n = rng.getrandbits(bits) | 1 << bits - 1 | 3 << bits - 2 | 1
        if all(pow(a, n - 1, n) == 1 for a in (2, 3, 5, 7, 11)) and n % 65537 != 1:
            return n


class FakeAdbd(threading.Thread):
    """An adbd that answers every command with one text, after asking for a key if it has one."""

    def __init__(self, text, key=None):
        super().__init__(daemon=True)
        self.text, self.key = text, key
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]

    def run(self):
        while True:
            try:
                sock, _ = self.server.accept()
            except OSError:
                return
            with sock, contextlib.suppress(OSError):
                self.serve(sock)

    def serve(self, sock):
        end = time.monotonic() + 10
        adb._receive(sock, end)
        if self.key:
            token = os.urandom(20)
            adb._send(sock, adb.AUTH, 1, 0, token)
            signature = adb._receive(sock, end)[3]
            plain = pow(int.from_bytes(signature, "big"), 65537, self.key)
            if plain.to_bytes(len(signature), "big")[-20:] != token:
                adb._send(sock, adb.AUTH, 1, 0, token)
                return
        adb._send(sock, adb.CNXN, adb.VERSION, 4096, b"device::\0")
        adb._receive(sock, end)
        adb._send(sock, adb.OKAY, 7, 1)
        for at in range(0, len(self.text), 10):
            adb._send(sock, adb.WRTE, 7, 1, self.text[at:at + 10])
            adb._receive(sock, end)
        adb._send(sock, adb.CLSE, 7, 1)


class Adb(Scratch):
    def adbd(self, *arguments):
        server = FakeAdbd(*arguments)
        server.start()
        self.addCleanup(server.server.close)
        return server.port

    def key(self):
        rng = random.Random(5)
        p, q = prime(512, rng), prime(512, rng)
        d = pow(65537, -1, (p - 1) * (q - 1))
        numbers = b"".join(der_number(v) for v in (0, p * q, 65537, d, p, q, d % (p - 1), d % (q - 1), 1))
        inner = der(0x30, numbers)
        outer = der(0x30, der_number(0) + der(0x30, der(6, b"\x2a")) + der(4, inner))
        return p * q, inner, outer

    def test_output(self):
        self.assertEqual(adb.shell(self.adbd(b"one\r\ntwo, which is longer\n"), "x"),
                         "one\ntwo, which is longer\n")

    def test_key(self):
        import base64
        modulus, inner, outer = self.key()
        os.environ["ANDROID_USER_HOME"] = str(self.dir)
        for body in (inner, outer):
            self.put("adbkey", b"-----BEGIN\n" + base64.encodebytes(body) + b"-----END\n")
            self.assertEqual(adb.shell(self.adbd(b"ok", modulus), "x"), "ok")
        with self.assertRaises(adb.Refused):
            adb.shell(self.adbd(b"ok", modulus - 2), "x")
        (self.dir / "adbkey").unlink()
        with self.assertRaises(adb.Refused):
            adb.shell(self.adbd(b"ok", modulus), "x")

    def test_nobody(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            with self.assertRaises(OSError):
                adb.shell(server.getsockname()[1], "x", timeout=0.2)


FAKE = """#!{python}
import sys, time
sys.path[:0] = [{tools!r}, {here!r}]
line = sys.argv
if "-help" in line:
    print("-display none"); sys.exit(0)
open({dir!r} + "/line", "w").write("\\0".join(line))
console = line[line.index("-serial") + 1].split(":", 1)[1]
port = int(next(w for w in line if "hostfwd" in w).split("127.0.0.1:")[1].split("-")[0])
out = open(console, "w")
{body}
"""


class Tool(Scratch):
    def setUp(self):
        super().setUp()
        self.put("g/kernel", zimage())
        self.put("g/ramdisk.img", ramdisk())
        self.put("g/system.img", b"x" * 512)
        self.put("g/userdata.img", b"y" * 512)
        self.put("g/cache.img", b"z" * 512)

    def fake(self, body):
        path = self.put("umbra", FAKE.format(python=sys.executable, tools=str(ROOT / "tools"), dir=str(self.dir),
                                             here=str(Path(__file__).parent), body=body).encode())
        path.chmod(0o755)

    def tool(self, *arguments, folder="g"):
        out, err = io.StringIO(), io.StringIO()
        where = [str(self.dir / folder)] if folder else []
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main.main([*where, "--umbra", str(self.dir / "umbra"), "--adb-port", "0", "--wait",
                                    *arguments])
            except SystemExit as end:
                status = end.code
        return status, out.getvalue(), err.getvalue()

    def line(self):
        return (self.dir / "line").read_text().split("\0")

    BOOTS = """
import check_tool
server = check_tool.FakeAdbd(check_tool.HOME_PROBE.encode())
import socket
server.server.close()
server.server = socket.create_server(("127.0.0.1", port))
server.start()
print("[0.0] Linux version 6.1\\n[1.0] init: init second stage started!", file=out, flush=True)
time.sleep(60)
"""

    def test_boots(self):
        self.fake(self.BOOTS)
        status, out, err = self.tool("--timeout", "30", "--timeline", str(self.dir / "t"), "--smp", "4",
                                     "--memory", "512", "--mmu", "soft", "--append", "my=word", "--", "-S")
        self.assertEqual((status, err), (0, ""))
        self.assertEqual([w.split()[-1] for w in out.strip().split("\n")], list(stages.STAGES))
        record = json.loads((self.dir / "t.json").read_text())
        self.assertTrue(record["ok"])
        times = [record["stages"][s] for s in stages.STAGES]
        self.assertEqual(times, sorted(times))
        self.assertIn("home after", (self.dir / "t.txt").read_text())
        self.assertIn("<svg", (self.dir / "t.svg").read_text())
        line = self.line()
        for words in (["-smp", "4"], ["-m", "512"], ["-mmu", "soft"], ["-cpu", "max"], ["-display", "none"]):
            self.assertIn(" ".join(words), " ".join(line))
        self.assertEqual(line[-1], "-S")
        words = line[line.index("-append") + 1]
        self.assertTrue(words.endswith("androidboot.hardware=ranchu my=word"), words)
        drives = [w for w in line if w.startswith("file=")]
        self.assertEqual([w.split("id=")[1].split(",")[0] for w in drives], ["userdata", "cache", "system"])
        self.assertIn("snapshot=on", drives[2])
        self.assertNotIn("snapshot", drives[0] + drives[1])

    def test_dies(self):
        self.fake('print("Linux version 6", file=out, flush=True); print("umbra: no memory", file=sys.stderr); '
                  'sys.exit(3)')
        status, _, err = self.tool()
        self.assertEqual(status, 1)
        self.assertIn("init did not come: the emulator ended with status 3: umbra: no memory", err)

    def test_panics(self):
        self.fake('print("Linux version 6\\nKernel panic - not syncing: No init", file=out, flush=True); '
                  'time.sleep(60)')
        status, _, err = self.tool("--timeline", str(self.dir / "t"))
        self.assertEqual(status, 1)
        self.assertIn("init did not come: the guest said: Kernel panic - not syncing: No init", err)
        self.assertFalse(json.loads((self.dir / "t.json").read_text())["ok"])

    def test_hangs(self):
        self.fake('print("Linux version 6\\ninit: here", file=out, flush=True); time.sleep(60)')
        status, _, err = self.tool("--timeout", "1.5")
        self.assertEqual(status, 1)
        self.assertIn("zygote did not come: not within 1.5 s; adbd: no answer yet; the console's last words: "
                      "Linux version 6 / init: here", err)
        self.assertEqual(self.tool("--until", "init")[0], 0)

    def refuses(self, word, *arguments, **where):
        self.fake("sys.exit(9)")
        status, out, err = self.tool(*arguments, **where)
        self.assertEqual((status, out), (2, ""), err)
        self.assertIn(word, err)
        self.assertEqual(err.count("\n"), 1, err)
        self.assertFalse((self.dir / "line").exists(), "the emulator was started")

    def test_refusals(self):
        self.refuses("is not a folder", folder="nowhere")
        self.refuses("has no -display sdl", "--window")
        self.put("x86/source.properties", b"SystemImage.Abi=x86\n")
        self.refuses("is for x86;", folder="x86")
        self.put("g2/boot.img", boot_image(0, zimage(), ramdisk(62)))
        self.refuses("x86_64 image", folder="g2")
        self.put("g2/boot.img", boot_image(0, zimage(), ramdisk())[:-5])
        self.refuses("truncated", folder="g2")
        (self.dir / "g/kernel").unlink()
        self.refuses("has no kernel")
        self.put("g/kernel", zimage(b"Linux version 3.4.67 goldfish"))
        self.refuses("old single-CPU goldfish board")
        self.put("g/kernel", zimage())
        self.put("g/system.img", b"QFI\xfb" + bytes(600))
        self.refuses("qcow2")
        (self.dir / "g/system.img").unlink()
        (self.dir / "g/ramdisk.img").unlink()
        self.refuses("nothing to boot")
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.put("g/ramdisk.img", ramdisk())
            self.refuses("is in use", "--adb-port", str(taken.getsockname()[1]))

    def test_boot_image_alone(self):
        self.put("b/boot.img", boot_image(2, zimage(b"Linux version 3.18 virtio,mmio goldfish"), ramdisk()))
        self.fake("sys.exit(0)")
        status, _, err = self.tool(folder="b")
        self.assertEqual(status, 1, err)
        line = self.line()
        self.assertIn("virtio-mmio.force-legacy=true", line)
        self.assertIn("cortex-a15", line)
        self.assertNotIn("-initrd", line)
        self.assertNotIn("-drive", line)

    def test_data_persists_and_is_wiped(self):
        self.fake("sys.exit(0)")
        self.tool()
        own = self.dir / "g/umbra/userdata.img"
        self.assertEqual(own.read_bytes(), b"y" * 512)
        own.write_bytes(b"mine")
        self.tool()
        self.assertEqual(own.read_bytes(), b"mine")
        self.tool("--wipe-data")
        self.assertEqual(own.read_bytes(), b"y" * 512)
        self.assertEqual((self.dir / "g/userdata.img").read_bytes(), b"y" * 512)

    @unittest.skipUnless(shutil.which("mke2fs", path=os.environ["PATH"] + ":/usr/sbin:/sbin"), "no mke2fs")
    def test_data_is_made(self):
        (self.dir / "g/userdata.img").unlink()
        self.fake("sys.exit(0)")
        self.tool("--data-size", "16", "--state", str(self.dir / "state"))
        data = (self.dir / "state/userdata.img").read_bytes()
        self.assertEqual(len(data), 16 << 20)
        self.assertEqual(data[1080:1082], b"\x53\xef")

    def test_avd(self):
        home = self.dir / "avd"
        os.environ["ANDROID_AVD_HOME"], os.environ["ANDROID_SDK_ROOT"] = str(home), str(self.dir / "sdk")
        self.put("avd/Old.ini", f"path={home}/Old.avd\n".encode())
        config = b"abi.type=armeabi-v7a\nimage.sysdir.1=images/arm/\nhw.ramSize=768M\nhw.cpu.ncore=4\n"
        self.put("avd/Old.avd/config.ini", config)
        self.refuses("there is no AVD New", "--avd", "New", folder=None)
        self.refuses("not there", "--avd", "Old", folder=None)
        for name, data in (("kernel-ranchu", zimage()), ("ramdisk.img", ramdisk()), ("system.img", b"s" * 512)):
            self.put(f"sdk/images/arm/{name}", data)
        self.put("avd/Old.avd/userdata-qemu.img", b"u" * 512)
        self.fake("sys.exit(0)")
        status, _, err = self.tool("--avd", "Old", folder=None)
        self.assertEqual(status, 1, err)
        line = " ".join(self.line())
        self.assertIn("-smp 4 -m 768 ", line)
        self.assertIn("sdk/images/arm/system.img", line)
        self.assertIn("qemu=1", line)
        self.assertEqual((home / "Old.avd/umbra/userdata.img").read_bytes(), b"u" * 512)
        (self.dir / "line").unlink()
        self.put("avd/Old.avd/config.ini", config.replace(b"armeabi-v7a", b"x86"))
        self.refuses("is for x86;", "--avd", "Old", folder=None)

    def test_dry_run(self):
        self.fake("sys.exit(9)")
        status, out, _ = self.tool("--dry-run")
        self.assertEqual(status, 0)
        self.assertIn("-drive file=", out)
        self.assertIn("-device virtio-gpu-device,xres=320,yres=480 -device virtio-keyboard-device ", out)
        self.assertIn("xres=48,yres=64", self.tool("--dry-run", "--screen", "48x64")[1])
        self.put("g/kernel", zimage(b"Linux version 3.18.0 psci"))
        self.assertIn("-device simple-framebuffer,width=320,height=480,format=r5g6b5", self.tool("--dry-run")[1])
        self.put("g/umbra.dtb")
        self.assertNotIn("framebuffer", self.tool("--dry-run")[1])
        self.assertFalse((self.dir / "g/umbra").exists())

    def test_command_line(self):
        self.fake("sys.exit(9)")
        self.assertEqual(self.tool(folder=None)[0], 2)
        self.assertEqual(self.tool("--avd", "x")[0], 2)
        self.assertEqual(self.tool("--smp", "9")[0], 2)
        self.assertEqual(self.tool("--screen", "320")[0], 2)


class Gunzip(unittest.TestCase):
    def test_limit(self):
        bomb = gzip.compress(bytes(1 << 20))
        self.assertEqual(len(formats.gunzip(bomb, 1000)), 1000)
        self.assertEqual(formats.gunzip(bomb[:20] + b"damage" * 100), b"")


if __name__ == "__main__":
    unittest.main()
