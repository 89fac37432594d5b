# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Small decoders with past key/values, from both exporters, against ONNX
Runtime: prefill, steps, left-padded batches, threads, variants, bad inputs.

The graphs are text in test/models (export_decoders.py there made them), their
weights made up by write_weights.py. SPARSE_OPT names the compiler.
"""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy

import sparse_opt

try:
    import onnxruntime
except ImportError:
    onnxruntime = None

MODELS = pathlib.Path(__file__).resolve().parents[1] / "models"
WORDS, WIDTH, LAYERS = 320, 64, 2
BOUND = 2e-5  # of the largest logit


def write(graph, folder):
    """A graph's ONNX file with made-up weights."""
    model = folder / f"{graph}.onnx"
    subprocess.run([sys.executable, "-B", MODELS / "write_weights.py",
                    MODELS / f"{graph}.onnxtxt", "random", model], check=True)
    return model


def build(graph, folder, *flags, notes=""):
    """The same, and the compiled model; `notes`: what compile says meanwhile."""
    model, compiled = write(graph, folder), folder / "-".join([graph, *flags, "compiled.so"])
    done = subprocess.run(
        [os.environ.get("SPARSE_OPT", "sparse-opt"), "compile", model, "-o",
         compiled, *flags], capture_output=True, text=True)
    if done.returncode or done.stderr != notes:
        raise AssertionError(f"compile {graph}: {done.stderr[:2000]}")
    return model, compiled


def random_ids(*shape):
    return numpy.random.default_rng(shape).integers(5, WORDS, shape)


def empty_caches(session, batch, past=0):
    """Random ones when `past` isn't 0."""
    random = numpy.random.default_rng(past)
    return {each.name: random.standard_normal(
                (batch, each.shape[1], past, each.shape[3])).astype(numpy.float32)
            for each in session.get_inputs() if "past" in each.name}


def longer(cache):
    """With one row more."""
    return numpy.concatenate([cache, cache[:, :, :1]], 2)


def feeds_of(session, ids, mask, caches, **others):
    """What a decoder takes for `ids`, with `mask` over past and ids."""
    made = {"input_ids": ids, "attention_mask": mask, **others,
            "position_ids": (mask.cumsum(1) - 1).clip(0)[:, -ids.shape[1]:]}
    return {each.name: made[each.name] for each in session.get_inputs()
            if each.name not in caches} | caches


def after(session, outputs):
    """Caches for the next step: presents become pasts."""
    names = [each.name for each in session.get_outputs()]
    return {name.replace("present", "past_key_values"): value
            for name, value in zip(names[1:], outputs[1:])}


def greedy(session, ids, mask, steps, **others):
    """(tokens [batch, steps], logits of every step's last row). No token comes
    twice: made-up weights would soon say one word alone."""
    caches, tokens, logits = empty_caches(session, len(ids)), [], []
    said = numpy.zeros((len(ids), WORDS), bool)
    for _ in range(steps):
        outputs = session.run(None, feeds_of(session, ids, mask, caches, **others))
        caches = after(session, outputs)
        logits.append(outputs[0][:, -1])
        ids = numpy.where(said, -numpy.inf, logits[-1]).argmax(-1)[:, None]
        numpy.put_along_axis(said, ids, True, 1)
        tokens.append(ids)
        mask = numpy.pad(mask, ((0, 0), (0, 1)), constant_values=1)
    return numpy.hstack(tokens), numpy.stack(logits, 1)


@contextlib.contextmanager
def variant(target):
    """Models load for `target`; the test is skipped where the CPU lacks it."""
    os.environ["SPARSE_OPT_ISA"] = target
    try:
        yield
    except sparse_opt.SparseOptError as error:
        raise unittest.SkipTest(str(error)) from None
    finally:
        del os.environ["SPARSE_OPT_ISA"]


