# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What became of a trained decoder: perplexity on held-out text, exact zeros
of its FFNs there, and whether other engines answer as torch does."""

import math

import numpy as np
import torch

from .. import measures
from ..decoding import Decoder
from ..tokenizing import UsageError


def held_out_windows(tokenizer, documents, tokens=512, windows=8):
    """name -> arrays of tokens, those of sparse_opt.eval."""
    return {name: measures.windows(tokenizer.encode(text, add_special_tokens=False).ids,
                                   tokens, windows) for name, text in documents.items()}


def perplexity_and_zeros(model, windows):
    """(name -> perplexity, share of exact zeros of each layer), in f32."""
    zeros = np.zeros(model.config.num_hidden_layers)
    values = 0

    def counter(layer):
        def count(_, inputs):
            zeros[layer] += (inputs[0] == 0).double().mean().item()
        return count

    hooks = [each.mlp.down_proj.register_forward_pre_hook(counter(i))
             for i, each in enumerate(model.model.layers)]
    losses = {}
    with torch.no_grad():
        for name, parts in windows.items():
            losses[name] = []
            for part in parts:
                ids = torch.tensor([part])
                losses[name].append(model(input_ids=ids, labels=ids, use_cache=False).loss.item())
                values += 1
    for hook in hooks:
        hook.remove()
    return ({name: math.exp(sum(each) / len(each)) for name, each in losses.items()},
            (zeros / values).tolist())


def difference(model, other, ids, prompt=32):
    """Largest difference of the logits over the largest logit, a prefill and
    then steps, between torch and a compiled or onnxruntime model."""
    decoder = Decoder(other)
    got = [decoder.step([ids[:prompt]])[0]]
    got += [decoder.step([[token]])[0] for token in ids[prompt:]]
    with torch.no_grad():
        want = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].numpy()
    return float(abs(np.concatenate(got) - want).max() / abs(want).max())


def llama_cpp_difference(model, path, ids, count=64):
    """The same for log-probabilities of the `count` likeliest next tokens,
    absolute: llama.cpp's server gives no others. None without xllamacpp."""
    try:
        import xllamacpp
    except ImportError:
        return None
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = str(path), len(ids) + 8, 1
    params.n_gpu_layers, params.verbosity, params.cache_ram_mib = 0, -1, 0
    answer = xllamacpp.Server(params).handle_completions({
        "prompt": [int(each) for each in ids], "n_predict": 1, "temperature": 1, "n_probs": count})
    try:
        top = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    except (KeyError, IndexError, TypeError):
        raise UsageError(f"llama.cpp gave no probabilities for {path}") from None
    with torch.no_grad():
        want = torch.log_softmax(
            model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1], 0)
    return max(abs(each["logprob"] - want[each["id"]].item()) for each in top)
