// RUN: sparse-opt %s --split-input-file --verify-diagnostics

func.func @block_c1(%x: tensor<?x8xf32>, %up: tensor<8x32xf32>, %down: tensor<16x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+3 {{expects `down` to have as many rows as `up` has columns}}
  // expected-note@+2 {{`up` is}}
  // expected-note@+1 {{`down` is}}
  %y = ffn.block <gelu> %x up(%up) down(%down) : (tensor<?x8xf32>, tensor<8x32xf32>, tensor<16x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @block_c1_rank(%x: tensor<?x8xf32>, %up: tensor<1x8x32xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects rank-2 weights, got up rank 3 and down rank 2}}
  %y = ffn.block <gelu> %x up(%up) down(%down) : (tensor<?x8xf32>, tensor<1x8x32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @block_c1_gate(%x: tensor<?x8xf32>, %gate: tensor<8x16xf32>, %up: tensor<8x32xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects `gate` of the type of `up`, 'tensor<8x32xf32>', got 'tensor<8x16xf32>'}}
  %y = ffn.block <silu> %x gate(%gate) up(%up) down(%down) : (tensor<?x8xf32>, tensor<8x16xf32>, tensor<8x32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @block_c2_input(%x: tensor<?x4xf32>, %up: tensor<8x32xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects the last dimension of `x` to be 8, got 'tensor<?x4xf32>'}}
  %y = ffn.block <relu> %x up(%up) down(%down) : (tensor<?x4xf32>, tensor<8x32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @block_c2_result(%x: tensor<2x3x8xf32>, %up: tensor<8x32xf32>, %down: tensor<32x8xf32>) -> tensor<6x8xf32> {
  // expected-error@+1 {{expects the result to have the leading dimensions of `x` and to end in 8, got 'tensor<6x8xf32>'}}
  %y = ffn.block <relu> %x up(%up) down(%down) : (tensor<2x3x8xf32>, tensor<8x32xf32>, tensor<32x8xf32>) -> tensor<6x8xf32>
  return %y : tensor<6x8xf32>
}

// -----

func.func @block_c3(%x: tensor<?x8xf32>, %up: tensor<8x32xf32>, %bias: tensor<8xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects `up_bias` of size 32, got 'tensor<8xf32>'}}
  %y = ffn.block <relu> %x up(%up, %bias) down(%down) : (tensor<?x8xf32>, tensor<8x32xf32>, tensor<8xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @block_c4(%x: tensor<?x8xf32>, %up: tensor<8x32xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects `gate` when `up_activation` is given}}
  %y = ffn.block <relu> %x up : <relu>(%up) down(%down) : (tensor<?x8xf32>, tensor<8x32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @block_c5(%x: tensor<?x8xf32>, %up: tensor<8x32xf16>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects one element type, got 'tensor<8x32xf16>' beside 'tensor<?x8xf32>'}}
  %y = ffn.block <relu> %x up(%up) down(%down) : (tensor<?x8xf32>, tensor<8x32xf16>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
