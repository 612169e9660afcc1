"""Exported models in the hands of their users: PyTorch in Python and C++, onnxruntime, safetensors. With them run the
tests of the programs in model cards, of other people's images and arrays, of YAML documents, of TensorBoard's event files, and of
runs on several processes by torchrun and mpirun.

Run by `scripts/test --interop`, which sets SIGNET (the binary) and LIBTORCH_HOME (the libtorch to compile against).
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import warnings

import numpy
import onnx
import onnxruntime
import safetensors.torch
import torch
from PIL import Image

import networks
from arrays import Arrays  # noqa: F401, whose tests run with these
from events import Events  # noqa: F401, whose tests run with these
from findings import Findings  # noqa: F401, whose tests run with these
from pages import Pages  # noqa: F401, whose tests run with these
from imbalance import Imbalance  # noqa: F401, whose tests run with these
from images import Images  # noqa: F401, whose tests run with these
from launchers import Launchers  # noqa: F401, whose tests run with these
from model_card import ModelCard  # noqa: F401, whose tests run with these
from scaled import Scaled  # noqa: F401, whose tests run with these
from schema import Schema  # noqa: F401, whose tests run with these
from shells import Completion  # noqa: F401, whose tests run with these
from yaml_documents import YamlDocuments  # noqa: F401, whose tests run with these

warnings.filterwarnings("ignore", category=DeprecationWarning)
SIGNET = os.environ["SIGNET"]
HERE = pathlib.Path(__file__).parent
BATCHES = [1, 7, 64]

# Each against a class of networks.py; signet must give it the same names and the same logits.
MODELS = {
    "ann": (networks.Ann, "{kind: ann, hidden: [12], activation: tanh, dropout: 0.2}"),
    "dnn": (networks.Dnn, "{kind: dnn, hidden: [12, 8], activation: silu, batch_norm: true}"),
    "cnn": (networks.Cnn, "{kind: cnn, blocks: [{filters: 4, kernel: 5}, {filters: 6, stride: 2, padding: valid}], hidden: [8], batch_norm: true, dropout: 0.3}"),
    "rnn": (networks.Rnn, "{kind: rnn, hidden_size: 6, num_layers: 2, dropout: 0.2}"),
    "rnn-relu": (networks.RnnRelu, "{kind: rnn, nonlinearity: relu, hidden_size: 6, bidirectional: true, activation: leaky_relu, hidden: [5]}"),
    "lstm": (networks.Lstm, "{kind: lstm, hidden_size: 6, num_layers: 2, bidirectional: true, sequence: columns, pooling: max, dropout: 0.2}"),
    "gru": (networks.Gru, "{kind: gru, hidden_size: 6, num_layers: 2, bidirectional: true, sequence: patches, patch_px: 4, pooling: mean}"),
    "residual": (networks.Residuals, "{kind: layers, layers: [{kind: conv2d, filters: 4, bias: false}, {kind: batch_norm}, {kind: activation}, {kind: residual, body: [{kind: conv2d, filters: 4, groups: 2, bias: false}, {kind: batch_norm}, {kind: activation}, {kind: dropout, p: 0.1}]}, {kind: residual, body: [{kind: conv2d, filters: 8, stride: 2, bias: false}, {kind: batch_norm}], shortcut: [{kind: avg_pool2d}, {kind: conv2d, filters: 8, kernel: 1}]}, {kind: residual, body: [{kind: conv2d, filters: 12, kernel: 1, stride: 2, groups: 4}], shortcut: [{kind: conv2d, filters: 12, kernel: 1, stride: 2, bias: false}, {kind: batch_norm}]}, {kind: global_avg_pool}, {kind: flatten}, {kind: linear}]}"),
}


def signet(*arguments, code=0, cwd=None):
    answer = subprocess.run([SIGNET, *map(str, arguments)], capture_output=True, text=True, cwd=cwd)
    assert answer.returncode == code, f"signet {arguments}: {answer.returncode}: {answer.stderr}"
    return answer.stdout + answer.stderr


class Interop(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.home = pathlib.Path(cls.folder.name)
        signet("data", "generate", "data", "--images", 40, "--side", 24, cwd=cls.home)
        for name, (_, model) in MODELS.items():
            (cls.home / "own.yaml").write_text(
                "version: 1\nname: small\nthreads: 1\ndevice: cpu\n"
                "data: {source: {kind: class_folders, root: data}, image: {height: 16, width: 16}}\n"
                f"model: {model}\ntrain: {{epochs: 2, batch_size: 8, optimizer: {{kind: adamw, lr: 0.01}}}}\n"
            )
            signet("train", "own.yaml", "--run", name, "--progress", "none", cwd=cls.home)
            signet("export", name, "--format", "torchscript,onnx,safetensors", cwd=cls.home)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def artefact(self, name, file):
        return self.home / name / "export" / file

    def script(self, name):
        return torch.jit.load(self.artefact(name, "model.pt"))

    def plain(self, name):
        """The network of networks.py with signet's weights, behind signet's normalisation."""
        network = MODELS[name][0]()
        weights = safetensors.torch.load_file(self.artefact(name, "model.safetensors"))
        network.load_state_dict(weights, strict=True)
        card = json.loads(self.artefact(name, "model.json").read_text())
        mean, std = (torch.tensor(card["normalization"][key]).view(1, -1, 1, 1) for key in ["mean", "std"])
        return network.eval(), lambda x: network((x - mean) / std)

    def images(self, count):
        return torch.rand(count, 1, 16, 16, generator=torch.Generator().manual_seed(count))

    def report(self, name, client, differences, tolerance):
        shown = "  ".join(f"batch {batch}: {difference:.1e}" for batch, difference in zip(BATCHES, differences))
        print(f"{name:9} {client:18} {shown}", file=sys.stderr)
        self.assertLessEqual(max(differences), tolerance, f"{name} in {client}")

    def test_a_plain_pytorch_network_takes_the_weights_and_gives_the_same_logits(self):
        for name in MODELS:
            script, (_, plain) = self.script(name), self.plain(name)
            with torch.no_grad():
                differences = [(script(x) - plain(x)).abs().max().item() for x in map(self.images, BATCHES)]
            # The same kernels; patches and last states are cut out another way here, which may move a last digit.
            self.report(name, "Python", differences, 1e-6)

    def test_the_state_dict_has_the_names_and_shapes_of_pytorch(self):
        for name, (network, _) in MODELS.items():
            script = self.script(name)
            shapes = {key: tuple(value.shape) for key, value in script.state_dict().items()}
            self.assertEqual(shapes, {key: tuple(value.shape) for key, value in network().state_dict().items()}, name)
            trained = {key for key, value in script.named_parameters() if value.requires_grad}
            self.assertEqual(trained, {key for key, _ in network().named_parameters()}, name)
            self.assertFalse(script.training)

    def test_a_script_trains_on_in_python_as_the_plain_network_does(self):
        for name in MODELS:
            script, (network, plain) = self.script(name), self.plain(name)
            x, y = self.images(16), torch.arange(16) % 2
            losses = []
            for model, call in [(script, script), (network, plain)]:
                model.train()
                optimizer = torch.optim.SGD(model.parameters(), 0.05)
                torch.manual_seed(0)
                for _ in range(4):
                    optimizer.zero_grad()
                    loss = torch.nn.functional.cross_entropy(call(x), y)
                    loss.backward()
                    optimizer.step()
                losses.append(loss.item())
            # Dropout draws the same numbers in the same order; gradients may be summed in another.
            self.assertAlmostEqual(losses[0], losses[1], delta=1e-4, msg=name)
            again = self.home / "again.pt"
            torch.jit.save(script.eval(), again)
            with torch.no_grad():
                self.assertTrue(torch.equal(torch.jit.load(again)(x), script(x)), name)

    def test_freezing_changes_next_to_nothing(self):
        for name in MODELS:
            script, x = self.script(name), self.images(7)
            with torch.no_grad():
                difference = (torch.jit.freeze(script)(x) - script(x)).abs().max().item()
            self.assertLess(difference, 1e-5, name)  # it folds batch norm into convolutions

    def test_onnx_passes_the_checker_and_onnxruntime_gives_the_same_logits(self):
        for name in MODELS:
            file = str(self.artefact(name, "model.onnx"))
            model = onnx.load(file)
            onnx.checker.check_model(model, full_check=True)
            self.assertEqual(model.graph.input[0].type.tensor_type.shape.dim[0].dim_param, "batch")
            session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
            script = self.script(name)
            differences = []
            for x in map(self.images, BATCHES):
                [logits] = session.run(None, {"input": x.numpy()})
                with torch.no_grad():
                    differences.append(float(numpy.abs(logits - script(x).numpy()).max()))
            self.report(name, "onnxruntime", differences, 1e-4)

    def test_a_cpp_program_gives_the_same_logits(self):
        libtorch, program = pathlib.Path(os.environ["LIBTORCH_HOME"]), self.home / "load"
        include = [f"-I{libtorch}/include", f"-I{libtorch}/include/torch/csrc/api/include"]
        link = [f"-L{libtorch}/lib", f"-Wl,-rpath,{libtorch}/lib", "-ltorch_cpu", "-lc10"]
        subprocess.run(["c++", "-std=c++17", "-w", *include, str(HERE / "load.cpp"), "-o", program, *link], check=True)
        for name in MODELS:
            script, differences = self.script(name), []
            for x in map(self.images, BATCHES):
                raw = self.home / "images.bin"
                raw.write_bytes(x.numpy().tobytes())
                call = [program, self.artefact(name, "model.pt"), raw, *map(str, x.shape)]
                answer = subprocess.run(call, capture_output=True, text=True, check=True)
                logits = torch.tensor([float(line) for line in answer.stdout.split()]).view(len(x), -1)
                with torch.no_grad():
                    differences.append((logits - script(x)).abs().max().item())
            # Nine digits bring a float32 back exactly.
            self.report(name, "C++", differences, 1e-6)

    def test_verify_finds_out_what_was_tampered_with(self):
        card = {"signet.json": self.artefact("lstm", "model.json").read_text()}
        script = self.script("lstm").train()
        torch.jit.save(script, self.home / "dropping.pt", _extra_files=card)
        print(signet("verify", self.home / "dropping.pt", code=5).splitlines()[-1], file=sys.stderr)

        def altered(name, tensor, change, words):
            model = onnx.load(self.artefact(name, "model.onnx"))
            [place] = [t for t in model.graph.initializer if t.name == tensor]
            numbers = change(onnx.numpy_helper.to_array(place).copy())
            place.CopyFrom(onnx.numpy_helper.from_array(numbers, tensor))
            onnx.save(model, self.home / "altered.onnx")
            print(f"{words}: " + signet("verify", self.home / "altered.onnx", code=5).splitlines()[-1], file=sys.stderr)

        altered("lstm", "lstm.l0.W", lambda w: numpy.roll(w, 6, axis=1), "permuted gates")
        altered("gru", "gru.l0.B", lambda b: numpy.roll(b, 18, axis=1), "swapped biases")
        altered("cnn", "normalization.mean", numpy.zeros_like, "normalisation left out")

    def test_the_script_of_the_readme_agrees_with_signet(self):
        images = sorted((self.home / "data").glob("*/000*.png"))
        self.assertEqual(len(images), 20)
        # 16 bits a pixel, which Pillow reads as another kind of image.
        grey = numpy.asarray(Image.open(images[0]).convert("L")).astype(numpy.uint16) * 257
        Image.fromarray(grey).save(self.home / "deep.png")
        images.append(self.home / "deep.png")
        (self.home / "colour.yaml").write_text(
            "version: 1\nthreads: 1\ndevice: cpu\ndata: {source: {kind: class_folders, root: data}, "
            "image: {height: 16, width: 20, channels: rgb, preprocess: stretch}}\nmodel: {kind: cnn}\ntrain: {epochs: 1}\n"
        )
        signet("train", "colour.yaml", "--run", "colour", "-s", "export.on_finish=true", cwd=self.home)
        for name in ["cnn", "lstm", "colour"]:
            call = [sys.executable, HERE.parent.parent / "scripts" / "predict.py", self.artefact(name, "model.pt"), *images]
            answer = subprocess.run(call, capture_output=True, text=True, check=True)
            theirs = [line.split("  ") for line in answer.stdout.splitlines()]
            ours = signet("predict", self.artefact(name, "model.pt"), *images, "--format", "jsonl").splitlines()
            self.assertEqual(len(theirs), 21)
            for (image, label, percent), line in zip(theirs, map(json.loads, ours)):
                self.assertEqual((image, label), (line["image"], line["classes"][0]["class"]))
                # Pillow rounds luma and filter weights another way: a grey level or two.
                probability = 100 * line["classes"][0]["probability"]
                self.assertAlmostEqual(float(percent.rstrip(" %")), probability, delta=1.5)


if __name__ == "__main__":
    unittest.main(verbosity=2)
