# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""ONNX Runtime's own operators (domain com.microsoft), one by one.

ONNX has no backend cases for them, nor for integer products by constants:
each becomes a model of one node, whose compiled form must give ONNX Runtime's
answers. Sizes of the data are symbolic.
"""
import os
import pathlib
import subprocess
import tempfile
import unittest

import numpy
import onnx
from onnx import helper, numpy_helper

import sparse_opt

try:
    import onnxruntime
except ImportError:
    onnxruntime = None

RANDOM = numpy.random.default_rng(7)
BATCH, ROWS, WIDTH, HEADS = 2, 5, 32, 4


def real(*shape):
    return RANDOM.standard_normal(shape).astype(numpy.float32)


def numbers(below, *shape, dtype=numpy.int32):
    return RANDOM.integers(0, below, shape).astype(dtype)


X = real(BATCH, ROWS, WIDTH)
GAMMA, BETA, BIAS = real(WIDTH), real(WIDTH), real(WIDTH)
MASK = numpy.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], numpy.int32)
LENGTHS = MASK.sum(1, dtype=numpy.int32)


class Case:
    """Operands numbered in `data` are inputs, others initialisers; None leaves
    one out."""

    def __init__(self, operator, operands, results=1, data=(0,),
                 tolerance=1e-5, domain="com.microsoft", **attributes):
        self.operator, self.operands, self.results = operator, operands, results
        self.data, self.tolerance, self.domain = data, tolerance, domain
        self.attributes = attributes

    def names(self):
        return ["" if value is None else f"operand_{i}"
                for i, value in enumerate(self.operands)]

    def feeds(self):
        return {f"operand_{i}": self.operands[i] for i in self.data}

    def model(self):
        node = helper.make_node(
            self.operator, self.names(),
            [f"result_{i}" for i in range(self.results)], name="tested",
            domain=self.domain, **self.attributes)
        inputs = [helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype),
            self.sizes(name, value)) for name, value in self.feeds().items()]
        constants = [numpy_helper.from_array(value, f"operand_{i}")
                     for i, value in enumerate(self.operands)
                     if value is not None and i not in self.data]
        outputs = [helper.make_empty_tensor_value_info(f"result_{i}")
                   for i in range(self.results)]
        graph = helper.make_graph([node], "one_node", inputs, outputs, constants)
        return helper.make_model(
            graph, ir_version=9, opset_imports=[
                helper.make_opsetid("", 19),
                helper.make_opsetid("com.microsoft", 1)])

    @staticmethod
    def sizes(name, value):
        """Batch and rows are symbols wherever they stand."""
        known = {BATCH: "batch", ROWS: "rows"}
        return [known.get(size, size) for size in value.shape]


QKV = real(WIDTH, 3 * WIDTH), real(3 * WIDTH)
TABLE = real(50, WIDTH), real(ROWS + 3, WIDTH), real(3, WIDTH)
IDS, SEGMENTS = numbers(50, BATCH, ROWS), numbers(3, BATCH, ROWS)
PADDED = numpy.float32(numpy.finfo(numpy.float32).min)
ANGLES = real(ROWS + 3, WIDTH // HEADS // 2)
POSITIONS = numpy.arange(ROWS, dtype=numpy.int64)[None].repeat(BATCH, 0)
KV_HEADS, DEPTH = 2, 16  # ONNX Runtime rotates multiples of 16
QUERY = real(BATCH, ROWS, HEADS * DEPTH)
KV = real(BATCH, ROWS, KV_HEADS * DEPTH), real(BATCH, ROWS, KV_HEADS * DEPTH)
TURNS = real(ROWS + 3, DEPTH // 2)
FULL = numpy.full(BATCH, ROWS - 1, numpy.int32)
# Caches with room for 6 rows hold 6 and 3; one row comes to each.
PAST = real(BATCH, KV_HEADS, 6, DEPTH), real(BATCH, KV_HEADS, 6, DEPTH)
RAGGED = numpy.array([6, 3], numpy.int32)


def count(value):
    return numpy.array([value], numpy.int32)


def grouped(operands, **attributes):
    """Data are all operands but the number of rows and the angles."""
    data = tuple(i for i, value in enumerate(operands)
                 if value is not None and i not in (6, 7, 8))
    return Case("GroupQueryAttention", operands, results=3, data=data,
                num_heads=HEADS, kv_num_heads=KV_HEADS, **attributes)


def packed(bits, zeros=None, **attributes):
    """MatMulNBits by a matrix of 40 x 6, in blocks of 16."""
    codes = numbers(256, 6, 3, 16 * bits // 8, dtype=numpy.uint8)
    return Case("MatMulNBits",
                [real(BATCH, ROWS, 40), codes, real(6, 3), zeros], bits=bits,
                K=40, N=6, block_size=16, tolerance=1e-4, **attributes)


CASES = {
    "attention": Case("Attention", [X, *QKV], num_heads=HEADS),
    "attention_mask": Case("Attention", [X, *QKV, MASK], data=(0, 3),
                           num_heads=HEADS),
    "attention_lengths": Case("Attention", [X, *QKV, LENGTHS], data=(0, 3),
                              num_heads=HEADS, mask_filter_value=PADDED),
    "attention_causal": Case("Attention", [X, *QKV], num_heads=HEADS,
                             unidirectional=1),
    "attention_sizes": Case(
        "Attention", [X, real(WIDTH, 80), real(80)], num_heads=HEADS,
        qkv_hidden_sizes=[32, 32, 16]),
    "attention_bias": Case(
        "Attention", [X, *QKV, None, None, real(BATCH, HEADS, ROWS, ROWS)],
        data=(0, 5), num_heads=HEADS),
    "multi_head_attention": Case(
        "MultiHeadAttention", [X, X + 1, X - 1], data=(0, 1, 2),
        num_heads=HEADS),
    "multi_head_attention_bias_mask": Case(
        "MultiHeadAttention", [X, X + 1, X - 1, QKV[1], MASK],
        data=(0, 1, 2, 4), num_heads=HEADS),
    "multi_head_attention_causal": Case(
        "MultiHeadAttention", [X, X + 1, X - 1], data=(0, 1, 2),
        num_heads=HEADS, unidirectional=1, scale=0.3),
    "multi_head_attention_past": Case(
        "MultiHeadAttention",
        [X, X + 1, X - 1, None, None, None,
         real(BATCH, HEADS, 3, WIDTH // HEADS),
         real(BATCH, HEADS, 3, WIDTH // HEADS)],
        results=3, data=(0, 1, 2, 6, 7), num_heads=HEADS),
    "group_query_attention": grouped(
        [QUERY, *KV, None, None, FULL, count(ROWS)]),
    "group_query_attention_window": grouped(
        [QUERY, *KV, None, None, FULL, count(ROWS)], local_window_size=2,
        softcap=2.0),
    "group_query_attention_packed": grouped(
        [real(BATCH, ROWS, (HEADS + 2 * KV_HEADS) * DEPTH), None, None, None,
         None, FULL, count(ROWS)]),
    "group_query_attention_rotated": grouped(
        [QUERY, *KV, None, None, FULL, count(ROWS), TURNS, TURNS + 1],
        do_rotary=1),
    "group_query_attention_past": grouped(
        [QUERY[:, :1], KV[0][:, :1], KV[1][:, :1], *PAST, RAGGED, count(7)]),
    "group_query_attention_past_rotated": grouped(
        [QUERY[:, :1], KV[0][:, :1], KV[1][:, :1], *PAST, RAGGED, count(7),
         TURNS, TURNS + 1], do_rotary=1, rotary_interleaved=1),
    "embed_layer_norm": Case(
        "EmbedLayerNormalization", [IDS, SEGMENTS, *TABLE, GAMMA, BETA, MASK],
        results=2, data=(0, 1, 7), epsilon=1e-5),
    "embed_layer_norm_no_segments": Case(
        "EmbedLayerNormalization", [IDS, None, *TABLE[:2], None, GAMMA, BETA],
        results=2, epsilon=1e-5),
    "skip_layer_norm": Case("SkipLayerNormalization", [X, X[::-1], GAMMA, BETA],
                            data=(0, 1), epsilon=1e-5),
    "skip_layer_norm_bias": Case(
        "SkipLayerNormalization", [X, X[::-1], GAMMA, BETA, BIAS], data=(0, 1)),
    "skip_rms_norm": Case("SkipSimplifiedLayerNormalization",
                          [X, X[::-1], GAMMA], data=(0, 1), epsilon=1e-5),
    "rms_norm": Case("SimplifiedLayerNormalization", [X, GAMMA], domain="",
                     epsilon=1e-5, axis=-1),
    "gelu": Case("Gelu", [X]),
    "bias_gelu": Case("BiasGelu", [X, BIAS]),
    "fast_gelu": Case("FastGelu", [X, BIAS]),
    "quick_gelu": Case("QuickGelu", [X], alpha=1.702),
    "fused_matmul": Case("FusedMatMul", [X, real(WIDTH, 6)], alpha=0.5),
    "fused_matmul_transposed": Case(
        "FusedMatMul", [X, X + 1], data=(0, 1), transB=1, alpha=0.125),
    "matmul_4_bits": packed(4),
    "matmul_4_bits_zeros": packed(
        4, numbers(256, 6 * 2, dtype=numpy.uint8)),
    "matmul_4_bits_float_zeros": packed(4, real(6, 3)),
    "matmul_8_bits": packed(8, numbers(256, 6 * 3, dtype=numpy.uint8)),
    "rotary_embedding": Case(
        "RotaryEmbedding", [X, POSITIONS, ANGLES, ANGLES + 1], data=(0, 1),
        num_heads=0),
    "rotary_embedding_interleaved": Case(
        "RotaryEmbedding", [X, POSITIONS, ANGLES, ANGLES + 1], data=(0, 1),
        interleaved=1),
    "rotary_embedding_from": Case(
        "RotaryEmbedding",
        [X, numpy.array([2], numpy.int64), ANGLES, ANGLES + 1], data=(0, 1)),
    # ONNX's own, whose backend cases have no constant weights.
    "matmul_integer": Case(
        "MatMulInteger",
        [numbers(256, BATCH, ROWS, WIDTH, dtype=numpy.uint8),
         (numbers(256, WIDTH, 6) - 128).astype(numpy.int8), numpy.uint8(131),
         numpy.int8(3)], domain="", tolerance=0),
    "matmul_integer_long": Case(
        "MatMulInteger",
        [numbers(256, BATCH, ROWS, 2000, dtype=numpy.uint8),
         (numbers(256, 2000, 6) - 128).astype(numpy.int8), numpy.uint8(0)],
        domain="", tolerance=0),
    "quantize": Case(
        "QuantizeLinear", [X, numpy.float32(0.05), numpy.uint8(100)],
        tolerance=1),
    "dequantize": Case(
        "DequantizeLinear",
        [numbers(255, BATCH, ROWS, WIDTH, dtype=numpy.uint8),
         numpy.float32(0.05), numpy.uint8(100)]),
}


@unittest.skipIf(onnxruntime is None, "needs onnxruntime to compare with")
class MicrosoftOperators(unittest.TestCase):
    def check(self, case):
        model = case.model()
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = \
            onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options,
            providers=["CPUExecutionProvider"])
        wanted = session.run(None, case.feeds())
        for output, value in zip(model.graph.output, wanted):
            output.type.tensor_type.elem_type = \
                helper.np_dtype_to_tensor_dtype(value.dtype)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / f"{self.id()}.onnx"
            onnx.save(model, path)
            compiled = path.with_suffix(".so")
            done = subprocess.run(
                [os.environ.get("SPARSE_OPT", "sparse-opt"), "compile", path,
                 "-o", compiled, "--march=native", "-j", "1"],
                capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            got = sparse_opt.load(str(compiled)).run(None, case.feeds())
        for ours, theirs in zip(got, wanted, strict=True):
            self.assertEqual(ours.dtype, theirs.dtype)
            self.assertEqual(ours.shape, theirs.shape)
            numpy.testing.assert_allclose(
                ours.astype(float), theirs.astype(float),
                rtol=case.tolerance, atol=case.tolerance)


def add_case(name, case):
    setattr(MicrosoftOperators, f"test_{name}", lambda self: self.check(case))


for _name, _case in CASES.items():
    add_case(_name, _case)

if __name__ == "__main__":
    unittest.main()
