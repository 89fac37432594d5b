# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""same-gains.py inspect.json report.json: fails unless what `inspect` says of
the report's rule without a centre is what the report has, and its work is that
of a gated block whose gate comes first or, of rule=teal, what both lists read."""
import json
import sys

inspected, report = (json.load(open(path)) for path in sys.argv[1:])
found = inspected["blocks"][0]["profile"]
done = report["blocks"][0]
rule = next(rule for rule in found["rules"] if rule["rule"] == done["rule"])
assert rule["centre"] == "none", rule
level = rule["levels"][0]
assert level["met"], level
assert abs(level["cett"] - done["held_out_cett"]) < 0.01, (level, done)
if done["rule"] == "teal":
    for share, name in (("bytes", "density"), ("density", "neuron_density"),
                        ("input_density", "input_density")):
        assert abs(level[share] - done["held_out_" + name]) < 0.02, (level, done)
    read = (2 * level["input_density"] + level["density"]) / 3
    assert level["input_density"] < 1, level
else:
    assert abs(level["density"] - done["held_out_density"]) < 0.02, (level, done)
    read = (1 + 2 * level["density"]) / 3
assert abs(level["bytes"] - read) < 1e-6, level
zeros = found["skip_zeros"]
assert abs(zeros["density"] + found["zeros"] - 1) < 1e-9, found
