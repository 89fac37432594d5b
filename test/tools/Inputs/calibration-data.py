# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes an .npz for test/tools/model.onnxtxt: ids and mask.

usage: calibration-data.py FILE SEQUENCES LENGTH SEED [padded|nan|far]
"""
import sys

import numpy

path, (sequences, length, seed), kind = sys.argv[1], map(int, sys.argv[2:5]), sys.argv[5:]
random = numpy.random.default_rng(seed)
ids = random.integers(0, 5, (sequences, length))
mask = numpy.ones((sequences, length), numpy.float32)
if kind == ["padded"]:
    mask = (numpy.arange(length) < random.integers(1, length + 1, (sequences, 1))).astype(mask.dtype)
if kind == ["nan"]:
    mask[1, 2] = numpy.nan
if kind == ["far"]:
    ids[1, 2] = 5
numpy.savez(path, ids=ids, mask=mask)
