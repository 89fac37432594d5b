// RUN: sparse-opt %s --onnx-fold-constants --onnx-fold-shapes --convert-onnx-to-ffn | FileCheck %s

// Nodes that ONNX's checker refuses, but IR can hold: left as they are.
// CHECK-LABEL: @arity
// CHECK-COUNT-12: onnx.node
func.func @arity(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xi64>, tensor<4xi64>, tensor<4xf32>, tensor<4xf32>, tensor<?x4xf32>, tensor<4x?xf32>, tensor<2xi64>, tensor<?x4xf32>) {
  %c = onnx.constant dense<1> : tensor<4xi64>
  %f = onnx.constant dense<1.0> : tensor<4xf32>
  %e = onnx.constant dense<> : tensor<0xi64>
  %a = onnx.node "MatMul" version 13 (%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %b = onnx.node "Add" version 14 () : () -> tensor<?x4xf32>
  %d = onnx.node "Div" version 14 (%c) : (tensor<4xi64>) -> tensor<4xi64>
  %g = onnx.node "Where" version 9 (%c, %c) : (tensor<4xi64>, tensor<4xi64>) -> tensor<4xi64>
  %h = onnx.node "Pow" version 15 (%f) : (tensor<4xf32>) -> tensor<4xf32>
  %i = onnx.node "Gather" version 13 (%f) : (tensor<4xf32>) -> tensor<4xf32>
  %r = onnx.node "Relu" version 14 () : () -> tensor<?x4xf32>
  %j = onnx.node "MatMul" version 13 (%r, %x) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %k = onnx.node "Transpose" version 13 (%x) {perm = array<i64: 5, 5>} : (tensor<?x4xf32>) -> tensor<4x?xf32>
  %l = onnx.node "Transpose" version 13 (%k) {perm = array<i64: 1>} : (tensor<4x?xf32>) -> tensor<4x?xf32>
  %m = onnx.node "Range" version 11 (%e, %c, %c) : (tensor<0xi64>, tensor<4xi64>, tensor<4xi64>) -> tensor<2xi64>
  %n = onnx.node "Gelu" version 20 (%x) {approximate = 3 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %a, %b, %d, %g, %h, %i, %j, %l, %m, %n : tensor<?x4xf32>, tensor<?x4xf32>, tensor<4xi64>, tensor<4xi64>, tensor<4xf32>, tensor<4xf32>, tensor<?x4xf32>, tensor<4x?xf32>, tensor<2xi64>, tensor<?x4xf32>
}
