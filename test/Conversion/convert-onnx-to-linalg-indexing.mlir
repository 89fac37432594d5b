// RUN: sparse-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// Indices are checked once as a tensor and clamped where they are used.
// CHECK-LABEL: func.func @embedding
// CHECK: kernel.check_index %{{.+}} below %{{.+}} "node '/embed' (Gather): index out of range in input 'ids'" : tensor<?x?xi64>
// CHECK: linalg.generic {{.+}} ins(%{{.+}} : tensor<?x?xi64>) outs(%{{.+}} : tensor<?x?x4xf32>)
// CHECK: arith.minsi
// CHECK: arith.maxsi
// CHECK: tensor.extract %{{.+}} : tensor<100x4xf32>
func.func @embedding(%ids: tensor<?x?xi64> {onnx.name = "ids", onnx.dims = ["b", "s"]}, %table: tensor<100x4xf32> {onnx.name = "t", onnx.dims = ["100", "4"]}) -> tensor<?x?x4xf32> {
  %y = onnx.node "Gather" version 13 (%table, %ids) {axis = 0 : i64} : (tensor<100x4xf32>, tensor<?x?xi64>) -> tensor<?x?x4xf32> loc("/embed")
  return %y : tensor<?x?x4xf32>
}

// -----

// A constant index of a known size is a slice and needs no check.
// CHECK-LABEL: func.func @pick_last
// CHECK-NOT: kernel.check_index
// CHECK: tensor.extract_slice %{{.+}}[0, 2] [%{{.+}}, 1] [1, 1]
// CHECK: tensor.collapse_shape
func.func @pick_last(%x: tensor<?x3xf32> {onnx.name = "x", onnx.dims = ["n", "3"]}) -> tensor<?xf32> {
  %i = onnx.constant dense<-1> : tensor<i64>
  %y = onnx.node "Gather" version 13 (%x, %i) {axis = 1 : i64} : (tensor<?x3xf32>, tensor<i64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// CHECK-LABEL: func.func @gather_nd_checks_each_column
// CHECK: kernel.check_index {{.+}} : tensor<?x1xi64>
// CHECK: kernel.check_index {{.+}} : tensor<?x1xi64>
// CHECK: tensor.extract %{{.+}} : tensor<5x7xf32>
func.func @gather_nd_checks_each_column(%x: tensor<5x7xf32> {onnx.name = "x", onnx.dims = ["5", "7"]}, %i: tensor<?x2xi64> {onnx.name = "i", onnx.dims = ["n", "2"]}) -> tensor<?xf32> {
  %y = onnx.node "GatherND" version 13 (%x, %i) : (tensor<5x7xf32>, tensor<?x2xi64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// Updates are applied in order.
// CHECK-LABEL: func.func @scatter_elements
// CHECK: kernel.check_index
// CHECK: scf.for {{.+}} iter_args
// CHECK: arith.addf
// CHECK: tensor.insert
func.func @scatter_elements(%x: tensor<5xf32> {onnx.name = "x", onnx.dims = ["5"]}, %i: tensor<?xi64> {onnx.name = "i", onnx.dims = ["n"]}, %u: tensor<?xf32> {onnx.name = "u", onnx.dims = ["n"]}) -> tensor<5xf32> {
  %y = onnx.node "ScatterElements" version 18 (%x, %i, %u) {reduction = "add"} : (tensor<5xf32>, tensor<?xi64>, tensor<?xf32>) -> tensor<5xf32>
  return %y : tensor<5xf32>
}
