// RUN: not sparse-opt %s --convert-kernel-to-vector=target=i386 2>&1 | FileCheck %s --check-prefix=TARGET
// RUN: sparse-opt %s --convert-kernel-to-vector --split-input-file --verify-diagnostics

// TARGET: unknown target 'i386', known are x86-64-v3, x86-64-v4

func.func @columns_apart(%x: memref<?x8xf32, strided<[16, 2]>>, %w: memref<1x8x16xf32>, %out: memref<?x16xf32>) {
  // expected-error @below {{needs contiguous rows, but has an operand of 'memref<?x8xf32, strided<[16, 2]>>'}}
  kernel.product %x, %w outs(%out : memref<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x8xf32, strided<[16, 2]>>, memref<1x8x16xf32>
  return
}

// -----

func.func @still_on_tensors(%x: tensor<?x8xf32>, %w: tensor<1x8x16xf32>, %out: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // expected-error @below {{must be bufferised first}}
  %y = kernel.product %x, %w outs(%out : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x8xf32>, tensor<1x8x16xf32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
