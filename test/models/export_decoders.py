#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exports the small decoders of this folder; needs torch, which no test does.

usage: export_decoders.py [FOLDER]     torch 2.13, transformers 5.23, onnx 1.23
       export_decoders.py FOLDER SmolLM2-135M-Instruct.gguf

Two layers each, by both of torch's exporters, with past key/values: a LLaMA, an
Arcee, a GPT-2 and encoder-decoders. Weights stay out of the text: initialisers that are
parameters (or their transposes, `.T`) become external data, which
write_weights.py makes; all others stand in it. Of SmolLM2, whose layers are
equal but for their number, two are written (see `%for` in write_weights.py).
FOLDER gets the .onnx files.
"""
import pathlib
import re
import sys
import warnings

import onnx
import torch
import transformers as hub
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

import gguf_file

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "python"))
from sparse_opt.recipes.export import Decoder, export, filled, flat

WIDTH, LAYERS, HEADS, HIDDEN, WORDS = 64, 2, 4, 96, 320


def llama():
    return hub.LlamaForCausalLM(hub.LlamaConfig(
        hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=2, intermediate_size=HIDDEN, vocab_size=WORDS,
        max_position_embeddings=256, tie_word_embeddings=True,
        attn_implementation="eager"))


def arcee():
    """A LLaMA with a plain FFN, relu(x)^2 in it."""
    return hub.ArceeForCausalLM(hub.ArceeConfig(
        hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=2, intermediate_size=2 * WIDTH, vocab_size=WORDS,
        bos_token_id=0, eos_token_id=0, max_position_embeddings=256, tie_word_embeddings=True,
        attn_implementation="eager"))


def gpt2():
    return hub.GPT2LMHeadModel(hub.GPT2Config(
        n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_inner=HIDDEN,
        vocab_size=WORDS, n_positions=256, bos_token_id=0, eos_token_id=0,
        attn_implementation="eager"))


def t5():
    return hub.T5ForConditionalGeneration(hub.T5Config(
        d_model=WIDTH, d_kv=WIDTH // HEADS, d_ff=HIDDEN, num_layers=LAYERS,
        num_heads=HEADS, vocab_size=WORDS, decoder_start_token_id=0,
        tie_word_embeddings=True))


def bart():
    return hub.BartForConditionalGeneration(hub.BartConfig(
        d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS,
        encoder_attention_heads=HEADS, decoder_attention_heads=HEADS,
        encoder_ffn_dim=HIDDEN, decoder_ffn_dim=HIDDEN, vocab_size=WORDS,
        max_position_embeddings=256, pad_token_id=1, bos_token_id=0,
        eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=None,
        attn_implementation="eager"))


class Positioned(torch.nn.Module):
    """Positions from outside, as Optimum exports what has learned ones."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, mask, positions, *past):
        past = past[0] if isinstance(past[0], tuple) else past
        out = self.model(input_ids=ids, attention_mask=mask,
                         position_ids=positions,
                         past_key_values=filled(past), use_cache=True)
        return (out.logits, *flat(out.past_key_values))


class Counted(Positioned):
    """Positions counted from the mask inside."""

    def forward(self, ids, mask, *past):
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1]:]
        return super().forward(ids, mask, positions, *past)


