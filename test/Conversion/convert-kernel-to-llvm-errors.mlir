// RUN: sparse-opt %s -split-input-file -verify-diagnostics --convert-kernel-to-llvm

func.func @main(%m: memref<?xi64>, %n: index) {
  // expected-error @+1 {{'kernel.check_index' op needs a function with a `kernel.call` argument}}
  kernel.check_index %m below %n "bad id" : memref<?xi64>
  return
}

// -----

func.func @main(%m: memref<f32>, %call: !llvm.ptr {kernel.call}) {
  // expected-error @below {{needs a function with a call, and 't' in the module's kernel.knobs}}
  %t = kernel.knob "t" = 0.0
  memref.store %t, %m[] : memref<f32>
  return
}
