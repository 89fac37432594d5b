# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A peer of model.onnxtxt whose thread goes on computing after each turn. It
fails when that has often not ended by the next one: once or twice a machine
that halts may have looked as if it were idle."""
import threading
import time

import numpy

TURN = 6  # an untimed run and five timed ones


def spin():
    while time.thread_time() < 0.05:
        numpy.ones(100000).sum()


class Peer:
    version = "0"
    outputs = ["y"]

    def __init__(self, model, threads):
        self.thread = threading.Thread(target=spin)
        self.runs = self.disturbed = 0

    def run(self, feeds):
        self.disturbed += self.runs % TURN == 0 and self.thread.is_alive()
        if self.disturbed == 3:
            raise RuntimeError("others had a turn while this one's thread computed")
        self.runs += 1
        if self.runs % TURN == 0:
            self.thread = threading.Thread(target=spin)
            self.thread.start()
        return [numpy.zeros((*feeds["ids"].shape, 4), "f4")]
