// RUN: sparse-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Tables of words and segments are gathered from, positions count from 0.
// CHECK-LABEL: func.func @embeddings
// CHECK: kernel.check_index %{{.+}}
// CHECK: tensor.extract %{{.+}} : tensor<100x8xf32>
// CHECK: kernel.check_sizes %{{.+}} "{{.+}}: more positions than embeddings"
// CHECK: linalg.index 1
// CHECK: tensor.extract %{{.+}} : tensor<64x8xf32>
// CHECK: kernel.check_index %{{.+}}
// CHECK: tensor.extract %{{.+}} : tensor<2x8xf32>
// CHECK: math.sqrt
func.func @embeddings(%ids: tensor<?x?xi32> {onnx.name = "ids", onnx.dims = ["b", "s"]}, %seg: tensor<?x?xi32> {onnx.name = "seg", onnx.dims = ["b", "s"]}, %w: tensor<100x8xf32> {onnx.name = "w", onnx.dims = ["100", "8"]}, %p: tensor<64x8xf32> {onnx.name = "p", onnx.dims = ["64", "8"]}, %t: tensor<2x8xf32> {onnx.name = "t", onnx.dims = ["2", "8"]}, %g: tensor<8xf32> {onnx.name = "g", onnx.dims = ["8"]}) -> tensor<?x?x8xf32> {
  %y:2 = onnx.node "com.microsoft":"EmbedLayerNormalization" version 1 (%ids, %seg, %w, %p, %t, %g, %g) : (tensor<?x?xi32>, tensor<?x?xi32>, tensor<100x8xf32>, tensor<64x8xf32>, tensor<2x8xf32>, tensor<8xf32>, tensor<8xf32>) -> (tensor<?x?x8xf32>, tensor<?xi32>)
  return %y#0 : tensor<?x?x8xf32>
}

// -----

// Input, skip and bias are added before the rows are normalised.
// CHECK-LABEL: func.func @skip_norm
// CHECK: arith.addf
// CHECK: arith.addf
// CHECK: linalg.generic {{.+}}"reduction"
// CHECK: math.sqrt
func.func @skip_norm(%x: tensor<?x8xf32> {onnx.name = "x", onnx.dims = ["n", "8"]}, %g: tensor<8xf32> {onnx.name = "g", onnx.dims = ["8"]}) -> tensor<?x8xf32> {
  %y = onnx.node "com.microsoft":"SkipLayerNormalization" version 1 (%x, %x, %g, %g, %g) {epsilon = 1.0e-5 : f32} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// One length a sequence: columns behind it are masked.
// CHECK-LABEL: func.func @lengths
// CHECK: linalg.index 3
// CHECK: %[[INSIDE:.+]] = arith.cmpi slt
// CHECK: arith.select
// CHECK: linalg.softmax dimension(3)
func.func @lengths(%x: tensor<?x?x8xf32> {onnx.name = "x", onnx.dims = ["b", "s", "8"]}, %m: tensor<?xi32> {onnx.name = "m", onnx.dims = ["b"]}) -> tensor<?x?x8xf32> {
  %n = onnx.none
  %y = onnx.node "com.microsoft":"MultiHeadAttention" version 1 (%x, %x, %x, %n, %m) {num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, none, tensor<?xi32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// A cache: what it holds, then the new rows, each sequence from its own place.
// CHECK-LABEL: func.func @cache
// CHECK: kernel.check_index %{{.+}} "{{.+}}: sequence length out of range"
// CHECK: tensor.extract %{{.+}} : tensor<?x1x?x4xf32>
// CHECK: tensor.extract %{{.+}} : tensor<?x1x?x4xf32>
// CHECK: linalg.softmax dimension(3)
func.func @cache(%x: tensor<?x?x8xf32> {onnx.name = "x", onnx.dims = ["b", "s", "8"]}, %k: tensor<?x?x4xf32> {onnx.name = "k", onnx.dims = ["b", "s", "4"]}, %p: tensor<?x1x?x4xf32> {onnx.name = "p", onnx.dims = ["b", "1", "past", "4"]}, %n: tensor<?xi32> {onnx.name = "n", onnx.dims = ["b"]}) -> tensor<?x?x8xf32> {
  %t = onnx.constant dense<64> : tensor<1xi32>
  %y = onnx.node "com.microsoft":"GroupQueryAttention" version 1 (%x, %k, %k, %p, %p, %n, %t) {num_heads = 2 : i64, kv_num_heads = 1 : i64} : (tensor<?x?x8xf32>, tensor<?x?x4xf32>, tensor<?x?x4xf32>, tensor<?x1x?x4xf32>, tensor<?x1x?x4xf32>, tensor<?xi32>, tensor<1xi32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}
