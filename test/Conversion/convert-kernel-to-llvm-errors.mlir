// RUN: sparse-opt %s -verify-diagnostics --convert-kernel-to-llvm

func.func @main(%m: memref<?xi64>, %n: index) {
  // expected-error @+1 {{'kernel.check_index' op needs a function with a `kernel.call` argument}}
  kernel.check_index %m below %n "bad id" : memref<?xi64>
  return
}
