// RUN: sparse-opt %s --convert-onnx-to-ffn=explain=true --verify-diagnostics | FileCheck %s

// CHECK-LABEL: @unknown_activation
// CHECK-NOT: ffn.block
func.func @unknown_activation(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Tanh" version 13 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // expected-remark@+1 {{ends no feed-forward block: its activation is none that the compiler knows}}
  %t4 = onnx.node "MatMul" version 13 (%t3, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %t5 = onnx.node "Add" version 14 (%t4, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t5 : tensor<?x4xf32>
}

// CHECK-LABEL: @wrong_scale
// CHECK-NOT: ffn.block
func.func @wrong_scale(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<1.5> : tensor<f32>
  %c3 = onnx.constant dense<1.0> : tensor<f32>
  %c4 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c5 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Mul" version 14 (%t2, %c2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Sigmoid" version 13 (%t3) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Mul" version 14 (%t2, %t4) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%t5, %c3) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  // expected-remark@+1 {{ends no feed-forward block: its activation is none that the compiler knows}}
  %t7 = onnx.node "MatMul" version 13 (%t6, %c4) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %t8 = onnx.node "Add" version 14 (%t7, %c5) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t8 : tensor<?x4xf32>
}