class Encoder(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model.get_encoder()

    def forward(self, ids, mask):
        return self.model(input_ids=ids, attention_mask=mask).last_hidden_state


class CrossDecoder(torch.nn.Module):
    """The second half; keys and values of the encoder's output are made anew
    in every step, those of the decoder's own past come and go."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, hidden, mask, *past):
        past = past[0] if isinstance(past[0], tuple) else past
        cache = EncoderDecoderCache(filled(past), DynamicCache())
        out = self.model(decoder_input_ids=ids, encoder_outputs=(hidden,),
                         attention_mask=mask, past_key_values=cache,
                         use_cache=True)
        return (out.logits, *flat(out.past_key_values.self_attention_cache))


def named_weights(model, parameters, data):
    """Initialisers that are parameters get their names and lose their data."""
    renamed, at = {}, 0
    for initialiser in model.graph.initializer:
        array = onnx.numpy_helper.to_array(initialiser)
        name = next((name + end for name, value in parameters.items()
                     for end, each in (("", value), (".T", value.T))
                     if array.ndim and array.shape == each.shape
                     and array.dtype == each.dtype and (array == each).all()), None)
        if not name:
            if array.size > 64:
                sys.exit(f"{initialiser.name} {array.shape} is no parameter")
            continue
        renamed[initialiser.name] = initialiser.name = name
        initialiser.ClearField("raw_data")
        initialiser.ClearField("float_data")
        initialiser.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", data), ("offset", at), ("length", array.nbytes)):
            initialiser.external_data.add(key=key, value=str(value))
        at += array.nbytes
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)


def as_text(path, parameters, out):
    model = onnx.load(path)
    for node in model.graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
    del model.functions[:]
    named_weights(model, parameters, out.stem + ".data")
    out.write_text(onnx.printer.to_text(model) + "\n")
    onnx.parser.parse_model(out.read_text())  # it can be read again


def small_models(folder):
    ids = torch.randint(5, WORDS, (2, 3))
    row = {0: "batch", 1: "sequence"}
    mask = (torch.ones(2, 7, dtype=torch.long), {0: "batch", 1: "total"})
    words = {"input_ids": (ids, row), "attention_mask": mask}
    positions = {"position_ids": (torch.arange(4, 7).expand(2, 3), row)}
    source = {0: "batch", 1: "source"}
    encoded = {"input_ids": (torch.randint(5, WORDS, (2, 6)), source),
               "attention_mask": (torch.ones(2, 6, dtype=torch.long), source)}
    crossed = {"input_ids": (ids, row),
               "encoder_hidden_states": (torch.randn(2, 6, WIDTH), source),
               "encoder_attention_mask": encoded["attention_mask"]}
    for name, make, wrap, arguments, heads, dynamo in [
            ("llama", llama, Decoder, words, 2, False),
            ("llama-dynamo", llama, Decoder, words, 2, True),
            ("arcee", arcee, Decoder, words, 2, False),
            ("gpt2", gpt2, Positioned, {**words, **positions}, HEADS, False),
            ("gpt2-dynamo", gpt2, Counted, words, HEADS, True),
            ("t5-encoder", t5, Encoder, encoded, 0, False),
            ("t5-decoder", t5, CrossDecoder, crossed, HEADS, False),
            ("bart-encoder", bart, Encoder, encoded, 0, True),
            ("bart-decoder", bart, CrossDecoder, crossed, HEADS, True)]:
        torch.manual_seed(0)
        model = make().eval()
        with torch.no_grad():
            for parameter in model.parameters():  # all different, for the names
                parameter.copy_(torch.randn(parameter.shape) * .1)
        path = folder / f"{name}.onnx"
        with torch.no_grad():
            export(wrap(model), path, arguments, heads, dynamo, LAYERS, WIDTH // HEADS)
        parameters = {key: value.numpy() for key, value in model.state_dict().items()}
        as_text(path, parameters, pathlib.Path(__file__).with_name(f"{name}.onnxtxt"))


def by_consumer(model):
    """Constants that torchscript numbers are named after what reads them."""
    readers = {}
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            readers.setdefault(name, []).append((node, i))
    for node in model.graph.node:
        if node.op_type == "Constant" and not node.name.startswith("/"):
            reader, i = readers[node.output[0]][0]
            name = f"{reader.output[0]}_operand_{i}"
            for other, j in readers[node.output[0]]:
                other.input[j] = name
            node.name = node.output[0] = name


def repeated(lines, layers):
    """Lines of layers 1 and up as one %for; they must be equal. Layer 2 shows
    which numbers change: in layer 1 a 0 may mean the first or the last one."""
    names = r"(layers|past_key_values|present)\.%d\b"
    block = [re.sub(names % 1, r"\1.{L-1}", re.sub(names % 2, r"\1.{L}", line))
             for line in lines[2]]
    for layer in range(1, layers):
        if [line.replace("{L}", str(layer)).replace("{L-1}", str(layer - 1))
                for line in block] != lines[layer]:
            sys.exit(f"layer {layer} isn't like layer 2")
    return [*lines[0], f"%for L = 1 to {layers - 1}", *block, "%end"]


def as_template(path, weights, out, layers):
    """Text of a model whose layers are equal: two of them, one repeated."""
    model = onnx.load(path)
    by_consumer(model)
    named_weights(model, weights, out.name.split(".")[0] + ".data")
    text = onnx.printer.to_text(model).splitlines()
    body = text[next(i for i, line in enumerate(text) if line.lstrip().startswith("[")):-1]

    def grouped(lines):
        """[before, layers, after], by the first layer that a line names."""
        parts, each = ([], [], []), [[] for _ in range(layers)]
        for line in lines:
            found = re.search(r"(?:layers|past_key_values|present)\.(\d+)", line.split(" = ")[0])
            if found:
                each[int(found[1])].append(line)
            else:
                parts[2 if each[0] else 0].append(line)
        return [*parts[0], *repeated(each, layers), *parts[2]]

    def shown(value):
        of = value.type.tensor_type
        kind = {1: "float", 7: "int64"}[of.elem_type]
        dims = ",".join(dim.dim_param or str(dim.dim_value) for dim in of.shape.dim)
        return f'   , {kind}[{dims}] "{value.name}"'

    def external(value):
        dims = ",".join(map(str, value.dims))
        if value.data_location != onnx.TensorProto.EXTERNAL:
            flat = ", ".join(map(str, onnx.numpy_helper.to_array(value).ravel().tolist()))
            return f'   , {"float" if value.data_type == 1 else "int64"}[{dims}] "{value.name}" = {{{flat}}}'
        where = value.external_data[0].value
        return f'   , float[{dims}] "{value.name}" = ["location": "{where}"]'

    def joined(lines):
        return [lines[0].replace(",", " ", 1), *lines[1:]]

    head = text[:next(i for i, line in enumerate(text) if line.startswith(">")) + 1]
    graph = model.graph
    out.write_text("\n".join([
        *head, "main_graph (", *joined(grouped(map(shown, graph.input))), ") => (",
        *joined(grouped(map(shown, graph.output))), ") <",
        *joined(grouped(map(external, graph.initializer))), "> {", *grouped(body), "}"]) + "\n")


def smollm2(folder, gguf):
    model = hub.AutoModelForCausalLM.from_pretrained(
        str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32).eval()
    model.config._attn_implementation = "eager"
    config = model.config
    arguments = {"input_ids": (torch.randint(5, 40000, (2, 3)), {0: "batch", 1: "sequence"}),
                 "attention_mask": (torch.ones(2, 7, dtype=torch.long), {0: "batch", 1: "total"})}
    path = folder / "SmolLM2-135M-Instruct.onnx"
    with torch.no_grad():
        export(Decoder(model), path, arguments, config.num_key_value_heads, False,
               config.num_hidden_layers, config.hidden_size // config.num_attention_heads)
    weights = {name: make() for name, make in
               gguf_file.llama_weights(gguf_file.File(gguf)).items()}
    as_template(path, weights, pathlib.Path(__file__).with_name(path.name + "txt.in"),
                config.num_hidden_layers)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    if len(sys.argv) == 3:
        sys.exit(smollm2(*map(pathlib.Path, sys.argv[1:])))
    small_models(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "."))
