# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Published models, compiled whole, against ONNX Runtime.

The models come from the cache that `tools/bootstrap test` fills; where it is
empty these tests are skipped. SPARSE_OPT names the compiler.
"""
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy

import sparse_opt

try:
    import onnxruntime
except ImportError:
    onnxruntime = None

CACHE = pathlib.Path(os.environ.get("SPARSE_OPT_CACHE") or
                     pathlib.Path.home() / ".cache" / "sparse-opt")
SHAPES = [(1, 1), (1, 16), (3, 7), (1, 128), (8, 128), (1, 512)]
WORDS = 30522
BOUND = 1e-4


def feeds_of(inputs, batch, sequence, padded):
    """Random words; with `padded`, row i ends after a part of its length."""
    random = numpy.random.default_rng(1000 * batch + sequence)
    mask = numpy.ones((batch, sequence), numpy.int64)
    if padded:
        for row in range(batch):
            mask[row, max(1, sequence * (row + 1) // (batch + 1)):] = 0
    made = {"input_ids": random.integers(0, WORDS, (batch, sequence)),
            "attention_mask": mask,
            "token_type_ids": random.integers(0, 2, (batch, sequence))}
    return {each.name: made[each.name] for each in inputs}


def compile_model(model, out, *flags):
    done = subprocess.run(
        [os.environ.get("SPARSE_OPT", "sparse-opt"), "compile", model, "-o", out,
         *flags], capture_output=True, text=True)
    if done.returncode or done.stderr:  # quiet in a pipe
        raise AssertionError(f"compile {model.name}: {done.stderr[:2000]}")


class Model:
    """One model's tests; a subclass names its file."""
    file = None
    bound = BOUND

    @classmethod
    def prepare(cls, path):
        """The file to compile, of the one in the cache."""
        return path

    @classmethod
    def setUpClass(cls):
        if onnxruntime is None:
            raise unittest.SkipTest("needs onnxruntime to compare with")
        cls.path = CACHE / "models" / cls.file
        if not cls.path.is_file():
            raise unittest.SkipTest(f"no {cls.path}: run tools/bootstrap test")
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = cls.prepare(cls.path)
        cls.compiled = pathlib.Path(cls.folder.name) / "model.so"
        compile_model(cls.path, cls.compiled)
        cls.models = [sparse_opt.load(str(cls.compiled), threads=threads)
                      for threads in (1, 2)]
        cls.reference = onnxruntime.InferenceSession(
            str(cls.path), providers=["CPUExecutionProvider"])

    def difference(self, got, want):
        return numpy.abs(got - want).max()

    def compare(self, batch, sequence, padded):
        feeds = feeds_of(self.reference.get_inputs(), batch, sequence, padded)
        wanted = self.reference.run(None, feeds)
        one, two = (model.run(None, feeds) for model in self.models)
        self.assertEqual(len(one), len(wanted))
        for got, again, want in zip(one, two, wanted):
            self.assertEqual(got.dtype, want.dtype)
            self.assertEqual(got.shape, want.shape)
            self.assertEqual(got.tobytes(), again.tobytes(),
                             "the result depends on the number of threads")
            self.assertTrue(numpy.isfinite(got).all())
            self.assertLessEqual(self.difference(got.astype(float), want),
                                 self.bound)

    def test_names_and_types(self):
        for ours, theirs in ((self.models[0].get_inputs(), self.reference.get_inputs()),
                             (self.models[0].get_outputs(), self.reference.get_outputs())):
            self.assertEqual([(each.name, each.type, len(each.shape)) for each in ours],
                             [(each.name, each.type, len(each.shape)) for each in theirs])

    def test_bad_sizes_and_words(self):
        feeds = feeds_of(self.reference.get_inputs(), 1, 513, False)
        with self.assertRaisesRegex(ValueError, r"sequence\w* must be at most 512 \(513 against 512\)"):
            self.models[0].run(None, feeds)
        feeds = feeds_of(self.reference.get_inputs(), 1, 16, False)
        feeds["input_ids"][0, 3] = WORDS
        with self.assertRaisesRegex(ValueError, f"'input_ids': index {WORDS} is outside"):
            self.models[0].run(None, feeds)

    def test_same_bytes_again(self):
        again = self.compiled.with_name("again.so")
        compile_model(self.path, again)
        self.assertEqual(self.compiled.read_bytes(), again.read_bytes())


