"""Classes of different sizes: metrics and weights held against scikit-learn.

Part of check.py; alone it needs scikit-learn and SIGNET (the binary).
"""
import csv
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from sklearn.metrics import balanced_accuracy_score, f1_score

SIGNET = os.environ["SIGNET"]

EXPERIMENT = """version: 1
data:
  source: {kind: class_folders, root: data}
  image: {height: 16, width: 16}
  split: {kind: stratified, train: 0.5, val: 0.25, test: 0.25}
model: {kind: ann, hidden: [8]}
train: {epochs: 6, batch_size: 16, optimizer: {kind: sgd, lr: 0.02}, early_stopping: {metric: val.balanced_accuracy, patience: 6}}
checkpoint: {metric: val.macro_f1, keep_best: 6}
export: {on_finish: false}
"""


def signet(*arguments, cwd):
    answer = subprocess.run([SIGNET, *map(str, arguments)], capture_output=True, text=True, cwd=cwd)
    assert answer.returncode == 0, f"signet {arguments}: {answer.returncode}: {answer.stderr}"
    return answer.stdout + answer.stderr


class Imbalance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.home = pathlib.Path(cls.folder.name)
        signet("data", "generate", "data", "--digits", "0,1,2,3", "--images", 60, "--side", 24, cwd=cls.home)
        for digit, kept in [(1, 20), (2, 8)]:
            for file in sorted((cls.home / "data" / str(digit)).iterdir())[kept:]:
                file.unlink()
        (cls.home / "own.yaml").write_text(EXPERIMENT)
        signet("train", "own.yaml", "--run", "run", cwd=cls.home)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def check(self, found, labels, predicted, message):
        # Sums of at most 60 ratios in double precision.
        self.assertAlmostEqual(found["macro_f1"], f1_score(labels, predicted, average="macro"), delta=1e-12, msg=message)
        self.assertAlmostEqual(found["balanced_accuracy"], balanced_accuracy_score(labels, predicted), delta=1e-12, msg=message)

    def test_macro_f1_and_balanced_accuracy_of_each_epoch_are_those_of_scikit_learn(self):
        samples = [json.loads(line) for line in open(self.home / "run/samples.jsonl")]
        epochs = [json.loads(line) for line in open(self.home / "run/metrics.jsonl")]
        self.assertEqual(len(epochs), 6)
        for epoch in epochs:
            own = [sample for sample in samples if sample["epoch"] == epoch["epoch"] and sample["part"] == "val"]
            labels, predicted = [[sample[key] for sample in own] for key in ("label", "predicted")]
            self.check(epoch["val"], labels, predicted, f"epoch {epoch['epoch']}")
        values = {epoch["val"]["macro_f1"] for epoch in epochs}
        self.assertGreater(len(values), 2, "the metric tells epochs apart")
        table = list(csv.DictReader(open(self.home / "run/metrics.csv")))
        for row, epoch in zip(table, epochs):
            for name in ["loss", "accuracy", "macro_f1", "balanced_accuracy"]:
                self.assertEqual(float(row[f"val_{name}"]), epoch["val"][name])
        best = json.load(open(self.home / "run/checkpoints/best.json" if (self.home / "run/checkpoints/best.json").exists() else self.home / "run/best.json"))
        highest = max(epochs, key=lambda epoch: (epoch["val"]["macro_f1"], -epoch["val"]["loss"], -epoch["epoch"]))
        self.assertEqual(best["record"], highest, "the best epoch is the one with the highest macro F1")

    def test_eval_prints_what_scikit_learn_computes_of_its_predictions(self):
        for part in ["train", "val", "test", "all"]:
            said = signet("eval", "run", "--part", part, "--json", "e.json", "--csv", "e.csv", cwd=self.home)
            found = json.load(open(self.home / "e.json"))
            rows = list(csv.DictReader(open(self.home / "e.csv")))
            labels, predicted = [[row[key] for row in rows] for key in ("label", "predicted")]
            self.check(found, labels, predicted, part)
            line = f"balanced accuracy {100 * found['balanced_accuracy']:.2f} %, macro F1 {100 * found['macro_f1']:.2f} %"
            self.assertIn(line, said)
            for name in ["e.json", "e.csv"]:
                (self.home / name).unlink()

    def test_a_class_without_images_counts_as_scikit_learn_has_it(self):
        shutil.copytree(self.home / "data", self.home / "few")
        for file in (self.home / "few/2").iterdir():
            file.unlink()
        signet("eval", "run", "--data", "few", "--json", "f.json", "--csv", "f.csv", cwd=self.home)
        rows = list(csv.DictReader(open(self.home / "f.csv")))
        labels, predicted = [[row[key] for row in rows] for key in ("label", "predicted")]
        self.check(json.load(open(self.home / "f.json")), labels, predicted, "few")


if __name__ == "__main__":
    unittest.main()
