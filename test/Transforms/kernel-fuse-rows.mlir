// RUN: sparse-opt %s -split-input-file --kernel-fuse-rows --canonicalize | FileCheck %s
// RUN: sparse-opt %s -split-input-file --kernel-fuse-rows --canonicalize --eliminate-empty-tensors --one-shot-bufferize=bufferize-function-boundaries --canonicalize --cse --canonicalize | FileCheck %s --check-prefix=BUFFER

// A mean is subtracted: one loop over rows, the mean is one element.
// In memory only the result is a whole tensor, and nothing is copied.
// BUFFER-LABEL: func.func @center
// BUFFER: memref.alloc({{.+}}) {{.*}} : memref<?x?x8xf32>
// BUFFER-NOT: memref.alloc
// BUFFER: scf.forall
// BUFFER: memref.alloc() {{.*}} : memref<1x1xf32>
// BUFFER-NOT: {{memref.alloc|memref.copy}}
// BUFFER: return
// CHECK-LABEL: func.func @center
// CHECK-SAME: (%[[X:.+]]: tensor<?x?x8xf32>, %[[B:.+]]: index, %[[S:.+]]: index)
// CHECK: scf.forall (%[[I:.+]], %[[J:.+]]) in (%[[B]], %[[S]]) shared_outs(%[[OUT:.+]] =
// CHECK: %[[ROW:.+]] = tensor.extract_slice %[[X]][%[[I]], %[[J]], 0] [1, 1, 8]
// CHECK: %[[INIT:.+]] = linalg.fill {{.*}} -> tensor<1x1xf32>
// CHECK: %[[SUM:.+]] = linalg.generic {{.*}} ins(%[[ROW]] : tensor<1x1x8xf32>) outs(%[[INIT]] : tensor<1x1xf32>)
// CHECK: linalg.generic {{.*}} ins(%{{.+}}, %[[SUM]] : tensor<1x1x8xf32>, tensor<1x1xf32>)
// CHECK: tensor.parallel_insert_slice %{{.+}} into %[[OUT]][%[[I]], %[[J]], 0] [1, 1, 8]
#x = affine_map<(b, s, d) -> (b, s, d)>
#r = affine_map<(b, s, d) -> (b, s)>
func.func @center(%x: tensor<?x?x8xf32>, %b: index, %s: index) -> tensor<?x?x8xf32> {
  %zero = arith.constant 0.0 : f32
  %er = tensor.empty(%b, %s) : tensor<?x?xf32>
  %e = tensor.empty(%b, %s) : tensor<?x?x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%er : tensor<?x?xf32>) -> tensor<?x?xf32>
  %sum = linalg.generic {indexing_maps = [#x, #r], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x : tensor<?x?x8xf32>) outs(%f : tensor<?x?xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = arith.addf %o, %v : f32
      linalg.yield %t : f32
  } -> tensor<?x?xf32>
  %y = linalg.generic {indexing_maps = [#x, #r, #x], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x, %sum : tensor<?x?x8xf32>, tensor<?x?xf32>) outs(%e : tensor<?x?x8xf32>) {
    ^bb0(%v: f32, %m: f32, %o: f32):
      %t = arith.subf %v, %m : f32
      linalg.yield %t : f32
  } -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// A value that others use is written too, not computed again.
// CHECK-LABEL: func.func @shared
// CHECK: %[[R:.+]]:2 = scf.forall
// CHECK: math.exp
// CHECK-NOT: math.exp
// CHECK: return %[[R]]#0, %[[R]]#1
#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
func.func @shared(%x: tensor<?x8xf32>, %e: tensor<?x8xf32>, %init: tensor<?xf32>) -> (tensor<?x8xf32>, tensor<?xf32>) {
  %y = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = math.exp %v : f32
      linalg.yield %t : f32
  } -> tensor<?x8xf32>
  %s = linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%y : tensor<?x8xf32>) outs(%init : tensor<?xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = arith.addf %o, %v : f32
      linalg.yield %t : f32
  } -> tensor<?xf32>
  return %y, %s : tensor<?x8xf32>, tensor<?xf32>
}

// -----

