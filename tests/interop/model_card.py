"""The programs in model cards, run as they stand there: Python, C++, and a page in a browser.

Part of check.py; alone it needs torch, onnxruntime, safetensors, Pillow, numpy, PyYAML, SIGNET (the binary) and LIBTORCH_HOME (the
libtorch to compile against). `scripts/interop-packages` gets stb_image.h and ONNX Runtime for browsers.
"""
import contextlib
import functools
import http.server
import io
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import unittest.mock
import urllib.request

import numpy
import yaml
from PIL import Image

SIGNET = os.environ["SIGNET"]
INTEROP = pathlib.Path(__file__).parents[2] / ".interop"

# Every way in which an image becomes an input, and every module of torch.nn that a card has to write.
RUNS = {
    "squeeze": ("{height: 16, width: 16}", "{kind: cnn, blocks: [{filters: 4, kernel: 5}, {filters: 6, stride: 2, padding: valid}], hidden: [8], batch_norm: true, dropout: 0.3}"),
    "crop": ("{height: 16, width: 20, channels: rgb, fit: crop, background: white}", "{kind: lstm, hidden_size: 6, num_layers: 2, bidirectional: true, sequence: columns, pooling: max, dropout: 0.2}"),
    "pad": ("{height: 20, width: 16, channels: rgb, fit: pad, background: '#336699', preprocess: stretch}", "{kind: gru, hidden_size: 6, sequence: patches, patch_px: 4, pooling: mean}"),
    "scaled": ("{height: 16, width: 16, fit: crop, background: none, decode: scaled}", "{kind: rnn, nonlinearity: relu, hidden_size: 6, bidirectional: true, activation: leaky_relu, hidden: [5]}"),
    "grey": ("{height: 16, width: 24, fit: pad, background: '#c08040'}", "{kind: ann, hidden: [6], activation: tanh, output: binary}"),
    "residual": ("{height: 16, width: 16}", "{kind: layers, layers: [{kind: conv2d, filters: 4, bias: false}, {kind: batch_norm}, {kind: activation}, {kind: residual, body: [{kind: conv2d, filters: 4, groups: 2}, {kind: activation, function: gelu}]}, {kind: residual, body: [{kind: conv2d, filters: 8, stride: 2}], shortcut: [{kind: avg_pool2d}, {kind: conv2d, filters: 8, kernel: 1}]}, {kind: global_avg_pool}, {kind: flatten}, {kind: linear}]}"),
}
CLASSES = ["a \"zero\" | `0` </script> \\ ?", "eins é \u202e\u0085 -->"]


def signet(*arguments, cwd):
    answer = subprocess.run([SIGNET, *map(str, arguments)], capture_output=True, text=True, cwd=cwd)
    assert answer.returncode == 0, f"signet {arguments}: {answer.returncode}: {answer.stderr}"
    return answer.stdout


def photos(folder):
    """Images of many sizes and kinds: names, and whether they are turned or have transparent pixels."""
    random = numpy.random.default_rng(5)
    made = {}
    for number, (width, height, kind) in enumerate([
        (150, 100, "jpg"), (90, 201, "jpg"), (20, 33, "jpg"), (7, 5, "png"), (64, 64, "png"), (120, 80, "turned"), (61, 40, "clear"),
    ]):
        small = random.integers(0, 256, (4, 5, 4), dtype="u1")
        image = Image.fromarray(small, "RGBA").resize((width, height), Image.Resampling.BICUBIC)
        exif = Image.Exif()
        exif[0x0112] = 6 if kind == "turned" else 1
        name = f"{number}.{'png' if kind in ['png', 'clear'] else 'jpg'}"
        if kind != "clear":
            image = image.convert("RGB")
        options = {} if name.endswith("png") else {"quality": 95, "subsampling": 0, "exif": exif}
        image.save(folder / name, **options)
        made[folder / name] = kind
    return made


