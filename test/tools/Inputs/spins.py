# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A peer of model.onnxtxt whose thread goes on computing after its first turn;
it fails when that has not ended by the next one."""
import threading
import time

import numpy


TURN = 6  # an untimed run and five timed ones


def spin():
    while time.thread_time() < 0.1:
        numpy.ones(100000).sum()


class Peer:
    version = "0"
    outputs = ["y"]

    def __init__(self, model, threads):
        self.thread = threading.Thread(target=spin)
        self.runs = 0

    def run(self, feeds):
        self.runs += 1
        if self.runs == TURN:
            self.thread.start()
        elif self.thread.is_alive():
            raise RuntimeError("others had a turn while this one's thread computed")
        return [numpy.zeros((*feeds["ids"].shape, 4), "f4")]
