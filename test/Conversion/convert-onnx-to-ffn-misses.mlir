// RUN: sparse-opt %s --convert-onnx-to-ffn=explain=true --verify-diagnostics | FileCheck %s

// CHECK-LABEL: @hidden_read_twice
// CHECK-NOT: ffn.block
func.func @hidden_read_twice(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> (tensor<?x4xf32>, tensor<?x8xf32>) {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Relu" version 14 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // expected-remark@+1 {{ends no feed-forward block: its hidden values are also read by the model's outputs}}
  %t4 = onnx.node "MatMul" version 13 (%t3, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %t5 = onnx.node "Add" version 14 (%t4, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t5, %t3 : tensor<?x4xf32>, tensor<?x8xf32>
}

// CHECK-LABEL: @down_weight_not_constant
// CHECK-NOT: ffn.block
func.func @down_weight_not_constant(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}, %w: tensor<8x4xf32>) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Relu" version 14 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // expected-remark@+1 {{ends no feed-forward block: the weight of a MatMul is not a constant matrix}}
  %t4 = onnx.node "MatMul" version 13 (%t3, %w) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %t4 : tensor<?x4xf32>
}

// CHECK-LABEL: @up_weight_not_constant
// CHECK-NOT: ffn.block
func.func @up_weight_not_constant(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}, %w: tensor<4x8xf32>) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c1 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %w) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Relu" version 14 (%t1) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // expected-remark@+1 {{ends no feed-forward block: the weight of a MatMul is not a constant matrix}}
  %t3 = onnx.node "MatMul" version 13 (%t2, %c0) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %t4 = onnx.node "Add" version 14 (%t3, %c1) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t4 : tensor<?x4xf32>
}

// CHECK-LABEL: @gate_reads_another_value
// CHECK-NOT: ffn.block
func.func @gate_reads_another_value(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}, %other: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.3> : tensor<4x8xf32>
  %c3 = onnx.constant dense<0.6> : tensor<8xf32>
  %c4 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c5 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "MatMul" version 13 (%other, %c2) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Add" version 14 (%t3, %c3) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Sigmoid" version 13 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%t5, %t2) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "Mul" version 14 (%t6, %t4) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  // expected-remark@+1 {{ends no feed-forward block: its gate and up projections read different values}}
  %t8 = onnx.node "MatMul" version 13 (%t7, %c4) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %t9 = onnx.node "Add" version 14 (%t8, %c5) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t9 : tensor<?x4xf32>
}

// CHECK-LABEL: @split_of_rows
// CHECK-NOT: ffn.block
func.func @split_of_rows(%x: tensor<6x4xf32> {onnx.dims = ["6", "4"]}) -> tensor<3x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c2 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<6x4xf32>, tensor<4x8xf32>) -> tensor<6x8xf32>
  %t2:2 = onnx.node "Split" version 18 (%t1) {axis = 0 : i64, num_outputs = 2 : i64} : (tensor<6x8xf32>) -> (tensor<3x8xf32>, tensor<3x8xf32>)
  %t3 = onnx.node "Sigmoid" version 13 (%t2#0) : (tensor<3x8xf32>) -> tensor<3x8xf32>
  %t4 = onnx.node "Mul" version 14 (%t3, %t2#0) : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x8xf32>
  %t5 = onnx.node "Mul" version 14 (%t4, %t2#1) : (tensor<3x8xf32>, tensor<3x8xf32>) -> tensor<3x8xf32>
  // expected-remark@+1 {{ends no feed-forward block: a Split does not cut the last dimension in constant places}}
  %t6 = onnx.node "MatMul" version 13 (%t5, %c1) : (tensor<3x8xf32>, tensor<8x4xf32>) -> tensor<3x4xf32>
  %t7 = onnx.node "Add" version 14 (%t6, %c2) : (tensor<3x4xf32>, tensor<4xf32>) -> tensor<3x4xf32>
  return %t7 : tensor<3x4xf32>
}

// CHECK-LABEL: @scaled_per_neuron
// CHECK-NOT: ffn.block
func.func @scaled_per_neuron(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<[1.0,2.0,3.0,4.0,5.0,6.0,7.0,8.0]> : tensor<8xf32>
  %c3 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c4 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Mul" version 14 (%t2, %c2) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Relu" version 14 (%t3) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // expected-remark@+1 {{ends no feed-forward block: its hidden values meet a constant tensor}}
  %t5 = onnx.node "MatMul" version 13 (%t4, %c3) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %t6 = onnx.node "Add" version 14 (%t5, %c4) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t6 : tensor<?x4xf32>
}

// CHECK-LABEL: @transposed
// CHECK-NOT: ffn.block
func.func @transposed(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Relu" version 14 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Transpose" version 13 (%t3) {perm = array<i64: 1, 0>} : (tensor<?x8xf32>) -> tensor<8x?xf32>
  %t5 = onnx.node "Transpose" version 13 (%t4) {perm = array<i64: 1, 0>} : (tensor<8x?xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Relu" version 14 (%t5) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  // expected-remark@+1 {{ends no feed-forward block: a Transpose is no part of a block}}
  %t7 = onnx.node "MatMul" version 13 (%t6, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %t8 = onnx.node "Add" version 14 (%t7, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t8 : tensor<?x4xf32>
}

// Softmax in front of a product is attention, not worth a remark.
// CHECK-LABEL: @softmax
// CHECK-NOT: ffn.block
func.func @softmax(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Softmax" version 13 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "MatMul" version 13 (%t3, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t5 = onnx.node "Add" version 14 (%t4, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t5 : tensor<?x4xf32>
}
