// RUN: sparse-opt %s --onnx-fold-constants --split-input-file | FileCheck %s

// Weights stored as int8: cast, then scaled per column.
// CHECK-LABEL: @int8_weight
// CHECK-NEXT: %[[W:.+]] = onnx.constant dense<{{\[\[}}5.000000e-01, -4.000000e+00], [1.500000e+00, 8.000000e+00]]> : tensor<2x2xf32>
// CHECK-NEXT: onnx.node "MatMul" version 13 (%arg0, %[[W]])
func.func @int8_weight(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %q = onnx.constant dense<[[1, -2], [3, 4]]> : tensor<2x2xi8>
  %scale = onnx.constant dense<[[0.5, 2.0]]> : tensor<1x2xf32>
  %f = onnx.node "Cast" version 13 (%q) {to = 1 : i64} : (tensor<2x2xi8>) -> tensor<2x2xf32>
  %w = onnx.node "Mul" version 14 (%f, %scale) : (tensor<2x2xf32>, tensor<1x2xf32>) -> tensor<2x2xf32>
  %y = onnx.node "MatMul" version 13 (%x, %w) : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  return %y : tensor<1x2xf32>
}

// -----

// CHECK-LABEL: @dequantize
// CHECK-DAG: onnx.constant dense<{{\[\[}}0.000000e+00, 5.000000e-01], [4.000000e+00, 6.000000e+00]]> : tensor<2x2xf32>
// CHECK-DAG: onnx.constant dense<{{\[}}-2.560000e+02, 2.540000e+02]> : tensor<2xf16>
func.func @dequantize() -> (tensor<2x2xf32>, tensor<2xf16>) {
  %q = onnx.constant dense<[[1, 2], [3, 4]]> : tensor<2x2xi8>
  %scale = onnx.constant dense<[0.5, 2.0]> : tensor<2xf32>
  %zero = onnx.constant dense<1> : tensor<2xi8>
  %a = onnx.node "DequantizeLinear" version 13 (%q, %scale, %zero) {axis = 0 : i64} : (tensor<2x2xi8>, tensor<2xf32>, tensor<2xi8>) -> tensor<2x2xf32>
  %u = onnx.constant dense<[0, 255]> : tensor<2xui8>
  %s = onnx.constant dense<2.0> : tensor<f16>
  %z = onnx.constant dense<128> : tensor<ui8>
  %b = onnx.node "DequantizeLinear" version 19 (%u, %s, %z) : (tensor<2xui8>, tensor<f16>, tensor<ui8>) -> tensor<2xf16>
  return %a, %b : tensor<2x2xf32>, tensor<2xf16>
}

// -----

