// RUN: sparse-opt %s -split-input-file --kernel-join-stacks | FileCheck %s

// Keys and values of a layer in one input, the keys transposed while they are
// joined: new rows are stacked and joined with the input, and what was joined
// is a slice of that.
// CHECK-LABEL: func.func @main
// CHECK-SAME: %[[K:.+]]: tensor<?x4x?xf32> {{{.*}}"k"{{.*}}}, %[[V:[a-z0-9]+]]: tensor<?x?x4xf32> {{.*}}, %[[PAST:.+]]: tensor<2x?x?x4xf32> {{.*}})
// CHECK: %[[B:.+]] = tensor.dim %[[V]], %c0
// CHECK: %[[N:.+]] = tensor.dim %[[V]], %c1
// CHECK: %[[P:.+]] = tensor.dim %[[PAST]], %c2
// CHECK: %[[ALL:.+]] = arith.addi %[[P]], %[[N]]
// CHECK-NOT: tensor.extract_slice %[[PAST]]
// CHECK: %[[E:.+]] = tensor.empty(%[[B]], %[[N]]) : tensor<2x?x?x4xf32>
// CHECK: %[[KT:.+]] = linalg.transpose ins(%[[K]] : {{.*}} permutation = [0, 2, 1]
// CHECK: %[[F0:.+]] = tensor.insert_slice %[[KT]] into %[[E]][0, 0, 0, 0] [1, %[[B]], %[[N]], 4]
// CHECK: %[[F1:.+]] = tensor.insert_slice %[[V]] into %[[F0]][1, 0, 0, 0] [1, %[[B]], %[[N]], 4]
// CHECK: %[[KEPT:.+]] = tensor.insert_slice %[[PAST]] into %{{.+}}[0, 0, 0, 0] [2, %[[B]], %[[P]], 4]
// CHECK: %[[R:.+]] = tensor.insert_slice %[[F1]] into %[[KEPT]][0, 0, %[[P]], 0] [2, %[[B]], %[[N]], 4]
// CHECK: %[[KEYS:.+]] = tensor.extract_slice %[[R]][0, 0, 0, 0] [1, %[[B]], %[[ALL]], 4]
// CHECK: %[[KEYST:.+]] = linalg.transpose ins(%[[KEYS]] : {{.*}} permutation = [0, 2, 1]
// CHECK: linalg.exp ins(%[[KEYST]]
// CHECK: return %{{.+}}, %[[R]]
func.func @main(%k: tensor<?x4x?xf32> {onnx.name = "k", onnx.dims = ["batch", "4", "seq"]},
                %v: tensor<?x?x4xf32> {onnx.name = "v", onnx.dims = ["batch", "seq", "4"]},
                %past: tensor<2x?x?x4xf32> {onnx.name = "past_0", onnx.dims = ["2", "batch", "past", "4"]})
    -> (tensor<?x4x?xf32> {onnx.name = "y", onnx.dims = ["batch", "4", "past+seq"]},
        tensor<2x?x?x4xf32> {onnx.name = "present_0", onnx.dims = ["2", "batch", "past+seq", "4"]}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %b = tensor.dim %v, %c0 : tensor<?x?x4xf32>
  %n = tensor.dim %v, %c1 : tensor<?x?x4xf32>
  %p = tensor.dim %past, %c2 : tensor<2x?x?x4xf32>
  %all = arith.addi %p, %n : index
  %s0 = tensor.extract_slice %past[0, 0, 0, 0] [1, %b, %p, 4] [1, 1, 1, 1] : tensor<2x?x?x4xf32> to tensor<1x?x?x4xf32>
  %k0 = tensor.collapse_shape %s0 [[0, 1], [2], [3]] : tensor<1x?x?x4xf32> into tensor<?x?x4xf32>
  %ek = tensor.empty(%b, %p) : tensor<?x4x?xf32>
  %kt = linalg.transpose ins(%k0 : tensor<?x?x4xf32>) outs(%ek : tensor<?x4x?xf32>) permutation = [0, 2, 1]
  %e0 = tensor.empty(%b, %all) : tensor<?x4x?xf32>
  %kk = tensor.insert_slice %kt into %e0[0, 0, 0] [%b, 4, %p] [1, 1, 1] : tensor<?x4x?xf32> into tensor<?x4x?xf32>
  %keys = tensor.insert_slice %k into %kk[0, 0, %p] [%b, 4, %n] [1, 1, 1] : tensor<?x4x?xf32> into tensor<?x4x?xf32>
  %y = linalg.exp ins(%keys : tensor<?x4x?xf32>) outs(%e0 : tensor<?x4x?xf32>) -> tensor<?x4x?xf32>
  %s1 = tensor.extract_slice %past[1, 0, 0, 0] [1, %b, %p, 4] [1, 1, 1, 1] : tensor<2x?x?x4xf32> to tensor<1x?x?x4xf32>
  %v1 = tensor.collapse_shape %s1 [[0, 1], [2], [3]] : tensor<1x?x?x4xf32> into tensor<?x?x4xf32>
  %e1 = tensor.empty(%b, %all) : tensor<?x?x4xf32>
  %vv = tensor.insert_slice %v1 into %e1[0, 0, 0] [%b, %p, 4] [1, 1, 1] : tensor<?x?x4xf32> into tensor<?x?x4xf32>
  %values = tensor.insert_slice %v into %vv[0, %p, 0] [%b, %n, 4] [1, 1, 1] : tensor<?x?x4xf32> into tensor<?x?x4xf32>
  %kb = linalg.transpose ins(%keys : tensor<?x4x?xf32>) outs(%e1 : tensor<?x?x4xf32>) permutation = [0, 2, 1]
  %x0 = tensor.expand_shape %kb [[0, 1], [2], [3]] output_shape [1, %b, %all, 4] : tensor<?x?x4xf32> into tensor<1x?x?x4xf32>
  %x1 = tensor.expand_shape %values [[0, 1], [2], [3]] output_shape [1, %b, %all, 4] : tensor<?x?x4xf32> into tensor<1x?x?x4xf32>
  %e = tensor.empty(%b, %all) : tensor<2x?x?x4xf32>
  %r0 = tensor.insert_slice %x0 into %e[0, 0, 0, 0] [1, %b, %all, 4] [1, 1, 1, 1] : tensor<1x?x?x4xf32> into tensor<2x?x?x4xf32>
  %r1 = tensor.insert_slice %x1 into %r0[1, 0, 0, 0] [1, %b, %all, 4] [1, 1, 1, 1] : tensor<1x?x?x4xf32> into tensor<2x?x?x4xf32>
  return %y, %r1 : tensor<?x4x?xf32>, tensor<2x?x?x4xf32>
}

