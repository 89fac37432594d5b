# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training recipes: order of the data, names and order of weights in GGUF,
and, where torch is there, that a stopped run ends as one that wasn't."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy

from sparse_opt.recipes import corpus, gguf_writer
from sparse_opt.tokenizing import UsageError

try:
    import torch
except ImportError:
    torch = None


class WindowsTest(unittest.TestCase):
    def setUp(self):
        self.tokens = numpy.arange(1001, dtype=numpy.int32)
        self.windows = corpus.Windows(self.tokens, 10, 7, seed=3)

    def test_an_epoch_is_every_window_once(self):
        self.assertEqual(self.windows.steps_an_epoch, 14)
        firsts = numpy.concatenate([self.windows.at(i)[:, 0] for i in range(14)])
        self.assertEqual(len(set(firsts)), 98)
        for row in self.windows.at(5):
            numpy.testing.assert_array_equal(row, range(row[0], row[0] + 11))

    def test_a_step_is_the_same_whatever_was_read_before(self):
        before = [self.windows.at(i) for i in (40, 2, 13, 14)]
        anew = corpus.Windows(self.tokens, 10, 7, seed=3)
        for i, rows in zip((40, 2, 13, 14), before):
            numpy.testing.assert_array_equal(anew.at(i), rows)
        other = corpus.Windows(self.tokens, 10, 7, seed=4)
        self.assertFalse((other.at(2) == before[1]).all())
        self.assertFalse((self.windows.at(0) == self.windows.at(14)).all())

    def test_too_few_tokens(self):
        with self.assertRaisesRegex(
                UsageError, "^30 tokens are fewer than a batch of 7 windows of 10$"):
            corpus.Windows(self.tokens[:30], 10, 7, seed=3)


class GgufTest(unittest.TestCase):
    def test_names(self):
        self.assertEqual(gguf_writer.gguf_name("model.layers.11.self_attn.k_proj.weight"),
                         "blk.11.attn_k.weight")
        self.assertEqual(gguf_writer.gguf_name("model.norm.weight"), "output_norm.weight")

    def test_rope_pairs_are_neighbours(self):
        rows = numpy.arange(16, dtype=numpy.float32)[:, None] * [1, 100]
        numpy.testing.assert_array_equal(
            gguf_writer.paired(rows, 2)[:, 0],
            [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15])


@unittest.skipUnless(torch, "needs torch")
class TrainingTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.checkpoint = pathlib.Path(folder.name) / "checkpoint.pt"
        self.windows = corpus.Windows(numpy.arange(400) % 13, 8, 4, seed=1)

    def train(self, steps=12, stop=None, **settings):
        """The weights after `steps`, or after an interruption at `stop`."""
        from sparse_opt.recipes.training import Run

        torch.manual_seed(0)

        class Model(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.words = torch.nn.Embedding(13, 6)
                self.out = torch.nn.Linear(6, 13)

            def forward(self, input_ids, use_cache):
                return type("", (), {"logits": self.out(self.words(input_ids))})

        class Interrupted:
            def at(inner, step):
                if step == stop:
                    raise KeyboardInterrupt
                return self.windows.at(step)

        model, said = Model(), []
        run = Run(model, {"steps": steps, "peak": 1e-2, "warm_up": 3, **settings},
                  self.checkpoint, False, said.append, every=0)
        try:
            state = run.finish(Interrupted())
            self.assertEqual(state["step"], steps)
        except KeyboardInterrupt:
            pass
        return [each.detach().numpy() for each in model.parameters()]

    def test_a_stopped_run_ends_as_one_that_was_not(self):
        whole = self.train()
        self.checkpoint.unlink()
        self.train(stop=5)
        for resumed, expected in zip(self.train(), whole):
            numpy.testing.assert_array_equal(resumed, expected)
        self.assertFalse(self.checkpoint.with_name("checkpoint.pt.part").exists())

    def test_other_settings_are_refused(self):
        self.train(stop=5)
        with self.assertRaisesRegex(UsageError, "is of a run with other settings; remove it"):
            self.train(peak=2e-2)


class CommandTest(unittest.TestCase):
    def refused(self, code, sentence):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (1, sentence + "\n"))

    def test_without_torch(self):
        self.refused("import sys; sys.modules['torch'] = None\n"
                     "from sparse_opt.recipes import relu; relu.main([])",
                     "sparse_opt.recipes.relu: error: training needs the package `torch`: "
                     "pip install 'sparse-opt[train]'")

    def test_wrong_flags(self):
        self.refused("from sparse_opt.recipes import relu; relu.main(['--steps=0'])",
                     "sparse_opt.recipes.relu: error: --steps and --threads must be at least 1")


if __name__ == "__main__":
    unittest.main()