// CHECK-LABEL: @layout
// CHECK-DAG: onnx.constant dense<{{\[\[}}0, 3], [1, 4], [2, 5]]> : tensor<3x2xi32>
// CHECK-DAG: onnx.constant dense<{{\[\[}}0, 1, 2, 5], [3, 4, 5, 2]]> : tensor<2x4xi32>
// CHECK-DAG: onnx.constant dense<{{\[\[}}5, 4], [2, 1]]> : tensor<2x2xi32>
// CHECK-DAG: onnx.constant dense<{{\[\[}}2, 0], [5, 3]]> : tensor<2x2xi32>
// CHECK-DAG: onnx.constant dense<{{\[\[}}1], [4]]> : tensor<2x1xi32>
// CHECK-DAG: onnx.constant dense<{{\[\[}}0, 1, 2], [0, 4, 5]]> : tensor<2x3xi32>
// CHECK-DAG: onnx.constant dense<{{\[\[}}0, 1, 2, 0, 1, 2], [3, 4, 5, 3, 4, 5]]> : tensor<2x6xi32>
// CHECK-NOT: onnx.node
func.func @layout() -> (tensor<3x2xi32>, tensor<2x4xi32>, tensor<2x2xi32>, tensor<2x2xi32>, tensor<2x1xi32>, tensor<2x3xi32>, tensor<2x6xi32>) {
  %x = onnx.constant dense<[[0, 1, 2], [3, 4, 5]]> : tensor<2x3xi32>
  %c = onnx.constant dense<[[5], [2]]> : tensor<2x1xi32>
  %t = onnx.node "Transpose" version 13 (%x) : (tensor<2x3xi32>) -> tensor<3x2xi32>
  %j = onnx.node "Concat" version 13 (%x, %c) {axis = -1 : i64} : (tensor<2x3xi32>, tensor<2x1xi32>) -> tensor<2x4xi32>
  %minus = onnx.constant dense<-1> : tensor<1xi64>
  %zero = onnx.constant dense<0> : tensor<1xi64>
  %two = onnx.constant dense<2> : tensor<1xi64>
  %both = onnx.constant dense<[-1, -1]> : tensor<2xi64>
  %ends = onnx.constant dense<[-9223372036854775808, 0]> : tensor<2xi64>
  %axes = onnx.constant dense<[0, 1]> : tensor<2xi64>
  %s = onnx.node "Slice" version 13 (%x, %both, %ends, %axes, %both) : (tensor<2x3xi32>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) -> tensor<2x2xi32>
  %i = onnx.constant dense<[-1, 0]> : tensor<2xi64>
  %g = onnx.node "Gather" version 13 (%x, %i) {axis = 1 : i64} : (tensor<2x3xi32>, tensor<2xi64>) -> tensor<2x2xi32>
  %p:3 = onnx.node "Split" version 18 (%x) {axis = 1 : i64, num_outputs = 3 : i64} : (tensor<2x3xi32>) -> (tensor<2x1xi32>, tensor<2x1xi32>, tensor<2x1xi32>)
  %u = onnx.node "Trilu" version 14 (%x) : (tensor<2x3xi32>) -> tensor<2x3xi32>
  %n = onnx.constant dense<[1, 2]> : tensor<2xi64>
  %r = onnx.node "Tile" version 13 (%x, %n) : (tensor<2x3xi32>, tensor<2xi64>) -> tensor<2x6xi32>
  return %t, %j, %s, %g, %p#1, %u, %r : tensor<3x2xi32>, tensor<2x4xi32>, tensor<2x2xi32>, tensor<2x2xi32>, tensor<2x1xi32>, tensor<2x3xi32>, tensor<2x6xi32>
}

// -----

// CHECK-LABEL: @arithmetic
// CHECK-DAG: onnx.constant dense<{{\[}}2.500000e-01, 1.000000e+00]> : tensor<2xf32>
// CHECK-DAG: onnx.constant dense<{{\[}}true, false]> : tensor<2xi1>
// CHECK-DAG: onnx.constant dense<{{\[}}-1, 7, 15]> : tensor<3xi64>
// CHECK-DAG: onnx.constant dense<{{\[}}127, -128, 0]> : tensor<3xi8>
// CHECK-NOT: onnx.node
func.func @arithmetic() -> (tensor<2xf32>, tensor<2xi1>, tensor<3xi64>, tensor<3xi8>) {
  %x = onnx.constant dense<[4.0, 1.0]> : tensor<2xf32>
  %one = onnx.constant dense<1.0> : tensor<f32>
  %two = onnx.constant dense<2.0> : tensor<f32>
  %a = onnx.node "Sqrt" version 13 (%x) : (tensor<2xf32>) -> tensor<2xf32>
  %b = onnx.node "Pow" version 15 (%a, %two) : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  %c = onnx.node "Div" version 14 (%one, %b) : (tensor<f32>, tensor<2xf32>) -> tensor<2xf32>
  %d = onnx.node "Less" version 13 (%c, %one) : (tensor<2xf32>, tensor<f32>) -> tensor<2xi1>
  %start = onnx.constant dense<-1> : tensor<i64>
  %end = onnx.constant dense<16> : tensor<i64>
  %step = onnx.constant dense<8> : tensor<i64>
  %r = onnx.node "Range" version 11 (%start, %end, %step) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<3xi64>
  %wide = onnx.constant dense<[1.0e10, -1.0e10, 0x7FC00000]> : tensor<3xf32>
  %narrow = onnx.node "Cast" version 13 (%wide) {to = 3 : i64} : (tensor<3xf32>) -> tensor<3xi8>
  return %c, %d, %r, %narrow : tensor<2xf32>, tensor<2xi1>, tensor<3xi64>, tensor<3xi8>
}

