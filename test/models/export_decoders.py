#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exports the small decoders of this folder; needs torch, which no test does.

usage: export_decoders.py [FOLDER]     torch 2.13, transformers 5.23, onnx 1.23

Two layers each, by both of torch's exporters, with past key/values: a LLaMA, a
GPT-2 and encoder-decoders. Weights stay out of the text: initialisers that are
parameters (or their transposes, `.T`) become external data, which
write_weights.py makes; all others stand in it. SmolLM2 (`smollm2 FOLDER GGUF`)
is written once for all its layers, see write_weights.py.
"""
import pathlib
import re
import sys
import warnings

import onnx
import torch
import transformers as hub
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

WIDTH, LAYERS, HEADS, HIDDEN, WORDS = 64, 2, 4, 96, 320


def llama():
    return hub.LlamaForCausalLM(hub.LlamaConfig(
        hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=2, intermediate_size=HIDDEN, vocab_size=WORDS,
        max_position_embeddings=256, tie_word_embeddings=True,
        attn_implementation="eager"))


def gpt2():
    return hub.GPT2LMHeadModel(hub.GPT2Config(
        n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_inner=HIDDEN,
        vocab_size=WORDS, n_positions=256, bos_token_id=0, eos_token_id=0,
        attn_implementation="eager"))


def t5():
    return hub.T5ForConditionalGeneration(hub.T5Config(
        d_model=WIDTH, d_kv=WIDTH // HEADS, d_ff=HIDDEN, num_layers=LAYERS,
        num_heads=HEADS, vocab_size=WORDS, decoder_start_token_id=0,
        tie_word_embeddings=True))


def bart():
    return hub.BartForConditionalGeneration(hub.BartConfig(
        d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS,
        encoder_attention_heads=HEADS, decoder_attention_heads=HEADS,
        encoder_ffn_dim=HIDDEN, decoder_ffn_dim=HIDDEN, vocab_size=WORDS,
        max_position_embeddings=256, pad_token_id=1, bos_token_id=0,
        eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=None,
        attn_implementation="eager"))


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


class Positioned(torch.nn.Module):
    """Positions from outside, as Optimum exports what has learned ones."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, mask, positions, *past):
        past = past[0] if isinstance(past[0], tuple) else past
        out = self.model(input_ids=ids, attention_mask=mask,
                         position_ids=positions,
                         past_key_values=filled(past), use_cache=True)
        return (out.logits, *flat(out.past_key_values))


class Counted(Positioned):
    """Positions counted from the mask inside."""

    def forward(self, ids, mask, *past):
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1]:]
        return super().forward(ids, mask, positions, *past)


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model.get_encoder()

    def forward(self, ids, mask):
        return self.model(input_ids=ids, attention_mask=mask).last_hidden_state


class CrossDecoder(torch.nn.Module):
    """The second half; keys and values of the encoder's output are made anew
    in every step, those of the decoder's own past come and go."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, hidden, mask, *past):
        past = past[0] if isinstance(past[0], tuple) else past
        cache = EncoderDecoderCache(filled(past), DynamicCache())
        out = self.model(decoder_input_ids=ids, encoder_outputs=(hidden,),
                         attention_mask=mask, past_key_values=cache,
                         use_cache=True)
        return (out.logits, *flat(out.past_key_values.self_attention_cache))


def export(wrapped, out, arguments, heads, dynamo):
    """`arguments`: name -> (example, {axis: dim}); past caches are added."""
    layers = LAYERS if heads else 0
    batch = next(iter(arguments.values()))[0].shape[0]
    past = {f"past_key_values.{layer}.{kind}":
            (torch.randn(batch, heads, 4, WIDTH // HEADS), {0: "batch", 2: "past"})
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


def named_weights(model, parameters, data):
    """Initialisers that are parameters get their names and lose their data."""
    renamed, at = {}, 0
    for initialiser in model.graph.initializer:
        array = onnx.numpy_helper.to_array(initialiser)
        name = next((name + end for name, value in parameters.items()
                     for end, each in (("", value), (".T", value.T))
                     if array.ndim and array.shape == each.shape
                     and array.dtype == each.dtype and (array == each).all()), None)
        if not name:
            if array.size > 64:
                sys.exit(f"{initialiser.name} {array.shape} is no parameter")
            continue
        renamed[initialiser.name] = initialiser.name = name
        initialiser.ClearField("raw_data")
        initialiser.ClearField("float_data")
        initialiser.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", data), ("offset", at), ("length", array.nbytes)):
            initialiser.external_data.add(key=key, value=str(value))
        at += array.nbytes
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)


def without_aliases(model):
    """torchscript writes equal parameters (all biases are 0) as one."""
    kept = [node for node in model.graph.node if node.op_type != "Identity"]
    alias = {node.output[0]: node.input[0] for node in model.graph.node
             if node.op_type == "Identity"}
    for node in kept:
        for i, name in enumerate(node.input):
            while name in alias:
                name = alias[name]
            node.input[i] = name
    del model.graph.node[:]
    model.graph.node.extend(kept)


def as_text(path, parameters, out):
    model = onnx.load(path)
    for node in model.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.functions[:]
    named_weights(model, parameters, out.stem + ".data")
    out.write_text(onnx.printer.to_text(model) + "\n")
    onnx.parser.parse_model(out.read_text())  # it can be read again


def small_models(folder):
    ids = torch.randint(5, WORDS, (2, 3))
    row = {0: "batch", 1: "sequence"}
    mask = (torch.ones(2, 7, dtype=torch.long), {0: "batch", 1: "total"})
    words = {"input_ids": (ids, row), "attention_mask": mask}
    positions = {"position_ids": (torch.arange(4, 7).expand(2, 3), row)}
    source = {0: "batch", 1: "source"}
    encoded = {"input_ids": (torch.randint(5, WORDS, (2, 6)), source),
               "attention_mask": (torch.ones(2, 6, dtype=torch.long), source)}
    crossed = {"input_ids": (ids, row),
               "encoder_hidden_states": (torch.randn(2, 6, WIDTH), source),
               "encoder_attention_mask": encoded["attention_mask"]}
    for name, make, wrap, arguments, heads, dynamo in [
            ("llama", llama, Decoder, words, 2, False),
            ("llama-dynamo", llama, Decoder, words, 2, True),
            ("gpt2", gpt2, Positioned, {**words, **positions}, HEADS, False),
            ("gpt2-dynamo", gpt2, Counted, words, HEADS, True),
            ("t5-encoder", t5, Encoder, encoded, 0, False),
            ("t5-decoder", t5, CrossDecoder, crossed, HEADS, False),
            ("bart-encoder", bart, Encoder, encoded, 0, True),
            ("bart-decoder", bart, CrossDecoder, crossed, HEADS, True)]:
        torch.manual_seed(0)
        model = make().eval()
        with torch.no_grad():
            for parameter in model.parameters():  # all different, for the names
                parameter.copy_(torch.randn(parameter.shape) * .1)
        path = folder / f"{name}.onnx"
        with torch.no_grad():
            export(wrap(model), path, arguments, heads, dynamo)
        parameters = {key: value.numpy() for key, value in model.state_dict().items()}
        as_text(path, parameters, pathlib.Path(__file__).with_name(f"{name}.onnxtxt"))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    small_models(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "."))