class Compiled:
    """One graph, compiled once for the class."""
    flags, notes = (), ""

    @classmethod
    def setUpClass(cls):
        if onnxruntime is None:
            raise unittest.SkipTest("needs onnxruntime to compare with")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.sessions = {}
        for graph in cls.graphs:
            model, cls.path = build(graph, pathlib.Path(folder.name), *cls.flags,
                                   notes=cls.notes)
            cls.sessions[graph] = (
                sparse_opt.load(cls.path, threads=2), onnxruntime.InferenceSession(
                    model, providers=["CPUExecutionProvider"]))
        cls.model, cls.reference = cls.sessions[cls.graphs[-1]]

    def assert_close(self, got, want):
        self.assertEqual(got.shape, want.shape)
        self.assertLessEqual(numpy.abs(got - want).max(initial=0),
                             BOUND * max(1, numpy.abs(want).max(initial=0)))

    def refused(self, sentence, past=4, **changes):
        """`changes`: what to do to inputs whose names begin so."""
        feeds = self.run_shape(2, 3, past)
        for name, change in changes.items():
            feeds = {key: change(value) if key.startswith(name) else value
                     for key, value in feeds.items()}
        with self.assertRaisesRegex(ValueError, f"^{sentence}$"):
            self.model.run(None, feeds)
        self.model.run(None, self.run_shape(2, 3, 4))  # and it goes on

    def check_caches_and_ids(self):
        """Mistakes that all decoders must name."""
        self.refused('"past" is 4 in input "past_key_values.0.key" \\(dimension 2\\), but 5 '
                     'in input "past_key_values.1.value" \\(dimension 2\\)',
                     **{"past_key_values.1.value": longer})
        self.refused('"batch" is 2 in input "input_ids" .*but 1 in input "past_key_values.0.key".*',
                     **{"past_key_values.0.key": lambda cache: cache[:1]})
        self.refused('dimension 3 of input "past_key_values.0.key" must be 16, not 15',
                     **{"past_key_values.0.key": lambda cache: cache[..., 1:].copy()})
        for index in WORDS, -WORDS - 1:
            self.refused(r"node '\S+' \(Gather\): index out of range in input 'input_ids': "
                         rf"index {index} is outside \[-{WORDS}, {WORDS}\)",
                         input_ids=lambda ids: ids * 0 + index)

    def compare(self, graph, feeds):
        model, reference = self.sessions[graph]
        outputs = model.run(None, feeds)
        for got, want in zip(outputs, reference.run(None, feeds)):
            self.assert_close(got, want)
        return outputs


