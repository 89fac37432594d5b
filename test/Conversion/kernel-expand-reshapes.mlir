// RUN: sparse-opt %s --kernel-expand-reshapes --canonicalize --cse | FileCheck %s

// CHECK-LABEL: @two_dynamic_sizes
// CHECK-SAME: %[[X:.+]]: memref<?xf32>, %[[A:.+]]: index, %[[B:.+]]: index
func.func @two_dynamic_sizes(%x: memref<?xf32>, %a: index, %b: index) -> memref<?x1x?x4xf32> {
  // CHECK: %[[STRIDE:.+]] = affine.apply {{.*}}[%[[B]]]
  // CHECK: memref.reinterpret_cast %{{.+}} to offset: [0], sizes: [%[[A]], 1, %[[B]], 4], strides: [%[[STRIDE]], %[[STRIDE]], 4, 1]
  %y = memref.expand_shape %x [[0, 1, 2, 3]] output_shape [%a, 1, %b, 4]
      : memref<?xf32> into memref<?x1x?x4xf32>
  return %y : memref<?x1x?x4xf32>
}

// A range of columns: rows lie apart.
// CHECK-LABEL: @strided
// CHECK-SAME: %[[X:.+]]: memref<?x8xf32, strided<[24, 1], offset: 16>>, %[[A:.+]]: index, %[[B:.+]]: index
func.func @strided(%x: memref<?x8xf32, strided<[24, 1], offset: 16>>, %a: index, %b: index) -> memref<?x?x2x4xf32, strided<[?, 24, 4, 1], offset: 16>> {
  // CHECK: %[[STRIDE:.+]] = affine.apply {{.*}}[%[[B]]]
  // CHECK: memref.reinterpret_cast %{{.+}} to offset: [16], sizes: [%[[A]], %[[B]], 2, 4], strides: [%[[STRIDE]], 24, 4, 1]
  %y = memref.expand_shape %x [[0, 1], [2, 3]] output_shape [%a, %b, 2, 4]
      : memref<?x8xf32, strided<[24, 1], offset: 16>> into memref<?x?x2x4xf32, strided<[?, 24, 4, 1], offset: 16>>
  return %y : memref<?x?x2x4xf32, strided<[?, 24, 4, 1], offset: 16>>
}

// CHECK-LABEL: @one_dynamic_size_is_upstreams
func.func @one_dynamic_size_is_upstreams(%x: memref<?x8xf32>, %a: index) -> memref<?x2x4xf32> {
  // CHECK: memref.expand_shape
  %y = memref.expand_shape %x [[0], [1, 2]] output_shape [%a, 2, 4]
      : memref<?x8xf32> into memref<?x2x4xf32>
  return %y : memref<?x2x4xf32>
}
