# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs its arguments as a command and prints the exit status."""
import subprocess
import sys

done = subprocess.run(sys.argv[1:])
print(f"status {done.returncode}")
