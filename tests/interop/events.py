"""TensorBoard's event files, read by Google's protobuf with the fields that TensorFlow gives them.

Part of check.py; alone it needs protobuf and SIGNET (the binary).
"""
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import unittest

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

SIGNET = os.environ["SIGNET"]
# What scalars need of tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto.
SCHEMA = """
name: "event.proto" package: "tensorflow" syntax: "proto3"
message_type { name: "Value"
  field { name: "tag" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "simple_value" number: 2 type: TYPE_FLOAT label: LABEL_OPTIONAL } }
message_type { name: "Summary"
  field { name: "value" number: 1 type: TYPE_MESSAGE type_name: ".tensorflow.Value" label: LABEL_REPEATED } }
message_type { name: "Event"
  field { name: "wall_time" number: 1 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
  field { name: "step" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL }
  field { name: "file_version" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL }
  field { name: "summary" number: 5 type: TYPE_MESSAGE type_name: ".tensorflow.Summary" label: LABEL_OPTIONAL } }
"""
EXPERIMENT = (
    "version: 1\nthreads: 1\ndevice: cpu\ndata: {source: {kind: class_folders, root: data}, image: {height: 16, width: 16}}\n"
    "model: {kind: ann}\ntrain: {epochs: 4, batch_size: 8}\nlog: {tensorboard: true}\n"
)


def masked_crc32c(data):
    """RFC 3720, appendix B.4, a bit at a time; masked as tensorflow/core/lib/hash/crc32c.h does."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return (crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF


def event_class():
    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(SCHEMA, descriptor_pb2.FileDescriptorProto()))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Event"))


class Events(unittest.TestCase):
    def events(self, data):
        """The events in the frames of `data`, whose checksums must be right."""
        event = event_class()
        while data:
            [length, of_length] = struct.unpack("<QI", data[:12])
            body, [of_body] = data[12 : 12 + length], struct.unpack("<I", data[12 + length : 16 + length])
            self.assertEqual((of_length, of_body), (masked_crc32c(data[:8]), masked_crc32c(body)))
            found = event.FromString(body)
            self.assertEqual(len(found.SerializeToString()), length, "fields that TensorFlow does not know")
            yield found
            data = data[16 + length :]

    def test_tensorboard_gets_the_metrics_of_each_epoch_at_its_optimiser_step(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        home = pathlib.Path(folder.name)
        (home / "own.yaml").write_text(EXPERIMENT)
        for call in [
            "data generate data --images 40 --side 24",
            "train own.yaml --run r -q --until 2",
            "resume r -q",
        ]:
            subprocess.run([SIGNET, *call.split()], cwd=home, check=True, capture_output=True)
        [file] = (home / "r" / "tensorboard").iterdir()
        version, *events = self.events(file.read_bytes())
        self.assertEqual(version.file_version, "brain.Event:2")
        found = [(event.step, {value.tag: value.simple_value for value in event.summary.value}) for event in events]

        def single(number):
            return struct.unpack("f", struct.pack("f", number))[0]

        expected = []
        for record in map(json.loads, (home / "r" / "metrics.jsonl").read_text().splitlines()):
            scalars = {f"{part}/{key}": value for part in ["train", "val"] for key, value in record[part].items()}
            scalars["lr"] = record["lr"]
            expected.append((record["step"], {tag: single(value) for tag, value in scalars.items()}))
        self.assertEqual(found, expected)
        self.assertEqual(len(found), 4)
        self.assertGreater(found[0][0], 1)


if __name__ == "__main__":
    unittest.main()
