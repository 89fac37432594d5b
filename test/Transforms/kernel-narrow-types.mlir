// RUN: sparse-opt %s -split-input-file --kernel-narrow-types=min-table-bytes=16 | FileCheck %s

// The first product's result is made in bf16, the second's stays f32; a
// constant's rows are paired, with a zero behind the odd one.
// CHECK-LABEL: @two_products
// CHECK-SAME: (%[[X:.+]]: tensor<?x1xf32>
// CHECK: %[[ROUNDED:.+]] = linalg.generic {{.+}} ins(%[[X]]
// CHECK: arith.truncf
// CHECK: %[[W0:.+]] = arith.constant dense<{{\[+}}1.000000e+00, 0.000000e+00], [2.000000e+00, 0.000000e+00]
// CHECK: %[[HIDDEN:.+]] = kernel.product %[[ROUNDED]], %[[W0]]
// CHECK: arith.truncf %{{.+}} : f32 to bf16
// CHECK: -> tensor<?x16xbf16>
// CHECK-NOT: linalg.generic
// CHECK: %[[W1:.+]] = arith.constant dense<5.000000e-01> : tensor<1x8x16x2xbf16>
// CHECK: kernel.product %[[HIDDEN]], %[[W1]]
// CHECK-NOT: truncf
// CHECK: -> tensor<?x16xf32>
func.func @two_products(%x: tensor<?x1xf32>, %rows: index) -> tensor<?x16xf32> {
  %w0 = arith.constant dense<[[[1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15., 16.]]]> : tensor<1x1x16xf32>
  %w1 = arith.constant dense<0.5> : tensor<1x16x16xf32>
  %empty = tensor.empty(%rows) : tensor<?x16xf32>
  %0 = kernel.product %x, %w0 outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x1xf32>, tensor<1x1x16xf32> -> tensor<?x16xf32>
  %1 = kernel.product %0, %w1 outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x16xf32>, tensor<1x16x16xf32> -> tensor<?x16xf32>
  return %1 : tensor<?x16xf32>
}

// -----

// A result that something else reads too stays f32 and is rounded once.
// CHECK-LABEL: @shared_result
// CHECK: %[[FIRST:.+]] = kernel.product {{.+}}
// CHECK: -> tensor<?x16xf32>
// CHECK: %[[ROUNDED:.+]] = linalg.generic {{.+}} ins(%[[FIRST]]
// CHECK: kernel.product %[[ROUNDED]]
// CHECK: kernel.product %[[ROUNDED]]
func.func @shared_result(%x: tensor<?x16xf32>, %rows: index) -> (tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  %w = arith.constant dense<0.5> : tensor<1x16x16xf32>
  %empty = tensor.empty(%rows) : tensor<?x16xf32>
  %0 = kernel.product %x, %w outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x16xf32>, tensor<1x16x16xf32> -> tensor<?x16xf32>
  %1 = kernel.product %0, %w outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x16xf32>, tensor<1x16x16xf32> -> tensor<?x16xf32>
  %2 = kernel.product %0, %w outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x16xf32>, tensor<1x16x16xf32> -> tensor<?x16xf32>
  return %0, %1, %2 : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}

// -----

