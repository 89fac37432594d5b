// RUN: sparse-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" | FileCheck %s

// CHECK-LABEL: @product_writes_its_out
// CHECK-SAME: (%[[X:.+]]: memref<?x8xf32>, %[[W:.+]]: memref<1x8x16xf32>, %[[OUT:.+]]: memref<?x16xf32>)
// CHECK-NOT: memref.copy
// CHECK: kernel.product %[[X]], %[[W]] outs(%[[OUT]] : memref<?x16xf32>)
// CHECK-NOT: memref.copy
// CHECK: return
func.func @product_writes_its_out(%x: tensor<?x8xf32>, %w: tensor<1x8x16xf32>, %out: tensor<?x16xf32> {bufferization.writable = true}) -> tensor<?x16xf32> {
  %y = kernel.product %x, %w outs(%out : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x8xf32>, tensor<1x8x16xf32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// CHECK-LABEL: @product_keeps_a_residual_that_is_read_later
// CHECK-SAME: (%[[X:.+]]: memref<?x16xf32>, %[[W:.+]]: memref<1x16x16xf32>
// CHECK: %[[OUT:.+]] = memref.alloc
// CHECK: kernel.product %[[X]], %[[W]] epilogue(%[[X]] : memref<?x16xf32>) outs(%[[OUT]] : memref<?x16xf32>)
func.func @product_keeps_a_residual_that_is_read_later(%x: tensor<?x16xf32> {bufferization.writable = true}, %w: tensor<1x16x16xf32>) -> tensor<?x16xf32> {
  %y = kernel.product %x, %w epilogue(%x : tensor<?x16xf32>) outs(%x : tensor<?x16xf32>) {
  ^bb0(%acc: f32, %r: f32):
    %s = arith.addf %acc, %r : f32
    kernel.yield %s : f32
  } : tensor<?x16xf32>, tensor<1x16x16xf32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// CHECK-LABEL: @check_index_reads
// CHECK: kernel.check_index %{{.+}} below %{{.+}} "Gather" : memref<?xi64>
func.func @check_index_reads(%ids: tensor<?xi64>, %bound: index) {
  kernel.check_index %ids below %bound "Gather" : tensor<?xi64>
  return
}
