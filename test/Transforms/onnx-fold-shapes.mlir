// RUN: sparse-opt %s --onnx-fold-shapes --split-input-file --verify-diagnostics | FileCheck %s

// A chain of Shape, Gather, Concat in front of a Reshape becomes its sizes.
// CHECK-LABEL: @split_heads
// CHECK-SAME: -> (tensor<?x12x?x32xf32> {onnx.dims = ["batch", "12", "sequence", "32"]
// CHECK: %[[SHAPE:.+]] = onnx.dims ["batch", "sequence", "12", "32"] : tensor<4xi64>
// CHECK-NOT: "Shape"
// CHECK: "Reshape" version 14 (%{{.+}}, %[[SHAPE]]) {allowzero = 1 : i64} : {{.*}} -> tensor<?x?x12x32xf32>
func.func @split_heads(%x: tensor<?x?x384xf32> {onnx.dims = ["batch", "sequence", "384"]}) -> (tensor<?x?x?x?xf32> {onnx.dims = ["a", "b", "c", "d"]}) {
  %zero = onnx.constant dense<0> : tensor<i64>
  %axis = onnx.constant dense<0> : tensor<1xi64>
  %heads = onnx.constant dense<[-1, 12, 32]> : tensor<3xi64>
  %s = onnx.node "Shape" version 15 (%x) : (tensor<?x?x384xf32>) -> tensor<3xi64>
  %b = onnx.node "Gather" version 13 (%s, %zero) {axis = 0 : i64} : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %u = onnx.node "Unsqueeze" version 13 (%b, %axis) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %c = onnx.node "Concat" version 13 (%u, %heads) {axis = 0 : i64} : (tensor<1xi64>, tensor<3xi64>) -> tensor<4xi64>
  %r = onnx.node "Reshape" version 14 (%x, %c) : (tensor<?x?x384xf32>, tensor<4xi64>) -> tensor<?x?x?x?xf32>
  %t = onnx.node "Transpose" version 13 (%r) {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  return %t : tensor<?x?x?x?xf32>
}

// -----

// The exporter's Expand: where(shape == -1, 1, shape) is shape.
// CHECK-LABEL: @expand_idiom
// CHECK: %[[SHAPE:.+]] = onnx.dims ["batch", "8"] : tensor<2xi64>
// CHECK-NOT: "Where"
// CHECK: "Expand" version 13 (%{{.+}}, %[[SHAPE]])
func.func @expand_idiom(%x: tensor<?x8xf32> {onnx.dims = ["batch", "8"]}, %v: tensor<1x8xf32> {onnx.dims = ["1", "8"]}) -> tensor<?x8xf32> {
  %minus = onnx.constant dense<-1> : tensor<i64>
  %s = onnx.node "Shape" version 15 (%x) : (tensor<?x8xf32>) -> tensor<2xi64>
  %n = onnx.node "Shape" version 15 (%s) : (tensor<2xi64>) -> tensor<1xi64>
  %ones = onnx.node "ConstantOfShape" version 9 (%n) {value = dense<1> : tensor<1xi64>} : (tensor<1xi64>) -> tensor<2xi64>
  %m = onnx.node "Mul" version 14 (%ones, %minus) : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
  %e = onnx.node "Equal" version 13 (%s, %m) : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi1>
  %w = onnx.node "Where" version 9 (%e, %ones, %s) : (tensor<2xi1>, tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %y = onnx.node "Expand" version 13 (%v, %w) : (tensor<1x8xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// A table longer than the input is cut to it; that it is long enough is left
// to check when the model runs.
// CHECK-LABEL: @positions
// CHECK-SAME: onnx.size_checks = {{\[}}["sequence", "min(512,sequence)", "/Add"]]
// CHECK: onnx.node "Slice"
// CHECK-SAME: -> tensor<1x?xi64>
func.func @positions(%ids: tensor<?x?xi64> {onnx.dims = ["batch", "sequence"]}, %table: tensor<1x512xi64> {onnx.dims = ["1", "512"]}) -> tensor<?x?xi64> {
  %zero = onnx.constant dense<0> : tensor<1xi64>
  %one = onnx.constant dense<1> : tensor<1xi64>
  %s = onnx.node "Shape" version 15 (%ids) {start = 1 : i64, end = 2 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %p = onnx.node "Slice" version 13 (%table, %zero, %s, %one, %one) : (tensor<1x512xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x?xi64>
  %y = onnx.node "Add" version 14 (%ids, %p) : (tensor<?x?xi64>, tensor<1x?xi64>) -> tensor<?x?xi64> loc("/Add")
  return %y : tensor<?x?xi64>
}

// -----

// Inputs that are added have the same sizes.
// CHECK-LABEL: @equal_sizes
// CHECK-SAME: %{{.+}}: tensor<?x?xf32> {onnx.dims = ["batch", "sequence"]}, %{{.+}}: tensor<?x?xf32> {onnx.dims = ["batch", "sequence"]}
// expected-remark@+1 {{size `mask_dim_1` of an input is taken to be "sequence"}}
func.func @equal_sizes(%x: tensor<?x?xf32> {onnx.dims = ["batch", "sequence"]}, %mask: tensor<?x?xf32> {onnx.dims = ["batch", "mask_dim_1"]}) -> tensor<?x?xf32> {
  %y = onnx.node "Add" version 14 (%x, %mask) : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// Joining two dimensions, transposing and parting them again is a transpose.
// CHECK-LABEL: @joined_transpose
// CHECK: %[[Y:.+]] = onnx.node "Transpose" version 13 (%arg0) {perm = array<i64: 0, 1, 3, 2>}
// CHECK-NEXT: return %[[Y]]
func.func @joined_transpose(%x: tensor<?x12x?x32xf32> {onnx.dims = ["b", "12", "s", "32"]}) -> tensor<?x12x32x?xf32> {
  %three = onnx.dims ["-1", "s", "32"] : tensor<3xi64>
  %four = onnx.dims ["b", "12", "32", "s"] : tensor<4xi64>
  %r = onnx.node "Reshape" version 14 (%x, %three) : (tensor<?x12x?x32xf32>, tensor<3xi64>) -> tensor<?x?x32xf32>
  %t = onnx.node "Transpose" version 13 (%r) {perm = array<i64: 0, 2, 1>} : (tensor<?x?x32xf32>) -> tensor<?x32x?xf32>
  %y = onnx.node "Reshape" version 14 (%t, %four) : (tensor<?x32x?xf32>, tensor<4xi64>) -> tensor<?x12x32x?xf32>
  return %y : tensor<?x12x32x?xf32>
}

// -----

// CHECK-LABEL: @copies
// CHECK-NEXT: return %arg0
func.func @copies(%x: tensor<?x8xf32> {onnx.dims = ["b", "8"]}) -> tensor<?x8xf32> {
  %shape = onnx.constant dense<[0, 8]> : tensor<2xi64>
  %one = onnx.constant dense<1.0> : tensor<f32>
  %a = onnx.node "Identity" version 16 (%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %b = onnx.node "Reshape" version 14 (%a, %shape) : (tensor<?x8xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %c = onnx.node "Cast" version 13 (%b) {to = 1 : i64} : (tensor<?x?xf32>) -> tensor<?x?xf32>
  %d = onnx.node "Transpose" version 13 (%c) {perm = array<i64: 0, 1>} : (tensor<?x?xf32>) -> tensor<?x?xf32>
  %e:2 = onnx.node "Dropout" version 13 (%d) : (tensor<?x?xf32>) -> (tensor<?x?xf32>, tensor<?x?xi1>)
  %f = onnx.node "Mul" version 14 (%e#0, %one) : (tensor<?x?xf32>, tensor<f32>) -> tensor<?x8xf32>
  return %f : tensor<?x8xf32>
}

// -----

// What looks like a copy but isn't stays.
// CHECK-LABEL: @no_copies
// CHECK: "Slice"
// CHECK: "Cast"
// CHECK: "Range"
// CHECK: "Mul"
func.func @no_copies(%x: tensor<4xf32> {onnx.dims = ["4"]}, %ids: tensor<?xi64> {onnx.dims = ["s"]}) -> (tensor<4xi32>, tensor<?xi64>) {
  %last = onnx.constant dense<-1> : tensor<1xi64>
  %first = onnx.constant dense<-5> : tensor<1xi64>
  %axis = onnx.constant dense<0> : tensor<1xi64>
  %zero = onnx.constant dense<0> : tensor<i64>
  %one = onnx.constant dense<1> : tensor<i64>
  %reversed = onnx.node "Slice" version 13 (%x, %last, %first, %axis, %last) : (tensor<4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xf32>
  %cast = onnx.node "Cast" version 13 (%reversed) {to = 6 : i64} : (tensor<4xf32>) -> tensor<4xi32>
  %size = onnx.node "Size" version 13 (%ids) : (tensor<?xi64>) -> tensor<i64>
  %range = onnx.node "Range" version 11 (%zero, %size, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %y = onnx.node "Mul" version 14 (%range, %ids) : (tensor<?xi64>, tensor<?xi64>) -> tensor<?xi64>
  return %cast, %y : tensor<4xi32>, tensor<?xi64>
}

// -----

// Fused embeddings are as many rows as there are ids.
// CHECK-LABEL: @fused_embeddings
// CHECK: onnx.dims ["batch", "sequence", "8"]
// CHECK-NOT: "Shape"
func.func @fused_embeddings(%ids: tensor<?x?xi32> {onnx.dims = ["batch", "sequence"]}, %w: tensor<100x8xf32> {onnx.dims = ["100", "8"]}, %p: tensor<64x8xf32> {onnx.dims = ["64", "8"]}, %g: tensor<8xf32> {onnx.dims = ["8"]}) -> (tensor<?x?x8xf32>, tensor<3xi64>) {
  %n = onnx.none
  %y = onnx.node "com.microsoft":"EmbedLayerNormalization" version 1 (%ids, %n, %w, %p, %n, %g, %g) : (tensor<?x?xi32>, none, tensor<100x8xf32>, tensor<64x8xf32>, none, tensor<8xf32>, tensor<8xf32>) -> tensor<?x?x8xf32>
  %s = onnx.node "Shape" version 15 (%y) : (tensor<?x?x8xf32>) -> tensor<3xi64>
  return %y, %s : tensor<?x?x8xf32>, tensor<3xi64>
}

// -----

// The last `sequence` of a longer tensor, as positions are cut: no rows would
// mean all of them, so there must be one.
// CHECK-LABEL: @last_rows
// CHECK-SAME: -> (tensor<?x8xf32> {onnx.dims = ["sequence", "8"]})
// CHECK-SAME: onnx.size_checks = {{\[}}["max(1,sequence)", "sequence", "/Slice"],
// CHECK: onnx.node "Slice"
// CHECK-NOT: onnx.node "Reshape"
func.func @last_rows(%x: tensor<?x8xf32> {onnx.dims = ["sequence", "8"]}, %p: tensor<?xi64> {onnx.dims = ["past+sequence"]}, %c: tensor<?xf32> {onnx.dims = ["past"]}, %t: tensor<99x8xf32> {onnx.dims = ["99", "8"]}) -> tensor<?x?xf32> {
  %axis = onnx.constant dense<0> : tensor<1xi64>
  %start = onnx.dims ["-sequence"] : tensor<1xi64>
  %end = onnx.constant dense<9223372036854775807> : tensor<1xi64>
  %width = onnx.constant dense<[-1, 8]> : tensor<2xi64>
  %last = onnx.node "Slice" version 13 (%p, %start, %end, %axis) : (tensor<?xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?xi64> loc("/Slice")
  %e = onnx.node "Gather" version 13 (%t, %last) {axis = 0 : i64} : (tensor<99x8xf32>, tensor<?xi64>) -> tensor<?x8xf32>
  %s = onnx.node "Add" version 14 (%x, %e) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x?xf32>
  %y = onnx.node "Reshape" version 14 (%s, %width) : (tensor<?x?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
