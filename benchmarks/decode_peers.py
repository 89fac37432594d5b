# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Decoding and prefill of one language model in several engines, in turns.

    python benchmarks/decode_peers.py smollm2.onnx --threads=1 --context=128 \
        --ours=f32.so --ours=bf16.so --onnxruntime --openvino=f32 --openvino=bf16 \
        --gguf=smollm2-F32.gguf --gguf=smollm2-Q8_0.gguf

Each engine reads the same prompt, keeps its caches as it does best, and then
decodes a few tokens from there, greedily. With --tokenizer the prompts are
passages of a text and all but llama.cpp read what follows there: sparse models
skip as much as texts let them. Engines take turns; a figure is the
median over the rounds of milliseconds a token. Needs the package sparse_opt
and the peers asked for (onnxruntime, openvino, xllamacpp, all from PyPI).
"""
import argparse
import json
import statistics
import sys
import time
from itertools import islice, repeat

import numpy


def cache_names(inputs, outputs):
    """Pairs of a cache's input and output: both of rank 4, in their order."""
    return list(zip([one.name for one in inputs if len(one.shape) == 4],
                    [one.name for one in outputs if len(one.shape) == 4]))


def scalars(ids, total):
    """Feeds beside the caches: ids int64[1, n], attention over `total` tokens."""
    return {"input_ids": numpy.asarray([ids], numpy.int64),
            "attention_mask": numpy.ones((1, total), numpy.int64),
            "position_ids": numpy.arange(total - len(ids), total, dtype=numpy.int64)[None]}


class Stepper:
    """Greedy decoding by an engine with `step(ids, caches) -> logits, caches`.

    `start` reads a prompt and keeps the caches it left, so that every round
    decodes from the same place. The engine reads the tokens of `follows` where
    there are any, whatever it would have said."""

    follows = ()

    def start(self, prompt):
        begin = time.perf_counter()
        self.logits, self.caches = self.step(prompt, self.empty(), len(prompt))
        self.length = len(prompt)
        return time.perf_counter() - begin

    def decode(self, count):
        caches, token, tokens = self.caches, int(self.logits[0, -1].argmax()), []
        begin = time.perf_counter()
        for i in range(count):
            tokens.append(token)
            read = self.follows[i] if self.follows else token
            logits, caches = self.step([read], caches, self.length + i + 1)
            token = int(logits[0, -1].argmax())
        return (time.perf_counter() - begin) / count, tokens


class Passed(Stepper):
    """An engine whose caches are arrays that the caller hands on."""

    def feeds(self, ids, total):
        return {name: array for name, array in scalars(ids, total).items() if name in self.names}

    def empty(self):
        return {past: numpy.zeros([1, shape[1], 0, shape[3]], numpy.float32)
                for past, shape in self.shapes.items()}


class Ours(Passed):
    def __init__(self, path, threads):
        import sparse_opt

        self.model = sparse_opt.load(path, threads=threads)
        self.names = [one.name for one in self.model.get_inputs()]
        self.pairs = cache_names(self.model.get_inputs(), self.model.get_outputs())
        self.shapes = {one.name: one.shape for one in self.model.get_inputs() if len(one.shape) == 4}
        self.in_place = not self.pairs

    def start(self, prompt):
        if self.in_place:
            self.model.reset()
        return super().start(prompt)

    def decode(self, count):
        if self.in_place:
            self.model.truncate(self.length)
        return super().decode(count)

    def step(self, ids, caches, total):
        results = self.model.run(None, {**self.feeds(ids, total), **caches})
        named = dict(zip([one.name for one in self.model.get_outputs()], results))
        return results[0], {past: named[present] for past, present in self.pairs}


