// RUN: sparse-opt %s -split-input-file -verify-diagnostics --kernel-plan-buffers

func.func @main(%x: memref<1xindex>) {
  %c0 = arith.constant 0 : index
  %n = memref.load %x[%c0] : memref<1xindex>
  // expected-error @+1 {{the size of a buffer depends on more than the sizes of the inputs}}
  %a = memref.alloc(%n) : memref<?xf32>
  return
}

// -----

func.func @main(%x: memref<4xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %r = scf.for %i = %c0 to %n step %c1 iter_args(%m = %x) -> memref<4xf32> {
    // expected-error @+1 {{a buffer that a loop hands to its next iteration can't be planned}}
    %a = memref.alloc() : memref<4xf32>
    scf.yield %a : memref<4xf32>
  }
  return
}
