// RUN: sparse-opt %s -split-input-file --kernel-externalize-weights=min-bytes=16 | FileCheck %s

// Equal contents are stored once, splats are made, small constants stay.
// CHECK: kernel.weights = [{offset = 0 : i64, resource = dense<[1.0{{.*}}> : tensor<4xf32>}, {offset = 64 : i64, resource = dense<{{.*}}> : tensor<8xi64>}]
// CHECK-SAME: kernel.weights_size = 128 : i64
// CHECK: func.func @main(%[[X:.+]]: tensor<4xf32>, %[[BASE:.+]]: memref<?xi8> {kernel.weights_base})
// CHECK-DAG: %[[C0:.+]] = arith.constant 0 : index
// CHECK-DAG: %[[C64:.+]] = arith.constant 64 : index
// CHECK-DAG: %[[V0:.+]] = memref.view %[[BASE]][%[[C0]]][] : memref<?xi8> to memref<4xf32>
// CHECK-DAG: %[[T0:.+]] = bufferization.to_tensor %[[V0]] restrict : memref<4xf32> to tensor<4xf32>
// CHECK-DAG: %[[V1:.+]] = memref.view %[[BASE]][%[[C64]]][] : memref<?xi8> to memref<8xi64>
// CHECK: %[[SMALL:.+]] = arith.constant dense<[1.000000e+00, 2.000000e+00]>
// CHECK: %[[SPLAT:.+]] = linalg.fill
// CHECK: return %[[T0]], %[[T0]], %{{.+}}, %[[SMALL]], %[[SPLAT]]
func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<8xi64>, tensor<2xf32>, tensor<64xf32>) {
  %a = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %b = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %c = arith.constant dense<[1, 2, 3, 4, 5, 6, 7, 8]> : tensor<8xi64>
  %d = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %e = arith.constant dense<7.0> : tensor<64xf32>
  return %a, %b, %c, %d, %e : tensor<4xf32>, tensor<4xf32>, tensor<8xi64>, tensor<2xf32>, tensor<64xf32>
}

// -----

// They lie in the order of their uses, the smaller ones of an op first.
// CHECK: kernel.weights = [
// CHECK-SAME: {offset = 0 : i64, resource = dense<{{.+}}> : tensor<4xf32>}
// CHECK-SAME: {offset = 64 : i64, resource = dense<{{.+}}> : tensor<2x4xf32>}
// CHECK-SAME: {offset = 128 : i64, resource = dense<{{.+}}> : tensor<8xf32>}
// CHECK: @in_order
func.func @in_order() -> f32 {
  %last = arith.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<8xf32>
  %matrix = arith.constant dense<[[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]]> : tensor<2x4xf32>
  %vector = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %i = arith.constant 0 : index
  %0 = tensor.insert_slice %vector into %matrix[0, 0] [1, 4] [1, 1] : tensor<4xf32> into tensor<2x4xf32>
  %1 = tensor.extract %0[%i, %i] : tensor<2x4xf32>
  %2 = tensor.extract %last[%i] : tensor<8xf32>
  %3 = arith.addf %1, %2 : f32
  return %3 : f32
}
