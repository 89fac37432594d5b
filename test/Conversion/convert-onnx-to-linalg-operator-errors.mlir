// RUN: sparse-opt %s --convert-onnx-to-linalg --split-input-file --verify-diagnostics

func.func @einsum_letter(%x: tensor<4x4xf32> {onnx.name = "x", onnx.dims = ["4", "4"]}) -> tensor<4x4xf32> {
  // expected-error @+1 {{'Einsum' (opset 12) has a result with a letter that no operand has}}
  %y = onnx.node "Einsum" version 12 (%x) {equation = "ij->ik"} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// -----

func.func @einsum_twice(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}) -> tensor<4x4xf32> {
  // expected-error @+1 {{'Einsum' (opset 12) has a result with a letter twice}}
  %y = onnx.node "Einsum" version 12 (%x) {equation = "i->ii"} : (tensor<4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// -----

func.func @einsum_dot(%x: tensor<4x4xf32> {onnx.name = "x", onnx.dims = ["4", "4"]}) -> tensor<4x4xf32> {
  // expected-error @+1 {{'Einsum' (opset 12) has an equation with something else than letters}}
  %y = onnx.node "Einsum" version 12 (%x) {equation = "i.j->ij"} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// -----

func.func @einsum_rank(%x: tensor<4x4xf32> {onnx.name = "x", onnx.dims = ["4", "4"]}) -> tensor<4xf32> {
  // expected-error @+1 {{'Einsum' (opset 12) has an equation that doesn't fit the rank of operand 0}}
  %y = onnx.node "Einsum" version 12 (%x) {equation = "i->i"} : (tensor<4x4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @kernel_of_unknown_size(%x: tensor<1x3x8xf32> {onnx.name = "x", onnx.dims = ["1", "3", "8"]}, %w: tensor<8x3x?xf32> {onnx.name = "w", onnx.dims = ["8", "3", "k"]}) -> tensor<1x8x?xf32> {
  // expected-error @+1 {{'Conv' (opset 11) needs a kernel of constant size and the rank of its data}}
  %y = onnx.node "Conv" version 11 (%x, %w) : (tensor<1x3x8xf32>, tensor<8x3x?xf32>) -> tensor<1x8x?xf32>
  return %y : tensor<1x8x?xf32>
}

// -----

func.func @pool_indices(%x: tensor<1x3x8xf32> {onnx.name = "x", onnx.dims = ["1", "3", "8"]}) -> tensor<1x3x4xi64> {
  // expected-error @+1 {{'MaxPool' (opset 12) with indices has no lowering to CPU code}}
  %y:2 = onnx.node "MaxPool" version 12 (%x) {kernel_shape = array<i64: 2>, strides = array<i64: 2>} : (tensor<1x3x8xf32>) -> (tensor<1x3x4xf32>, tensor<1x3x4xi64>)
  return %y#1 : tensor<1x3x4xi64>
}

// -----

func.func @quantize_to_float(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}, %s: tensor<f32> {onnx.name = "s", onnx.dims = []}) -> tensor<4xf16> {
  // expected-error @+1 {{'QuantizeLinear' (opset 21) to a float type has no lowering to CPU code}}
  %y = onnx.node "QuantizeLinear" version 21 (%x, %s) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf16>
  return %y : tensor<4xf16>
}

// -----

func.func @scatter_reduction(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}, %i: tensor<2xi64> {onnx.name = "i", onnx.dims = ["2"]}, %u: tensor<2xf32> {onnx.name = "u", onnx.dims = ["2"]}) -> tensor<4xf32> {
  // expected-error @+1 {{'ScatterElements' (opset 18) has an unknown reduction}}
  %y = onnx.node "ScatterElements" version 18 (%x, %i, %u) {reduction = "median"} : (tensor<4xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @scatter_depth(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}, %i: tensor<2x?xi64> {onnx.name = "i", onnx.dims = ["2", "k"]}, %u: tensor<2xf32> {onnx.name = "u", onnx.dims = ["2"]}) -> tensor<4xf32> {
  // expected-error @+1 {{'ScatterND' (opset 18) needs the last size of its indices to be constant and at most the rank of its data}}
  %y = onnx.node "ScatterND" version 18 (%x, %i, %u) : (tensor<4xf32>, tensor<2x?xi64>, tensor<2xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @heads_unknown(%x: tensor<?x?x8xf32> {onnx.name = "x", onnx.dims = ["b", "s", "8"]}) -> tensor<?x?x8xf32> {
  // expected-error @+1 {{'Attention' (opset 23) needs operands of rank 4, or of rank 3 and q_num_heads and kv_num_heads}}
  %y = onnx.node "Attention" version 23 (%x, %x, %x) : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

func.func @packed_query(%x: tensor<?x?x24xf32> {onnx.name = "x", onnx.dims = ["b", "s", "24"]}) -> tensor<?x?x8xf32> {
  // expected-error @+1 {{'MultiHeadAttention' (opset 1) with packed operands has no lowering to CPU code}}
  %y = onnx.node "com.microsoft":"MultiHeadAttention" version 1 (%x) {num_heads = 2 : i64} : (tensor<?x?x24xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

func.func @bits_of_another_width(%x: tensor<4xf32> {onnx.name = "x", onnx.dims = ["4"]}) -> tensor<4xi64> {
  // expected-error @+1 {{'BitCast' (opset 26) between types of different widths has no lowering to CPU code}}
  %y = onnx.node "BitCast" version 26 (%x) {to = 7 : i64} : (tensor<4xf32>) -> tensor<4xi64>
  return %y : tensor<4xi64>
}

// -----

func.func @rows_from_contents(%x: tensor<?x?x8xf32> {onnx.name = "x", onnx.dims = ["b", "s", "8"]}, %n: tensor<?xi32> {onnx.name = "n", onnx.dims = ["b"]}, %t: tensor<1xi32> {onnx.name = "t", onnx.dims = ["1"]}) -> tensor<?x?x8xf32> {
  %none = onnx.none
  // expected-error @+1 {{'GroupQueryAttention' (opset 1) with a total_sequence_length that isn't computed from sizes has no lowering to CPU code}}
  %y = onnx.node "com.microsoft":"GroupQueryAttention" version 1 (%x, %x, %x, %none, %none, %n, %t) {num_heads = 2 : i64, kv_num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<?x?x8xf32>, tensor<?x?x8xf32>, none, none, tensor<?xi32>, tensor<1xi32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

func.func @vector_of_weights(%x: tensor<?x?x8xf32> {onnx.name = "x", onnx.dims = ["b", "s", "8"]}, %w: tensor<24xf32> {onnx.name = "w", onnx.dims = ["24"]}) -> tensor<?x?x8xf32> {
  // expected-error @+1 {{'Attention' (opset 1) has operand 1 of rank 1, not 2}}
  %y = onnx.node "com.microsoft":"Attention" version 1 (%x, %w) {num_heads = 2 : i64} : (tensor<?x?x8xf32>, tensor<24xf32>) -> tensor<?x?x8xf32>
  return %y : tensor<?x?x8xf32>
}

// -----

func.func @scale_of_other_rows(%x: tensor<?x8xf32> {onnx.name = "x", onnx.dims = ["n", "8"]}, %g: tensor<4xf32> {onnx.name = "g", onnx.dims = ["4"]}) -> tensor<?x8xf32> {
  // expected-error @+1 {{'LayerNormalization' (opset 17) has operand 1 with 4 elements for 8}}
  %y = onnx.node "LayerNormalization" version 17 (%x, %g) : (tensor<?x8xf32>, tensor<4xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @heads_of_attention(%x: tensor<1x3x10xf32> {onnx.name = "x", onnx.dims = ["1", "3", "10"]}) -> tensor<1x3x10xf32> {
  // expected-error @+1 {{'Attention' (opset 23) has 4 heads, which don't divide 10 columns}}
  %y = onnx.node "Attention" version 23 (%x, %x, %x) {q_num_heads = 4 : i64, kv_num_heads = 2 : i64} : (tensor<1x3x10xf32>, tensor<1x3x10xf32>, tensor<1x3x10xf32>) -> tensor<1x3x10xf32>
  return %y : tensor<1x3x10xf32>
}

// -----

func.func @heads_of_multi_head_attention(%x: tensor<1x3x10xf32> {onnx.name = "x", onnx.dims = ["1", "3", "10"]}) -> tensor<1x3x10xf32> {
  // expected-error @+1 {{'MultiHeadAttention' (opset 1) has 4 heads, which don't divide 10 columns}}
  %y = onnx.node "com.microsoft":"MultiHeadAttention" version 1 (%x, %x, %x) {num_heads = 4 : i64} : (tensor<1x3x10xf32>, tensor<1x3x10xf32>, tensor<1x3x10xf32>) -> tensor<1x3x10xf32>
  return %y : tensor<1x3x10xf32>
}
