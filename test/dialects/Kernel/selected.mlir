// RUN: sparse-opt %s --verify-roundtrip | FileCheck %s
// RUN: sparse-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" | FileCheck %s --check-prefix=BUFFER

// CHECK-LABEL: @gate_first
// CHECK: %[[S:.+]]:3 = kernel.select %{{.+}} extras(%{{.+}} : f32) outs(%{{.+}}, %{{.+}}, %{{.+}} : tensor<32xi32>, tensor<i32>, tensor<?x32xf32>)
// CHECK: kernel.selected_product %{{.+}}, %{{.+}} of(%[[S]]#0, %[[S]]#1) epilogue(%[[S]]#2 : tensor<?x32xf32>) outs(%{{.+}} : tensor<?x32xf32>)
// CHECK: kernel.selected_sum %{{.+}}, %{{.+}} of(%[[S]]#0, %[[S]]#1) epilogue(%{{.+}} : tensor<8xf32>) outs(%{{.+}} : tensor<?x8xf32>)

// Every result is in the buffer of its output.
// BUFFER-LABEL: @gate_first
// BUFFER-NOT: memref.copy
// BUFFER: %[[L:.+]] = memref.alloc() {{.*}} : memref<32xi32>
// BUFFER: %[[N:.+]] = memref.alloc() {{.*}} : memref<i32>
// BUFFER: %[[V:.+]] = memref.alloc({{.+}}) {{.*}} : memref<?x32xf32>
// BUFFER: kernel.select %{{.+}} extras(%{{.+}} : f32) outs(%[[L]], %[[N]], %[[V]] : memref<32xi32>, memref<i32>, memref<?x32xf32>)
// BUFFER: %[[M:.+]] = memref.alloc({{.+}}) {{.*}} : memref<?x32xf32>
// BUFFER: kernel.selected_product %{{.+}}, %{{.+}} of(%[[L]], %[[N]]) epilogue(%[[V]] : memref<?x32xf32>) outs(%[[M]] : memref<?x32xf32>)
// BUFFER: kernel.selected_sum %[[M]], %{{.+}} of(%[[L]], %[[N]])
// BUFFER-NOT: memref.copy
func.func @gate_first(%g: tensor<?x32xf32>, %t: f32, %x: tensor<?x8xf32>, %wu: tensor<32x16xf32>, %wd: tensor<32x16xf32>, %b: tensor<8xf32>, %out: tensor<?x8xf32> {bufferization.writable = true}) -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %rows = tensor.dim %x, %c0 : tensor<?x8xf32>
  %l = tensor.empty() : tensor<32xi32>
  %n = tensor.empty() : tensor<i32>
  %v = tensor.empty(%rows) : tensor<?x32xf32>
  %list, %count, %values = kernel.select %g extras(%t : f32)
      outs(%l, %n, %v : tensor<32xi32>, tensor<i32>, tensor<?x32xf32>) {
  ^bb0(%s: f32, %threshold: f32):
    %a = math.absf %s : f32
    %keep = arith.cmpf ogt, %a, %threshold : f32
    kernel.yield %keep, %s : i1, f32
  } : tensor<?x32xf32> -> tensor<32xi32>, tensor<i32>, tensor<?x32xf32>
  %i = tensor.empty(%rows) : tensor<?x32xf32>
  %m = kernel.selected_product %x, %wu of(%list, %count)
      epilogue(%values : tensor<?x32xf32>) outs(%i : tensor<?x32xf32>) {
  ^bb0(%up: f32, %gate: f32):
    %p = arith.mulf %up, %gate : f32
    kernel.yield %p : f32
  } : tensor<?x8xf32>, tensor<32x16xf32>, tensor<32xi32>, tensor<i32> -> tensor<?x32xf32>
  %y = kernel.selected_sum %m, %wd of(%list, %count)
      epilogue(%b : tensor<8xf32>) outs(%out : tensor<?x8xf32>) {
  ^bb0(%sum: f32, %bias: f32):
    %p = arith.addf %sum, %bias : f32
    kernel.yield %p : f32
  } : tensor<?x32xf32>, tensor<32x16xf32>, tensor<32xi32>, tensor<i32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
