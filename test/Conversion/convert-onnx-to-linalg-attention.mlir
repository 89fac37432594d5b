// RUN: sparse-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Heads of packed operands, product, scale, causal bias, softmax, product.
// CHECK-LABEL: func.func @causal
// CHECK: tensor.expand_shape
// CHECK: linalg.transpose
// CHECK: linalg.generic {{.+}}"reduction"
// CHECK: arith.mulf %{{.+}}, %{{.+}} : f32
// CHECK: arith.cmpi
// CHECK: 0xFF800000 : f32
// CHECK: linalg.softmax dimension(3)
// CHECK: linalg.generic {{.+}}"reduction"
// CHECK: tensor.collapse_shape
func.func @causal(%x: tensor<?x?x8xf32> {onnx.name = "x", onnx.dims = ["b", "s", "8"]}) -> tensor<?x?x8xf32> {
  %y = onnx.node "Attention" version 23 (%x, %x, %x) {q_num_heads = 2 : i64, kv_num_heads = 2 : i64, is_causal = 1 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// ONNX Runtime's: a padding mask becomes something to add.
// CHECK-LABEL: func.func @padding_mask
// CHECK: -1.000000e+04 : f32
// CHECK: arith.select
// CHECK: linalg.softmax dimension(3)
func.func @padding_mask(%x: tensor<?x?x8xf32> {onnx.name = "x", onnx.dims = ["b", "s", "8"]}, %w: tensor<8x24xf32> {onnx.name = "w", onnx.dims = ["8", "24"]}, %bias: tensor<24xf32> {onnx.name = "bias", onnx.dims = ["24"]}, %m: tensor<?x?xi32> {onnx.name = "m", onnx.dims = ["b", "s"]}) -> tensor<?x?x8xf32> {
  %y = onnx.node "com.microsoft":"Attention" version 1 (%x, %w, %bias, %m) {num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<8x24xf32>, tensor<24xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// CHECK-LABEL: func.func @rotary
// CHECK: kernel.check_index
// CHECK: tensor.extract_slice
// CHECK: arith.subf
// CHECK: arith.addf
// CHECK: tensor.insert_slice
func.func @rotary(%x: tensor<?x2x?x4xf32> {onnx.name = "x", onnx.dims = ["b", "2", "s", "4"]}, %c: tensor<64x2xf32> {onnx.name = "c", onnx.dims = ["64", "2"]}, %p: tensor<?x?xi64> {onnx.name = "p", onnx.dims = ["b", "s"]}) -> tensor<?x2x?x4xf32> {
  %y = onnx.node "RotaryEmbedding" version 23 (%x, %c, %c, %p) : (tensor<?x2x?x4xf32>, tensor<64x2xf32>, tensor<64x2xf32>, tensor<?x?xi64>) -> tensor<?x2x?x4xf32>
  return %y : tensor<?x2x?x4xf32>
}
