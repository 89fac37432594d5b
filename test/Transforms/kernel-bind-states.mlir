// RUN: sparse-opt %s -split-input-file --kernel-bind-states | FileCheck %s
// RUN: sparse-opt %s -split-input-file --kernel-bind-states --kernel-bind-symbols --kernel-bind-buffers | FileCheck %s --check-prefix=BOUND

// The cache leaves the interface; rows go behind those that are there, and
// what read the joined tensor reads a slice.
// CHECK: func.func @main(%[[X:.+]]: tensor<?x?x4xf32> {{.*}}, %[[PAST:.+]]: index {kernel.symbol = "past"}, %[[S:.+]]: tensor<?x?x4xf32> {kernel.state = 0 : i64, kernel.state_axis = 1 : i64, kernel.state_result = "present", onnx.dims = ["batch", "capacity", "4"], onnx.name = "past_kv"})
// CHECK-SAME: -> (tensor<?x?x4xf32> {onnx.dims = ["batch", "past+seq", "4"], onnx.name = "y"}, tensor<?x?x4xf32> {kernel.state = 0 : i64}, index {kernel.state_length = "past+seq"})
// CHECK: %[[B:.+]] = tensor.dim %[[X]], %c0
// CHECK: %[[N:.+]] = tensor.dim %[[X]], %c1
// CHECK: %[[ALL:.+]] = arith.addi %[[PAST]], %[[N]]
// CHECK: %[[I:.+]] = tensor.insert_slice %[[X]] into %[[S]][0, %[[PAST]], 0] [%[[B]], %[[N]], 4]
// CHECK: %[[R:.+]] = tensor.extract_slice %[[I]][0, 0, 0] [%[[B]], %[[ALL]], 4]
// CHECK: %[[Y:.+]] = linalg.exp ins(%[[R]] :
// CHECK: return %[[Y]], %[[I]], %[[ALL]]

