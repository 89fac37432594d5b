# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""compile --lossless of ONNX models with every activation that gives zeros.

From calibration to the artefact: what it computes is what the dense one does,
for few rows and many, and neurons were skipped for it. SPARSE_OPT names the
compiler.
"""
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy

import sparse_opt

WIDTH, NEURONS = 64, 128
SPARSE_OPT = os.environ.get("SPARSE_OPT", "sparse-opt")
RANDOM = numpy.random.default_rng(11)
# Nodes from the product z, and u of gated blocks, to what goes into the down
# projection; the bias of z.
ACTIVATIONS = {
    "relu": ("m = Relu (z)", 0),
    "relu2": ("a = Relu (z)\n m = Mul (a, a)", 0),
    "relu gate": ("a = Relu (z)\n m = Mul (a, u)", 0),
    "drelu": ("a = Relu (z)\n b = Relu (u)\n m = Mul (a, b)", 0),
    "fatrelu": ("k = Greater (z, cutoff)\n m = Where (k, z, zero)", 0),
    "fatrelu gate": ("k = GreaterOrEqual (z, cutoff)\n a = Where (k, z, zero)\n m = Mul (a, u)", 0),
    "silu that underflows": ("a = Swish (z)\n m = Mul (a, u)", -110),
    "gelu that underflows": ("m = Gelu (z)", -8),
}


def text(array):
    return "{" + ", ".join(f"{value:.9g}" for value in array.ravel()) + "}"


def model(nodes, bias):
    """A layer with its residual; some neurons' biases lie at `bias`."""
    def weight(*shape):
        return (RANDOM.standard_normal(shape) * 0.3).astype(numpy.float32)

    biases = numpy.where(RANDOM.random(NEURONS) < 0.6, bias, 0.1)
    up = f"float[{WIDTH}, {NEURONS}] wu = {text(weight(WIDTH, NEURONS))},"
    return f"""<ir_version: 10, opset_import: ["" : 24]>
g (float[n, {WIDTH}] x) => (float[n, {WIDTH}] y) <
 {up if "u)" in nodes else ""}
 float[{WIDTH}, {NEURONS}] wz = {text(weight(WIDTH, NEURONS))},
 float[{NEURONS}] bz = {text(biases)},
 float[{NEURONS}, {WIDTH}] wd = {text(weight(NEURONS, WIDTH))},
 float cutoff = {{0.5}}, float zero = {{0}}> {{
 p = MatMul (x, wz)
 z = Add (p, bz)
 {"u = MatMul (x, wu)" if "u)" in nodes else ""}
 {nodes}
 ["/mlp/down"] d = MatMul (m, wd)
 y = Add (d, x)
}}
"""


def rows(count):
    return RANDOM.standard_normal((count, WIDTH)).astype(numpy.float32)


class LosslessTest(unittest.TestCase):
    def check(self, folder, nodes, bias):
        source, data, profile = (folder / name for name in ("m.onnxtxt", "x.npz", "m.profile"))
        source.write_text(model(nodes, bias))
        numpy.savez(data, x=rows(200))

        def run(*arguments):
            done = subprocess.run([SPARSE_OPT, *map(str, arguments)], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

        run("calibrate", source, f"--inputs={data}", "--row-mask=none", "-o", profile)
        run("compile", source, "-o", folder / "dense.so", "--march=native")
        run("compile", source, "-o", folder / "skips.so", "--march=native", "--lossless",
            "--method=ffn-skip-zeros", f"--profile={profile}", "--unmeasured",
            f"--report={folder / 'report.json'}")
        block, = json.loads((folder / "report.json").read_text())["blocks"]
        self.assertEqual(block["decision"], "compressed")
        self.assertLessEqual(block["measured_error"], 1e-5)
        dense, skips = (sparse_opt.load(folder / name, threads=2)
                        for name in ("dense.so", "skips.so"))
        for count in (1, 5, 16, 40):
            x = rows(count)
            y, expected = (m.run(None, {"x": x})[0] for m in (skips, dense))
            self.assertLessEqual(abs(y - expected).max(), 1e-5 * abs(expected).max())
        x = rows(30)
        for row in x:
            skips.run(None, {"x": row[None]})
        self.assertLess(block["density"], 0.9)
        self.assertLess(skips.telemetry()[0]["density"], 1)

    def test_all_activations(self):
        for name, (nodes, bias) in ACTIVATIONS.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                self.check(pathlib.Path(folder), nodes, bias)


if __name__ == "__main__":
    unittest.main()
