# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A calibration profile from text: python -m sparse_opt.calibrate --help

Cuts a text into sequences, makes a model's inputs of their tokens and calls
`sparse-opt calibrate`, which does the rest. Needs the package `tokenizers`
(an extra: `pip install ./python[text]`) and the compiler's program.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from . import texts, tokenizing
from .tokenizing import UsageError

TYPES = {"int64": np.int64, "int32": np.int32, "float32": np.float32, "float16": np.float16,
         "bool": np.bool_}
POSITIONS_PER_FILE = 1 << 15


def model_inputs(program, model, extra=()):
    """What `sparse-opt inspect` says about the inputs: name, type, dims."""
    try:
        done = subprocess.run([program, "inspect", model, "--json", *extra],
                              capture_output=True, text=True)
    except OSError as error:
        raise UsageError(f"'{program}' can't be started: {error.strerror}; "
                         "--sparse-opt=PROGRAM names the compiler") from None
    if done.returncode:
        raise UsageError(done.stderr.strip().removeprefix("sparse-opt: error: "))
    return json.loads(done.stdout)["inputs"]


def sequences(text, tokenizer, unit, length, limit):
    """Lists of at most `length` token ids."""
    if unit == "tokens":  # runs of a text, as a decoder sees it
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        pieces = [ids[i:i + length] for i in range(0, len(ids) - 1, length)]
        return pieces[:limit]
    pieces = texts.sentences(text) if unit == "sentence" else text.splitlines()
    pieces = [piece for piece in pieces if piece.strip()][:limit]
    tokenizer.enable_truncation(length)
    return [encoded.ids for encoded in tokenizer.encode_batch(pieces)]


def is_past(name):
    return name.startswith("past")


def array_of(described, ids, mask):
    """The array of one input for padded `ids` with `mask`."""
    name, dims = described["name"], described["dims"]
    kind = TYPES.get(described["type"])
    if kind is None:
        raise UsageError(f"input '{name}' is {described['type']}, which text doesn't give")
    if name == "input_ids":
        return ids.astype(kind)
    if name == "attention_mask":
        return mask.astype(kind)
    if name == "token_type_ids":
        return np.zeros_like(ids, kind)
    if name == "position_ids":
        return np.maximum(mask.cumsum(1) - 1, 0).astype(kind)
    if is_past(name):  # empty caches: the batch, then sizes that are fixed, else 0
        return np.zeros([len(ids), *(d if isinstance(d, int) else 0 for d in dims[1:])], kind)
    if name == "use_cache_branch":
        return np.zeros(dims if all(isinstance(d, int) for d in dims) else [1], kind)
    raise UsageError(f"it isn't known what of a text the input '{name}' takes; write .npz "
                     "files and call sparse-opt calibrate")


def batches(inputs, pieces):
    """Feeds of similar length; without a mask only equal lengths go together."""
    names = [described["name"] for described in inputs]
    if "input_ids" not in names:
        raise UsageError("the model has no input 'input_ids', so text can't be its input")
    has_mask = "attention_mask" in names
    order = sorted((piece for piece in pieces if piece), key=len)
    begin = 0
    while begin < len(order):
        end = begin + 1
        while (end < len(order) and (end + 1 - begin) * len(order[end]) <= POSITIONS_PER_FILE
               and (has_mask or len(order[end]) == len(order[begin]))):
            end += 1
        group = order[begin:end]
        ids = np.zeros((len(group), len(group[-1])), np.int64)
        mask = np.zeros_like(ids)
        for row, piece in enumerate(group):
            ids[row, :len(piece)] = piece
            mask[row, :len(piece)] = 1
        yield {d["name"]: array_of(d, ids, mask) for d in inputs}
        begin = end


def calibrate(options, further):
    external = [flag for flag in further if flag.startswith("--allow-external")]
    inputs = model_inputs(options.sparse_opt, options.model, external)
    unit = options.unit
    if unit == "auto":
        unit = "tokens" if any(is_past(d["name"]) for d in inputs) else "sentence"
    tokenizer = tokenizing.load(options.tokenizer)
    text = texts.from_file(options.text)
    pieces = sequences(text, tokenizer, unit, options.length, options.limit)
    if not any(pieces):
        raise UsageError(f"--text={options.text}: holds no text to calibrate with")
    with tempfile.TemporaryDirectory(prefix="sparse-opt-calibrate-") as folder:
        folder = pathlib.Path(options.keep or folder)
        folder.mkdir(parents=True, exist_ok=True)
        for number, feeds in enumerate(batches(inputs, pieces)):
            np.savez(folder / f"{number:05}.npz", **feeds)
        return subprocess.run([options.sparse_opt, "calibrate", options.model,
                               f"--inputs={folder}", "-o", options.output, *further]).returncode


def positive(text):
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="python -m sparse_opt.calibrate", allow_abbrev=False,
        description="Makes a calibration profile from text.",
        epilog="Further flags go to 'sparse-opt calibrate': --sample-mb=, --threads=, ...")
    parser.add_argument("model", help="an ONNX model with the input input_ids")
    parser.add_argument("--text", required=True, help="a text file, UTF-8")
    parser.add_argument("--tokenizer", required=True, help="tokenizer.json")
    parser.add_argument("-o", dest="output", required=True, help="the profile to write")
    parser.add_argument("--unit", choices=["auto", "sentence", "line", "tokens"], default="auto",
                        help="what a sequence is (auto: tokens for models with a past, else "
                        "sentence)")
    parser.add_argument("--length", type=positive, default=256, help="most tokens of a sequence (256)")
    parser.add_argument("--limit", type=positive, help="how many sequences (all)")
    parser.add_argument("--keep", metavar="DIR", help="leave the .npz files there")
    parser.add_argument("--sparse-opt", default="sparse-opt", metavar="PROGRAM",
                        help="the compiler (sparse-opt)")
    try:
        return calibrate(*parser.parse_known_args(arguments))
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
