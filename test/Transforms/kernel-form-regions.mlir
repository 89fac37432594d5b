// RUN: sparse-opt %s --kernel-form-regions --cse --split-input-file | FileCheck %s

#x = affine_map<(b, s, n, k) -> (b, s, k)>
#w = affine_map<(b, s, n, k) -> (k, n)>
#y = affine_map<(b, s, n, k) -> (b, s, n)>
#i = affine_map<(b, s, n) -> (b, s, n)>
#n = affine_map<(b, s, n) -> (n)>

// Bias, an activation that uses its input twice and a residual are one
// epilogue; the second use of the result ends it.
// CHECK-LABEL: @bias_gelu_residual
// CHECK-SAME: %[[X:[^:]+]]: tensor<?x?x2xf32>, %[[R:[^:]+]]: tensor<?x?x3xf32>, %[[B:[^:]+]]: tensor<3xf32>
// CHECK-DAG: %[[W:.+]] = arith.constant dense<{{\[\[}}[1.000000e+00, 2.000000e+00, 3.000000e+00, 0.000000e+00,
// CHECK-DAG: %[[RC:.+]] = tensor.collapse_shape %[[R]] {{\[\[}}0, 1], [2]]
// CHECK-DAG: %[[XC:.+]] = tensor.collapse_shape %[[X]] {{\[\[}}0, 1], [2]]
// CHECK: %[[Y:.+]] = kernel.product %[[XC]], %[[W]] epilogue(%[[B]], %[[RC]] : tensor<3xf32>, tensor<?x3xf32>)
// CHECK-NEXT: ^bb0(%[[ACC:.+]]: f32, %[[BIAS:.+]]: f32, %[[RES:.+]]: f32):
// CHECK-NEXT: %[[S:.+]] = arith.addf %[[ACC]], %[[BIAS]]
// CHECK-NEXT: %[[E:.+]] = math.erf %[[S]]
// CHECK-NEXT: %[[G:.+]] = arith.mulf %[[S]], %[[E]]
// CHECK-NEXT: %[[T:.+]] = arith.addf %[[G]], %[[RES]]
// CHECK-NEXT: kernel.yield %[[T]]
// CHECK: %[[Z:.+]] = tensor.expand_shape %[[Y]] {{\[\[}}0, 1], [2]]
// CHECK: linalg.generic {{.*}} ins(%[[Z]], %[[Z]]
func.func @bias_gelu_residual(%x: tensor<?x?x2xf32>, %r: tensor<?x?x3xf32>, %b: tensor<3xf32>, %d0: index, %d1: index) -> (tensor<?x?x3xf32>, tensor<?x?x3xf32>) {
  %w = arith.constant dense<[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]> : tensor<2x3xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%d0, %d1) : tensor<?x?x3xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x?x3xf32>) -> tensor<?x?x3xf32>
  %m = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x?x2xf32>, tensor<2x3xf32>) outs(%f : tensor<?x?x3xf32>) {
    ^bb0(%a: f32, %c: f32, %acc: f32):
      %p = arith.mulf %a, %c : f32
      %q = arith.addf %acc, %p : f32
      linalg.yield %q : f32
  } -> tensor<?x?x3xf32>
  %bias = linalg.generic {indexing_maps = [#i, #n, #i], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%m, %b : tensor<?x?x3xf32>, tensor<3xf32>) outs(%e : tensor<?x?x3xf32>) {
    ^bb0(%a: f32, %c: f32, %o: f32):
      %p = arith.addf %a, %c : f32
      linalg.yield %p : f32
  } -> tensor<?x?x3xf32>
  %erf = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%bias : tensor<?x?x3xf32>) outs(%e : tensor<?x?x3xf32>) {
    ^bb0(%a: f32, %o: f32):
      %p = math.erf %a : f32
      linalg.yield %p : f32
  } -> tensor<?x?x3xf32>
  %gelu = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%bias, %erf : tensor<?x?x3xf32>, tensor<?x?x3xf32>) outs(%e : tensor<?x?x3xf32>) {
    ^bb0(%a: f32, %c: f32, %o: f32):
      %p = arith.mulf %a, %c : f32
      linalg.yield %p : f32
  } -> tensor<?x?x3xf32>
  %res = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%gelu, %r : tensor<?x?x3xf32>, tensor<?x?x3xf32>) outs(%e : tensor<?x?x3xf32>) {
    ^bb0(%a: f32, %c: f32, %o: f32):
      %p = arith.addf %a, %c : f32
      linalg.yield %p : f32
  } -> tensor<?x?x3xf32>
  %square = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%res, %res : tensor<?x?x3xf32>, tensor<?x?x3xf32>) outs(%e : tensor<?x?x3xf32>) {
    ^bb0(%a: f32, %c: f32, %o: f32):
      %p = arith.mulf %a, %c : f32
      linalg.yield %p : f32
  } -> tensor<?x?x3xf32>
  return %res, %square : tensor<?x?x3xf32>, tensor<?x?x3xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>
