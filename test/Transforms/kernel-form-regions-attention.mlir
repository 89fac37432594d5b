// RUN: sparse-opt %s --kernel-form-regions --split-input-file | FileCheck %s

#qk_q = affine_map<(b, h, m, n, k) -> (b, h, m, k)>
#qk_k = affine_map<(b, h, m, n, k) -> (b, h, k, n)>
#qk_s = affine_map<(b, h, m, n, k) -> (b, h, m, n)>
#pv_v = affine_map<(b, h, m, n, k) -> (b, h, k, n)>
#i = affine_map<(b, h, m, n) -> (b, h, m, n)>
#mask = affine_map<(b, h, m, n) -> (b, 0, 0, n)>

// The transpositions of q, k, v and the output, k's detour over three
// dimensions and the factors are gone into maps and score.
// CHECK-DAG: #[[$Q:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d2, d1, d4)>
// CHECK-DAG: #[[$K:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d3, d1, d4)>
// CHECK-DAG: #[[$V:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d3, d1, d5)>
// CHECK-DAG: #[[$MASK:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, 0, 0, d3)>
// CHECK-DAG: #[[$OUT:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d2, d1, d5)>
// CHECK-LABEL: @layouts_masks_and_factors
// CHECK-SAME: %[[QIN:[^:]+]]: tensor<?x?x12x32xf32>, %[[KIN:[^:]+]]: tensor<?x?x12x32xf32>, %[[VIN:[^:]+]]: tensor<?x?x12x32xf32>, %[[M:[^:]+]]: tensor<?x1x1x?xf32>
// CHECK-NOT: linalg
// CHECK: %[[Y:.+]] = kernel.attention %[[QIN]], %[[KIN]], %[[VIN]] extras(%[[M]] : tensor<?x1x1x?xf32>)
// CHECK-SAME: outs(%{{.+}} : tensor<?x?x12x32xf32>) maps [#[[$Q]], #[[$K]], #[[$V]], #[[$MASK]], #[[$OUT]]] score {
// CHECK-NEXT: ^bb0(%[[S:.+]]: f32, %[[A:.+]]: f32):
// CHECK-NEXT: %[[C:.+]] = arith.constant 5.000000e-01 : f32
// CHECK-NEXT: %[[T:.+]] = arith.mulf %[[S]], %[[C]]
// CHECK-NEXT: arith.addf %[[T]], %[[A]]
// CHECK: } probability {
// CHECK: arith.cmpf uno
// CHECK: arith.select
// CHECK: tensor.collapse_shape %[[Y]] {{\[\[}}0], [1], [2, 3]]
// CHECK-NOT: linalg
func.func @layouts_masks_and_factors(%qin: tensor<?x?x12x32xf32>, %kin: tensor<?x?x12x32xf32>, %vin: tensor<?x?x12x32xf32>, %mask: tensor<?x1x1x?xf32>, %b: index, %s: index) -> tensor<?x?x384xf32> {
  %zero = arith.constant 0.0 : f32
  %half = arith.constant 5.000000e-01 : f32
  %ehsd = tensor.empty(%b, %s) : tensor<?x12x?x32xf32>
  %q = linalg.transpose ins(%qin : tensor<?x?x12x32xf32>) outs(%ehsd : tensor<?x12x?x32xf32>) permutation = [0, 2, 1, 3]
  %kt = linalg.transpose ins(%kin : tensor<?x?x12x32xf32>) outs(%ehsd : tensor<?x12x?x32xf32>) permutation = [0, 2, 1, 3]
  %v = linalg.transpose ins(%vin : tensor<?x?x12x32xf32>) outs(%ehsd : tensor<?x12x?x32xf32>) permutation = [0, 2, 1, 3]
  %bh = arith.muli %b, %s : index
  %k3 = tensor.collapse_shape %kt [[0, 1], [2], [3]] : tensor<?x12x?x32xf32> into tensor<?x?x32xf32>
  %e3 = tensor.empty(%bh, %s) : tensor<?x32x?xf32>
  %k3t = linalg.transpose ins(%k3 : tensor<?x?x32xf32>) outs(%e3 : tensor<?x32x?xf32>) permutation = [0, 2, 1]
  %k = tensor.expand_shape %k3t [[0, 1], [2], [3]] output_shape [%b, 12, 32, %s] : tensor<?x32x?xf32> into tensor<?x12x32x?xf32>
  %ehds = tensor.empty(%b, %s) : tensor<?x12x32x?xf32>
  %kscaled = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%k : tensor<?x12x32x?xf32>) outs(%ehds : tensor<?x12x32x?xf32>) {
    ^bb0(%x: f32, %o: f32):
      %p = arith.mulf %x, %half : f32
      linalg.yield %p : f32
  } -> tensor<?x12x32x?xf32>
  %ess = tensor.empty(%b, %s, %s) : tensor<?x12x?x?xf32>
  %fss = linalg.fill ins(%zero : f32) outs(%ess : tensor<?x12x?x?xf32>) -> tensor<?x12x?x?xf32>
  %scores = linalg.generic {indexing_maps = [#qk_q, #qk_k, #qk_s], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%q, %kscaled : tensor<?x12x?x32xf32>, tensor<?x12x32x?xf32>) outs(%fss : tensor<?x12x?x?xf32>) {
    ^bb0(%x: f32, %y: f32, %acc: f32):
      %p = arith.mulf %x, %y : f32
      %t = arith.addf %acc, %p : f32
      linalg.yield %t : f32
  } -> tensor<?x12x?x?xf32>
  %masked = linalg.generic {indexing_maps = [#i, #mask, #i], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%scores, %mask : tensor<?x12x?x?xf32>, tensor<?x1x1x?xf32>) outs(%ess : tensor<?x12x?x?xf32>) {
    ^bb0(%x: f32, %y: f32, %o: f32):
      %p = arith.addf %x, %y : f32
      linalg.yield %p : f32
  } -> tensor<?x12x?x?xf32>
  %softmax = linalg.softmax dimension(3) ins(%masked : tensor<?x12x?x?xf32>) outs(%ess : tensor<?x12x?x?xf32>) -> tensor<?x12x?x?xf32>
  %ei1 = tensor.empty(%b, %s, %s) : tensor<?x12x?x?xi1>
  %isnan = linalg.generic {indexing_maps = [#i, #i], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%softmax : tensor<?x12x?x?xf32>) outs(%ei1 : tensor<?x12x?x?xi1>) {
    ^bb0(%x: f32, %o: i1):
      %p = arith.cmpf uno, %x, %x : f32
      linalg.yield %p : i1
  } -> tensor<?x12x?x?xi1>
  %prob = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%isnan, %softmax : tensor<?x12x?x?xi1>, tensor<?x12x?x?xf32>) outs(%ess : tensor<?x12x?x?xf32>) {
    ^bb0(%n: i1, %x: f32, %o: f32):
      %p = arith.select %n, %zero, %x : f32
      linalg.yield %p : f32
  } -> tensor<?x12x?x?xf32>
  %fsd = linalg.fill ins(%zero : f32) outs(%ehsd : tensor<?x12x?x32xf32>) -> tensor<?x12x?x32xf32>
  %heads = linalg.generic {indexing_maps = [#qk_q, #pv_v, #qk_s], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%prob, %v : tensor<?x12x?x?xf32>, tensor<?x12x?x32xf32>) outs(%fsd : tensor<?x12x?x32xf32>) {
    ^bb0(%x: f32, %y: f32, %acc: f32):
      %p = arith.mulf %x, %y : f32
      %t = arith.addf %acc, %p : f32
      linalg.yield %t : f32
  } -> tensor<?x12x?x32xf32>
  %eshd = tensor.empty(%b, %s) : tensor<?x?x12x32xf32>
  %y = linalg.transpose ins(%heads : tensor<?x12x?x32xf32>) outs(%eshd : tensor<?x?x12x32xf32>) permutation = [0, 2, 1, 3]
  %flat = tensor.collapse_shape %y [[0], [1], [2, 3]] : tensor<?x?x12x32xf32> into tensor<?x?x384xf32>
  return %flat : tensor<?x?x384xf32>
}

// -----

#q = affine_map<(m, n, k) -> (m, k)>
#k = affine_map<(m, n, k) -> (n, k)>
#v = affine_map<(m, n, k) -> (k, n)>
#s = affine_map<(m, n, k) -> (m, n)>
#i = affine_map<(m, n) -> (m, n)>

// A mask of bools is read as bytes.
// CHECK-LABEL: @mask_of_bools
// CHECK: %[[BYTES:.+]] = linalg.generic {{.*}} ins(%{{.+}} : tensor<?x?xi1>) outs(%{{.+}} : tensor<?x?xi8>)
// CHECK: arith.extui
// CHECK: kernel.attention {{.*}} extras(%[[BYTES]] : tensor<?x?xi8>)
// CHECK-NEXT: ^bb0(%[[S:.+]]: f32, %[[BYTE:.+]]: i8):
// CHECK: %[[C:.+]] = arith.trunci %[[BYTE]] : i8 to i1
// CHECK: arith.select %[[C]], %[[S]]
func.func @mask_of_bools(%q: tensor<?x4xf32>, %k: tensor<?x4xf32>, %v: tensor<?x4xf32>, %mask: tensor<?x?xi1>, %d: index) -> tensor<?x4xf32> {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %ess = tensor.empty(%d, %d) : tensor<?x?xf32>
  %fss = linalg.fill ins(%zero : f32) outs(%ess : tensor<?x?xf32>) -> tensor<?x?xf32>
  %scores = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<?x4xf32>, tensor<?x4xf32>) outs(%fss : tensor<?x?xf32>) {
    ^bb0(%x: f32, %y: f32, %acc: f32):
      %p = arith.mulf %x, %y : f32
      %t = arith.addf %acc, %p : f32
      linalg.yield %t : f32
  } -> tensor<?x?xf32>
  %masked = linalg.generic {indexing_maps = [#i, #i, #i], iterator_types = ["parallel", "parallel"]}
      ins(%mask, %scores : tensor<?x?xi1>, tensor<?x?xf32>) outs(%ess : tensor<?x?xf32>) {
    ^bb0(%c: i1, %x: f32, %o: f32):
      %p = arith.select %c, %x, %low : f32
      linalg.yield %p : f32
  } -> tensor<?x?xf32>
  %softmax = linalg.softmax dimension(1) ins(%masked : tensor<?x?xf32>) outs(%ess : tensor<?x?xf32>) -> tensor<?x?xf32>
  %esd = tensor.empty(%d) : tensor<?x4xf32>
  %fsd = linalg.fill ins(%zero : f32) outs(%esd : tensor<?x4xf32>) -> tensor<?x4xf32>
  %y = linalg.generic {indexing_maps = [#q, #v, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%softmax, %v : tensor<?x?xf32>, tensor<?x4xf32>) outs(%fsd : tensor<?x4xf32>) {
    ^bb0(%x: f32, %z: f32, %acc: f32):
      %p = arith.mulf %x, %z : f32
      %t = arith.addf %acc, %p : f32
      linalg.yield %t : f32
  } -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

#q = affine_map<(m, n, k) -> (m, k)>
#k = affine_map<(m, n, k) -> (n, k)>
#v = affine_map<(m, n, k) -> (k, n)>
#s = affine_map<(m, n, k) -> (m, n)>

// Probabilities that are a result too must be stored anyway.
// CHECK-LABEL: @returned_probabilities_stay
// CHECK-NOT: kernel.attention
// CHECK: linalg.softmax
func.func @returned_probabilities_stay(%q: tensor<?x4xf32>, %k: tensor<?x4xf32>, %v: tensor<?x4xf32>, %d: index) -> (tensor<?x?xf32>, tensor<?x4xf32>) {
  %zero = arith.constant 0.0 : f32
  %ess = tensor.empty(%d, %d) : tensor<?x?xf32>
  %fss = linalg.fill ins(%zero : f32) outs(%ess : tensor<?x?xf32>) -> tensor<?x?xf32>
  %scores = linalg.generic {indexing_maps = [#q, #k, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<?x4xf32>, tensor<?x4xf32>) outs(%fss : tensor<?x?xf32>) {
    ^bb0(%x: f32, %y: f32, %acc: f32):
      %p = arith.mulf %x, %y : f32
      %t = arith.addf %acc, %p : f32
      linalg.yield %t : f32
  } -> tensor<?x?xf32>
  %softmax = linalg.softmax dimension(1) ins(%scores : tensor<?x?xf32>) outs(%ess : tensor<?x?xf32>) -> tensor<?x?xf32>
  %esd = tensor.empty(%d) : tensor<?x4xf32>
  %fsd = linalg.fill ins(%zero : f32) outs(%esd : tensor<?x4xf32>) -> tensor<?x4xf32>
  %y = linalg.generic {indexing_maps = [#q, #v, #s], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%softmax, %v : tensor<?x?xf32>, tensor<?x4xf32>) outs(%fsd : tensor<?x4xf32>) {
    ^bb0(%x: f32, %z: f32, %acc: f32):
      %p = arith.mulf %x, %z : f32
      %t = arith.addf %acc, %p : f32
      linalg.yield %t : f32
  } -> tensor<?x4xf32>
  return %softmax, %y : tensor<?x?xf32>, tensor<?x4xf32>
}
