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

// CHECK-LABEL: @graphs
// CHECK: onnx.node "If" version 21 (%{{.+}}) graphs ["then_branch", "else_branch"] {
// CHECK-NEXT: onnx.yield %{{.+}} : tensor<2xf32>
// CHECK-NEXT: } {
// CHECK: onnx.yield %{{.+}} : tensor<2xf32>
func.func @graphs(%c: tensor<i1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  %y = onnx.node "If" version 21 (%c) graphs ["then_branch", "else_branch"] {
    onnx.yield %x : tensor<2xf32>
  } {
    %z = onnx.node "Neg" version 13 (%x) : (tensor<2xf32>) -> tensor<2xf32>
    onnx.yield %z : tensor<2xf32>
  } : (tensor<i1>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}
