# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Continues a prompt with a compiled decoder.

    python -m sparse_opt.generate model.so --tokenizer=tokenizer.json --prompt="Once upon"

The text goes to standard output as it comes, times to standard error.
"""

import argparse
import sys
import time

import numpy as np

from . import model as models
from .decoding import Decoder
from .sampling import Sampler
from .tokenizing import TextStream, UsageError, end_tokens, load


def generate(decoder, ids, sampler, max_tokens, ends=()):
    """Yields tokens behind `ids`; one of `ends` ends them and isn't yielded."""
    logits = decoder.step(np.asarray([ids]))
    for left in range(max_tokens, 0, -1):
        token = sampler(logits[0, -1])
        if token in ends:
            return
        yield token
        if left > 1:
            logits = decoder.step([[token]])


def parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m sparse_opt.generate", description=__doc__.split("\n")[0])
    parser.add_argument("model", help="a decoder compiled by sparse-opt")
    parser.add_argument("--tokenizer", required=True, help="its tokenizer.json")
    parser.add_argument("--prompt", required=True, help="text to continue; - reads standard input")
    parser.add_argument("--template", help=r"text around the prompt, as in "
                        r"'<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n'")
    parser.add_argument("--max-tokens", type=int, default=128, help="tokens to make (128)")
    parser.add_argument("--temperature", type=float, default=0,
                        help="0 (default) takes the likeliest token, 1 samples as the model says")
    parser.add_argument("--top-p", type=float, default=1,
                        help="samples among the likeliest of this probability together (1)")
    parser.add_argument("--seed", type=int, help="makes sampling repeatable")
    parser.add_argument("--stop", action="append", default=[],
                        help="text that ends the answer; may be repeated")
    parser.add_argument("--eos", action="append",
                        help="token that ends the answer (default: the usual ones)")
    parser.add_argument("--threads", type=int, help="default: one a core")
    parser.error = lambda message: _fail(message)
    return parser.parse_args(arguments)


def _fail(message):
    sys.exit(f"sparse_opt.generate: error: {message}")


def prompt_ids(arguments, tokenizer):
    text = sys.stdin.read() if arguments.prompt == "-" else arguments.prompt
    if arguments.template is not None:
        template = arguments.template.replace("\\n", "\n")
        if "{prompt}" not in template:
            raise UsageError("the template has no {prompt}")
        text = template.replace("{prompt}", text)
    ids = tokenizer.encode(text).ids
    if not ids:
        raise UsageError("the prompt is empty")
    return ids


def rates(prompt, tokens, started, first, ended):
    """The first token is prefill's; the others are decoded one by one."""
    def rate(count, seconds):
        return f"{count} tokens in {seconds:.2f} s ({count / max(seconds, 1e-9):.1f} tokens/s)"
    lines = f"prefill: {rate(prompt, first - started)}"
    if tokens > 1:
        lines += f"\ndecode: {rate(tokens - 1, ended - first)}"
    return lines


def run(arguments, out):
    if arguments.max_tokens < 1:
        raise UsageError(f"--max-tokens must be at least 1, not {arguments.max_tokens}")
    tokenizer = load(arguments.tokenizer)
    sampler = Sampler(arguments.temperature, arguments.top_p, arguments.seed)
    ends = end_tokens(tokenizer, arguments.eos)
    decoder = Decoder(models.load(arguments.model, threads=arguments.threads))
    ids = prompt_ids(arguments, tokenizer)
    stream = TextStream(tokenizer, arguments.stop)
    count, started = 0, time.perf_counter()
    first = ended = None
    for token in generate(decoder, ids, sampler, arguments.max_tokens, ends):
        ended = time.perf_counter()
        first = first or ended
        count += 1
        out.write(stream.push(token))
        out.flush()
        if stream.stopped:
            break
    out.write(stream.finish() + "\n")
    out.flush()
    ended = ended or time.perf_counter()
    return rates(len(ids), count, started, first or ended, ended)


def main(arguments=None):
    try:
        print(run(parse(arguments), sys.stdout), file=sys.stderr)
    except (UsageError, ValueError, OSError, MemoryError, models.SparseOptError) as error:
        _fail(error)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
