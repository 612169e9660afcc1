"""What TensorBoard makes of a run: its own readers, the code of its plugins, and its server.

Part of check.py; alone it needs tensorboard, numpy, Pillow, safetensors, PyYAML and SIGNET (the binary).
"""
import io
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

import numpy
import safetensors.numpy
import yaml
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.compat.proto import event_pb2
from tensorboard.plugins.hparams import api_pb2, metadata

SIGNET = os.environ["SIGNET"]
EXPERIMENT = """
version: 1
threads: 1
device: cpu
data: {source: {kind: class_folders, root: data}, image: {height: 16, width: 16}}
model: {kind: cnn, blocks: [{filters: 4, pool: 2}], hidden: [8], batch_norm: true, dropout: 0.2}
train: {epochs: 4, batch_size: 8}
checkpoint: {every: 1 steps}
log: {tensorboard: true}
"""
EVERYTHING = {"scalars": 0, "images": 0, "histograms": 0, "tensors": 0}  # 0 keeps all events of a tag


def flat(value, path=""):
    """The settings in a YAML document, by their dotted keys."""
    if not isinstance(value, dict):
        return {path: value}
    found = {}
    for key, below in value.items():
        found |= flat(below, f"{path}.{key}" if path else key)
    return found


class Events(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.home = pathlib.Path(cls.folder.name)
        (cls.home / "own.yaml").write_text(EXPERIMENT)
        cls.signet("data generate data --images 40 --side 16")
        cls.signet("train own.yaml --run straight")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def signet(cls, call):
        subprocess.run([SIGNET, *call.split(), "-q"], cwd=cls.home, check=True, capture_output=True)

    def read(self, run):
        found = EventAccumulator(str(self.home / run / "tensorboard"), size_guidance=EVERYTHING)
        return found.Reload()

    def events(self, run):
        """All events of `run`, in the order of TensorBoard, without what a clock says."""
        found = []
        for file in sorted((self.home / run / "tensorboard").iterdir()):
            for event in LegacyEventFileLoader(str(file)).Load():
                event.wall_time = 0
                for value in event.summary.value:
                    if value.metadata.plugin_data.plugin_name == "hparams":
                        value.metadata.plugin_data.content = b""
                found.append(event)
        return found

    def assert_no_step_twice(self, run):
        found, counted = self.read(run), 0
        tags = found.Tags()
        for kind, events in [("scalars", found.Scalars), ("images", found.Images), ("histograms", found.Histograms)]:
            for tag in tags[kind]:
                steps = [event.step for event in events(tag)]
                self.assertEqual(steps, sorted(set(steps)), f"{run}: {tag}")
                counted += len(steps)
        for tag in tags["tensors"]:
            self.assertEqual(len(found.Tensors(tag)), 1, f"{run}: {tag}")
        self.assertGreater(counted, 20)

    def test_scalars_are_the_metrics_of_each_epoch_at_its_optimiser_step(self):
        found = self.read("straight")
        expected = {}
        for record in map(json.loads, (self.home / "straight" / "metrics.jsonl").read_text().splitlines()):
            scalars = {f"{part}/{key}": value for part in ["train", "val"] for key, value in record[part].items()}
            for tag, value in {**scalars, "lr": record["lr"]}.items():
                expected.setdefault(tag, []).append((record["step"], float(numpy.float32(value))))
        self.assertEqual({len(values) for values in expected.values()}, {4})
        scalars = {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
        self.assertEqual(scalars, expected)

    def test_histograms_are_those_of_the_weights_in_the_checkpoint(self):
        found = self.read("straight")
        last = json.loads((self.home / "straight" / "last.json").read_text())
        weights = safetensors.numpy.load_file(self.home / "straight" / last["checkpoint"])
        trained = [name.removeprefix("optimizer.first.") for name in weights if name.startswith("optimizer.first.")]
        self.assertEqual(len(trained), 10)
        tags = {f"{kind}/{name}" for kind in ["weights", "gradients"] for name in trained}
        self.assertEqual(set(found.Tags()["histograms"]), tags)
        for name in trained:
            events = found.Histograms(f"weights/{name}")
            self.assertEqual(len(events), 4)
            own, numbers = events[-1].histogram_value, weights[name].astype(float).ravel()
            self.assertEqual((own.min, own.max, own.num), (numbers.min(), numbers.max(), numbers.size))
            self.assertAlmostEqual(own.sum, numbers.sum(), places=9)
            self.assertAlmostEqual(own.sum_squares, (numbers**2).sum(), places=9)
            expected, edges = numpy.histogram(numbers, bins=30)
            numpy.testing.assert_allclose(own.bucket_limit, edges[1:], atol=1e-12)
            # A number on an edge may be counted on the other side of it.
            self.assertLessEqual(numpy.abs(own.bucket - expected).sum(), 2, name)
            gradients = found.Histograms(f"gradients/{name}")
            self.assertEqual([event.step for event in gradients], [event.step for event in events])
            for event in gradients:
                self.assertEqual(event.histogram_value.num, numbers.size)
                self.assertNotEqual(event.histogram_value.sum_squares, 0)

    def test_images_are_what_the_network_meets_and_what_it_confuses(self):
        found = self.read("straight")
        [event] = found.Images("train/images")
        grid = Image.open(io.BytesIO(event.encoded_image_string))
        self.assertEqual((event.step, event.width, event.height), (0, *grid.size))
        self.assertEqual(grid.size, (8 * 18 - 2, 18 * 1 - 2))  # a batch of eight, two pixels between them
        # Without augmentation these are images of the training part, as Pillow reads them.
        split = json.loads((self.home / "straight" / "split.json").read_text())
        train = {numpy.asarray(Image.open(self.home / "data" / name).convert("L")).tobytes() for name in split["train"]}
        grid = numpy.asarray(grid)
        self.assertTrue((grid == grid[:, :, :1]).all())
        shown = {grid[:, left : left + 16, 0].tobytes() for left in range(0, 8 * 18, 18)}
        self.assertEqual((len(shown), shown - train), (8, set()))

        confusion = found.Images("val/confusion")
        self.assertEqual([event.step for event in confusion], [event.step for event in found.Scalars("val/loss")])
        for event in confusion:
            image = Image.open(io.BytesIO(event.encoded_image_string))
            self.assertEqual((event.width, event.height), image.size)
            image.load()

    def test_settings_are_hyperparameters_and_text(self):
        self.signet("resume straight --from last --as branch -s train.optimizer.lr=0.002 --until 4")
        for run, lr in [("straight", 0.001), ("branch", 0.002)]:
            found = self.read(run)
            text = found.Tensors("config")[0].tensor_proto.string_val[0].decode()
            resolved = (self.home / run / "resolved.yaml").read_text()
            self.assertEqual("".join(line.removeprefix("    ") for line in text.splitlines(True)), resolved)
            content = found.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
            start = metadata.parse_session_start_info_plugin_data(content)
            hparams = {key: getattr(value, value.WhichOneof("kind")) for key, value in start.hparams.items()}
            plain = {key: value for key, value in flat(yaml.safe_load(resolved)).items() if isinstance(value, (str, int, float))}
            self.assertEqual(hparams, plain)
            self.assertEqual((hparams["train.optimizer.lr"], hparams["log.tensorboard"]), (lr, True))
            content = found.SummaryMetadata(metadata.SESSION_END_INFO_TAG).plugin_data.content
            end = metadata.parse_session_end_info_plugin_data(content)
            self.assertEqual(end.status, api_pb2.STATUS_SUCCESS)
            self.assertGreaterEqual(end.end_time_secs, start.start_time_secs)

    def test_a_run_that_was_killed_and_resumed_has_the_events_of_one_that_was_not(self):
        self.signet("train own.yaml --run whole -s train.epochs=40")
        chance, kills, call = random.Random(3), 0, "train own.yaml --run killed -s train.epochs=40 -q"
        for _ in range(8):
            log = self.home / "killed" / "metrics.jsonl"
            before = log.stat().st_mtime_ns if log.exists() else 0
            process = subprocess.Popen([SIGNET, *call.split()], cwd=self.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while process.poll() is None and not (log.exists() and log.stat().st_mtime_ns > before):
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.1))
            process.kill()
            kills += process.wait() == -9
            call = "resume killed -q"
        self.assertGreater(kills, 1, "every launch ended before it was killed")
        if not (self.home / "killed" / "tensorboard").exists():
            self.fail("no launch wrote events")
        self.assert_no_step_twice("killed")
        self.signet("resume killed")
        self.assertEqual(self.events("killed"), self.events("whole"))
        for run in ["killed", "whole"]:
            self.assert_no_step_twice(run)
            self.assertEqual(len(self.read(run).Scalars("val/loss")), 40)

    def test_no_step_is_there_twice_however_a_run_goes_on(self):
        straight = self.events("straight")
        self.signet("train own.yaml --run steps -s checkpoint.keep_last=99")
        self.signet("resume steps --from step-00000005.safetensors")
        self.assertEqual([e.summary for e in self.events("steps")][3:], [e.summary for e in straight][3:], "from an earlier step")
        self.signet("resume steps --from step-00000005.safetensors --as other -s train.optimizer.lr=0.01")
        self.signet("train own.yaml --run longer --until 2")
        self.signet("resume longer --epochs 6 --extend hold")
        self.signet("resume longer --epochs 7 --extend hold")
        self.signet("train own.yaml --run damaged --until 3")
        [log] = (self.home / "damaged" / "tensorboard").glob("*.signet")
        log.write_bytes(log.read_bytes()[:-9])
        self.signet("resume damaged")
        for run, epochs in [("straight", 4), ("steps", 4), ("other", 4), ("longer", 7), ("damaged", 3)]:
            self.assert_no_step_twice(run)
            self.assertEqual(len(self.read(run).Scalars("val/loss")), epochs, run)

    def test_every_event_is_one_that_tensorflow_knows_completely(self):
        for event in self.events("straight"):
            again = event_pb2.Event.FromString(event.SerializeToString())
            again.DiscardUnknownFields()
            self.assertEqual(again.SerializeToString(), event.SerializeToString())

    def test_the_server_shows_them_all_and_compares_runs(self):
        self.signet("train own.yaml --run shown/a -s train.optimizer.lr=0.01")
        self.signet("train own.yaml --run shown/b -s train.optimizer.lr=0.02")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        call = [sys.executable, "-m", "tensorboard.main", "--logdir", "shown", "--host", "127.0.0.1", "--port", str(port)]
        server = subprocess.Popen(call, cwd=self.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)

        def ask(path, body=None, **query):
            address = f"http://127.0.0.1:{port}/data/{path}?{urllib.parse.urlencode(query)}"
            request = urllib.request.Request(address, body and json.dumps(body).encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as answer:
                text = answer.read()
                return json.loads(text) if answer.headers.get_content_type() == "application/json" else text

        def groups():
            columns = [{"hparam": "train.optimizer.lr"}, {"metric": {"tag": "val/accuracy", "group": ""}}]
            columns = [{**column, "includeInResult": True} for column in columns]
            wanted = {"allowedStatuses": ["STATUS_SUCCESS"], "colParams": columns, "startIndex": 0, "sliceSize": 9}
            return ask("plugin/hparams/session_groups", {"experimentName": "", **wanted})["sessionGroups"]

        patience = time.monotonic() + 60
        while True:  # it reads files while it answers
            try:
                if len(ask("runs")) == len(groups()) == 2:
                    break
            except (urllib.error.URLError, ConnectionError):
                pass
            self.assertLess(time.monotonic(), patience, "the server does not show two runs")
            time.sleep(0.1)
        rates = {group["name"]: group["hparams"]["train.optimizer.lr"] for group in groups()}
        self.assertEqual(rates, {"a/tensorboard": 0.01, "b/tensorboard": 0.02})

        run = "a/tensorboard"
        records = [json.loads(line) for line in (self.home / "shown/a/metrics.jsonl").read_text().splitlines()]
        for group in groups():
            [metric] = [metric for metric in group["metricValues"] if metric["name"]["tag"] == "val/accuracy"]
            self.assertEqual(metric["trainingStep"], records[-1]["step"])
        scalars = ask("plugin/scalars/scalars", run=run, tag="val/accuracy")
        steps = [record["step"] for record in records]
        self.assertEqual([step for _, step, _ in scalars], steps)
        numpy.testing.assert_allclose([value for *_, value in scalars], [record["val"]["accuracy"] for record in records], rtol=1e-6)

        self.assertEqual(set(ask("plugin/images/tags")[run]), {"train/images", "val/confusion"})
        for tag, counted in [("train/images", 1), ("val/confusion", 4)]:
            shown = ask("plugin/images/images", run=run, tag=tag, sample=0)
            self.assertEqual(len(shown), counted)
            file = urllib.parse.parse_qs(shown[0]["query"])
            png = ask("plugin/images/individualImage", **{key: value for key, [value] in file.items()})
            Image.open(io.BytesIO(png)).verify()

        tags = ask("plugin/histograms/tags")[run]
        self.assertEqual(len(tags), 20)
        for tag in tags:
            shown = ask("plugin/histograms/histograms", run=run, tag=tag)
            self.assertEqual([step for _, step, _ in shown], steps)
        self.assertEqual(ask("plugin/text/tags")[run], ["config"])
        [text] = ask("plugin/text/text", run=run, tag="config")
        self.assertIn("<pre><code>version: 1\n", text["text"])
        self.assertIn("batch_norm: true", text["text"])


if __name__ == "__main__":
    unittest.main()
