# SPDX-License-Identifier: MIT
"""How far a boot is, told from the guest's console and, once its adbd answers, from inside."""

import re
import time

from . import adb

STAGES = ("kernel", "init", "zygote", "system_server", "boot_completed", "home")

CONSOLE = {
    "kernel": re.compile(r"Linux version \d"),
    "init": re.compile(r"init: init (?:first|second)? ?stage started|(?<![\w-])init: \S|Run /init as init|"
                       r"Freeing (?:init|unused kernel)(?: image)?(?: \(initmem\))? memory"),
    "zygote": re.compile(r"starting service 'zygote|[DI]/Zygote|Preloading classes"),
    "system_server": re.compile(r"Entered the Android system server|system_server: |I/SystemServer"),
    "boot_completed": re.compile(r"sys\.boot_completed[= ]+1|processing action \(sys\.boot_completed=1"),
}
DEATHS = re.compile(r"(Kernel panic - not syncing.*|reboot: Restarting system.*|reboot: Power down|"
                    r"Rebooting in \d+ seconds)")
PROBE = ("getprop sys.boot_completed; echo =; getprop init.svc.zygote; echo =; (ps -A 2>/dev/null || ps) | grep -c "
         "system_server; echo =; if [ \"$(getprop sys.boot_completed)\" = 1 ]; then dumpsys window windows "
         "| grep -E 'mCurrentFocus|mFocusedApp'; fi")
FOCUS = re.compile(r"mCurrentFocus=Window\{[^}]*?([\w.]+)/([\w.$]+)\}")
APPLICATION = re.compile(r"mFocusedApp=.*? ([\w.]+)/([\w.$]+)[ }]")
LOCKED = re.compile(r"mCurrentFocus=Window\{[^}]* (?:Keyguard|StatusBar|NotificationShade)[ }]")


def home_of(text):
    """The focused window's activity if it is a home screen, or the one behind the lock screen; else None."""
    for package, activity in FOCUS.findall(text) or (LOCKED.search(text) and APPLICATION.findall(text)) or []:
        both = f"{package}/{activity}"
        if re.search("launcher|home", both, re.I) and "FallbackHome" not in both:
            return both
    return None


def from_probe(text):
    """Stages that the output of PROBE shows."""
    part = text.split("=\n")
    if len(part) < 4:
        return []
    seen = ["kernel", "init"]
    if part[1].strip() == "running":
        seen.append("zygote")
    if part[2].strip() not in ("", "0"):
        seen += ["zygote", "system_server"]
    if part[0].strip() == "1":
        seen += ["zygote", "system_server", "boot_completed"]
        if home_of(text):
            seen.append("home")
    return seen


class Watcher:
    """Remembers when each stage was seen first, in seconds since `start`."""

    def __init__(self, serial, port, start):
        self.serial, self.port, self.start = serial, port, start
        self.seen = {}
        self.death = None
        self.adb_state = "no answer yet"
        self._offset, self._rest = 0, ""
        self._next_probe = 0.0

    def note(self, stage, now=None):
        """A stage was seen; those before it were passed, whether seen or not."""
        at = (now or time.monotonic()) - self.start
        for earlier in STAGES[:STAGES.index(stage) + 1]:
            self.seen.setdefault(earlier, at)

    def read_console(self):
        try:
            with open(self.serial, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return
        self._offset += len(data)
        *lines, self._rest = (self._rest + data.decode("utf-8", "replace")).split("\n")
        for line in lines:
            for stage, pattern in CONSOLE.items():
                if stage not in self.seen and pattern.search(line):
                    self.note(stage)
            found = DEATHS.search(line)
            if found and self.death is None:
                self.death = found.group(1).strip()

    def probe(self):
        if time.monotonic() < self._next_probe or "init" not in self.seen:
            return
        try:
            for stage in from_probe(adb.shell(self.port, PROBE, timeout=20)):
                self.note(stage)
            self.adb_state = "answers"
        except adb.Refused as err:
            self.adb_state = str(err)
        except OSError:
            pass
        self._next_probe = time.monotonic() + 1.0
