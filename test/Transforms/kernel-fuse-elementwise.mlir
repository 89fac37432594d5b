// RUN: sparse-opt %s -split-input-file --kernel-fuse-elementwise | FileCheck %s

// A chain is one op; a value of its row is computed inside.
// CHECK-LABEL: func.func @chain
// CHECK-COUNT-1: linalg.generic
// CHECK: math.sqrt
// CHECK: arith.divf
// CHECK: math.exp
// CHECK-NOT: linalg.generic
#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
#r = affine_map<(i) -> (i)>
func.func @chain(%x: tensor<?x?xf32>, %v: tensor<?xf32>, %e: tensor<?x?xf32>, %er: tensor<?xf32>) -> tensor<?x?xf32> {
  %s = linalg.generic {indexing_maps = [#r, #r], iterator_types = ["parallel"]}
      ins(%v : tensor<?xf32>) outs(%er : tensor<?xf32>) {
    ^bb0(%a: f32, %o: f32):
      %q = math.sqrt %a : f32
      linalg.yield %q : f32
  } -> tensor<?xf32>
  %d = linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : tensor<?x?xf32>, tensor<?xf32>) outs(%e : tensor<?x?xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %q = arith.divf %a, %b : f32
      linalg.yield %q : f32
  } -> tensor<?x?xf32>
  %y = linalg.exp ins(%d : tensor<?x?xf32>) outs(%e : tensor<?x?xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// What two ops use and is not cheap is computed once.
// CHECK-LABEL: func.func @shared
// CHECK-COUNT-3: linalg.generic
// CHECK-NOT: linalg.generic
func.func @shared(%x: tensor<?xf32>, %e: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %y = linalg.exp ins(%x : tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  %a = linalg.add ins(%y, %x : tensor<?xf32>, tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  %b = linalg.mul ins(%y, %x : tensor<?xf32>, tensor<?xf32>) outs(%e : tensor<?xf32>) -> tensor<?xf32>
  return %a, %b : tensor<?xf32>, tensor<?xf32>
}

// -----

// A product reads its operand once a column: that stays in memory.
// CHECK-LABEL: func.func @product
// CHECK: math.exp
// CHECK: linalg.generic
// CHECK-SAME: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK-NOT: math.exp
func.func @product(%x: tensor<?x8xf32>, %w: tensor<8x4xf32>, %e: tensor<?x8xf32>, %o: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %y = linalg.exp ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) -> tensor<?x8xf32>
  %z = linalg.matmul ins(%y, %w : tensor<?x8xf32>, tensor<8x4xf32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %z : tensor<?x4xf32>
}