def programs(card):
    """The fenced programs of a card by their headings, each with its language."""
    found = {}
    for section in card.split("\n### ")[1:]:
        heading, text = section.split("\n", 1)
        found[heading] = dict(re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    return found


@contextlib.contextmanager
def in_folder(folder):
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


class ModelCard(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.home = pathlib.Path(cls.folder.name)
        signet("data", "generate", "data", "--images", 40, "--side", 24, cwd=cls.home)
        rows = [f'data/{label}/{file.name},"{CLASSES[label].replace(chr(34), chr(34) * 2)}"' for label in [0, 1] for file in sorted((cls.home / f"data/{label}").iterdir())]
        (cls.home / "list.csv").write_text("path,label\n" + "\n".join(rows))
        (cls.home / "photos").mkdir()
        cls.photos = photos(cls.home / "photos")
        for name, (image, model) in RUNS.items():
            (cls.home / "own.yaml").write_text(
                f"version: 1\nname: small\nthreads: 1\ndevice: cpu\ndata: {{source: {{kind: table, file: list.csv}}, image: {image}}}\n"
                f"model: {model}\ntrain: {{epochs: 12, batch_size: 8, optimizer: {{kind: adamw, lr: 0.02}}}}\n"
                "export: {formats: [torchscript, onnx, safetensors], on_finish: true, license: Apache-2.0}\n"
            )
            signet("train", "own.yaml", "--run", name, "--progress", "none", cwd=cls.home)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def export(self, name):
        return self.home / name / "export"

    def card(self, name):
        return (self.export(name) / "README.md").read_text()

    def expect(self, name, program, answer_to, kinds):
        """`answer_to` gives what a program prints of an image; it must be what signet predicts."""
        images = [file for file, kind in self.photos.items() if kind in kinds]
        lines = signet("predict", name, *images, "--format", "jsonl", cwd=self.home).strip().split("\n")
        self.assertEqual(len(lines), len(images))
        shares = []
        for image, line in zip(images, lines):
            ours = json.loads(line)["classes"][0]
            label, percent = answer_to(image).rstrip("%\n ").rsplit("  ", 1)
            with self.subTest(run=name, program=program, image=image.name, kind=self.photos[image]):
                self.assertEqual(label.strip(), ours["class"].strip())
                # Decoders and filters round another way: a level or two.
                self.assertAlmostEqual(float(percent), 100 * ours["probability"], delta=2.5)
            shares.append(float(percent) if ours["class"] == CLASSES[0] else 100 - float(percent))
        print(f"{name:9} {program:24} {'  '.join(f'{share:6.2f}' for share in shares)}", file=sys.stderr)
        self.assertGreater(max(shares) - min(shares), 5, f"{name}: images that differ give other answers")

    def test_the_programs_in_python_say_what_signet_predicts(self):
        for name in RUNS:
            found = {heading: code["python"] for heading, code in programs(self.card(name)).items() if "python" in code}
            self.assertEqual(list(found), ["TorchScript, in Python", "ONNX, in Python", "safetensors, in Python"])
            for heading, code in found.items():
                def answer_to(image):
                    said = io.StringIO()
                    call = unittest.mock.patch.object(sys, "argv", ["classify.py", str(image)])
                    with in_folder(self.export(name)), contextlib.redirect_stdout(said), call:
                        exec(compile(code, heading, "exec"), {"__name__": "__main__"})
                    return said.getvalue()

                clear = [] if name == "scaled" else ["clear"]  # which has no background
                self.expect(name, heading, answer_to, ["jpg", "png", "turned", *clear])

    def test_the_program_in_cpp_says_what_signet_predicts(self):
        headers = [INTEROP / "stb_image.h", pathlib.Path("/usr/include/stb/stb_image.h")]
        header = next(filter(pathlib.Path.exists, headers), None)
        if header is None:
            self.skipTest("there is no stb_image.h; scripts/interop-packages says why")
        for name in ["squeeze", "crop", "pad", "grey"]:
            code = programs(self.card(name))["TorchScript, in C++"]
            shutil.copy(header, self.export(name))
            (self.export(name) / "classify.cpp").write_text(code["cpp"])
            build = code["sh"].split("./classify")[0]
            environment = {**os.environ, "LIBTORCH": os.environ["LIBTORCH_HOME"]}
            subprocess.run(["sh", "-c", build], cwd=self.export(name), env=environment, check=True)

            def answer_to(image):
                call = ["./classify", str(image)]
                return subprocess.run(call, cwd=self.export(name), capture_output=True, text=True, check=True).stdout

            self.expect(name, "TorchScript, in C++", answer_to, ["jpg", "png", "clear"])

    def test_the_page_for_browsers_says_what_signet_predicts(self):
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        runtime = INTEROP / "onnxruntime-web"
        for what, found in [("Chromium", chromium), ("chromedriver", shutil.which("chromedriver")), ("ONNX Runtime for browsers", runtime.exists())]:
            if not found:
                self.skipTest(f"there is no {what}; the page for browsers is not tried")
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=self.home)
        with unittest.mock.patch.object(http.server.SimpleHTTPRequestHandler, "log_message"):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                with Browser(chromium) as browser:
                    for name in RUNS:
                        page = programs(self.card(name))["ONNX, in a browser"]["html"]
                        address = re.search(r"https://cdn\.jsdelivr\.net/npm/onnxruntime-web@[0-9.]+/dist/", page)[0]
                        # What the address has, from the same package.
                        (self.export(name) / "index.html").write_text(page.replace(address, ""))
                        shutil.copytree(runtime, self.export(name), dirs_exist_ok=True)
                        url = f"http://127.0.0.1:{server.server_port}/{name}/export/index.html"
                        clear = [] if name == "scaled" else ["clear"]
                        self.expect(name, "ONNX, in a browser", lambda image: browser.answer(url, image), ["jpg", "png", "turned", *clear])
            finally:
                server.shutdown()
                server.server_close()

    def test_the_head_of_a_card_is_that_of_hugging_face(self):
        head = yaml.safe_load(self.card("squeeze").split("---\n")[1])
        self.assertEqual(head["license"], "apache-2.0")
        self.assertEqual(head["pipeline_tag"], "image-classification")
        self.assertEqual(head["library_name"], "pytorch")
        self.assertEqual(head["tags"], ["signet", "torchscript", "onnx", "safetensors"])
        self.assertEqual(head["metrics"], ["accuracy", "precision", "recall", "f1"])


class Browser:
    """Chromium without a window, by the WebDriver protocol (w3.org/TR/webdriver2)."""

    def __init__(self, chromium):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.root = f"http://127.0.0.1:{port}"
        self.chromium = chromium

    def __enter__(self):
        for _ in range(100):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.root + "/status").close()
                break
            time.sleep(0.1)
        options = {"binary": self.chromium, "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]}
        session = self.call("/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
        self.root += f"/session/{session['sessionId']}"
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(urllib.request.Request(self.root, method="DELETE")).close()
        self.driver.terminate()
        self.driver.wait()

    def call(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.root + path, data)) as answer:
            return json.load(answer)["value"]

    def answer(self, url, image):
        """What the page at `url` says of an image that is chosen there."""
        self.call("/url", {"url": url})
        [field] = self.call("/element", {"using": "css selector", "value": "input"}).values()
        self.call(f"/element/{field}/value", {"text": str(image)})
        script = "return document.querySelector('output').textContent"
        for _ in range(300):
            said = self.call("/execute/sync", {"script": script, "args": []})
            if said:
                return said
            time.sleep(0.1)
        raise AssertionError(f"the page says nothing of {image}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
