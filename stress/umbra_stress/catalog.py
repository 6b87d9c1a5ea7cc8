# SPDX-License-Identifier: MIT
"""What there is to run: payloads, their images, MMU modes, the emulator. One place for each list.

Payloads are the files of stress/guest and their variants (but for the -long ones, since a run is as
long as -t says) and the few of tests/guest in EXTRA. Images are built on demand.
"""

import os
import shlex
import shutil
import subprocess
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
GUEST = ROOT / "tests/guest"
STRESS = ROOT / "stress/guest"
STATES = ("arm", "thumb")
SMP_MAX = 8

# -mmu MODE: the options of umbra that make it. A new mode is a new line.
MODES = {
    "soft": ["-mmu", "soft"],
    "auto": ["-mmu", "auto"],
    "spt": ["-mmu", "spt"],
    "spt=shared,prefill=100": ["-mmu", "spt=shared,prefill=100"],
    "spt=group,windows=2": ["-mmu", "spt=group,windows=2"],
    "spt-tight": ["-mmu", "spt", "-vma-budget", "128"],
    "tiny-cache": ["-mmu", "auto", "-accel", "tcg,tb-size=128K"],
}

# Of tests/guest, those that several CPUs make hard: name and CPUs at least.
EXTRA = {"smc": 4, "gic_timer": 4, "psci": 4, "polls": 2}


# Payloads that have more to test on another CPU model than the rest.
CPUS = {"ordering": "max"}

# Of stress/guest, those that are no payload by themselves: random_mode.py gives it programs.
FED = ("random",)


class Problem(Exception):
    """Something the user can mend: one sentence, and the exit status."""

    def __init__(self, sentence, status=2):
        super().__init__(sentence)
        self.status = status


def image_dir():
    """Where images are built: in the source tree, or in the cache when that is installed."""
    if "UMBRA_STRESS_IMAGES" in os.environ:
        return Path(os.environ["UMBRA_STRESS_IMAGES"])
    if os.access(ROOT, os.W_OK) and (ROOT / "CMakeLists.txt").exists():
        return ROOT / "build/payloads"
    cache = os.environ.get("UMBRA_CACHE") or Path.home() / ".cache/umbra"
    return Path(cache) / "payloads"


def options_of(text):
    """More options of the emulator as the user wrote them, checked for quotes only."""
    try:
        shlex.split(text)
    except ValueError as error:
        raise Problem(f"--with {text}: {error}") from error
    return text


def needs_injection(options):
    """A build that can inject faults, and count, is needed for these options."""
    return "-inject" in shlex.split(options)


def emulator(build):
    """The umbra of UMBRA, of the build tree, or of the installation."""
    candidates = [ROOT / f"build/{build}/umbra", ROOT.parent.parent / "bin/umbra"]
    if os.environ.get("UMBRA"):
        candidates = [Path(os.environ["UMBRA"])]
    for path in candidates:
        if os.access(path, os.X_OK):
            return path
    raise Problem(f"no emulator at {candidates[0]}; build it (cmake --build --preset {build}) or "
                  "name one with UMBRA", 3)


def sentence_of(source):
    """What a payload proves: the beginning of its head comment."""
    text = source.read_text(encoding="utf-8").split("/*", 2)[2].split("*/")[0]
    text = " ".join(line.strip(" *") for line in text.splitlines())
    return textwrap.shorten(text, 100, placeholder=" ...")


def variants():
    """(base, variant, flags) of stress/guest/variants, without the long ones."""
    for line in (STRESS / "variants").read_text(encoding="utf-8").splitlines():
        words = line.split(maxsplit=2)
        if len(words) == 3 and not line.startswith("#") and not words[1].endswith("long"):
            yield words


def payloads():
    """Name -> what it proves, in the order of a list."""
    found = {}
    for source in sorted(STRESS.glob("*.c")):
        if not source.name.endswith(".inc.c") and source.stem not in FED:
            found[source.stem] = sentence_of(source)
    for base, variant, flags in variants():
        if base not in FED:
            found[f"{base}-{variant}"] = f"{found[base]} ({flags})"
    for name in EXTRA:
        found[name] = sentence_of(GUEST / f"{name}.c")
    return dict(sorted(found.items()))


def cpus_needed(name):
    return EXTRA.get(name, 2)


def cpu_model(name):
    return CPUS.get(name, "cortex-a15")


def build_images(names=()):
    """Build those of NAME.STATE (default: all) that are out of date; the folder."""
    out = image_dir()
    if not shutil.which(os.environ.get("GUEST_CC", "arm-linux-gnueabihf-gcc")):
        if next(out.glob("*.elf"), None):
            return out
        raise Problem("no arm-linux-gnueabihf-gcc to build the payloads with; run scripts/setup", 3)
    out.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([GUEST / "build.sh", out, *sorted(names)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Problem(f"the payloads do not build:\n{done.stderr.strip()}", 3)
    return out
