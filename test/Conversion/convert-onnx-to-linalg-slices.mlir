// RUN: sparse-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// A bound that lies inside for every input is a slice.
// CHECK-LABEL: func.func @inside
// CHECK: tensor.extract_slice %{{.+}}[0, 2] [%{{.+}}, 3] [1, 2]
func.func @inside(%x: tensor<?x8xf32> {onnx.name = "x", onnx.dims = ["n", "8"]}) -> tensor<?x3xf32> {
  %start = onnx.constant dense<2> : tensor<1xi64>
  %end = onnx.constant dense<9223372036854775807> : tensor<1xi64>
  %axis = onnx.constant dense<-1> : tensor<1xi64>
  %step = onnx.constant dense<2> : tensor<1xi64>
  %y = onnx.node "Slice" version 13 (%x, %start, %end, %axis, %step) : (tensor<?x8xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// The first n of 512 positions, where n is an input's: reads stay inside and
// the assumption is checked.
// CHECK-LABEL: func.func @positions
// CHECK-DAG: %[[N:.+]] = tensor.dim
// CHECK: kernel.check_sizes %{{.+}}, %{{.+}} when %{{.+}} "{{.+}}: n must be at most 512"
// CHECK: tensor.empty(%[[N]]) : tensor<?xf32>
// CHECK: arith.minsi
// CHECK: tensor.extract %{{.+}} : tensor<512xf32>
func.func @positions(%x: tensor<?xf32> {onnx.name = "x", onnx.dims = ["n"]}, %table: tensor<512xf32> {onnx.name = "t", onnx.dims = ["512"]}) -> tensor<?xf32> {
  %start = onnx.constant dense<0> : tensor<1xi64>
  %end = onnx.dims ["n"] : tensor<1xi64>
  %p = onnx.node "Slice" version 13 (%table, %start, %end) : (tensor<512xf32>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xf32>
  %y = onnx.node "Add" version 14 (%x, %p) : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// CHECK-LABEL: func.func @backwards
// CHECK-NOT: tensor.extract_slice
// CHECK: tensor.extract %{{.+}}[%{{.+}}] : tensor<4xf32>
func.func @backwards(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}) -> tensor<4xf32> {
  %start = onnx.constant dense<-1> : tensor<1xi64>
  %end = onnx.constant dense<-9223372036854775807> : tensor<1xi64>
  %axis = onnx.constant dense<0> : tensor<1xi64>
  %y = onnx.node "Slice" version 13 (%x, %start, %end, %axis, %start) : (tensor<4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// CHECK-LABEL: func.func @concat
// CHECK: %[[INIT:.+]] = tensor.empty(%{{.+}}) : tensor<?x5xf32>
// CHECK: %[[FIRST:.+]] = tensor.insert_slice %{{.+}} into %[[INIT]][0, 0]
// CHECK: tensor.insert_slice %{{.+}} into %[[FIRST]][0, 2]
func.func @concat(%x: tensor<?x2xf32> {onnx.name = "x", onnx.dims = ["n", "2"]}, %y: tensor<?x3xf32> {onnx.name = "y", onnx.dims = ["n", "3"]}) -> tensor<?x5xf32> {
  %z = onnx.node "Concat" version 13 (%x, %y) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<?x3xf32>) -> tensor<?x5xf32>
  return %z : tensor<?x5xf32>
}

// -----

// CHECK-LABEL: func.func @split_of_three
// CHECK: tensor.extract_slice %{{.+}}[0] [3] [1]
// CHECK: tensor.extract_slice %{{.+}}[6] [1] [1]
func.func @split_of_three(%x: tensor<7xf32> {onnx.name = "x", onnx.dims = ["7"]}) -> (tensor<3xf32>, tensor<1xf32>) {
  %y:3 = onnx.node "Split" version 18 (%x) {num_outputs = 3 : i64} : (tensor<7xf32>) -> (tensor<3xf32>, tensor<3xf32>, tensor<1xf32>)
  return %y#0, %y#2 : tensor<3xf32>, tensor<1xf32>
}

// -----

// x[-n:] with n of at least 1, which is checked, is a slice.
// CHECK-LABEL: func.func @last_rows
// CHECK: kernel.check_sizes {{.+}} "node '/Slice' (Slice): n must be at least 1"
// CHECK: tensor.extract_slice
func.func @last_rows(%x: tensor<?x3xf32> {onnx.name = "x", onnx.dims = ["m+n", "3"]}, %p: tensor<?x?xf32> {onnx.name = "p", onnx.dims = ["m", "n"]}) -> tensor<?x3xf32> {
  %axis = onnx.constant dense<0> : tensor<1xi64>
  %start = onnx.dims ["-n"] : tensor<1xi64>
  %end = onnx.constant dense<9223372036854775807> : tensor<1xi64>
  %y = onnx.node "Slice" version 13 (%x, %start, %end, %axis) : (tensor<?x3xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x3xf32> loc("/Slice")
  return %y : tensor<?x3xf32>
}