// A sum over the outer dimension needs all rows: it stays outside.
// CHECK-LABEL: func.func @outer
// CHECK-NOT: scf.forall
#ij = affine_map<(i, j) -> (i, j)>
#j = affine_map<(i, j) -> (j)>
func.func @outer(%x: tensor<?x8xf32>, %e: tensor<?x8xf32>, %init: tensor<8xf32>) -> tensor<8xf32> {
  %y = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = math.exp %v : f32
      linalg.yield %t : f32
  } -> tensor<?x8xf32>
  %s = linalg.generic {indexing_maps = [#ij, #j], iterator_types = ["reduction", "parallel"]}
      ins(%y : tensor<?x8xf32>) outs(%init : tensor<8xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = arith.addf %o, %v : f32
      linalg.yield %t : f32
  } -> tensor<8xf32>
  return %s : tensor<8xf32>
}

// -----

// Something lies between: %z needs all of %p, and %p all of %y.
// CHECK-LABEL: func.func @between
// CHECK-NOT: scf.forall
#ij = affine_map<(i, j) -> (i, j)>
func.func @between(%x: tensor<?x?xf32>, %e: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %y = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x?xf32>) outs(%e : tensor<?x?xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = math.exp %v : f32
      linalg.yield %t : f32
  } -> tensor<?x?xf32>
  %p = linalg.matmul ins(%y, %y : tensor<?x?xf32>, tensor<?x?xf32>) outs(%x : tensor<?x?xf32>) -> tensor<?x?xf32>
  %z = linalg.generic {indexing_maps = [#ij, #ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%y, %p : tensor<?x?xf32>, tensor<?x?xf32>) outs(%e : tensor<?x?xf32>) {
    ^bb0(%v: f32, %w: f32, %o: f32):
      %t = arith.addf %v, %w : f32
      linalg.yield %t : f32
  } -> tensor<?x?xf32>
  return %z : tensor<?x?xf32>
}

// -----

// Softmax of rows whose length is not known, and a scale for all rows: values
// between are rows, the scale is read as it is.
// CHECK-LABEL: func.func @softmax
// CHECK-SAME: (%[[X:.+]]: tensor<?x?xf32>, %[[SCALE:.+]]: tensor<?xf32>
// CHECK-NOT: linalg.generic
// CHECK: scf.forall (%[[I:.+]]) in
// CHECK: linalg.generic {{.*}} outs(%{{.+}} : tensor<1xf32>)
// CHECK: linalg.generic {{.*}} ins(%{{.+}}, %{{.+}}, %[[SCALE]] : tensor<1x?xf32>, tensor<1xf32>, tensor<?xf32>) outs(%{{.+}} : tensor<1x?xf32>)
// CHECK: math.exp
// CHECK: linalg.generic {{.*}} outs(%{{.+}} : tensor<1xf32>)
// CHECK: linalg.generic {{.*}} outs(%{{.+}} : tensor<1x?xf32>)
// CHECK: tensor.parallel_insert_slice
// CHECK-NOT: linalg.generic
#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
#j = affine_map<(i, j) -> (j)>
func.func @softmax(%x: tensor<?x?xf32>, %scale: tensor<?xf32>, %m: index, %n: index) -> tensor<?x?xf32> {
  %low = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%m, %n) : tensor<?x?xf32>
  %er = tensor.empty(%m) : tensor<?xf32>
  %fl = linalg.fill ins(%low : f32) outs(%er : tensor<?xf32>) -> tensor<?xf32>
  %fz = linalg.fill ins(%zero : f32) outs(%er : tensor<?xf32>) -> tensor<?xf32>
  %max = linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x?xf32>) outs(%fl : tensor<?xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = arith.maximumf %o, %v : f32
      linalg.yield %t : f32
  } -> tensor<?xf32>
  %p = linalg.generic {indexing_maps = [#ij, #i, #j, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %max, %scale : tensor<?x?xf32>, tensor<?xf32>, tensor<?xf32>) outs(%e : tensor<?x?xf32>) {
    ^bb0(%v: f32, %w: f32, %s: f32, %o: f32):
      %d = arith.subf %v, %w : f32
      %t = math.exp %d : f32
      %q = arith.mulf %t, %s : f32
      linalg.yield %q : f32
  } -> tensor<?x?xf32>
  %sum = linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%p : tensor<?x?xf32>) outs(%fz : tensor<?xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = arith.addf %o, %v : f32
      linalg.yield %t : f32
  } -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%p, %sum : tensor<?x?xf32>, tensor<?xf32>) outs(%e : tensor<?x?xf32>) {
    ^bb0(%v: f32, %w: f32, %o: f32):
      %t = arith.divf %v, %w : f32
      linalg.yield %t : f32
  } -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// An index along the rows is the row's own.
// CHECK-LABEL: func.func @index
// CHECK: scf.forall (%[[I:.+]]) in
// CHECK: arith.index_cast %[[I]] : index to i64
#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
func.func @index(%x: tensor<?x8xf32>, %e: tensor<?x8xf32>, %init: tensor<?xf32>) -> tensor<?x8xf32> {
  %s = linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x8xf32>) outs(%init : tensor<?xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = arith.addf %o, %v : f32
      linalg.yield %t : f32
  } -> tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<?xf32>) outs(%e : tensor<?x8xf32>) {
    ^bb0(%v: f32, %o: f32):
      %k = linalg.index 0 : index
      %n = arith.index_cast %k : index to i64
      %f = arith.sitofp %n : i64 to f32
      %t = arith.addf %v, %f : f32
      linalg.yield %t : f32
  } -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// A user between the members in the text moves behind the loop.
