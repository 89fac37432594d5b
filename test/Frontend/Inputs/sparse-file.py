# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes FILE of SIZE bytes, a hole but for 1 KiB of 0.5 at OFFSET and at the end."""

import sys

import numpy as np

path, size, offset = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
values = np.full(256, 0.5, "<f4").tobytes()
with open(path, "wb") as file:
    file.truncate(size)
    for at in (offset, size - len(values)):
        file.seek(at)
        file.write(values)
