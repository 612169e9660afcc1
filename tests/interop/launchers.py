"""Many processes by the launchers that people have: PyTorch's torchrun, OpenMPI's mpirun, and variables as srun sets them.

Part of check.py; alone it needs PyTorch (for torchrun), mpirun (Debian's openmpi-bin), safetensors and SIGNET (the binary).
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

import safetensors.numpy

SIGNET = os.environ["SIGNET"]
TORCHRUN = [str(pathlib.Path(sys.executable).with_name("torchrun")), "--no-python"]
EXPERIMENT = """
version: 1
name: own
threads: 1
device: cpu
data:
  source: {kind: generated, pictures: 60}
  image: {height: 16, width: 16}
  augment: [{kind: shift, max_px: 2}]
model: {kind: cnn, blocks: [{filters: 4, pool: 2}], hidden: [8], batch_norm: true, dropout: 0.3}
train: {epochs: 100, batch_size: 28, shards: 4}
checkpoint: {every: 5 steps}
run: {timeout: 5}
log: {report: false}
"""
MARK = "LAUNCHERS_TEST"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Launch:
    """Commands that were started together, each with a session of its own; all that they started is found by a mark."""

    def __init__(self, home, *commands):
        self.mark, self.home, self.processes = uuid.uuid4().hex, home, []
        for command, variables in commands:
            self.start(command, **variables)

    def start(self, command, **variables):
        said = self.home / f"said-{self.mark}-{len(self.processes)}"
        environment = os.environ | {name: str(value) for name, value in variables.items()} | {MARK: self.mark}
        with open(said, "w") as file:
            self.processes.append(
                subprocess.Popen(
                    [str(word) for word in command], cwd=self.home, env=environment, stdin=subprocess.DEVNULL,
                    stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
                )
            )

    def said(self, number=0):
        return (self.home / f"said-{self.mark}-{number}").read_text()

    def alive(self):
        """The variables of each process of signet, by its number."""
        found = {}
        for folder in pathlib.Path("/proc").iterdir():
            try:
                own = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
                own = dict(line.split("=", 1) for line in own if "=" in line)
                if own.get(MARK) == self.mark and (folder / "exe").readlink() == pathlib.Path(SIGNET).resolve():
                    found[int(folder.name)] = own
            except (OSError, ValueError):
                continue
        return found

    def rank(self, number):
        names = ["RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"]
        for process, own in self.alive().items():
            if own.get(next((name for name in names if name in own), "")) == str(number):
                return process
        raise AssertionError(f"there is no rank {number}: {self.said()}")

    def ends(self, seconds=90):
        until = time.monotonic() + seconds
        return [process.wait(max(0.1, until - time.monotonic())) for process in self.processes]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for process in self.alive():
            os.kill(process, signal.SIGKILL)


def train(run, *more):
    return [SIGNET, "train", "own.yaml", "--run", run, "--quiet", *more]


def by_torchrun(count, command, *options):
    return [*TORCHRUN, "--nproc-per-node", count, "--master-port", free_port(), *options, "--", *command], {}


def by_mpirun(count, command):
    variables = {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    given = [word for name, value in variables.items() for word in ["-x", f"{name}={value}"]]
    return ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", count, *given, *command], {}


def by_variables(count, command, rank="RANK"):
    common = {"WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    return [(command, common | {rank: number}) for number in range(count)]


class Launchers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        assert shutil.which("mpirun"), "mpirun is missing; install it with 'sudo apt-get install openmpi-bin'"
        cls.folder = tempfile.TemporaryDirectory()
        cls.home = pathlib.Path(cls.folder.name)
        (cls.home / "own.yaml").write_text(EXPERIMENT)
        subprocess.run([str(word) for word in train("straight")], cwd=cls.home, check=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def assert_straight(self, run):
        """The run has told the same and ended with the same bits as one process that nothing befell."""
        for log in ["metrics.jsonl", "samples.jsonl"]:
            self.assertEqual((self.home / run / log).read_bytes(), (self.home / "straight" / log).read_bytes(), f"{run}/{log}")
        tensors = []
        for own in [run, "straight"]:
            last = json.loads((self.home / own / "last.json").read_text())["checkpoint"]
            tensors.append(safetensors.numpy.load_file(self.home / own / last))
        self.assertEqual(tensors[0].keys(), tensors[1].keys())
        for name, tensor in tensors[0].items():
            self.assertEqual(tensor.tobytes(), tensors[1][name].tobytes(), f"{run}: {name}")

    def wait_for(self, run, epochs):
        log = self.home / run / "metrics.jsonl"
        until = time.monotonic() + 60
        while not log.exists() or log.read_text().count("\n") < epochs:
            self.assertLess(time.monotonic(), until, f"{run} does not get on")
            time.sleep(0.01)

    def test_every_launcher_gives_the_bits_of_one_process(self):
        launches = {
            "torchrun-4": [by_torchrun(4, train("torchrun-4"))],
            "torchrun-1": [by_torchrun(1, train("torchrun-1"))],
            "mpirun-2": [by_mpirun(2, train("mpirun-2"))],
            "variables-2": by_variables(2, train("variables-2")),
            "srun-2": by_variables(2, train("srun-2"), rank="SLURM_PROCID"),
        }
        for run, commands in launches.items():
            with Launch(self.home, *commands) as launch:
                self.assertEqual(set(launch.ends()), {0}, launch.said())
            self.assert_straight(run)

    def test_torchrun_starts_a_lost_process_anew_and_the_run_goes_on_to_the_same_bits(self):
        for number, (victim, sent) in enumerate([(1, signal.SIGKILL), (0, signal.SIGKILL), (1, signal.SIGSTOP)]):
            run = f"elastic-{number}"
            with Launch(self.home, by_torchrun(2, train(run), "--max-restarts", 2, "--monitor-interval", 0.2)) as launch:
                self.wait_for(run, 3)
                os.kill(launch.rank(victim), sent)
                self.assertEqual(launch.ends(), [0], launch.said())
            self.assert_straight(run)
            self.assertFalse((self.home / f"{run}-2").exists())

    def test_a_machine_that_is_lost_leaves_the_run_to_the_others(self):
        options = ["--nnodes", "1:2", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}", "--rdzv-id", "job"]
        options += ["--max-restarts", 3, "--monitor-interval", 0.2, "--rdzv-conf", "last_call_timeout=2"]
        command = [*TORCHRUN, "--nproc-per-node", 1, *options, "--", *train("machines", "-s", "train.shards=4")]
        with Launch(self.home, (command, {"AGENT": "first"})) as launch:
            time.sleep(1)
            launch.start(command, AGENT="second")
            self.wait_for("machines", 3)
            lost = [process for process, own in launch.alive().items() if own["AGENT"] == "second"]
            launch.processes[1].kill()
            for process in lost:
                os.kill(process, signal.SIGKILL)
            self.wait_for("machines", 100)
            left = [process for process, own in launch.alive().items() if own["AGENT"] == "first"]
            until = time.monotonic() + 30  # torchrun itself waits for the lost machine for minutes
            while any(process in launch.alive() for process in left) and time.monotonic() < until:
                time.sleep(0.05)
        self.assert_straight("machines")
        self.assertEqual(json.loads((self.home / "machines" / "environment.json").read_text())["processes"], 1)

    def test_sigterm_to_a_launcher_leaves_a_checkpoint_from_which_one_process_goes_on(self):
        for run, command in {"stopped-torchrun": by_torchrun(2, train("stopped-torchrun")), "stopped-mpirun": by_mpirun(2, train("stopped-mpirun"))}.items():
            with Launch(self.home, command) as launch:
                self.wait_for(run, 3)
                launch.processes[0].terminate()
                launch.ends()
                self.assertIn("stopped by SIGTERM", launch.said())
            resumed = subprocess.run([SIGNET, "resume", run], cwd=self.home, capture_output=True, text=True)
            self.assertEqual(resumed.returncode, 0, resumed.stderr)
            self.assertRegex(resumed.stderr, "processes +2 +1 +free: keeps the bits")
            self.assert_straight(run)

    def test_a_run_of_one_process_goes_on_under_torchrun(self):
        first = subprocess.run([str(word) for word in train("begun", "--until", 5)], cwd=self.home)
        self.assertEqual(first.returncode, 0)
        with Launch(self.home, by_torchrun(2, [SIGNET, "resume", "begun"])) as launch:
            self.assertEqual(launch.ends(), [0], launch.said())
            self.assertRegex(launch.said(), "processes +1 +2 +free: keeps the bits")
        self.assert_straight("begun")

    def test_torchrun_names_the_process_that_failed_first_and_why(self):
        script = f'[ "$RANK" = 1 ] && size=14 || size=28; exec {SIGNET} train own.yaml --run failed --quiet -s train.batch_size=$size'
        with Launch(self.home, by_torchrun(2, ["bash", "-c", script])) as launch:
            self.assertEqual(launch.ends(), [1])
            said = launch.said()
        cause = said[said.index("Root Cause") :]
        self.assertIn("rank      : 1", cause)
        self.assertIn("traceback : train.batch_size is 14 here, and 28 in rank 0", cause)
        self.assertFalse((self.home / "failed").exists())

    def test_a_network_that_drops_is_told_on_both_sides_within_the_timeout(self):
        if os.geteuid() != 0 or subprocess.run(["ip", "netns", "list"], capture_output=True).returncode:
            print("left out: a network that drops needs root and `ip netns` (iproute2)", file=sys.stderr)
            self.skipTest("needs root and `ip netns`")
        ip = lambda words: subprocess.run(["ip", *words.split()], check=True, capture_output=True)
        sides = ["signet-a", "signet-b"]
        try:
            for side in sides:
                ip(f"netns add {side}")
            ip("link add signet-a netns signet-a type veth peer name signet-b netns signet-b")
            for side, address in zip(sides, ["10.213.7.1/24", "10.213.7.2/24"]):
                ip(f"-n {side} addr add {address} dev {side}")
                ip(f"-n {side} link set {side} up")
                ip(f"-n {side} link set lo up")
            common = {"WORLD_SIZE": 2, "MASTER_ADDR": "10.213.7.1", "MASTER_PORT": free_port()}
            command = train("dropped", "-s", "train.epochs=100000", "-s", "train.early_stopping=null")
            inside = [(["ip", "netns", "exec", side, *command], common | {"RANK": rank}) for rank, side in enumerate(sides)]
            with Launch(self.home, *inside) as launch:
                self.wait_for("dropped", 3)
                ip("-n signet-a link set signet-a down")
                began = time.monotonic()
                self.assertEqual(launch.ends(), [4, 4], launch.said())
                self.assertLess(time.monotonic() - began, 5 + 2 + 5)  # the timeout, the search for who it was, a busy machine
                self.assertRegex(launch.said(0), "^signet: rank 0: rank 1 is gone, or did not answer within 5 s[^\n]*\n$")
                self.assertRegex(launch.said(1), "^signet: rank 1: rank 0, which held the store, is gone[^\n]*\n$")
        finally:
            for side in sides:
                subprocess.run(["ip", "netns", "del", side], capture_output=True)


if __name__ == "__main__":
    unittest.main()
