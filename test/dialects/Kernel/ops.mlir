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

// CHECK-LABEL: @product_of_rows
// CHECK: kernel.product %{{.+}}, %{{.+}} outs(
// CHECK: kernel.product %{{.+}}, %{{.+}} by_input outs(
func.func @product_of_rows(%x: tensor<?x8xf32>, %w: tensor<40x16xf32>, %v: tensor<40x16xf32>, %m: tensor<?x40xf32>, %out: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %h = kernel.product %x, %w outs(%m : tensor<?x40xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x8xf32>, tensor<40x16xf32> -> tensor<?x40xf32>
  %y = kernel.product %h, %v by_input outs(%out : tensor<?x8xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x40xf32>, tensor<40x16xf32> -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
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

#q = affine_map<(b, h, m, n, d, e) -> (b, m, h, d)>
#k = affine_map<(b, h, m, n, d, e) -> (b, n, h, d)>
#v = affine_map<(b, h, m, n, d, e) -> (b, n, h, e)>
#mask = affine_map<(b, h, m, n, d, e) -> (b, 0, 0, n)>
#out = affine_map<(b, h, m, n, d, e) -> (b, m, h, e)>
// CHECK-LABEL: @attention
// CHECK: kernel.attention %{{.+}}, %{{.+}}, %{{.+}} extras(%{{.+}} : tensor<?x1x1x?xf32>) outs(%{{.+}} : tensor<?x?x12x32xf32>)
// CHECK-SAME: maps [#{{.+}}, #{{.+}}, #{{.+}}, #{{.+}}, #{{.+}}] score
func.func @attention(%q: tensor<?x?x12x32xf32>, %mask: tensor<?x1x1x?xf32>, %init: tensor<?x?x12x32xf32>) -> tensor<?x?x12x32xf32> {
  %y = kernel.attention %q, %q, %q extras(%mask : tensor<?x1x1x?xf32>) outs(%init : tensor<?x?x12x32xf32>) maps [#q, #k, #v, #mask, #out] score {
  ^bb0(%s: f32, %a: f32):
    %t = arith.addf %s, %a : f32
    kernel.yield %t : f32
  } probability {
  ^bb0(%p: f32):
    kernel.yield %p : f32
  } : tensor<?x?x12x32xf32>, tensor<?x?x12x32xf32>, tensor<?x?x12x32xf32> -> tensor<?x?x12x32xf32>
  return %y : tensor<?x?x12x32xf32>
}
