// RUN: sparse-opt %s -allow-unregistered-dialect -split-input-file --kernel-outline-parallel | FileCheck %s

// Two equal loops share one body; constants are copied into it.
// CHECK: func.func private @[[BODY:kernel_body_[0-9]+]](%[[BEGIN:.+]]: index, %[[END:.+]]: index, %[[THREAD:.+]]: index, %[[M:.+]]: memref<?xindex>)
// CHECK: %[[SCRATCH:.+]] = memref.alloca() : memref<4xf32>
// CHECK: scf.for %[[I:.+]] = %[[BEGIN]] to %[[END]]
// CHECK: "test.use"(%[[SCRATCH]])
// CHECK: memref.store %[[THREAD]], %[[M]][%[[I]]]
// CHECK-NOT: func.func private
// CHECK: func.func @main(%[[A:.+]]: memref<?xindex>, %[[B:.+]]: memref<?xindex>, %[[N:.+]]: index)
// CHECK: %[[GRAIN:.+]] = arith.constant 8 : index
// CHECK: kernel.launch @[[BODY]] range(%[[N]], %[[GRAIN]]) captures(%[[A]] : memref<?xindex>)
// CHECK: kernel.launch @[[BODY]] range(%[[N]], %{{.+}}) captures(%[[B]] : memref<?xindex>)
func.func @main(%a: memref<?xindex>, %b: memref<?xindex>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %s = memref.alloca() : memref<4xf32>
    "test.use"(%s) : (memref<4xf32>) -> ()
    %t = kernel.thread
    memref.store %t, %a[%i] : memref<?xindex>
  } {kernel.grain = 8 : i64}
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %s = memref.alloca() : memref<4xf32>
    "test.use"(%s) : (memref<4xf32>) -> ()
    %t = kernel.thread
    memref.store %t, %b[%i] : memref<?xindex>
  } {kernel.grain = 8 : i64}
  return
}

// -----

// Several dimensions are one range; a loop inside runs in its thread.
// CHECK: func.func private @kernel_body_0(%{{.+}}: index, %{{.+}}: index, %{{.+}}: index, %[[V:.+]]: f32, %[[M:.+]]: memref<?x?xf32>, %[[N:.+]]: index)
// CHECK: scf.for %[[L:.+]] =
// CHECK: %[[J:.+]] = arith.remui %[[L]], %[[N]]
// CHECK: %[[I:.+]] = arith.divui %[[L]], %[[N]]
// CHECK: scf.for
// CHECK: memref.store %[[V]], %[[M]][%[[I]], %[[J]]]
// CHECK: func.func @main
// CHECK: %[[COUNT:.+]] = arith.muli
// CHECK: kernel.launch @kernel_body_0 range(%[[COUNT]],
// CHECK-NOT: scf.parallel
func.func @main(%m: memref<?x?xf32>, %v: f32, %n: index, %k: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i, %j) = (%c0, %c0) to (%k, %n) step (%c1, %c1) {
    scf.parallel (%l) = (%c0) to (%n) step (%c1) {
      memref.store %v, %m[%i, %j] : memref<?x?xf32>
    }
  }
  return
}
