# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A training loop that may be stopped at any time and goes on where it was.

Which rows a step reads and what its learning rate is depend on its number
alone. Checkpoints are written beside the old one and renamed. The model, its
text and what becomes of it are the caller's.
"""

import math
import os
import time

import torch

from ..tokenizing import UsageError


def learning_rate(step, steps, peak, warm_up):
    """A linear rise, then half a cosine down to a tenth of the peak."""
    if step < warm_up:
        return peak * (step + 1) / warm_up
    done = (step - warm_up) / max(1, steps - warm_up)
    return peak * (.1 + .45 * (1 + math.cos(math.pi * done)))


def save(value, path):
    """torch.save that never leaves half a file under the name."""
    beside = path.with_name(path.name + ".part")
    torch.save(value, beside)
    os.replace(beside, path)


class Run:
    """Settings: a dict with steps, peak and warm_up and whatever else makes
    this run another one than one before; a checkpoint of another is refused."""

    def __init__(self, model, settings, checkpoint, bf16, say, every=180):
        self._model, self._settings, self._path = model, settings, checkpoint
        self._bf16, self._say, self._every = bf16, say, every
        decayed = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim < 2]
        self._optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": .1}, {"params": others, "weight_decay": 0}],
            betas=(.9, .95), fused=True)
        self._state = {"step": 0, "wall": 0.0, "cpu": 0.0, "loss": None}
        if checkpoint.is_file():
            self._resume()

    def _resume(self):
        saved = torch.load(self._path, weights_only=True)
        if saved["settings"] != self._settings:
            raise UsageError(f"{self._path} is of a run with other settings; "
                             "remove it to begin anew")
        self._model.load_state_dict(saved["model"])
        self._optimizer.load_state_dict(saved["optimizer"])
        self._state = saved["state"]
        self._say(f"going on at step {self._state['step']}")

    def _save(self):
        save({"settings": self._settings, "model": self._model.state_dict(),
              "optimizer": self._optimizer.state_dict(), "state": self._state}, self._path)

    def _step(self, rows):
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self._state["step"], self._settings["steps"],
                                        self._settings["peak"], self._settings["warm_up"])
        with torch.autocast("cpu", torch.bfloat16, enabled=self._bf16):
            logits = self._model(input_ids=rows[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(),
                                                 rows[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def finish(self, windows, until=None):
        """Trains to the end, or for `until` seconds; returns its state: step,
        wall and cpu seconds (of all parts of the run), and mean loss."""
        begun, last_saved = time.monotonic(), time.monotonic()
        wall, cpu = self._state["wall"], self._state["cpu"]
        cpu_begun, first = time.process_time(), self._state["step"]
        self._model.train()
        while self._state["step"] < self._settings["steps"]:
            rows = torch.from_numpy(windows.at(self._state["step"]))
            loss, mean = self._step(rows), self._state["loss"]
            self._state["loss"] = loss if mean is None else .98 * mean + .02 * loss
            self._state["step"] += 1
            now = time.monotonic()
            self._state["wall"] = wall + now - begun
            self._state["cpu"] = cpu + time.process_time() - cpu_begun
            if self._state["step"] % 25 == 0:
                speed = rows[:, 1:].numel() * (self._state["step"] - first) / (now - begun)
                self._say(f"step {self._state['step']} of {self._settings['steps']}, "
                          f"loss {self._state['loss']:.3f}, {speed:.0f} tokens/s")
            if until and now - begun > until:
                break
            if now - last_saved > self._every:
                self._save()
                last_saved = now
        if first < self._state["step"] and not until:
            self._save()
        self._model.eval()
        return dict(self._state)
