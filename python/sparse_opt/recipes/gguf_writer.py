# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes an Arcee decoder of `transformers` as GGUF, for llama.cpp."""

import json
import os

import numpy as np

from ..tokenizing import UsageError

NAMES = {"model.embed_tokens.weight": "token_embd.weight",
         "model.norm.weight": "output_norm.weight"}
LAYER = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
         "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
         "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def gguf_name(name):
    """Of a tensor that transformers calls `name`."""
    if name in NAMES:
        return NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{LAYER[rest.removesuffix('.weight')]}.weight"


def paired(array, heads):
    """Rows of a head in llama.cpp's order for RoPE: neighbours are a pair,
    which in transformers are the same row of the head's halves."""
    split = array.reshape(heads, 2, -1, array.shape[1])
    return np.ascontiguousarray(split.swapaxes(1, 2).reshape(array.shape))


def write(model, tokenizer, path, bf16):
    """`tokenizer`: of `tokenizers`, byte-level BPE. Norms stay f32."""
    try:
        import gguf
    except ImportError:
        raise UsageError("writing GGUF needs the package `gguf`: "
                         "pip install 'sparse-opt[train]'") from None
    config = model.config
    beside = path.with_name(path.name + ".part")
    writer = gguf.GGUFWriter(beside, "arcee")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16 if bf16 else gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    add_tokenizer(writer, tokenizer, gguf)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight":  # tied
            continue
        name, array = gguf_name(name), value.float().numpy()
        kind = name.split(".")[-2]
        if kind in heads:
            array = paired(array, heads[kind])
        if bf16 and array.ndim > 1:
            form = gguf.GGMLQuantizationType.BF16
            writer.add_tensor(name, gguf.quants.quantize(array, form), raw_dtype=form)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(beside, path)


def add_tokenizer(writer, tokenizer, gguf):
    described = json.loads(tokenizer.to_str())["model"]
    words = sorted(described["vocab"], key=described["vocab"].get)
    special = {each.content for each in tokenizer.get_added_tokens_decoder().values()}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(words)
    writer.add_token_types([gguf.TokenType.CONTROL if word in special else gguf.TokenType.NORMAL
                            for word in words])
    writer.add_token_merges([" ".join(merge) for merge in described["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(False)
