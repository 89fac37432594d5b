# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""python -m sparse_opt.generate and sparse_opt.eval as commands, on small models
with made-up weights and a tokenizer of bytes."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy

import sparse_opt
from sparse_opt.decoding import Decoder, left_padded
from test_decoders import WORDS, build

try:
    import onnxruntime
    import tokenizers
except ImportError:
    onnxruntime = None

TEXT = "It was the best of times, it was the worst of times. And so on it went.\n" * 8


def byte_tokenizer(path):
    """<|endoftext|>, 256 bytes, pairs of letters up to WORDS."""
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    plain = [letter for letter in letters if letter.isascii() and letter.isalpha()]
    pairs = [(a, b) for a in plain for b in plain][:WORDS - 1 - len(letters)]
    words = ["<|endoftext|>", *letters, *(a + b for a, b in pairs)]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    path.write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "added_tokens": [{"id": 0, "content": words[0], "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False, "special": True}],
        "pre_tokenizer": level, "post_processor": None, "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False,
                  "vocab": {word: i for i, word in enumerate(words)}, "merges": pairs}}))


def setUpModule():
    global folder, llama, llama_onnx, in_place, encoder, encoder_onnx, tokenizer, text
    if onnxruntime is None:
        raise unittest.SkipTest("needs onnxruntime and tokenizers")
    temporary = tempfile.TemporaryDirectory()
    unittest.addModuleCleanup(temporary.cleanup)
    folder = pathlib.Path(temporary.name)
    llama_onnx, llama = build("llama", folder)
    encoder_onnx, encoder = build("bart-encoder", folder)
    in_place = folder / "in-place.so"
    subprocess.run([os.environ.get("SPARSE_OPT", "sparse-opt"), "compile", llama_onnx,
                    "-o", in_place, "--kv-cache=in-place"], check=True)
    tokenizer, text = folder / "tokenizer.json", folder / "text.txt"
    byte_tokenizer(tokenizer)
    text.write_text(TEXT)


def command(name, *arguments, given=None, **environment):
    return subprocess.run([sys.executable, "-m", f"sparse_opt.{name}", *map(str, arguments)],
                          input=given, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment})


class Command(unittest.TestCase):
    def answer(self, *arguments, model=None, prompt="Once upon", **options):
        done = command("generate", model or llama, f"--tokenizer={tokenizer}",
                       f"--prompt={prompt}", *arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, r"^prefill: \d+ tokens in [\d.]+ s \([\d.]+ tokens/s\)\n")
        return done.stdout

    def refused(self, sentence, name, *arguments, **options):
        done = command(name, *arguments, **options)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stderr, f"^sparse_opt.{name}: error: {sentence}\n$")


