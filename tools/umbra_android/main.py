# SPDX-License-Identifier: MIT
"""Command line of umbra-android: find, start, watch, report."""

import argparse
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import Problem, machine, pieces, stages, timeline

EPILOG = """Exit status: 0 the wanted stage came (or the guest ended by itself after it), 1 it did not, 2 the
image or the command line is not right. Options after -- go to the emulator."""


def parse(arguments):
    rest = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, rest = arguments[:at], arguments[at + 1:]
    p = argparse.ArgumentParser(prog="umbra-android", epilog=EPILOG, description="Boots an Android image for "
                                "32-bit ARM and shows how far it is.")
    p.add_argument("folder", nargs="?", help="folder with kernel or boot.img, ramdisk.img, system.img, ...")
    p.add_argument("--avd", metavar="NAME", help="a device of the Android emulator")
    p.add_argument("--smp", type=int, choices=range(1, 9), metavar="N", help="CPUs (default 2)")
    p.add_argument("--memory", type=int, metavar="M", help="RAM in MiB (default 1024)")
    p.add_argument("--mmu", metavar="MODE", help="as for umbra")
    p.add_argument("--cpu", metavar="MODEL", help="as for umbra")
    p.add_argument("--adb-port", type=int, default=5555, metavar="P",
                   help="host port that leads to adbd (default 5555; 0: any free one)")
    for kind in ("window", "web", "headless"):
        p.add_argument(f"--{kind}", dest="display", action="store_const", const=kind, default="headless")
    p.add_argument("--web-port", type=int, default=6080, metavar="P", help="of --web (default 6080)")
    p.add_argument("--screen", default="320x480", metavar="WxH", help="of the phone (default 320x480)")
    p.add_argument("--wipe-data", action="store_true", help="forget what the guest wrote")
    p.add_argument("--data-size", type=int, default=1024, metavar="MIB", help="of a new userdata image")
    p.add_argument("--wait", action="store_true", help="stop when --until came; else the guest goes on")
    p.add_argument("--until", choices=stages.STAGES, default="home", help="stage to wait for (default home)")
    p.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds for the boot")
    p.add_argument("--timeline", metavar="PREFIX", help="write PREFIX.txt, .json and .svg")
    p.add_argument("--kernel", metavar="FILE", help="instead of the image's own")
    p.add_argument("--append", default="", metavar="TEXT", help="more words for the kernel")
    p.add_argument("--state", metavar="FOLDER", help="where userdata and cache are kept")
    p.add_argument("--umbra", metavar="FILE", help="the emulator")
    p.add_argument("--dry-run", action="store_true", help="print the emulator's command line and end")
    options = p.parse_args(arguments)
    options.rest = rest
    if not re.fullmatch(r"[1-9]\d{1,3}[xX][1-9]\d{1,3}", options.screen):
        p.error(f"--screen {options.screen}: width x height in pixels is needed, as in 320x480")
    if bool(options.folder) == bool(options.avd):
        p.error("a folder or --avd NAME is needed, and not both")
    return options


def free_port(wanted):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", wanted))
        except OSError as err:
            raise Problem(f"port {wanted} is in use ({err.strerror}); --adb-port 0 takes a free one") from err
        return sock.getsockname()[1]


def last_lines(path, count=3):
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return " / ".join([line.strip() for line in lines if line.strip()][-count:])


class Boot:
    """One run of the emulator until the wanted stage, an end or the time limit."""

    def __init__(self, line, options, name, scratch):
        self.options, self.name = options, name
        self.errors = scratch / "errors"
        with open(self.errors, "wb") as errors:
            self.start = time.monotonic()
            self.process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
        self.watcher = stages.Watcher(scratch / "console", options.adb_port, self.start)

    def say_new(self, said):
        for stage in stages.STAGES:
            if stage in self.watcher.seen and stage not in said:
                said.add(stage)
                print(f"{self.watcher.seen[stage]:8.2f} s  {stage}", flush=True)

    def why_ended(self, status):
        end = f"signal {-status}" if status < 0 else f"status {status}"
        text = self.watcher.death or last_lines(self.errors) or last_lines(self.watcher.serial)
        return f"the emulator ended with {end}" + (f": {text}" if text else "")

    def wait(self):
        """None when the stage came, else the reason why not."""
        said = set()
        end = self.start + self.options.timeout
        while True:
            status = self.process.poll()
            self.watcher.read_console()
            if status is None:
                self.watcher.probe()
            self.say_new(said)
            if self.options.until in self.watcher.seen:
                return None
            if status is not None:
                return self.why_ended(status)
            if self.watcher.death:
                return f"the guest said: {self.watcher.death}"
            if time.monotonic() > end:
                return (f"not within {self.options.timeout:g} s; adbd: {self.watcher.adb_state}; the console's "
                        f"last words: {last_lines(self.watcher.serial) or 'none'}")
            time.sleep(0.1)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def report(boot, options, reason):
    missing = next((s for s in stages.STAGES if s not in boot.watcher.seen), None)
    result = f"{options.until} after {boot.watcher.seen[options.until]:.2f} s" if reason is None else \
        f"{missing} did not come: {reason}"
    record = {"name": boot.name, "result": result, "wanted": options.until, "ok": reason is None,
              "mmu": options.mmu or "auto", "smp": options.smp, "stages": boot.watcher.seen}
    if options.timeline:
        timeline.write(record, options.timeline)
    if reason is not None:
        print(f"umbra-android: {result}", file=sys.stderr)
        return
    if options.display == "web":
        print(last_lines(boot.errors, 1), flush=True)
    if not options.wait:
        print(f"{boot.name} runs; adb connect 127.0.0.1:{options.adb_port}; Ctrl-C ends it", flush=True)


def run(options):
    find = pieces.from_avd if options.avd else pieces.from_folder
    guest = find(options.avd or options.folder, options.kernel, options.state)
    umbra = machine.emulator(options.umbra)
    with tempfile.TemporaryDirectory(prefix="umbra-android-") as name:
        scratch = Path(name)
        if options.dry_run:
            disks = {n: guest.state / f"{n}.img" for n in ("cache", "userdata")} if guest.disks else {}
        else:
            options.adb_port = free_port(options.adb_port)
            disks = pieces.writable_disks(guest, options.wipe_data, options.data_size) if guest.disks else {}
        line = machine.command(umbra, guest, options, disks, scratch / "console", scratch / "control")
        if options.dry_run:
            print(shlex.join(line))
            return 0
        boot = Boot(line, options, guest.name, scratch)
        try:
            reason = boot.wait()
            report(boot, options, reason)
            if reason is None and not options.wait:
                boot.process.wait()
            return 0 if reason is None else 1
        finally:
            boot.stop()


def main(arguments):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run(parse(arguments))
    except Problem as err:
        print(f"umbra-android: {err}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
