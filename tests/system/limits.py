#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the host limits or refuses: a clear error at start or a slower guest, never a crash.

    limits.py            all cases
    limits.py NAME...    some of them

  address-space  RLIMIT_AS from too little for anything to plenty
  sandbox        each system call we use denied by seccomp (deny.c)
  budget         -vma-budget 64 and 200: kernels and payloads run, in every mode
  cgroup         a memory cgroup with little more than the guest needs (needs root)
  overcommit     vm.overcommit_memory=2, restored afterwards; only with UMBRA_TEST_OVERCOMMIT=1, since
                 it concerns the whole host (needs root)
  resident       RAM that the guest never touched stays unallocated: a 2 GiB guest's RAM in spt and
                 auto is within 5 % of that in soft
  mappings       the count of host mappings of the process is never below the kernel's and at most 10 %
                 above it

UMBRA is the emulator to test (default build/release/umbra); PAYLOADS the folder of the bare-metal
guests (default: built into a scratch folder); DENY_LIBRARY deny.c as a library (default: built).
"""

import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import boot
import control

GIB = 1 << 30
WORDS = ["-M", "virt", "-cpu", "cortex-a15", "-smp", "2", "-m", "256", "-nographic"]


class Skip(Exception):
    """Why a case cannot be judged here."""


def stress_payload(name, folder=Path(control.SCRATCH.name) / "stress"):
    path = folder / f"{name}.arm.elf"
    if not path.exists():
        subprocess.run([boot.ROOT / "tests/guest/build.sh", folder, name], check=True)
    return path


def run(*arguments, payload="spaces", seconds=120, environment=None, before=None, prefix=()):
    """(status, output) of a payload's run."""
    command = [*prefix] + control.UMBRA + WORDS + ["-kernel", str(stress_payload(payload)),
                                       "-append", "ms=700", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=seconds, check=False,
                          env=dict(os.environ, **(environment or {})), preexec_fn=before)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def passed(result):
    return result[0] == 0 and result[1].rstrip().endswith("PASS")


def explains(result):
    """Ended by itself, with a sentence of its own."""
    return result[0] == 1 and re.search(r"(?m)^umbra: .{12,}", result[1])


def judge(what, result):
    """Which of the two good ends a run had."""
    if passed(result):
        return "runs"
    control.expect(explains(result), f"{what}: status {result[0]}: {result[1][-300:]}")
    return "refuses"


def check_address_space():
    ends = {}
    for mode in ("soft", "auto", "spt", "spt=group,windows=2"):
        for limit in (GIB // 4, GIB // 2, 2 * GIB, 8 * GIB, 24 * GIB, 50 * GIB, 500 * GIB, 5000 * GIB):
            def before(limit=limit):
                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            result = run("-mmu", mode, before=before)
            ends[mode, limit] = judge(f"{mode}, {limit / GIB} GiB", result)
            if mode == "spt" and limit == 8 * GIB:
                control.expect("-mmu soft" in result[1], f"no way out is named: {result[1]}")
    print(f"   {sum(end == 'runs' for end in ends.values())} of {len(ends)} run", flush=True)
    control.expect(ends["soft", 2 * GIB] == ends["auto", 2 * GIB] == "runs",
                   "auto does not do without windows")
    control.expect(ends["spt", 50 * GIB] == "runs", "spt: 50 GiB are enough for a few windows each")


# What a sandbox may deny without the C library dying of it: from the first instruction of the
# process, and once the dynamic loader is done, which needs these itself.
EARLY = ("membarrier", "memfd_create", "madvise", "ftruncate", "eventfd2", "timerfd_create",
         "epoll_create1", "signalfd4", "sched_setaffinity", "sched_getaffinity", "getrandom",
         "clone3", "clone3:38", "sysinfo", "rseq", "readlink", "rt_sigaction", "userfaultfd",
         "set_robust_list", "prlimit64")
LATE = ("mprotect", "mmap", "prctl")


def deny_library():
    path = Path(os.environ.get("DENY_LIBRARY") or Path(control.SCRATCH.name) / "deny.so")
    if not path.exists():
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", path,
                        boot.ROOT / "tests/system/deny.c"], check=True)
    return str(path)


def check_sandbox():
    library, ends = deny_library(), {}
    for mode in ("soft", "spt"):
        for call in EARLY + LATE:
            # env is what the library is loaded into, and its filter outlives the exec.
            result = run("-mmu", mode, environment={"LD_PRELOAD": library, "DENY": call},
                         prefix=["env", "-u", "LD_PRELOAD"] if call in EARLY else [])
            if result[0] == 77:
                raise Skip(f"no seccomp filters here: {result[1].strip()}")
            ends[mode, call] = judge(f"{mode}, without {call}", result)
    refused = sorted({call for (_, call), end in ends.items() if end == "refuses"})
    print(f"   refuses to start without {', '.join(refused)}", flush=True)
    control.expect(ends["spt", "membarrier"] == ends["spt", "madvise"] == "runs", "optional calls")


