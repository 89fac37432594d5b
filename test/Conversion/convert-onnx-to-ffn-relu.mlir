// RUN: sparse-opt %s --convert-onnx-to-ffn | FileCheck %s

// CHECK-LABEL: @relu
// CHECK: ffn.block <relu> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @relu(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Relu" version 14 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "MatMul" version 13 (%t3, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t5 = onnx.node "Add" version 14 (%t4, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t5 : tensor<?x4xf32>
}

// CHECK-LABEL: @relu_max
// CHECK: ffn.block <relu> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @relu_max(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.0> : tensor<f32>
  %c3 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c4 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Max" version 13 (%t2, %c2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t4 = onnx.node "MatMul" version 13 (%t3, %c3) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t5 = onnx.node "Add" version 14 (%t4, %c4) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t5 : tensor<?x4xf32>
}

// CHECK-LABEL: @relu2_square
// CHECK: ffn.block <relu2> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @relu2_square(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Relu" version 14 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Mul" version 14 (%t3, %t3) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "MatMul" version 13 (%t4, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t6 = onnx.node "Add" version 14 (%t5, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t6 : tensor<?x4xf32>
}

// CHECK-LABEL: @relu2_power
// CHECK: ffn.block <relu2> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @relu2_power(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<2.0> : tensor<f32>
  %c3 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c4 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Relu" version 14 (%t2) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Pow" version 15 (%t3, %c2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t5 = onnx.node "MatMul" version 13 (%t4, %c3) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t6 = onnx.node "Add" version 14 (%t5, %c4) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t6 : tensor<?x4xf32>
}