class OnnxRuntime(Passed):
    """Caches stay in ONNX Runtime's own memory, bound without a copy."""

    def __init__(self, path, threads):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self.ort = onnxruntime
        self.session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
        self.names = [one.name for one in self.session.get_inputs()]
        self.outputs = [one.name for one in self.session.get_outputs()]
        self.pairs = cache_names(self.session.get_inputs(), self.session.get_outputs())
        self.shapes = {one.name: one.shape for one in self.session.get_inputs() if len(one.shape) == 4}

    def empty(self):
        return {name: self.ort.OrtValue.ortvalue_from_numpy(array)
                for name, array in super().empty().items()}

    def step(self, ids, caches, total):
        binding = self.session.io_binding()
        for name, array in self.feeds(ids, total).items():
            binding.bind_cpu_input(name, array)
        for name, value in caches.items():
            binding.bind_ortvalue_input(name, value)
        for name in self.outputs:
            binding.bind_output(name)
        self.session.run_with_iobinding(binding)
        named = dict(zip(self.outputs, binding.get_outputs()))
        return named[self.outputs[0]].numpy(), {past: named[present] for past, present in self.pairs}


class OpenVino(Passed):
    """Two requests take turns, so that one reads caches where the other left them."""

    def __init__(self, path, threads, precision):
        import openvino

        compiled = openvino.Core().compile_model(path, "CPU", {
            "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY"})
        if compiled.get_property("INFERENCE_PRECISION_HINT").to_string() != precision:
            raise RuntimeError(f"OpenVINO does not compute in {precision} on this machine")
        self.openvino = openvino
        self.names = [one.get_any_name() for one in compiled.inputs]
        ranks = lambda ports: [one for one in ports if len(one.partial_shape) == 4]
        self.pairs = [(a.get_any_name(), b.get_any_name())
                      for a, b in zip(ranks(compiled.inputs), ranks(compiled.outputs))]
        self.shapes = {one.get_any_name(): [dim.get_length() if dim.is_static else None
                                            for dim in one.partial_shape]
                       for one in ranks(compiled.inputs)}
        self.logits_name = compiled.outputs[0].get_any_name()
        self.compiled = compiled
        self.requests = [compiled.create_infer_request() for _ in range(2)]

    def empty(self):
        return {name: self.openvino.Tensor(array) for name, array in super().empty().items()}

    def start(self, prompt):
        # The prompt's caches stay those of a request that decodes nothing.
        turns, self.requests = self.requests, [self.compiled.create_infer_request()]
        took = super().start(prompt)
        self.prompt, self.requests = self.requests, turns
        return took

    def step(self, ids, caches, total):
        request = self.requests[0]
        self.requests = self.requests[1:] + self.requests[:1]
        for name, array in self.feeds(ids, total).items():
            request.set_tensor(name, self.openvino.Tensor(array))
        for name, tensor in caches.items():
            request.set_tensor(name, tensor)
        request.infer()
        return (request.get_tensor(self.logits_name).data,
                {past: request.get_tensor(present) for past, present in self.pairs})


class LlamaCpp:
    """Times are llama.cpp's own; its answer is text, so tokens aren't compared."""

    def __init__(self, path, threads, capacity):
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path, params.n_ctx, params.n_parallel = path, capacity, 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.n_gpu_layers, params.verbosity, params.cache_ram_mib = 0, -1, 0
        self.server = xllamacpp.Server(params)

    def complete(self, count, cached):
        answer = self.server.handle_completions({
            "prompt": self.prompt, "n_predict": count, "temperature": 0, "ignore_eos": True,
            "cache_prompt": cached})
        return json.loads(answer) if isinstance(answer, str) else answer

    def start(self, prompt):
        self.prompt = [int(token) for token in prompt]
        return self.complete(1, False)["timings"]["prompt_ms"] / 1e3

    def decode(self, count):
        answer = self.complete(count + 1, True)
        return answer["timings"]["predicted_per_token_ms"] / 1e3, None


