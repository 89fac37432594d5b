// RUN: sparse-opt %s --kernel-form-regions --split-input-file | FileCheck %s

#x = affine_map<(b, s, n, k) -> (b, s, k)>
#w = affine_map<(b, s, n, k) -> (k, n)>
#y = affine_map<(b, s, n, k) -> (b, s, n)>

// The table is the product's weight transposed: it is kept packed only. One
// that differs in an element stays.
// CHECK-LABEL: @tied
// CHECK-SAME: %[[I:[^ ]+]]: index, %[[K:[^ ]+]]: index) ->
// CHECK-NOT: dense_resource<table>
// CHECK: %[[PACKED:.+]] = arith.constant dense<{{.+}}> : tensor<1x2x16xf32>
// CHECK: %[[P:.+]] = arith.constant 16 : index
// CHECK: %[[PANEL:.+]] = arith.divui %[[I]], %[[P]]
// CHECK: %[[COLUMN:.+]] = arith.remui %[[I]], %[[P]]
// CHECK: tensor.extract %[[PACKED]][%[[PANEL]], %[[K]], %[[COLUMN]]]
// CHECK: tensor.extract %{{.+}}[%[[I]], %[[K]]] : tensor<3x2xf32>
// CHECK: kernel.product
func.func @tied(%x: tensor<?x?x2xf32>, %d0: index, %d1: index, %i: index, %k: index) -> (f32, f32, tensor<?x?x3xf32>) {
  %table = arith.constant dense_resource<table> : tensor<3x2xf32>
  %other = arith.constant dense_resource<other> : tensor<3x2xf32>
  %e0 = tensor.extract %table[%i, %k] : tensor<3x2xf32>
  %e1 = tensor.extract %other[%i, %k] : tensor<3x2xf32>
  %w = arith.constant dense<[[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]> : tensor<2x3xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%d0, %d1) : tensor<?x?x3xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x?x3xf32>) -> tensor<?x?x3xf32>
  %m = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x?x2xf32>, tensor<2x3xf32>) outs(%f : tensor<?x?x3xf32>) {
  ^bb0(%a: f32, %b: f32, %acc: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %acc, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x?x3xf32>
  return %e0, %e1, %m : f32, f32, tensor<?x?x3xf32>
}
{-#
  dialect_resources: {
    builtin: {
      table: "0x040000000000803F0000004000004040000080400000A0400000C040",
      other: "0x040000000000803F0000004000004040000080400000A0400000E040"
    }
  }
#-}
