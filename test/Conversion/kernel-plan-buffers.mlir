// RUN: sparse-opt %s -allow-unregistered-dialect -split-input-file --kernel-plan-buffers | FileCheck %s

// %a and %c never live together; %b is live with both.
// CHECK-LABEL: func.func private @kernel_arena_bytes
// CHECK-SAME: (%[[S:.+]]: index {kernel.symbol = "s"}, %{{.+}}: index) -> index
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[ARENA:[^ ]+]]: memref<?xi8> {kernel.arena}
// CHECK: %[[A:.+]] = memref.view %[[ARENA]][%[[FIRST:.+]]][%{{.+}}] : memref<?xi8> to memref<?x8xf32>
// CHECK: %[[B:.+]] = memref.view %[[ARENA]][%[[SECOND:.+]]][%{{.+}}] : memref<?xi8> to memref<?xf32>
// CHECK: %[[C:.+]] = memref.view %[[ARENA]][%[[FIRST]]][%{{.+}}] : memref<?xi8> to memref<?x4xf32>
func.func @main(%s: index {kernel.symbol = "s"}) {
  %a = memref.alloc(%s) : memref<?x8xf32>
  %b = memref.alloc(%s) : memref<?xf32>
  "test.use"(%a, %b) : (memref<?x8xf32>, memref<?xf32>) -> ()
  %c = memref.alloc(%s) : memref<?x4xf32>
  "test.use"(%b, %c) : (memref<?xf32>, memref<?x4xf32>) -> ()
  return
}

// -----

// A view keeps its buffer alive.
// CHECK-LABEL: func.func @main
// CHECK: memref.view %[[ARENA:.+]][%[[FIRST:.+]]][] : memref<?xi8> to memref<2x8xf32>
// CHECK-NOT: memref.view %[[ARENA]][%[[FIRST]]]
func.func @main() {
  %a = memref.alloc() : memref<2x8xf32>
  "test.use"(%a) : (memref<2x8xf32>) -> ()
  %v = memref.collapse_shape %a [[0, 1]] : memref<2x8xf32> into memref<16xf32>
  %b = memref.alloc() : memref<16xf32>
  "test.use"(%b) : (memref<16xf32>) -> ()
  "test.use"(%v) : (memref<16xf32>) -> ()
  return
}

// -----

// Scratch of a parallel body exists once a thread.
// CHECK-LABEL: func.func @main
// CHECK: scf.parallel
// CHECK: %[[THREAD:.+]] = kernel.thread
// CHECK: %[[SHIFT:.+]] = arith.muli %[[THREAD]], %{{.+}} : index
// CHECK: %[[OFFSET:.+]] = arith.addi %{{.+}}, %[[SHIFT]] : index
// CHECK: memref.view %{{.+}}[%[[OFFSET]]][%{{.+}}] : memref<?xi8> to memref<?xf32>
func.func @main(%s: index {kernel.symbol = "s"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%s) step (%c1) {
    %a = memref.alloc(%s) : memref<?xf32>
    "test.use"(%a) : (memref<?xf32>) -> ()
  }
  return
}

// -----

// Small scratch lies on the thread's stack, 64 KiB of it at most.
// CHECK-LABEL: func.func @main
// CHECK: scf.parallel
// CHECK: memref.view %{{.+}} to memref<2049xf32>
// CHECK-COUNT-8: memref.alloca() {alignment = 64 : i64} : memref<2048xf32>
// CHECK: memref.view %{{.+}} to memref<2048xf32>
func.func @main(%n: index {kernel.symbol = "n"}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %large = memref.alloc() : memref<2049xf32>
    %a = memref.alloc() : memref<2048xf32>
    %b = memref.alloc() : memref<2048xf32>
    %c = memref.alloc() : memref<2048xf32>
    %d = memref.alloc() : memref<2048xf32>
    %e = memref.alloc() : memref<2048xf32>
    %f = memref.alloc() : memref<2048xf32>
    %g = memref.alloc() : memref<2048xf32>
    %h = memref.alloc() : memref<2048xf32>
    %more = memref.alloc() : memref<2048xf32>
    "test.use"(%large, %a, %b, %c, %d, %e, %f, %g, %h, %more)
        : (memref<2049xf32>, memref<2048xf32>, memref<2048xf32>, memref<2048xf32>,
           memref<2048xf32>, memref<2048xf32>, memref<2048xf32>, memref<2048xf32>,
           memref<2048xf32>, memref<2048xf32>) -> ()
  }
  return
}

// -----

// Outside of parallel loops small buffers are in the arena as others are.
// CHECK-LABEL: func.func @main
// CHECK-NOT: memref.alloca
// CHECK: memref.view
func.func @main() {
  %a = memref.alloc() : memref<4xf32>
  "test.use"(%a) : (memref<4xf32>) -> ()
  return
}
