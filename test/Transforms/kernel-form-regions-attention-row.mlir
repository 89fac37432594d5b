// RUN: sparse-opt %s --kernel-form-regions | FileCheck %s

#q = affine_map<(m, n, k) -> (m, k)>
#k = affine_map<(m, n, k) -> (n, k)>
#v = affine_map<(m, n, k) -> (k, n)>
#s = affine_map<(m, n, k) -> (m, n)>

// One row stays a loop of the query, though its reshape has none for it.
// CHECK-DAG: #[[$ROWS:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d2, d4)>
// CHECK-LABEL: @one_row
// CHECK: %[[Q:.+]] = tensor.expand_shape
// CHECK: kernel.attention %[[Q]], {{.+}} maps [#[[$ROWS]],
func.func @one_row(%flat: tensor<4xf32>, %k: tensor<?x4xf32>, %v: tensor<?x4xf32>, %d: index) -> tensor<1x4xf32> {
  %q = tensor.expand_shape %flat [[0, 1]] output_shape [1, 4] : tensor<4xf32> into tensor<1x4xf32>
  %zero = arith.constant 0.0 : f32
  %ess = tensor.empty(%d) : tensor<1x?xf32>
  %fss = linalg.fill ins(%zero : f32) outs(%ess : tensor<1x?xf32>) -> tensor<1x?xf32>
  %scores = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<1x4xf32>, tensor<?x4xf32>) outs(%fss : tensor<1x?xf32>) {
    ^bb0(%x: f32, %y: f32, %acc: f32):
      %p = arith.mulf %x, %y : f32
      %t = arith.addf %acc, %p : f32
      linalg.yield %t : f32
  } -> tensor<1x?xf32>
  %softmax = linalg.softmax dimension(1) ins(%scores : tensor<1x?xf32>) outs(%ess : tensor<1x?xf32>) -> tensor<1x?xf32>
  %esd = tensor.empty() : tensor<1x4xf32>
  %fsd = linalg.fill ins(%zero : f32) outs(%esd : tensor<1x4xf32>) -> tensor<1x4xf32>
  %y = linalg.generic {indexing_maps = [#q, #v, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%softmax, %v : tensor<1x?xf32>, tensor<?x4xf32>) outs(%fsd : tensor<1x4xf32>) {
    ^bb0(%x: f32, %z: f32, %acc: f32):
      %p = arith.mulf %x, %z : f32
      %t = arith.addf %acc, %p : f32
      linalg.yield %t : f32
  } -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}
