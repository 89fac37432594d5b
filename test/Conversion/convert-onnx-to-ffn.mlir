// RUN: sparse-opt %s --convert-onnx-to-ffn | FileCheck %s

// x * (1 + erf(x / sqrt 2)) * 0.5, in three orders; the last with sqrt 2 in half
// precision.
// CHECK-LABEL: @gelu_torch
// CHECK: ffn.block <gelu> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @gelu_torch(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<1.41421354> : tensor<f32>
  %c3 = onnx.constant dense<1.0> : tensor<f32>
  %c4 = onnx.constant dense<0.5> : tensor<f32>
  %c5 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c6 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Div" version 14 (%t2, %c2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Erf" version 13 (%t3) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Add" version 14 (%t4, %c3) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%t2, %t5) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "Mul" version 14 (%t6, %c4) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t8 = onnx.node "MatMul" version 13 (%t7, %c5) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t9 = onnx.node "Add" version 14 (%t8, %c6) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t9 : tensor<?x4xf32>
}

// CHECK-LABEL: @gelu_left
// CHECK: ffn.block <gelu> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @gelu_left(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<1.0> : tensor<f32>
  %c3 = onnx.constant dense<0.70710677> : tensor<f32>
  %c4 = onnx.constant dense<0.5> : tensor<f32>
  %c5 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c6 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Mul" version 14 (%c3, %t2) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Erf" version 13 (%t3) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Add" version 14 (%c2, %t4) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%c4, %t5) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "Mul" version 14 (%t6, %t2) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t8 = onnx.node "MatMul" version 13 (%t7, %c5) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t9 = onnx.node "Add" version 14 (%t8, %c6) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t9 : tensor<?x4xf32>
}

// CHECK-LABEL: @gelu_half
// CHECK: ffn.block <gelu> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @gelu_half(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.5> : tensor<f32>
  %c3 = onnx.constant dense<1.4141> : tensor<f32>
  %c4 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c5 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Mul" version 14 (%t2, %c2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Div" version 14 (%t2, %c3) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Erf" version 13 (%t4) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%t3, %t5) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "Add" version 14 (%t3, %t6) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t8 = onnx.node "MatMul" version 13 (%t7, %c4) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t9 = onnx.node "Add" version 14 (%t8, %c5) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t9 : tensor<?x4xf32>
}

// The tanh form with a power, and as a sigmoid.
// CHECK-LABEL: @gelu_tanh_power
// CHECK: ffn.block <gelu_tanh> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @gelu_tanh_power(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.044715> : tensor<f32>
  %c3 = onnx.constant dense<3.0> : tensor<f32>
  %c4 = onnx.constant dense<0.797884583> : tensor<f32>
  %c5 = onnx.constant dense<0.5> : tensor<f32>
  %c6 = onnx.constant dense<1.0> : tensor<f32>
  %c7 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c8 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Pow" version 15 (%t2, %c3) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Mul" version 14 (%c2, %t3) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Add" version 14 (%t2, %t4) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%c4, %t5) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "Tanh" version 13 (%t6) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t8 = onnx.node "Mul" version 14 (%c5, %t2) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t9 = onnx.node "Add" version 14 (%c6, %t7) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t10 = onnx.node "Mul" version 14 (%t8, %t9) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t11 = onnx.node "MatMul" version 13 (%t10, %c7) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t12 = onnx.node "Add" version 14 (%t11, %c8) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t12 : tensor<?x4xf32>
}

// CHECK-LABEL: @gelu_tanh_sigmoid
// CHECK: ffn.block <gelu_tanh> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @gelu_tanh_sigmoid(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<1.0> : tensor<f32>
  %c3 = onnx.constant dense<0.044715> : tensor<f32>
  %c4 = onnx.constant dense<1.59576917> : tensor<f32>
  %c5 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c6 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Mul" version 14 (%t2, %t2) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Mul" version 14 (%c3, %t3) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Add" version 14 (%c2, %t4) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%t2, %t5) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "Mul" version 14 (%t6, %c4) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t8 = onnx.node "Sigmoid" version 13 (%t7) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t9 = onnx.node "Mul" version 14 (%t2, %t8) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t10 = onnx.node "MatMul" version 13 (%t9, %c5) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t11 = onnx.node "Add" version 14 (%t10, %c6) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t11 : tensor<?x4xf32>
}

// One node.
// CHECK-LABEL: @gelu_op
// CHECK: ffn.block <gelu> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @gelu_op(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Gelu" version 20 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "MatMul" version 13 (%t3, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t5 = onnx.node "Add" version 14 (%t4, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t5 : tensor<?x4xf32>
}

// CHECK-LABEL: @gelu_op_tanh
// CHECK: ffn.block <gelu_tanh> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @gelu_op_tanh(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Gelu" version 20 (%t2) {approximate = "tanh"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "MatMul" version 13 (%t3, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t5 = onnx.node "Add" version 14 (%t4, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t5 : tensor<?x4xf32>
}
