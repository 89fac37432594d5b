// RUN: sparse-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: @node
// CHECK: onnx.node "Softmax" version 13 (%{{.+}}) {axis = -1 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK: onnx.node "com.microsoft":"FastGelu" version 1
// CHECK: onnx.dims ["batch", "8"] : tensor<2xi64>
func.func @node(%x: tensor<?x8xf32> {onnx.name = "x", onnx.dims = ["batch", "8"]}) -> tensor<?x8xf32> {
  %n = onnx.none
  %y = onnx.node "Softmax" version 13 (%x) {axis = -1 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %z = onnx.node "com.microsoft":"FastGelu" version 1 (%y, %n) : (tensor<?x8xf32>, none) -> tensor<?x8xf32>
  %s = onnx.dims ["batch", "8"] : tensor<2xi64>
  %c = onnx.constant dense<1.0> : tensor<2xf32>
  return %z : tensor<?x8xf32>
}
