"""The report in a browser: headless Chromium opens what signet writes and serves, points, clicks, types and looks.

Part of check.py; alone it needs selenium, scikit-learn, Pillow, numpy, chromium, chromedriver and SIGNET (the binary). With
SCREENSHOTS (a folder) it leaves what it saw there.
"""
import csv
import io
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

import numpy
from PIL import Image
from sklearn import metrics
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

SIGNET = os.environ["SIGNET"]

# Classes and files that somebody named in bad faith.
HOSTILE = ['<script>window.hacked=1</script>', '"\'><img src=x onerror=window.hacked=1>', "two\nlines", "$x^2$ \u202egnirts"]

EXPERIMENT = """version: 1
name: pages
data: {source: {kind: class_folders, root: data}, image: {height: 16, width: 16}}
model: {kind: cnn, blocks: [{filters: 4}]}
train: {epochs: 4, batch_size: 16}
"""


def signet(*arguments, cwd, code=0):
    answer = subprocess.run([SIGNET, *arguments], cwd=cwd, capture_output=True, text=True)
    assert answer.returncode == code, (arguments, answer.returncode, answer.stderr)
    return answer.stdout + answer.stderr


def draw(folder, classes, images):
    """Images of noise, in classes that differ a little in brightness, so that some are taken for others."""
    random = numpy.random.default_rng(5)
    for number, name in enumerate(classes):
        own = folder / name.replace("/", "\u2215")
        own.mkdir(parents=True)
        for image in range(images):
            levels = random.normal(random.normal(90 + 12 * number, 8), 40, (16, 16)).clip(0, 255).astype("u1")
            Image.fromarray(levels).save(own / f"{name[:20]} {image}.png".replace("/", "\u2215"))


