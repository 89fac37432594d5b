# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From text to a model's inputs, with a tokenizer that is a dict."""
import contextlib
import io
import types
import unittest

import numpy as np

from sparse_opt import calibrate
from sparse_opt.tokenizing import UsageError


class Words:
    """Numbers words as they come; knows what tokenizers.Tokenizer does."""

    def __init__(self):
        self.ids, self.length = {}, None

    def encode(self, text, add_special_tokens=True):
        ids = [self.ids.setdefault(word, len(self.ids) + 10) for word in text.split()]
        return types.SimpleNamespace(ids=([1] * add_special_tokens + ids)[:self.length])

    def encode_batch(self, texts):
        return [self.encode(text) for text in texts]

    def enable_truncation(self, length):
        self.length = length


def described(name, dims, kind="int64"):
    return {"name": name, "type": kind, "dims": dims}


ENCODER = [described("input_ids", ["b", "s"]), described("attention_mask", ["b", "s"], "int32"),
           described("token_type_ids", ["b", "s"])]
DECODER = [described("input_ids", ["b", "s"]), described("attention_mask", ["b", "t"]),
           described("position_ids", ["b", "s"]),
           described("past_key_values.0.key", ["b", 3, "p", 64], "float32")]


class Sequences(unittest.TestCase):
    def test_units(self):
        text = "a b c d. e f g h i\nj k l"
        self.assertEqual(calibrate.sequences(text, Words(), "tokens", 5, None),
                         [[10, 11, 12, 13, 14], [15, 16, 17, 18, 19], [20, 21]])
        self.assertEqual(calibrate.sequences(text, Words(), "line", 4, 1), [[1, 10, 11, 12]])
        text = "One sentence of some length. Another that is as long."
        self.assertEqual(calibrate.sequences(text, Words(), "sentence", 4, None),
                         [[1, 10, 11, 12], [1, 15, 16, 17]])


class Batches(unittest.TestCase):
    def test_similar_lengths_are_padded(self):
        (feeds,) = calibrate.batches(ENCODER, [[7, 8, 9], [], [5]])
        np.testing.assert_array_equal(feeds["input_ids"], [[5, 0, 0], [7, 8, 9]])
        np.testing.assert_array_equal(feeds["attention_mask"], [[1, 0, 0], [1, 1, 1]])
        self.assertEqual(feeds["attention_mask"].dtype, np.int32)
        self.assertFalse(feeds["token_type_ids"].any())

    def test_without_a_mask_lengths_are_equal(self):
        made = list(calibrate.batches(ENCODER[:1], [[7, 8], [5], [6, 7]]))
        self.assertEqual([feeds["input_ids"].shape for feeds in made], [(1, 1), (2, 2)])

    def test_a_past_is_empty(self):
        (feeds,) = calibrate.batches(DECODER, [[7, 8, 9], [5]])
        self.assertEqual(feeds["past_key_values.0.key"].shape, (2, 3, 0, 64))
        self.assertEqual(feeds["past_key_values.0.key"].dtype, np.float32)
        np.testing.assert_array_equal(feeds["position_ids"], [[0, 0, 0], [0, 1, 2]])

    def test_what_text_does_not_give(self):
        for inputs, sentence in (
                (ENCODER[1:], "the model has no input 'input_ids'"),
                (ENCODER + [described("pixels", ["b", 3], "float32")], "the input 'pixels' takes"),
                (ENCODER + [described("words", ["b"], "type 8")], "'words' is type 8")):
            with self.assertRaisesRegex(UsageError, sentence):
                list(calibrate.batches(inputs, [[1]]))


class Errors(unittest.TestCase):
    def test_one_sentence(self):
        stderr = io.StringIO()
        with contextlib.redirect_stderr(stderr):
            status = calibrate.main(["m.onnx", "--text=t", "--tokenizer=t", "-o", "p",
                                     "--sparse-opt=/no/where"])
        self.assertEqual(status, 1)
        self.assertEqual(stderr.getvalue(), "error: '/no/where' can't be started: No such file or "
                         "directory; --sparse-opt=PROGRAM names the compiler\n")


if __name__ == "__main__":
    unittest.main()
