// RUN: sparse-opt %s -split-input-file -verify-diagnostics --kernel-bind-states

// expected-error @+1 {{--kv-cache=in-place: no input is a cache, read only to be joined with new rows for an output}}
func.func @main(%x: tensor<?xf32> {onnx.name = "x", onnx.dims = ["n"]})
    -> (tensor<?xf32> {onnx.name = "y", onnx.dims = ["n"]}) {
  return %x : tensor<?xf32>
}

// -----

// One instance has one length; the caches of most have it.
func.func @main(%x: tensor<1xf32> {onnx.name = "x", onnx.dims = ["1"]},
                %a: tensor<?xf32> {onnx.name = "a", onnx.dims = ["p"]},
                %b: tensor<?xf32> {onnx.name = "b", onnx.dims = ["q"]},
                %c: tensor<?xf32> {onnx.name = "c", onnx.dims = ["p"]})
    -> (tensor<?xf32> {onnx.name = "oa", onnx.dims = ["p+1"]},
        tensor<?xf32> {onnx.name = "ob", onnx.dims = ["q+1"]},
        tensor<?xf32> {onnx.name = "oc", onnx.dims = ["p+1"]}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %p = tensor.dim %a, %c0 : tensor<?xf32>
  %q = tensor.dim %b, %c0 : tensor<?xf32>
  %p1 = arith.addi %p, %c1 : index
  %q1 = arith.addi %q, %c1 : index
  %ea = tensor.empty(%p1) : tensor<?xf32>
  %a0 = tensor.insert_slice %a into %ea[0] [%p] [1] : tensor<?xf32> into tensor<?xf32>
  %a1 = tensor.insert_slice %x into %a0[%p] [1] [1] : tensor<1xf32> into tensor<?xf32>
  %eb = tensor.empty(%q1) : tensor<?xf32>
  %b0 = tensor.insert_slice %b into %eb[0] [%q] [1] : tensor<?xf32> into tensor<?xf32>
  // expected-remark @+1 {{cache 'b' stays an input: its length is another than that of 'p'}}
  %b1 = tensor.insert_slice %x into %b0[%q] [1] [1] : tensor<1xf32> into tensor<?xf32>
  %d0 = tensor.insert_slice %c into %ea[0] [%p] [1] : tensor<?xf32> into tensor<?xf32>
  %d1 = tensor.insert_slice %x into %d0[%p] [1] [1] : tensor<1xf32> into tensor<?xf32>
  return %a1, %b1, %d1 : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}

// -----

// Nothing that the caller passes would say how many heads there are.
// expected-error @+1 {{no input is a cache}}
func.func @main(%x: tensor<1x1xf32> {onnx.name = "x", onnx.dims = ["1", "1"]},
                %a: tensor<?x?xf32> {onnx.name = "a", onnx.dims = ["heads", "p"]})
    -> (tensor<?x?xf32> {onnx.name = "oa", onnx.dims = ["heads", "p+1"]}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %h = tensor.dim %a, %c0 : tensor<?x?xf32>
  %p = tensor.dim %a, %c1 : tensor<?x?xf32>
  %p1 = arith.addi %p, %c1 : index
  %e = tensor.empty(%h, %p1) : tensor<?x?xf32>
  %a0 = tensor.insert_slice %a into %e[0, 0] [%h, %p] [1, 1] : tensor<?x?xf32> into tensor<?x?xf32>
  // expected-remark @+1 {{cache 'a' stays an input: no other input has its size 'heads'}}
  %a1 = tensor.insert_slice %x into %a0[0, %p] [1, 1] [1, 1] : tensor<1x1xf32> into tensor<?x?xf32>
  return %a1 : tensor<?x?xf32>
}

// -----

// An encoder's keys have the sizes of a cache but for their length.
func.func @main(%x: tensor<1x2x1x4xf32> {onnx.name = "x", onnx.dims = ["1", "2", "1", "4"]},
                %a: tensor<1x2x?x4xf32> {onnx.name = "a", onnx.dims = ["1", "2", "p", "4"]},
                // expected-remark @+1 {{cache 'c' stays an input: it is not read only to get new rows behind those it holds}}
                %c: tensor<1x2x?x4xf32> {onnx.name = "c", onnx.dims = ["1", "2", "source", "4"]})
    -> (tensor<1x2x?x4xf32> {onnx.name = "oa", onnx.dims = ["1", "2", "p+1", "4"]},
        tensor<1x2x?x4xf32> {onnx.name = "oc", onnx.dims = ["1", "2", "source", "4"]}) {
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %p = tensor.dim %a, %c2 : tensor<1x2x?x4xf32>
  %p1 = arith.addi %p, %c1 : index
  %e = tensor.empty(%p1) : tensor<1x2x?x4xf32>
  %a0 = tensor.insert_slice %a into %e[0, 0, 0, 0] [1, 2, %p, 4] [1, 1, 1, 1] : tensor<1x2x?x4xf32> into tensor<1x2x?x4xf32>
  %a1 = tensor.insert_slice %x into %a0[0, 0, %p, 0] [1, 2, 1, 4] [1, 1, 1, 1] : tensor<1x2x1x4xf32> into tensor<1x2x?x4xf32>
  return %a1, %c : tensor<1x2x?x4xf32>, tensor<1x2x?x4xf32>
}
