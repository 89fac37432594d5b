# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""same-gains.py inspect.json report.json: fails unless what `inspect` says of
rule=cats without a centre is what compile's report has, and its work is that of
a gated block whose gate comes first."""
import json
import sys

inspected, report = (json.load(open(path)) for path in sys.argv[1:])
found = inspected["blocks"][0]["profile"]
rule = next(rule for rule in found["rules"] if rule["rule"] == "cats")
assert rule["centre"] == "none", rule
level = rule["levels"][0]
done = report["blocks"][0]
assert abs(level["density"] - done["held_out_density"]) < 0.02, (level, done)
assert abs(level["cett"] - done["held_out_cett"]) < 0.01, (level, done)
assert abs(level["bytes"] - (1 + 2 * level["density"]) / 3) < 1e-6, level
zeros = found["skip_zeros"]
assert abs(zeros["density"] + found["zeros"] - 1) < 1e-9, found