// Reshapes move to bf16 with what they reshape.
// CHECK-LABEL: @attention
// CHECK: %[[QKV:.+]] = kernel.product
// CHECK: -> tensor<?x32xbf16>
// CHECK: %[[HEADS:.+]] = tensor.expand_shape %[[QKV]] {{.+}} : tensor<?x32xbf16> into tensor<1x?x2x16xbf16>
// CHECK: kernel.attention %[[HEADS]], %[[HEADS]], %[[HEADS]]
// CHECK: probability {
// CHECK: ^bb0(%[[P:.+]]: f32):
// CHECK: %[[BF16:.+]] = arith.truncf %[[P]] : f32 to bf16
// CHECK: kernel.yield %[[BF16]] : bf16
#q = affine_map<(b, h, m, n, d, e) -> (b, m, h, d)>
#k = affine_map<(b, h, m, n, d, e) -> (b, n, h, d)>
#v = affine_map<(b, h, m, n, d, e) -> (b, n, h, e)>
#out = affine_map<(b, h, m, n, d, e) -> (b, m, h, e)>
func.func @attention(%x: tensor<?x16xf32>, %rows: index) -> tensor<1x?x2x16xf32> {
  %w = arith.constant dense<0.5> : tensor<2x16x16xf32>
  %empty = tensor.empty(%rows) : tensor<?x32xf32>
  %0 = kernel.product %x, %w outs(%empty : tensor<?x32xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x16xf32>, tensor<2x16x16xf32> -> tensor<?x32xf32>
  %heads = tensor.expand_shape %0 [[0, 1], [2, 3]] output_shape [1, %rows, 2, 16] : tensor<?x32xf32> into tensor<1x?x2x16xf32>
  %init = tensor.empty(%rows) : tensor<1x?x2x16xf32>
  %y = kernel.attention %heads, %heads, %heads outs(%init : tensor<1x?x2x16xf32>) maps [#q, #k, #v, #out]
      score {
    ^bb0(%s: f32):
      kernel.yield %s : f32
  } probability {
    ^bb0(%p: f32):
      kernel.yield %p : f32
  } : tensor<1x?x2x16xf32>, tensor<1x?x2x16xf32>, tensor<1x?x2x16xf32> -> tensor<1x?x2x16xf32>
  return %y : tensor<1x?x2x16xf32>
}

// -----

// A weight that isn't constant stays as it is.
// CHECK-LABEL: @not_constant
// CHECK-NOT: bf16
func.func @not_constant(%x: tensor<?x16xf32>, %w: tensor<1x16x16xf32>, %rows: index) -> tensor<?x16xf32> {
  %empty = tensor.empty(%rows) : tensor<?x16xf32>
  %0 = kernel.product %x, %w outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x16xf32>, tensor<1x16x16xf32> -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}

// -----

// A table is looked up in bf16; one that is read otherwise stays as it is, and
// so does a small one.
// CHECK-LABEL: @tables
// CHECK-DAG: %[[TABLE:.+]] = arith.constant dense<{{.+}}> : tensor<2x2xbf16>
// CHECK-DAG: %[[READ:.+]] = arith.constant dense_resource<read> : tensor<2x2xf32>
// CHECK-DAG: %[[SMALL:.+]] = arith.constant dense_resource<small> : tensor<2xf32>
// CHECK: %[[NARROW:.+]] = tensor.extract %[[TABLE]]
// CHECK: arith.extf %[[NARROW]] : bf16 to f32
// CHECK: tensor.extract %[[READ]]
// CHECK: tensor.extract %[[SMALL]]
func.func @tables(%i: index) -> (f32, f32, f32, tensor<2x2xf32>) {
  %table = arith.constant dense_resource<table> : tensor<2x2xf32>
  %read = arith.constant dense_resource<read> : tensor<2x2xf32>
  %small = arith.constant dense_resource<small> : tensor<2xf32>
  %a = tensor.extract %table[%i, %i] : tensor<2x2xf32>
  %b = tensor.extract %read[%i, %i] : tensor<2x2xf32>
  %c = tensor.extract %small[%i] : tensor<2xf32>
  return %a, %b, %c, %read : f32, f32, f32, tensor<2x2xf32>
}
{-#
  dialect_resources: {
    builtin: {
      table: "0x040000000000803F000000400000404000008040",
      read: "0x040000000000803F000000400000404000008040",
      small: "0x040000000000803F00000040"
    }
  }
#-}

// -----

// What selected neurons are worth is rounded as a product's operand would be,
// and stays f32.
// CHECK-LABEL: @selected
// CHECK: kernel.select
// CHECK: %[[SHORT:.+]] = arith.truncf %[[VALUE:.+]] : f32 to bf16
// CHECK: %[[LONG:.+]] = arith.extf %[[SHORT]] : bf16 to f32
// CHECK: kernel.yield %{{.+}}, %[[LONG]]
// CHECK: kernel.selected_sum
// CHECK-NOT: truncf
// CHECK: {bf16_values}
func.func @selected(%g: tensor<?x64xf32>, %rows: index) -> tensor<?x64xf32> {
  %w = arith.constant dense<0.5> : tensor<64x64xf32>
  %l = tensor.empty() : tensor<64xi32>
  %n = tensor.empty() : tensor<i32>
  %v = tensor.empty(%rows) : tensor<?x64xf32>
  %zero = arith.constant 0.0 : f32
  %list, %count, %values = kernel.select %g outs(%l, %n, %v : tensor<64xi32>, tensor<i32>, tensor<?x64xf32>) {
  ^bb0(%s: f32):
    %keep = arith.cmpf une, %s, %zero : f32
    kernel.yield %keep, %s : i1, f32
  } : tensor<?x64xf32> -> tensor<64xi32>, tensor<i32>, tensor<?x64xf32>
  %y = kernel.selected_sum %values, %w of(%list, %count) outs(%v : tensor<?x64xf32>) {
  ^bb0(%sum: f32):
    kernel.yield %sum : f32
  } : tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xi32>, tensor<i32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// Two sums of the same values, those of gate and up: they are rounded once.
// CHECK-LABEL: @selected_for_two
// CHECK: %[[SHORT:.+]] = arith.truncf %[[X:.+]] : f32 to bf16
// CHECK: %[[LONG:.+]] = arith.extf %[[SHORT]] : bf16 to f32
// CHECK: kernel.yield %{{.+}}, %[[LONG]]
// CHECK-NOT: truncf
func.func @selected_for_two(%x: tensor<?x64xf32>, %rows: index) -> (tensor<?x64xf32>, tensor<?x64xf32>) {
  %gate = arith.constant dense<0.5> : tensor<64x64xf32>
  %up = arith.constant dense<0.25> : tensor<64x64xf32>
  %l = tensor.empty() : tensor<64xi32>
  %n = tensor.empty() : tensor<i32>
  %v = tensor.empty(%rows) : tensor<?x64xf32>
  %zero = arith.constant 0.0 : f32
  %list, %count, %values = kernel.select %x outs(%l, %n, %v : tensor<64xi32>, tensor<i32>, tensor<?x64xf32>) {
  ^bb0(%s: f32):
    %keep = arith.cmpf une, %s, %zero : f32
    kernel.yield %keep, %s : i1, f32
  } : tensor<?x64xf32> -> tensor<64xi32>, tensor<i32>, tensor<?x64xf32>
  %g = kernel.selected_sum %values, %gate of(%list, %count) outs(%v : tensor<?x64xf32>) {
  ^bb0(%sum: f32):
    kernel.yield %sum : f32
  } : tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xi32>, tensor<i32> -> tensor<?x64xf32>
  %u = kernel.selected_sum %values, %up of(%list, %count) outs(%v : tensor<?x64xf32>) {
  ^bb0(%sum: f32):
    kernel.yield %sum : f32
  } : tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xi32>, tensor<i32> -> tensor<?x64xf32>
  return %g, %u : tensor<?x64xf32>, tensor<?x64xf32>
}
