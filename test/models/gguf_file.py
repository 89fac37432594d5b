#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Reads GGUF version 3 files: values, tensors as f32, and the tokenizer.

usage: gguf_file.py WEIGHTS.gguf OUT/tokenizer.json

Knows the formats of weights that the tests' model has (F32, F16, Q8_0, Q4_1);
the LLaMA names and the order of rotary dimensions are Hugging Face's.
"""
import json
import pathlib
import struct
import sys

import numpy

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?",
           10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


class File:
    """values: key -> value; tensors: name -> (shape, format, offset)."""

    def __init__(self, path):
        self.data = numpy.memmap(path, mode="r")
        self.at = 0
        if self.data[:4].tobytes() != b"GGUF" or self._skip(4) or self._value(4) != 3:
            raise ValueError(f"{path} is no GGUF file of version 3")
        count, values = self._value(10), self._value(10)
        self.values = {self._value(STRING): self._typed() for _ in range(values)}
        self.tensors = dict(self._tensor() for _ in range(count))
        alignment = self.values.get("general.alignment", 32)
        self.begin = -(-self.at // alignment) * alignment

    def _skip(self, count):
        self.at += count

    def _value(self, kind):
        if kind == STRING:
            size = self._value(10)
            self._skip(size)
            return self.data[self.at - size:self.at].tobytes().decode()
        if kind == ARRAY:
            inner, count = self._value(4), self._value(10)
            return [self._value(inner) for _ in range(count)]
        size = struct.calcsize(SCALARS[kind])
        self._skip(size)
        return struct.unpack("<" + SCALARS[kind],
                             self.data[self.at - size:self.at].tobytes())[0]

    def _typed(self):
        return self._value(self._value(4))

    def _tensor(self):
        name = self._value(STRING)
        shape = [self._value(10) for _ in range(self._value(4))]
        return name, (shape[::-1], self._value(4), self._value(10))

    def array(self, name):
        """One tensor in f32."""
        shape, form, offset = self.tensors[name]
        count = int(numpy.prod(shape))
        data = self.data[self.begin + offset:]
        if form == 0:
            flat = data[:4 * count].view("<f4")
        elif form == 1:
            flat = data[:2 * count].view("<f2").astype(numpy.float32)
        elif form == 8:  # 32 int8 behind one scale
            blocks = data[:count // 32 * 34].reshape(-1, 34)
            scale = blocks[:, :2].copy().view("<f2").astype(numpy.float32)
            flat = blocks[:, 2:].view(numpy.int8).astype(numpy.float32) * scale
        elif form == 3:  # 32 nibbles behind scale and minimum
            blocks = data[:count // 32 * 20].reshape(-1, 20)
            scale = blocks[:, :4].copy().view("<f2").astype(numpy.float32)
            nibbles = numpy.hstack([blocks[:, 4:] & 15, blocks[:, 4:] >> 4])
            flat = nibbles.astype(numpy.float32) * scale[:, :1] + scale[:, 1:]
        else:
            raise ValueError(f"{name} has format {form}, which this can't read")
        return flat.reshape(shape)


NAMES = {"token_embd": "model.embed_tokens", "output_norm": "model.norm",
         "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
         "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj"}


def llama_weights(file):
    """Hugging Face's name -> function that makes the array."""
    heads = {"attn_q": file.values["llama.attention.head_count"],
             "attn_k": file.values["llama.attention.head_count_kv"]}

    def make(name, kind):
        array = file.array(name)
        if kind not in heads:
            return array
        # GGUF pairs neighbours for RoPE, Hugging Face the two halves.
        split = array.reshape(heads[kind], -1, 2, array.shape[1])
        return split.swapaxes(1, 2).reshape(array.shape)

    made = {}
    for name in file.tensors:
        *layer, kind, _ = name.split(".")
        prefix = f"model.layers.{layer[1]}." if layer else ""
        made[f"{prefix}{NAMES[kind]}.weight"] = (
            lambda name=name, kind=kind: make(name, kind))
    return made


def tokenizer(file):
    """tokenizer.json of a byte-level BPE whose digits stand alone."""
    words = file.values["tokenizer.ggml.tokens"]
    kinds = file.values["tokenizer.ggml.token_type"]
    special = [{"id": i, "content": word, "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": True}
               for i, (word, kind) in enumerate(zip(words, kinds)) if kind == 3]
    level = {"type": "ByteLevel", "add_prefix_space": False,
             "trim_offsets": True, "use_regex": True}
    return json.dumps({
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True}, level]},
        "post_processor": None, "decoder": level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False,
                  "vocab": {word: i for i, word in enumerate(words)},
                  "merges": [merge.split(" ") for merge in
                             file.values["tokenizer.ggml.merges"]]}},
        ensure_ascii=False)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    pathlib.Path(sys.argv[2]).write_text(tokenizer(File(sys.argv[1])))
