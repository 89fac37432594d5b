# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""PyTorch as a peer of `sparse-opt bench --ffn=... --against=benchmarks/torch_ffn.py`.

Runs the block that the tool writes, all of its neurons, in the type that
TORCH_FFN_DTYPE names (float32; bfloat16). Results are returned in f32.
"""
import os

import onnx
import onnx.numpy_helper
import torch
from torch.nn import functional


class Peer:
    def __init__(self, path, threads):
        self.dtype = getattr(torch, os.environ.get("TORCH_FFN_DTYPE", "float32"))
        self.version = f"{torch.__version__} {self.dtype}"
        self.outputs = ["y"]
        torch.set_num_threads(threads)
        # As nn.Linear keeps them: a row for each of the results.
        self.weights = {one.name: torch.tensor(onnx.numpy_helper.to_array(one).T)
                        .to(self.dtype).contiguous()
                        for one in onnx.load(path).graph.initializer}

    def run(self, feeds):
        with torch.inference_mode():
            x = torch.from_numpy(feeds["x"]).to(self.dtype)
            up = functional.linear(x, self.weights["up"])
            if "gate" in self.weights:
                hidden = functional.silu(functional.linear(x, self.weights["gate"])) * up
            else:
                hidden = functional.gelu(up)
            return [functional.linear(hidden, self.weights["down"]).float().numpy()]
