// RUN: sparse-opt %s --convert-onnx-to-ffn | FileCheck %s

// CHECK-LABEL: @drelu
// CHECK-DAG: %[[G:.+]] = onnx.constant dense<1.000000e-01> : tensor<4x8xf32>
// CHECK-DAG: %[[U:.+]] = onnx.constant dense<3.000000e-01> : tensor<4x8xf32>
// CHECK: ffn.block <relu> %arg0 gate(%[[G]], %{{.+}}) up : <relu>(%[[U]], %{{.+}}) down(%{{.+}}, %{{.+}}) {block_name = "/down"}
// CHECK-NEXT: return
func.func @drelu(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
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
  %t6 = onnx.node "Relu" version 14 (%t4) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "Mul" version 14 (%t5, %t6) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t8 = onnx.node "MatMul" version 13 (%t7, %c4) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t9 = onnx.node "Add" version 14 (%t8, %c5) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t9 : tensor<?x4xf32>
}

// One product for both halves, parted by Split or Slice.
// CHECK-LABEL: @fused_split
// CHECK-DAG: %[[G:.+]] = onnx.constant dense<2.000000e+00> : tensor<4x8xf32>
// CHECK-DAG: %[[U:.+]] = onnx.constant dense<1.000000e+00> : tensor<4x8xf32>
// CHECK-DAG: %[[B:.+]] = onnx.constant dense<2.000000e+00> : tensor<8xf32>
// CHECK: ffn.block <silu> %arg0 gate(%[[G]], %[[B]]) up(%[[U]], %{{.+}})
func.func @fused_split(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<[[1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0],[1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0],[1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0],[1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0]]> : tensor<4x16xf32>
  %c1 = onnx.constant dense<[1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0]> : tensor<16xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x16xf32>) -> tensor<?x16xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %t3:2 = onnx.node "Split" version 18 (%t2) {axis = -1 : i64, num_outputs = 2 : i64} : (tensor<?x16xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>)
  %t4 = onnx.node "Sigmoid" version 13 (%t3#1) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Mul" version 14 (%t4, %t3#1) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%t5, %t3#0) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "MatMul" version 13 (%t6, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t8 = onnx.node "Add" version 14 (%t7, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t8 : tensor<?x4xf32>
}

// CHECK-LABEL: @fused_slice
// CHECK-DAG: %[[G:.+]] = onnx.constant dense<2.000000e+00> : tensor<4x8xf32>
// CHECK-DAG: %[[U:.+]] = onnx.constant dense<1.000000e+00> : tensor<4x8xf32>
// CHECK-DAG: %[[B:.+]] = onnx.constant dense<2.000000e+00> : tensor<8xf32>
// CHECK: ffn.block <silu> %arg0 gate(%[[G]], %[[B]]) up(%[[U]], %{{.+}})
func.func @fused_slice(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<[[1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0],[1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0],[1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0],[1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0]]> : tensor<4x16xf32>
  %c1 = onnx.constant dense<[1.0,1.0,1.0,1.0,1.0,1.0,1.0,1.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0,2.0]> : tensor<16xf32>
  %c2 = onnx.constant dense<0> : tensor<1xi64>
  %c3 = onnx.constant dense<8> : tensor<1xi64>
  %c4 = onnx.constant dense<-1> : tensor<1xi64>
  %c5 = onnx.constant dense<9223372036854775807> : tensor<1xi64>
  %c6 = onnx.constant dense<1> : tensor<1xi64>
  %c7 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c8 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x16xf32>) -> tensor<?x16xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x16xf32>, tensor<16xf32>) -> tensor<?x16xf32>
  %t3 = onnx.node "Slice" version 13 (%t2, %c2, %c3, %c4) : (tensor<?x16xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x8xf32>
  %t4 = onnx.node "Slice" version 13 (%t2, %c3, %c5, %c6) : (tensor<?x16xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x8xf32>
  %t5 = onnx.node "Sigmoid" version 13 (%t4) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%t5, %t4) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "Mul" version 14 (%t6, %t3) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t8 = onnx.node "MatMul" version 13 (%t7, %c7) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t9 = onnx.node "Add" version 14 (%t8, %c8) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t9 : tensor<?x4xf32>
}
