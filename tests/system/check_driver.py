#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The judge is judged: boot.py must accept a healthy log and reject each way a boot can go wrong."""

import argparse
import tempfile
import unittest
from pathlib import Path

import boot
import programs
import rotation
import soak

HEALTHY = """[    0.000000] Booting Linux on physical CPU 0x0
[    1.280000] hw-breakpoint: found 5 (+1 reserved) breakpoint and 4 watchpoint registers.
UMBRA: user space reached
UMBRA: cpus=4 memtotal_kb=501000
UMBRA: powering off
[    3.000000] reboot: Power down
"""
STEPS = "".join(f"UMBRA: step {step} ok (1 s)\n" for step in boot.STEPS) + "UMBRA: verdict PASS\n"


class Verdict(unittest.TestCase):
    cell = boot.Cell("initramfs", "armmp", 4, "spt")
    disk_cell = boot.Cell("disk", "armmp", 4, "spt", 512)

    def accepts(self, cell, status, text):
        self.assertEqual(boot.verdict(cell, status, text), [])

    def rejects(self, cell, status, text, why):
        self.assertIn(why, " ".join(boot.verdict(cell, status, text)))

    def test_healthy(self):
        self.accepts(self.cell, 0, HEALTHY)
        self.accepts(self.disk_cell, 0, STEPS + HEALTHY)

    def test_status(self):
        self.rejects(self.cell, 1, HEALTHY, "exit status 1")
        self.rejects(self.cell, -11, HEALTHY, "exit status -11")
        self.rejects(self.cell, None, HEALTHY, "time limit")

    def test_counts(self):
        self.rejects(self.cell, 0, HEALTHY.replace("cpus=4", "cpus=3"), "3 CPUs")
        self.rejects(self.cell, 0, HEALTHY.replace("=501000", "=250000"), "250000 kB")
        self.rejects(self.cell, 0, HEALTHY.replace("UMBRA: cpus", "cpus"), "no count")

    def test_missing_markers(self):
        self.rejects(self.cell, 0, HEALTHY.replace("user space", ""), "was not reached")
        self.rejects(self.cell, 0, HEALTHY.replace("Power down", ""), "no clean power off")
        self.rejects(self.disk_cell, 0, HEALTHY, "no verdict")
        for step in boot.STEPS:
            broken = STEPS.replace(f"step {step} ok", f"step {step} FAILED")
            self.rejects(self.disk_cell, 0, broken + HEALTHY, f"step {step} is not ok")

    def test_cries(self):
        for cry in ("Internal error: Oops: 17 [#1] SMP ARM", "BUG: scheduling while atomic",
                    "rcu: INFO: rcu_sched self-detected stall on CPU",
                    "Unable to handle kernel NULL pointer dereference at virtual address 0",
                    "Kernel panic - not syncing", "EXT4-fs error (device vda)",
                    "blk_update_request: I/O error, dev vda", "sh[1]: undefined instruction: pc=0"):
            self.rejects(self.cell, 0, f"[    2.0] {cry}\n" + HEALTHY, "log: ")


class Stats(unittest.TestCase):
    def judge(self, mmu, text):
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "stats.json"
            path.write_text(text)
            return boot.check_stats(boot.Cell("initramfs", "armmp", 1, mmu), path)

    def test_mode_at_work(self):
        self.assertEqual(self.judge("spt", '{"total": {"spt_fills": 7}}'), [])
        self.assertEqual(self.judge("soft", '{"total": {"spt_fills": 0}}'), [])
        self.assertTrue(self.judge("spt", '{"total": {"spt_fills": 0}}'))
        self.assertTrue(self.judge("soft", '{"total": {"spt_fills": 1}}'))
        self.assertTrue(self.judge("spt", "{"))


class Soak(unittest.TestCase):
    cell = ("armmp", "spt", 2, 200, "vm")
    text = "".join(f"UMBRA: round {i} ok\n" for i in range(1, soak.ROUNDS + 1)) + HEALTHY
    flat = [(600, 60000), (700, 61000), (650, 62000), (660, 62000), (700, 62500), (640, 62500)]

    def judge(self, status=0, text=text, samples=tuple(flat)):
        return " ".join(soak.verdict(self.cell, status, text, list(samples)))

    def test_flat(self):
        self.assertEqual(self.judge(), "")

    def test_growth(self):
        leak = [(600, 60000 + i * 4000) for i in range(6)]
        self.assertIn("memory grows", self.judge(samples=leak))
        maps = [(600 + i * 900, 60000) for i in range(6)]
        self.assertIn("mappings grow", self.judge(samples=maps))
        self.assertIn("with a budget of 200", self.judge(samples=[(1000, 60000)] * 6))
        self.assertIn("no round was sampled", self.judge(samples=[]))

    def test_failures(self):
        self.assertIn("exit status 1", self.judge(status=1))
        self.assertIn("time limit", self.judge(status=None))
        self.assertIn("5 of 6 rounds", self.judge(text=self.text.replace("round 3 ok", "round 3 FAILED")))
        self.assertIn("log: ", self.judge(text="Internal error: Oops: 17\n" + self.text))

    def test_cells_and_log(self):
        cells = list(soak.all_cells())
        self.assertEqual(len(cells), len(set(cells)))
        self.assertTrue(all(not cell[3] for cell in cells if cell[1] == "soft"))
        with tempfile.TemporaryDirectory() as scratch:
            log = Path(scratch) / "log"
            seed, _ = rotation.start_log(log, 7)
            rotation.append(log, {"cell": self.cell, "seed": 1, "why": []})
            log.write_text(log.read_text() + '{"cell": ["cut off')
            self.assertEqual(rotation.start_log(log, 9)[0], seed)
            rotation.append(log, {"cell": self.cell, "seed": 2, "why": []})
            self.assertEqual([record["seed"] for record in rotation.read_log(log)[1]], [1, 2])