def make_engines(args):
    capacity = args.context + args.tokens + 8
    for path in args.ours:
        yield f"sparse-opt {path.rsplit('/', 1)[-1]}", Ours(path, args.threads)
    if args.onnxruntime:
        yield "ONNX Runtime", OnnxRuntime(args.model, args.threads)
    for precision in args.openvino:
        yield f"OpenVINO {precision}", OpenVino(args.model, args.threads, precision)
    for path in args.gguf:
        yield f"llama.cpp {path.rsplit('/', 1)[-1]}", LlamaCpp(path, args.threads, capacity)


def passages(args):
    """A prompt, and what follows where it is of a text, for each round."""
    if not args.tokenizer:
        yield from repeat((numpy.random.default_rng(0).integers(
            100, args.vocabulary, args.context).tolist(), []))
    from sparse_opt import texts, tokenizing

    ids = tokenizing.load(args.tokenizer).encode(texts.speech("2021_joseph_r_biden_d")).ids
    size = args.context + args.tokens
    for first in range(0, len(ids) - size + 1, size):
        yield ids[first:first + args.context], ids[first + args.context:first + size]


def density(engine):
    """Of the neurons of compressed blocks in few rows."""
    stats = engine.model.telemetry() if isinstance(engine, Ours) else []
    shares = [each["density"] for each in stats
              if each["rows"] > each["fallbacks"] and not each["block"].endswith(".inputs")]
    return f"  density {statistics.mean(shares):.3f}" if shares else ""


def wait_until_idle():
    """Engines' threads go on spinning after a run, some for 60 ms: they would
    take a CPU from the next one. Kernels count what runs on another CPU at
    their ticks only, of 10 ms at most."""
    before, after = -1, time.process_time()
    deadline = time.monotonic() + 1
    while after - before > 1e-3 and time.monotonic() < deadline:
        time.sleep(20e-3)
        before, after = after, time.process_time()
    if after - before > 1e-3:
        print("note: an engine's threads compute between its turns too", file=sys.stderr)


def common(left, right):
    """How many tokens two answers begin with in common."""
    return next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), len(left))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", help="the ONNX file, with past key/values")
    parser.add_argument("--ours", action="append", default=[], help="an artefact of it; may repeat")
    parser.add_argument("--onnxruntime", action="store_true")
    parser.add_argument("--openvino", action="append", default=[], choices=["f32", "bf16"])
    parser.add_argument("--gguf", action="append", default=[], help="a file for llama.cpp; may repeat")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--context", type=int, default=128, help="tokens of the prompt")
    parser.add_argument("--tokens", type=int, default=16, help="decoded in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokenizer", help="read a text: the State of the Union address of 2021")
    parser.add_argument("--vocabulary", type=int, default=40000, help="prompt ids are below it")
    args = parser.parse_args()

    engines = dict(make_engines(args))
    starts, steps, tokens = ({name: [] for name in engines} for _ in range(3))
    for prompt, follows in islice(passages(args), args.rounds):
        for name, engine in engines.items():
            wait_until_idle()
            engine.follows = follows
            starts[name].append(1e3 * engine.start(prompt))
            took, tokens[name] = engine.decode(args.tokens)
            steps[name].append(1e3 * took)
    first = next(iter(engines))
    print(f"threads {args.threads}, context {args.context}, {args.tokens} tokens, "
          f"medians of {args.rounds} rounds; ratio: time over that of {first}")
    print(f"{'':40} {'prefill ms':>10} {'ratio':>6} {'ms/token':>9} {'ratio':>6}  equal tokens")
    for name in engines:
        start, step = statistics.median(starts[name]), statistics.median(steps[name])
        equal = "" if tokens[name] is None else f"{common(tokens[name], tokens[first])} of {args.tokens}"
        print(f"{name:40} {start:10.1f} {start / statistics.median(starts[first]):6.2f} "
              f"{step:9.2f} {step / statistics.median(steps[first]):6.2f}  {equal}{density(engines[name])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
