# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiles gated.onnxtxt with a norm behind its sum, in every spelling. Fails
unless spellings of one norm agree on the error of the block behind it, and that
is what the compiled model loses: the norm is its last node, and both errors are
of the rows held out.

usage: norm-errors.py gated.onnxtxt rows.npz FOLDER (KIND.txt: what is printed)
"""
import json
import math
import subprocess
import sys

model, rows, folder = sys.argv[1:]
parts = """{square}
  v = ReduceMean (q, axes)
  e = Add (v, epsilon)
  r = Sqrt (e)
  """
spellings = {
    "layer": {
        "layer": "y = LayerNormalization <axis = -1, epsilon = 0.01> (s, gamma, beta)",
        "layer-parts": "mean = ReduceMean (s, axes)\n  c = Sub (s, mean)\n  "
                       + parts.format(square="q = Mul (c, c)")
                       + "n = Div (c, r)\n  t = Mul (n, gamma)\n  y = Add (t, beta)",
        "layer-skip": "y = com.microsoft.SkipLayerNormalization <epsilon = 0.01> "
                      "(b, x, gamma, beta)"},
    "rms": {
        "rms": "y = SimplifiedLayerNormalization <axis = -1, epsilon = 0.01> (s, gamma)",
        "rms-parts": parts.format(square="q = Pow (s, two)")
                     + "i = Reciprocal (r)\n  n = Mul (s, i)\n  y = Mul (gamma, n)"},
    "none": {"none": "y = Tanh (s)"},
}
constants = """  float[4] gamma = {2.0, 0.1, 1.0, -0.5},
  float[4] beta = {0.0, 1.0, -0.25, 0.125},
  float epsilon = {0.01},
  float two = {2.0},
  int64[1] axes = {-1},
"""


def run(*arguments):
    return subprocess.run(["sparse-opt", *arguments], check=True, text=True,
                          stdout=subprocess.PIPE).stdout


def report(kind, norm):
    path = f"{folder}/{kind}"
    text = open(model).read().replace('["" : 20]', '["" : 20, "com.microsoft" : 1]')
    text = text.replace("  float[4] down_bias", constants + "  float[4] down_bias")
    total = "" if kind.endswith("-skip") else "s = Add (b, x)\n  "
    open(path + ".onnxtxt", "w").write(text.replace("y = Add (b, x)", total + norm))
    run("calibrate", path + ".onnxtxt", f"--inputs={rows}", "--row-mask=none",
        "-o", path + ".profile")
    printed = run("compile", path + ".onnxtxt", "-o", path + ".so", "--march=native",
                  "--method=ffn-threshold{rule=cats target-density=0.3}", "--unmeasured",
                  f"--profile={path}.profile", f"--report={path}.json")
    open(path + ".txt", "w").write(printed)
    return json.load(open(path + ".json"))


for name, kinds in spellings.items():
    errors = []
    for kind, norm in kinds.items():
        found = report(kind, norm)
        block = found["blocks"][0]
        error = block["held_out_error_after_norm"]
        if name == "none":
            assert error is None and "norm" not in block, block
            continue
        assert "no_norm" not in block, block
        # The norm changes the error, by more than what x in bf16 does.
        assert not math.isclose(error, block["held_out_error_with_residual"], rel_tol=0.1), block
        lost = found["whole_model"]["rel_mean"]
        assert math.isclose(error, lost, rel_tol=0.02), (kind, error, lost)
        errors.append(error)
    assert not errors or max(errors) - min(errors) < 1e-4 * max(errors), (name, errors)
