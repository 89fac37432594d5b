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

// -----

// How a mask is read: indices that come from sizes are checked as sizes.
// CHECK-LABEL: func.func @gather_nd_by_range
// CHECK-NOT: kernel.check_index
// CHECK: %[[FITS:.+]] = arith.cmpi sle, %[[NEEDED:.+]], %[[GIVEN:.+]] : index
// CHECK: kernel.check_sizes %[[NEEDED]], %[[GIVEN]] when %[[FITS]] "node '/read' (GatherND): index out of range of input 'mask': past must be at most total"
// CHECK-NOT: kernel.check_
func.func @gather_nd_by_range(%mask: tensor<?x?xf32> {onnx.name = "mask", onnx.dims = ["b", "total"]}, %past: tensor<?xf32> {onnx.name = "past", onnx.dims = ["past"]}) -> tensor<?x?xf32> {
  %zero = onnx.constant dense<0> : tensor<i64>
  %one = onnx.constant dense<1> : tensor<i64>
  %axis = onnx.constant dense<-1> : tensor<1xi64>
  %front = onnx.constant dense<1> : tensor<1xi64>
  %rows = onnx.dims ["b"] : tensor<i64>
  %columns = onnx.dims ["past"] : tensor<i64>
  %both = onnx.dims ["b", "past"] : tensor<2xi64>
  %r = onnx.node "Range" version 11 (%zero, %rows, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %c = onnx.node "Range" version 11 (%zero, %columns, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %u = onnx.node "Unsqueeze" version 13 (%r, %front) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %i = onnx.node "Expand" version 13 (%u, %both) : (tensor<?x1xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %j = onnx.node "Expand" version 13 (%c, %both) : (tensor<?xi64>, tensor<2xi64>) -> tensor<?x?xi64>
  %iu = onnx.node "Unsqueeze" version 13 (%i, %axis) : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x?x1xi64>
  %ju = onnx.node "Unsqueeze" version 13 (%j, %axis) : (tensor<?x?xi64>, tensor<1xi64>) -> tensor<?x?x1xi64>
  %ij = onnx.node "Concat" version 13 (%iu, %ju) {axis = -1 : i64} : (tensor<?x?x1xi64>, tensor<?x?x1xi64>) -> tensor<?x?x2xi64>
  %y = onnx.node "GatherND" version 13 (%mask, %ij) : (tensor<?x?xf32>, tensor<?x?x2xi64>) -> tensor<?x?xf32> loc("/read")
  return %y : tensor<?x?xf32>
}

// -----

// The same where they must fit: i < n in a tensor of n + 1 rows.
// CHECK-LABEL: func.func @gather_by_range_inside
// CHECK-NOT: kernel.check_
func.func @gather_by_range_inside(%x: tensor<?xf32> {onnx.name = "x", onnx.dims = ["n"]}) -> tensor<?xf32> {
  %zero = onnx.constant dense<0> : tensor<i64>
  %one = onnx.constant dense<1> : tensor<i64>
  %n = onnx.dims ["n"] : tensor<i64>
  %more = onnx.constant dense<0.0> : tensor<1xf32>
  %r = onnx.node "Range" version 11 (%zero, %n, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %longer = onnx.node "Concat" version 13 (%x, %more) {axis = 0 : i64} : (tensor<?xf32>, tensor<1xf32>) -> tensor<?xf32>
  %y = onnx.node "Gather" version 13 (%longer, %r) {axis = 0 : i64} : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
