# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How well a decoder predicts tokens, and how alike two encoders' embeddings
are. Models are compiled ones or onnxruntime.InferenceSessions; texts come as
tokens. The protocol, which texts and how many, is eval.py's."""

import numpy as np

from .decoding import Decoder


def token_losses(decoder, ids):
    """-log p of every token but the first, in nats."""
    decoder.reset()
    logits = decoder.step(np.asarray([ids]))[0, :-1].astype(np.float64)
    logits -= logits.max(axis=-1, keepdims=True)
    total = np.log(np.exp(logits).sum(axis=-1))
    return total - np.take_along_axis(logits, np.asarray(ids)[1:, None], 1)[:, 0]


def windows(ids, length, count):
    """The first `count` runs of `length` tokens, side by side."""
    found = [ids[i * length:(i + 1) * length] for i in range(count)]
    if len(found[-1]) < length:
        raise ValueError(f"the text has {len(ids)} tokens, fewer than {count} x {length}")
    return found


def perplexity(losses):
    return float(np.exp(np.mean(losses)))


def paired_change(losses, reference):
    """(relative change of perplexity, its standard error), token by token."""
    difference = np.asarray(losses) - np.asarray(reference)
    ratio = np.exp(difference.mean())
    error = difference.std(ddof=1) / np.sqrt(len(difference)) if len(difference) > 1 else np.nan
    return float(ratio - 1), float(ratio * error)


def is_decoder(model):
    """Whether it predicts tokens, rather than describing them."""
    try:
        Decoder(model)
    except ValueError:
        return False
    return True


class Encoder:
    """One vector a text: the mean of its tokens' last states."""

    def __init__(self, model):
        self._model = model
        floats = [each for each in model.get_outputs() if each.type == "tensor(float)"]
        states = [each for each in floats if len(each.shape) == 3]
        if not states:
            raise ValueError("the model has no output of states [batch, sequence, width]")
        self._output = states[0].name

    def __call__(self, ids):
        ids = np.asarray([ids], np.int64)
        feeds = {}
        for each in self._model.get_inputs():
            name = each.name.lower()
            value = (np.ones_like(ids) if "mask" in name else
                     np.zeros_like(ids) if "type" in name or "segment" in name else
                     np.arange(ids.shape[1])[None] if "position" in name else ids)
            feeds[each.name] = value.astype(np.int32 if "int32" in each.type else np.int64)
        states = self._model.run([self._output], feeds)[0]
        return states[0].astype(np.float64).mean(0)


def cosines(one, other, texts):
    """Cosine of the two models' vectors, one a text."""
    pairs = [(one(ids), other(ids)) for ids in texts]
    return np.array([a @ b / (np.linalg.norm(a) * np.linalg.norm(b)) for a, b in pairs])
