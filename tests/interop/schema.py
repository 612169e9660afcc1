"""The JSON Schema of experiments, by the jsonschema package: it takes what signet takes, and refuses what signet refuses."""
import copy
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import jsonschema
import yaml

SIGNET = os.environ["SIGNET"]
CONFIGS = pathlib.Path(__file__).parent.parent.parent / "configs"

VALID = {
    "version": 1,
    "data": {"source": {"kind": "generated"}, "augment": [{"kind": "shift", "max_px": 2}], "split": {"kind": "stratified"}},
    "model": {"kind": "cnn", "blocks": [{"filters": 8}], "hidden": [16]},
    "train": {"optimizer": {"kind": "sgd", "lr": 0.1}, "schedule": {"kind": "cosine"}, "early_stopping": {"patience": 3}},
}
LAYERS = {"kind": "layers", "layers": [{"kind": "residual", "body": [{"kind": "conv2d", "filters": 1}]}, {"kind": "flatten"}, {"kind": "linear"}]}

# Key and value that make a valid experiment wrong.
BROKEN = [
    ("version", 2),
    ("sede", 3),
    ("seed", -1),
    ("seed", "many"),
    ("name", 7),
    ("data.source.kind", "generate"),
    ("data.source.root", "images"),
    ("data.source.pictures", 0),
    ("data.order", "random"),
    ("data.image.height", 5000),
    ("data.image.channels", "grey"),
    ("data.augment.0.kind", "shiftt"),
    ("data.augment.0.max_px", -1),
    ("data.augment.0.max_degrees", 3),
    ("data.split.val", 1.0),
    ("data.split.folds", 5),
    ("data.normalize", "none"),
    ("model.kind", "cnnn"),
    ("model.hidden_size", 3),
    ("model.hidden.0", 0),
    ("model.blocks.0.kernel", 1.5),
    ("model.blocks.0.padding", "some"),
    ("model.dropout", 1.0),
    ("model.init", {"weights": {"kind": "normal", "std": -1}}),
    ("train.epochs", 0),
    ("train.epoch", 3),
    ("run.timeout", 0),
    ("train.precision", "f16"),
    ("train.clip_grad_norm", 0),
    ("train.optimizer.lr", 0),
    ("train.optimizer.momentum", "fast"),
    ("train.optimizer.beta1", 0.5),
    ("train.schedule.gamma", 0.5),
    ("train.early_stopping.metric", "val.accurcy"),
    ("checkpoint.keep_last", 0),
    ("checkpoint.mode", "most"),
    ("log.csv", 3),
    ("export.formats", ["pt"]),
    ("run.if_exists", "maybe"),
]


def put(experiment, key, value):
    *steps, last = [int(step) if step.isdigit() else step for step in key.split(".")]
    for step in steps:
        experiment = experiment[step] if isinstance(step, int) else experiment.setdefault(step, {})
    experiment[last] = value


def leaves(error):
    """The errors within an error that say what is wrong."""
    return [leaf for inner in error.context for leaf in leaves(inner)] if error.context else [error]


class Schema(unittest.TestCase):
    def setUp(self):
        text = subprocess.run([SIGNET, "config", "schema"], capture_output=True, text=True, check=True).stdout
        schema = json.loads(text)
        jsonschema.Draft202012Validator.check_schema(schema)
        self.validator = jsonschema.Draft202012Validator(schema)

    def test_every_shipped_file_is_valid_and_names_the_schema_for_editors(self):
        files = list(CONFIGS.rglob("*.yaml"))
        self.assertEqual(len(files), 19)
        for file in files:
            text = file.read_text()
            self.validator.validate(yaml.safe_load(text))
            first, named = text.splitlines()[0].split("$schema=")
            self.assertEqual(first, "# yaml-language-server: ")
            self.assertTrue((file.parent / named).samefile(CONFIGS / "schema.json"), file)

    def test_what_signet_resolves_an_experiment_to_is_valid(self):
        for file in CONFIGS.rglob("*.yaml"):
            if file.parent.name != "data":
                shown = subprocess.run([SIGNET, "config", "show", file], capture_output=True, text=True, check=True).stdout
                self.validator.validate(yaml.safe_load(shown))

    def test_what_the_schema_refuses_signet_refuses_for_the_same_key(self):
        self.validator.validate(VALID)
        self.validator.validate(VALID | {"model": LAYERS})
        cases = [(VALID, *case) for case in BROKEN]
        layers = VALID | {"model": LAYERS}
        cases += [(layers, "model.layers.0.body.0.filters", 0), (layers, "model.layers.1.size", 2), (layers, "model.layers.0.bdy", [])]
        with tempfile.TemporaryDirectory() as folder:
            for valid, key, value in cases:
                with self.subTest(key=key, value=value):
                    broken = copy.deepcopy(valid)
                    put(broken, key, value)
                    errors = [leaf for error in self.validator.iter_errors(broken) for leaf in leaves(error)]
                    path = [int(step) if step.isdigit() else step for step in key.split(".")]
                    at_key = [leaf for leaf in errors if list(leaf.absolute_path)[: len(path)] == path]
                    unknown = [leaf for leaf in errors if list(leaf.absolute_path) == path[:-1] and f"'{path[-1]}'" in leaf.message]
                    self.assertTrue(at_key or unknown, errors)
                    file = pathlib.Path(folder) / "broken.yaml"
                    file.write_text(yaml.safe_dump(broken))
                    said = subprocess.run([SIGNET, "config", "check", file], capture_output=True, text=True)
                    self.assertEqual(said.returncode, 2, said.stderr)
                    self.assertIn(f": {key}", said.stderr)


if __name__ == "__main__":
    unittest.main()
