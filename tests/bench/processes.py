"""Processes and what they cost. This Python stays small: the peak memory that Linux reports of a child begins with that of
its parent, so nothing here imports PyTorch."""
import json
import os
import subprocess
import time
from dataclasses import dataclass


class Failure(Exception):
    """One line for the user."""


@dataclass
class Finished:
    """A process that ended well, or that was ended once it had said what was waited for."""

    seconds: float
    peak_mb: float
    records: list  # (seconds since the start, the object) of each epoch that it told of
    text: str


def run(command, until=None):
    """Runs `command`, whose JSON lines about epochs are kept; ends it at the first one for which `until` is true."""
    command = [str(word) for word in command]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    records, text, enough = [], [], False
    for line in process.stdout:
        now = time.perf_counter() - start
        text.append(line)
        if line.startswith('{"'):
            record = json.loads(line)
            if "epoch" in record:
                records.append((now, record))
                if until and until(record):
                    enough = True
                    process.kill()
                    break
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 and not enough:
        last = (text or ["no output"])[-1].strip()
        raise Failure(f"`{' '.join(command)[:300]}` ended with {process.returncode}: {last}")
    return Finished(seconds, usage.ru_maxrss / 1024, records, "".join(text))


class Worker:
    """A worker.py that waits for work."""

    def __init__(self, python, script, environment):
        self.process = subprocess.Popen(
            [python, "-W", "ignore", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, **environment},
        )

    def __call__(self, work, **arguments):
        print(json.dumps([work, arguments], default=str), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise Failure(f"the Python with PyTorch ended while doing `{work}`; its message stands above")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()
