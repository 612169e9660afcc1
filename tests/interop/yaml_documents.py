"""What signet writes as YAML in the hands of a reader of YAML 1.1: PyYAML takes it for the same values.

Run by check.py, or alone where SIGNET names the binary.
"""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import yaml

# What YAML 1.1 takes for truth, nothing, numbers, dates and operators, and what needs escapes.
CLASSES = [
    "no", "yes", "on", "off", "y", "n", "Y", "No", "TRUE", "~", "null", "1:30", "1_000", "0x1F", "0o7", "012", "0b1",
    "1e3", "1.5", ".5", ".inf", "2024-01-01", "2001-12-14 21:59:43", "=", "<<", "- a", "a: b", "a #b", "it's", "",
    " x ", "[a]", "{a", "*a", "&a", "!a", "%a", "@a", "`a", "|", ">", "?", "a\nb", "\x1b[31m", "\u0085\u2028", "\ufeffé", "日",
]


class YamlDocuments(unittest.TestCase):
    def test_pyyaml_takes_resolved_experiments_for_the_same_values(self):
        with tempfile.TemporaryDirectory() as folder:
            source = {"kind": "npy", "images": "X.npy", "labels": "Y.npy"}
            # signet's own reader merges a key `<<` even where it is quoted.
            source["label_map"] = {name: number for number, name in enumerate(CLASSES) if name != "<<"}
            experiment = {
                "version": 1,
                "name": "no",
                "data": {"source": source, "classes": CLASSES},
                "model": {"kind": "ann"},
                "train": {"optimizer": {"kind": "adamw", "lr": 2.5e-7, "eps": 1e-8}},
            }
            # JSON is YAML, and quotes every text.
            file = pathlib.Path(folder, "own.yaml")
            file.write_text(json.dumps(experiment))
            call = [os.environ["SIGNET"], "config", "show", file]
            answer = subprocess.run(call, capture_output=True, check=True)
            shown = yaml.safe_load(answer.stdout.decode())
            self.assertEqual(shown["name"], "no")
            self.assertEqual(shown["data"]["classes"], CLASSES)
            self.assertEqual(shown["data"]["source"]["label_map"], source["label_map"])
            self.assertEqual(shown["train"]["optimizer"]["lr"], 2.5e-7)
            self.assertEqual(shown["train"]["optimizer"]["eps"], 1e-8)


if __name__ == "__main__":
    unittest.main(verbosity=2)
