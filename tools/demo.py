# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A published model compiled, used and timed; `tools/bootstrap demo` runs it.

usage: demo.py COMPILER MODELS OUT_DIR

Prints the nearest neighbour of each sentence, then one table against ONNX
Runtime. The times are measured in turns, medians, with the same threads.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy
import onnxruntime
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
SHAPES = [(1, 16), (1, 128), (8, 128)]
ROUNDS = 40


def sentence_feeds(tokenizer):
    tokenizer.enable_padding()
    tokenizer.enable_truncation(128)
    encoded = tokenizer.encode_batch(SENTENCES)
    return {"input_ids": numpy.array([each.ids for each in encoded]),
            "attention_mask": numpy.array([each.attention_mask for each in encoded])}


def random_feeds(batch, sequence):
    random = numpy.random.default_rng(0)
    return {"input_ids": random.integers(1000, 30000, (batch, sequence)),
            "attention_mask": numpy.ones((batch, sequence), numpy.int64)}


def neighbours(vectors):
    """The most similar other sentence of each, by the cosine."""
    unit = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    numpy.fill_diagonal(cosine, -1)
    nearest = cosine.argmax(axis=1)
    for sentence, other, value in zip(SENTENCES, nearest, cosine.max(axis=1)):
        print(f"  {sentence:<53} {value:.2f}  {SENTENCES[other]}")


def medians(runs):
    """Milliseconds of each callable, measured in turns."""
    times = [[] for _ in runs]
    for _ in range(ROUNDS):
        for run, taken in zip(runs, times):
            run()  # what the other one left in the caches is gone after this
            start = time.perf_counter()
            run()
            taken.append(time.perf_counter() - start)
    return [1000 * statistics.median(taken) for taken in times]


def reference(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Its threads would otherwise spin through our turn.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(str(path), options,
                                        providers=["CPUExecutionProvider"])


def row(ours, theirs, feeds, label):
    both = [lambda: ours.run([POOLED], feeds), lambda: theirs.run([POOLED], feeds)]
    difference = numpy.abs(both[0]()[0] - both[1]()[0]).max()
    mine, other = medians(both)
    print(f"  {label:<10}{mine:>12.2f} ms{other:>14.2f} ms{other / mine:>9.2f}"
          f"{difference:>20.1e}", flush=True)


def main(compiler, models, out):
    out.mkdir(parents=True, exist_ok=True)
    path, compiled = models / MODEL, out / "paraphrase-MiniLM-L3-v2.so"
    start = time.perf_counter()
    subprocess.run([compiler, "compile", path, "-o", compiled], check=True)
    seconds = time.perf_counter() - start
    threads = len(os.sched_getaffinity(0))
    ours = sparse_opt.load(str(compiled), threads=threads)
    theirs = reference(path, threads)

    tokenizer = tokenizers.Tokenizer.from_file(str(models / "tokenizer.json"))
    print("\nEach sentence and its nearest neighbour (cosine):")
    neighbours(ours.run([POOLED], sentence_feeds(tokenizer))[0])

    print(f"\n{MODEL}: compiled in {seconds:.1f} s to {compiled}, "
          f"{compiled.stat().st_size / 1e6:.0f} MB")
    print(f"{threads} threads, medians of {ROUNDS} runs in turns:\n")
    print(f"  {'input':<10}{'sparse-opt':>15}{'ONNX Runtime':>17}{'ratio':>9}"
          f"{'largest difference':>20}")
    for batch, sequence in SHAPES:
        row(ours, theirs, random_feeds(batch, sequence), f"{batch} x {sequence}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(pathlib.Path, sys.argv[1:]))
