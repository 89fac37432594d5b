# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compresses a model of two blocks, one of 32 and one of 96 neurons, of which
the second needs far fewer, with each allocation. Fails unless densities have
the mean that was asked for, `equal-error` makes CETTs equal that otherwise
aren't, and `greedy` makes the sum of the errors behind the norms smaller.

usage: allocations.py FOLDER
"""
import json
import math
import subprocess
import sys

import numpy

folder = sys.argv[1]
random = numpy.random.default_rng(1)
target = 0.4


def tensor(name, *shape, scale=None):
    values = random.normal(size=shape) / math.sqrt(shape[0])
    if scale is not None:
        values *= scale
    numbers = ", ".join(f"{value:.4f}" for value in values.ravel())
    return f"  float[{','.join(map(str, shape))}] {name} = {{{numbers}}}"


def model():
    # A few neurons of the second block do nearly all of its work.
    weights = [tensor("g1", 8, 32), tensor("u1", 8, 32), tensor("d1", 32, 8),
               tensor("g2", 8, 96), tensor("u2", 8, 96),
               tensor("d2", 96, 8, scale=0.02 + 3 * (numpy.arange(96) < 12)[:, None]),
               "  float[8] gamma = {1, 2, 1, 2, 1, 2, 1, 2}"]
    body = ""
    for i, (x, y) in enumerate([("x", "n1"), ("n1", "y")], 1):
        body += f"""  p{i} = MatMul ({x}, g{i})
  e{i} = Sigmoid (p{i})
  a{i} = Mul (p{i}, e{i})
  q{i} = MatMul ({x}, u{i})
  m{i} = Mul (a{i}, q{i})
  ["/down{i}"] b{i} = MatMul (m{i}, d{i})
  s{i} = Add (b{i}, {x})
  {y} = SimplifiedLayerNormalization <axis = -1, epsilon = 0.001> (s{i}, gamma)
"""
    return ('<\n  ir_version: 9,\n  opset_import: ["" : 20]\n>\nmain (float[rows, 8] x) => '
            "(float[rows, 8] y)\n<\n" + ",\n".join(weights) + "\n>\n{\n" + body + "}\n")


def run(*arguments):
    subprocess.run(["sparse-opt", *arguments], check=True, stdout=subprocess.DEVNULL)


path = f"{folder}/two"
open(path + ".onnxtxt", "w").write(model())
numpy.savez(path + ".npz", x=random.normal(size=(2000, 8)).astype("f4"))
run("calibrate", path + ".onnxtxt", f"--inputs={path}.npz", "--row-mask=none",
    "-o", path + ".profile")
blocks = {}
for allocation in ("uniform", "equal-error", "greedy"):
    run("compile", path + ".onnxtxt", "-o", path + ".so", "--march=native", "--unmeasured",
        "--method=ffn-threshold{rule=cett target-density=%s allocation=%s}" % (target, allocation),
        f"--profile={path}.profile", f"--report={path}.json")
    blocks[allocation] = first, second = json.load(open(path + ".json"))["blocks"]
    mean = (32 * first["density"] + 96 * second["density"]) / 128
    assert abs(mean - target) < 0.01, (allocation, mean)
    assert (first.get("allocation") or "uniform") == allocation, first


def spread(allocation):
    errors = [block["cett"] for block in blocks[allocation]]
    return max(errors) / min(errors)


def total(allocation):
    return sum(block["held_out_error_after_norm"] for block in blocks[allocation])


assert spread("uniform") > 1.5, blocks["uniform"]
assert spread("equal-error") < 1.1, blocks["equal-error"]
assert total("greedy") < 0.9 * total("uniform"), blocks
assert total("greedy") <= 1.02 * total("equal-error"), blocks