// -----

// The second layer's new rows come from the first one's joined rows.
// CHECK-LABEL: func.func @main
// CHECK-COUNT-2: tensor.extract_slice %{{.+}}[{{[01]}}, 0] [1, %{{.+}}] [1, 1]
func.func @main(%x: tensor<1xf32> {onnx.name = "x", onnx.dims = ["1"]},
                %past: tensor<2x?xf32> {onnx.name = "past", onnx.dims = ["2", "p"]})
    -> (tensor<2x?xf32> {onnx.name = "present", onnx.dims = ["2", "p+1"]}) {
  %c1 = arith.constant 1 : index
  %p = tensor.dim %past, %c1 : tensor<2x?xf32>
  %all = arith.addi %p, %c1 : index
  %e0 = tensor.empty(%all) : tensor<?xf32>
  %s0 = tensor.extract_slice %past[0, 0] [1, %p] [1, 1] : tensor<2x?xf32> to tensor<?xf32>
  %a0 = tensor.insert_slice %s0 into %e0[0] [%p] [1] : tensor<?xf32> into tensor<?xf32>
  %a1 = tensor.insert_slice %x into %a0[%p] [1] [1] : tensor<1xf32> into tensor<?xf32>
  %last = tensor.extract_slice %a1[%p] [1] [1] : tensor<?xf32> to tensor<1xf32>
  %e1 = tensor.empty() : tensor<1xf32>
  %next = linalg.exp ins(%last : tensor<1xf32>) outs(%e1 : tensor<1xf32>) -> tensor<1xf32>
  %s1 = tensor.extract_slice %past[1, 0] [1, %p] [1, 1] : tensor<2x?xf32> to tensor<?xf32>
  %b0 = tensor.insert_slice %s1 into %e0[0] [%p] [1] : tensor<?xf32> into tensor<?xf32>
  %b1 = tensor.insert_slice %next into %b0[%p] [1] [1] : tensor<1xf32> into tensor<?xf32>
  %e = tensor.empty(%all) : tensor<2x?xf32>
  %r0 = tensor.insert_slice %a1 into %e[0, 0] [1, %all] [1, 1] : tensor<?xf32> into tensor<2x?xf32>
  %r1 = tensor.insert_slice %b1 into %r0[1, 0] [1, %all] [1, 1] : tensor<?xf32> into tensor<2x?xf32>
  return %r1 : tensor<2x?xf32>
}

// -----

// A slice that somebody else reads too.
// CHECK-LABEL: func.func @main
// CHECK-COUNT-2: tensor.extract_slice %{{.+}}[{{[01]}}, 0] [1, %{{.+}}] [1, 1]
func.func @main(%x: tensor<1xf32> {onnx.name = "x", onnx.dims = ["1"]},
                %past: tensor<2x?xf32> {onnx.name = "past", onnx.dims = ["2", "p"]})
    -> (tensor<2x?xf32> {onnx.name = "present", onnx.dims = ["2", "p+1"]},
        tensor<?xf32> {onnx.name = "other", onnx.dims = ["p"]}) {
  %c1 = arith.constant 1 : index
  %p = tensor.dim %past, %c1 : tensor<2x?xf32>
  %all = arith.addi %p, %c1 : index
  %e0 = tensor.empty(%all) : tensor<?xf32>
  %s0 = tensor.extract_slice %past[0, 0] [1, %p] [1, 1] : tensor<2x?xf32> to tensor<?xf32>
  %a0 = tensor.insert_slice %s0 into %e0[0] [%p] [1] : tensor<?xf32> into tensor<?xf32>
  %a1 = tensor.insert_slice %x into %a0[%p] [1] [1] : tensor<1xf32> into tensor<?xf32>
  %s1 = tensor.extract_slice %past[1, 0] [1, %p] [1, 1] : tensor<2x?xf32> to tensor<?xf32>
  %b0 = tensor.insert_slice %s1 into %e0[0] [%p] [1] : tensor<?xf32> into tensor<?xf32>
  %b1 = tensor.insert_slice %x into %b0[%p] [1] [1] : tensor<1xf32> into tensor<?xf32>
  %e = tensor.empty(%all) : tensor<2x?xf32>
  %r0 = tensor.insert_slice %a1 into %e[0, 0] [1, %all] [1, 1] : tensor<?xf32> into tensor<2x?xf32>
  %r1 = tensor.insert_slice %b1 into %r0[1, 0] [1, %all] [1, 1] : tensor<?xf32> into tensor<2x?xf32>
  return %r1, %s0 : tensor<2x?xf32>, tensor<?xf32>
}
