# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Roles of inputs and outputs, sampling, streams and measures, without a model."""

import pathlib
import tempfile
import unittest
import unittest.mock

import numpy as np

from sparse_opt import measures, texts
from sparse_opt.decoding import Decoder, left_padded
from sparse_opt.sampling import Sampler
from sparse_opt.tokenizing import TextStream, UsageError


class Arg:
    def __init__(self, name, shape, type="tensor(int64)"):
        self.name, self.shape, self.type = name, shape, type


class Counting:
    """A session whose logits say the token behind the last, and what it saw."""

    def __init__(self, pasts, presents, mask="tensor(int64)", ids="input_ids"):
        cache = lambda name: Arg(name, ["b", 2, "p", 4], "tensor(float)")
        self.inputs = [Arg(ids, ["b", "s"]), Arg("attention_mask", ["b", "t"], mask),
                       Arg("position_ids", ["b", "s"]), *map(cache, pasts)]
        self.outputs = [Arg("logits", ["b", "s", 9], "tensor(float)"), *map(cache, presents)]

    def get_inputs(self):
        return self.inputs

    def get_outputs(self):
        return self.outputs

    def run(self, names, feeds):
        self.names, self.feeds = names, feeds
        ids = feeds[self.inputs[0].name]
        made = {"logits": np.eye(9, dtype=np.float32)[(ids + 1) % 9]}
        for i, each in enumerate(self.outputs[1:]):
            made[each.name] = np.full((len(ids), 2, feeds["attention_mask"].shape[1], 4), i)
        return [made[name] for name in names]


PAIRS = {
    "optimum": (["past_key_values.0.key", "past_key_values.0.value", "past_key_values.1.key"],
                ["present.0.key", "present.0.value", "present.1.key"]),
    "shuffled": (["past_key_values.1.key", "past_key_values.0.key"],
                 ["present.0.key", "present.1.key"]),
    "dynamo": (["past_key_values_key_cache_0", "past_key_values_value_cache_0"],
               ["key_cache_0", "value_cache_0"]),
    "encoder-decoder": (["past_key_values.0.decoder.key", "past_key_values.0.encoder.key"],
                        ["present.0.encoder.key", "present.0.decoder.key"]),
    "without kinds": (["past_0", "past_1"], ["present_0", "present_1"]),
    "by order": (["k_in", "v_in"], ["first", "second"])}


class DecoderTest(unittest.TestCase):
    def test_outputs_continue_the_caches_of_their_name(self):
        for name, (pasts, presents) in PAIRS.items():
            with self.subTest(name):
                session = Counting(pasts, presents)
                decoder = Decoder(session)
                decoder.step([[3, 4]])
                self.assertEqual(session.feeds[pasts[0]].shape, (1, 2, 0, 4))
                decoder.step([[5]])
                for past in pasts:
                    key = past.replace("past_key_values", "present").replace("past", "present")
                    if key in presents:
                        self.assertEqual(session.feeds[past].max(), presents.index(key))
                    self.assertEqual(session.feeds[past].shape, (1, 2, 2, 4))

    def test_masks_and_positions_of_padded_rows(self):
        session = Counting(*PAIRS["optimum"], mask="tensor(float)")
        decoder = Decoder(session)
        logits = decoder.step(*left_padded([[1, 2, 3], [4]]))
        self.assertEqual(logits.shape, (2, 3, 9))
        np.testing.assert_array_equal(session.feeds["attention_mask"], [[1, 1, 1], [0, 0, 1]])
        self.assertEqual(session.feeds["attention_mask"].dtype, np.float32)
        np.testing.assert_array_equal(session.feeds["position_ids"], [[0, 1, 2], [0, 0, 0]])
        decoder.step([[5], [6]])
        np.testing.assert_array_equal(session.feeds["position_ids"], [[3], [1]])
        self.assertEqual(decoder.length, 4)
        decoder.reset()
        decoder.step([[7]])
        self.assertEqual(session.feeds["attention_mask"].shape, (1, 1))

    def test_without_caches_everything_runs_again(self):
        session = Counting([], [], ids="decoder_input_ids")
        decoder = Decoder(session)
        decoder.step([[1, 2]])
        self.assertEqual(decoder.step([[3]]).argmax(-1).tolist(), [[4]])
        np.testing.assert_array_equal(session.feeds["decoder_input_ids"], [[1, 2, 3]])

    def test_kept_caches_are_reset(self):
        session = Counting([], [])
        session.get_states = lambda: ["key"]
        session.reset = unittest.mock.Mock()
        decoder = Decoder(session)
        decoder.step([[1, 2]])
        decoder.step([[3]])
        np.testing.assert_array_equal(session.feeds["input_ids"], [[3]])
        self.assertEqual(session.feeds["attention_mask"].shape, (1, 3))
        decoder.reset()
        self.assertEqual(session.reset.call_count, 2)

    def test_models_that_are_no_decoders(self):
        session = Counting(["past_0"], [])
        with self.assertRaisesRegex(ValueError, 'no output continues the cache "past_0"'):
            Decoder(session)
        session = Counting([], [])
        session.inputs.append(Arg("pixels", ["b", 3, 8, 8], "tensor(float16)"))
        with self.assertRaisesRegex(ValueError, 'no output continues the cache "pixels"'):
            Decoder(session)
        session.inputs = [Arg("pixels", ["b", "s", 8], "tensor(float)")]
        with self.assertRaisesRegex(ValueError, 'input "pixels" is none that a decoder'):
            Decoder(session)
        session.inputs = []
        with self.assertRaisesRegex(ValueError, "no input of tokens"):
            Decoder(session)
        session.inputs, session.outputs = [Arg("input_ids", ["b", "s"])], []
        with self.assertRaisesRegex(ValueError, "no output of logits"):
            Decoder(session)


