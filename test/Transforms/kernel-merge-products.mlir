// RUN: sparse-opt %s -split-input-file --kernel-merge-products | FileCheck %s

#q = affine_map<(b, h, m, n, d, e) -> (b, m, h, d)>
#k = affine_map<(b, h, m, n, d, e) -> (b, n, h, d)>
#v = affine_map<(b, h, m, n, d, e) -> (b, n, h, e)>
#o = affine_map<(b, h, m, n, d, e) -> (b, m, h, e)>

// Query, key and value: the panels one after another, the biases too.
// CHECK-LABEL: @attention
// CHECK-SAME: %[[X:.+]]: tensor<?x1xf32>
// CHECK: %[[W:.+]] = arith.constant dense<{{\[+}}0.000000e+00, 1.000000e+00{{.+}}1.500000e+01]], {{\[+}}1.600000e+01
// CHECK: %[[B:.+]] = arith.constant {{.+}} : tensor<48xf32>
// CHECK: %[[ALL:.+]] = kernel.product %[[X]], %[[W]] epilogue(%[[B]] : tensor<48xf32>)
// CHECK: -> tensor<?x48xf32>
// CHECK: tensor.extract_slice %[[ALL]][0, 0] [%{{.+}}, 16] [1, 1]
// CHECK: tensor.extract_slice %[[ALL]][0, 16] [%{{.+}}, 16] [1, 1]
// CHECK: tensor.extract_slice %[[ALL]][0, 32] [%{{.+}}, 16] [1, 1]
// CHECK-NOT: kernel.product
// CHECK: kernel.attention
func.func @attention(%x: tensor<?x1xf32>, %rows: index, %a: index, %c: index, %out: tensor<?x?x2x8xf32>) -> tensor<?x?x2x8xf32> {
  %wq = arith.constant dense<[[[0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.]]]> : tensor<1x1x16xf32>
  %wk = arith.constant dense<[[[16., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.]]]> : tensor<1x1x16xf32>
  %wv = arith.constant dense<[[[32., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.]]]> : tensor<1x1x16xf32>
  %bq = arith.constant dense<[0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.]> : tensor<16xf32>
  %bk = arith.constant dense<[16., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.]> : tensor<16xf32>
  %empty = tensor.empty(%rows) : tensor<?x16xf32>
  %q = kernel.product %x, %wq epilogue(%bq : tensor<16xf32>) outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    kernel.yield %s : f32
  } : tensor<?x1xf32>, tensor<1x1x16xf32> -> tensor<?x16xf32>
  %k = kernel.product %x, %wk epilogue(%bk : tensor<16xf32>) outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    kernel.yield %s : f32
  } : tensor<?x1xf32>, tensor<1x1x16xf32> -> tensor<?x16xf32>
  %v = kernel.product %x, %wv epilogue(%bk : tensor<16xf32>) outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    kernel.yield %s : f32
  } : tensor<?x1xf32>, tensor<1x1x16xf32> -> tensor<?x16xf32>
  %q4 = tensor.expand_shape %q [[0, 1], [2, 3]] output_shape [%a, %c, 2, 8] : tensor<?x16xf32> into tensor<?x?x2x8xf32>
  %k4 = tensor.expand_shape %k [[0, 1], [2, 3]] output_shape [%a, %c, 2, 8] : tensor<?x16xf32> into tensor<?x?x2x8xf32>
  %v4 = tensor.expand_shape %v [[0, 1], [2, 3]] output_shape [%a, %c, 2, 8] : tensor<?x16xf32> into tensor<?x?x2x8xf32>
  %y = kernel.attention %q4, %k4, %v4 outs(%out : tensor<?x?x2x8xf32>) maps [#q, #k, #v, #o] score {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  } probability {
  ^bb0(%p: f32):
    kernel.yield %p : f32
  } : tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32>, tensor<?x?x2x8xf32> -> tensor<?x?x2x8xf32>
  return %y : tensor<?x?x2x8xf32>
}

// -----

// Not: another epilogue, part of a panel, a result that is the caller's.
// CHECK-LABEL: @alone
// CHECK-COUNT-4: kernel.product
func.func @alone(%x: tensor<?x1xf32>, %rows: index, %out: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %w = arith.constant dense<[[[0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.]]]> : tensor<1x1x16xf32>
  %two = arith.constant 2.0 : f32
  %empty = tensor.empty(%rows) : tensor<?x16xf32>
  %narrow = tensor.empty(%rows) : tensor<?x15xf32>
  %0 = kernel.product %x, %w outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x1xf32>, tensor<1x1x16xf32> -> tensor<?x16xf32>
  %1 = kernel.product %x, %w outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    %s = arith.mulf %acc, %two : f32
    kernel.yield %s : f32
  } : tensor<?x1xf32>, tensor<1x1x16xf32> -> tensor<?x16xf32>
  %2 = kernel.product %x, %w outs(%narrow : tensor<?x15xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x1xf32>, tensor<1x1x16xf32> -> tensor<?x15xf32>
  %3 = kernel.product %x, %w outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x1xf32>, tensor<1x1x16xf32> -> tensor<?x16xf32>
  %4 = linalg.add ins(%0, %1 : tensor<?x16xf32>, tensor<?x16xf32>) outs(%out : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %3, %4 : tensor<?x16xf32>, tensor<?x16xf32>
}
