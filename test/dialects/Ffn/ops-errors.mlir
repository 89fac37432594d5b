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

// -----

func.func @block_c6(%x: tensor<?x8xf32>, %up: tensor<8x32xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects `cutoff` only for relu}}
  %y = ffn.block <relu2> %x up(%up) down(%down) {cutoff = 0.01 : f32} : (tensor<?x8xf32>, tensor<8x32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @block_c6_sign(%x: tensor<?x8xf32>, %up: tensor<8x32xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects a `cutoff` of 0 or more}}
  %y = ffn.block <relu> %x up(%up) down(%down) {cutoff = -0.01 : f32} : (tensor<?x8xf32>, tensor<8x32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// expected-error@+1 {{expects the neurons, 30, to be whole groups of 16}}
func.func private @selection_groups(!ffn.selection<30, group = 16>)

// -----

func.func @knob_c1() -> f32 {
  // expected-error@+1 {{expects a name}}
  %t = ffn.knob "" = 0.0
  return %t : f32
}

// -----

func.func @score_c1(%x: tensor<?x4xf32>, %w: tensor<8x32xf32>) -> tensor<?x32xf32> {
  // expected-error@+1 {{expects the last dimension of `x` to be 8, got 'tensor<?x4xf32>'}}
  %s = ffn.score exact <relu> %x(%w) : (tensor<?x4xf32>, tensor<8x32xf32>) -> tensor<?x32xf32>
  return %s : tensor<?x32xf32>
}

// -----

func.func @score_c2(%x: tensor<?x8xf32>, %w: tensor<8x32xf16>) -> tensor<?x32xf32> {
  // expected-error@+1 {{expects one element type, got 'tensor<8x32xf16>' beside 'tensor<?x32xf32>'}}
  %s = ffn.score exact <relu> %x(%w) : (tensor<?x8xf32>, tensor<8x32xf16>) -> tensor<?x32xf32>
  return %s : tensor<?x32xf32>
}

// -----

func.func @score_c3(%x: tensor<?x8xf32>, %w: tensor<8x32xf32>) -> tensor<?x32xf32> {
  // expected-error@+1 {{expects `cutoff` only for relu}}
  %s = ffn.score exact <silu> %x(%w) {cutoff = 0.01 : f32} : (tensor<?x8xf32>, tensor<8x32xf32>) -> tensor<?x32xf32>
  return %s : tensor<?x32xf32>
}

// -----

func.func @select_c1_all(%s: tensor<?x32xf32>) -> !ffn.selection<32> {
  // expected-error@+1 {{expects no score for `all`}}
  %r = ffn.select all(%s) : (tensor<?x32xf32>) -> !ffn.selection<32>
  return %r : !ffn.selection<32>
}

// -----

func.func @select_c1_above(%s: tensor<?x32xf32>) -> !ffn.selection<32> {
  // expected-error@+1 {{expects `above` for `magnitude`, and only for it}}
  %r = ffn.select magnitude(%s) : (tensor<?x32xf32>) -> !ffn.selection<32>
  return %r : !ffn.selection<32>
}

// -----

func.func @select_c1_mask(%s: tensor<?x32xf32>) -> !ffn.selection<32> {
  // expected-error@+1 {{expects i1 for `given` and floats for other rules, got 'tensor<?x32xf32>'}}
  %r = ffn.select given(%s) : (tensor<?x32xf32>) -> !ffn.selection<32>
  return %r : !ffn.selection<32>
}

// -----

func.func @select_c2(%s: tensor<?x16xf32>) -> !ffn.selection<32> {
  // expected-error@+1 {{expects scores that end in 32, got 'tensor<?x16xf32>'}}
  %r = ffn.select nonzero(%s) : (tensor<?x16xf32>) -> !ffn.selection<32>
  return %r : !ffn.selection<32>
}

// -----

func.func @keep_c1(%x: tensor<?x8xf32>, %s: !ffn.selection<16>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects the last dimension of `x` to be 16, got 'tensor<?x8xf32>'}}
  %k = ffn.keep %x, %s : tensor<?x8xf32>, !ffn.selection<16>
  return %k : tensor<?x8xf32>
}

// -----

func.func @linear_c3(%x: tensor<?x8xf32>, %folded: tensor<8x8xf32>, %offset: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects `stored` to be i8 and of `folded`, got 'bf16'}}
  %y = ffn.linear %x folded(%folded as bf16) offset(%offset) : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @linear_c1(%x: tensor<?x8xf32>, %folded: tensor<8x4xf32>, %offset: tensor<8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects `folded` of two dimensions, the last 8, got 'tensor<8x4xf32>'}}
  %y = ffn.linear %x folded(%folded) offset(%offset) : (tensor<?x8xf32>, tensor<8x4xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @correct_c7(%x: tensor<?x8xf32>, %s: !ffn.selection<16>, %up: tensor<8x32xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects a selection of 32 neurons, got '!ffn.selection<16>'}}
  %y = ffn.correct <gelu> %x, %s up(%up) down(%down) : (tensor<?x8xf32>, !ffn.selection<16>, tensor<8x32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @correct_c8(%x: tensor<?x8xf32>, %s: !ffn.selection<32>, %known: tensor<?x16xf32>, %up: tensor<8x32xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  // expected-error@+1 {{expects known values to have the leading dimensions of `x` and to end in 32, got 'tensor<?x16xf32>'}}
  %y = ffn.correct <gelu> %x, %s known(%known) up(%up) down(%down) : (tensor<?x8xf32>, !ffn.selection<32>, tensor<?x16xf32>, tensor<8x32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
