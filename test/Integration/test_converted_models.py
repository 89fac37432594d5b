# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A published model as ONNX Runtime's tools rewrite it, against ONNX Runtime.

Its transformer optimiser fuses what the exporter wrote into operators of its
own; its quantiser makes int8 products of activations that are quantised while
the model runs.
"""
import logging
import unittest

import numpy

from test_models import Model as Published

try:
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    from onnxruntime.transformers.fusion_options import (AttentionMaskFormat,
                                                         FusionOptions)
except ImportError:
    optimizer = None

class Converted:
    file = "paraphrase-MiniLM-L3-v2.onnx"

    @classmethod
    def prepare(cls, path):
        if optimizer is None:
            raise unittest.SkipTest("needs onnxruntime's tools")
        logging.getLogger().setLevel(logging.ERROR)
        converted = cls.compiled_name(path)
        cls.convert(path, converted)
        return converted

    @classmethod
    def compiled_name(cls, path):
        return type(path)(cls.folder.name) / f"{cls.__name__}.onnx"

class Optimised(Converted):
    """Operators of `fused` must be in the file, or nothing is tested."""

    @staticmethod
    def options():
        return FusionOptions("bert")

    @classmethod
    def convert(cls, path, out):
        model = optimizer.optimize_model(
            str(path), model_type="bert", num_heads=12, hidden_size=384,
            optimization_options=cls.options(), opt_level=0)
        model.save_model_to_file(str(out))
        cls.operators = {node.op_type for node in model.model.graph.node
                         if node.domain == "com.microsoft"}

    def test_operators(self):
        self.assertEqual(self.operators, self.fused)

class OptimisedL3(Optimised, Published, unittest.TestCase):
    fused = {"Attention", "BiasGelu", "EmbedLayerNormalization",
             "SkipLayerNormalization"}

class OptimisedMultiHeadL3(Optimised, Published, unittest.TestCase):
    fused = {"EmbedLayerNormalization", "FastGelu", "MultiHeadAttention",
             "SkipLayerNormalization"}

    @staticmethod
    def options():
        options = FusionOptions("bert")
        options.use_multi_head_attention = True
        options.attention_mask_format = AttentionMaskFormat.AttentionMask
        options.enable_gelu_approximation = True
        return options

class QuantisedL3(Converted, Published, unittest.TestCase):
    """Where a value lies between two of the 255 steps, the last bit of what
    came before decides, and the next scale follows: ONNX Runtime with and
    without its optimisations differs from itself by as much. The bound is on
    the mean relative difference of rows; quantisation itself makes 0.26."""
    bound = 0.06

    def difference(self, got, want):
        rows = numpy.linalg.norm(want, axis=-1).clip(1e-30)
        return (numpy.linalg.norm(got - want, axis=-1) / rows).mean()

    @classmethod
    def convert(cls, path, out):
        quantize_dynamic(str(path), str(out), weight_type=QuantType.QInt8)

if __name__ == "__main__":
    unittest.main()
