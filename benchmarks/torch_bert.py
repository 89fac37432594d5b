# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch as a peer of `sparse-opt bench --against=benchmarks/torch_bert.py`.

Runs transformers' BertModel, with its fused attention, on the weights of an
ONNX model that was exported from one (initialisers and MatMul nodes keep the
names of its modules). PyTorch held to AVX2: set ATEN_CPU_CAPABILITY=avx2
ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2, and SPARSE_OPT_ISA for us.
"""
import onnx
import onnx.numpy_helper
import torch
import transformers


def read_weights(path):
    graph = onnx.load(path).graph
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    weights = {name.removeprefix("model."): array for name, array in arrays.items()
               if name.startswith("model.") and not name.endswith(".T")}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            module = node.name.strip("/").replace("/", ".").removesuffix(".MatMul")
            weights[module.removeprefix("model.") + ".weight"] = arrays[node.input[1]].T
    return {name: torch.tensor(array) for name, array in weights.items()}


class Peer:
    def __init__(self, path, threads):
        self.version = torch.__version__
        self.outputs = ["last_hidden_state"]
        torch.set_num_threads(threads)
        weights = read_weights(path)
        words, hidden = weights["embeddings.word_embeddings.weight"].shape
        config = transformers.BertConfig(
            vocab_size=words,
            hidden_size=hidden,
            num_hidden_layers=1 + max(int(name.split(".")[2]) for name in weights
                                      if name.startswith("encoder.layer.")),
            num_attention_heads=12,
            intermediate_size=len(weights["encoder.layer.0.intermediate.dense.bias"]),
            max_position_embeddings=len(weights["embeddings.position_embeddings.weight"]),
        )
        model = transformers.BertModel(config, add_pooling_layer=False)
        model.load_state_dict(weights, strict=True)
        self.model = model.eval()

    def run(self, feeds):
        with torch.inference_mode():
            tensors = {name: torch.from_numpy(array) for name, array in feeds.items()}
            return [self.model(**tensors).last_hidden_state.numpy()]
