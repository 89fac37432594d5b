# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calibration of a published model: what the profile says against what ONNX
Runtime computes inside of the blocks, and profiles made of text.

The model comes from the cache that `tools/bootstrap test` fills; where it is
empty these tests are skipped. SPARSE_OPT names the compiler.
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy

try:
    import onnx
    import onnxruntime
except ImportError:
    onnxruntime = None
try:
    import tokenizers
except ImportError:
    tokenizers = None

CACHE = pathlib.Path(os.environ.get("SPARSE_OPT_CACHE") or
                     pathlib.Path.home() / ".cache" / "sparse-opt")
MODEL = CACHE / "models" / "all-MiniLM-L6-v2" / "all-MiniLM-L6-v2.onnx"
TOKENIZER = CACHE / "models" / "tokenizer.json"
SPARSE_OPT = os.environ.get("SPARSE_OPT", "sparse-opt")
SAMPLED = 171  # fit rows of 384 + 384 values in bf16 and a key, six times, in 2 MB
BLOCK = "/model/encoder/layer.%d/output/dense/MatMul"


def run(*arguments):
    done = subprocess.run([SPARSE_OPT, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{arguments[0]}: {done.stderr[:2000]}")
    if done.stderr:  # quiet in a pipe
        raise AssertionError(f"{arguments[0]} wrote: {done.stderr[:2000]}")
    return done.stdout


def data(sequences, length, seed):
    random = numpy.random.default_rng(seed)
    mask = numpy.arange(length) < random.integers(2, length + 1, (sequences, 1))
    ids = random.integers(1000, 30000, (sequences, length))
    return {"input_ids": ids, "attention_mask": mask.astype(numpy.int64),
            "token_type_ids": numpy.zeros_like(ids)}


class PublishedModel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not MODEL.is_file():
            raise unittest.SkipTest(f"no {MODEL}: run tools/bootstrap test")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.feeds = [data(24, 20, 1), data(30, 9, 2)]
        cls.profiles = []
        for number, feeds in enumerate(cls.feeds):
            inputs = cls.folder / f"{number}.npz"
            numpy.savez(inputs, **feeds)
            profile = inputs.with_suffix(".profile")
            run("calibrate", MODEL, f"--inputs={inputs}", "--sample-mb=2", "-o", profile)
            cls.profiles.append(profile)

    def inspect(self, profile):
        return json.loads(run("inspect", profile, "--json"))

    def test_threads_and_order_change_no_bit(self):
        one = self.folder / "one.profile"
        run("calibrate", MODEL, f"--inputs={self.folder / '0.npz'}", "--sample-mb=2",
            "--threads=1", "-o", one)
        self.assertEqual(one.read_bytes(), self.profiles[0].read_bytes())
        merged = [self.folder / name for name in ("ab.profile", "ba.profile")]
        run("merge", *self.profiles, "-o", merged[0])
        run("merge", *reversed(self.profiles), "-o", merged[1])
        self.assertEqual(merged[0].read_bytes(), merged[1].read_bytes())
        self.assertEqual(self.inspect(merged[0])["sequences"], 54)

    def test_rows_are_those_of_the_mask(self):
        for feeds, profile in zip(self.feeds, self.profiles):
            described = self.inspect(profile)
            self.assertEqual(len(described["blocks"]), 6)
            for block in described["blocks"]:
                self.assertEqual(block["rows"] + block["held_out_rows"],
                                 feeds["attention_mask"].sum())
                self.assertTrue(block["residual"])
                self.assertEqual(block["sampled_rows"], min(block["rows"], SAMPLED))
            self.assertEqual(described["kept_sequences"] + described["kept_held_out_sequences"],
                             len(feeds["input_ids"]))

    @unittest.skipIf(onnxruntime is None, "needs onnxruntime to compare with")
    def test_activations_are_those_of_onnx_runtime(self):
        model = onnx.load(MODEL)
        acts = {}
        for node in model.graph.node:
            for layer in range(6):
                if node.name == BLOCK % layer:
                    acts[layer] = node.input[0]
        for name in acts.values():
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        session = onnxruntime.InferenceSession(model.SerializeToString(),
                                               providers=["CPUExecutionProvider"])
        feeds = self.feeds[0]
        values = session.run([acts[layer] for layer in range(6)], feeds)
        described = self.inspect(self.profiles[0])["blocks"]
        for layer, value in enumerate(values):
            block = described[layer]
            self.assertEqual(block["name"], BLOCK % layer)
            # Held-out sequences are unknown here, and few: quantiles move little.
            magnitudes = numpy.abs(value[feeds["attention_mask"] != 0])
            for q, tolerance in ((50, 0.1), (90, 0.1), (99, 0.15)):
                expected = numpy.percentile(magnitudes, q)
                self.assertAlmostEqual(block["abs_act"][f"p{q}"], expected,
                                       delta=tolerance * expected, msg=f"{layer} p{q}")
            self.assertLessEqual(block["abs_act"]["max"], magnitudes.max() * 1.0001)


@unittest.skipIf(tokenizers is None, "needs tokenizers")
class Text(unittest.TestCase):
    def test_sentences_of_a_file(self):
        if not MODEL.is_file() or not TOKENIZER.is_file():
            raise unittest.SkipTest(f"no {MODEL}: run tools/bootstrap test")
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            text = "\n\n".join(f"This is sentence number {i}. And it has a second one."
                               for i in range(20))
            (folder / "text.txt").write_text(text)
            profile = folder / "text.profile"
            done = subprocess.run(
                [sys.executable, "-m", "sparse_opt.calibrate", MODEL, f"--text={folder}/text.txt",
                 f"--tokenizer={TOKENIZER}", "--limit=30", f"--sparse-opt={SPARSE_OPT}",
                 "-o", profile, "--sample-mb=1"], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("rows of 30 sequences", done.stdout)
            self.assertTrue(profile.is_file())


if __name__ == "__main__":
    unittest.main()
