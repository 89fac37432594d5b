# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Fails when a command's --help is over 40 lines or 80 columns."""
import subprocess
import sys

text = subprocess.run([*sys.argv[1:], "--help"], check=True, text=True,
                      stdout=subprocess.PIPE).stdout
lines = text.splitlines()
wide = [line for line in lines if len(line) > 80]
if not lines or len(lines) > 40 or wide:
    sys.exit(f"{len(lines)} lines; too wide: {wide}")