// -----

// Equal nodes are evaluated once.
// CHECK-LABEL: @shared
// CHECK-NEXT: %[[C:.+]] = onnx.constant dense<{{\[}}1.000000e+00, 2.000000e+00]> : tensor<2xf32>
// CHECK-NEXT: return %[[C]], %[[C]]
func.func @shared() -> (tensor<2xf32>, tensor<2xf32>) {
  %q = onnx.constant dense<[1, 2]> : tensor<2xi8>
  %a = onnx.node "Cast" version 13 (%q) {to = 1 : i64} : (tensor<2xi8>) -> tensor<2xf32>
  %b = onnx.node "Cast" version 13 (%q) {to = 1 : i64} : (tensor<2xi8>) -> tensor<2xf32>
  return %a, %b : tensor<2xf32>, tensor<2xf32>
}

// -----

// What would grow to megabytes, divides by zero or reads out of bounds stays.
// CHECK-LABEL: @left_alone
// CHECK-DAG: onnx.node "Expand"
// CHECK-DAG: onnx.node "ConstantOfShape"
// CHECK-DAG: onnx.node "Div"
// CHECK-DAG: onnx.node "Gather"
func.func @left_alone() -> (tensor<1024x1024xf32>, tensor<1024x1024xf32>, tensor<2xi32>, tensor<i32>) {
  %one = onnx.constant dense<1.0> : tensor<f32>
  %shape = onnx.constant dense<1024> : tensor<2xi64>
  %a = onnx.node "Expand" version 13 (%one, %shape) : (tensor<f32>, tensor<2xi64>) -> tensor<1024x1024xf32>
  %b = onnx.node "ConstantOfShape" version 9 (%shape) : (tensor<2xi64>) -> tensor<1024x1024xf32>
  %x = onnx.constant dense<[1, 2]> : tensor<2xi32>
  %zero = onnx.constant dense<0> : tensor<i32>
  %c = onnx.node "Div" version 14 (%x, %zero) : (tensor<2xi32>, tensor<i32>) -> tensor<2xi32>
  %far = onnx.constant dense<2> : tensor<i64>
  %d = onnx.node "Gather" version 13 (%x, %far) : (tensor<2xi32>, tensor<i64>) -> tensor<i32>
  return %a, %b, %c, %d : tensor<1024x1024xf32>, tensor<1024x1024xf32>, tensor<2xi32>, tensor<i32>
}

// -----

// Two codes a byte, the lower first; 8 stands for zero where nothing else does.
// CHECK-LABEL: @packed_weights
// CHECK-NOT: MatMulNBits
// CHECK: %[[W:.+]] = onnx.constant dense<{{\[\[}}-4.000000e+00, 3.500000e+00], [-3.500000e+00, 0.000000e+00]]> : tensor<2x2xf32>
// CHECK: onnx.node "MatMul" version 13 (%arg0, %[[W]])
func.func @packed_weights(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %q = onnx.constant dense<[[[0x10, 0, 0, 0, 0, 0, 0, 0]], [[0x8F, 0, 0, 0, 0, 0, 0, 0]]]> : tensor<2x1x8xui8>
  %s = onnx.constant dense<0.5> : tensor<2xf32>
  %y = onnx.node "com.microsoft":"MatMulNBits" version 1 (%x, %q, %s) {K = 2 : i64, N = 2 : i64, bits = 4 : i64, block_size = 16 : i64} : (tensor<?x2xf32>, tensor<2x1x8xui8>, tensor<2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// Weights that aren't all there stay for the next stage to refuse.
// CHECK-LABEL: @packed_weights_missing
// CHECK: "MatMulNBits"
func.func @packed_weights_missing(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %q = onnx.constant dense<[[[0, 1, 2, 3, 4, 5, 6, 7]]]> : tensor<1x1x8xui8>
  %s = onnx.constant dense<0.5> : tensor<2xf32>
  %y = onnx.node "com.microsoft":"MatMulNBits" version 1 (%x, %q, %s) {K = 2 : i64, N = 2 : i64, bits = 4 : i64, block_size = 16 : i64} : (tensor<?x2xf32>, tensor<1x1x8xui8>, tensor<2xf32>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}
