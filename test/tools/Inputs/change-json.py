# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""change-json.py in.json out.json KEY [VALUE]: without the key, or with that JSON there."""
import json
import sys

source, target, key = sys.argv[1:4]
content = json.load(open(source))
del content[key]
if sys.argv[4:]:
    content[key] = json.loads(sys.argv[4])
json.dump(content, open(target, "w"))
