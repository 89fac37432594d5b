# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes an .npz with rows of normal numbers for gated.onnxtxt.

usage: rows.py FILE ROWS SEED
"""
import sys

import numpy

path, (rows, seed) = sys.argv[1], map(int, sys.argv[2:])
numpy.savez(path, x=numpy.random.default_rng(seed).normal(size=(rows, 4)).astype(numpy.float32))
