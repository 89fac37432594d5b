# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A peer of model.onnxtxt whose thread computes from its first run on."""
import threading

import numpy


def spin():
    while True:
        numpy.ones(100000).sum()


class Peer:
    version = "0"
    outputs = ["y"]

    def __init__(self, model, threads):
        self.thread = None

    def run(self, feeds):
        if not self.thread:
            self.thread = threading.Thread(target=spin, daemon=True)
            self.thread.start()
        return [numpy.zeros((*feeds["ids"].shape, 4), "f4")]
