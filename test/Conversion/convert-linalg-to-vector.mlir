// RUN: sparse-opt %s -split-input-file --convert-linalg-to-vector=target=x86-64-v4 --cse | FileCheck %s
// RUN: sparse-opt %s -split-input-file --convert-linalg-to-vector=target=x86-64-v3 --cse | FileCheck %s --check-prefix=V3

// Rows in parallel; whole vectors, then a masked one.
// CHECK-LABEL: func.func @rows
// CHECK: scf.parallel
// CHECK: scf.for %{{.+}} = %{{.+}} to %{{.+}} step %c16
// CHECK: vector.load {{.*}} vector<16xf32>
// CHECK: vector.store
// CHECK: scf.for %{{.+}} = %{{.+}} to %{{.+}} step %c16
// CHECK: %[[MASK:.+]] = vector.create_mask
// CHECK: vector.maskedload {{.*}}, %[[MASK]],
// CHECK: vector.maskedstore {{.*}}, %[[MASK]],
// CHECK: {kernel.grain = 128 : i64}
// V3-LABEL: func.func @rows
// V3: vector.load {{.*}} vector<8xf32>
func.func @rows(%a: memref<?x?xf32>, %b: memref<?x?xf32>) {
  memref.copy %a, %b : memref<?x?xf32> to memref<?x?xf32>
  return
}

// -----

