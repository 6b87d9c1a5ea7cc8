#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An Android guest as its user has it: umbra-android, Debian's adb, applications.

    phone.py adb                           shell, logcat, push, pull, install; user data after a clean end
    phone.py kill                          what was synced is there after kill -9 under load, the file system is right
    phone.py matrix [--modes A;B] [--smps 1,2,4]   every mode to the home screen, each cell once
    phone.py monkey [--events N]           random touches and keys leave system_server alive
    phone.py boots [--count N] [--smp N]   boots that must not fail, counted over all calls with one log
    phone.py soak [--minutes M]            applications opened and closed: mappings, memory and threads stay flat

The guest: the first folder in UMBRA_ANDROID that boots to a home screen; without one, or without adb, the exit status
is 77: skipped. matrix, boots and soak append to --log and go on where the last call stopped. UMBRA is the emulator."""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
UMBRA = os.environ.get("UMBRA") or str(ROOT / "build/release/umbra")
CACHE = Path(os.environ.get("UMBRA_CACHE") or Path.home() / ".cache/umbra")
MODES = ("soft", "spt=shared", "spt=shared,prefill=300", "spt=private", *(f"spt=group,windows={n}" for n in
         (1, 4, 8, 16, 32)), "auto")
APPLICATIONS = ("com.android.deskclock/.DeskClock", "com.android.calendar/.AllInOneActivity",
                "com.android.mms/.ui.ConversationList", "com.android.calculator2/.Calculator",
                "com.android.dialer/.DialtactsActivity", "com.android.contacts/.activities.PeopleActivity")
SKIPPED = 77
KEPT = "/data/local/tmp/kept"
KEPT_CONSOLES = CACHE / "android-phone/failed-consoles"


class Failed(Exception):
    """One sentence."""


def guest_folder():
    where = os.environ.get("UMBRA_ANDROID")
    if not where:
        print("skipped: UMBRA_ANDROID names no folder with Android guests")
        sys.exit(SKIPPED)
    if not shutil.which("adb"):
        print("skipped: adb is not installed")
        sys.exit(SKIPPED)
    for path in sorted(p for p in Path(where).iterdir() if p.is_dir()):
        until = path / "until"
        if not until.is_file() or until.read_text(encoding="utf-8").strip() == "home":
            return path
    print(f"skipped: {where} has no guest that boots to a home screen")
    sys.exit(SKIPPED)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def waited(pid):
    """Seconds that the thread of a process which waited longest for a CPU of the host has waited."""
    longest = 0
    for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(OSError, IndexError):  # a thread that has just ended
            longest = max(longest, int(task.read_text(encoding="ascii").split()[1]))
    return longest / 1e9


def cpu_seconds(pid):
    """Of user and kernel, of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Phone:
    """A guest at its home screen. The adb server is our own, so that no other one is disturbed. Limits are seconds of
    a clock that stands still while the host has no CPU for the emulator. The console of a guest that failed is kept."""

    def __init__(self, folder, state, smp=2, mmu="auto", limit=600, rest=()):
        self.port, self.server, self.limit = free_port(), free_port(), limit
        self.state, self.emulator, self.waited = Path(state), None, 0.0
        self.name = f"{folder.name}-{mmu}-{smp}".replace("=", "-").replace(",", "-")
        self.log = self.state / "umbra-android.log"
        self.state.mkdir(parents=True, exist_ok=True)
        self.command = [sys.executable, str(ROOT / "tools/umbra-android"), str(folder), "--umbra", UMBRA, "--smp", str(smp),
                        "--mmu", mmu, "--adb-port", str(self.port), "--state", str(state), "--timeout", "86400", "--", *rest]

    def __enter__(self):
        self.started = time.monotonic()
        with open(self.log, "wb") as log:
            self.tool = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                         env=dict(os.environ, TMPDIR=str(self.state)))
        try:
            self._wait_home()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        self.boot_seconds = time.monotonic() - self.started
        self.clock()
        self.boot_waited, self.boot_cpu = self.waited, cpu_seconds(self.emulator)
        return self

    def __exit__(self, kind, *_):
        self.adb("kill-server", check=False)
        if kind and (self.state / "console").is_file():
            KEPT_CONSOLES.mkdir(parents=True, exist_ok=True)
            target = KEPT_CONSOLES / f"{self.name}-{time.strftime('%m%d-%H%M%S')}"
            shutil.copy(self.state / "console", target)
            say(f"the console is in {target}")
        if self.tool.poll() is None:
            self.tool.terminate()
        self.tool.wait()

    def _wait_home(self):
        while "; adb connect" not in self.said():
            if self.tool.poll() is not None:
                raise Failed(f"umbra-android ended with {self.tool.returncode}: {self.said().strip()[-300:]}")
            if self.emulator is None:
                with contextlib.suppress(OSError):  # the child has just ended
                    self._find_emulator()
            if self.clock() > self.limit:
                raise Failed(f"no home screen {self.limit} s after the start{self.host()}; so far: {' '.join(self.said().split())}")
            time.sleep(0.2)

    def _find_emulator(self):
        """The tool's child, which may still be a cp; its console gets a second name, as the tool removes the first."""
        for pid in Path(f"/proc/{self.tool.pid}/task/{self.tool.pid}/children").read_text(encoding="ascii").split():
            words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
            if "-serial" in words:
                console = Path(words[words.index("-serial") + 1].removeprefix("file:"))
                if console.is_file():
                    (self.state / "console").unlink(missing_ok=True)
                    os.link(console, self.state / "console")
                    self.emulator = int(pid)

    def said(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def clock(self):
        """Seconds since the start, without those in which the host had no CPU."""
        if self.emulator:
            self.waited = max(self.waited, waited(self.emulator))
        return time.monotonic() - self.started - self.waited

    def host(self):
        """What a sentence about a limit has to add: a hang, or a host with other work?"""
        return f" ({time.monotonic() - self.started:.0f} s of the host's clock, in {self.waited:.0f} of which it had no CPU)"

    def adb(self, *words, check=True, limit=300):
        """Output of an adb command."""
        environment = dict(os.environ, ANDROID_ADB_SERVER_PORT=str(self.server))
        target = [] if words[0] in ("connect", "kill-server") else ["-s", f"127.0.0.1:{self.port}"]
        end, text = self.clock() + limit, None
        with subprocess.Popen(["adb", *target, *map(str, words)], env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace") as adb:
            try:
                while text is None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        text = adb.communicate(timeout=1)[0]
                    if text is None and self.clock() > end:
                        raise Failed(f"adb {words[0]} does not end within {limit} s{self.host()}")
            finally:
                if text is None:
                    adb.kill()
        if check and adb.returncode != 0:
            raise Failed(f"adb {' '.join(map(str, words))}: {text.strip()[-300:]}")
        return text.replace("\r", "")

    def connect(self):
        end = self.clock() + 120
        while "connected to" not in (text := self.adb("connect", f"127.0.0.1:{self.port}", check=False)):
            if self.clock() > end:
                raise Failed(f"adb connect: {text.strip()}")
            time.sleep(1)
        self.adb("wait-for-device")
        return self

    def shell(self, command, limit=300):
        return self.adb("shell", command, limit=limit)

    def wait_for(self, what, condition, limit=120):
        end = self.clock() + limit
        while not condition():
            if self.clock() > end:
                raise Failed(f"not within {limit} s: {what}{self.host()}")
            time.sleep(0.5)
        say("ok:", what)

    def server_pid(self):
        found = re.search(r"^\S+ +(\d+) .* system_server$", self.shell("ps"), re.M)
        return int(found.group(1)) if found else None

    def power_off(self):
        self.adb("shell", "sync; reboot -p", check=False)
        end = self.clock() + 180
        while self.tool.poll() is None:
            if self.clock() > end:
                raise Failed(f"no end 180 s after reboot -p{self.host()}")
            time.sleep(0.2)
        if self.tool.returncode != 0:
            raise Failed(f"after reboot -p the status is {self.tool.returncode}: {self.said().strip()[-200:]}")

    def kill(self):
        os.kill(self.emulator, 9)
        self.tool.wait()


def say(*words):
    print(time.strftime("%H:%M:%S"), *words, flush=True)


def expect(what, condition):
    if not condition:
        raise Failed(what)
    say("ok:", what)


# ---- adb ----
def check_files(phone, scratch):
    body = os.urandom(5 << 20)
    there, back = Path(scratch) / "file", Path(scratch) / "back"
    there.write_bytes(body)
    phone.adb("push", there, "/data/local/tmp/file")
    phone.adb("pull", "/data/local/tmp/file", back)
    expect("5 MiB pushed and pulled are the same", back.read_bytes() == body)
    sums = phone.shell("md5 /data/local/tmp/file || md5sum /data/local/tmp/file")
    expect("the guest sees the same 5 MiB", hashlib.md5(body).hexdigest() in sums)


def check_log(phone):
    """Android before 5 needs a driver of its kernel for logcat: without one its log is a pipe, or nothing."""
    if phone.shell("[ -c /dev/log/main -o -S /dev/socket/logdr ] && echo yes").strip() != "yes":
        say("not tested: this guest's kernel has no driver for logcat")
        return
    expect("logcat has lines of the system", "ActivityManager" in phone.adb("logcat", "-d"))


def check_install(phone, scratch):
    """One of the image's own applications, installed over itself, runs from /data."""
    apk = Path(scratch) / "app.apk"
    phone.adb("pull", "/system/app/Calculator.apk", apk)
    said = phone.adb("install", "-r", apk, limit=600)
    expect("install says Success", "Success" in said)
    expect("the package is in /data", "/data/app/" in phone.shell("pm path com.android.calculator2"))
    said = phone.shell("am start -W -n com.android.calculator2/.Calculator")
    expect("the installed application starts", "Activity: com.android.calculator2" in said)


def run_adb(arguments):
    """The application is equal to the image's own, so Android itself forgets it at the next boot: a setting is kept."""
    folder = guest_folder()
    with tempfile.TemporaryDirectory(prefix="umbra-phone-") as scratch:
        state = own_state(folder, Path(scratch) / "state")
        with Phone(folder, state, arguments.smp, arguments.mmu) as phone:
            phone.connect()
            say(f"home after {phone.boot_seconds:.0f} s")
            expect("a shell answers", phone.shell("echo $((6*7))").strip() == "42")
            check_log(phone)
            check_files(phone, scratch)
            check_install(phone, scratch)
            phone.shell(f"echo first > {KEPT}; settings put global umbra_test 42")
            phone.power_off()
        check_disk(state)
        with Phone(folder, state, arguments.smp, arguments.mmu) as phone:
            phone.connect()
            say(f"second boot: home after {phone.boot_seconds:.0f} s")
            expect("a file is there after a clean end", phone.shell(f"cat {KEPT}").strip() == "first")
            expect("so is a setting", phone.shell("settings get global umbra_test").strip() == "42")
            phone.power_off()
        check_disk(state)


def run_kill(arguments):
    folder = guest_folder()
    with tempfile.TemporaryDirectory(prefix="umbra-phone-") as scratch:
        state = own_state(folder, Path(scratch) / "state")
        with Phone(folder, state, arguments.smp, arguments.mmu) as phone:
            phone.connect()
            phone.shell(f"echo second > {KEPT}; settings put global umbra_test 43; sync")
            # A new sh: a subshell of Android's keeps the terminal open behind its redirections, and adb waits for that.
            # The terminal's end must not reach it: the signal is ignored before it is there, not by itself.
            phone.shell("trap '' HUP; sh -c 'while true; do cat /system/lib/lib*.so > /data/local/tmp/noise; done' "
                        "< /dev/null > /dev/null 2>&1 &")
            phone.wait_for("something is being written", lambda: int((phone.shell(
                "[ -s /data/local/tmp/noise ] && ls -l /data/local/tmp/noise || true") or "0 0 0 0").split()[3]) > 1 << 20)
            phone.kill()
        check_disk(state)
        with Phone(folder, state, arguments.smp, arguments.mmu) as phone:
            phone.connect()
            expect("what was synced is there after kill -9", phone.shell(f"cat {KEPT}").strip() == "second")
            expect("so is a setting", phone.shell("settings get global umbra_test").strip() == "43")
            phone.power_off()
        check_disk(state)


def check_disk(state):
    """The journal is replayed, as the guest would do; after that nothing may be wrong."""
    disk = state / "userdata.img"
    subprocess.run(["/sbin/e2fsck", "-p", "-E", "journal_only", disk], check=False, stdout=subprocess.DEVNULL)
    done = subprocess.run(["/sbin/e2fsck", "-f", "-n", disk], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failed(f"e2fsck: {done.stdout.strip()[-500:]}")
    say("ok: e2fsck finds nothing")


# ---- what goes on over several calls ----
class Log:
    """A line of JSON for each thing done."""

    def __init__(self, path):
        self.path = Path(path)
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        self.lines = [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    def add(self, **fields):
        self.lines.append(fields)
        with open(self.path, "a", encoding="utf-8") as file:
            print(json.dumps(fields), file=file)

    def of(self, kind):
        return [line for line in self.lines if line["kind"] == kind]


def kept_state(folder):
    """A device that has booted once, so that the next boots are second ones."""
    state = CACHE / "android-phone" / folder.name
    if not (state / "booted").is_file():
        with Phone(folder, state) as phone:
            phone.connect().power_off()
        (state / "booted").touch()
    return state


def own_state(folder, copy):
    """A copy of such a device."""
    state = kept_state(folder)
    copy.mkdir(exist_ok=True)
    for name in ("userdata.img", "cache.img"):
        subprocess.run(["cp", "--sparse=always", state / name, copy / name], check=True)
    return copy


def boot_once(folder, smp, mmu):
    """Boot, look, end; {what: value}."""
    copy = Path(tempfile.mkdtemp(prefix="umbra-phone-"))
    try:
        own_state(folder, copy)
        with Phone(folder, copy, smp, mmu) as phone:
            phone.connect()
            cpus = phone.shell("cat /proc/cpuinfo").count("processor")
            if cpus != smp:
                raise Failed(f"{cpus} CPUs in the guest")
            result = {"seconds": round(phone.boot_seconds, 1), "waited": round(phone.boot_waited, 1), "cpu": round(phone.boot_cpu, 1)}
            phone.power_off()
            return result
    finally:
        shutil.rmtree(copy)


def run_boots(arguments, kind="boots", cells=None):
    folder, log = guest_folder(), Log(arguments.log)
    cells = cells or [(arguments.smp, arguments.mmu)] * arguments.count
    done = log.of(kind)
    end = time.monotonic() + arguments.minutes * 60 if arguments.minutes else None
    for smp, mmu in cells if kind == "matrix" else cells[len(done):]:
        if kind == "matrix" and any((line["smp"], line["mmu"], line["ok"]) == (smp, mmu, True) for line in done):
            continue
        if end and time.monotonic() > end:
            break
        try:
            log.add(kind=kind, smp=smp, mmu=mmu, ok=True, load=os.getloadavg()[0], **boot_once(folder, smp, mmu))
        except Failed as err:
            log.add(kind=kind, smp=smp, mmu=mmu, ok=False, load=os.getloadavg()[0], why=str(err))
        say(log.lines[-1])
    done = log.of(kind)
    good = {(line["smp"], line["mmu"]) for line in done if line["ok"]} if kind == "matrix" else \
        [line for line in done if line["ok"]]
    if kind == "matrix":
        good &= set(cells)
    say(f"{len(good)} of {len(cells)} reached the home screen")
    bad = [line for line in done if not line["ok"] and (kind == "boots" or (line["smp"], line["mmu"]) in set(cells) - good)]
    if bad:
        raise Failed(f"{len(bad)} failed, the first: {bad[0]}")


def run_matrix(arguments):
    smps = [int(n) for n in arguments.smps.split(",")]
    modes = arguments.modes.split(";") if arguments.modes else MODES
    run_boots(arguments, "matrix", [(smp, mmu) for smp in smps for mmu in modes])


# ---- monkey ----
def run_monkey(arguments):
    folder, scratch = guest_folder(), tempfile.TemporaryDirectory(prefix="umbra-phone-")
    with scratch, Phone(folder, own_state(folder, Path(scratch.name)), arguments.smp, arguments.mmu) as phone:
        phone.connect()
        before = phone.server_pid()
        # No system keys: the screen's device has none, and monkey refuses that.
        said = phone.shell("monkey -s 7 --pct-syskeys 0 --ignore-crashes --ignore-timeouts --ignore-security-exceptions "
                           f"{arguments.events}; echo STATUS $?", 3600)
        say(said.strip()[-300:])
        injected = re.search(r"Events injected: (\d+)", said)
        expect(f"all {arguments.events} events were injected", injected and int(injected.group(1)) == arguments.events)
        expect(f"system_server is still process {before}", phone.server_pid() == before is not None)
        expect("an application starts after it", "Status: ok" in phone.shell(f"am start -W -n {APPLICATIONS[3]}"))
        phone.power_off()


# ---- soak ----
def sample(pid):
    """What must not grow, of the emulator; the guest's RAM (a memfd) does, until the guest has used it all once."""
    proc = Path(f"/proc/{pid}")
    status = dict(line.split(":", 1) for line in (proc / "status").read_text(encoding="ascii").splitlines())
    rollup = dict(re.findall(r"^(\w+): +(\d+)", (proc / "smaps_rollup").read_text(encoding="ascii"), re.M))
    return {"vmas": (proc / "maps").read_text(encoding="utf-8").count("\n"), "threads": int(status["Threads"]),
            "own_mib": int(rollup["Pss_Anon"]) >> 10, "ram_mib": int(rollup["Pss_Shmem"]) >> 10, "tables_mib": int(status["VmPTE"].split()[0]) >> 10}


def run_soak(arguments):
    """Each call is a run; within each, what grew is judged by medians, after a third for warming up. With code caches so
    small that they are full by then: the usual ones fill for an hour, and what else grows would not be seen beside them."""
    folder, log, scratch = guest_folder(), Log(arguments.log), tempfile.TemporaryDirectory(prefix="umbra-phone-")
    small = ("-accel", "tcg,tb-size=24")
    with scratch, Phone(folder, own_state(folder, Path(scratch.name)), arguments.smp, arguments.mmu, rest=small) as phone:
        phone.connect()
        run, before = len({line["run"] for line in log.of("soak")}), phone.server_pid()
        start, rounds = time.monotonic(), 0
        while time.monotonic() < start + arguments.minutes * 60:
            for activity in APPLICATIONS:
                phone.shell(f"am start -W -n {activity}; input keyevent 4; am force-stop {activity.split('/')[0]}")
            rounds += 1
            log.add(kind="soak", run=run, at=round(time.monotonic() - start), rounds=rounds, **sample(phone.emulator))
            say(log.lines[-1])
        expect(f"system_server is still process {before}", phone.server_pid() == before is not None)
        phone.power_off()
    judge_growth([line for line in log.of("soak") if line["run"] == run])
    seconds = {}
    for line in log.of("soak"):
        seconds[line["run"]] = line["at"]
    say(f"soak so far: {sum(seconds.values()) / 60:.1f} minutes in {len(seconds)} runs")


def judge_growth(lines):
    third = len(lines) // 3
    if third == 0:
        say("too short to judge growth")
        return
    for what, slack in (("vmas", 2000), ("threads", 0), ("own_mib", 24), ("tables_mib", 16)):
        early = statistics.median(line[what] for line in lines[third:2 * third])
        late = statistics.median(line[what] for line in lines[-third:])
        expect(f"{what}: {early:g}, later {late:g}", late <= early * 1.05 + slack)


def main():
    cases = {"adb": run_adb, "kill": run_kill, "matrix": run_matrix, "monkey": run_monkey, "boots": run_boots, "soak": run_soak}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", choices=cases)
    parser.add_argument("--smp", type=int)
    parser.add_argument("--mmu", default="auto")
    parser.add_argument("--smps", default="1,2,4")
    parser.add_argument("--modes", help="separated by semicolons")
    parser.add_argument("--events", type=int, default=10000)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--log", default="phone.jsonl")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no emulator stays behind
    arguments.smp = arguments.smp or (4 if arguments.case == "boots" else 2)
    if arguments.case == "soak":
        arguments.minutes = arguments.minutes or 10
    try:
        cases[arguments.case](arguments)
    except Failed as err:
        print(f"not ok - {err}\nFAIL")
        return 1
    print("PASS")
    return 0


if __name__ == "__main__":
    sys.exit(main())
