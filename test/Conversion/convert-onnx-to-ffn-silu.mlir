// RUN: sparse-opt %s --convert-onnx-to-ffn | FileCheck %s

// CHECK-LABEL: @silu
// CHECK: ffn.block <silu> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @silu(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Sigmoid" version 13 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Mul" version 14 (%t2, %t3) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "MatMul" version 13 (%t4, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t6 = onnx.node "Add" version 14 (%t5, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t6 : tensor<?x4xf32>
}

// x / (1 + exp(-x))
// CHECK-LABEL: @silu_exp
// CHECK: ffn.block <silu> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @silu_exp(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<1.0> : tensor<f32>
  %c3 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c4 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Neg" version 13 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Exp" version 13 (%t3) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Add" version 14 (%c2, %t4) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Div" version 14 (%t2, %t5) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "MatMul" version 13 (%t6, %c3) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t8 = onnx.node "Add" version 14 (%t7, %c4) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t8 : tensor<?x4xf32>
}

// CHECK-LABEL: @swish
// CHECK: ffn.block <silu> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @swish(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Swish" version 24 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "MatMul" version 13 (%t3, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t5 = onnx.node "Add" version 14 (%t4, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t5 : tensor<?x4xf32>
}

// CHECK-LABEL: @quick_gelu
// CHECK: ffn.block <quick_gelu> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @quick_gelu(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<1.702> : tensor<f32>
  %c3 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c4 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Mul" version 14 (%c2, %t2) : (tensor<f32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Sigmoid" version 13 (%t3) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Mul" version 14 (%t4, %t2) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "MatMul" version 13 (%t5, %c3) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t7 = onnx.node "Add" version 14 (%t6, %c4) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t7 : tensor<?x4xf32>
}