class Decoder(Compiled):
    """Tests of decoders alone; a subclass names its graph."""

    def run_shape(self, batch, sequence, past, hidden=0):
        ids = random_ids(batch, sequence)
        mask = numpy.ones((batch, past + sequence), numpy.int64)
        for row in range(batch):  # from the left, all rows differently
            mask[row, :min(past, row * hidden)] = 0
        return feeds_of(self.model, ids, mask, empty_caches(self.model, batch, past))

    def test_prefill_and_odd_sizes(self):
        for batch, sequence, past in [(1, 1, 0), (1, 17, 0), (1, 130, 0), (3, 5, 0),
                                      (1, 1, 1), (1, 1, 16), (1, 1, 201),
                                      (2, 1, 33), (1, 7, 19), (5, 3, 1)]:
            with self.subTest(batch=batch, sequence=sequence, past=past):
                self.compare(self.graphs[-1], self.run_shape(batch, sequence, past, 3))

    def test_steps_choose_the_same_tokens(self):
        ids = random_ids(2, 9)
        mask = numpy.ones_like(ids)
        got, logits = greedy(self.model, ids, mask, 40)
        want, expected = greedy(self.reference, ids, mask, 40)
        numpy.testing.assert_array_equal(got, want)
        self.assert_close(logits, expected)

    def test_left_padded_batch_equals_single_runs(self):
        lengths = [11, 3, 8, 1]
        longest = max(lengths)
        ids = random_ids(len(lengths), longest)
        mask = numpy.array([[i >= longest - length for i in range(longest)]
                            for length in lengths]).astype(numpy.int64)
        tokens, logits = greedy(self.model, ids * mask, mask, 12)
        for row, length in enumerate(lengths):
            alone = ids[row:row + 1, longest - length:]
            single, expected = greedy(self.model, alone, numpy.ones_like(alone), 12)
            numpy.testing.assert_array_equal(tokens[row], single[0])
            self.assert_close(logits[row], expected[0])

    def test_threads_do_not_change_a_bit(self):
        models = [sparse_opt.load(self.path, threads=threads) for threads in (1, 2, 3, 4)]
        for shape in [(1, 1, 40), (1, 13, 0), (4, 2, 9), (2, 33, 5)]:
            feeds = self.run_shape(*shape, 2)
            one, *others = [[each.tobytes() for each in model.run(None, feeds)]
                            for model in models]
            for other in others:
                self.assertEqual(one, other)

    def test_every_variant(self):
        for target in self.model.manifest["targets"]:
            with self.subTest(target), variant(target):
                model = sparse_opt.load(self.path, threads=1)
                for shape in [(1, 1, 21), (2, 19, 0), (3, 1, 4)]:
                    feeds = self.run_shape(*shape)
                    for got, want in zip(model.run(None, feeds),
                                         self.reference.run(None, feeds)):
                        self.assert_close(got, want)

    def test_bad_inputs_are_one_sentence(self):
        total = next(each for each in self.model.get_inputs()
                     if each.name == "attention_mask").shape[1]
        short = (r"node '\S+' \(Gather\w*\): index out of range of input 'attention_mask': "
                 rf"past\+sequence must be at most {total} ")
        self.refused(short + r"\(8 against 7\)", past_key_values=longer)
        self.refused(short + r"\(7 against 6\)", attention_mask=lambda mask: mask[:, 1:])
        self.check_caches_and_ids()


class PositionTable:
    """Of a decoder with 256 learned positions."""

    def test_too_many_positions(self):
        self.refused(r"node '\S+' \(Gather\): index out of range.*: "
                     r"index 256 is outside \[-256, 256\)", past=254)


class Llama(Decoder, unittest.TestCase):
    """RMSNorm, RoPE, grouped-query heads, SwiGLU, tied head; torchscript."""
    graphs = ["llama"]


class LlamaDynamo(Decoder, unittest.TestCase):
    graphs = ["llama-dynamo"]


class Gpt2(PositionTable, Decoder, unittest.TestCase):
    """LayerNorm, learned positions from outside, one product for Q, K, V."""
    graphs = ["gpt2"]


class Gpt2Dynamo(PositionTable, Decoder, unittest.TestCase):
    """Positions counted from the mask."""
    graphs = ["gpt2-dynamo"]


class Arcee(Decoder, unittest.TestCase):
    """A plain FFN whose activation is relu(x)^2, its zeros skipped in rows up
    to 16: all that holds of a decoder holds of this one."""
    graphs = ["arcee"]
    flags = "--method=ffn-skip-zeros", "--lossless", "--unmeasured"
    notes = ("sparse-opt: note: --lossless was not checked: "
             "there is no --profile= with rows to run\n")

    def test_equals_dense(self):
        with tempfile.TemporaryDirectory() as folder:
            _, path = build("arcee", pathlib.Path(folder))
            dense = sparse_opt.load(path, threads=2)
            for shape in [(1, 1, 40), (1, 16, 3), (1, 17, 3), (5, 3, 0), (2, 130, 0)]:
                feeds = self.run_shape(*shape)
                for got, want in zip(self.model.run(None, feeds), dense.run(None, feeds)):
                    self.assertLessEqual(abs(got - want).max(), 1e-5 * abs(want).max())

    def test_telemetry_counts_what_is_not_zero(self):
        model = sparse_opt.load(self.path, threads=1)
        for i in range(4):
            model.run(None, self.run_shape(1, 1, i))
        stats = model.telemetry()
        self.assertEqual([each["rows"] for each in stats], [4] * LAYERS)
        self.assertEqual([each["fallbacks"] for each in stats], [0] * LAYERS)
        for each in stats:  # made-up weights: about every other neuron
            self.assertGreater(each["density"], 0.2)
            self.assertLess(each["density"], 0.8)
        model.run(None, self.run_shape(1, 17, 0))
        self.assertEqual([each["fallbacks"] for each in model.telemetry()], [17] * LAYERS)

    def test_profile_counts_the_launches_of_the_manifest(self):
        model = sparse_opt.load(self.path, threads=1)
        model.set_profiling(True)
        model.run(None, self.run_shape(1, 1, 8))
        total, times = model.profile()
        kernels, = [each for each in model.manifest["kernels"] if model.target in each["targets"]]
        self.assertEqual(len(times), sum(each.get("launches", 1) for each in kernels["launches"]))
        self.assertTrue(0 < sum(times) <= total < 1, (times, total))


