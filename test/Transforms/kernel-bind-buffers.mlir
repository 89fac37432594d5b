// RUN: sparse-opt %s --kernel-bind-buffers | FileCheck %s

// CHECK: func.func @main(%[[X:.+]]: memref<?xf32> {kernel.input = 0 : i64}, %[[N:.+]]: index, %[[Y:.+]]: memref<?xf32> {kernel.output = 0 : i64, onnx.name = "y"}, %[[Z:.+]]: memref<?xf32> {kernel.output = 1 : i64})
// CHECK: %[[T:.+]] = bufferization.to_tensor %[[X]] restrict : memref<?xf32> to tensor<?xf32>
// CHECK: bufferization.materialize_in_destination %[[T]] in restrict writable %[[Y]]
// CHECK: bufferization.materialize_in_destination %[[T]] in restrict writable %[[Z]]
// CHECK: return
// CHECK-NOT: %
func.func @main(%x: tensor<?xf32>, %n: index) -> (tensor<?xf32> {onnx.name = "y"}, tensor<?xf32>) {
  return %x, %x : tensor<?xf32>, tensor<?xf32>
}