def browser(width):
    options = Options()
    for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    return opened


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if shutil.which("chromedriver") is None:
            raise unittest.SkipTest("there is no chromedriver; install it with 'sudo apt-get install chromium chromium-driver'")
        cls.folder = tempfile.TemporaryDirectory()
        cls.home = pathlib.Path(cls.folder.name)
        draw(cls.home / "data", HOSTILE, 40)
        draw(cls.home / "two", ["cat", "dog"], 60)
        (cls.home / "own.yaml").write_text(EXPERIMENT)
        (cls.home / "two.yaml").write_text(EXPERIMENT.replace("root: data", "root: two"))
        signet("train", "own.yaml", "--run", "own", "--until", "2", cwd=cls.home)
        signet("resume", "own", cwd=cls.home)
        signet("train", "two.yaml", "--run", "two-run", cwd=cls.home)
        cls.wide = browser(1400)

    @classmethod
    def tearDownClass(cls):
        cls.wide.quit()
        cls.folder.cleanup()

    def open(self, path, within=None):
        page = within or self.wide
        page.get_log("performance")
        page.get_log("browser")
        page.get(path if path.startswith("http") else (self.home / path).as_uri())
        return page

    def live(self, run, *more):
        """A training that is served, and where."""
        log = self.home / f"{run}.log"
        with open(log, "w") as file:
            process = subprocess.Popen([SIGNET, "train", "own.yaml", "--run", run, "--live", *more], cwd=self.home, stderr=file, stdout=subprocess.DEVNULL)
        while not (found := re.search(r"^live: (.*)$", log.read_text(), re.M)):
            time.sleep(0.02)
        return process, found[1]

    def shot(self, page, name):
        if "SCREENSHOTS" in os.environ:
            size = page.execute_script("return [innerWidth, document.documentElement.scrollHeight]")
            page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": size[0], "height": min(size[1], 16000), "deviceScaleFactor": 1, "mobile": False})
            page.save_screenshot(str(pathlib.Path(os.environ["SCREENSHOTS"]) / f"{name}.png"))
            page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": size[0], "height": 900, "deviceScaleFactor": 1, "mobile": False})

    def nothing_odd(self, page, allowed=("file:", "data:", "blob:")):
        """No error was printed, nothing came from elsewhere, and no name became a program."""
        self.assertEqual([entry for entry in page.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")], [])
        for entry in page.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.assertTrue(message["params"]["request"]["url"].startswith(allowed), message["params"]["request"]["url"])
        self.assertIsNone(page.execute_script("return window.hacked ?? null"))
        self.assertEqual(page.execute_script("return [...document.images].filter((image) => image.complete && image.naturalWidth === 0).length"), 0)

    def test_curves_say_their_values_to_the_pointer_and_to_the_arrow_keys(self):
        page = self.open("own/report.html")
        records = [json.loads(line) for line in (self.home / "own/metrics.jsonl").read_text().splitlines()]
        chart = page.find_element(By.CSS_SELECTOR, "figure.chart[aria-label^='Loss']")
        output = chart.find_element(By.TAG_NAME, "output")
        ActionChains(page).move_to_element(chart.find_element(By.TAG_NAME, "svg")).perform()
        self.assertRegex(output.text, r"^epoch \d: train [\d.]+, val [\d.]+$")
        page.execute_script("arguments[0].focus()", chart)
        for key, record in [(Keys.HOME, records[0]), (Keys.ARROW_RIGHT, records[1]), (Keys.END, records[3])]:
            ActionChains(page).send_keys(key).perform()
            numbers = [float(number) for number in re.findall(r"(?:train|val) ([\d.]+)", output.text)]
            self.assertIn(f"epoch {record['epoch']}:", output.text)
            numpy.testing.assert_allclose(numbers, [record["train"]["loss"], record["val"]["loss"]], rtol=5e-5)  # five digits
        self.assertIn("resumed", chart.text)
        self.assertIn("best epoch", chart.text)
        self.nothing_odd(page)
        self.shot(page, "own-1400")

    def test_a_cell_of_the_confusion_matrix_opens_its_images(self):
        page = self.open("own/report.html")
        table = signet("eval", "own", "--json", "-", cwd=self.home)
        counts = json.loads(table[table.index("{"):])["confusion"]
        cells = page.find_elements(By.CSS_SELECTOR, "table.confusion button")
        self.assertEqual(len(cells), sum(count > 0 for row in counts for count in row))
        self.assertGreater(len(cells), 5, "some images are taken for others")
        for cell in cells:
            count = counts[int(cell.get_attribute("data-is"))][int(cell.get_attribute("data-taken"))]
            self.assertEqual(cell.text.split()[0], str(count))
            page.execute_script("arguments[0].focus()", cell)
            ActionChains(page).send_keys(Keys.ENTER).perform()  # the keyboard alone
            dialog = page.find_element(By.ID, "images")
            self.assertTrue(dialog.is_displayed())
            self.assertEqual(len(dialog.find_elements(By.CSS_SELECTOR, ".tile")), count)
            self.assertEqual(len(dialog.find_elements(By.TAG_NAME, "img")), count)
            ActionChains(page).send_keys(Keys.ESCAPE).perform()
            self.assertFalse(dialog.is_displayed())
        self.nothing_odd(page)

    def test_hostile_names_are_text(self):
        page = self.open("own/report.html")
        names = [cell.text for cell in page.find_elements(By.CSS_SELECTOR, "table.confusion tbody th")]
        shown = ['"\'><img src=x onerror=window.hacked=1>', "<script>window.hacked=1<\u2215script>", "two\\nlines", "$x^2$ \\u{202e}gnirts"]
        self.assertEqual(sorted(names), sorted(shown))
        for plot in sorted((self.home / "own/plots").glob("*.svg")):
            self.open(f"own/plots/{plot.name}")
            self.nothing_odd(self.wide)
            Image.open(plot.with_suffix(".png")).verify()
        text = (self.home / "own/plots/confusion.svg").read_text()
        self.assertIn("$x^2$", text, "no formula is made of a name")
        self.assertNotIn("\u202e", (self.home / "own/report.html").read_text())

    def test_the_threshold_tells_what_scikit_learn_would(self):
        page = self.open("two-run/report.html")
        table = signet("eval", "two-run", "--csv", "-", cwd=self.home)
        rows = list(csv.DictReader(io.StringIO(table)))
        truth = numpy.array([row["label"] == "dog" for row in rows])
        score = numpy.array([float(row["p_dog"]) for row in rows])
        facts = dict(zip([fact.text for fact in page.find_elements(By.CSS_SELECTOR, "#figures dt")], [fact.text for fact in page.find_elements(By.CSS_SELECTOR, "#figures dd")]))
        self.assertEqual(facts["area under ROC"], f"{metrics.roc_auc_score(truth, score):.4f}")
        self.assertEqual(facts["average precision"], f"{metrics.average_precision_score(truth, score):.4f}")
        slider = page.find_element(By.ID, "cut")
        page.execute_script("arguments[0].focus()", slider)
        for key, presses in [(Keys.ARROW_LEFT, 0), (Keys.ARROW_LEFT, 3), (Keys.ARROW_RIGHT, 9), (Keys.ARROW_RIGHT, 11)]:
            for _ in range(presses):
                ActionChains(page).send_keys(key).perform()
            cut = float(slider.get_property("value"))
            said = page.find_element(By.ID, "at-threshold").text
            taken = score >= cut
            for name, value in [("accuracy", metrics.accuracy_score(truth, taken)), ("precision", metrics.precision_score(truth, taken, zero_division=numpy.nan)),
                                ("recall", metrics.recall_score(truth, taken)), ("F1", metrics.f1_score(truth, taken))]:
                word = "undefined" if numpy.isnan(value) else f"{100 * value:.2f} %"
                self.assertIn(f"{name} {word}", said, f"at {cut}")
        self.assertNotEqual(cut, 0.5)
        self.nothing_odd(page)
        self.shot(page, "two-1400")

    def test_courses_list_the_images_that_took_them(self):
        page = self.open("own/report.html")
        lines = [json.loads(line) for line in (self.home / "own/samples.jsonl").read_text().splitlines()]
        right = {}
        for line in lines:
            right.setdefault(line["image"], []).append(line["label"] == line["predicted"])
        always = sum(all(marks) for marks in right.values())
        never = sum(not any(marks) for marks in right.values())
        for word, count in [("always right", always), ("always wrong", never)]:
            button = page.find_element(By.CSS_SELECTOR, f"[data-course='{word}']")
            self.assertEqual(button.text, f"{word}: {count}")
            button.send_keys(Keys.ENTER)
            self.assertEqual(len(page.find_elements(By.CSS_SELECTOR, "#courses-images li")), count)
        self.nothing_odd(page)

    def test_the_theme_changes_and_nothing_is_wider_than_a_telephone(self):
        narrow = browser(400)
        try:
            for path in ["own/report.html", "two-run/report.html"]:
                page = self.open(path, narrow)
                seen = []
                for theme in ["light", "dark", "auto"]:
                    page.find_element(By.ID, "theme").send_keys(Keys.ENTER)
                    self.assertIn(theme, page.find_element(By.ID, "theme").text)
                    seen.append(page.execute_script("return getComputedStyle(document.body).backgroundColor"))
                    if theme == "dark":
                        self.shot(page, path.split("/")[0] + "-400-dark")
                self.assertNotEqual(seen[0], seen[1])
                self.assertLessEqual(page.execute_script("return document.documentElement.scrollWidth"), 400)
                self.nothing_odd(page)
        finally:
            narrow.quit()

    def test_everything_can_be_reached_by_keys_and_has_a_name(self):
        page = self.open("own/report.html")
        page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
        self.assertEqual(page.switch_to.active_element.text, "Skip to the report")
        unnamed = page.execute_script("""
            const name = (element) => element.getAttribute("aria-label") || element.textContent.trim() || element.labels?.[0]?.textContent;
            return [...document.querySelectorAll("button, a, input, figure, [role=region], summary")].filter((element) => !name(element)).length""")
        self.assertEqual(unnamed, 0)
        self.assertEqual(page.execute_script("return document.querySelectorAll('img:not([alt])').length"), 0)
        self.assertEqual(page.execute_script("return document.documentElement.lang"), "en")
        headings = [heading.tag_name for heading in page.find_elements(By.CSS_SELECTOR, "main h1, main h2, main h3")]
        self.assertEqual(headings[0], "h1")
        self.assertEqual(headings.count("h1"), 1)

    def test_a_training_can_be_followed_to_its_end(self):
        more = ["-s", "train.epochs=1500"]
        process, address = self.live("live", *more)
        port = int(re.search(r":(\d+)/", address)[1])
        # Somebody who asks and never reads.
        deaf = socket.create_connection(("127.0.0.1", port))
        deaf.sendall(f"GET {address[address.index('/', 8):]}events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        page = self.open(address)
        seen = set()
        while process.poll() is None:
            try:
                seen.add(page.find_element(By.CSS_SELECTOR, ".lead").text)
                status = page.find_element(By.ID, "live").text
            except Exception:  # between two reports
                continue
            time.sleep(0.05)
        self.assertEqual(process.wait(), 0)
        self.assertEqual(status, "ended")
        epochs = sorted({int(number) for lead in seen for number in re.findall(r"(\d+) of 1500 epochs", lead)})
        self.assertGreater(len(epochs), 2, epochs)
        self.assertEqual(epochs[-1], 1500)
        self.assertIn("complete", page.find_element(By.CSS_SELECTOR, ".lead").text)
        self.assertGreater(len(page.find_elements(By.CSS_SELECTOR, "table.confusion button")), 4)
        self.nothing_odd(page, ("http://127.0.0.1:", "data:", "blob:"))
        deaf.close()
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        straight = subprocess.run([SIGNET, "train", "own.yaml", "--run", "straight", *more], cwd=self.home, capture_output=True)
        self.assertEqual(straight.returncode, 0)
        for name in ["metrics.jsonl", "samples.jsonl"]:
            self.assertEqual((self.home / "live" / name).read_bytes(), (self.home / "straight" / name).read_bytes())

    def test_a_live_page_is_for_who_has_its_address_and_there_is_nothing_to_do(self):
        taken = socket.create_server(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        said = signet("train", "own.yaml", "--run", "never", "--live", "--port", str(port), cwd=self.home, code=2)
        self.assertRegex(said, f"signet: port {port} cannot be served on; choose another with --port")
        taken.close()
        process, address = self.live("lone", "-s", "train.epochs=3000")
        try:
            root = address[:address.index("/", 8)]
            self.assertEqual(urllib.request.urlopen(address).status, 200)
            cases = [("GET", root + "/", 404), ("GET", root + "/" + "0" * 32 + "/", 404), ("GET", address + "../own.yaml", 404),
                     ("GET", address + "..%2f..%2fetc/passwd", 404), ("GET", address + "metrics.jsonl", 404), ("POST", address, 405), ("PUT", address + "page", 405), ("DELETE", address, 405)]
            for method, url, code in cases:
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(urllib.request.Request(url, method=method, data=b"x" if method in ("POST", "PUT") else None))
                self.assertEqual(refused.exception.code, code, url)
            own = socket.gethostbyname(socket.gethostname())
            if not own.startswith("127."):
                with self.assertRaises(OSError):
                    socket.create_connection((own, int(root.rsplit(":", 1)[1])), timeout=2)
            shutil.move(self.home / "lone", self.home / "gone")  # somebody removes the run
            try:
                status = urllib.request.urlopen(address + "page").status
            except urllib.error.HTTPError as error:
                status = error.code
            self.assertIn(status, (200, 410))
        finally:
            process.kill()
            process.communicate()

    def test_studies_and_comparisons_have_pages_too(self):
        signet("cv", "two.yaml", "--folds", "3", "--run", "cv", "-s", "train.epochs=2", cwd=self.home)
        (self.home / "sweep.yaml").write_text("version: 1\nbase: two.yaml\nover: {train.optimizer.lr: [0.001, 0.01], model.dropout: [0.0, 0.3]}\n")
        signet("sweep", "sweep.yaml", "--run", "sweep", "-j", "2", cwd=self.home)
        signet("report", "own", "two-run", "--out", "side.html", cwd=self.home)
        for path, plots in [("cv/report.html", 4), ("sweep/report.html", 4), ("side.html", 3)]:
            page = self.open(path)
            self.assertGreaterEqual(len(page.find_elements(By.CSS_SELECTOR, "figure.chart svg")), plots, path)
            self.nothing_odd(page)
            self.shot(page, path.replace("/", "-"))
            self.assertLessEqual(page.execute_script("return document.documentElement.scrollWidth"), 1400)


if __name__ == "__main__":
    unittest.main()