def add_shapes(cls):
    for batch, sequence in SHAPES:
        for padded in (False, True):
            def test(self, arguments=(batch, sequence, padded)):
                self.compare(*arguments)
            name = f"test_{batch}x{sequence}" + ("_padded" if padded else "")
            setattr(cls, name, test)


add_shapes(Model)


class ParaphraseL3(Model, unittest.TestCase):
    file = "paraphrase-MiniLM-L3-v2.onnx"


class AllMiniLML6(Model, unittest.TestCase):
    file = "all-MiniLM-L6-v2/all-MiniLM-L6-v2.onnx"


class AllMiniLML6Int8(Model, unittest.TestCase):
    file = "all-MiniLM-L6-v2-int8.onnx"


class AnyShapeAndThreads(unittest.TestCase):
    """1,000 runs with random shapes: 2 to 4 threads give the bits of one."""

    def check(self, *flags):
        path = CACHE / "models" / ParaphraseL3.file
        if not path.is_file():
            raise unittest.SkipTest(f"no {path}: run tools/bootstrap test")
        random = numpy.random.default_rng(5)
        with tempfile.TemporaryDirectory() as folder:
            compiled = pathlib.Path(folder) / "model.so"
            compile_model(path, compiled, *flags)
            models = [sparse_opt.load(str(compiled), threads=threads)
                      for threads in (1, 2, 3, 4)]
            for _ in range(250):
                batch, sequence = random.integers(1, 4), random.integers(1, 70)
                feeds = feeds_of(models[0].get_inputs(), batch, sequence, True)
                one, *others = (model.run(["461"], feeds)[0] for model in models)
                for other in others:
                    self.assertEqual(one.tobytes(), other.tobytes(),
                                     f"{batch}x{sequence}")

    def test_f32(self):
        self.check()

    def test_bf16(self):
        self.check("--dtype=bf16")


class Bf16(unittest.TestCase):
    """Lossy: cosine of the mean over the unpadded tokens, to ONNX Runtime."""

    def check(self, file):
        path = CACHE / "models" / file
        if not path.is_file():
            raise unittest.SkipTest(f"no {path}: run tools/bootstrap test")
        reference = onnxruntime.InferenceSession(
            str(path), providers=["CPUExecutionProvider"])
        with tempfile.TemporaryDirectory() as folder:
            compiled = pathlib.Path(folder) / "model.so"
            compile_model(path, compiled, "--dtype=bf16")
            models = [sparse_opt.load(str(compiled), threads=threads)
                      for threads in (1, 2)]
            for batch, sequence in SHAPES:
                self.compare(models, reference, batch, sequence)

    def compare(self, models, reference, batch, sequence):
        feeds = feeds_of(reference.get_inputs(), batch, sequence, padded=True)
        mask = feeds["attention_mask"][:, :, None]
        results = [reference.run(None, feeds)] + [m.run(None, feeds) for m in models]
        for want, one, two in zip(*results):
            self.assertEqual(one.tobytes(), two.tobytes(),
                             "the result depends on the number of threads")
            if one.dtype != numpy.float32:
                numpy.testing.assert_array_equal(one, want)
                continue
            rows = [(each * mask).sum(1) if each.ndim == 3 else each
                    for each in (one, want)]
            cosine = (rows[0] * rows[1]).sum(1) / numpy.prod(
                [numpy.linalg.norm(each, axis=1) for each in rows], axis=0)
            self.assertGreaterEqual(cosine.mean(), 0.9999, f"{batch}x{sequence}")

    def test_paraphrase_l3(self):
        self.check(ParaphraseL3.file)

    def test_all_minilm_l6(self):
        self.check(AllMiniLML6.file)


if __name__ == "__main__":
    unittest.main()
