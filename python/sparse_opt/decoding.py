# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a decoder's inputs and outputs are for, and how its steps follow.

Works with a compiled model and with an onnxruntime.InferenceSession alike, as
both of torch's exporters name things. Choosing tokens is sampling.py's, text
generate.py's.
"""

import re

import numpy as np

_INTEGERS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
_FLOATS = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_MASKS = {**_INTEGERS, "tensor(float)": np.float32, "tensor(bool)": np.bool_}


class Decoder:
    """Tokens in, logits out, caches in between.

    Caches are kept by the model (compiled with --kv-cache=in-place), passed
    from one run's outputs to the next one's inputs, or absent: then all tokens
    run again in every step.
    """

    def __init__(self, model):
        self.model = model
        self._keeps = bool(getattr(model, "get_states", list)())
        inputs = {each.name: each for each in model.get_inputs()}
        outputs = model.get_outputs()
        self._pasts = _pair_caches(list(inputs.values()), outputs)
        rest = [each for name, each in inputs.items() if name not in self._pasts]
        self._ids, self._mask, self._positions = _roles(rest)
        presents = set(self._pasts.values())
        self._logits = next((each.name for each in outputs if each.name not in presents
                             and len(each.shape) == 3
                             and not re.search("hidden|state|embedding", each.name)), None)
        if not self._logits:
            raise ValueError("the model has no output of logits [batch, sequence, words]")
        self._wanted = [self._logits, *self._pasts.values()]
        self._inputs = inputs
        self.reset()

    def reset(self):
        """Forgets all tokens."""
        if self._keeps:
            self.model.reset()
        self._caches = None
        self._seen = None

    @property
    def length(self):
        """Tokens so far, padding included."""
        return 0 if self._seen is None else self._seen.shape[1]

    def step(self, ids, mask=None):
        """Logits [batch, sequence, words] of the next tokens.

        ids: [batch, sequence]. mask: 0 where a token is padding, which may
        stand to the left of a row's first.
        """
        ids = np.asarray(ids, np.int64)
        if ids.ndim != 2 or not ids.size:
            raise ValueError(f"tokens must be an array [batch, sequence], not {list(ids.shape)}")
        real = np.ones(ids.shape, np.int64) if mask is None else np.asarray(mask, np.int64)
        seen = real if self._seen is None else np.hstack([self._seen, real])
        if not (self._keeps or self._pasts):
            self._tokens = ids if self._seen is None else np.hstack([self._tokens, ids])
        outputs = self._run(ids, seen)
        self._seen = seen
        self._caches = outputs[1:]
        return outputs[0][:, -ids.shape[1]:]

    def _run(self, ids, seen):
        if not (self._keeps or self._pasts):
            ids = self._tokens
        # Padding has some position; the mask keeps it from being looked at.
        positions = (seen.cumsum(1) - 1).clip(0)[:, -ids.shape[1]:]
        feeds = {self._ids.name: ids.astype(_INTEGERS[self._ids.type])}
        if self._mask:
            feeds[self._mask.name] = seen.astype(_MASKS[self._mask.type])
        elif not seen.all():
            raise ValueError("the model has no attention mask, so rows can't be padded")
        if self._positions:
            feeds[self._positions.name] = positions.astype(_INTEGERS[self._positions.type])
        if self._pasts:
            caches = self._caches or self._empty_caches(len(ids))
            feeds.update(zip(self._pasts, caches))
        return self.model.run(self._wanted, feeds)

    def _empty_caches(self, batch):
        """Every dynamic dim but the first is a length, which is 0."""
        return [np.zeros([batch] + [size if isinstance(size, int) else 0
                                    for size in self._inputs[name].shape[1:]],
                         _FLOATS[self._inputs[name].type]) for name in self._pasts]


def left_padded(rows, padding=0):
    """(ids, mask) [batch, longest] of rows of different lengths."""
    longest = max(map(len, rows))
    ids = np.full((len(rows), longest), padding, np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, longest - len(row):] = row
        mask[i, longest - len(row):] = 1
    return ids, mask


_SIDES = {"past", "present", "new", "cache", "caches", "self", "in", "out", "input", "output"}


def _key(name):
    """What names of one cache have in common on both sides of a model: kind
    and layer, as (key, 0) of past_key_values.0.key and present.0.key."""
    words = re.findall(r"\d+|[a-z]+", name.lower().replace("past_key_values", ""))
    return tuple(word for word in words if word not in _SIDES)


def _pair_caches(inputs, outputs):
    """Input name -> output name: by what they are called, else by order."""
    given, made = ([arg for arg in args if len(arg.shape) == 4 and arg.type in _FLOATS]
                   for args in (inputs, outputs))
    by_key = {}
    for each in made:
        by_key.setdefault(_key(each.name), each.name)
    pairs = {each.name: by_key.get(_key(each.name)) for each in given}
    if all(pairs.values()) and len(set(pairs.values())) == len(pairs):
        return pairs
    if len(given) != len(made):
        names = ", ".join(f'"{name}"' for name, found in pairs.items() if not found)
        raise ValueError(f"no output continues the cache {names}")
    return {a.name: b.name for a, b in zip(given, made)}


def _roles(inputs):
    """(tokens, mask, positions) among inputs that are no caches."""
    found = {"mask": None, "position": None, "ids": None}
    for each in inputs:
        role = next((role for role in found if role in each.name.lower()), None)
        if role is None and len(each.shape) == 2 and each.type in _INTEGERS:
            role = "ids"
        if role is None or found[role] or len(each.shape) != 2:
            raise ValueError(f'input "{each.name}" is none that a decoder is known to have')
        found[role] = each
    if not found["ids"]:
        raise ValueError("the model has no input of tokens [batch, sequence]")
    return found["ids"], found["mask"], found["position"]
