// RUN: sparse-opt %s -split-input-file --kernel-narrow-states | FileCheck %s

// The first state is rounded by all who read it, so its rows are rounded as
// they come in; the second one's reader needs its bits.
// CHECK: func.func @main(%[[X:.+]]: tensor<?x4xf32>, %[[P:.+]]: index, %[[A:.+]]: tensor<?x4xbf16> {kernel.state = 0 : i64}, %[[B:.+]]: tensor<?x4xf32> {kernel.state = 1 : i64})
// CHECK-SAME: -> (tensor<?x4xbf16>, tensor<?x4xf32>, tensor<?x4xbf16>, tensor<?x4xf32>)
// CHECK: %[[ROWS:.+]] = linalg.generic {{.*}} ins(%[[X]] : tensor<?x4xf32>) outs(%{{.+}} : tensor<?x4xbf16>)
// CHECK: arith.truncf
// CHECK: %[[IA:.+]] = tensor.insert_slice %[[ROWS]] into %[[A]][%[[P]], 0]
// CHECK: %[[SA:.+]] = tensor.extract_slice %[[IA]]
// CHECK: %[[IB:.+]] = tensor.insert_slice %[[X]] into %[[B]][%[[P]], 0]
// CHECK: linalg.exp
// CHECK: return %[[SA]], %{{.+}}, %[[IA]], %[[IB]]
#id = affine_map<(n, d) -> (n, d)>
func.func @main(%x: tensor<?x4xf32>, %p: index,
                %a: tensor<?x4xf32> {kernel.state = 0 : i64},
                %b: tensor<?x4xf32> {kernel.state = 1 : i64})
    -> (tensor<?x4xbf16>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %all = arith.addi %p, %n : index
  %ia = tensor.insert_slice %x into %a[%p, 0] [%n, 4] [1, 1] : tensor<?x4xf32> into tensor<?x4xf32>
  %sa = tensor.extract_slice %ia[0, 0] [%all, 4] [1, 1] : tensor<?x4xf32> to tensor<?x4xf32>
  %ea = tensor.empty(%all) : tensor<?x4xbf16>
  %ra = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%sa : tensor<?x4xf32>) outs(%ea : tensor<?x4xbf16>) {
    ^bb0(%i: f32, %o: bf16):
      %r = arith.truncf %i : f32 to bf16
      linalg.yield %r : bf16
  } -> tensor<?x4xbf16>
  %ib = tensor.insert_slice %x into %b[%p, 0] [%n, 4] [1, 1] : tensor<?x4xf32> into tensor<?x4xf32>
  %sb = tensor.extract_slice %ib[0, 0] [%all, 4] [1, 1] : tensor<?x4xf32> to tensor<?x4xf32>
  %eb = tensor.empty(%all) : tensor<?x4xf32>
  %rb = linalg.exp ins(%sb : tensor<?x4xf32>) outs(%eb : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %ra, %rb, %ia, %ib : tensor<?x4xbf16>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>
}
