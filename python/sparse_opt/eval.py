# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Measures what a compiled model answers, alone or beside a second one.

    python -m sparse_opt.eval model.so --tokenizer=tokenizer.json
    python -m sparse_opt.eval small.so model.onnx --tokenizer=tokenizer.json

Decoders: perplexity on 16 x 512 tokens, 8 of the State of the Union address of
2021, 8 of the last chapters of Moby-Dick; beside a second model its change,
paired token by token, with the standard error. Encoders: cosine of sentence
embeddings (mean of token states) of the two, 200 sentences of each text. A
second model that is an .onnx file runs in onnxruntime.
"""

import argparse
import sys

import numpy as np

from . import measures
from . import model as models
from . import texts
from .decoding import Decoder
from .tokenizing import UsageError, load

SOTU, CHASE = "2021_joseph_r_biden_d", (133, 134, 135)
OTHER_CHAPTERS = range(120, 133)


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m sparse_opt.eval", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="compiled by sparse-opt")
    parser.add_argument("reference", nargs="?", help="another one, or an .onnx file")
    parser.add_argument("--tokenizer", required=True, help="their tokenizer.json")
    parser.add_argument("--text", action="append", help="file to measure on; may be repeated")
    parser.add_argument("--task", choices=["perplexity", "embedding"],
                        help="default: by what the model returns")
    parser.add_argument("--windows", type=int, default=8, help="windows of each text (8)")
    parser.add_argument("--tokens", type=int, default=512, help="tokens of a window (512)")
    parser.add_argument("--sentences", type=int, default=200, help="sentences of each text (200)")
    parser.add_argument("--threads", type=int, help="default: one a core")
    parser.error = lambda message: _fail(message)
    return parser.parse_args(arguments)


def _fail(message):
    sys.exit(f"sparse_opt.eval: error: {message}")


def opened(path, threads):
    if not path.endswith(".onnx"):
        return models.load(path, threads=threads)
    try:
        import onnxruntime
    except ImportError:
        raise UsageError(f"{path} needs the package `onnxruntime`: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes, all of them Exception's
        raise UsageError(f"cannot load {path}: {str(error).splitlines()[0]}") from None


def sources(arguments, chapters, moby_name):
    """name -> text"""
    if arguments.text:
        return {path: texts.from_file(path) for path in arguments.text}
    return {"SOTU 2021": texts.speech(SOTU), moby_name: texts.moby_dick(chapters)}


def perplexities(arguments, tokenizer, opened_models):
    if arguments.windows < 1 or arguments.tokens < 2:
        raise UsageError("there must be at least 1 window of at least 2 tokens")
    decoders = [Decoder(model) for model in opened_models]
    losses = {}
    for name, text in sources(arguments, CHASE, "Moby-Dick 133-135").items():
        try:
            parts = measures.windows(tokenizer.encode(text, add_special_tokens=False).ids,
                                     arguments.tokens, arguments.windows)
        except ValueError as error:
            raise UsageError(f"{name}: {error}; --windows and --tokens make it less") from None
        losses[name] = [np.concatenate([measures.token_losses(decoder, part) for part in parts])
                        for decoder in decoders]
    losses["all"] = [np.concatenate(column) for column in zip(*losses.values())]
    return losses


def show_perplexities(losses, out):
    width = max(map(len, losses))
    paired = len(losses["all"]) > 1
    extra = "  reference    change  standard error" if paired else ""
    print(f"{'':<{width}}  tokens  perplexity{extra}", file=out)
    for name, columns in losses.items():
        line = f"{name:<{width}}  {len(columns[0]):6}  {measures.perplexity(columns[0]):10.4f}"
        if paired:
            change, error = measures.paired_change(*columns)
            line += (f"  {measures.perplexity(columns[1]):9.4f}  {100 * change:+7.3f} %"
                     f"  {100 * error:12.3f} %")
        print(line, file=out)


def embeddings(arguments, tokenizer, opened_models):
    if len(opened_models) < 2:
        raise UsageError("embeddings are compared with those of a second model")
    if arguments.sentences < 1:
        raise UsageError("there must be at least 1 sentence")
    encoders = [measures.Encoder(model) for model in opened_models]
    found = {}
    for name, text in sources(arguments, OTHER_CHAPTERS, "Moby-Dick 120-132").items():
        chosen = texts.sentences(text)
        if len(chosen) < arguments.sentences:
            raise UsageError(f"{name} has {len(chosen)} sentences, fewer than "
                             f"{arguments.sentences}; --sentences makes it less")
        picked = chosen[::len(chosen) // arguments.sentences][:arguments.sentences]
        ids = [tokenizer.encode(each).ids for each in picked]
        found[name] = measures.cosines(*encoders, ids)
    return found


def show_embeddings(found, out):
    width = max(map(len, found))
    print(f"{'':<{width}}  sentences  mean cosine    lowest", file=out)
    for name, cosine in found.items():
        print(f"{name:<{width}}  {len(cosine):9}  {cosine.mean():11.7f}  {cosine.min():.6f}",
              file=out)


def run(arguments, out):
    tokenizer = load(arguments.tokenizer)
    paths = [arguments.model] + [arguments.reference] * (arguments.reference is not None)
    opened_models = [opened(path, arguments.threads) for path in paths]
    task = arguments.task or ("perplexity" if measures.is_decoder(opened_models[0])
                              else "embedding")
    if task == "perplexity":
        show_perplexities(perplexities(arguments, tokenizer, opened_models), out)
    else:
        show_embeddings(embeddings(arguments, tokenizer, opened_models), out)


def main(arguments=None):
    try:
        run(parse(arguments), sys.stdout)
    except (UsageError, ValueError, OSError, MemoryError, models.SparseOptError) as error:
        _fail(error)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
