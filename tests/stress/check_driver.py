#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""umbra-stress is judged: what it makes of emulators that pass, fail, hang, die, say nothing or do not
start, and of wrong command lines. The emulators are small shell scripts; no payload runs."""

import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import unittest
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "stress"))

from umbra_stress import (catalog, coverage, linux, main, nightly, program, prove, random_mode,  # noqa: E402
                          runner, shrink, stopper)

GOOD = "ok 1 - one\nok 2 - two\n1..2\nPASS\n"
MET = ("umbra: inject: after tlb stepped: stepped=3 served=12\n"
       "umbra: inject: after tlb served: halted=1\n"
       "umbra: inject: after sleep halted:\n")
BAD = "ok 1 - one\nnot ok 2 - two\n# got 1\n1..2\nFAIL\n"


class Judge(unittest.TestCase):
    def verdict(self, text, status=0):
        return runner.judge(text, status, 5)

    def test_complete_reports(self):
        self.assertEqual(self.verdict(GOOD), ("pass", []))
        self.assertEqual(self.verdict(GOOD.replace("\n", "\r\n")), ("pass", []))
        self.assertEqual(self.verdict(BAD), ("fail", ["two"]))
        self.assertEqual(self.verdict(GOOD.replace("PASS", "FAIL"))[0], "fail")

    def test_incomplete_reports(self):
        for text in ("", "ok 1 - one\n", GOOD.replace("PASS\n", ""), GOOD.replace("1..2\n", ""),
                     GOOD.replace("1..2", "1..3")):
            self.assertEqual(self.verdict(text)[0], "broken", text)

    def test_bail_out(self):
        self.assertEqual(self.verdict("Bail out! CPU 1 did not come up\nFAIL\n"),
                         ("fail", ["Bail out! CPU 1 did not come up"]))

    def test_ends(self):
        self.assertIn("prints nothing", self.verdict("", None)[1][0])
        self.assertIn("hangs", self.verdict("ok 1 - one\n", None)[1][0])
        self.assertIn("signal 11", self.verdict(GOOD, -11)[1][0])
        self.assertIn("status 1: no such", self.verdict("no such machine", 1)[1][0])


class CommandLine(unittest.TestCase):
    def line(self, payload, extra=""):
        cell = runner.Cell(payload, "arm", "spt", 4, 1, 2.0, extra=extra)
        return runner.Command(binary="umbra").line(cell, "image")

    def test_a_payload_has_the_cpu_it_needs(self):
        for payload, model in (("ordering", "max"), ("litmus", "cortex-a15")):
            line = self.line(payload)
            self.assertEqual(line[line.index("-cpu") + 1], model)

    def test_what_umbra_keeps_is_asked_for(self):
        for extra, text in (("", "seed=1 ms=2000"), ("-exclusive strict", "seed=1 ms=2000 strict=1"),
                            ("-exclusive value", "seed=1 ms=2000")):
            line = self.line("exclusives", extra)
            self.assertEqual(line[line.index("-append") + 1], text)

    def test_linux_has_no_watchdogs_while_umbra_sleeps_on_purpose(self):
        self.assertIn("nowatchdog", linux.boot_words("-inject coverage,perturb"))
        self.assertNotIn("nowatchdog", linux.boot_words("-tier2-threshold 1"))
        self.assertIsNone(linux.CRIES.search(linux.boot_words("-inject perturb")))
        for line in ("rcu: INFO: rcu_sched self-detected stall on CPU", "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
                     "rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-... }"):
            self.assertTrue(linux.CRIES.search(line), line)

    def test_limits_are_told(self):
        self.assertEqual(runner.limits_of("# one\n# known limitation: two\r\nPASS\n"), ("known limitation: two",))


class Clock:
    """For runner.Patience: seconds go by as told, the process runs and waits as told, and is kept from running
    for such a share of them."""

    def __init__(self, ran, runnable, prints=0, line="# a line", kept=0.0):
        self.now, self.rate, self.runnable, self.prints = 100.0, ran, runnable, prints
        self.line, self.kept = line, kept

    def monotonic(self):
        return self.now

    def stat(self):
        """Of the log: a line each second until `prints`."""
        return os.stat_result((0,) * 6 + (int(min(self.now - 100, self.prints)), 0, 0, 0))

    def open(self, _mode):
        """The log."""
        return io.BytesIO(f"# one\n{self.line}\r\n".encode())

    def over_after(self, limit, most):
        """Seconds until the patience with a process of such a share of CPU time is over; None: after `most`."""
        saved = runner.time, runner._look_at
        runner.time = self
        runner._look_at = lambda _: (self.rate * (self.now - 100), {"1": self.kept * (self.now - 100), "2": 0.0},
                                     self.runnable)
        try:
            patience = runner.Patience(1, limit / len(os.sched_getaffinity(0)), self)
            while self.now - 100 < most:
                self.now += 0.5
                if patience.over():
                    return self.now - 100
            return None
        finally:
            runner.time, runner._look_at = saved


class Patience(unittest.TestCase):
    def test_who_runs_has_its_time(self):
        self.assertEqual(Clock(1, False).over_after(30, 100), 30)

    def test_who_waits_for_a_cpu_gets_more(self):
        self.assertEqual(Clock(0.25, True).over_after(30, 500), 120)
        self.assertGreater(Clock(0.001, True).over_after(30, 500), 300 / len(os.sched_getaffinity(0)))

    def test_who_prints_gets_more(self):
        self.assertEqual(Clock(1, False, 60).over_after(30, 500), 90)

    def test_who_sleeps_does_not(self):
        self.assertLess(Clock(0.001, False).over_after(30, 500), 31)

    def test_whose_pulse_stops_does_not(self):
        beats = runner.Pulse.BEAT
        self.assertEqual(Clock(0.5, True, 10, beats).over_after(60, 500), 10 + runner.Pulse.STILL + 0.5)
        self.assertGreater(Clock(0.5, True, 10, "# the time is over").over_after(60, 500), 100)

    def test_whose_pulse_the_host_stops_gets_more(self):
        after = Clock(0.01, True, 10, runner.Pulse.BEAT, kept=0.9).over_after(300, 500)
        self.assertEqual(after, 10 + runner.Pulse.STILL / 0.1 + 0.5)

    def test_the_host_says_so(self):
        ran, waited, runnable = runner._look_at(os.getpid())
        self.assertGreaterEqual(waited[str(os.getpid())], 0)
        self.assertTrue(runnable)
        end = time.monotonic() + 60
        while runner._look_at(os.getpid())[0] < ran + 0.1 and time.monotonic() < end:
            pass
        self.assertGreaterEqual(runner._look_at(os.getpid())[0], ran + 0.1)
        sleeper = subprocess.Popen(["sleep", "60"])
        self.addCleanup(sleeper.wait)
        self.addCleanup(sleeper.kill)
        while runner._look_at(sleeper.pid)[2] and time.monotonic() < end:
            time.sleep(0.1)
        self.assertFalse(runner._look_at(sleeper.pid)[2])


class Driver(unittest.TestCase):
    """The whole program, with a payload folder that has empty images."""

    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.folder = Path(self.scratch.name)
        images = self.folder / "images"
        images.mkdir()
        for name in catalog.payloads():
            for state in catalog.STATES:
                (images / f"{name}.{state}.elf").touch()
        for name in random_mode.PAYLOADS:
            for state in catalog.STATES:
                (images / f"{name}.{state}.elf").write_bytes(b"ELF" + program.MAGIC + bytes(70000))
        environment = {"UMBRA_STRESS_IMAGES": str(images), "GUEST_CC": "no-such-compiler",
                       "UMBRA": "/bin/true"}  # some emulator, in a tree where none is built yet
        self.saved = {key: os.environ.get(key) for key in environment}
        os.environ.update(environment)
        self.addCleanup(self.restore)

    def restore(self):
        for key, value in self.saved.items():
            os.environ.pop(key, None)
            if value is not None:
                os.environ[key] = value

    def emulator(self, body, name="emulator"):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    def call(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            try:
                status = main.main([str(w) for w in words])
            except SystemExit as end:  # argparse
                status = end.code
        return status, out.getvalue(), err.getvalue()

    def run_with(self, body, *words):
        script = self.emulator(body)
        return self.call("run", "shootdown.arm", "-t", "0.1", "--grace", "0.5", "--logs",
                         self.folder / "logs", "--emulator", f"{script} %n %k %a", *words)

    def test_pass_leaves_no_log(self):
        status, out, _ = self.run_with(f"printf '{GOOD}'")
        self.assertEqual(status, 0)
        self.assertIn("ok 1 - shootdown.arm", out)
        self.assertIn("1..1", out)
        self.assertEqual(list((self.folder / "logs").iterdir()), [])

    def test_fail_keeps_the_log_and_says_how_to_repeat(self):
        status, out, _ = self.run_with(f"printf '{BAD}'", "-seed", "77", "-smp", "3")
        self.assertEqual(status, 1)
        log = next(line for line in out.splitlines() if line.startswith("# log: ")).split()[-1]
        self.assertIn("not ok 2 - two", Path(log).read_text())
        self.assertIn("umbra-stress run shootdown.arm -smp 3 -seed 77", out)
        self.assertIn(f"--emulator '{self.folder / 'emulator'} %n %k %a'", out)

    def test_parameters_reach_the_guest(self):
        status, out, _ = self.run_with(f'[ "$1" = 3 ] && [ "$3" = "seed=77 ms=100" ] && '
                                       f"printf '{GOOD}'", "-seed", "77", "-smp", "3")
        self.assertEqual(status, 0, out)
        script = self.emulator(f'[ "$2" = -append ] && printf \'{GOOD}\'')
        self.assertEqual(self.call("run", "shootdown.arm", "--emulator", f"{script} %k")[0], 0)

    def test_hangs_are_killed_with_their_children(self):
        begun = time.monotonic()
        sleep = f"sleep 987.{os.getpid()}"  # like no other run's
        status, out, _ = self.run_with(f"trap '' TERM; {sleep} & echo ok 1 - one; {sleep}")
        self.assertEqual(status, 3)
        self.assertIn("hangs: killed after", out)
        self.assertLess(time.monotonic() - begun, 60)
        left = subprocess.run(["pgrep", "-f", sleep], capture_output=True, check=False)
        self.assertEqual(left.stdout, b"")

    def test_threads_are_stopped_and_go_on(self):
        """A process of ours with a thread named like a vCPU's: it must lose time, and end well."""
        script = ("import threading, time, pathlib\n"
                  "def work():\n"
                  "    pathlib.Path('/proc/thread-self/comm').write_text('vcpu0')\n"
                  "    last, gap = time.monotonic(), 0\n"
                  "    end = last + 1.5\n"
                  "    while last < end:\n"
                  "        now = time.monotonic()\n"
                  "        gap, last = max(gap, now - last), now\n"
                  "threading.Thread(target=work).start()\n")
        process = subprocess.Popen([sys.executable, "-c", script])
        self.addCleanup(process.kill)
        stops, end = 0, time.monotonic() + 10
        while process.poll() is None and time.monotonic() < end:
            stops += stopper.stop_once(process.pid)
        try:
            self.assertEqual(process.wait(timeout=90), 0)
        except subprocess.TimeoutExpired:
            self.fail(f"still there after {stops} stops: {self.states(process.pid)}")
        self.assertGreater(stops, 3)
        self.assertFalse(stopper.stop_once(process.pid))

    @staticmethod
    def states(pid):
        """What the kernel says of each thread: running, sleeping where, stopped, traced by whom."""
        return [(task / "wchan").read_text() + " " + " ".join((task / "status").read_text().split())
                for task in Path(f"/proc/{pid}/task").glob("*")]

    def test_silence(self):
        self.assertIn("prints nothing", self.run_with("sleep 987")[1])
        status, out, _ = self.run_with("exit 0")
        self.assertEqual(status, 3)
        self.assertIn("printed nothing", out)

    def test_deaths(self):
        status, out, _ = self.run_with("kill -SEGV $$")
        self.assertEqual(status, 3)
        self.assertIn("signal 11", out)
        self.assertIn("no such machine", self.run_with("echo no such machine >&2; exit 2")[1])
        self.assertIn("without a report", self.run_with("echo ok 1 - one")[1])

    def refused(self, pattern, *words, status=2):
        got, _, err = self.call(*words)
        self.assertEqual(got, status, err)
        self.assertRegex(err, pattern)
        self.assertNotIn("Traceback", err)

    def test_wrong_use(self):
        self.refused("no test 'nosuch'", "run", "nosuch")
        self.refused("no test 'shootdown.mips'", "run", "shootdown.mips")
        self.refused("no mode 'magic'; there are soft", "run", "-mmu", "magic")
        self.refused("not a number from 1 to 8", "run", "-smp", "9")
        self.refused("not a number from", "run", "-t", "soon")
        self.refused("not a number from", "run", "-seed", "-1")
        self.refused("no %k", "run", "--emulator", "")
        self.refused("no %k", "run", "--emulator", "/bin/true")
        self.refused("umbra's", "run", "--emulator", "true %k", "-mmu", "soft")
        self.refused("--with and --inject are umbra's", "run", "--emulator", "true %k", "--with", "-foo")
        self.refused("--with .*quotation", "run", "--with", "-foo 'bar")
        self.refused("--json", "run", "--emulator", "true %k", "--json", "/no/such/file")
        self.refused("invalid choice", "walk")
        self.assertEqual(self.call()[0], 2)
        self.assertEqual(self.call("--help")[0], 0)

    def test_cannot_start(self):
        for command in (["run", "shootdown"], ["random"]):
            self.refused("cannot start /no/such: no such program", *command, "--emulator", "/no/such %k",
                         status=3)
            self.refused("--emulator .*quotation", *command, "--emulator", "/bin/true '%k")
        broken = self.folder / "broken"
        broken.write_text("#!/no/such/shell\n")
        broken.chmod(0o755)
        self.refused("cannot start .*broken: No such file", "run", "shootdown", "--emulator",
                     f"{broken} %k", status=3)
        os.environ["UMBRA"] = "/no/such/umbra"
        self.refused("no emulator at /no/such/umbra", "run", "shootdown", status=3)

    def test_no_images(self):
        os.environ["UMBRA_STRESS_IMAGES"] = str(self.folder / "nothing")
        self.refused("no arm-linux-gnueabihf-gcc", "run", "--emulator", "true %k", status=3)

    def test_json(self):
        self.run_with(f"printf '{BAD}'", "--json", self.folder / "out.json")
        record = json.loads((self.folder / "out.json").read_text())
        self.assertEqual((record["payload"], record["verdict"], record["why"]),
                         ("shootdown", "fail", ["two"]))

    def test_list(self):
        status, out, _ = self.call("list")
        self.assertEqual(status, 0)
        for name in ("shootdown-lpae", "litmus", "psci", "modes: soft, auto, spt"):
            self.assertIn(name, out)
        self.assertNotIn("-long ", out)

    def night(self, body="printf '" + GOOD + "'", *words):
        os.environ["UMBRA"] = str(self.emulator(body, "umbra"))
        log = self.folder / "night.jsonl"
        result = self.call("nightly", "--hours", "0.001", "-t", "0.1", "--log", log, *words)
        return log, result

    def test_nightly_adds_up(self):
        log, (status, _, _) = self.night()
        self.assertEqual(status, 0)
        rotation, first = nightly.read_log(log)
        self.assertGreater(len(first), 10)
        with open(log, "a") as out:
            out.write('{"payload": "cut off')
        log, _ = self.night()
        again, both = nightly.read_log(log)
        self.assertEqual(again, rotation)
        self.assertGreater(len(both), len(first))
        self.assertEqual(both[:len(first)], first)
        keys = [nightly.key_of(r) for r in both]
        for cells in (nightly.all_cells, nightly.random_cells):
            counts = [keys.count(cell) for cell in cells()]
            self.assertLessEqual(max(counts) - min(counts), 1)
        share = sum(key[0] in random_mode.PAYLOADS for key in keys) / len(keys)
        self.assertTrue(0.15 < share < 0.25, share)
        self.assertEqual(len({r["seed"] for r in both}), len(both))
        status, out, _ = self.call("report", "--log", log)
        self.assertEqual(status, 0)
        self.assertIn(f"{len(both)} runs", out)

    def test_nightly_failures(self):
        log, (status, out, _) = self.night(f"printf '{BAD}'")
        self.assertEqual(status, 1)
        self.assertIn("fail: umbra-stress run", out)
        listing = re.search(r"fail: umbra-stress random --replay (\S+)", out)[1]
        _, programs = program.parse(Path(listing).read_text(), listing)
        self.assertEqual(sum(len(p.ops) for p in programs), 1)  # any program "fails" here
        self.assertEqual(self.call("report", "--log", log)[0], 1)

    def test_more_options(self):
        body = (f'case "$*" in *"-tier 1 -x"*) printf \'{BAD}\' ;; *) printf \'{GOOD}\' ;; esac')
        os.environ["UMBRA"] = str(self.emulator(body, "umbra"))
        words = ("run", "shootdown.arm", "-mmu", "soft", "--logs", self.folder / "logs")
        self.assertEqual(self.call(*words)[0], 0)
        status, out, _ = self.call(*words, "--with", "-tier 1 -x")
        self.assertEqual(status, 1)
        self.assertIn("# again: umbra-stress run shootdown.arm -mmu soft", out)
        self.assertIn("--with '-tier 1 -x'", out)

    def test_nightly_shares_options_out(self):
        body = (f'case "$*" in *"-tier 1"*) printf \'{BAD}\' ;; *) printf \'{GOOD}\' ;; esac')
        log, (status, out, _) = self.night(body, "--with", "-tier 1", "--with", "-b")
        self.assertEqual(status, 1)
        self.assertRegex(out, "fail: umbra-stress run .* --with '-tier 1'")
        records = nightly.read_log(log)[1]
        self.assertGreater(len(records), 8)
        counts = [sum(r["extra"] == extra for r in records) for extra in ("", "-tier 1", "-b")]
        self.assertGreater(min(counts), len(records) // 6, counts)
        for record in records:
            self.assertEqual(record["verdict"], "fail" if record["extra"] == "-tier 1" else "pass")
        listing = re.search(r"fail \(.*umbra-stress random --replay (\S+)", out)
        if listing:  # what failed with an option fails again with it, and not without
            self.assertEqual(self.call("random", "--replay", listing[1])[0], 1)
        self.assertIn(f"{counts[1]} runs with -tier 1", self.call("report", "--log", log)[1])

    def test_coverage(self):
        log, (status, out, _) = self.night(f"printf '{MET}{GOOD}'")
        self.assertEqual(status, 0)
        total = {}
        for record in nightly.read_log(log)[1]:
            coverage.add(total, record["met"])
        runs = len(nightly.read_log(log)[1])
        self.assertEqual(total["stepped"], ["tlb", {"stepped": 3 * runs, "served": 12 * runs}])
        self.assertIn("3 of 9 (33 %) pairs of passages; 2 of 5 (40 %) of those within one argument", out)
        self.assertIn("never: served, then stepped, served", out)
        self.assertIn("never: halted, then halted", out)
        self.assertRegex(out, r"A tlb +stepped +[1-9][1-9]\.\n")
        self.assertEqual(coverage.parse(GOOD), {})
        self.assertEqual(coverage.report([{"verdict": "pass"}]), [])

    def test_report_of_a_run(self):
        os.environ["UMBRA"] = str(self.emulator(f"printf '{MET}{GOOD}'", "umbra"))
        log = self.folder / "run.jsonl"
        self.call("run", "shootdown", "-mmu", "soft", "--json", log, "--with", "-inject coverage")
        status, out, _ = self.call("report", "--log", log)
        self.assertEqual(status, 0)
        self.assertIn("2 runs with '-inject coverage': 3 of 9", out)

    def test_nightly_bad_log(self):
        self.refused("not a log", "report", "--log", self.folder / "none")
        os.environ["UMBRA"] = str(self.emulator("exit 0", "umbra"))
        self.refused("--log /no/such/log", "nightly", "--log", "/no/such/log")

    def test_prove_needs_an_injection_build(self):
        os.environ["UMBRA"] = str(self.emulator("echo unknown option >&2; exit 1"))
        self.refused("knows no -inject", "prove", status=3)
        os.environ["UMBRA"] = str(self.emulator("echo new-fault 0.5 a rule"))
        self.refused("new-fault", "prove", status=3)

    def fake_inject(self, body):
        listing = "".join(f"echo {fault} 1 a rule;" for fault in prove.TESTS)
        os.environ["UMBRA"] = str(self.emulator(
            f'case "$*" in "-inject help") {listing} ;; *-inject*) {body} ;; '
            f"*) printf '{GOOD}' ;; esac"))

    def test_prove(self):
        words = ("prove", "lose-ipi", "--runs", "2", "-t", "0.1", "--no-table")
        self.fake_inject(f"printf '{BAD}'")
        status, out, _ = self.call(*words)
        self.assertEqual(status, 0)
        self.assertIn("ok 1 - lose-ipi: inj_sleep.arm spt smp2", out)
        self.fake_inject(f"printf '{BAD}'; echo umbra: inject: lose-ipi struck 0 of 9")
        self.refused("never struck", *words, status=1)
        self.refused("no fault 'nosuch'", "prove", "nosuch")

    def test_prove_undetected(self):
        self.fake_inject(f"printf '{GOOD}'")
        limit, prove.LIMIT = prove.LIMIT, 0.3
        try:
            status, out, _ = self.call("prove", "lose-ipi", "-t", "0.1", "--no-table")
        finally:
            prove.LIMIT = limit
        self.assertEqual(status, 1)
        self.assertIn("not ok 1 - lose-ipi: none", out)


    # ---- random mode: an emulator that "fails" when its image holds what the test looks for ----
    def random_with(self, body, *words):
        script = self.emulator(body)
        return self.call("random", "-t", "0.1", "--grace", "0.5", "--logs", self.folder / "logs",
                         "--emulator", f"{script} %n %k %a", *words)

    def test_random_passes(self):
        status, out, _ = self.random_with(f"printf '{GOOD}'", "-seed", "5", "-smp", "3")
        self.assertEqual(status, 0, out)
        self.assertRegex(out, r"ok 1 - random\S* - smp3 seed \d+: 12 programs")
        again = self.random_with(f"printf '{GOOD}'", "-seed", "5", "-smp", "3")[1]
        # How many boots there is time for is up to the host.
        for one, other in zip(re.findall("seed [0-9]+", out), re.findall("seed [0-9]+", again)):
            self.assertEqual(one, other)

    def test_random_shrinks_to_what_fails(self):
        """Guilty is a store-multiple of CPU 1 with a count of 77, which the test puts in by hand."""
        guilty = program.Op(1, "stm", 0, count=77)
        made = program.generate
        program.generate = lambda seed, smp, devices: program.Program(
            made(seed, smp).slots, made(seed, smp).ops[:9] + ([guilty] if seed.endswith("/7") else []))
        self.addCleanup(setattr, program, "generate", made)
        pattern = "".join(f"\\x{byte:02x}" for byte in guilty.pack())
        body = (f"if grep -qaP '{pattern}' $2; then printf 'not ok 1 - program 8 operation 10: CPU 1\\n"
                f"# failed after 3 ms\\n1..1\\nFAIL\\n'; else printf '{GOOD}'; fi")
        listing = self.folder / "listing"
        status, out, _ = self.random_with(body, "--listing", listing, "-smp", "2")
        self.assertEqual(status, 1, out)
        words, programs = program.parse(listing.read_text(), "listing")
        self.assertEqual([p.ops for p in programs], [[guilty]])
        self.assertEqual((words["smp"], words["t"]), ("2", "0.4"))
        status, out, _ = self.random_with(body, "--replay", listing)
        self.assertEqual(status, 1, out)
        self.assertIn("not ok 1 - random", out)

    def test_random_failure_that_does_not_come_back(self):
        flag = self.folder / "once"
        body = (f"if [ -e {flag} ]; then printf '{GOOD}'; else touch {flag}; printf '{BAD}'; fi")
        status, out, _ = self.random_with(body)
        self.assertEqual(status, 1)
        self.assertIn("it did not fail again", out)

    def test_bad_listings(self):
        listing = self.folder / "listing"
        for text, pattern in [
                ("", "no program in it"), ("slot 0 small owner=0 common", ":1: 'program' comes first"),
                ("program\nslot 0 tiny owner=0 common", ":2: 'tiny' is none of small"),
                ("program\nslot 0 small owner=9 common", "'owner=9' is not owner=0 to 7"),
                ("program\nslot 0 small owner=0 common\n0 map s0 f0", ":3: something is missing"),
                ("program\nslot 0 small owner=0 common\n1 unmap s0 all-is @0", "belongs to CPU 0"),
                ("program\nslot 0 small owner=0 common\n0 load s1 @0", "'s1' is not s0 to 0"),
                ("program\nslot 0 small owner=0 common\n0 load s0 @0 y", "'y' is not x"),
                ("program\nslot 0 small owner=0 common\n0 jump s0", "'jump' is none of map"),
                ("run smp=1\nprogram\nslot 0 small owner=3 common\n3 pause 1", "need 4 CPUs, not 1"),
                ("run mode=magic\nprogram\nslot 0 small owner=0 common", "names what there is not")]:
            listing.write_text(text)
            self.refused(pattern, "random", "--replay", listing)
        self.refused("none: No such file or directory$", "random", "--replay", self.folder / "none")
        listing.write_bytes(b"\xff\xfe")
        self.refused("it is not text", "random", "--replay", listing)

    # ---- in Linux: an emulator that prints what a boot does, and looks at the faults that are armed ----
    def linux_guest(self, body):
        guest = self.folder / "cache/guest"
        for flavour in linux.FLAVOURS:
            (guest / flavour).mkdir(parents=True)
            (guest / flavour / "vmlinuz").touch()
            (guest / flavour / "initrd.img").touch()
        (guest / "disk.img").touch()
        compiler = self.emulator("while [ $# -gt 1 ]; do shift; done; : >$1", "compiler")
        saved = {key: os.environ.get(key) for key in ("UMBRA_CACHE", "GUEST_CC")}
        os.environ.update({"UMBRA_CACHE": str(self.folder / "cache"), "GUEST_CC": str(compiler)})
        self.addCleanup(lambda: [os.environ.pop(k) if v is None else os.environ.__setitem__(k, v)
                                 for k, v in saved.items()])
        listing = "".join(f"echo {fault} 1 a rule;" for fault in prove.TESTS)
        os.environ["UMBRA"] = str(self.emulator(
            f'[ "$*" = "-inject help" ] && {{ {listing} exit; }}\n'
            'for word; do case $word in from=*) file=${word#from=} ;; esac; done\n' + body, "umbra"))

    BOOT = """armed() { sleep 0.5; [ -n "$file" ] && cat "$file"; }
        [ -z "$(armed)" ] || exit 9
        for p in PROGRAMS; do
            echo UMBRA-STRESS begin $p
            case "$(armed)" in "") echo "ok 1 - it runs" ;; *) echo "not ok 1 - $(armed)" ;; esac
            echo 1..1
            echo UMBRA-STRESS end $p 0
        done
        [ -z "$(armed)" ] || exit 9
        """

    def test_faults_are_armed_while_programs_run(self):
        self.linux_guest(self.BOOT.replace("PROGRAMS", "fork jit"))
        words = ("linux", "fork", "jit", "--logs", self.folder / "logs")
        self.assertEqual(self.call(*words)[0], 0)
        status, out, _ = self.call(*words, "--inject", "stale-code:0.5")
        self.assertEqual(status, 1, out)
        self.assertIn("# fork: not ok 1 - stale-code:0.5", out)
        self.assertIn("# jit: not ok 1 - stale-code:0.5", out)

    def test_prove_linux(self):
        self.linux_guest(self.BOOT.replace("PROGRAMS", "fork jit"))
        words = ("prove", "--linux", "fork", "jit", "--runs", "1", "--no-table", "--logs", self.folder / "logs")
        status, out, _ = self.call(*words)
        self.assertEqual(status, 0, out)
        self.assertIn(f"not ok 1 - {prove.LINUX_TESTS['fork']}", out)
        self.linux_guest_says_nothing()
        self.assertEqual(self.call(*words)[0], 1)
        self.refused("no program 'nosuch'; there are fork", "prove", "--linux", "nosuch")

    def linux_guest_says_nothing(self):
        """A guest in which every program passes, whatever is armed."""
        path = self.folder / "umbra"
        path.write_text(path.read_text().replace('*) echo "not ok', '*) echo "ok'))

    def test_linux_wrong_use(self):
        self.refused("no program 'nosuch'; there are fork, jit", "linux", "nosuch")
        self.refused("no mode 'magic'", "linux", "-mmu", "magic")
        saved = os.environ.get("UMBRA_CACHE")
        os.environ["UMBRA_CACHE"] = str(self.folder / "empty")
        try:
            self.refused("run scripts/guest", "linux", "fork", status=3)
        finally:
            os.environ.pop("UMBRA_CACHE")
            if saved is not None:
                os.environ["UMBRA_CACHE"] = saved


class RandomPrograms(unittest.TestCase):
    def test_text_and_back(self):
        for seed in range(50):
            made = program.generate(seed, 1 + seed % 8)
            words, back = program.parse("run smp=2 mode=spt=shared,prefill=100\n" + made.text(), "x")
            self.assertEqual(back, [made])
            self.assertEqual(words["mode"], "spt=shared,prefill=100")
            self.assertEqual(len(made.pack(5)), 16 + 32 + 16 * len(made.ops))

    def test_exclusives_and_devices_do_not_meet(self):
        for seed in range(200):
            made = program.generate(seed, 4)
            devices = {op.slot for op in made.ops if op.name == "device"}
            self.assertFalse([op for op in made.ops if op.name == "add" and op.slot in devices])

    def test_images_hold_programs(self):
        with tempfile.TemporaryDirectory() as scratch:
            source, target = Path(scratch) / "a", Path(scratch) / "b"
            source.write_bytes(b"head" + program.MAGIC + bytes(66000) + b"tail")
            made = [program.generate(i, 4) for i in range(3)]
            program.write_image(made, 9, source, target)
            image = target.read_bytes()
            self.assertEqual(len(image), len(source.read_bytes()))
            self.assertIn(b"\3\0\0\0" + made[0].pack(9) + made[1].pack(9), image)
            self.assertRaises(catalog.Problem, program.write_image, made * 200, 9, source, target)

    def test_shrinking(self):
        dice = random.Random(1)
        runs = []

        def fails(items):
            runs.append(items)
            return {3, 17} <= set(items) and dice.random() < 0.9

        small = shrink.shrink(list(range(40)), lambda c: any(fails(c) for _ in range(3)))
        self.assertEqual(small, [3, 17])
        self.assertLess(len(runs), 200)
        self.assertEqual(shrink.shrink([1, 2, 3], lambda c: True, lambda: True), [1, 2, 3])


class LinuxReports(unittest.TestCase):
    CELL = linux.LinuxCell("fork+jit", "armmp", "auto", 2, 1, 1.0)
    BOTH = ("[    1.0] booting\r\nUMBRA-STRESS begin fork\r\nok 1 - a\r\n1..1\r\nUMBRA-STRESS end fork 0\r\n"
            "UMBRA-STRESS begin jit\nok 1 - b\n1..1\nUMBRA-STRESS end jit 0\n")

    def verdict(self, text, status=0):
        return linux.judge(self.CELL, text, status, 9)

    def test_reports(self):
        self.assertEqual(self.verdict(self.BOTH)[:2], ("pass", []))
        verdict, why, each = self.verdict(self.BOTH.replace("ok 1 - b", "not ok 1 - b"))
        self.assertEqual((verdict, why), ("fail", ["jit: not ok 1 - b"]))
        self.assertEqual(each, {"fork": [], "jit": ["not ok 1 - b"]})
        self.assertEqual(self.verdict(self.BOTH.replace("jit 0", "jit 139"))[1],
                         ["jit: it ended with status 139"])
        self.assertEqual(self.verdict(self.BOTH.split("UMBRA-STRESS begin jit")[0])[1],
                         ["jit: it did not start"])
        self.assertEqual(self.verdict(self.BOTH.split("UMBRA-STRESS end jit")[0], None)[1],
                         ["jit: it did not end", "killed after 9 s"])
        self.assertIn("log: [ 2.0] Oops", self.verdict(self.BOTH + "[ 2.0] Oops\n")[1])
        self.assertEqual(self.verdict(self.BOTH.replace("1..1\nUMBRA-STRESS end jit", "UMBRA-STRESS end jit"))[0],
                         "broken")


class Table(unittest.TestCase):
    def test_rows_are_replaced(self):
        with tempfile.TemporaryDirectory() as scratch:
            saved, prove.TABLE = prove.TABLE, Path(scratch) / "stress.md"
            try:
                prove.TABLE.write_text(f"before\n{prove.BEGIN}\n{prove.END}\nafter\n")
                prove.write_table([prove.Proof("lose-ipi", "rule", "a", 2, (1.0, 3.0), 2, "sign"),
                                   prove.Proof("no-fence", "rule")])
                prove.write_table([prove.Proof("lose-ipi", "rule", "b", 3, (5.0,), 2, "sign")])
                text = prove.TABLE.read_text()
            finally:
                prove.TABLE = saved
        self.assertIn("| `lose-ipi` | rule | b: sign | 3 | 5.0 | 50 % |", text)
        self.assertIn("| `no-fence` | rule | **none** | - | - | 100 % |", text)
        self.assertTrue(text.startswith("before\n") and text.endswith("\nafter\n"))
        self.assertEqual(text.count("lose-ipi"), 1)


if __name__ == "__main__":
    unittest.main()
