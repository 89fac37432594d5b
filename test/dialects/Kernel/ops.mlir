// RUN: sparse-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: @product
// CHECK: kernel.product %{{.+}}, %{{.+}} epilogue(%{{.+}} : tensor<32xf32>) outs(%{{.+}} : tensor<?x32xf32>)
func.func @product(%x: tensor<?x8xf32>, %w: tensor<2x8x16xf32>, %b: tensor<32xf32>, %init: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %y = kernel.product %x, %w epilogue(%b : tensor<32xf32>) outs(%init : tensor<?x32xf32>) {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    kernel.yield %s : f32
  } : tensor<?x8xf32>, tensor<2x8x16xf32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// CHECK-LABEL: @launch
// CHECK: kernel.launch @body range(%{{.+}}, %{{.+}}) captures(%{{.+}} : memref<?xf32>)
func.func private @body(%begin: index, %end: index, %thread: index, %m: memref<?xf32>) {
  return
}
func.func @launch(%n: index, %m: memref<?xf32>) {
  kernel.launch @body range(%n, %n) captures(%m : memref<?xf32>)
  return
}
