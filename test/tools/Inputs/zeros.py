# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A peer of model.onnxtxt that answers zeros."""
import numpy


class Peer:
    version = "0"
    outputs = ["y"]

    def __init__(self, model, threads):
        pass

    def run(self, feeds):
        return [numpy.zeros((*feeds["ids"].shape, 4), "f4")]