// CHECK-LABEL: func.func @user
// CHECK: %[[R:.+]]:2 = scf.forall
// CHECK: tensor.extract %[[R]]#
#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
func.func @user(%x: tensor<?x8xf32>, %e: tensor<?x8xf32>, %init: tensor<?xf32>, %k: index) -> (f32, tensor<?x8xf32>) {
  %s = linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<?x8xf32>) outs(%init : tensor<?xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = arith.addf %o, %v : f32
      linalg.yield %t : f32
  } -> tensor<?xf32>
  %first = tensor.extract %s[%k] : tensor<?xf32>
  %y = linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : tensor<?x8xf32>, tensor<?xf32>) outs(%e : tensor<?x8xf32>) {
    ^bb0(%v: f32, %m: f32, %o: f32):
      %t = arith.subf %v, %m : f32
      linalg.yield %t : f32
  } -> tensor<?x8xf32>
  return %first, %y : f32, tensor<?x8xf32>
}

// -----

// The other row of a square matrix is not this row: a transposed read.
// CHECK-LABEL: func.func @transposed
// CHECK-NOT: scf.forall
#ij = affine_map<(i, j) -> (i, j)>
#ji = affine_map<(i, j) -> (j, i)>
func.func @transposed(%x: tensor<?x?xf32>, %e: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %y = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x?xf32>) outs(%e : tensor<?x?xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = math.exp %v : f32
      linalg.yield %t : f32
  } -> tensor<?x?xf32>
  %z = linalg.generic {indexing_maps = [#ij, #ji, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%y, %y : tensor<?x?xf32>, tensor<?x?xf32>) outs(%e : tensor<?x?xf32>) {
    ^bb0(%v: f32, %w: f32, %o: f32):
      %t = arith.addf %v, %w : f32
      linalg.yield %t : f32
  } -> tensor<?x?xf32>
  return %z : tensor<?x?xf32>
}

// -----

// One row for all (a broadcast) is computed once, outside.
// CHECK-LABEL: func.func @broadcast
// CHECK-NOT: scf.forall
#id = affine_map<(b, s, d) -> (b, s, d)>
#one = affine_map<(b, s, d) -> (0, s, d)>
func.func @broadcast(%x: tensor<1x?x8xf32>, %e: tensor<1x?x8xf32>, %o: tensor<?x?x8xf32>) -> tensor<?x?x8xf32> {
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : tensor<1x?x8xf32>) outs(%e : tensor<1x?x8xf32>) {
    ^bb0(%v: f32, %w: f32):
      %t = math.exp %v : f32
      linalg.yield %t : f32
  } -> tensor<1x?x8xf32>
  %y = linalg.generic {indexing_maps = [#one, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%p : tensor<1x?x8xf32>) outs(%o : tensor<?x?x8xf32>) {
    ^bb0(%v: f32, %w: f32):
      linalg.yield %v : f32
  } -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

// Elements extracted inside a body may be of any row.
// CHECK-LABEL: func.func @gather
// CHECK-NOT: scf.forall
#ij = affine_map<(i, j) -> (i, j)>
func.func @gather(%x: tensor<?x8xf32>, %e: tensor<?x8xf32>, %k: index) -> tensor<?x8xf32> {
  %y = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = math.exp %v : f32
      linalg.yield %t : f32
  } -> tensor<?x8xf32>
  %z = linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%y : tensor<?x8xf32>) outs(%e : tensor<?x8xf32>) {
    ^bb0(%v: f32, %o: f32):
      %j = linalg.index 1 : index
      %w = tensor.extract %y[%k, %j] : tensor<?x8xf32>
      %t = arith.addf %v, %w : f32
      linalg.yield %t : f32
  } -> tensor<?x8xf32>
  return %z : tensor<?x8xf32>
}

// -----

// With few rows the loops inside ops are the ones to run in parallel.
// CHECK-LABEL: func.func @few
// CHECK-NOT: scf.forall
#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
func.func @few(%x: tensor<2x?xf32>, %e: tensor<2x?xf32>, %init: tensor<2xf32>) -> tensor<2x?xf32> {
  %s = linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : tensor<2x?xf32>) outs(%init : tensor<2xf32>) {
    ^bb0(%v: f32, %o: f32):
      %t = arith.addf %o, %v : f32
      linalg.yield %t : f32
  } -> tensor<2xf32>
  %y = linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : tensor<2x?xf32>, tensor<2xf32>) outs(%e : tensor<2x?xf32>) {
    ^bb0(%v: f32, %m: f32, %o: f32):
      %t = arith.subf %v, %m : f32
      linalg.yield %t : f32
  } -> tensor<2x?xf32>
  return %y : tensor<2x?xf32>
}