class GenerateTest(Command):
    def expected(self, prompt, count):
        """Greedy tokens by ONNX Runtime, as text."""
        words = tokenizers.Tokenizer.from_file(str(tokenizer))
        decoder = Decoder(onnxruntime.InferenceSession(
            llama_onnx, providers=["CPUExecutionProvider"]))
        ids, made = words.encode(prompt).ids, []
        for _ in range(count):
            ids = [int(decoder.step([ids])[0, -1].argmax())]
            if ids == [0]:
                break
            made += ids
        return words.decode(made) + "\n"

    def test_greedy_is_onnx_runtimes(self):
        want = self.expected("Once upon", 24)
        self.assertEqual(self.answer("--max-tokens=24"), want)
        self.assertEqual(self.answer("--max-tokens=24", "--threads=1", prompt="-",
                                     given="Once upon"), want)

    def test_caches_in_place_give_the_same(self):
        for arguments in ["--max-tokens=24"], ["--temperature=1", "--seed=3"]:
            self.assertEqual(self.answer(*arguments, model=in_place), self.answer(*arguments))

    def test_seed_and_temperature(self):
        draws = [self.answer("--temperature=1", f"--seed={seed}", "--top-p=0.95",
                             "--max-tokens=16") for seed in (1, 1, 2)]
        self.assertEqual(draws[0], draws[1])
        self.assertNotEqual(draws[0], draws[2])

    def test_stop_and_template(self):
        whole = self.answer("--temperature=2", "--seed=5", "--max-tokens=40")
        self.assertGreater(len(whole), 8)
        self.assertEqual(self.answer("--temperature=2", "--seed=5", "--max-tokens=40",
                                     f"--stop={whole[4:7]}"),
                         whole[:whole.index(whole[4:7])] + "\n")
        self.assertEqual(self.answer(r"--template=Q: {prompt}\nA:", prompt="why"),
                         self.answer(prompt="Q: why\nA:"))

    def test_refused(self):
        given = [llama, f"--tokenizer={tokenizer}", "--prompt=x"]
        for sentence, arguments in [
                ("--max-tokens must be at least 1, not 0", [*given, "--max-tokens=0"]),
                (r"temperature must be at least 0, not -1\.0", [*given, "--temperature=-1"]),
                ("top-p must be above 0 and at most 1, not 2.0", [*given, "--top-p=2"]),
                (r"the template has no {prompt}", [*given, "--template=x"]),
                ("the prompt is empty", [*given[:2], "--prompt="]),
                ("the tokenizer has no token '<end>'", [*given, "--eos=<end>"]),
                ("cannot read the tokenizer /nowhere: .*",
                 [llama, "--tokenizer=/nowhere", "--prompt=x"]),
                ("there is no model at .*/absent.so", [folder / "absent.so", *given[1:]]),
                (r"the model has no output of logits \[batch, sequence, words\]",
                 [encoder, *given[1:]]),
                ("the following arguments are required: --prompt", given[:2])]:
            with self.subTest(arguments=arguments):
                self.refused(sentence, "generate", *arguments)

    def test_without_the_tokenizers_package(self):
        (folder / "shadow").mkdir(exist_ok=True)
        (folder / "shadow" / "tokenizers.py").write_text("raise ImportError")
        path = f"{folder / 'shadow'}:{os.environ['PYTHONPATH']}"
        self.refused(r"a tokenizer needs the package `tokenizers`: pip install 'sparse-opt\[text\]'",
                     "generate", llama, f"--tokenizer={tokenizer}", "--prompt=x", PYTHONPATH=path)


class LeftPaddedTest(unittest.TestCase):
    def test_caches_in_place_of_padded_rows(self):
        rows = [[5, 9, 200, 31], [7], [80, 81, 82, 83, 84, 85]]
        passed, kept = (Decoder(sparse_opt.load(path)) for path in (llama, in_place))
        logits = [each.step(*left_padded(rows))[:, -1] for each in (passed, kept)]
        for _ in range(6):
            numpy.testing.assert_array_equal(*logits)
            ids = logits[0].argmax(-1)[:, None]
            logits = [each.step(ids)[:, -1] for each in (passed, kept)]


class EvalTest(Command):
    def measured(self, *arguments):
        done = command("eval", *arguments, f"--tokenizer={tokenizer}", f"--text={text}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def test_perplexity_is_onnx_runtimes(self):
        shape = ["--windows=3", "--tokens=64"]
        header, file, total = self.measured(llama, llama_onnx, *shape)
        self.assertEqual(header.split(), ["tokens", "perplexity", "reference", "change",
                                          "standard", "error"])
        self.assertEqual(file.split()[1:], total.split()[1:])
        _, count, ours, theirs, change, *_ = total.split()
        self.assertEqual(int(count), 3 * 63)
        self.assertLess(abs(float(ours) / float(theirs) - 1), 1e-3)
        self.assertEqual(abs(float(change)), 0)
        alone = self.measured(in_place, *shape)[-1].split()
        self.assertEqual(alone, ["all", count, ours])

    def test_embeddings(self):
        header, line = self.measured(encoder, encoder_onnx, "--sentences=5")
        self.assertEqual(header.split(), ["sentences", "mean", "cosine", "lowest"])
        self.assertEqual(line.split()[1:], ["5", "1.0000000", "1.000000"])

    def test_refused(self):
        given = [llama, f"--tokenizer={tokenizer}", f"--text={text}"]
        for sentence, arguments in [
                (r".*text.txt: the text has \d+ tokens, fewer than 8 x 512; .*", given),
                ("there must be at least 1 window of at least 2 tokens", [*given, "--tokens=1"]),
                ("embeddings are compared with those of a second model", [encoder, *given[1:]]),
                (r".*text.txt has \d+ sentences, fewer than 200; .*",
                 [encoder, encoder_onnx, *given[1:]]),
                ("cannot read the text /nowhere: .*", [*given[:2], "--text=/nowhere"]),
                ("cannot load .*text.onnx: .*", [llama, folder / "text.onnx", *given[1:]])]:
            with self.subTest(arguments=arguments):
                self.refused(sentence, "eval", *arguments)


if __name__ == "__main__":
    unittest.main()