// Its sizes but the length are those of inputs; the length is a symbol, the
// room another, and the buffer is updated where it is.
// BOUND: module attributes {kernel.symbols = ["past", "batch", "seq", "capacity"]}
// BOUND: func.func private @kernel_output_dims(%[[DP:.+]]: index {{.*}}, %[[DB:.+]]: index {{.*}}, %[[DS:.+]]: index {{.*}}, %{{.+}}: index {{.*}}) -> (index, index, index, index)
// BOUND: %[[TOTAL:.+]] = arith.addi %[[DP]], %[[DS]]
// BOUND: return %[[DB]], %[[TOTAL]], %{{.+}}, %[[TOTAL]]
// BOUND: func.func @main({{.*}}, %[[BUFFER:.+]]: memref<?x?x4xf32> {kernel.input_symbols = ["batch", "capacity"], kernel.state = 0 : i64
// BOUND: bufferization.to_tensor %[[BUFFER]] restrict writable
// BOUND: %[[KEPT:.+]] = tensor.insert_slice
// BOUND: bufferization.materialize_in_destination %[[KEPT]] in restrict writable %[[BUFFER]]
func.func @main(%x: tensor<?x?x4xf32> {onnx.name = "x", onnx.dims = ["batch", "seq", "4"]},
                %past: tensor<?x?x4xf32> {onnx.name = "past_kv", onnx.dims = ["batch", "past", "4"]})
    -> (tensor<?x?x4xf32> {onnx.name = "present", onnx.dims = ["batch", "past+seq", "4"]},
        tensor<?x?x4xf32> {onnx.name = "y", onnx.dims = ["batch", "past+seq", "4"]}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %x, %c0 : tensor<?x?x4xf32>
  %n = tensor.dim %x, %c1 : tensor<?x?x4xf32>
  %p = tensor.dim %past, %c1 : tensor<?x?x4xf32>
  %all = arith.addi %p, %n : index
  %e = tensor.empty(%b, %all) : tensor<?x?x4xf32>
  %0 = tensor.insert_slice %past into %e[0, 0, 0] [%b, %p, 4] [1, 1, 1] : tensor<?x?x4xf32> into tensor<?x?x4xf32>
  %1 = tensor.insert_slice %x into %0[0, %p, 0] [%b, %n, 4] [1, 1, 1] : tensor<?x?x4xf32> into tensor<?x?x4xf32>
  %y = linalg.exp ins(%1 : tensor<?x?x4xf32>) outs(%e : tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
  return %1, %y : tensor<?x?x4xf32>, tensor<?x?x4xf32>
}

// -----

// Rows may be appended along the last dimension, and one at a time. A name that
// a dimension has isn't the room's. A cache that something else reads, and one
// in front of which rows are put, stay.
// CHECK: func.func @main(%{{.+}}: tensor<2x1xf32> {{.*}}, %[[READ:.+]]: tensor<2x?xf32> {{.*}}, %[[FRONT:.+]]: tensor<2x?xf32> {{.*}}, %[[PAST:.+]]: index {{.*}}, %[[S:.+]]: tensor<2x?xf32> {kernel.state = 0 : i64, kernel.state_axis = 1 : i64, kernel.state_result = "o0", onnx.dims = ["2", "capacity_"], onnx.name = "a"})
// CHECK: tensor.insert_slice %{{.+}} into %[[S]][0, %[[PAST]]] [2, 1]
// CHECK: return %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} : tensor<2x?xf32>, tensor<2x?xf32>, tensor<2x?xf32>, tensor<2x?xf32>, index
func.func @main(%x: tensor<2x1xf32> {onnx.name = "x", onnx.dims = ["2", "1"]},
                %a: tensor<2x?xf32> {onnx.name = "a", onnx.dims = ["2", "p"]},
                %r: tensor<2x?xf32> {onnx.name = "r", onnx.dims = ["2", "capacity"]},
                %f: tensor<2x?xf32> {onnx.name = "f", onnx.dims = ["2", "q"]})
    -> (tensor<2x?xf32> {onnx.name = "o0", onnx.dims = ["2", "p+1"]},
        tensor<2x?xf32> {onnx.name = "o1", onnx.dims = ["2", "capacity+1"]},
        tensor<2x?xf32> {onnx.name = "o2", onnx.dims = ["2", "q+1"]},
        tensor<2x?xf32> {onnx.name = "o3", onnx.dims = ["2", "capacity"]}) {
  %c1 = arith.constant 1 : index
  %p = tensor.dim %a, %c1 : tensor<2x?xf32>
  %c = tensor.dim %r, %c1 : tensor<2x?xf32>
  %q = tensor.dim %f, %c1 : tensor<2x?xf32>
  %p1 = arith.addi %p, %c1 : index
  %d1 = arith.addi %c, %c1 : index
  %q1 = arith.addi %q, %c1 : index
  %ea = tensor.empty(%p1) : tensor<2x?xf32>
  %a0 = tensor.insert_slice %a into %ea[0, 0] [2, %p] [1, 1] : tensor<2x?xf32> into tensor<2x?xf32>
  %a1 = tensor.insert_slice %x into %a0[0, %p] [2, 1] [1, 1] : tensor<2x1xf32> into tensor<2x?xf32>
  %er = tensor.empty(%d1) : tensor<2x?xf32>
  %r0 = tensor.insert_slice %r into %er[0, 0] [2, %c] [1, 1] : tensor<2x?xf32> into tensor<2x?xf32>
  %r1 = tensor.insert_slice %x into %r0[0, %c] [2, 1] [1, 1] : tensor<2x1xf32> into tensor<2x?xf32>
  %e = tensor.empty(%c) : tensor<2x?xf32>
  %more = linalg.exp ins(%r : tensor<2x?xf32>) outs(%e : tensor<2x?xf32>) -> tensor<2x?xf32>
  %ef = tensor.empty(%q1) : tensor<2x?xf32>
  %f0 = tensor.insert_slice %x into %ef[0, 0] [2, 1] [1, 1] : tensor<2x1xf32> into tensor<2x?xf32>
  %f1 = tensor.insert_slice %f into %f0[0, 1] [2, %q] [1, 1] : tensor<2x?xf32> into tensor<2x?xf32>
  return %a1, %r1, %f1, %more : tensor<2x?xf32>, tensor<2x?xf32>, tensor<2x?xf32>, tensor<2x?xf32>
}

// -----

// A mask that is looked up in one piece must be as long as the caches get.
// CHECK: func.func @main(%{{.+}}: tensor<?x?xf32> {{.*}}, %[[MASK:.+]]: tensor<?x?xi64> {{.*}}, %[[PAST:.+]]: index
// CHECK-SAME: attributes {kernel.state_sizes = {total = "past+seq"}}
// CHECK: %[[ALL:.+]] = arith.addi %[[PAST]], %{{.+}} : index
// CHECK: %[[T:.+]] = tensor.dim %[[MASK]], %{{.+}}
// CHECK: %[[SAME:.+]] = arith.cmpi eq, %[[T]], %[[ALL]]
// CHECK: kernel.check_sizes %[[T]], %[[ALL]] when %[[SAME]] "dimension 1 of input 'mask' must be the length of the caches with the new rows"
#id = affine_map<(b, n) -> (b, n)>
func.func @main(%x: tensor<?x?xf32> {onnx.name = "x", onnx.dims = ["batch", "seq"]},
                %mask: tensor<?x?xi64> {onnx.name = "mask", onnx.dims = ["batch", "total"]},
                %past: tensor<?x?xf32> {onnx.name = "past_kv", onnx.dims = ["batch", "past"]})
    -> (tensor<?x?xf32> {onnx.name = "present", onnx.dims = ["batch", "past+seq"]}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %x, %c0 : tensor<?x?xf32>
  %n = tensor.dim %x, %c1 : tensor<?x?xf32>
  %t = tensor.dim %mask, %c1 : tensor<?x?xi64>
  %p = tensor.dim %past, %c1 : tensor<?x?xf32>
  %all = arith.addi %p, %n : index
  %places = arith.muli %b, %t : index
  %ei = tensor.empty(%b, %all) : tensor<?x?xi64>
  %indices = linalg.generic {indexing_maps = [#id], iterator_types = ["parallel", "parallel"]}
      outs(%ei : tensor<?x?xi64>) {
    ^bb0(%o: i64):
      %i = linalg.index 0 : index
      %j = linalg.index 1 : index
      %row = arith.muli %i, %t : index
      %at = arith.addi %row, %j : index
      %place = arith.index_cast %at : index to i64
      linalg.yield %place : i64
  } -> tensor<?x?xi64>
  kernel.check_index %indices below %places "lookup" : tensor<?x?xi64>
  %e = tensor.empty(%b, %all) : tensor<?x?xf32>
  %0 = tensor.insert_slice %past into %e[0, 0] [%b, %p] [1, 1] : tensor<?x?xf32> into tensor<?x?xf32>
  %1 = tensor.insert_slice %x into %0[0, %p] [%b, %n] [1, 1] : tensor<?x?xf32> into tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}

// -----

// So must one that is checked to be long enough.
// CHECK: func.func @main(%{{.+}}: tensor<?x?xf32> {{.*}}, %[[MASK:.+]]: tensor<?xi64> {{.*}}, %[[PAST:.+]]: index
// CHECK-SAME: attributes {kernel.state_sizes = {total = "past+seq"}}
// CHECK: %[[ALL:.+]] = arith.addi %[[PAST]], %{{.+}} : index
// CHECK: %[[T:.+]] = tensor.dim %[[MASK]], %{{.+}}
// CHECK: %[[SAME:.+]] = arith.cmpi eq, %[[T]], %[[ALL]]
// CHECK: kernel.check_sizes %[[T]], %[[ALL]] when %[[SAME]] "dimension 0 of input 'mask' must be the length of the caches with the new rows"
func.func @main(%x: tensor<?x?xf32> {onnx.name = "x", onnx.dims = ["batch", "seq"]},
                %mask: tensor<?xi64> {onnx.name = "mask", onnx.dims = ["total"]},
                %past: tensor<?x?xf32> {onnx.name = "past_kv", onnx.dims = ["batch", "past"]})
    -> (tensor<?x?xf32> {onnx.name = "present", onnx.dims = ["batch", "past+seq"]}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %b = tensor.dim %x, %c0 : tensor<?x?xf32>
  %n = tensor.dim %x, %c1 : tensor<?x?xf32>
  %t = tensor.dim %mask, %c0 : tensor<?xi64>
  %p = tensor.dim %past, %c1 : tensor<?x?xf32>
  %all = arith.addi %p, %n : index
  %fits = arith.cmpi sle, %all, %t : index
  kernel.check_sizes %all, %t when %fits "past+seq must be at most total"
  %e = tensor.empty(%b, %all) : tensor<?x?xf32>
  %0 = tensor.insert_slice %past into %e[0, 0] [%b, %p] [1, 1] : tensor<?x?xf32> into tensor<?x?xf32>
  %1 = tensor.insert_slice %x into %0[0, %p] [%b, %n] [1, 1] : tensor<?x?xf32> into tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}
