// RUN: sparse-opt %s -split-input-file -verify-diagnostics --kernel-emit-entry-points

// expected-error @+1 {{needs @main, @kernel_output_dims and @kernel_arena_bytes}}
module {
}

// -----

module attributes {kernel.symbols = []} {
  func.func private @kernel_output_dims() { return }
  func.func private @kernel_arena_bytes(%t: index) -> index { return %t : index }
  // expected-error @+1 {{argument 0 of @main has no known role}}
  func.func @main(%x: memref<4xf32>) { return }
}
