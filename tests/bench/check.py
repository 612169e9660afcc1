"""Tests of the benchmark itself: its figures, its table in the README, and that PyTorch does the work that signet does.

Part of `scripts/test --interop`, which sets SIGNET (the binary).
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from PIL import Image

import results
import machine
import measure
import processes
import worker

SIGNET = os.environ["SIGNET"]

# As the shipped experiments, without what draws random numbers at every step.
WHOLE = """version: 1
seed: 5
threads: 1
data:
  source: {{kind: class_folders, root: {root}}}
  classes: ["0", "1"]
  split: {{kind: sklearn, test: 0.2, val: 0.2, random_state: 42}}
model: {{kind: cnn, blocks: [{{filters: 4, kernel: 5, pool: 4}}, {{filters: 8, pool: 4}}], hidden: [16], batch_norm: true}}
train: {{epochs: 5, batch_size: 16, clip_grad_norm: 1.0, schedule: {{kind: cosine, warmup_epochs: 2}}}}
"""


def row(**settings):
    own = results.Row("a step", "ms", signet=[2.0, 1.0, 4.0], **settings)
    own.tuned = {"1 thread": [8.0, 3.0, 4.0], "2 threads": [9.0, 9.0, 9.0]}
    return own


class Figures(unittest.TestCase):
    def test_the_better_thread_count_counts_and_ratios_are_those_of_pairs(self):
        self.assertEqual(row().better(), ("1 thread", [8.0, 3.0, 4.0]))
        self.assertEqual(results.ratio(row().ratios(row().better()[1])), "3.00 (1.00 to 4.00)")

    def test_a_target_is_met_by_the_median_and_by_nothing_less(self):
        for settings, met in [
            ({}, None), ({"target": 3.0}, True), ({"target": 3.1}, False), ({"at_most": 2.0}, True),
            ({"at_most": 1.9}, False), ({"target": 3.0, "at_most": 1.9}, False),
        ]:
            self.assertIs(row(**settings).met(), met, settings)
        self.assertIn("| 3: met |", results.table([row(target=3.0)]))
        self.assertIn("| 3.1: **not met** |", results.table([row(target=3.1)]))

    def test_columns_that_no_row_fills_are_left_out(self):
        head, _, first = results.table([row()]).splitlines()
        self.assertEqual(head, "| measured | signet | PyTorch | PyTorch / signet |")
        self.assertEqual(first, "| a step | 2 ms | 4 ms, 1 thread | 3.00 (1.00 to 4.00) |")
        half = row(limit=1.0)
        self.assertTrue(results.table([half]).endswith("| 50 % |"))

    def test_the_table_replaces_what_stands_between_the_markers_and_nothing_else(self):
        page = "before\n<!-- bench -->\nold\nrows\n<!-- /bench -->\nafter\n"
        once = results.between_markers(page, "new")
        self.assertEqual(once, "before\n<!-- bench -->\nnew\n<!-- /bench -->\nafter\n")
        self.assertEqual(results.between_markers(once, "new"), once)
        for broken in ["no markers", "<!-- /bench -->\n<!-- bench -->", page + page]:
            with self.assertRaises(ValueError):
                results.between_markers(broken, "new")

    def test_the_readme_has_the_markers(self):
        readme = pathlib.Path(__file__).parent.parent.parent / "README.md"
        self.assertIn("\nnew\n", results.between_markers(readme.read_text(), "new"))

    def test_other_losses_are_other_work(self):
        same = {"signet": [0.7, 0.2], "tuned, 1": [0.7, 0.2001]}
        self.assertIn("differ by up to 0.01 %", measure.same_work(same, 0.01))
        for other in [[0.7, 0.22], [0.7]]:
            with self.assertRaisesRegex(processes.Failure, "did not do the same work"):
                measure.same_work({"signet": [0.7, 0.2], "tuned, 1": other}, 0.01)

    def test_a_busy_machine_is_told(self):
        self.addCleanup(setattr, os, "getloadavg", os.getloadavg)
        for share, told in [(0.4, 0), (0.6, 1)]:
            os.getloadavg = lambda load=share * machine.cores(): (load, 0, 0)
            self.assertEqual(len(machine.warnings()), told)


class SameWork(unittest.TestCase):
    def test_pytorch_has_signets_losses_on_every_kind_of_network_in_every_way(self):
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder)
            call([SIGNET, "data", "generate", home / "Dataset", "--images", 192, "--side", 64])
            for kind, model in measure.MODELS.items():
                config, run = home / f"{kind}.yaml", home / kind
                settings = {"root": home / "Dataset", "model": model, "epochs": 3, "batch": 32, "precision": "f32", "every": "1 epoch"}
                config.write_text(measure.STEPS.format(**settings))
                call([SIGNET, "train", config, "--run", run, "-q", "--threads", 1])
                if kind == "ann":
                    call([SIGNET, "data", "npy", config, home / "arrays"])
                losses = {"signet": [record["train"]["loss"] for record in measure.lines(run / "metrics.jsonl")]}
                for recipe in ["tuned", "usual"]:
                    losses[recipe] = worker.steps(run, home / "arrays", recipe, 1, 3)["losses"]
                measure.same_work(losses, 1e-4)

    def test_a_whole_run_in_python_has_signets_losses_over_schedule_split_and_normalisation(self):
        with tempfile.TemporaryDirectory() as folder:
            home = pathlib.Path(folder)
            config, run = home / "whole.yaml", home / "run"
            call([SIGNET, "data", "generate", home / "Dataset", "--images", 60, "--side", 64])
            for file in home.glob("Dataset/*/*.png"):  # grey, so that two ways to make grey of colours are not in it
                Image.open(file).convert("L").save(file)
            config.write_text(WHOLE.format(root=home / "Dataset"))
            call([SIGNET, "train", config, "--run", run, "-q"])
            script = pathlib.Path(measure.__file__).with_name("whole_run.py")
            told = call([sys.executable, "-W", "ignore", script, run, home / "Dataset", home / "out", 5, 5, 1])
            theirs = [json.loads(line) for line in told.splitlines()]
            own = measure.lines(run / "metrics.jsonl")
            self.assertEqual(len(own), 5)
            # A bias before batch norm has no gradient but rounding, of which Adam makes a step. That changes nothing in
            # training, and in evaluation as much as the running mean comes behind.
            for part, allowed in [("train", 1e-5), ("val", 1e-3)]:
                losses = {who: [record[part]["loss"] for record in found] for who, found in [("signet", own), ("PyTorch", theirs)]}
                measure.same_work(losses, allowed)
            self.assertTrue((home / "out" / "model.pt").is_file())


def call(command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


if __name__ == "__main__":
    unittest.main(verbosity=2)