class Rotation(unittest.TestCase):
    cells = [(a, b, c) for a in "abcd" for b in range(3) for c in ("x", "y", "z")]

    def test_every_pair_long_before_every_cell(self):
        turn, met = rotation.Rotation(self.cells, 5, []), []
        while len({pair for cell in met for pair in turn.pairs_of(cell)}) < 4 * 3 + 4 * 3 + 3 * 3:
            met.append(turn.next())
            turn.count(met[-1])
        self.assertLess(len(met), 18)

    def test_goes_on_where_it_was(self):
        whole, log = rotation.Rotation(self.cells, 5, []), []
        for _ in range(50):
            cell = rotation.Rotation(self.cells, 5, log).next()
            self.assertEqual(cell, whole.next())
            whole.count(cell)
            log.append({"cell": list(cell)})
        self.assertEqual(set(whole.counts), set(self.cells))

    def run_until(self, stop, fails):
        ran = []

        def run_cell(cell, _, number, times):
            ran.append((number, times))
            return {"cell": cell, "why": ["wrong"] if number == fails else [], "seconds": 0}
        with tempfile.TemporaryDirectory() as scratch:
            args = argparse.Namespace(log=Path(scratch) / "log", seed=3, minutes=0.002)
            failed = rotation.run(args, self.cells[:2], run_cell, lambda record: None, stop)
            self.assertEqual(len(rotation.read_log(args.log)[1]), len(ran))
        return failed, ran

    def test_ends_at_the_first_failure(self):
        self.assertEqual(self.run_until(True, 2), (1, [(0, 0), (1, 0), (2, 1)]))


class Programs(unittest.TestCase):
    text = "UMBRA: step a ok\nUMBRA: steps done\n" + HEALTHY
    want = {"a.s": b"mov r0, #1", "b": b""}

    def judge(self, status=0, text=text, got=None):
        return " ".join(programs.verdict(status, text, self.want if got is None else got, self.want))

    def test_right(self):
        self.assertEqual(self.judge(), "")

    def test_wrong_output(self):
        self.assertIn("output a.s differs", self.judge(got={**self.want, "a.s": b"mov r0, #2"}))
        self.assertIn("no output b", self.judge(got={"a.s": self.want["a.s"]}))
        self.assertIn("output c differs", self.judge(got={**self.want, "c": b""}))

    def test_wrong_end(self):
        self.assertIn("exit status 1", self.judge(status=1))
        self.assertIn("time limit", self.judge(status=None))
        self.assertIn("no step", self.judge(text=self.text.replace("step a ok", "")))
        self.assertIn("no 'UMBRA: steps done'", self.judge(text=self.text.replace("steps done", "")))
        self.assertIn("no 'reboot", self.judge(text=self.text.replace("Power down", "")))
        self.assertIn("log: UMBRA: step b FAILED", self.judge(text="UMBRA: step b FAILED\n" + self.text))

    def test_results_come_back(self):
        with tempfile.TemporaryDirectory() as scratch:
            disk, out = programs.write_results(Path(scratch) / "disk"), Path(scratch) / "out"
            self.assertEqual(programs.read_results(disk, out), {})
            (out / "x").write_bytes(b"7")
            programs.write_archive(disk, out)
            self.assertEqual(programs.read_results(disk, Path(scratch) / "back"), {"x": b"7"})


class Selections(unittest.TestCase):
    def test_pairwise_covers_pairs(self):
        cells = [c for c in boot.pairwise() if c.payload == "initramfs"]
        self.assertEqual({(c.flavour, c.smp) for c in cells},
                         {(f, s) for f in boot.FLAVOURS for s in boot.SMPS})
        self.assertEqual({(c.flavour, c.mmu) for c in cells},
                         {(f, m) for f in boot.FLAVOURS for m in boot.MODES})
        self.assertEqual({(c.smp, c.mmu) for c in cells},
                         {(s, m) for s in boot.SMPS for m in boot.MODES})

    def test_matrix_is_whole(self):
        self.assertEqual(len({str(c) for c in boot.matrix()}), 2 * 2 * 4 * 5)


if __name__ == "__main__":
    unittest.main()
