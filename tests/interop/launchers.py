"""One run on several processes, in the hands of the programs that start them: torchrun, mpirun, what srun sets, plain variables.

Each run is compared with one that a process alone has trained in peace. Part of check.py; alone it needs PyTorch with its
torchrun, safetensors, numpy, mpirun (Open MPI) and SIGNET (the binary). Network namespaces need root and `ip`.
"""
import contextlib
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
EXPERIMENT = """
version: 1
name: own
threads: 1
device: cpu
data:
  source: {kind: generated, pictures: "${PICTURES:-40}"}
  image: {height: 16, width: 16}
  augment: [{kind: shift, max_px: 2}, {kind: noise, std: 0.05}]
model: {kind: cnn, blocks: [{filters: 4, pool: 2}], hidden: [8], batch_norm: true, dropout: 0.2}
train: {epochs: 24, batch_size: 8, shards: 4}
checkpoint: {every: 5 steps}
log: {report: false}
"""
EPOCHS = 24
LASTING = "train.epochs=100000"
EARLY = 4  # epochs after which a run is disturbed: it has checkpoints then, and most of its way to go
AFTER = "; the newest checkpoint is kept, and `signet resume` goes on from it"
PATIENCE = 60  # seconds for what takes one or two where nothing else runs
RANKS = ["RANK", "OMPI_COMM_WORLD_RANK", "SLURM_PROCID"]


class Launch:
    """Programs that are started together, and all processes that come of them.

    Launchers give their workers sessions of their own, in which these may outlive them; so what belongs to a launch bears a
    mark in its environment.
    """

    def __init__(self, home, *calls):
        self.home, self.mark, self.programs, self.began = home, uuid.uuid4().hex, [], time.monotonic()
        for call, variables in calls:
            self.start(call, variables)

    def start(self, call, variables):
        stderr = open(self.home / f"stderr-{self.mark}-{len(self.programs)}", "w+")
        environment = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "LAUNCH": self.mark}
        environment |= {name: str(value) for name, value in variables.items()}
        program = subprocess.Popen(
            list(map(str, call)), cwd=self.home, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr
        )
        self.programs.append((program, stderr))

    def processes(self):
        """The variables of each process, by its number in the system."""
        found = {}
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                pairs = (process / "environ").read_text(errors="replace").split("\0")
                variables = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
                if variables.get("LAUNCH") == self.mark:
                    found[int(process.name)] = {**variables, "program": os.readlink(process / "exe")}
        return found

    def rank(self, rank, **variables):
        """The number in the system of the signet that is called `rank`, and has `variables`; none while there is none."""
        for process, known in self.processes().items():
            own = next((known[name] for name in RANKS if name in known), None)
            is_one = known["program"] == os.path.realpath(SIGNET) and own == str(rank)
            if is_one and all(known.get(name) == value for name, value in variables.items()):
                return process
        return None

    def kill(self, rank, sent=signal.SIGKILL, **variables):
        process = self.rank(rank, **variables)
        assert process, f"rank {rank} is not there: {self.said()}"
        os.kill(process, sent)

    def said(self, number=None):
        """What the program with this number, or all of them, said on standard error."""
        chosen = self.programs if number is None else [self.programs[number]]
        return "".join(pathlib.Path(stderr.name).read_text() for _, stderr in chosen)

    def lines(self, number=None):
        """What signet said of it."""
        return [line for line in self.said(number).splitlines() if line.startswith("signet:")]

    def until(self, reached):
        """Waits until it has come to what `reached` says."""
        patience = time.monotonic() + PATIENCE
        while not reached():
            if time.monotonic() > patience or all(program.poll() is not None for program, _ in self.programs):
                raise AssertionError(f"it did not come so far: {self.said()}")
            time.sleep(0.002)

    def ends(self):
        """The exit codes of all programs."""
        patience = time.monotonic() + PATIENCE
        try:
            return [program.wait(max(0, patience - time.monotonic())) for program, _ in self.programs]
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended after {time.monotonic() - self.began:.0f} s: {self.said()}") from None

    def end(self):
        """Kills what is left."""
        while left := self.processes():
            for process in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            for program, _ in self.programs:
                program.poll()
        for program, stderr in self.programs:
            program.wait()
            stderr.close()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def torchrun(call, processes, *options):
    own = pathlib.Path(sys.executable).with_name("torchrun")
    options = options or ["--master-port", free_port()]
    return [([own, "--no-python", "--nproc-per-node", processes, *options, "--", *call], {})]


