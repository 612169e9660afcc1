"""Completion in real interactive shells: what becomes of a line when Tab is pressed in it."""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest

SIGNET = os.environ["SIGNET"]

EXPERIMENT = """version: 1
data: {source: {kind: generated, pictures: 10}, image: {height: 8, width: 8}}
model: {kind: ann}
train: {epochs: 1, batch_size: 4}
"""

# The line, with | for the cursor where it is not at the end, and the words that the shell then calls signet with.
LINES = [
    ("signet exp", ["export"]),
    ("signet train own", ["train", "own.yaml"]),
    ("signet train -s train.optimizer.k", ["train", "-s", "train.optimizer.kind="]),
    ("signet train -s train.optimizer.kind=r", ["train", "-s", "train.optimizer.kind=rmsprop"]),
    ("signet train -s 'train.optimizer.kind=r", ["train", "-s", "train.optimizer.kind=rmsprop"]),
    ("signet train --set=train.opt", ["train", "--set=train.optimizer."]),
    ("signet train -s device=cuda:1 -s see", ["train", "-s", "device=cuda:1", "-s", "seed="]),
    ("signet train -s train.precision=t|", ["train", "-s", "train.precision=tf32"]),
    ("signet resume runs/m", ["resume", "runs/my run/"]),
    ("signet resume runs/my\\ r", ["resume", "runs/my run/"]),
    ("signet resume 'runs/my r", ["resume", "runs/my run/"]),
]


class Shell:
    """An interactive shell whose signet prints the words that it is called with."""

    def __init__(self, words, home, set_up):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(home)
            os.execvpe(words[0], words, os.environ | {"HOME": str(home), "ZDOTDIR": str(home), "TERM": "dumb", "INPUTRC": "/dev/null"})
        self.say(set_up + "; signet() { printf '<%s>' \"$@\"; echo EN''DS; }; echo REA''DY\n")
        self.hear("READY")

    def say(self, text):
        os.write(self.terminal, text.encode())

    def hear(self, until, seconds=20):
        heard, end = "", time.time() + seconds
        while until not in heard:
            assert time.time() < end, heard
            if select.select([self.terminal], [], [], 0.1)[0]:
                heard += os.read(self.terminal, 65536).decode(errors="replace")
        return heard

    def shown(self):
        """What is shown until nothing comes any more."""
        heard = ""
        while select.select([self.terminal], [], [], 1.5)[0]:
            heard += os.read(self.terminal, 65536).decode(errors="replace")
        return heard

    def completed(self, line):
        before, _, behind = line.partition("|")
        self.say(before + behind + "\x02" * len(behind) + "\t")
        shown = self.shown()
        quoted = "'" in line and not shown.rstrip().endswith("'")  # not every completion ends its quotation
        self.say("\x05" + ("'" if quoted else "") + "\n")
        return re.search(r"<([^\r\n]*)>ENDS", self.hear("ENDS"))[1].split("><")

    def close(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


class Completion(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = pathlib.Path(folder.name)
        (self.home / "own.yaml").write_text(EXPERIMENT)
        subprocess.run([SIGNET, "train", "own.yaml", "--run", "runs/my run", "-q"], cwd=self.home, check=True, capture_output=True)

    def lines(self, words, set_up, lines):
        for line, expected in lines:
            with self.subTest(shell=words[0], line=line):
                shell = Shell(words, self.home, set_up)
                try:
                    self.assertEqual(shell.completed(line), expected)
                finally:
                    shell.close()

    def test_bash_completes_words_however_it_cuts_and_quotes_them(self):
        set_up = f"bind 'set enable-bracketed-paste off'; source <('{SIGNET}' completions bash)"
        own = [
            ("signet train -s train.epo|x=5", ["train", "-s", "train.epochs=x=5"]),
            ("signet train -s export.formats=", ["train", "-s", 'export.formats=["torchscript"]']),
        ]
        self.lines(["bash", "--norc", "--noprofile", "-i"], set_up, LINES + own)

    @unittest.skipUnless(shutil.which("zsh"), "there is no zsh")
    def test_zsh_completes_the_same(self):
        set_up = f"unsetopt zle_bracketed_paste; autoload -Uz compinit && compinit -u -D; source <('{SIGNET}' completions zsh)"
        self.lines(["zsh", "-f", "-i"], set_up, LINES)


if __name__ == "__main__":
    unittest.main()