#i = affine_map<(m, n) -> (m, n)>
#row = affine_map<(m, n) -> (m, 0)>

// An operand with one value a row isn't the epilogue's; a transposed constant
// is packed as what it stands for.
// CHECK-LABEL: @row_factor_and_transposed_weight
// CHECK: arith.constant dense<{{\[\[}}[1.000000e+00, 3.000000e+00, 5.000000e+00, 0.000000e+00,
// CHECK: %[[Y:.+]] = kernel.product
// CHECK-NEXT: ^bb0(%[[ACC:.+]]: f32):
// CHECK-NEXT: kernel.yield %[[ACC]]
// CHECK: linalg.generic {{.*}} ins(%[[Y]], %{{.+}}
func.func @row_factor_and_transposed_weight(%x: tensor<?x2xf32>, %r: tensor<?x1xf32>, %d: index) -> tensor<?x3xf32> {
  %c = arith.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>
  %zero = arith.constant 0.0 : f32
  %te = tensor.empty() : tensor<2x3xf32>
  %w = linalg.transpose ins(%c : tensor<3x2xf32>) outs(%te : tensor<2x3xf32>) permutation = [1, 0]
  %e = tensor.empty(%d) : tensor<?x3xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x3xf32>) -> tensor<?x3xf32>
  %m = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x2xf32>, tensor<2x3xf32>) outs(%f : tensor<?x3xf32>) {
    ^bb0(%a: f32, %b: f32, %acc: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %acc, %p : f32
      linalg.yield %q : f32
  } -> tensor<?x3xf32>
  %scaled = linalg.generic {indexing_maps = [#i, #row, #i], iterator_types = ["parallel", "parallel"]}
      ins(%m, %r : tensor<?x3xf32>, tensor<?x1xf32>) outs(%e : tensor<?x3xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %p = arith.mulf %a, %b : f32
      linalg.yield %p : f32
  } -> tensor<?x3xf32>
  return %scaled : tensor<?x3xf32>
}

// -----

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#y = affine_map<(m, n, k) -> (m, n)>

// CHECK-LABEL: @weight_that_is_not_constant_stays
// CHECK-NOT: kernel.product
// CHECK: linalg.generic
func.func @weight_that_is_not_constant_stays(%x: tensor<?x2xf32>, %w: tensor<2x3xf32>, %d: index) -> tensor<?x3xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty(%d) : tensor<?x3xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x3xf32>) -> tensor<?x3xf32>
  %m = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x2xf32>, tensor<2x3xf32>) outs(%f : tensor<?x3xf32>) {
    ^bb0(%a: f32, %b: f32, %acc: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %acc, %p : f32
      linalg.yield %q : f32
  } -> tensor<?x3xf32>
  return %m : tensor<?x3xf32>
}
