// RUN: sparse-opt %s --convert-onnx-to-linalg --split-input-file --verify-diagnostics

func.func @unknown_operator_once(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}) -> tensor<4xf32> {
  // expected-error @+1 {{'Det' (opset 11) has no lowering to CPU code}}
  %a = onnx.node "Det" version 11 (%x) : (tensor<4xf32>) -> tensor<4xf32>
  // expected-note @+1 {{also used here}}
  %b = onnx.node "Det" version 11 (%a) : (tensor<4xf32>) -> tensor<4xf32>
  // expected-note @+1 {{also used here}}
  %c = onnx.node "Det" version 11 (%b) : (tensor<4xf32>) -> tensor<4xf32>
  %d = onnx.node "Det" version 11 (%c) : (tensor<4xf32>) -> tensor<4xf32>
  // expected-note @+1 {{and by 2 more nodes}}
  %e = onnx.node "Det" version 11 (%d) : (tensor<4xf32>) -> tensor<4xf32>
  // expected-error @+1 {{'com.example.Mystery' (opset 1) has no lowering to CPU code}}
  %f = onnx.node "com.example":"Mystery" version 1 (%e) : (tensor<4xf32>) -> tensor<4xf32>
  return %f : tensor<4xf32>
}

// -----

func.func @element_type(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}) -> tensor<4xf32> {
  // expected-error @+1 {{'Cast' (opset 13) on 'tensor<4xcomplex<f32>>' has no lowering to CPU code}}
  %a = onnx.node "Cast" version 13 (%x) : (tensor<4xf32>) -> tensor<4xcomplex<f32>>
  %b = onnx.node "Cast" version 13 (%a) : (tensor<4xcomplex<f32>>) -> tensor<4xf32>
  return %b : tensor<4xf32>
}

// -----

// expected-error @+1 {{an input or output of type 'tensor<4x!onnx.string>' has no lowering to CPU code}}
func.func @input_type(%x: tensor<4x!onnx.string> {onnx.name = "x", onnx.dims = ["4"]}) {
  return
}

// -----

func.func @size_from_contents(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}, %s: tensor<2xi64> {onnx.name = "s", onnx.dims = ["2"]}) -> tensor<?x?xf32> {
  // expected-error @+1 {{'Reshape' (opset 14) has a result whose size depends on the contents of a tensor, which has no lowering to CPU code}}
  %y = onnx.node "Reshape" version 14 (%x, %s) : (tensor<4xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

func.func @axis_out_of_range(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}) -> tensor<4xf32> {
  // expected-error @+1 {{'Softmax' (opset 13) has axis 3 of a tensor of rank 1}}
  %y = onnx.node "Softmax" version 13 (%x) {axis = 3 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @training(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}) -> tensor<4xf32> {
  %r = onnx.constant dense<0.5> : tensor<f32>
  %t = onnx.constant dense<true> : tensor<i1>
  // expected-error @+1 {{'Dropout' (opset 13) in training mode has no lowering to CPU code}}
  %y = onnx.node "Dropout" version 13 (%x, %r, %t) : (tensor<4xf32>, tensor<f32>, tensor<i1>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
