# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""edit-plan.py in.json out.json decision [reason] [key=number...]: decides so
about every block, and sets numbers of it."""
import json
import sys

plan = json.load(open(sys.argv[1]))
numbers = [word.split("=") for word in sys.argv[4:] if "=" in word]
reasons = [word for word in sys.argv[4:] if "=" not in word]
for block in plan["blocks"]:
    block["decision"] = sys.argv[3]
    block.pop("reason", None)
    if reasons:
        block["reason"] = reasons[0]
    block.update((key, float(number)) for key, number in numbers)
json.dump(plan, open(sys.argv[2], "w"))
