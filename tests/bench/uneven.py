"""What the settings for classes of different sizes do: all images of sign 0 and a tenth as many of sign 1, by cross-validation.

Run by `scripts/bench --uneven`; it needs scikit-learn, SIGNET (the binary) and SIGNET_DATA (the folder that holds Dataset/).
"""
import argparse
import csv
import io
import os
import pathlib
import subprocess
import tempfile

import numpy
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

SIGNET = os.environ["SIGNET"]
IMAGES = pathlib.Path(os.environ["SIGNET_DATA"]).resolve() / "Dataset"

EXPERIMENT = """version: 1
data:
  source: {kind: table, file: table.csv}
  image: {height: 32, width: 32}
model: {kind: cnn, blocks: [{filters: 8, pool: 2}, {filters: 16, pool: 2}], hidden: [32]}
train: {epochs: EPOCHS, batch_size: 16, optimizer: {kind: adamw, lr: 0.0005}}
log: {samples: none}
export: {on_finish: false}
threads: 1
"""

SETTINGS = {
    "plain": [],
    "class_weights: balanced": ["train.loss={kind: cross_entropy, class_weights: balanced}"],
    "sampling: balanced": ["train.sampling=balanced"],
    "focal loss, gamma 2": ["train.loss={kind: focal}"],
    "plain, the best epoch by val.macro_f1": ["checkpoint.metric=val.macro_f1"],
    "sampling: balanced, the best epoch by val.balanced_accuracy": ["train.sampling=balanced", "checkpoint.metric=val.balanced_accuracy"],
}


def predictions(home, trial):
    answer = subprocess.run([SIGNET, "eval", trial, "--csv", "-"], cwd=home, check=True, capture_output=True, text=True)
    return [(row["label"], row["predicted"]) for row in csv.DictReader(io.StringIO(answer.stdout))]


def study(home, number, keys, repeats):
    """Of each repeat, over the test parts of its folds together: accuracy, balanced accuracy, macro F1, recall of sign 1."""
    arguments = ["cv", "own.yaml", "--folds", "5", "--repeats", str(repeats), "-j", "2", "--run", f"study-{number}", "-q"]
    for key in keys:
        arguments += ["-s", key]
    subprocess.run([SIGNET, *arguments], cwd=home, check=True, stdout=subprocess.DEVNULL)
    pooled = {}
    for split in sorted(home.glob(f"study-{number}/*/split.json")):
        repeat = split.parent.name.split("-fold")[0]
        pooled.setdefault(repeat, []).extend(predictions(home, split.parent))
    rows = []
    for pairs in pooled.values():
        labels, found = zip(*pairs)
        right = numpy.mean([label == other for label, other in pairs])
        rows.append([right, balanced_accuracy_score(labels, found), f1_score(labels, found, average="macro"), recall_score(labels, found, pos_label="1")])
    return 100 * numpy.array(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        table = ["path,label"]
        for label, count in [("0", 205), ("1", 20)]:
            table += [f"{file},{label}" for file in sorted((IMAGES / label).iterdir())[:count]]
        (home / "table.csv").write_text("\n".join(table) + "\n")
        (home / "own.yaml").write_text(EXPERIMENT.replace("EPOCHS", str(arguments.epochs)))
        print(f"{arguments.epochs} epochs, {arguments.repeats} repeats of 5 folds, mean and sd over the repeats\n")
        print("| settings | accuracy % | balanced accuracy % | macro F1 % | recall of the rare class % |")
        print("|---|---:|---:|---:|---:|")
        for number, (name, keys) in enumerate(SETTINGS.items()):
            found = study(home, number, keys, arguments.repeats)
            cells = [f"{mean:.1f} ({sd:.1f})" for mean, sd in zip(found.mean(0), found.std(0, ddof=1))]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
