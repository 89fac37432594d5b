// RUN: sparse-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Patches of a vision transformer: strides stand in the map, nothing is padded.
// CHECK: #[[$READ:.+]] = affine_map<(d0, d1, d2, d3, d4, d5, d6, d7) -> (d0, d1, d5, d3 * 4 + d6, d4 * 4 + d7)>
// CHECK-LABEL: func.func @patches
// CHECK-NOT: tensor.insert_slice
// CHECK: linalg.generic {indexing_maps = [#[[$READ]],
// CHECK: arith.mulf
// CHECK: arith.addf
func.func @patches(%x: tensor<?x3x16x16xf32> {onnx.name = "x", onnx.dims = ["n", "3", "16", "16"]}, %w: tensor<8x3x4x4xf32> {onnx.name = "w", onnx.dims = ["8", "3", "4", "4"]}) -> tensor<?x8x4x4xf32> {
  %y = onnx.node "Conv" version 11 (%x, %w) {strides = array<i64: 4, 4>} : (tensor<?x3x16x16xf32>, tensor<8x3x4x4xf32>) -> tensor<?x8x4x4xf32>
  return %y : tensor<?x8x4x4xf32>
}

// -----

// CHECK-LABEL: func.func @padded
// CHECK: tensor.insert_slice %{{.+}} into %{{.+}}[0, 0, 0, 1]
// CHECK: linalg.generic
func.func @padded(%x: tensor<?x4x9xf32> {onnx.name = "x", onnx.dims = ["n", "4", "9"]}, %w: tensor<8x4x3xf32> {onnx.name = "w", onnx.dims = ["8", "4", "3"]}) -> tensor<?x8x9xf32> {
  %y = onnx.node "Conv" version 11 (%x, %w) {pads = array<i64: 1, 1>} : (tensor<?x4x9xf32>, tensor<8x4x3xf32>) -> tensor<?x8x9xf32>
  return %y : tensor<?x8x9xf32>
}

// -----

// Padding is the lowest value, which never is the largest of a window.
// CHECK-LABEL: func.func @max_pool
// CHECK: linalg.fill ins(%{{.+}} : f32)
// CHECK: linalg.generic {{.+}}"reduction"
// CHECK: arith.max{{.+}}f
func.func @max_pool(%x: tensor<?x4x9xf32> {onnx.name = "x", onnx.dims = ["n", "4", "9"]}) -> tensor<?x4x9xf32> {
  %y = onnx.node "MaxPool" version 12 (%x) {kernel_shape = array<i64: 3>, pads = array<i64: 1, 1>} : (tensor<?x4x9xf32>) -> tensor<?x4x9xf32>
  return %y : tensor<?x4x9xf32>
}

// -----

// Sums are divided by how many elements each window holds.
// CHECK-LABEL: func.func @average_pool
// CHECK: linalg.generic {{.+}}"reduction"
// CHECK: arith.addf
// CHECK: linalg.generic {{.+}}"reduction"
// CHECK: arith.addf
// CHECK: arith.divf
func.func @average_pool(%x: tensor<?x4x9xf32> {onnx.name = "x", onnx.dims = ["n", "4", "9"]}) -> tensor<?x4x9xf32> {
  %y = onnx.node "AveragePool" version 19 (%x) {kernel_shape = array<i64: 3>, pads = array<i64: 1, 1>} : (tensor<?x4x9xf32>) -> tensor<?x4x9xf32>
  return %y : tensor<?x4x9xf32>
}