class SamplerTest(unittest.TestCase):
    logits = np.log([.5, .3, .15, .05])

    def counts(self, **options):
        sampler = Sampler(**options)
        return np.bincount([sampler(self.logits) for _ in range(2000)], minlength=4) / 2000

    def test_likeliest(self):
        self.assertEqual(self.counts().tolist(), [1, 0, 0, 0])

    def test_probabilities_and_temperature(self):
        np.testing.assert_allclose(self.counts(temperature=1, seed=1), np.exp(self.logits), atol=.04)
        squares = np.exp(2 * self.logits)
        np.testing.assert_allclose(self.counts(temperature=.5, seed=2),
                                   squares / squares.sum(), atol=.04)

    def test_top_p_keeps_the_one_that_crosses(self):
        np.testing.assert_allclose(self.counts(temperature=1, top_p=.6, seed=3),
                                   [.625, .375, 0, 0], atol=.04)
        self.assertEqual(self.counts(temperature=1, top_p=.01, seed=3)[0], 1)

    def test_seed_repeats(self):
        draw = lambda seed: [s(self.logits) for s in [Sampler(1, 1, seed)] for _ in range(50)]
        self.assertEqual(draw(4), draw(4))
        self.assertNotEqual(draw(4), draw(5))

    def test_refused(self):
        for bad in [dict(temperature=-1), dict(temperature=np.nan), dict(top_p=0), dict(top_p=2)]:
            with self.assertRaisesRegex(ValueError, "must be"):
                Sampler(**bad)


class Bytes:
    """A tokenizer of single bytes."""

    @staticmethod
    def decode(ids, skip_special_tokens):
        return bytes(ids).decode(errors="replace")


class TextStreamTest(unittest.TestCase):
    def pieces(self, text, *stops):
        stream = TextStream(Bytes, stops)
        made = []
        for byte in text.encode():
            made.append(stream.push(byte))
            if stream.stopped:
                break
        return made, stream.finish()

    def test_characters_come_whole(self):
        made, rest = self.pieces("aé€b" * 5)
        self.assertEqual(made[:7], ["a", "", "é", "", "", "€", "b"])
        self.assertEqual("".join(made) + rest, "aé€b" * 5)

    def test_an_unfinished_character_is_not_lost(self):
        stream = TextStream(Bytes)
        self.assertEqual(stream.push(0xE2), "")
        self.assertEqual(stream.finish(), "\ufffd")

    def test_stop_strings(self):
        made, rest = self.pieces("one STSTOP two", "STOP")
        self.assertEqual("".join(made) + rest, "one ST")
        self.assertNotIn("S", "".join(made[:6]))  # might have been its beginning
        made, rest = self.pieces("no STO", "STOP", "")
        self.assertEqual("".join(made) + rest, "no STO")


class MeasuresTest(unittest.TestCase):
    def test_losses_of_known_probabilities(self):
        session = Counting([], [])
        session.run = lambda names, feeds: [np.log(np.full((1, 3, 9), 1 / 9, np.float32))]
        losses = measures.token_losses(Decoder(session), [1, 2, 3])
        np.testing.assert_allclose(losses, np.log(9), rtol=1e-6)
        self.assertAlmostEqual(measures.perplexity(losses), 9, 5)

    def test_paired_change(self):
        change, error = measures.paired_change([1.1, 2.1, 3.1], [1, 2, 3])
        self.assertAlmostEqual(change, np.exp(.1) - 1)
        self.assertAlmostEqual(error, 0)
        change, error = measures.paired_change([1, 2, 4], [1, 2, 3])
        self.assertAlmostEqual(error, np.exp(1 / 3) * np.std([0, 0, 1], ddof=1) / 3 ** .5)

    def test_windows(self):
        self.assertEqual(measures.windows([1, 2, 3, 4, 5], 2, 2), [[1, 2], [3, 4]])
        with self.assertRaisesRegex(ValueError, "has 5 tokens, fewer than 3 x 2"):
            measures.windows([1, 2, 3, 4, 5], 2, 3)

    def test_sentences(self):
        text = "A first sentence, long enough. Too short. And one that\nis broken over lines!"
        self.assertEqual(texts.sentences(text), ["A first sentence, long enough.",
                                                 "And one that is broken over lines!"])


class FetchTest(unittest.TestCase):
    """With a made-up npm; the network isn't asked."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "bin").mkdir()

    def fetch(self, script):
        npm = self.folder / "bin" / "npm"
        if script:
            npm.write_text(f"#!/bin/sh\n{script}\n")
            npm.chmod(0o755)
        with unittest.mock.patch.dict("os.environ", {
                "SPARSE_OPT_CACHE": str(self.folder), "PATH": f"{self.folder}/bin"}):
            return texts._archive("some@1", "some.tgz", "9f86d081884c7d659a2feaa0c55ad015"
                                  "a3bf4f1b2b0b822cd15d6c15b0f00a08")  # of "test"

    def test_checked_and_kept(self):
        path = self.fetch("printf test > some.tgz")
        self.assertEqual(path.read_text(), "test")
        self.assertEqual(self.fetch("exit 1"), path)  # not fetched again

    def test_refused(self):
        for script, sentence in [
                ("", "needs npm"), ("echo no network >&2; exit 1", "could not fetch some@1: no network"),
                ("exit 0", "no archive came"), ("printf other > some.tgz", "has sha256 d9298a10")]:
            with self.subTest(script), self.assertRaisesRegex(UsageError, sentence):
                self.fetch(script)
            self.assertFalse((self.folder / "downloads" / "some.tgz").exists())


if __name__ == "__main__":
    unittest.main()
