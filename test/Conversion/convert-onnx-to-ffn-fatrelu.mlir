// FATReLU: what is not above (or not at) a cutoff is zero. However small that
// is, it is no relu.
// RUN: sparse-opt %s --convert-onnx-to-ffn | FileCheck %s

// CHECK-LABEL: @greater
// CHECK: ffn.block <relu> %arg0 up(%{{.+}}) down(%{{.+}}) {block_name = "/down", cutoff = 0.00999999977 : f32}
// CHECK-NEXT: return
func.func @greater(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %up = onnx.constant dense<0.1> : tensor<4x8xf32>
  %down = onnx.constant dense<0.2> : tensor<8x4xf32>
  %t = onnx.constant dense<0.01> : tensor<f32>
  %zero = onnx.constant dense<0.0> : tensor<f32>
  %z = onnx.node "MatMul" version 13 (%x, %up) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %m = onnx.node "Greater" version 13 (%z, %t) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xi1>
  %a = onnx.node "Where" version 16 (%m, %z, %zero) : (tensor<?x8xi1>, tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %y = onnx.node "MatMul" version 13 (%a, %down) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32> loc("/down")
  return %y : tensor<?x4xf32>
}

// The float below is cut off, the number itself not.
// CHECK-LABEL: @greater_or_equal
// CHECK: cutoff = 9.99999883E-6 : f32
func.func @greater_or_equal(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %up = onnx.constant dense<0.1> : tensor<4x8xf32>
  %down = onnx.constant dense<0.2> : tensor<8x4xf32>
  %t = onnx.constant dense<1.00000001e-5> : tensor<f32>
  %zero = onnx.constant dense<0.0> : tensor<f32>
  %z = onnx.node "MatMul" version 13 (%x, %up) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %m = onnx.node "GreaterOrEqual" version 16 (%z, %t) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xi1>
  %a = onnx.node "Where" version 16 (%m, %z, %zero) : (tensor<?x8xi1>, tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %y = onnx.node "MatMul" version 13 (%a, %down) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CHECK-LABEL: @gated_by_a_mask
// CHECK: ffn.block <relu> %arg0 gate(%{{.+}}) up(%{{.+}}) down(%{{.+}}) {block_name = "ffn.2", cutoff = 5.000000e-01 : f32}
func.func @gated_by_a_mask(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %gate = onnx.constant dense<0.1> : tensor<4x8xf32>
  %up = onnx.constant dense<0.3> : tensor<4x8xf32>
  %down = onnx.constant dense<0.2> : tensor<8x4xf32>
  %t = onnx.constant dense<0.5> : tensor<f32>
  %z = onnx.node "MatMul" version 13 (%x, %gate) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %m = onnx.node "Greater" version 13 (%z, %t) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xi1>
  %f = onnx.node "Cast" version 13 (%m) {to = 1 : i64} : (tensor<?x8xi1>) -> tensor<?x8xf32>
  %a = onnx.node "Mul" version 14 (%z, %f) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %u = onnx.node "MatMul" version 13 (%x, %up) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %p = onnx.node "Mul" version 14 (%a, %u) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.node "MatMul" version 13 (%p, %down) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CHECK-LABEL: @thresholded_relu
// CHECK: ffn.block <relu> {{.*}}cutoff = 1.000000e+00 : f32
func.func @thresholded_relu(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %up = onnx.constant dense<0.1> : tensor<4x8xf32>
  %down = onnx.constant dense<0.2> : tensor<8x4xf32>
  %z = onnx.node "MatMul" version 13 (%x, %up) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %a = onnx.node "ThresholdedRelu" version 10 (%z) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %y = onnx.node "MatMul" version 13 (%a, %down) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// Not zero below: no FATReLU, and no relu either.
// CHECK-LABEL: @another_value
// CHECK-NOT: ffn.block
func.func @another_value(%x: tensor<?x4xf32> {onnx.dims = ["b", "4"]}) -> tensor<?x4xf32> {
  %up = onnx.constant dense<0.1> : tensor<4x8xf32>
  %down = onnx.constant dense<0.2> : tensor<8x4xf32>
  %t = onnx.constant dense<0.00001> : tensor<f32>
  %z = onnx.node "MatMul" version 13 (%x, %up) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
  %m = onnx.node "Greater" version 13 (%z, %t) : (tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xi1>
  %a = onnx.node "Where" version 16 (%m, %z, %t) : (tensor<?x8xi1>, tensor<?x8xf32>, tensor<f32>) -> tensor<?x8xf32>
  %y = onnx.node "MatMul" version 13 (%a, %down) : (tensor<?x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
