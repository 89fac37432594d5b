# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Runs models compiled by sparse-opt, with ONNX Runtime's conventions.

    import sparse_opt
    model = sparse_opt.load("model.so")
    (hidden,) = model.run(None, {"input_ids": ids, "attention_mask": mask})
"""

from .model import Model, NodeArg, SparseOptError, load

__all__ = ["Model", "NodeArg", "SparseOptError", "load"]
__version__ = "0.1.0"
