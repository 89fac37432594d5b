# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes decoders of `transformers` as ONNX with past key/values.

Inputs input_ids, attention_mask and past_key_values.N.{key,value}, results
logits and present.N.{key,value}, as Optimum names them.
"""

import os
import warnings

import torch
from transformers.cache_utils import DynamicCache


def filled(past):
    cache = DynamicCache()
    for layer in range(len(past) // 2):
        cache.update(past[2 * layer], past[2 * layer + 1], layer)
    return cache


def flat(cache):
    return [each for layer in cache.layers for each in (layer.keys, layer.values)]


class Decoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, mask, *past):
        past = past[0] if isinstance(past[0], tuple) else past
        out = self.model(input_ids=ids, attention_mask=mask,
                         past_key_values=filled(past), use_cache=True)
        return (out.logits, *flat(out.past_key_values))


def export(wrapped, out, arguments, heads, dynamo, layers, size):
    """`arguments`: name -> (example, {axis: dim}); past caches are added."""
    layers = layers if heads else 0
    batch = next(iter(arguments.values()))[0].shape[0]
    past = {f"past_key_values.{layer}.{kind}":
            (torch.randn(batch, heads, 4, size), {0: "batch", 2: "past"})
            for layer in range(layers) for kind in ("key", "value")}
    given = {**arguments, **past}
    presents = [name.replace("past_key_values", "present") for name in past]
    first = "logits" if layers else "last_hidden_state"
    common = dict(input_names=list(given), output_names=[first, *presents])
    examples = tuple(example for example, _ in given.values())
    if dynamo:
        dims = {}
        shapes = [{axis: torch.export.Dim.DYNAMIC if name == "total" else
                   dims.setdefault(name, torch.export.Dim(name))
                   for axis, name in axes.items()} for _, axes in given.values()]
        if past:
            shapes[len(arguments):] = [tuple(shapes[len(arguments):])]
        torch.onnx.export(wrapped, examples, out, dynamic_shapes=tuple(shapes),
                          dynamo=True, external_data=False, **common)
        return
    axes = {name: axes for name, (_, axes) in given.items()}
    axes[first] = {0: "batch", 1: "sequence"}
    axes.update({name: {0: "batch", 2: "total"} for name in presents})
    torch.onnx.export(wrapped, examples, out, dynamic_axes=axes,
                      opset_version=17, dynamo=False, **common)


def export_decoder(model, path):
    """A model of the LLaMA family, opset 17, written beside and renamed."""
    config = model.config
    was, config._attn_implementation = config._attn_implementation, "eager"
    arguments = {"input_ids": (torch.randint(5, config.vocab_size, (2, 3)),
                               {0: "batch", 1: "sequence"}),
                 "attention_mask": (torch.ones(2, 7, dtype=torch.long), {0: "batch", 1: "total"})}
    beside = path.with_name(path.name + ".part")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        export(Decoder(model), beside, arguments, config.num_key_value_heads, False,
               config.num_hidden_layers, config.head_dim)
    config._attn_implementation = was
    os.replace(beside, path)
