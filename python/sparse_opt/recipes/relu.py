# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains a small natively ReLU decoder, for sparsity that nobody put there.

    python -m sparse_opt.recipes.relu

Arcee's architecture (LLaMA with a plain FFN and relu(x)^2 as activation),
6 layers of 512 with 3072 neurons, own tokens, on the text of corpus.py; no
term of the loss asks for zeros. About 25 minutes on two idle cores. Stopped,
it goes on where it was when started again; finished, it does nothing but
report. Files land in $SPARSE_OPT_CACHE/models/relu-decoder (default
~/.cache/sparse-opt): weights for `transformers`, tokenizer.json, decoder.onnx
with past key/values, and GGUF files in f32 and bf16 for llama.cpp.
"""

import argparse
import json
import os
import sys

import numpy as np

from .. import texts
from ..tokenizing import UsageError, load
from . import corpus

SETTINGS = {"layers": 6, "width": 512, "hidden": 3072, "heads": 8, "kv_heads": 4,
            "head_size": 64, "words": 8192, "context": 512, "batch": 4, "seed": 0,
            "steps": 1200, "peak": 1e-3, "warm_up": 100}
FILES = ["decoder.onnx", "decoder-f32.gguf", "decoder-bf16.gguf"]


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m sparse_opt.recipes.relu", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=SETTINGS["steps"],
                        help=f"of {SETTINGS['batch']} x {SETTINGS['context']} tokens "
                             f"({SETTINGS['steps']})")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: one a core")
    parser.add_argument("--precision", choices=["auto", "bf16", "f32"], default="auto",
                        help="of products; auto: bf16 where the CPU has it")
    parser.add_argument("--trial", type=int, metavar="SECONDS",
                        help="train so long, say how fast it is and leave nothing")
    parser.add_argument("--check", action="append", default=[], metavar="MODEL.so",
                        help="compare an artefact's logits too; may be repeated")
    parser.error = lambda message: _fail(message)
    options = parser.parse_args(arguments)
    if options.steps < 1 or options.threads < 1:
        raise UsageError("--steps and --threads must be at least 1")
    return options


def _fail(message):
    sys.exit(f"sparse_opt.recipes.relu: error: {message}")


def say(message):
    print(message, file=sys.stderr, flush=True)


def modules():
    try:
        import torch
        import transformers
    except ImportError as error:
        raise UsageError(f"training needs the package `{error.name}`: "
                         "pip install 'sparse-opt[train]'") from None
    return torch, transformers


def tokens_of(folder, words):
    """(tokenizer, tokens to train on), made once."""
    tokenizer, tokens = folder / "tokenizer.json", folder / "tokens.npy"
    if not (tokenizer.is_file() and tokens.is_file()):
        documents = corpus.training_documents()
        made = corpus.train_tokenizer(documents, words)
        beside = folder / "tokens.part.npy"
        np.save(beside, corpus.stream(made, documents))
        made.save(str(tokenizer))
        os.replace(beside, tokens)
    return load(tokenizer), np.load(tokens)


def make_model(settings):
    torch, transformers = modules()
    torch.manual_seed(settings["seed"])
    return transformers.ArceeForCausalLM(transformers.ArceeConfig(
        hidden_size=settings["width"], num_hidden_layers=settings["layers"],
        num_attention_heads=settings["heads"], num_key_value_heads=settings["kv_heads"],
        head_dim=settings["head_size"], intermediate_size=settings["hidden"],
        vocab_size=settings["words"], max_position_embeddings=2 * settings["context"],
        tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, attn_implementation="sdpa"))


def trained(folder, settings, tokens, options):
    """The model after training, or None after a trial."""
    torch, transformers = modules()
    from .training import Run

    finished = folder / "trained"
    if not (finished / "training.json").is_file():
        bf16 = options.precision == "bf16" or (
            options.precision == "auto" and torch.cpu._is_avx512_bf16_supported())
        model = make_model(settings)
        training = Run(model, settings, folder / "checkpoint.pt", bf16, say)
        windows = corpus.Windows(tokens, settings["context"], settings["batch"], settings["seed"])
        say(f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters, "
            f"{len(tokens) / 1e6:.2f} M tokens, {'bf16' if bf16 else 'f32'} products, "
            f"{windows.steps_an_epoch} steps an epoch")
        state = training.finish(windows, options.trial)
        if options.trial:
            return None
        beside = folder / "trained.part"
        model.save_pretrained(beside)
        (beside / "training.json").write_text(json.dumps({"settings": settings, **state}))
        os.replace(beside, finished)
        (folder / "checkpoint.pt").unlink(missing_ok=True)
    if options.trial:
        raise UsageError(f"{finished} is trained already: no trial")
    found = json.loads((finished / "training.json").read_text())
    if found["settings"] != settings:
        raise UsageError(f"{finished} was trained with other settings; remove it to begin anew")
    say(f"trained: {found['step']} steps, loss {found['loss']:.3f}, "
        f"{found['cpu'] / 60:.0f} minutes of CPU time in {found['wall'] / 60:.0f} minutes")
    return transformers.ArceeForCausalLM.from_pretrained(finished, dtype=torch.float32).eval()


def write_files(model, tokenizer, folder):
    torch, _ = modules()
    from .export import export_decoder
    from .gguf_writer import write

    export_decoder(model, folder / "decoder.onnx")
    for name, bf16 in (("decoder-f32.gguf", False), ("decoder-bf16.gguf", True)):
        write(model, tokenizer, folder / name, bf16)


def show(model, tokenizer, folder, compiled):
    from .. import model as models
    from . import report

    windows = report.held_out_windows(tokenizer, corpus.held_out_documents())
    perplexities, zeros = report.perplexity_and_zeros(model, windows)
    for name, value in perplexities.items():
        print(f"perplexity of {name}: {value:.2f}")
    print("exact zeros by layer: " + " ".join(f"{each:.3f}" for each in zeros)
          + f", mean {np.mean(zeros):.3f}")
    ids = next(iter(windows.values()))[0][:96]
    engines = {path: models.load(path) for path in compiled}
    try:
        import onnxruntime
        engines["ONNX Runtime"] = onnxruntime.InferenceSession(
            folder / "decoder.onnx", providers=["CPUExecutionProvider"])
    except ImportError:
        say("ONNX Runtime isn't there to compare with")
    for name, engine in engines.items():
        print(f"{name}: logits differ from torch's by "
              f"{report.difference(model, engine, ids):.1e} of the largest")
    for name in ("decoder-f32.gguf", "decoder-bf16.gguf"):
        worst = report.llama_cpp_difference(model, folder / name, ids)
        if worst is not None:
            print(f"llama.cpp {name}: log-probabilities differ by {worst:.1e}")


def run(options):
    torch, transformers = modules()
    transformers.utils.logging.disable_progress_bar()
    settings = {**SETTINGS, "steps": options.steps}
    folder = texts.cache() / "models" / "relu-decoder"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer, tokens = tokens_of(folder, settings["words"])
    torch.set_num_threads(options.threads)
    model = trained(folder, settings, tokens, options)
    if model is None:
        return
    if not all((folder / name).is_file() for name in FILES):
        write_files(model, tokenizer, folder)
    show(model, tokenizer, folder, options.check)


def main(arguments=None):
    try:
        run(parse(arguments))
    except (UsageError, OSError, MemoryError) as error:
        _fail(error)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
