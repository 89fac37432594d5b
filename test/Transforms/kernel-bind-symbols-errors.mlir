// RUN: sparse-opt %s -split-input-file -verify-diagnostics --kernel-bind-symbols

func.func @main(%a: tensor<1xi64>) -> (tensor<?xf32> {onnx.name = "y"}) {
  %c0 = arith.constant 0 : index
  // expected-error @+1 {{the size of output 'y' depends on the contents of a tensor}}
  %n = tensor.extract %a[%c0] : tensor<1xi64>
  %i = arith.index_cast %n : i64 to index
  %e = tensor.empty(%i) : tensor<?xf32>
  return %e : tensor<?xf32>
}
