# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Chooses the next token from logits: the likeliest, or by chance."""

import numpy as np


class Sampler:
    """temperature: 0 takes the likeliest; else logits are divided by it.
    top_p: of the likeliest, so many that they have this probability together.
    """

    def __init__(self, temperature=0.0, top_p=1.0, seed=None):
        if not temperature >= 0:
            raise ValueError(f"temperature must be at least 0, not {temperature}")
        if not 0 < top_p <= 1:
            raise ValueError(f"top-p must be above 0 and at most 1, not {top_p}")
        self.temperature, self.top_p = temperature, top_p
        self._random = np.random.default_rng(seed)

    def __call__(self, logits):
        """The token for logits [words]."""
        if self.temperature == 0:
            return int(np.argmax(logits))
        scaled = np.asarray(logits, np.float64) / self.temperature
        likely = np.exp(scaled - scaled.max())
        likely /= likely.sum()
        order = np.argsort(-likely, kind="stable")
        # The one that crosses top_p stays, so there is always one.
        kept = order[:int(np.searchsorted(np.cumsum(likely[order]), self.top_p)) + 1]
        return int(self._random.choice(kept, p=likely[kept] / likely[kept].sum()))
