# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compressed FFN blocks, written as IR, run and compared to their definition.

Every selector and surrogate, plain and gated, for few rows (kernels that read
the selected neurons alone) and many (masks), on every instruction set that this
machine has, with any number of threads.
"""
import itertools
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy

import sparse_opt
from compressed_block import RANDOM, WIDTH, Block, weights

ROWS = (1, 2, 7, 16, 17, 40)


BLOCKS = {
    "relu": Block("nonzero", act="relu", gated=False, bias=True),
    "relu gate": Block("nonzero", act="relu", bias=True),
    "relu2": Block("nonzero", act="relu2", gated=False, bias=True),
    "drelu": Block("nonzero", act="relu", bias=True, up_relu=True),
    "drelu, both known": Block("both", act="relu", known_up=True, up_relu=True, threshold=0.02),
    "fatrelu": Block("nonzero", act="fatrelu", gated=False, bias=True),
    "fatrelu gate": Block("nonzero", act="fatrelu", bias=True),
    "fatrelu, nothing known": Block("gate", act="fatrelu", known=False, bias=True),
    "relu gate in groups": Block("nonzero", act="relu", group=16),
    "gate": Block("gate", minus=True),
    "centred": Block("centred", minus=True, bias=True, threshold=0.03),
    "plain": Block("centred", gated=False, minus=True, bias=True, threshold=0.03),
    "product": Block("product", minus=True, known_up=True, threshold=0.02),
    "nothing known": Block("gate", known=False, bias=True, minus=True),
    "nothing known, plain": Block("gate", known=False, gated=False, bias=True, minus=True),
    "in groups": Block("gate", minus=True, group=16, threshold=0.6),
    "all": Block("all", minus=True, bias=True),
    "above the crossover": Block("centred", minus=True, bias=True, threshold=0.03, crossover=0),
    "around it": Block("centred", minus=True, threshold=0.03, crossover=0.8),
    "around it, relu": Block("nonzero", act="relu", gated=False, bias=True, crossover=0.6),
    "around it in groups": Block("gate", minus=True, group=16, threshold=0.6, crossover=0.7),
    "above it, nothing known": Block("gate", known=False, bias=True, minus=True, crossover=0),
    "inputs": Block("both", known_up=True, bias=True, kept=0.5),
    "inputs, plain": Block("gate", gated=False, bias=True, kept=0.5),
    "inputs, gate known": Block("gate", minus=True, kept=0.5),
    "inputs, nothing known": Block("gate", known=False, kept=0.5),
    "inputs, around the crossover": Block("both", known_up=True, kept=0.25, crossover=0.8),
    "inputs, around their crossover": Block("both", known_up=True, bias=True, kept=0.4,
                                            input_crossover=0.7),
    "inputs, above their crossover": Block("gate", gated=False, bias=True, kept=0.5,
                                           input_crossover=0),
    "inputs, above both": Block("both", known_up=True, kept=0.5, crossover=0, input_crossover=0),
}


class CompressedBlocksTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)

    def compile(self, block, *flags):
        folder = pathlib.Path(self.temporary.name)
        number = len(list(folder.iterdir()))  # one loaded stays under its name
        source, path = folder / f"{number}.mlir", folder / f"{number}.so"
        source.write_text(block.text())
        subprocess.run([os.environ["SPARSE_OPT"], "compile", source, "-o", path, *flags],
                       check=True, stdout=subprocess.DEVNULL)
        return path

    def targets(self, path):
        for isa in ("x86-64-v3", "x86-64-v4", "x86-64-v4-bf16", "sapphirerapids"):
            os.environ["SPARSE_OPT_ISA"] = isa
            self.addCleanup(os.environ.pop, "SPARSE_OPT_ISA", None)
            try:
                sparse_opt.load(path, threads=1)
            except (sparse_opt.SparseOptError, ValueError):
                continue
            yield isa
        del os.environ["SPARSE_OPT_ISA"]

    def check(self, path, block, tolerance, thresholds):
        compared, isas = 0, list(self.targets(path))
        self.assertTrue(isas)
        inputs = [None] if block.kept is None else (block.kept, 0.0, 1e9)
        for isa, threshold, kept in itertools.product(isas, thresholds, inputs):
            os.environ["SPARSE_OPT_ISA"] = isa
            models = [sparse_opt.load(path, threads=n) for n in (1, 2, 3, 4)]
            for model in models:
                if block.select not in ("nonzero", "all"):
                    model.set_knob("b.threshold", threshold)
                if kept is not None:
                    model.set_knob("b.input_threshold", kept)
            for rows in ROWS:
                x = RANDOM.standard_normal((rows, block.width)).astype(numpy.float32)
                results = [model.run(None, {"x": x})[0] for model in models]
                for other in results[1:]:
                    numpy.testing.assert_array_equal(results[0], other)
                expected, keep, sure = block.run(x, threshold, kept)
                if not sure and tolerance < 1e-3:
                    continue
                compared += 1
                error = abs(results[0] - expected).max() / abs(expected).max()
                self.assertLess(error, tolerance,
                                f"{isa}, {rows} rows, above {threshold}, inputs above {kept}")
        del os.environ["SPARSE_OPT_ISA"]
        self.assertGreater(compared, len(ROWS) * len(thresholds) * len(inputs) // 2)

    def test_values(self):
        for name, block in BLOCKS.items():
            with self.subTest(name):
                self.check(self.compile(block), block, 1e-5,
                           (block.threshold, 0.0, 1e9))

    def test_narrow_types(self):
        """Thresholds apart: what rounding selects otherwise is near them."""
        for name in ("relu gate", "centred"):
            for flags in (["--dtype=bf16"], ["--weight-type=bf16"]):
                with self.subTest(name, flags=flags):
                    block = BLOCKS[name]
                    self.check(self.compile(block, "--max-error=rel:0.1", *flags), block, 2e-2,
                               (0.0,))

    def test_narrow_types_round_few_rows_as_many(self):
        """Mostly: the order of a sum may decide how a value is rounded."""
        for name in ("relu", "relu gate", "centred"):
            with self.subTest(name):
                path = self.compile(BLOCKS[name], "--max-error=rel:0.1", "--dtype=bf16")
                for isa in self.targets(path):
                    os.environ["SPARSE_OPT_ISA"] = isa
                    model, errors = sparse_opt.load(path, threads=2), []
                    for _ in range(9):
                        x = RANDOM.standard_normal((1, WIDTH)).astype(numpy.float32)
                        few = model.run(None, {"x": x})[0]
                        many = model.run(None, {"x": x.repeat(17, 0)})[0][:1]
                        errors.append(abs(few - many).max() / abs(many).max())
                    self.assertLessEqual(numpy.median(errors), 1e-5, isa)

    def test_narrow_inputs(self):
        """An x that bf16 holds exactly, so that no rounding selects otherwise."""
        wide = weights(128, 192)
        for crossover in (1, 0):
            self.check_narrow_inputs(
                Block("both", known_up=True, bias=True, kept=0.5, crossover=crossover,
                      input_crossover=crossover, weights=wide))

    def check_narrow_inputs(self, block):
        x = (numpy.round(RANDOM.standard_normal((40, 128)) * 16) / 16).astype(numpy.float32)
        for flags in (["--dtype=bf16"], ["--weight-type=bf16"], ["--weight-type=int8"]):
            path = self.compile(block, "--max-error=rel:0.1", *flags)
            for isa, rows in itertools.product(list(self.targets(path)), ROWS):
                with self.subTest(crossover=block.crossover, flags=flags, isa=isa, rows=rows):
                    os.environ["SPARSE_OPT_ISA"] = isa
                    model = sparse_opt.load(path, threads=2, knobs={"b.threshold": 0})
                    y, expected = model.run(None, {"x": x[:rows]})[0], block.run(x[:rows], 0)[0]
                    self.assertLess(abs(y - expected).max() / abs(expected).max(), 2e-2)
                    if rows == 1:
                        many = model.run(None, {"x": x[:1].repeat(17, 0)})[0][:1]
                        self.assertLess(abs(y - many).max() / abs(y).max(), 4e-3)
            del os.environ["SPARSE_OPT_ISA"]

    def test_shapes_of_inputs(self):
        for width, neurons in ((64, 64), (192, 128), (320, 448)):
            for gated in (True, False):
                with self.subTest(width=width, neurons=neurons, gated=gated):
                    block = Block("both" if gated else "gate", gated=gated, known_up=gated,
                                  kept=0.75, weights=weights(width, neurons))
                    self.check(self.compile(block), block, 1e-5, (block.threshold,))

    def test_inputs_without_thresholds_are_the_block(self):
        kept, dense = BLOCKS["inputs"], Block("all", bias=True)
        paths = self.compile(kept), self.compile(dense)
        skipping, whole = (sparse_opt.load(path, threads=2) for path in paths)
        for knob in ("b.threshold", "b.input_threshold"):
            skipping.set_knob(knob, 0)
        for rows in ROWS:
            x = RANDOM.standard_normal((rows, WIDTH)).astype(numpy.float32)
            y, expected = (model.run(None, {"x": x})[0] for model in (skipping, whole))
            self.assertLess(abs(y - expected).max(), 1e-5 * abs(expected).max())

    def test_inputs_above_the_crossover_are_dense(self):
        """The same block on either side, and both lists are counted."""
        path = self.compile(Block("both", known_up=True, bias=True, kept=0.5, crossover=1,
                                  input_crossover=1))
        for isa, threads in itertools.product(list(self.targets(path)), (1, 3)):
            os.environ["SPARSE_OPT_ISA"] = isa
            listed, dense = (sparse_opt.load(path, threads=threads) for _ in range(2))
            dense.set_knob("b.input_crossover", -1)
            for kept, rows in itertools.product((0.0, 0.5), (1, 3, 16)):
                x = RANDOM.standard_normal((rows, WIDTH)).astype(numpy.float32)
                results = []
                for model in (listed, dense):
                    model.set_knob("b.input_threshold", kept)
                    model.set_knob("b.threshold", 0)
                    results.append(model.run(None, {"x": x})[0])
                self.assertLess(abs(results[0] - results[1]).max(),
                                1e-5 * abs(results[0]).max(), isa)
            for model, fallbacks in ((listed, 0), (dense, 40)):
                counts = {it["block"]: it for it in model.telemetry()}
                self.assertEqual(set(counts), {"b", "b.inputs"})
                self.assertEqual((counts["b.inputs"]["rows"], counts["b.inputs"]["fallbacks"]),
                                 (40, fallbacks))
                self.assertEqual((counts["b"]["rows"], counts["b"]["fallbacks"]), (40, 0))
        del os.environ["SPARSE_OPT_ISA"]

    def test_zero_threshold_is_all(self):
        """Zero surrogate: what is skipped adds nothing, to the last bit."""
        relu_only = Block("nonzero", act="relu", bias=True)
        everything = Block("gate", act="relu", bias=True)
        paths = self.compile(relu_only), self.compile(everything)
        skipping, computing = (sparse_opt.load(path, threads=2) for path in paths)
        computing.set_knob("b.threshold", -1.0)
        for rows in ROWS:
            x = RANDOM.standard_normal((rows, WIDTH)).astype(numpy.float32)
            numpy.testing.assert_array_equal(skipping.run(None, {"x": x})[0],
                                             computing.run(None, {"x": x})[0])
        self.assertEqual(computing.telemetry()[0]["density"], 1)
        self.assertLess(skipping.telemetry()[0]["density"], 1)

    def test_telemetry_counts_what_was_kept(self):
        block = BLOCKS["gate"]
        model = sparse_opt.load(self.compile(block), threads=1)
        self.assertEqual(model.telemetry(),
                         [{"block": "b", "rows": 0, "fallbacks": 0, "density": 0}])
        kept = 0
        for _ in range(5):
            x = RANDOM.standard_normal((1, WIDTH)).astype(numpy.float32)
            model.run(None, {"x": x})
            kept += block.run(x, block.threshold)[1].mean()
        model.run(None, {"x": RANDOM.standard_normal((20, WIDTH)).astype(numpy.float32)})
        stats, = model.telemetry()
        self.assertEqual((stats["rows"], stats["fallbacks"]), (25, 20))
        self.assertAlmostEqual(stats["density"], kept / 5, delta=0.01)

    def test_telemetry_counts_kept_columns(self):
        block = Block("both", known_up=True, kept=0.5)
        model = sparse_opt.load(self.compile(block), threads=1)
        x = RANDOM.standard_normal((5, 3, WIDTH)).astype(numpy.float32)
        for rows in x:
            model.run(None, {"x": rows})
        model.run(None, {"x": RANDOM.standard_normal((20, WIDTH)).astype(numpy.float32)})
        counts = {it["block"]: it for it in model.telemetry()}
        for name, kept in (("b", [block.run(rows, 0.1)[1].any(0).mean() for rows in x]),
                           ("b.inputs", (abs(x) > 0.5).any(1).mean(1))):
            self.assertEqual((counts[name]["rows"], counts[name]["fallbacks"]), (35, 20))
            self.assertAlmostEqual(counts[name]["density"], numpy.mean(kept), delta=0.01)

    def test_rows_above_the_crossover_are_fallbacks(self):
        rows = RANDOM.standard_normal((20, 1, WIDTH)).astype(numpy.float32)
        kept = [BLOCKS["gate"].run(x, 0.1)[1].mean() for x in rows]
        crossover = float(numpy.median(kept)) + 1e-4
        above = sum(share > crossover for share in kept)
        self.assertTrue(0 < above < 20, above)
        model = sparse_opt.load(self.compile(Block("gate", minus=True, crossover=crossover)),
                                threads=1)
        for x in rows:
            model.run(None, {"x": x})
        stats, = model.telemetry()
        self.assertEqual((stats["rows"], stats["fallbacks"]), (20, above))
        model.set_knob("b.crossover", 1)
        model.run(None, {"x": x})
        self.assertEqual(model.telemetry()[0]["fallbacks"], above)

    def test_drift(self):
        """Told of windows of 256 rows outside the band, of those inside not."""
        model = sparse_opt.load(self.compile(Block("gate", minus=True, band=(0.25, 1.0))),
                                threads=1)
        told = []
        model.on_drift(lambda *drift: told.append(drift))

        def run(rows):
            for _ in range(rows):
                model.run(None, {"x": RANDOM.standard_normal((1, WIDTH)).astype(numpy.float32)})

        run(600)
        self.assertEqual(told, [])
        model.set_knob("b.threshold", 100)
        run(512)  # the first window began before
        self.assertIn(len(told), (1, 2))
        self.assertEqual(told[-1], ("b", 0.0, 0.25, 1.0))
        model.run(None, {"x": RANDOM.standard_normal((512, WIDTH)).astype(numpy.float32)})
        model.on_drift(None)
        seen = len(told)
        run(512)
        self.assertEqual(len(told), seen)

    def test_drift_of_inputs(self):
        block = Block("both", known_up=True, kept=0.5, band=(0.0, 1.0), input_band=(0.3, 0.9))
        model = sparse_opt.load(self.compile(block), threads=1)
        told = []
        model.on_drift(lambda *drift: told.append(drift))
        for scale, expected in ((1, None), (100, 1.0)):
            for _ in range(600):
                x = RANDOM.standard_normal((1, WIDTH)) * scale + numpy.sign(scale - 1)
                model.run(None, {"x": x.astype(numpy.float32)})
            self.assertEqual(bool(told), expected is not None)
        name, density, low, high = told[-1]
        self.assertEqual((name, low, high), ("b.inputs", 0.3, 0.9))
        self.assertGreater(density, 0.98)

    def test_knobs(self):
        path = self.compile(BLOCKS["gate"])
        model = sparse_opt.load(path, knobs={"b.threshold": 0.25})
        self.assertEqual(model.get_knob("b.threshold"), 0.25)
        for wrong, sentence in (
            (lambda: model.set_knob("c", 1),
             'the model has no knob "c"; the first of its 1 is "b.threshold"'),
            (lambda: model.set_knob("b.threshold", float("nan")),
             'knob "b.threshold" can\'t be NaN'),
            (lambda: sparse_opt.load(path, knobs={"d": 0}),
             'the model has no knob "d"; the first of its 1 is "b.threshold"'),
        ):
            with self.assertRaises(ValueError) as raised:
                wrong()
            self.assertEqual(str(raised.exception), sentence)


if __name__ == "__main__":
    unittest.main()
