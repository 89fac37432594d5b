// RUN: sparse-opt %s --kernel-form-regions --split-input-file | FileCheck %s

#qk_q = affine_map<(b, h, m, n, k) -> (b, h, m, k)>
#qk_k = affine_map<(b, h, m, n, k) -> (b, h, k, n)>
#qk_s = affine_map<(b, h, m, n, k) -> (b, h, m, n)>
#pv_v = affine_map<(b, h, m, n, k) -> (b, h, k, n)>
#once = affine_map<(b, h, g, n, d) -> (b, h, 0, n, d)>
#all = affine_map<(b, h, g, n, d) -> (b, h, g, n, d)>

// Nine heads of q share three of k and v, which nobody repeats.
// CHECK-DAG: #[[$Q:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2, d4)>
// CHECK-DAG: #[[$K:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1 floordiv 3, d3, d4)>
// CHECK-DAG: #[[$V:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1 floordiv 3, d3, d5)>
// CHECK-DAG: #[[$OUT:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2, d5)>
// CHECK-LABEL: @groups
// CHECK-SAME: %[[QIN:[^:]+]]: tensor<?x9x?x64xf32>, %[[KIN:[^:]+]]: tensor<?x3x?x64xf32>, %[[VIN:[^:]+]]: tensor<?x3x?x64xf32>
// CHECK-NOT: linalg
// CHECK: kernel.attention %[[QIN]], %[[KIN]], %[[VIN]] outs
// CHECK-SAME: maps [#[[$Q]], #[[$K]], #[[$V]], #[[$OUT]]] score {
// CHECK-NOT: linalg
func.func @groups(%q: tensor<?x9x?x64xf32>, %kin: tensor<?x3x?x64xf32>, %vin: tensor<?x3x?x64xf32>, %b: index, %s: index) -> tensor<?x9x?x64xf32> {
  %zero = arith.constant 0.0 : f32
  %e5 = tensor.empty(%b, %s) : tensor<?x3x3x?x64xf32>
  %k5 = tensor.expand_shape %kin [[0], [1], [2, 3], [4]] output_shape [%b, 3, 1, %s, 64] : tensor<?x3x?x64xf32> into tensor<?x3x1x?x64xf32>
  %kr = linalg.generic {indexing_maps = [#once, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]}
      ins(%k5 : tensor<?x3x1x?x64xf32>) outs(%e5 : tensor<?x3x3x?x64xf32>) {
    ^bb0(%x: f32, %o: f32):
      linalg.yield %x : f32
  } -> tensor<?x3x3x?x64xf32>
  %kh = tensor.collapse_shape %kr [[0], [1, 2], [3], [4]] : tensor<?x3x3x?x64xf32> into tensor<?x9x?x64xf32>
  %ekt = tensor.empty(%b, %s) : tensor<?x9x64x?xf32>
  %kt = linalg.transpose ins(%kh : tensor<?x9x?x64xf32>) outs(%ekt : tensor<?x9x64x?xf32>) permutation = [0, 1, 3, 2]
  %v5 = tensor.expand_shape %vin [[0], [1], [2, 3], [4]] output_shape [%b, 3, 1, %s, 64] : tensor<?x3x?x64xf32> into tensor<?x3x1x?x64xf32>
  %vr = linalg.generic {indexing_maps = [#once, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel", "parallel"]}
      ins(%v5 : tensor<?x3x1x?x64xf32>) outs(%e5 : tensor<?x3x3x?x64xf32>) {
    ^bb0(%x: f32, %o: f32):
      linalg.yield %x : f32
  } -> tensor<?x3x3x?x64xf32>
  %vh = tensor.collapse_shape %vr [[0], [1, 2], [3], [4]] : tensor<?x3x3x?x64xf32> into tensor<?x9x?x64xf32>
  %ess = tensor.empty(%b, %s, %s) : tensor<?x9x?x?xf32>
  %fss = linalg.fill ins(%zero : f32) outs(%ess : tensor<?x9x?x?xf32>) -> tensor<?x9x?x?xf32>
  %scores = linalg.generic {indexing_maps = [#qk_q, #qk_k, #qk_s], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %kt : tensor<?x9x?x64xf32>, tensor<?x9x64x?xf32>) outs(%fss : tensor<?x9x?x?xf32>) {
    ^bb0(%x: f32, %y: f32, %acc: f32):
      %p = arith.mulf %x, %y : f32
      %t = arith.addf %acc, %p : f32
      linalg.yield %t : f32
  } -> tensor<?x9x?x?xf32>
  %softmax = linalg.softmax dimension(3) ins(%scores : tensor<?x9x?x?xf32>) outs(%ess : tensor<?x9x?x?xf32>) -> tensor<?x9x?x?xf32>
  %esd = tensor.empty(%b, %s) : tensor<?x9x?x64xf32>
  %fsd = linalg.fill ins(%zero : f32) outs(%esd : tensor<?x9x?x64xf32>) -> tensor<?x9x?x64xf32>
  %y = linalg.generic {indexing_maps = [#qk_q, #pv_v, #qk_s], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%softmax, %vh : tensor<?x9x?x?xf32>, tensor<?x9x?x64xf32>) outs(%fsd : tensor<?x9x?x64xf32>) {
    ^bb0(%x: f32, %z: f32, %acc: f32):
      %p = arith.mulf %x, %z : f32
      %t = arith.addf %acc, %p : f32
      linalg.yield %t : f32
  } -> tensor<?x9x?x64xf32>
  return %y : tensor<?x9x?x64xf32>
}

// -----

#q = affine_map<(h, m, n, k) -> (h, m, k)>
#k = affine_map<(h, m, n, k) -> (h, n, k)>
#v = affine_map<(h, m, n, k) -> (h, k, n)>
#s = affine_map<(h, m, n, k) -> (h, m, n)>
#once = affine_map<(g, h, n, d) -> (h, n, d)>
#all = affine_map<(g, h, n, d) -> (g, h, n, d)>

// Heads in turns, as in `h mod 3`, are no group: k and v are repeated.
// CHECK-LABEL: @heads_in_turns
// CHECK: %[[K:.+]] = tensor.collapse_shape
// CHECK: kernel.attention %{{.+}}, %[[K]], %[[K]] outs
func.func @heads_in_turns(%q: tensor<6x?x4xf32>, %kv: tensor<3x?x4xf32>, %s: index) -> tensor<6x?x4xf32> {
  %zero = arith.constant 0.0 : f32
  %e4 = tensor.empty(%s) : tensor<2x3x?x4xf32>
  %r = linalg.generic {indexing_maps = [#once, #all], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%kv : tensor<3x?x4xf32>) outs(%e4 : tensor<2x3x?x4xf32>) {
    ^bb0(%x: f32, %o: f32):
      linalg.yield %x : f32
  } -> tensor<2x3x?x4xf32>
  %k = tensor.collapse_shape %r [[0, 1], [2], [3]] : tensor<2x3x?x4xf32> into tensor<6x?x4xf32>
  %ess = tensor.empty(%s, %s) : tensor<6x?x?xf32>
  %fss = linalg.fill ins(%zero : f32) outs(%ess : tensor<6x?x?xf32>) -> tensor<6x?x?xf32>
  %scores = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<6x?x4xf32>, tensor<6x?x4xf32>) outs(%fss : tensor<6x?x?xf32>) {
    ^bb0(%x: f32, %y: f32, %acc: f32):
      %p = arith.mulf %x, %y : f32
      %t = arith.addf %acc, %p : f32
      linalg.yield %t : f32
  } -> tensor<6x?x?xf32>
  %softmax = linalg.softmax dimension(2) ins(%scores : tensor<6x?x?xf32>) outs(%ess : tensor<6x?x?xf32>) -> tensor<6x?x?xf32>
  %esd = tensor.empty(%s) : tensor<6x?x4xf32>
  %fsd = linalg.fill ins(%zero : f32) outs(%esd : tensor<6x?x4xf32>) -> tensor<6x?x4xf32>
  %y = linalg.generic {indexing_maps = [#q, #v, #s], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%softmax, %k : tensor<6x?x?xf32>, tensor<6x?x4xf32>) outs(%fsd : tensor<6x?x4xf32>) {
    ^bb0(%x: f32, %z: f32, %acc: f32):
      %p = arith.mulf %x, %z : f32
      %t = arith.addf %acc, %p : f32
      linalg.yield %t : f32
  } -> tensor<6x?x4xf32>
  return %y : tensor<6x?x4xf32>
}
