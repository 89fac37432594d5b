// RUN: sparse-opt %s --convert-onnx-to-ffn | FileCheck %s

// Rank 3, biases on the left, nothing in front of the residual is taken.
// CHECK-LABEL: @batched
// CHECK: %[[Y:.+]] = ffn.block <relu> %arg0 up(%{{.+}}, %{{.+}}) down(%{{.+}}, %{{.+}}) {{.*}} -> tensor<?x?x4xf32>
// CHECK: "Add" version 14 (%[[Y]], %arg0)
func.func @batched(%x: tensor<?x?x4xf32> {onnx.dims = ["b", "s", "4"]}) -> tensor<?x?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<1x1x8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x?x4xf32>, tensor<4x8xf32>) -> tensor<?x?x8xf32>
  %t2 = onnx.node "Add" version 14 (%c1, %t1) : (tensor<1x1x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %t3 = onnx.node "Relu" version 14 (%t2) : (tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  %t4 = onnx.node "MatMul" version 13 (%t3, %c2) : (tensor<?x?x8xf32>, tensor<8x4xf32>) -> tensor<?x?x4xf32> loc("/down")
  %t5 = onnx.node "Add" version 14 (%c3, %t4) : (tensor<4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  %t6 = onnx.node "Add" version 14 (%t5, %x) : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %t6 : tensor<?x?x4xf32>
}

// Gemm with either transposition; the transposed weight is made once.
// CHECK-LABEL: @gemm
// CHECK: %[[UP:.+]] = onnx.constant dense<{{\[\[}}1.000000e+00, 1.000000e+00, {{.*}}> : tensor<4x8xf32>
// CHECK: %[[B:.+]] = onnx.constant dense<0.699999988> : tensor<4xf32>
// CHECK: ffn.block <relu> %arg0 up(%[[UP]], %{{.+}}) down(%{{.+}}, %[[B]])
func.func @gemm(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<[[1.0,2.0,3.0,4.0],[1.0,2.0,3.0,4.0],[1.0,2.0,3.0,4.0],[1.0,2.0,3.0,4.0],[1.0,2.0,3.0,4.0],[1.0,2.0,3.0,4.0],[1.0,2.0,3.0,4.0],[1.0,2.0,3.0,4.0]]> : tensor<8x4xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<1x4xf32>
  %t1 = onnx.node "Gemm" version 13 (%x, %c0, %c1) {transB = 1 : i64} : (tensor<?x4xf32>, tensor<8x4xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Relu" version 14 (%t1) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Gemm" version 13 (%t2, %c2, %c3) : (tensor<?x8xf32>, tensor<8x4xf32>, tensor<1x4xf32>) -> tensor<?x4xf32> loc("/down")
  return %t3 : tensor<?x4xf32>
}

// CHECK-LABEL: @no_bias
// CHECK: ffn.block <relu> %arg0 up(%{{[^,]+}}) down(%{{[^,]+}}) {block_name = "ffn.2"}
func.func @no_bias(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Relu" version 14 (%t1) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "MatMul" version 13 (%t2, %c1) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %t3 : tensor<?x4xf32>
}

// Rows flattened around 2-D products: the reshapes go.
// CHECK-LABEL: @flattened
// CHECK-NOT: "Reshape"
// CHECK: ffn.block <relu> %arg0 {{.*}} -> tensor<?x?x4xf32>
// CHECK-NEXT: return
func.func @flattened(%x: tensor<?x?x4xf32> {onnx.dims = ["b", "s", "4"]}) -> tensor<?x?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %flat = onnx.dims ["b*s", "4"] : tensor<2xi64>
  %back = onnx.dims ["b", "s", "4"] : tensor<3xi64>
  %t1 = onnx.node "Reshape" version 14 (%x, %flat) : (tensor<?x?x4xf32>, tensor<2xi64>) -> tensor<?x4xf32>
  %t2 = onnx.node "MatMul" version 13 (%t1, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Add" version 14 (%t2, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Relu" version 14 (%t3) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "MatMul" version 13 (%t4, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t6 = onnx.node "Add" version 14 (%t5, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %t7 = onnx.node "Reshape" version 14 (%t6, %back) : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<?x?x4xf32>
  return %t7 : tensor<?x?x4xf32>
}

// Flattened only on the way in: the result keeps its shape.
// CHECK-LABEL: @half_way_reshape
// CHECK: %[[F:.+]] = onnx.node "Reshape"
// CHECK: ffn.block <relu> %[[F]] {{.*}} -> tensor<?x4xf32>
// CHECK-NEXT: return
func.func @half_way_reshape(%x: tensor<?x?x4xf32> {onnx.dims = ["b", "s", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %c3 = onnx.constant dense<0.7> : tensor<4xf32>
  %flat = onnx.dims ["b*s", "4"] : tensor<2xi64>
  %t1 = onnx.node "Reshape" version 14 (%x, %flat) : (tensor<?x?x4xf32>, tensor<2xi64>) -> tensor<?x4xf32>
  %t2 = onnx.node "MatMul" version 13 (%t1, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Add" version 14 (%t2, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Relu" version 14 (%t3) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "MatMul" version 13 (%t4, %c2) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  %t6 = onnx.node "Add" version 14 (%t5, %c3) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  return %t6 : tensor<?x4xf32>
}

// Half-precision products around a float activation.
// CHECK-LABEL: @casts
// CHECK: ffn.block <gelu> %arg0 {{.*}} : (tensor<?x4xf16>, tensor<4x8xf16>, tensor<8xf16>, tensor<8x4xf16>) -> tensor<?x4xf16>
func.func @casts(%x: tensor<?x4xf16> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf16> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf16>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<0.2> : tensor<8x4xf16>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf16>, tensor<4x8xf16>) -> tensor<?x8xf16>
  %t2 = onnx.node "Cast" version 13 (%t1) {to = 1 : i64} : (tensor<?x8xf16>) -> tensor<?x8xf32>
  %t3 = onnx.node "Add" version 14 (%t2, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Gelu" version 20 (%t3) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Cast" version 13 (%t4) {to = 10 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf16>
  %t6 = onnx.node "MatMul" version 13 (%t5, %c2) : (tensor<?x8xf16>, tensor<8x4xf16>) -> tensor<?x4xf16> loc("/down")
  return %t6 : tensor<?x4xf16>
}

// Factors go into the weights: twice GELU, four times its product.
// CHECK-LABEL: @scaled
// CHECK: %[[W:.+]] = onnx.constant dense<1.600000e+00> : tensor<8x4xf32>
// CHECK: ffn.block <gelu> %arg0 up(%{{.+}}, %{{.+}}) down(%[[W]])
func.func @scaled(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %c0 = onnx.constant dense<0.1> : tensor<4x8xf32>
  %c1 = onnx.constant dense<0.5> : tensor<8xf32>
  %c2 = onnx.constant dense<1.41421354> : tensor<f32>
  %c3 = onnx.constant dense<1.0> : tensor<f32>
  %c4 = onnx.constant dense<0.2> : tensor<8x4xf32>
  %t1 = onnx.node "MatMul" version 13 (%x, %c0) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %t2 = onnx.node "Add" version 14 (%t1, %c1) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %t3 = onnx.node "Div" version 14 (%t2, %c2) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t4 = onnx.node "Erf" version 13 (%t3) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %t5 = onnx.node "Add" version 14 (%t4, %c3) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %t6 = onnx.node "Mul" version 14 (%t2, %t5) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %t7 = onnx.node "com.microsoft":"FusedMatMul" version 1 (%t6, %c4) {alpha = 4.0 : f32} : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  return %t7 : tensor<?x4xf32>
}