def check_budget():
    for mode in ("auto", "spt", "spt=shared,prefill=100", "spt=group,windows=2"):
        for budget in (64, 200):
            for payload in ("spaces", "procs-pan", "perms", "shootdown"):
                result = run("-mmu", mode, "-vma-budget", str(budget), "-smp", "8", payload=payload)
                control.expect(passed(result), f"{payload} in {mode}, {budget}: {result}")
    for flavour in boot.FLAVOURS:
        cell = boot.Cell("initramfs", flavour, 4, "spt")
        command = boot.command_line(cell, None, Path(control.SCRATCH.name) / "stats.json", 1)
        started = time.monotonic()
        status, text, _ = boot.run_guest(command + ["-vma-budget", "64"],
                                         Path(control.SCRATCH.name) / "log", 170)
        wrong = boot.verdict(cell, status, text)
        control.expect(not wrong, f"boot of {flavour} with 64 mappings: {wrong}")
        print(f"   {flavour}, 4 CPUs, 64 mappings: {time.monotonic() - started:.1f} s", flush=True)


def check_cgroup():
    """Version 1 or 2. The guest needs some 30 MiB, the emulator as much."""
    for folder, limit in ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
                          (Path("/sys/fs/cgroup"), "memory.max")):
        group = folder / f"umbra-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if (group / limit).exists():
                cgroup_runs(group, limit)
                return
        except PermissionError:
            pass
        finally:
            group.rmdir()
    raise Skip("no memory cgroup can be made here")


def cgroup_runs(group, limit):
    (group / limit).write_text(str(160 << 20))

    def before():
        (group / "cgroup.procs").write_text(str(os.getpid()))
    for mode in ("soft", "auto", "spt"):
        result = run("-mmu", mode, before=before)
        control.expect(passed(result), f"{mode} in 160 MiB: {result[0]}: {result[1][-300:]}")


def check_overcommit():
    if os.environ.get("UMBRA_TEST_OVERCOMMIT") != "1":
        raise Skip("changes the whole host: set UMBRA_TEST_OVERCOMMIT=1")
    paths = [Path("/proc/sys/vm") / name for name in ("overcommit_memory", "overcommit_ratio")]
    before = [path.read_text() for path in paths]
    try:
        paths[1].write_text("90")
        paths[0].write_text("2")
    except OSError as error:
        raise Skip(f"cannot be set here: {error.strerror}") from error
    try:
        for mode in ("soft", "auto", "spt"):
            print(f"   {mode}: {judge(mode, run('-mmu', mode, seconds=60))}", flush=True)
    finally:
        for path, value in zip(paths, before):
            path.write_text(value)


def allocated(pid):
    """Bytes of guest RAM that exist."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        if "memfd:umbra-ram" in os.readlink(descriptor):
            return os.stat(descriptor).st_blocks * 512
    raise control.Wrong("no descriptor of guest RAM")


def check_resident():
    sizes = {}
    for mode in ("soft", "spt", "auto"):
        with control.booted("-m", "2048", "-mmu", mode) as linux:
            sizes[mode] = allocated(linux.process.pid)
    print("   " + ", ".join(f"{mode} {size >> 20} MiB" for mode, size in sizes.items()), flush=True)
    for mode in ("spt", "auto"):
        control.expect(abs(sizes[mode] - sizes["soft"]) <= 0.05 * sizes["soft"], f"{mode}: {sizes}")
    control.expect(sizes["soft"] < 400 << 20, "most of 2 GiB is not touched")


WORK = ("for i in $(seq 40); do cat /proc/cpuinfo /proc/self/maps | md5sum; done >/dev/null; "
        "find / -xdev | wc -l; echo done-$((1 + 1))")


def check_mappings():
    for mode in ("spt", "auto", "spt=group,windows=4"):
        port = control.free_port()
        with control.booted("-m", "512", "-mmu", mode, "-metrics", str(port)) as linux, \
                linux.client() as client:
            for _ in range(3):
                linux.ask(WORK, rb"done-2", 300)
                client.execute("stop")
                client.event("STOP")
                ours, theirs = settled_counts(port, linux.process.pid)
                client.execute("cont")
                client.event("RESUME")
                print(f"   {mode}: {ours} counted, {theirs} in /proc/self/maps", flush=True)
                control.expect(theirs <= ours <= 1.1 * theirs, f"{mode}: {ours} for {theirs}")


def settled_counts(port, pid):
    """The two counts, when the reclaimer has nothing to do."""
    last = None
    while True:
        ours = control.metric(port, "umbra_process_vmas")["umbra_process_vmas"]
        theirs = Path(f"/proc/{pid}/maps").read_bytes().count(b"\n")
        if (ours, theirs) == last:
            return ours, theirs
        last = ours, theirs
        time.sleep(0.2)


CASES = {"address-space": check_address_space, "sandbox": check_sandbox, "budget": check_budget,
         "cgroup": check_cgroup, "overcommit": check_overcommit, "resident": check_resident,
         "mappings": check_mappings}


def main():
    boot.need_guest([boot.Cell("initramfs", flavour, 1, "spt") for flavour in boot.FLAVOURS])
    failed, skipped = 0, 0
    for name in sys.argv[1:] or CASES:
        if name not in CASES:
            sys.exit(f"limits.py: unknown case {name}: {', '.join(CASES)}")
        started, end = time.monotonic(), "ok"
        try:
            CASES[name]()
        except Skip as reason:
            end, skipped = f"skipped: {reason}:", skipped + 1
        except (control.Wrong, OSError, ValueError, subprocess.TimeoutExpired) as error:
            end, failed = f"FAIL {type(error).__name__}: {error}:", failed + 1
        print(f"{end} {name} ({time.monotonic() - started:.1f} s)", flush=True)
    if failed:
        sys.exit(1)
    sys.exit(77 if skipped == len(sys.argv[1:]) and skipped else 0)


if __name__ == "__main__":
    main()
