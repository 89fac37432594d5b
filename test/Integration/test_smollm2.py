# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SmolLM2-135M, a published decoder, compiled whole, against ONNX Runtime.

The model comes from the cache that `tools/bootstrap test` fills; where it is
empty these tests are skipped. SPARSE_OPT names the compiler. A few tokens are
made unless SPARSE_OPT_SMOLLM2_TOKENS=200 asks for more.
"""
import os
import pathlib
import resource
import tempfile
import unittest

import numpy

import sparse_opt
from sparse_opt import measures
from sparse_opt.decoding import Decoder, left_padded
from test_models import CACHE, compile_model

try:
    import onnxruntime
    import tokenizers
except ImportError:
    onnxruntime = None

FOLDER = CACHE / "models" / "SmolLM2-135M-Instruct"
TOKENS = int(os.environ.get("SPARSE_OPT_SMOLLM2_TOKENS", 16))
PROMPTS = ["The capital of France is", "def fibonacci(n):\n", "Once upon a time,",
           "Water boils at", "<|im_start|>user\nName three birds.<|im_end|>\n<|im_start|>assistant\n"]


def setUpModule():
    global compiled, reference, words
    if onnxruntime is None:
        raise unittest.SkipTest("needs onnxruntime and tokenizers")
    model = FOLDER / "SmolLM2-135M-Instruct.onnx"
    if not model.is_file():
        raise unittest.SkipTest(f"no {model}: run tools/bootstrap test")
    folder = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(folder.cleanup)
    path = pathlib.Path(folder.name) / "smollm2.so"
    compile_model(model, path, "--kv-cache=in-place")
    global peak_bytes
    peak_bytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    compiled = Decoder(sparse_opt.load(path))
    reference = Decoder(onnxruntime.InferenceSession(
        model, providers=["CPUExecutionProvider"]))
    words = tokenizers.Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


def greedy(decoder, rows, count):
    """The likeliest tokens behind each row, [batch, count]."""
    decoder.reset()
    logits, made = decoder.step(*left_padded(rows)), []
    for _ in range(count - 1):
        made.append(logits[:, -1].argmax(-1)[:, None])
        logits = decoder.step(made[-1])
    return numpy.hstack([*made, logits[:, -1].argmax(-1)[:, None]])


class SmolLM2(unittest.TestCase):
    def test_memory_of_compiling(self):
        """Of the compiler and the linker, whichever needs more."""
        weights = compiled.model.manifest["weight_bytes"]
        self.assertLess(peak_bytes, 500e6 + 2 * weights)

    def test_the_same_tokens(self):
        for prompt in PROMPTS:
            with self.subTest(prompt):
                rows = [words.encode(prompt).ids]
                got, want = (greedy(each, rows, TOKENS) for each in (compiled, reference))
                self.assertEqual(words.decode(got[0]), words.decode(want[0]))
                numpy.testing.assert_array_equal(got, want)

    def test_left_padded_batch_equals_single_runs(self):
        rows = [words.encode(prompt).ids for prompt in PROMPTS[:4]]
        together = greedy(compiled, rows, min(TOKENS, 64))
        for row, tokens in zip(rows, together):
            alone = greedy(compiled, [row], min(TOKENS, 64))
            numpy.testing.assert_array_equal(tokens, alone[0])

    def test_perplexity(self):
        from pydoc_data import topics  # English that Python brings along
        text = "\n".join(topics.topics[name] for name in ("class", "for", "function", "with"))
        parts = measures.windows(words.encode(text).ids, 256, 2 if TOKENS < 200 else 8)
        losses = [numpy.concatenate([measures.token_losses(each, part) for part in parts])
                  for each in (compiled, reference)]
        change, _ = measures.paired_change(*losses)
        self.assertLess(abs(change), 1e-3)
        self.assertLess(measures.perplexity(losses[0]), 30)


if __name__ == "__main__":
    unittest.main()
