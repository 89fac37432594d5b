// RUN: sparse-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Heads come apart without touching batch and sequence.
// CHECK-LABEL: func.func @split_heads
// CHECK: tensor.expand_shape %{{.+}} {{\[\[}}0], [1], [2, 3]] output_shape [%{{.+}}, %{{.+}}, 2, 4]
// CHECK-NOT: tensor.collapse_shape
// CHECK: linalg.transpose {{.+}} permutation = [0, 2, 1, 3]
func.func @split_heads(%x: tensor<?x?x8xf32> {onnx.name = "x", onnx.dims = ["b", "s", "8"]}) -> tensor<?x2x?x4xf32> {
  %s = onnx.dims ["b", "s", "2", "4"] : tensor<4xi64>
  %r = onnx.node "Reshape" version 14 (%x, %s) : (tensor<?x?x8xf32>, tensor<4xi64>) -> tensor<?x?x2x4xf32>
  %y = onnx.node "Transpose" version 13 (%r) {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x2x4xf32>) -> tensor<?x2x?x4xf32>
  return %y : tensor<?x2x?x4xf32>
}

// -----

// A reshape and back is nothing.
// CHECK-LABEL: func.func @there_and_back
// CHECK-NOT: tensor.collapse_shape
// CHECK: return %{{.*}}arg0
func.func @there_and_back(%x: tensor<?x?x8xf32> {onnx.name = "x", onnx.dims = ["b", "s", "8"]}) -> tensor<?x?x8xf32> {
  %flat = onnx.dims ["b*s", "8"] : tensor<2xi64>
  %full = onnx.dims ["b", "s", "8"] : tensor<3xi64>
  %r = onnx.node "Reshape" version 14 (%x, %flat) : (tensor<?x?x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  %y = onnx.node "Reshape" version 14 (%r, %full) : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// Moving a dimension of size 1 moves nothing.
// CHECK-LABEL: func.func @transpose_of_ones
// CHECK-NOT: linalg.transpose
// CHECK: tensor.expand_shape
func.func @transpose_of_ones(%x: tensor<?x1x4xf32> {onnx.name = "x", onnx.dims = ["n", "1", "4"]}) -> tensor<1x?x4xf32> {
  %y = onnx.node "Transpose" version 13 (%x) {perm = array<i64: 1, 0, 2>} : (tensor<?x1x4xf32>) -> tensor<1x?x4xf32>
  return %y : tensor<1x?x4xf32>
}

// -----

// An expanded constant is a fill, which its users capture as a scalar.
// CHECK-LABEL: func.func @expand_constant
// CHECK: linalg.generic {{.+}} ins(%{{.+}} : tensor<?xf32>)
// CHECK: arith.constant 2.000000e+00 : f32
// CHECK: arith.mulf
func.func @expand_constant(%x: tensor<?xf32> {onnx.name = "x", onnx.dims = ["n"]}) -> tensor<?xf32> {
  %c = onnx.constant dense<2.0> : tensor<1xf32>
  %n = onnx.dims ["n"] : tensor<1xi64>
  %e = onnx.node "Expand" version 13 (%c, %n) : (tensor<1xf32>, tensor<1xi64>) -> tensor<?xf32>
  %y = onnx.node "Mul" version 14 (%x, %e) : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// CHECK-LABEL: func.func @range
// CHECK: linalg.generic {{.+}} outs(%{{.+}} : tensor<?xi64>)
// CHECK: linalg.index 0
func.func @range(%x: tensor<?xi64> {onnx.name = "x", onnx.dims = ["n"]}) -> tensor<?xi64> {
  %zero = onnx.constant dense<0> : tensor<i64>
  %one = onnx.constant dense<1> : tensor<i64>
  %n = onnx.dims ["n"] : tensor<i64>
  %r = onnx.node "Range" version 11 (%zero, %n, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %y = onnx.node "Add" version 14 (%x, %r) : (tensor<?xi64>, tensor<?xi64>) -> tensor<?xi64>
  return %y : tensor<?xi64>
}

// -----

// CHECK-LABEL: func.func @tile
// CHECK: tensor.expand_shape %{{.+}} {{\[\[}}0, 1], [2]]
// CHECK: linalg.generic {{.+}} outs(%{{.+}} : tensor<3x2x4xf32>)
// CHECK: tensor.collapse_shape %{{.+}} {{\[\[}}0, 1], [2]]
func.func @tile(%x: tensor<2x4xf32> {onnx.name = "x", onnx.dims = ["2", "4"]}) -> tensor<6x4xf32> {
  %r = onnx.constant dense<[3, 1]> : tensor<2xi64>
  %y = onnx.node "Tile" version 13 (%x, %r) : (tensor<2x4xf32>, tensor<2xi64>) -> tensor<6x4xf32>
  return %y : tensor<6x4xf32>
}