// A sum: four accumulators; the row's scale is loaded once, as a scalar.
// CHECK-LABEL: func.func @sum
// CHECK: scf.parallel (%[[I:.+]]) =
// CHECK: %[[SCALE:.+]] = memref.load %{{.+}}[%[[I]]]
// CHECK: scf.for {{.*}} iter_args({{.*}}) -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK-COUNT-4: vector.load
// CHECK: vector.reduction <add>, %{{.+}} fastmath<reassoc>
// CHECK: memref.store
#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
func.func @sum(%x: memref<?x384xf32>, %scale: memref<?xf32>, %y: memref<?xf32>) {
  linalg.generic {indexing_maps = [#ij, #i, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x, %scale : memref<?x384xf32>, memref<?xf32>) outs(%y : memref<?xf32>) {
    ^bb0(%v: f32, %s: f32, %o: f32):
      %p = arith.mulf %v, %s : f32
      %r = arith.addf %o, %p : f32
      linalg.yield %r : f32
  }
  return
}

// -----

// Rows of a table: the row's index is a scalar, the row is loaded in vectors.
// CHECK-LABEL: func.func @gather
// CHECK: %[[ID:.+]] = memref.load
// CHECK: %[[ROW:.+]] = arith.index_cast %[[ID]]
// CHECK: scf.for %[[J:.+]] =
// CHECK: vector.load %{{.+}}[%[[ROW]], %[[J]]] : memref<100x384xf32>, vector<16xf32>
#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
func.func @gather(%ids: memref<?xi64>, %table: memref<100x384xf32>, %y: memref<?x384xf32>) {
  linalg.generic {indexing_maps = [#i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%ids : memref<?xi64>) outs(%y : memref<?x384xf32>) {
    ^bb0(%id: i64, %o: f32):
      %row = arith.index_cast %id : i64 to index
      %j = linalg.index 1 : index
      %v = memref.load %table[%row, %j] : memref<100x384xf32>
      linalg.yield %v : f32
  }
  return
}

// -----

// An integer division could trap in a lane that is masked off: plain loops.
// CHECK-LABEL: func.func @division
// CHECK-NOT: vector
// CHECK: arith.divsi {{.*}} : i64
#i = affine_map<(i) -> (i)>
func.func @division(%a: memref<?xi64>, %b: memref<?xi64>) {
  linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
      ins(%a : memref<?xi64>) outs(%b : memref<?xi64>) {
    ^bb0(%v: i64, %o: i64):
      %q = arith.divsi %o, %v : i64
      linalg.yield %q : i64
  }
  return
}

// -----

// So little work stays on the thread that is there.
// CHECK-LABEL: func.func @tiny
// CHECK-NOT: scf.parallel
// CHECK: vector.maskedstore
func.func @tiny(%a: memref<2x8xf32>, %b: memref<2x8xf32>) {
  memref.copy %a, %b : memref<2x8xf32> to memref<2x8xf32>
  return
}

// -----

// Gathers want a last stride of 1: one place is viewed, lanes keep the stride.
// CHECK-LABEL: func.func @every_second
// CHECK: %{{.+}}, %[[OFFSET:.+]], %{{.+}}, %[[STRIDE:.+]] = memref.extract_strided_metadata
// CHECK: %[[PLACE:.+]] = memref.reinterpret_cast %{{.+}} to offset: [%{{.+}}], sizes: [1], strides: [1]
// CHECK: vector.gather %[[PLACE]][%{{.+}}]
#i = affine_map<(i) -> (i)>
func.func @every_second(%a: memref<64xf32, strided<[2], offset: ?>>, %b: memref<64xf32>) {
  linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel"]}
      ins(%a : memref<64xf32, strided<[2], offset: ?>>) outs(%b : memref<64xf32>) {
    ^bb0(%v: f32, %o: f32):
      %s = math.absf %v : f32
      linalg.yield %s : f32
  }
  return
}

// -----

// Bools are bytes in memory; the condition is a vector of bits, and a scalar
// where it stays the same along the vectors.
// CHECK-LABEL: func.func @where
// CHECK: %[[BYTES:.+]] = builtin.unrealized_conversion_cast %{{.+}} : memref<?xi1> to memref<?xi8>
// CHECK: %[[LOADED:.+]] = vector.load %[[BYTES]][%{{.+}}] : memref<?xi8>, vector<16xi8>
// CHECK: %[[COLUMN:.+]] = arith.cmpi ne, %[[LOADED]], %{{.+}} : vector<16xi8>
// CHECK: %[[KEEP:.+]] = arith.andi %{{.+}}, %[[COLUMN]] : vector<16xi1>
// CHECK: arith.select %[[KEEP]], %{{.+}}, %{{.+}} : vector<16xi1>, vector<16xf32>
// CHECK: vector.maskedload %{{.+}} : memref<?xi8>, vector<16xi1>, vector<16xi8>
#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
#j = affine_map<(i, j) -> (j)>
func.func @where(%row: memref<?xi1>, %column: memref<?xi1>, %y: memref<?x?xf32>) {
  %no = arith.constant -1.0e+04 : f32
  %yes = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [#i, #j, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%row, %column : memref<?xi1>, memref<?xi1>) outs(%y : memref<?x?xf32>) {
    ^bb0(%a: i1, %b: i1, %o: f32):
      %keep = arith.andi %a, %b : i1
      %v = arith.select %keep, %yes, %no : f32
      linalg.yield %v : f32
  }
  return
}

// -----

// CHECK-LABEL: func.func @compare
// CHECK: %[[LESS:.+]] = arith.cmpf olt, %{{.+}} : vector<16xf32>
// CHECK: %[[BYTES:.+]] = builtin.unrealized_conversion_cast %{{.+}} : memref<64xi1> to memref<64xi8>
// CHECK: %[[WIDE:.+]] = arith.extui %[[LESS]] : vector<16xi1> to vector<16xi8>
// CHECK: vector.store %[[WIDE]], %[[BYTES]]
#i = affine_map<(i) -> (i)>
func.func @compare(%a: memref<64xf32>, %b: memref<64xf32>, %y: memref<64xi1>) {
  linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel"]}
      ins(%a, %b : memref<64xf32>, memref<64xf32>) outs(%y : memref<64xi1>) {
    ^bb0(%v: f32, %w: f32, %o: i1):
      %less = arith.cmpf olt, %v, %w : f32
      linalg.yield %less : i1
  }
  return
}
