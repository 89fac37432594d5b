# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compressed FFN blocks of random shapes, forms and densities, against numpy.

Widths that are multiples of a cache line, and others, which are computed with
masks; masks of random density, and thresholds at random quantiles of the score.
What rounding could decide otherwise widens the bound by what it could add.
"""
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy

import sparse_opt
from compressed_block import ACTIVATIONS, CUTOFF, Block, weights

CASES = 12
SELECTS = ("all", "given", "nonzero", "gate", "centred", "up", "both", "product")
# Products, rounded hidden values, and scores in the type of activations.
TYPES = {"f32": ((), 1e-5, 1e-5), "bf16": (("--dtype=bf16", "--max-error=rel:0.1"), 2e-2, 2e-2)}


def draw(seed):
    """A block, the type that it is compiled in, and what draws its inputs."""
    random = numpy.random.default_rng([7, seed])
    lines = random.random() < 0.5
    width, neurons = (64 * random.integers(1, 5, 2) if lines else random.integers(1, 257, 2))
    group = 16 if random.random() < 0.25 else 1
    neurons += -neurons % group
    select = SELECTS[seed % len(SELECTS)]
    known_up = select in ("up", "both", "product")
    gated = known_up or bool(random.random() < 0.5)
    # What has no zeros would keep all neurons.
    acts = ["relu", "relu2", "fatrelu"] if select == "nonzero" else list(ACTIVATIONS)
    block = Block(select, act=str(random.choice(acts)), gated=gated, group=group,
                  bias=bool(random.random() < 0.5), minus=bool(random.random() < 0.5),
                  known=known_up or bool(random.random() < 0.7), known_up=known_up,
                  up_relu=bool(gated and random.random() < 0.3),
                  weights=weights(int(width), int(neurons), random))
    return block, str(random.choice(list(TYPES))), random


def bounds(block, x, threshold, mask, rounding):
    """y, and what each of its values may be off by for neurons in doubt."""
    z, hidden, score, rest = block.evaluate(x)
    down = block.weights["down"].astype(numpy.float64)
    if block.select in ("all", "given"):
        sure = doubtful = numpy.ones_like(hidden, bool) if mask is None else mask
    elif block.select == "nonzero":
        sure = doubtful = score != 0  # next to a cutoff more than an epsilon
        if block.act == "fatrelu":
            near = abs(z - CUTOFF) < 4 * rounding
            sure, doubtful = sure & ~near, sure | near
    else:
        near = rounding * (threshold + numpy.median(abs(score)))
        sure, doubtful = abs(score) > threshold + near, abs(score) > threshold - near
    sure, doubtful = block.in_groups(sure), block.in_groups(doubtful)
    if block.act == "fatrelu":  # in doubt, hidden may be the cutoff or 0
        scale = CUTOFF * (abs(x @ block.weights["up"]) if block.gated else 1)
        hidden_most = numpy.maximum(abs(hidden), scale)
    else:
        hidden_most = abs(hidden)
    return (numpy.where(sure, hidden, 0) @ down + rest,
            numpy.where(doubtful & ~sure, hidden_most, 0) @ abs(down))


class RandomBlocksTest(unittest.TestCase):
    def run_case(self, seed, folder):
        block, dtype, random = draw(seed)
        flags, tolerance, rounding = TYPES[dtype]
        source, path = folder / f"{seed}.mlir", folder / f"{seed}.so"
        source.write_text(block.text())
        subprocess.run([os.environ["SPARSE_OPT"], "compile", source, "-o", path,
                        "--march=native", *flags],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        models = [sparse_opt.load(path, threads=n) for n in (1, 3)]
        count = 0
        for rows in (1, int(random.integers(2, 17)), int(random.integers(17, 41))):
            x = random.standard_normal((rows, block.width))
            x = (numpy.round(x * 16) / 16).astype(numpy.float32)  # as bf16 holds them
            density, feeds, mask, threshold = random.random(), {"x": x}, None, 0.0
            if block.select == "given":
                mask = feeds["mask"] = random.random((rows, block.neurons)) < density
            elif block.select not in ("all", "nonzero"):
                threshold = float(numpy.quantile(abs(block.evaluate(x)[2]), 1 - density))
                for model in models:
                    model.set_knob("b.threshold", threshold)
            y, other = (model.run(None, feeds)[0] for model in models)
            numpy.testing.assert_array_equal(y, other)
            expected, doubt = bounds(block, x, threshold, mask, rounding)
            error = (abs(y - expected) - doubt).max() / abs(expected).max()
            self.assertLess(error, tolerance, f"{rows} rows, density {density:.2f}")
            count += 1
        return count

    def test_random_blocks(self):
        compared = 0
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(CASES):
                block, dtype, _ = draw(seed)
                with self.subTest(seed=seed, select=block.select, act=block.act, dtype=dtype,
                                  width=block.width, neurons=block.neurons, gated=block.gated,
                                  group=block.group, known=block.known):
                    compared += self.run_case(seed, pathlib.Path(folder))
        self.assertEqual(compared, 3 * CASES)


if __name__ == "__main__":
    unittest.main()
