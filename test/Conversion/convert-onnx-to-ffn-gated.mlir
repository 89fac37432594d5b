// RUN: sparse-opt %s --convert-onnx-to-ffn | FileCheck %s

// The gate is the leaf that the activation is applied to, on either side.
// CHECK-LABEL: @swiglu
// CHECK-DAG: %[[G:.+]] = onnx.constant dense<1.000000e-01> : tensor<4x8xf32>
// CHECK-DAG: %[[U:.+]] = onnx.constant dense<3.000000e-01> : tensor<4x8xf32>
// CHECK: ffn.block <silu> %arg0 gate(%[[G]], %{{.+}}) up(%[[U]], %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @swiglu(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.3> : tensor<4x8xf32>
  %c3 = onnx.constant dense<0.6> : tensor<8xf32>
  %c4 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c5 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "MatMul" version 13 (%x, %c2) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Add" version 14 (%t3, %c3) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Sigmoid" version 13 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%t5, %t2) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "Mul" version 14 (%t6, %t4) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t8 = onnx.node "MatMul" version 13 (%t7, %c4) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t9 = onnx.node "Add" version 14 (%t8, %c5) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t9 : tensor<?x4xf32>
}

// CHECK-LABEL: @swiglu_up_first
// CHECK-DAG: %[[G:.+]] = onnx.constant dense<1.000000e-01> : tensor<4x8xf32>
// CHECK-DAG: %[[U:.+]] = onnx.constant dense<3.000000e-01> : tensor<4x8xf32>
// CHECK: ffn.block <silu> %arg0 gate(%[[G]], %{{.+}}) up(%[[U]], %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @swiglu_up_first(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.3> : tensor<4x8xf32>
  %c3 = onnx.constant dense<0.6> : tensor<8xf32>
  %c4 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c5 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "MatMul" version 13 (%x, %c2) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Add" version 14 (%t3, %c3) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Sigmoid" version 13 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%t5, %t2) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "Mul" version 14 (%t4, %t6) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t8 = onnx.node "MatMul" version 13 (%t7, %c4) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t9 = onnx.node "Add" version 14 (%t8, %c5) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t9 : tensor<?x4xf32>
}

// u * g * sigmoid(g)
// CHECK-LABEL: @swiglu_associated
// CHECK-DAG: %[[G:.+]] = onnx.constant dense<1.000000e-01> : tensor<4x8xf32>
// CHECK-DAG: %[[U:.+]] = onnx.constant dense<3.000000e-01> : tensor<4x8xf32>
// CHECK: ffn.block <silu> %arg0 gate(%[[G]], %{{.+}}) up(%[[U]], %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @swiglu_associated(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.3> : tensor<4x8xf32>
  %c3 = onnx.constant dense<0.6> : tensor<8xf32>
  %c4 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c5 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "MatMul" version 13 (%x, %c2) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Add" version 14 (%t3, %c3) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Mul" version 14 (%t4, %t2) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Sigmoid" version 13 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "Mul" version 14 (%t5, %t6) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t8 = onnx.node "MatMul" version 13 (%t7, %c4) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t9 = onnx.node "Add" version 14 (%t8, %c5) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t9 : tensor<?x4xf32>
}

// CHECK-LABEL: @geglu
// CHECK-DAG: %[[G:.+]] = onnx.constant dense<1.000000e-01> : tensor<4x8xf32>
// CHECK-DAG: %[[U:.+]] = onnx.constant dense<3.000000e-01> : tensor<4x8xf32>
// CHECK: ffn.block <gelu> %arg0 gate(%[[G]], %{{.+}}) up(%[[U]], %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @geglu(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.3> : tensor<4x8xf32>
  %c3 = onnx.constant dense<0.6> : tensor<8xf32>
  %c4 = onnx.constant dense<1.41421354> : tensor<f32>
  %c5 = onnx.constant dense<1.0> : tensor<f32>
  %c6 = onnx.constant dense<0.5> : tensor<f32>
  %c7 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c8 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "MatMul" version 13 (%x, %c2) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Add" version 14 (%t3, %c3) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Div" version 14 (%t2, %c4) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Erf" version 13 (%t5) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "Add" version 14 (%t6, %c5) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t8 = onnx.node "Mul" version 14 (%t2, %t7) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t9 = onnx.node "Mul" version 14 (%t8, %c6) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t10 = onnx.node "Mul" version 14 (%t9, %t4) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t11 = onnx.node "MatMul" version 13 (%t10, %c7) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t12 = onnx.node "Add" version 14 (%t11, %c8) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t12 : tensor<?x4xf32>
}

// CHECK-LABEL: @reglu
// CHECK-DAG: %[[G:.+]] = onnx.constant dense<1.000000e-01> : tensor<4x8xf32>
// CHECK-DAG: %[[U:.+]] = onnx.constant dense<3.000000e-01> : tensor<4x8xf32>
// CHECK: ffn.block <relu> %arg0 gate(%[[G]], %{{.+}}) up(%[[U]], %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @reglu(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.3> : tensor<4x8xf32>
  %c3 = onnx.constant dense<0.6> : tensor<8xf32>
  %c4 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c5 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "MatMul" version 13 (%x, %c2) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Add" version 14 (%t3, %c3) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Relu" version 14 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%t5, %t4) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "MatMul" version 13 (%t6, %c4) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t8 = onnx.node "Add" version 14 (%t7, %c5) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t8 : tensor<?x4xf32>
}
