# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""edit-plan.py in.json out.json decision [reason]: decides so about every block."""
import json
import sys

plan = json.load(open(sys.argv[1]))
for block in plan["blocks"]:
    block["decision"] = sys.argv[3]
    block.pop("reason", None)
    if sys.argv[4:]:
        block["reason"] = sys.argv[4]
json.dump(plan, open(sys.argv[2], "w"))
