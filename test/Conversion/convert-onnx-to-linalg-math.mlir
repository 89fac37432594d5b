// RUN: sparse-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Mean, then the mean of squared differences, then one element-wise op.
// CHECK-LABEL: func.func @layer_norm
// CHECK: linalg.generic {{.+}}["parallel", "reduction"]
// CHECK: arith.divf
// CHECK: linalg.generic {{.+}}["parallel", "reduction"]
// CHECK: arith.subf
// CHECK: arith.mulf
// CHECK: math.sqrt
// CHECK: linalg.generic {{.+}}["parallel", "parallel"]} ins(%{{.+}}, %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} :
func.func @layer_norm(%x: tensor<?x8xf32> {onnx.name = "x", onnx.dims = ["n", "8"]}, %s: tensor<8xf32> {onnx.name = "s", onnx.dims = ["8"]}, %b: tensor<8xf32> {onnx.name = "b", onnx.dims = ["8"]}) -> tensor<?x8xf32> {
  %y = onnx.node "LayerNormalization" version 17 (%x, %s, %b) {epsilon = 1.0e-5 : f32} : (tensor<?x8xf32>, tensor<8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// CHECK-LABEL: func.func @softmax_is_kept
// CHECK: linalg.softmax dimension(1)
func.func @softmax_is_kept(%x: tensor<?x8xf32> {onnx.name = "x", onnx.dims = ["n", "8"]}) -> tensor<?x8xf32> {
  %y = onnx.node "Softmax" version 13 (%x) {axis = -1 : i64} : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// CHECK-LABEL: func.func @mean_keeps_a_one
// CHECK: linalg.generic {{.+}}["parallel", "reduction"]
// CHECK: arith.divf
// CHECK: tensor.expand_shape %{{.+}} {{\[\[}}0, 1]]
func.func @mean_keeps_a_one(%x: tensor<?x8xf32> {onnx.name = "x", onnx.dims = ["n", "8"]}) -> tensor<?x1xf32> {
  %a = onnx.constant dense<-1> : tensor<1xi64>
  %y = onnx.node "ReduceMean" version 18 (%x, %a) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  return %y : tensor<?x1xf32>
}

// -----

// Divisors that trap are replaced, then what they should give put in.
// CHECK-LABEL: func.func @integer_division_is_total
// CHECK: %[[ISZERO:.+]] = arith.cmpi eq, %[[D:.+]], %{{.+}} : i32
// CHECK: %[[ISMINUS:.+]] = arith.cmpi eq, %[[D]], %{{.+}} : i32
// CHECK: %[[BAD:.+]] = arith.ori %[[ISZERO]], %[[ISMINUS]]
// CHECK: %[[SAFE:.+]] = arith.select %[[BAD]], %{{.+}}, %[[D]]
// CHECK: arith.divsi %{{.+}}, %[[SAFE]]
func.func @integer_division_is_total(%x: tensor<4xi32> {onnx.name = "x", onnx.dims = ["4"]}, %d: tensor<4xi32> {onnx.name = "d", onnx.dims = ["4"]}) -> tensor<4xi32> {
  %y = onnx.node "Div" version 14 (%x, %d) : (tensor<4xi32>, tensor<4xi32>) -> tensor<4xi32>
  return %y : tensor<4xi32>
}

// -----

// CHECK-LABEL: func.func @float_to_integer_saturates
// CHECK: arith.cmpf uno
// CHECK: arith.maximumf
// CHECK: arith.minimumf
// CHECK: arith.fptosi %{{.+}} : f32 to i64
// CHECK: arith.select
func.func @float_to_integer_saturates(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}) -> tensor<4xi64> {
  %y = onnx.node "Cast" version 13 (%x) {to = 7 : i64} : (tensor<4xf32>) -> tensor<4xi64>
  return %y : tensor<4xi64>
}

// -----

// CHECK-LABEL: func.func @square_is_a_product
// CHECK-NOT: math.powf
// CHECK: arith.mulf
func.func @square_is_a_product(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}) -> tensor<4xf32> {
  %two = onnx.constant dense<2.0> : tensor<f32>
  %y = onnx.node "Pow" version 15 (%x, %two) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// CHECK-LABEL: func.func @einsum
// CHECK: linalg.generic {{.+}} iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
func.func @einsum(%q: tensor<2x3x4x5xf32> {onnx.name = "q", onnx.dims = ["2", "3", "4", "5"]}, %k: tensor<2x3x4x5xf32> {onnx.name = "k", onnx.dims = ["2", "3", "4", "5"]}) -> tensor<2x4x3x3xf32> {
  %y = onnx.node "Einsum" version 12 (%q, %k) {equation = "bmhd,bnhd->bhmn"} : (tensor<2x3x4x5xf32>, tensor<2x3x4x5xf32>) -> tensor<2x4x3x3xf32>
  return %y : tensor<2x4x3x3xf32>
}

// -----

// f16 is computed in f32 and comes back for its bits.
// CHECK-LABEL: func.func @bits
// CHECK: %[[HALF:.+]] = arith.truncf %{{.+}} : f32 to f16
// CHECK: arith.bitcast %[[HALF]] : f16 to i16
func.func @bits(%x: tensor<4xf16> {onnx.name = "x", onnx.dims = ["4"]}) -> tensor<4xi16> {
  %y = onnx.node "BitCast" version 26 (%x) {to = 5 : i64} : (tensor<4xf16>) -> tensor<4xi16>
  return %y : tensor<4xi16>
}