def restarting(call, *options):
    return torchrun(call, 2, *(options or ["--master-port", free_port()]), "--max-restarts", 2, "--monitor-interval", 0.2)


def mpirun(call, processes):
    own = shutil.which("mpirun")
    assert own, "mpirun is missing; install it with 'sudo apt-get install openmpi-bin'"
    told = ["-x", f"WORLD_SIZE={processes}", "-x", "MASTER_ADDR=127.0.0.1", "-x", f"MASTER_PORT={free_port()}"]
    return [([own, "--oversubscribe", "-n", processes, *told, *call], {})]


def by_variables(call, processes, port=None, rank="RANK", host="127.0.0.1"):
    told = {"WORLD_SIZE": processes, "MASTER_ADDR": host, "MASTER_PORT": port or free_port()}
    return [(call, {**told, rank: number}) for number in range(processes)]


def srun(call, processes):
    """As a batch job writes it: `WORLD_SIZE=$SLURM_NTASKS`."""
    return [(call, {**told, "SLURM_NTASKS": processes}) for call, told in by_variables(call, processes, rank="SLURM_PROCID")]


def only_rank(rank, command, call):
    """`call`, before which the process called `rank` does `command` of a shell."""
    return ["sh", "-c", f'if [ "$RANK" = {rank} ]; then {command}; fi; exec "$@"', "sh", *call]