class EncoderDecoder(Compiled):
    """An encoder, and a decoder with cross attention; the last one's caches."""

    def encode(self, ids, mask):
        feeds = {"input_ids": ids, "attention_mask": mask}
        return self.compare(self.graphs[0], feeds)[0]

    def given(self, ids, mask):
        return {"encoder_hidden_states": self.encode(ids, mask),
                "encoder_attention_mask": mask}

    def padded(self, lengths):
        mask = numpy.array([[i < length for i in range(max(lengths))]
                            for length in lengths]).astype(numpy.int64)
        return random_ids(*mask.shape) * mask, mask

    def run_shape(self, batch, sequence, past):
        ids = random_ids(batch, sequence)
        return feeds_of(self.model, ids, numpy.ones((batch, past + sequence), numpy.int64),
                        empty_caches(self.model, batch, past),
                        **self.given(*self.padded(range(3, 3 + batch))))

    def test_bad_inputs_are_one_sentence(self):
        self.check_caches_and_ids()
        self.refused('"source" is 4 in input "encoder_hidden_states" .*but 3 in input '
                     '"encoder_attention_mask".*',
                     encoder_attention_mask=lambda mask: mask[:, 1:].copy())

    def test_encoder(self):
        for lengths in [1], [5, 17, 3], [64]:
            self.encode(*self.padded(lengths))

    def test_prefill_and_odd_sizes(self):
        for lengths, sequence, past in [([4], 1, 0), ([9], 5, 0), ([3, 7], 1, 12),
                                        ([6, 2, 11], 3, 5), ([1], 1, 1)]:
            given = self.given(*self.padded(lengths))
            ids = random_ids(len(lengths), sequence)
            self.compare(self.graphs[1], feeds_of(
                self.model, ids, numpy.ones((len(ids), past + sequence), numpy.int64),
                empty_caches(self.model, len(ids), past), **given))

    def test_batch_equals_single_runs_and_reference(self):
        lengths = [9, 4, 6, 1]
        ids, mask = self.padded(lengths)
        begin = numpy.full((len(lengths), 1), 2)
        given = self.given(ids, mask)
        tokens, logits = greedy(self.model, begin, begin * 0 + 1, 12, **given)
        want, expected = greedy(self.reference, begin, begin * 0 + 1, 12, **given)
        numpy.testing.assert_array_equal(tokens, want)
        self.assert_close(logits, expected)
        for row, length in enumerate(lengths):
            alone = self.given(ids[row:row + 1, :length], mask[row:row + 1, :length])
            single, expected = greedy(self.model, begin[:1], begin[:1] * 0 + 1, 12, **alone)
            numpy.testing.assert_array_equal(tokens[row], single[0])
            self.assert_close(logits[row], expected[0])


class T5(EncoderDecoder, unittest.TestCase):
    """Relative positions; torchscript."""
    graphs = ["t5-encoder", "t5-decoder"]


class Bart(EncoderDecoder, unittest.TestCase):
    """Learned positions, norms behind the blocks; dynamo."""
    graphs = ["bart-encoder", "bart-decoder"]


if __name__ == "__main__":
    unittest.main()
