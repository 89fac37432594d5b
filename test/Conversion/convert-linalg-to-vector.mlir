// RUN: sparse-opt %s --convert-linalg-to-vector | FileCheck %s

// CHECK-LABEL: func.func @main
// CHECK: scf.parallel
// CHECK-NOT: memref.copy
func.func @main(%a: memref<?x8xf32>, %b: memref<?x8xf32>) {
  memref.copy %a, %b : memref<?x8xf32> to memref<?x8xf32>
  return
}