class Launchers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.home = pathlib.Path(cls.folder.name)
        (cls.home / "own.yaml").write_text(EXPERIMENT)
        alone = Launch(cls.home, (cls.train("alone"), {}))
        assert alone.ends() == [0], alone.said()
        alone.end()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def train(cls, run, *settings):
        """The words that train `run`."""
        return [SIGNET, "train", "own.yaml", "-q", "--run", run, *(word for setting in settings for word in ["-s", setting])]

    @classmethod
    def train_below(cls, root):
        """The words that train a run called `own`, whose directory signet chooses, below `root`."""
        return [SIGNET, "train", "own.yaml", "-q", "-s", f"run.root={root}"]

    def launch(self, calls):
        launch = Launch(self.home, *calls)
        self.addCleanup(launch.end)
        return launch

    def epochs(self, run):
        log = self.home / run / "metrics.jsonl"
        return log.read_bytes().count(b"\n") if log.exists() else 0

    def in_mid_run(self, calls, run):
        """A launch of `calls` that has come some way with `run`."""
        launch = self.launch(calls)
        launch.until(lambda: self.epochs(run) >= EARLY)
        return launch

    def assert_is_as_alone(self, run):
        def tensors(run):
            last = json.loads((self.home / run / "last.json").read_text())
            found = safetensors.numpy.load_file(self.home / run / last["checkpoint"])
            return last["step"], {name: (tensor.dtype, tensor.shape, tensor.tobytes()) for name, tensor in found.items()}

        self.assertEqual(self.epochs(run), EPOCHS)
        for log in ["metrics.jsonl", "samples.jsonl"]:
            self.assertEqual((self.home / run / log).read_bytes(), (self.home / "alone" / log).read_bytes(), f"{run}: {log}")
        (step, found), (expected_step, expected) = tensors(run), tensors("alone")
        self.assertEqual((step, found.keys()), (expected_step, expected.keys()))
        self.assertGreater(len(found), 20)
        self.assertEqual([name for name in found if found[name] != expected[name]], [], run)

    def assert_plain(self, launch):
        """Nothing of libtorch's own came to standard error, which Python's part of torchrun shares."""
        ours = [line for line in launch.said().splitlines() if "frame #" in line or "[c10d]" in line]
        self.assertEqual(ours, [])

    def test_every_launcher_gives_the_bits_of_one_process(self):
        launchers = {
            "two-by-torchrun": (2, lambda call: torchrun(call, 2)),
            "four-by-torchrun": (4, lambda call: torchrun(call, 4)),
            "one-by-torchrun": (1, lambda call: torchrun(call, 1)),
            "two-by-mpirun": (2, lambda call: mpirun(call, 2)),
            "two-by-srun": (2, lambda call: srun(call, 2)),
            "two-by-variables": (2, lambda call: by_variables(call, 2)),
        }
        launches = [(run, world, self.launch(launcher(self.train(run)))) for run, (world, launcher) in launchers.items()]
        for run, world, launch in launches:
            self.assertEqual(set(launch.ends()), {0}, launch.said())
            self.assertEqual(launch.lines(), [])
            environment = json.loads((self.home / run / "environment.json").read_text())
            self.assertEqual(environment["processes"], world, run)
            self.assert_is_as_alone(run)

    def test_processes_may_come_in_any_order_and_late(self):
        first, *others = by_variables(self.train("late"), 4)
        launch = self.launch(reversed(others))
        time.sleep(2)
        launch.start(*first)
        self.assertEqual(launch.ends(), [0, 0, 0, 0], launch.said())
        self.assert_is_as_alone("late")

    def test_torchrun_replaces_a_killed_process_and_the_run_goes_on_in_its_directory(self):
        c10d, launches = ["--standalone"], []
        for number, (options, named, victim) in enumerate([([], True, 0), ([], False, 1), (c10d, True, 1), (c10d, False, 0)]):
            root = f"killed-{number}"
            call = self.train(f"{root}/own") if named else self.train_below(root)
            launch = self.in_mid_run(restarting(call, *options), f"{root}/own")
            launch.kill(victim)
            launches.append((root, victim, launch))
        for root, victim, launch in launches:
            self.assertEqual(launch.ends(), [0], launch.said())
            self.assertEqual(os.listdir(self.home / root), ["own"])
            self.assert_is_as_alone(f"{root}/own")
            [line] = launch.lines()
            self.assertIn(f"signet: rank {1 - victim}: rank {victim} is gone", line)
            self.assert_plain(launch)

    def test_a_process_killed_at_the_start_is_replaced(self):
        launches = []
        for victim in [0, 1]:
            launch = self.launch(restarting(self.train(f"start-{victim}")))
            launch.until(lambda: launch.rank(victim))
            launch.kill(victim)
            self.assertEqual(self.epochs(f"start-{victim}"), 0)
            launches.append(launch)
        for victim, launch in enumerate(launches):
            self.assertEqual(launch.ends(), [0], launch.said())
            self.assert_is_as_alone(f"start-{victim}")

    def test_a_process_that_hangs_is_replaced(self):
        launches = []
        for victim in [0, 1]:  # at the same time, since most of it is waiting
            run = f"hung-{victim}"
            launch = self.in_mid_run(restarting(self.train(run, "run.timeout=5")), run)
            hung = launch.rank(victim)
            os.kill(hung, signal.SIGSTOP)
            launches.append((victim, run, launch, hung))
        for victim, run, launch, hung in launches:
            launch.until(lambda: f"Sending process {hung} closing signal" in launch.said())
            os.kill(hung, signal.SIGCONT)  # or torchrun waits half a minute before it kills
            self.assertEqual(launch.ends(), [0], launch.said())
            self.assert_is_as_alone(run)
            self.assertIn(f"signet: rank {1 - victim}: rank {victim} is gone, or did not answer within 5 s", launch.said())
            self.assert_plain(launch)

    def test_a_run_is_not_begun_anew_where_no_store_remembers_it(self):
        # Without a store that outlives the processes, as of old torchruns and other rendezvous, signet cannot know the directory.
        calls = restarting(self.train_below("forgotten"), "--standalone")
        launch = self.in_mid_run([(call, {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": 1}) for call, _ in calls], "forgotten/own")
        launch.kill(1)
        launch.ends()
        self.assertEqual(os.listdir(self.home / "forgotten"), ["own"])

    def test_a_run_goes_on_when_a_machine_is_lost(self):
        place = ["--nnodes", "1:2", "--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{free_port()}", "--rdzv-id", "job"]
        notice = "last_call_timeout=4,keep_alive_interval=1,keep_alive_max_attempt=4"
        agents = []
        for machine in [0, 1]:
            holds = ["--rdzv-conf", f"{notice},is_host={1 - machine}", "--max-restarts", 2, "--monitor-interval", 0.2]
            [(agent, _)] = torchrun(self.train("lost"), 1, *place, *holds)
            agents.append((agent, {"MACHINE": machine}))
        launch = self.in_mid_run(agents, "lost")
        victim = next(rank for rank in [0, 1] if launch.rank(rank, MACHINE="1"))
        self.assertTrue(launch.rank(1 - victim, MACHINE="0"), "they do not train together")
        launch.programs[1][0].kill()
        launch.kill(victim)
        self.assertEqual(launch.ends(), [0, -signal.SIGKILL], launch.said())
        self.assert_is_as_alone("lost")
        self.assertIn(f"signet: rank {1 - victim}: rank {victim} is gone", launch.said(0))

    def assert_all_stopped_by(self, launch, sent, run):
        first, *others = sorted(launch.lines())
        self.assertRegex(first, rf"^signet: rank 0: stopped by {sent} after step \d+ \(epoch \d+\); go on with `signet resume {run}`$")
        self.assertEqual(others, [f"signet: rank 1: stopped by {sent} as all processes of the run"])

    def test_a_run_whose_launcher_is_told_to_stop_goes_on_in_one_process(self):
        # torchrun passes SIGTERM on, and ends with 1 of its own; mpirun passes SIGUSR1 on, and ends as its processes do.
        for launcher, sent, code in [(torchrun, "SIGTERM", 1), (mpirun, "SIGUSR1", 143)]:
            run = f"stopped-{sent}"
            launch = self.in_mid_run(launcher(self.train(run), 2), run)
            launch.programs[0][0].send_signal(signal.Signals[sent])
            self.assertEqual(launch.ends(), [code], launch.said())
            self.assert_all_stopped_by(launch, sent, run)
            self.assertLess(self.epochs(run), EPOCHS)
            resumed = self.launch([([SIGNET, "resume", run], {})])
            self.assertEqual(resumed.ends(), [0], resumed.said())
            self.assertRegex(resumed.said(), r"processes +2 +1 +free: keeps the bits")
            self.assert_is_as_alone(run)

    def test_mpirun_passes_sigterm_on(self):
        # After a second, and after another one comes SIGKILL, unless its odls_base_sigkill_timeout says otherwise.
        launch = self.in_mid_run(mpirun(self.train("ended", LASTING), 2), "ended")
        launch.programs[0][0].terminate()
        self.assertEqual(launch.ends(), [1], launch.said())
        self.assert_all_stopped_by(launch, "SIGTERM", "ended")

    def test_a_run_of_one_process_goes_on_under_torchrun(self):
        launch = self.in_mid_run([(self.train("grown"), {})], "grown")
        launch.programs[0][0].terminate()
        self.assertEqual(launch.ends(), [143])
        resumed = self.launch(torchrun([SIGNET, "resume", "grown"], 2))
        self.assertEqual(resumed.ends(), [0], resumed.said())
        self.assertRegex(resumed.said(), r"processes +1 +2 +free: keeps the bits")
        self.assert_is_as_alone("grown")

    def test_a_signal_to_one_process_stops_all_with_the_same_exit_code(self):
        for sent, code in [(signal.SIGTERM, 143), (signal.SIGINT, 130)]:
            run = f"one-{code}"
            launch = self.in_mid_run(by_variables(self.train(run, LASTING), 2), run)
            launch.kill(1, sent)
            self.assertEqual(launch.ends(), [code, code], launch.said())
            self.assertTrue(all(f"stopped by {sent.name}" in line for line in launch.lines()), launch.lines())
        launch = self.in_mid_run(torchrun(self.train("one-of-torchrun", LASTING), 2), "one-of-torchrun")
        launch.kill(1, signal.SIGTERM)
        self.assertEqual(launch.ends(), [1])
        self.assertEqual(launch.said().count("exitcode  : 143"), 2, launch.said())

    def assert_root_cause(self, launch, rank, reason):
        self.assertEqual(launch.ends(), [1], launch.said())
        [root_cause] = launch.said().split("Root Cause (first observed failure):")[1:]
        self.assertRegex(root_cause, rf"rank +: {rank} ", launch.said())
        self.assertIn(reason, root_cause, launch.said())
        self.assert_plain(launch)

    def test_torchrun_names_the_process_that_was_told_something_else(self):
        launch = self.launch(torchrun(only_rank(1, "export PICTURES=44", self.train("astray")), 2))
        self.assert_root_cause(launch, 1, "data.source.pictures is 44 here, and 40 in rank 0")

    def test_torchrun_names_the_process_that_cannot_even_read_its_experiment(self):
        launch = self.launch(torchrun(only_rank(1, "cd /", self.train(self.home / "astray")), 2))
        self.assert_root_cause(launch, 1, "own.yaml: ")

    def test_torchrun_names_the_process_that_finds_no_images(self):
        # The other one hears of it, and ends in the same moment.
        launch = self.launch(torchrun(self.train_without_images_in_rank_1(), 2))
        self.assert_root_cause(launch, 1, "data.source.root: images cannot be read")

    def test_a_failure_is_told_by_the_others_too(self):
        launch = self.launch(by_variables(self.train_without_images_in_rank_1(), 2))
        self.assertEqual(launch.ends(), [4, 3], launch.said())
        told = "data.source.root: images cannot be read"
        for number, expected in enumerate([f"signet: rank 0: rank 1 failed: {told}", f"signet: rank 1: {told}"]):
            [line] = launch.said(number).splitlines()
            self.assertTrue(line.startswith(expected), line)

    def train_without_images_in_rank_1(self):
        folder = self.home / self.id()
        (folder / "elsewhere").mkdir(parents=True)
        subprocess.run([SIGNET, "data", "generate", folder / "images", "--images", "40", "--side", "16"], check=True, capture_output=True)
        text = EXPERIMENT.replace('kind: generated, pictures: "${PICTURES:-40}"', "kind: class_folders, root: images")
        (folder / "own.yaml").write_text(text)
        call = [SIGNET, "train", folder / "own.yaml", "-q", "--run", folder / "astray"]
        return only_rank(1, f"cd {folder}/elsewhere", only_rank(0, f"cd {folder}", call))

    def test_word_of_a_failure_is_heard_at_once(self):
        call = only_rank(1, "export PICTURES=44", self.train("unlike", "run.timeout=30"))
        launch = self.launch(by_variables(call, 2))
        self.assertEqual(launch.ends(), [4, 2], launch.said())
        self.assertLess(time.monotonic() - launch.began, 15, "it was waited for run.timeout")
        reason = "data.source.pictures is 44 here, and 40 in rank 0; start all processes with the same experiment"
        self.assertEqual(launch.lines(), [f"signet: rank 0: rank 1 failed: {reason}", f"signet: rank 1: {reason}"])

    def test_who_does_not_come_is_named_by_all_who_came(self):
        launch = self.launch(by_variables(self.train("missed", "run.timeout=3"), 4)[:2])
        self.assertEqual(launch.ends(), [4, 4], launch.said())
        for number in [0, 1]:
            [line] = launch.said(number).splitlines()
            self.assertIn("ranks 2, 3 did not come within 3 s (run.timeout)", line)

    def test_who_is_left_says_in_one_line_who_is_lost(self):
        launches = []
        for number, (victims, sent, expected) in enumerate([
            ([3], signal.SIGKILL, "rank 3 is gone, or did not answer within 3 s (run.timeout)"),
            ([1, 2], signal.SIGKILL, "ranks 1, 2 are gone, or did not answer within 3 s (run.timeout)"),
            ([0], signal.SIGKILL, "rank 0, which held the store, is gone"),
            ([2], signal.SIGSTOP, "rank 2 is gone, or did not answer within 3 s (run.timeout)"),
        ]):
            run = f"left-{number}"
            launch = self.in_mid_run(by_variables(self.train(run, LASTING, "run.timeout=3"), 4), run)
            for victim in victims:
                launch.kill(victim, sent)
            launches.append((victims, expected, launch, time.time()))
        for victims, expected, launch, disturbed in launches:
            for rank in {0, 1, 2, 3}.difference(victims):
                program, stderr = launch.programs[rank]
                self.assertEqual(program.wait(PATIENCE), 4)
                self.assertEqual(launch.said(rank), f"signet: rank {rank}: {expected}{AFTER}\n")
                self.assertLess(os.stat(stderr.name).st_mtime - disturbed, 12)

    def test_who_notices_late_names_who_is_lost_and_not_who_has_left(self):
        launch = self.in_mid_run(by_variables(self.train("slow", LASTING, "run.timeout=3"), 4), "slow")
        late = launch.rank(1)
        for stopped in [late, launch.rank(2)]:
            os.kill(stopped, signal.SIGSTOP)
        time.sleep(4.2)  # rank 0 has noticed, and waits two seconds for word of the others
        os.kill(late, signal.SIGCONT)
        for rank in [0, 1, 3]:
            self.assertEqual(launch.programs[rank][0].wait(PATIENCE), 4)
            self.assertIn(f"signet: rank {rank}: rank 2 is gone", launch.said(rank))

    def test_a_network_that_drops_ends_both_sides_in_time(self):
        names = [f"signet-{os.getpid()}-{number}" for number in range(2)]

        def ip(*words):
            subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=PATIENCE)

        try:
            for name in names:
                ip("netns", "add", name)
                self.addCleanup(ip, "netns", "delete", name)
        except (OSError, subprocess.CalledProcessError) as error:
            why = f"{error} {getattr(error, 'stderr', '')}".strip()
            print(f"NOT TRIED: a network that drops, since that takes root and `ip netns` of iproute2: {why}", file=sys.stderr)
            self.skipTest("no network namespaces")
        ip("link", "add", "veth", "netns", names[0], "type", "veth", "peer", "name", "veth", "netns", names[1])
        for number, name in enumerate(names):
            ip("-n", name, "address", "add", f"10.77.0.{number + 1}/24", "dev", "veth")
            for link in ["lo", "veth"]:
                ip("-n", name, "link", "set", link, "up")
        calls = by_variables(self.train("dropped", LASTING, "run.timeout=3"), 2, host="10.77.0.1")
        calls = [(["ip", "netns", "exec", name, *call], told) for name, (call, told) in zip(names, calls)]
        launch = self.in_mid_run(calls, "dropped")
        ip("-n", names[0], "link", "set", "veth", "down")
        began = time.monotonic()
        self.assertEqual(launch.ends(), [4, 4], launch.said())
        self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(launch.said(0), f"signet: rank 0: rank 1 is gone, or did not answer within 3 s (run.timeout){AFTER}\n")
        self.assertEqual(launch.said(1), f"signet: rank 1: rank 0, which held the store, is gone{AFTER}\n")

    def test_one_process_proves_what_several_have_trained(self):
        trained = self.launch(by_variables(self.train("proved"), 2))
        self.assertEqual(trained.ends(), [0, 0], trained.said())
        proof = subprocess.run([SIGNET, "resume", "proved", "--prove"], cwd=self.home, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(proof.returncode, 0, proof.stderr)
        self.assertIn("trained again, gave the same bits in", proof.stdout)

    def test_trainings_on_other_ports_leave_each_other_alone(self):
        launches = [(run, self.launch(by_variables(self.train(run), 2))) for run in ["beside-1", "beside-2"]]
        for run, launch in launches:
            self.assertEqual(launch.ends(), [0, 0], launch.said())
            self.assert_is_as_alone(run)

    def test_a_port_that_is_taken_is_named_and_its_owner_trains_on(self):
        port = free_port()
        first = self.in_mid_run(by_variables(self.train("owner"), 2, port), "owner")
        second = self.launch(by_variables(self.train("intruder", "run.timeout=2"), 2, port))
        self.assertEqual(second.ends(), [4, 4])
        taken = f"signet: rank 0: port {port} of this machine is taken; set MASTER_PORT to another one for all processes\n"
        self.assertEqual(second.said(0), taken)
        self.assertEqual(first.ends(), [0, 0], first.said())
        self.assert_is_as_alone("owner")


if __name__ == "__main__":
    unittest.main(verbosity=2)
