# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A published model compiled, used and timed; `tools/bootstrap demo` runs it.

usage: demo.py COMPILER MODELS OUT_DIR

Prints the nearest neighbour of each sentence, then `sparse-opt bench`'s table
against ONNX Runtime.
"""
import os
import pathlib
import subprocess
import sys
import time

import numpy
import tokenizers

import sparse_opt

MODEL = "paraphrase-MiniLM-L3-v2.onnx"
POOLED = "461"
SENTENCES = [
    "How do I reset my password?",
    "The cat sleeps on the warm windowsill.",
    "I forgot the word I log in with.",
    "A bakery around the corner sells fresh bread.",
    "The train to Zurich leaves at noon.",
    "On the sunny ledge a kitten is napping.",
    "You can buy rolls and cake down the street.",
    "At twelve o'clock we depart by rail for Switzerland.",
]
SHAPES = ["1x16", "1x128", "8x128"]


def sentence_feeds(tokenizer):
    tokenizer.enable_padding()
    tokenizer.enable_truncation(128)
    encoded = tokenizer.encode_batch(SENTENCES)
    return {"input_ids": numpy.array([each.ids for each in encoded]),
            "attention_mask": numpy.array([each.attention_mask for each in encoded])}


def neighbours(vectors):
    """The most similar other sentence of each, by the cosine."""
    unit = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    numpy.fill_diagonal(cosine, -1)
    nearest = cosine.argmax(axis=1)
    for sentence, other, value in zip(SENTENCES, nearest, cosine.max(axis=1)):
        print(f"  {sentence:<53} {value:.2f}  {SENTENCES[other]}")


def main(compiler, models, out):
    out.mkdir(parents=True, exist_ok=True)
    path, compiled = models / MODEL, out / "paraphrase-MiniLM-L3-v2.so"
    start = time.perf_counter()
    subprocess.run([compiler, "compile", path, "-o", compiled], check=True)
    seconds = time.perf_counter() - start

    tokenizer = tokenizers.Tokenizer.from_file(str(models / "tokenizer.json"))
    model = sparse_opt.load(str(compiled))
    print("\nEach sentence and its nearest neighbour (cosine):")
    neighbours(model.run([POOLED], sentence_feeds(tokenizer))[0])

    print(f"\n{MODEL} compiled in {seconds:.1f} s to {compiled} "
          f"({compiled.stat().st_size / 1e6:.0f} MB). Medians, in turns:\n", flush=True)
    threads = len(os.sched_getaffinity(0))
    subprocess.run([compiler, "bench", compiled, "--against=onnxruntime",
                    f"--reference={path}", f"--python={sys.executable}",
                    f"--threads={'1' if threads == 1 else f'1,{threads}'}",
                    *(f"--shape={shape}" for shape in SHAPES)], check=True)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    try:
        main(*map(pathlib.Path, sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)  # it said why
