#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tests of bench/evaluate that need no guest: statistics, resuming, what it says about failures; and one emulator that
is a shell script."""
import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import types
import unittest
import unittest.mock
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
from evaluation import machine, phone, plot, programs, report  # noqa: E402
from evaluation.results import Key, Results  # noqa: E402


def load(name="evaluate"):
    loader = importlib.machinery.SourceFileLoader(name, os.path.join(ROOT, "bench", name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


class WithFile(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.folder.name, "r.tsv")
        self.results = Results(self.path)

    def tearDown(self):
        self.folder.cleanup()

    def add(self, program, mode, round_, seconds, which="compute", build="b1", **more):
        metrics = {"seconds": seconds, "cpu": seconds, "others": 0.0, "checksum": 1, **more}
        self.results.add(Key(which, program, mode, build, 1, "armmp-lpae", "1", round_), metrics)

    def view(self, which="compute"):
        return report.View(self.results, which, "1")


class TestResults(WithFile):
    def test_what_was_written_is_read(self):
        self.add("perl", "soft", 0, 12.5)
        self.assertEqual(Results(self.path).data, self.results.data)

    def test_a_line_cut_short_is_ignored(self):
        self.add("perl", "soft", 0, 12.5)
        with open(self.path, "a", encoding="utf-8") as f:
            f.write("compute\tperl\tau")
        self.assertEqual(Results(self.path).data, self.results.data)

    def test_another_file_is_refused(self):
        with open(self.path, "w", encoding="utf-8") as f:
            f.write("run\tmode\n")
        with self.assertRaises(SystemExit):
            Results(self.path)


class TestStatistics(WithFile):
    def test_ratios_are_of_the_same_round(self):
        for r, slow in enumerate((1, 10, 2, 5)):  # the host's speed changes tenfold, the ratio does not
            self.add("perl", "soft", r, 2.0 * slow)
            self.add("perl", "auto", r, 1.0 * slow)
        ratio = report.ratio_of(list(self.view().pairs((1, "armmp-lpae"), "perl", "soft", "auto").values()))
        self.assertEqual((ratio.median, ratio.low, ratio.high, ratio.pairs), (2, 2, 2, 4))

    def test_rounds_without_a_partner_do_not_count(self):
        self.add("perl", "soft", 0, 2.0)
        self.add("perl", "auto", 0, 1.0)
        self.add("perl", "soft", 1, 9.0)
        self.assertEqual(self.view().pairs((1, "armmp-lpae"), "perl", "soft", "auto"), {0: 2.0})

    def test_cpu_time_can_be_compared_instead(self):
        self.add("perl", "soft", 0, 2.0, cpu=6.0)
        self.add("perl", "auto", 0, 1.0, cpu=2.0)
        view = report.View(self.results, "compute", "1", "cpu")
        self.assertEqual(view.pairs((1, "armmp-lpae"), "perl", "soft", "auto"), {0: 3.0})
        self.assertEqual(report.auto_against_better(view, (1, "armmp-lpae"), "perl"), None)
        self.add("perl", "spt=private", 0, 1.0, cpu=4.0)
        self.assertEqual(report.auto_against_better(report.View(self.results, "compute", "1", "cpu"),
                                                    (1, "armmp-lpae"), "perl").median, 2.0)

    def test_geomean_over_programs(self):
        for program, speed in (("perl", 2.0), ("gzip", 8.0)):
            self.add(program, "soft", 0, speed)
            self.add(program, "auto", 0, 1.0)
        self.assertAlmostEqual(self.view().geomean([(1, "armmp-lpae")], "soft", "auto").median, 4.0)

    def test_the_interval_holds_the_median_and_narrows(self):
        few, many = report.ratio_of([1.0, 1.5, 2.0]), report.ratio_of([1.0, 1.5, 2.0] * 20)
        self.assertTrue(few.low <= few.median <= few.high)
        self.assertLess(many.high - many.low, few.high - few.low)

    def test_bars(self):
        r = report.Ratio(0.95, 0.9, 0.98, 7)
        self.assertIn("met by the interval", report.bar("x", r, 0.97)[0])
        self.assertIn("not met", report.bar("x", r, 0.99)[0])
        self.assertNotIn("interval", report.bar("x", r, 0.95)[0])

    def test_the_better_mode_is_chosen_by_other_rounds(self):
        # In round 1 soft is better than ever again, by chance: that round compares with private all the same.
        for r, soft in enumerate((2.0, 1.0)):
            self.add("perl", "soft", r, soft)
            self.add("perl", "spt=private", r, 1.6)
            self.add("perl", "auto", r, 1.6)
        self.assertEqual(report.auto_against_better(self.view(), (1, "armmp-lpae"), "perl").low, 1.0)

    def test_results_of_an_older_build_are_left_out(self):
        self.add("perl", "soft", 0, 9.0, build="old")
        self.add("perl", "soft", 1, 2.0)
        self.assertEqual(self.view().median((1, "armmp-lpae"), "perl", "soft", "seconds"), 2.0)


class TestParallel(WithFile):
    """Times of one and two threads on the host and in a guest."""

    def pair(self, mode, round_, one, two, name="make"):
        for n, seconds in ((1, one), (2, two)):
            self.results.add(Key("parallel", f"{name}{n}", mode, "b1", 2, "armmp-lpae", "1", round_), {"seconds": seconds})

    def test_speed_up_over_that_of_the_host_in_the_same_round(self):
        for r, slow in enumerate((1.0, 5.0, 3.0)):  # the host's speed changes, and how well it does two things at once
            self.pair("native", r, 4.0 * slow, 2.0 * slow * (1 + r))
            self.pair("auto", r, 20.0, 10.0 * (1 + r) / 0.9)
        self.pair("auto", 3, 20.0, 40.0)  # a round that the host has not done
        view = self.view("parallel")
        self.assertEqual(report.speedups(view, (2, "armmp-lpae"), "make", "native"), {0: 2.0, 1: 1.0, 2: 2 / 3})
        text, plots = report.parallel(view)
        ratio = plots[""][0]["auto"]["make"]
        self.assertEqual((round(ratio.median, 9), round(ratio.high, 9), ratio.pairs), (0.9, 0.9, 3))
        self.assertIn("bar 0.95: **not met**", text[1])
        self.assertIn("| 0.90 [0.90 .. 0.90] |", text[0])

    def test_half_a_pair_is_no_speed_up(self):
        self.pair("native", 0, 4.0, 2.0)
        self.results.add(Key("parallel", "make1", "auto", "b1", 2, "armmp-lpae", "1", 0), {"seconds": 9.0})
        self.assertEqual(report.speedups(self.view("parallel"), (2, "armmp-lpae"), "make", "auto"), {})

    def test_both_do_the_same_work_and_neither_is_the_first(self):
        programs.write_script(self.path + ".script", "mutex1:400 mutex2:400")
        machine.write_wrapper(os.path.join(self.folder.name, "sysbench"), f"sh {self.folder.name}/note")
        with open(os.path.join(self.folder.name, "note"), "w", encoding="utf-8") as f:
            f.write(f'echo "$2 $3" >>{self.folder.name}/calls\n')
        with open(self.path + ".script", "rb") as script:
            text = script.read().rstrip(b"\0").decode()
        done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True, env=dict(
            os.environ, EVAL_FOLDER=self.folder.name, PATH=f"{self.folder.name}:/usr/bin:/bin"))
        with open(os.path.join(self.folder.name, "calls"), encoding="utf-8") as f:
            calls = f.read().splitlines()
        self.assertEqual(calls, ["--mutex-locks=51 --threads=2", "--mutex-locks=400 --threads=1",
                                 "--mutex-locks=51 --threads=2", "--mutex-locks=200 --threads=2"])
        self.assertIn("UMBRA-EVAL end mutex2 0", done.stdout)

    def test_every_work_is_there_twice(self):
        for name in programs.PARALLEL:
            one, two = (programs.PROGRAMS[f"{name}{n}"] for n in (1, 2))
            self.assertEqual((one, one.smp), (two, 2))


SMAPS = """70000000-b0000000 rw-p 00000000 00:00 0 {ram}
Size:            1048576 kB
Rss:                2000 kB
Pss:                1000 kB
SwapPss:               9 kB
7f0000000000-7f0000001000 rw-p 00000000 00:00 0
Size:                  4 kB
Pss:                   4 kB
7f0000002000-7f0000003000 r--s 00000000 00:01 33         /memfd:umbra-ram (deleted)
Size:                  4 kB
Pss:                   2 kB
"""


class TestMemory(unittest.TestCase):
    def setUp(self):
        self.memory = load("memory")

    def test_guest_ram_is_told_from_the_rest(self):
        self.assertEqual(self.memory.parse_smaps(SMAPS.format(ram=""), 1 << 20), (1006, 1002, 3))
        self.assertEqual(self.memory.parse_smaps(SMAPS.format(ram="[heap]"), 1 << 20), (1006, 2, 3))

    def test_the_smaller_peer_of_the_same_round(self):
        def key(mode, r):
            return Key("memory", "shell", mode, "b1", 2, "armmp-lpae", "1", r)
        sizes = {"auto": (80, 90), "qemu7": (100, 300), "qemu10": (200, 100)}
        data = {key(m, r): {"pss": kib - 5, "tables": 5, "ram": 1, "mappings": 7} for m, two in sizes.items()
                for r, kib in enumerate(two)}
        ratio = self.memory.against_peers(data, "shell", 2, "auto")
        self.assertEqual((ratio.low, ratio.high), (0.8, 0.9))
        text = self.memory.tables(data, list(sizes))
        self.assertIn("auto over the smaller peer: 0.85 [0.80 .. 0.90], bar 1: met", text)


class TestTroubles(WithFile):
    def test_failures_are_told(self):
        self.results.add(Key("compute", "perl", "auto", "b1", 1, "armmp-lpae", "1", 2), {"failed": -1})
        self.assertEqual(report.troubles(self.view()), ["- perl failed: auto, 1 CPUs, armmp-lpae, round 3"])

    def test_different_output_is_told(self):
        self.add("perl", "soft", 0, 1.0)
        self.add("perl", "auto", 0, 1.0)
        self.assertEqual(report.troubles(self.view()), [])
        self.add("perl", "auto", 1, 1.0, checksum=2)
        self.assertIn("printed different things", report.troubles(self.view())[0])


class TestReport(WithFile):
    def write(self, which):
        args = types.SimpleNamespace(sets=[which], length=1.0, doc=False, out=self.path, metric="seconds")
        return report.write(self.results, args)

    def test_every_set_can_be_shown(self):
        for r in range(2):
            for m, s in (("soft", 2.0), ("spt=private", 1.0), ("auto", 1.0), ("spt=shared", 3.0), ("spt=shared,prefill=300", 2.5),
                         ("spt=group,windows=4", 1.0)):
                self.add("perl", m, r, s)
                self.add("fork", m, r, s, which="process")
        phases = {f"{p}_{what}": 100.0 for p in ("idle", "mprotect", "munmap", "remap")
                  for what in ("ops", "worst_us", "p999_us", "reads")}
        for m in ("auto", "qemu7"):
            self.add("shootdown", m, 0, 1.0, which="shootdown", **phases)
            for flavour, ns in (("armmp", 200.0), ("armmp-lpae", 100.0)):
                self.results.add(Key("pan", "syscalls", m, "b1", 1, flavour, "1", 0),
                                 {"seconds": 1.0, "getppid": ns, "switch": ns})
        for which in ("compute", "process", "shootdown", "pan"):
            self.assertEqual(self.write(which), 0)
            svg = xml.etree.ElementTree.parse(os.path.join(self.folder.name, f"evaluation-{which}.svg"))
            self.assertGreater(len(list(svg.getroot())), 8, which)
        text, _ = report.pan(self.view("pan"))
        self.assertIn("2.00 [2.00 .. 2.00] of armmp-lpae, bar 1.15: **not met**", text[1])

    def test_a_set_with_other_emulators_has_a_part_for_them(self):
        for r in range(2):
            for program, qemu7, qemu10 in (("perl", 8.0, 9.0), ("chase", 20.0, 1.5)):
                self.add(program, "auto", r, 1.0)
                self.add(program, "qemu7", r, qemu7)
                self.add(program, "qemu10", r, qemu10)
        self.assertEqual([title for title, _ in report.sections(self.view())], ["compute-peers"])
        text, plots = report.against_others(self.view())
        self.assertIn("system emulator, geometric mean: 3.46 [3.46 .. 3.46], bar 4.0: **not met**", text[1])
        self.assertIn("chase, the slowest: 1.50 [1.50 .. 1.50], bar 2.0: **not met**", text[1])
        self.assertEqual(sorted(plots[""][0]), ["qemu10", "qemu7"])
        self.add("perl", "soft", 0, 2.0)
        self.assertEqual([title for title, _ in report.sections(self.view())], ["compute", "compute-peers"])

    def test_grid_lines(self):
        for top in (0.9, 1.9, 7, 33, 900):
            self.assertLessEqual(len(plot.levels(top)), 10)
            self.assertGreaterEqual(len(plot.levels(top)), 1)


FAKE = """#!/bin/sh
echo 'UMBRA-EVAL begin perl'
echo 'UMBRA-EVAL end perl 0 1.25 00000010'
echo 'UMBRA-EVAL value perl rate 7.5'
echo 'UMBRA-EVAL begin gzip'
%s
"""


class TestMachine(unittest.TestCase):
    """A shell script plays the emulator; as a "peer", since it has no counters."""

    def boot(self, end, patience=60):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "fake")
            with open(path, "w", encoding="utf-8") as f:
                f.write(FAKE % end)
            os.chmod(path, 0o755)
            machine.PEERS["fake"] = path
            try:
                yield from machine.run_programs("fake", "none", 1, [], True, False, patience)
            finally:
                del machine.PEERS["fake"]

    def test_programs_that_end(self):
        rows = list(self.boot("echo 'UMBRA-EVAL end gzip 3 0.50 00000011'; echo 'UMBRA-EVAL done'"))
        self.assertEqual([name for name, _ in rows], ["perl", "gzip"])
        self.assertEqual((rows[0][1]["seconds"], rows[0][1]["checksum"], rows[0][1]["rate"]), (1.25, 16, 7.5))
        self.assertEqual(rows[1][1]["failed"], 0.5)
        self.assertNotIn("seconds", rows[1][1])

    def test_counters_of_an_emulator_that_does_not_answer(self):
        with unittest.mock.patch.object(machine, "UMBRA", "/bin/false"), machine.Machine(
                "soft", "none", 1, "", [], True) as silent:
            start = machine.Snapshot(silent, at_start=True)
            self.assertEqual(set(start.counters.values()), {0})
            with self.assertRaises(machine.Failure):
                machine.Snapshot(silent)

    def test_an_emulator_that_dies(self):
        rows = []
        with self.assertRaises(machine.Failure) as caught:
            for row in self.boot("echo 'Kernel panic'; exit 1"):
                rows.append(row)
        self.assertEqual([name for name, _ in rows], ["perl"])
        self.assertEqual(caught.exception.args[2], "gzip")
        self.assertIn("Kernel panic", caught.exception.args[1])

    def test_a_guest_that_hangs(self):
        with self.assertRaises(machine.Failure) as caught:
            list(self.boot("exec sleep 100", patience=1))
        self.assertIn("silent", caught.exception.args[0])
        self.assertEqual(caught.exception.args[2], "gzip")


class TestPlan(WithFile):
    def setUp(self):
        super().setUp()
        self.evaluate = load()
        self.args = types.SimpleNamespace(length=1.0, builds={"soft": "b1", "auto": "b1"}, programs=[], together=False,
                                          modes={"compute": ["soft", "auto"]}, smps={"compute": [1]}, flavour="armmp-lpae")

    def test_what_is_there_is_not_run_again(self):
        boots = next(self.evaluate.boots_of_round(self.args, "compute", 0))
        self.assertEqual([b.mode for b in boots], ["soft", "auto"])
        self.assertEqual(boots[0].missing(self.results), ["perl", "bzip2", "cc1"])
        self.add("bzip2", "soft", 0, 3.0)
        self.results.add(boots[0].key("cc1"), {"failed": -1})
        self.assertEqual(boots[0].missing(self.results), ["perl"])
        self.assertEqual(boots[1].missing(self.results), ["perl", "bzip2", "cc1"])
        self.results.forget_failures(self.args.builds)
        self.assertEqual(boots[0].missing(self.results), ["perl", "cc1"])

    def test_modes_change_their_order(self):
        boots = next(self.evaluate.boots_of_round(self.args, "compute", 1))
        self.assertEqual([b.mode for b in boots], ["auto", "soft"])

    def test_known_times_make_the_plan(self):
        boot = next(self.evaluate.boots_of_round(self.args, "compute", 0))[0]
        before = boot.estimate(self.results)
        self.add("perl", "soft", 3, 500.0)
        self.assertGreater(boot.estimate(self.results), before + 400)

    def test_lists_of_modes(self):
        self.assertEqual(self.evaluate.expand("bars;spt=group,windows=4 soft"),
                         ["soft", "spt=private", "auto", "spt=group,windows=4"])

    def test_inputs_are_the_same_each_time(self):
        self.assertEqual(programs.inputs(0.02), programs.inputs(0.02))


class TestRun(WithFile):
    """run() with a machine that is made up."""

    def setUp(self):
        super().setUp()
        self.evaluate = load()
        self.args = types.SimpleNamespace(length=1.0, builds={"auto": "b1"}, scratch=self.folder.name, out=self.path,
                                          archives={True: "archive"})
        self.boots = []
        self.real = machine.run_programs
        machine.run_programs = self.run_programs

    def tearDown(self):
        machine.run_programs = self.real
        super().tearDown()

    def run_programs(self, *_):
        self.boots.append(self.fates[len(self.boots)])
        for name in self.boots[-1]:
            if isinstance(name, machine.Failure):
                raise name
            yield name, {"seconds": 1.0}

    def outcome(self, *fates):
        self.fates = fates
        boot = self.evaluate.Boot(self.args, "compute", "auto", "armmp", 1, 0, ["perl", "gzip", "cc1"])
        self.evaluate.run(self.args, self.results, boot)
        return {k.program: sorted(m.keys() & {"seconds", "failed"}) for k, m in self.results.data.items()}

    def test_one_boot(self):
        self.assertEqual(self.outcome(["perl", "gzip", "cc1"]), {n: ["seconds"] for n in ("perl", "gzip", "cc1")})

    def test_a_program_that_hangs_does_not_take_the_others_along(self):
        fates = (["perl", machine.Failure("silent", "", "gzip")], ["cc1"])
        self.assertEqual(self.outcome(*fates), {"perl": ["seconds"], "gzip": ["failed"], "cc1": ["seconds"]})
        with open(self.path + ".failures", encoding="utf-8") as f:
            self.assertIn("silent", f.read())

    def test_a_wrong_end_of_the_emulator_is_told(self):
        fates = (["perl", "gzip", "cc1", machine.Failure("status 1", "", "cc1")],)
        self.assertEqual(self.outcome(*fates)["cc1"], ["failed"])

    def test_a_guest_that_does_not_boot_is_given_up(self):
        fates = [[machine.Failure("no boot", "", "boot")]] * 3
        self.assertEqual(self.outcome(*fates), {n: ["failed"] for n in ("perl", "gzip", "cc1")})


class TestPhone(unittest.TestCase):
    def test_disks_that_the_image_lacks_are_made(self):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "system.img").write_bytes(b"system".ljust(4096, b"\0"))
            guest = types.SimpleNamespace(disks={"system": folder / "system.img"}, state=None)
            disks = phone.prepare_disks(guest, folder / "work")
            self.assertEqual(sorted(disks), ["cache", "system", "userdata"])
            self.assertEqual(disks["system"].read_bytes(), (folder / "system.img").read_bytes())
            with open(disks["userdata"], "rb") as disk:
                self.assertEqual(disk.read(1082)[1080:], b"\x53\xef", "no ext4 file system")


if __name__ == "__main__":
    unittest.main()
