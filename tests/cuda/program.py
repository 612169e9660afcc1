"""signet as a program: calling it, and reading what it writes without any package but PyTorch."""
import ast
import concurrent.futures
import json
import math
import os
import pathlib
import socket
import struct
import subprocess

import torch


class Failed(Exception):
    """A check that found something wrong, in one line."""


class LeftOut(Exception):
    """A check that cannot be done here, and why."""


class Signet:
    """The program on this Python's libtorch, and the folder it works in."""

    def __init__(self, program, folder):
        self.program, self.folder, self.made = pathlib.Path(program).absolute(), pathlib.Path(folder), 0
        libraries = [str(pathlib.Path(torch.__file__).parent / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
        self.environment = os.environ | {"LD_LIBRARY_PATH": ":".join(filter(None, libraries))}
        # Both programs shall choose how their threads wait.
        for variable in ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"]:
            self.environment.pop(variable, None)

    def fresh(self, name):
        self.made += 1
        return self.folder / f"{name}-{self.made}"

    def call(self, *words, **variables):
        """Its standard output and standard error."""
        words = [str(word) for word in words]
        done = subprocess.run(
            [self.program, *words], capture_output=True, text=True, env=self.environment | variables, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise Failed(f"`signet {' '.join(words)}` ended with {done.returncode}: {last}")
        return done.stdout, done.stderr

    def train(self, experiment, *words, **variables):
        """Trains what a dict says."""
        file, out = self.fresh("experiment").with_suffix(".yaml"), self.fresh("run")
        file.write_text(json.dumps(experiment))  # JSON is YAML
        _, said = self.call("train", file, "--run", out, "--progress", "plain", *words, **variables)
        return Run(out, said)

    def train_on(self, world, experiment):
        """Trains what a dict says on so many processes of this machine."""
        file, out = self.fresh("experiment").with_suffix(".yaml"), self.fresh("run")
        file.write_text(json.dumps(experiment))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        address = {"WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        with concurrent.futures.ThreadPoolExecutor(world) as pool:
            words = ["train", file, "--run", out, "--progress", "plain"]
            started = [pool.submit(self.call, *words, **address, RANK=str(rank)) for rank in range(world)]
            said = [each.result()[1] for each in started]
        return Run(out, said[0])

    def resume(self, run):
        self.call("resume", run.folder, "--progress", "none")

    def arrays(self, experiment):
        """The images in 0..1, `[N, 1, H, W]`, and their labels."""
        file, out = self.fresh("experiment").with_suffix(".yaml"), self.fresh("arrays")
        file.write_text(json.dumps(experiment))
        self.call("data", "npy", file, out)
        return read_npy(out / "X.npy")[:, None], read_npy(out / "Y.npy").long()

    def cuda_library(self):
        """The library that graphs and several GPUs need, where it lies beside the program."""
        return self.program.with_name("libsignet_cuda.so")


class Run:
    """A run directory and what was said while it was made."""

    def __init__(self, folder, said):
        self.folder, self.said = folder, said

    def json(self, name):
        return json.loads((self.folder / name).read_text())

    def losses(self):
        """The mean loss of each epoch."""
        return [json.loads(line)["train"]["loss"] for line in self.metrics().splitlines()]

    def metrics(self):
        return (self.folder / "metrics.jsonl").read_text()

    def seconds(self):
        """Of each epoch."""
        return [json.loads(line)["seconds"] for line in (self.folder / "timing.jsonl").read_text().splitlines()]

    def part(self):
        """The indices of the images it learned from."""
        names = {name: index for index, name in enumerate(self.json("data.json")["images"])}
        return [names[name] for name in self.json("split.json")["train"]]

    def tensors(self):
        """Every tensor of its last checkpoint as bytes, by name: weights, statistics, moments."""
        return read_safetensors(self.folder / self.json("last.json")["checkpoint"])


def read_npy(file):
    """A NumPy array of numbers in C order (numpy.lib.format, version 1.0)."""
    data = file.read_bytes()
    size = struct.unpack("<H", data[8:10])[0]
    header = ast.literal_eval(data[10 : 10 + size].decode())
    types = {"<f4": torch.float32, "<i8": torch.int64, "|u1": torch.uint8}
    numbers = torch.frombuffer(bytearray(data[10 + size :]), dtype=types[header["descr"]])
    return numbers.view(header["shape"])


def read_safetensors(file):
    data = file.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    return {name: (own["dtype"], data[8 + size :][slice(*own["data_offsets"])]) for name, own in header.items()}


def weights(tensors):
    """The floats among the weights, as PyTorch has them by the same names; shapes are left to whoever takes them."""
    own = {name: data for name, (kind, data) in tensors.items() if kind == "F32" and not name.startswith("optimizer.")}
    return {name: torch.frombuffer(bytearray(data), dtype=torch.float32) for name, data in own.items()}


def finite(losses):
    return all(math.isfinite(loss) for loss in losses)
