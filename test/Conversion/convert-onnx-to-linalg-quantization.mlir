// RUN: sparse-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Differences of 32-bit values are taken in the float type: they may not fit.
// CHECK-LABEL: func.func @dequantize_per_column
// CHECK: %[[VALUE:.+]] = arith.sitofp %{{.+}} : i32 to f32
// CHECK: %[[ZERO:.+]] = arith.sitofp %{{.+}} : i32 to f32
// CHECK: %[[CENTRED:.+]] = arith.subf %[[VALUE]], %[[ZERO]] : f32
// CHECK: arith.mulf %[[CENTRED]], %{{.+}} : f32
// CHECK-NOT: kernel.check_index
// CHECK: return
func.func @dequantize_per_column(%x: tensor<?x8xi32> {onnx.name = "x", onnx.dims = ["n", "8"]}, %s: tensor<8xf32> {onnx.name = "s", onnx.dims = ["8"]}, %z: tensor<8xi32> {onnx.name = "z", onnx.dims = ["8"]}) -> tensor<?x8xf32> {
  %y = onnx.node "DequantizeLinear" version 21 (%x, %s, %z) {axis = 1 : i64} : (tensor<?x8xi32>, tensor<8xf32>, tensor<8xi32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Rounded to the nearest even, then saturated.
// CHECK-LABEL: func.func @quantize
// CHECK: %[[SCALED:.+]] = arith.divf
// CHECK: %[[ROUNDED:.+]] = math.roundeven %[[SCALED]] : f32
// CHECK: %[[MOVED:.+]] = arith.addf %[[ROUNDED]], %{{.+}} : f32
// CHECK: arith.fptosi
func.func @quantize(%x: tensor<?x8xf32> {onnx.name = "x", onnx.dims = ["n", "8"]}, %s: tensor<f32> {onnx.name = "s", onnx.dims = []}, %z: tensor<i8> {onnx.name = "z", onnx.dims = []}) -> tensor<?x8xi8> {
  %y = onnx.node "QuantizeLinear" version 21 (%x, %s, %z) : (tensor<?x8xf32>, tensor<f32>, tensor<i8>) -> tensor<?x8xi8>
  return %y : tensor<?x8xi8>
}

// -----

// Extremes of all elements give the scale; 0 is always among them.
// CHECK-LABEL: func.func @dynamic
// CHECK: linalg.generic {{.+}}"reduction", "reduction"
// CHECK: arith.min{{.+}}f
// CHECK: linalg.generic {{.+}}"reduction", "reduction"
// CHECK: arith.max{{.+}}f
// CHECK: arith.divf
// CHECK: math.roundeven
func.func @dynamic(%x: tensor<?x8xf32> {onnx.name = "x", onnx.dims = ["n", "8"]}) -> (tensor<?x8xui8>, tensor<f32>, tensor<ui8>) {
  %y:3 = onnx.node "DynamicQuantizeLinear" version 11 (%x) : (tensor<?x8xf32>) -> (tensor<?x8xui8>, tensor<f32>, tensor<ui8>)
  return %y#0, %y#1, %y#2 : tensor<?x8xui8>, tensor<f32>, tensor<ui8>
}

// -----

// Sums of 8-bit values by small weights fit into a float: they are exact.
// CHECK-LABEL: func.func @exact_in_float
// CHECK: arith.constant dense<{{\[\[}}1.000000e+00, -2.000000e+00], [3.000000e+00, 4.000000e+00]]> : tensor<2x2xf32>
// CHECK: arith.uitofp %{{.+}} : i8 to f32
// CHECK: linalg.generic {{.+}}"reduction"
// CHECK: arith.mulf
// CHECK: arith.fptosi %{{.+}} : f32 to i32
func.func @exact_in_float(%x: tensor<?x2xui8> {onnx.name = "x", onnx.dims = ["n", "2"]}) -> tensor<?x2xi32> {
  %w = onnx.constant dense<[[1, -2], [3, 4]]> : tensor<2x2xi8>
  %y = onnx.node "MatMulInteger" version 10 (%x, %w) : (tensor<?x2xui8>, tensor<2x2xi8>) -> tensor<?x2xi32>
  return %y : tensor<?x2xi32>
}

// -----

// 600 * 127 * 255 is above 2^24.
// CHECK-LABEL: func.func @inexact_in_float
// CHECK-NOT: f32
// CHECK: arith.muli
// CHECK: return
func.func @inexact_in_float(%x: tensor<?x600xui8> {onnx.name = "x", onnx.dims = ["n", "600"]}) -> tensor<?x2xi32> {
  %w = onnx.constant dense<127> : tensor<600x2xi8>
  %y = onnx.node "MatMulInteger" version 10 (%x, %w) : (tensor<?x600xui8>, tensor<600x2xi8>) -> tensor<?x2xi32>
  return %y : tensor<?x2xi32>
}
