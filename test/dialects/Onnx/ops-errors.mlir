// RUN: sparse-opt %s --split-input-file --verify-diagnostics

func.func @node_c1(%c: tensor<i1>) {
  // expected-error @+1 {{'onnx.node' op expects 1 regions, got 0}}
  "onnx.node"(%c) {op_type = "If", version = 21 : i64, attrs = {}, graphs = ["then_branch"]} : (tensor<i1>) -> ()
  return
}

// -----

func.func @dims_c1() -> tensor<2xi64> {
  // expected-error @+1 {{'onnx.dims' op expects 2 expressions, got 1}}
  %s = onnx.dims ["batch"] : tensor<2xi64>
  return %s : tensor<2xi64>
}
