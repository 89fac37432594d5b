// RUN: sparse-opt %s -split-input-file --kernel-bind-buffers | FileCheck %s

// CHECK: func.func @main(%[[X:.+]]: memref<?xf32> {kernel.input = 0 : i64}, %[[N:.+]]: index, %[[Y:.+]]: memref<?xf32> {kernel.output = 0 : i64, onnx.name = "y"}, %[[Z:.+]]: memref<?xf32> {kernel.output = 1 : i64})
// CHECK-DAG: %[[T:.+]] = bufferization.to_tensor %[[X]] restrict : memref<?xf32> to tensor<?xf32>
// CHECK-DAG: %[[TY:.+]] = bufferization.to_tensor %[[Y]] restrict writable
// CHECK-DAG: %[[TZ:.+]] = bufferization.to_tensor %[[Z]] restrict writable
// CHECK: %[[RY:.+]] = bufferization.materialize_in_destination %[[T]] in %[[TY]]
// CHECK: bufferization.materialize_in_destination %[[RY]] in writable %[[Y]]
// CHECK: %[[RZ:.+]] = bufferization.materialize_in_destination %[[T]] in %[[TZ]]
// CHECK: bufferization.materialize_in_destination %[[RZ]] in writable %[[Z]]
// CHECK: return
// CHECK-NOT: %
func.func @main(%x: tensor<?xf32>, %n: index) -> (tensor<?xf32> {onnx.name = "y"}, tensor<?xf32>) {
  return %x, %x : tensor<?xf32>, tensor<?xf32>
}

// -----

// Two ops don't share the tensor that they start from.
// CHECK-LABEL: func.func @two
// CHECK-DAG: %[[E1:.+]] = tensor.empty
// CHECK-DAG: %[[E2:.+]] = tensor.empty
// CHECK: linalg.exp ins(%{{.+}} : tensor<4xf32>) outs(%[[A:.+]] : tensor<4xf32>)
// CHECK-NOT: outs(%[[A]] : tensor<4xf32>)
func.func @two(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %e = tensor.empty() : tensor<4xf32>
  %a = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %b = linalg.log ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  return %a, %b : tensor<4xf32>, tensor<4xf32>
}
