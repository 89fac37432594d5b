# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Milliseconds a token of decoders that read a real text, interleaved.

    PYTHONPATH=python python benchmarks/decode_text.py --tokenizer=tokenizer.json \\
        dense.so sparse.so

Unlike made-up tokens a text has the activations that thresholds were fitted
for. Each model gets a prompt of --context tokens of the State of the Union
address of 2021, then --steps tokens of it one at a time, in turns of one step
each, so that what else the machine does meets all alike. Prints medians, and
what share of the neurons compressed blocks took. --kernels=REGEX adds the time
of the kernels with such names, in steps of their own; with --densities=0.5,1 at
those that the models' knobs can be set to, guarded by crossovers and not.
"""
import argparse
import itertools
import re
import statistics
import time

import numpy

import sparse_opt
from sparse_opt import texts, tokenizing
from sparse_opt.decoding import Decoder


def launches_of(model, pattern):
    """Numbers of the launches whose name has the pattern in it."""
    variants = model.manifest["kernels"]
    kernels = next((each for each in variants if model.target in each["targets"]), variants[0])
    names = [each.get("name", "") for each in kernels["launches"]
             for _ in range(each.get("launches", 1))]
    return [i for i, name in enumerate(names) if re.search(pattern, name)]


def kernel_seconds(model, decoder, tokens, chosen):
    """Median over steps of (these launches, all launches, the whole run)."""
    model.set_profiling(True)
    found = []
    for token in tokens:
        decoder.step([[token]])
        total, times = model.profile()
        found.append((sum(times[i] for i in chosen), sum(times), total))
    model.set_profiling(False)
    return [statistics.median(column) for column in zip(*found)]


def set_knobs(model, density, is_guarded, crossovers):
    """Thresholds that kept so much in calibration, of twentieths; -1 keeps all."""
    twentieths = round(20 * density)
    for method in model.manifest.get("methods", []):
        for key, suffix in (("thresholds", ".threshold"), ("input_thresholds", ".input_threshold")):
            if key in method:
                value = method[key][twentieths - 1] if twentieths < 20 else -1
                model.set_knob(method["block"] + suffix, value)
    for knob, value in crossovers.items():
        model.set_knob(knob, value if is_guarded else 1)


def crossovers_of(model):
    """What `compile` measured, by knob."""
    found = {}
    for method in model.manifest.get("methods", []):
        for suffix in (".crossover", ".input_crossover"):
            try:
                found[method["block"] + suffix] = model.get_knob(method["block"] + suffix)
            except ValueError:
                pass  # dense, or without a list of inputs
    return found


def show_densities(args, models, tokens):
    """A step of each in turn: medians, and what part of the first one's they are."""
    launches = [launches_of(model, args.kernels) for model in models]
    crossovers = [crossovers_of(model) for model in models]
    for density, is_guarded in itertools.product(args.densities, (True, False)):
        decoders, taken = [Decoder(model) for model in models], [[] for _ in models]
        for model, known, decoder in zip(models, crossovers, decoders):
            set_knobs(model, density, is_guarded, known)
            decoder.step([tokens[:args.context]])
            model.set_profiling(True)
        for token in tokens[args.context:][:args.steps]:
            for model, decoder, chosen, times in zip(models, decoders, launches, taken):
                decoder.step([[token]])
                each = model.profile()[1]
                times.append(sum(each[i] for i in chosen))
        medians = [statistics.median(times) for times in taken]
        print(f"density {density:.2f}, {'' if is_guarded else 'un'}guarded: " +
              ", ".join(f"{1e3 * time:.3f} ms ({time / medians[0]:.3f})" for time in medians),
              flush=True)


def show_kernels(args, models, tokens):
    """In turns, the best of the rounds."""
    best = [None] * len(models)
    for _ in range(args.rounds):
        for i, model in enumerate(models):
            decoder = Decoder(model)
            decoder.step([tokens[:args.context]])
            found = kernel_seconds(model, decoder, tokens[args.context:][:args.steps],
                                   launches_of(model, args.kernels))
            best[i] = min(found, best[i] or found)
    for path, (chosen, launches, total) in zip(args.models, best):
        print(f"{path:40} kernels {1e3 * chosen:7.3f} ms  {best[0][0] / chosen:6.2f}x  "
              f"all {1e3 * launches:7.3f}  run {1e3 * total:7.3f}")


def densities(model):
    """Of neurons, then of inputs where those are skipped too, in few rows."""
    stats = [s for s in model.telemetry() if s["rows"] > s["fallbacks"]]
    lists = ([s["density"] for s in stats if s["block"].endswith(".inputs") == of_inputs]
             for of_inputs in (False, True))
    return [f"{statistics.mean(shares):.3f}" for shares in lists if shares]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--context", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kernels", help="time the kernels with such names")
    parser.add_argument("--densities", type=lambda text: [float(d) for d in text.split(",")],
                        help="with --kernels: set knobs to these twentieths")
    args = parser.parse_args()
    if args.densities and not args.kernels:
        parser.error("--densities= needs --kernels=")
    if any(not 0.05 <= density <= 1 for density in args.densities or []):
        parser.error("--densities= are from 0.05 to 1")
    tokens = tokenizing.load(args.tokenizer).encode(texts.speech("2021_joseph_r_biden_d")).ids
    models = [sparse_opt.load(path, threads=args.threads) for path in args.models]
    times = [[] for _ in models]
    for turn in range(args.rounds):
        decoders = [Decoder(model) for model in models]
        first = turn * (args.context + args.steps)
        for decoder in decoders:
            decoder.step([tokens[first:first + args.context]])
        for i in range(args.steps):
            token = numpy.array([[tokens[first + args.context + i]]])
            for decoder, taken in zip(decoders, times):
                start = time.perf_counter()
                decoder.step(token)
                taken.append(time.perf_counter() - start)
    base = statistics.median(times[0])
    for path, model, taken in zip(args.models, models, times):
        median = statistics.median(taken)
        density = ", of inputs ".join(densities(model)) or "dense"
        print(f"{path:40} {1e3 * median:8.2f} ms  {base / median:6.2f}x  density {density}")
    if args.densities:
        show_densities(args, models, tokens)
    elif args.kernels:
        show_kernels(args, models, tokens)


if __name__ == "__main__":
    main()
