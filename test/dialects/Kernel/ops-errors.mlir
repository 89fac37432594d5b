// RUN: sparse-opt %s --split-input-file --verify-diagnostics

func.func @product_c1(%x: tensor<?x8xf32>, %w: tensor<1x8x16xf32>, %init: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // expected-error @below {{weight is 'tensor<1x8x16xf32>', expected the shape of 'tensor<2x8x16xf32>'}}
  %y = kernel.product %x, %w outs(%init : tensor<?x32xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x8xf32>, tensor<1x8x16xf32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

func.func @product_c1_by_output(%x: tensor<?x8xf32>, %w: tensor<32x8xf32>, %init: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // expected-error @below {{weight is 'tensor<32x8xf32>', expected the shape of 'tensor<32x16xf32>'}}
  %y = kernel.product %x, %w outs(%init : tensor<?x32xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x8xf32>, tensor<32x8xf32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

func.func @product_c1_by_input(%x: tensor<?x8xf32>, %w: tensor<2x8x16xf32>, %init: tensor<?x32xf32>) -> tensor<?x32xf32> {
  // expected-error @below {{weight is 'tensor<2x8x16xf32>', expected the shape of 'tensor<8x32xf32>'}}
  %y = kernel.product %x, %w by_input outs(%init : tensor<?x32xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x8xf32>, tensor<2x8x16xf32> -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

func.func @product_c2(%x: tensor<?x8xf64>, %w: tensor<1x8x16xf64>, %init: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // expected-error @below {{x must hold f32 or bf16, and weight f32, bf16 or i8}}
  %y = kernel.product %x, %w outs(%init : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x8xf64>, tensor<1x8x16xf64> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

func.func @product_c3(%x: tensor<?x8xf32>, %w: tensor<1x8x16xf32>, %b: tensor<8xf32>, %init: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // expected-error @below {{extra #0 is 'tensor<8xf32>', expected R x N, N or a scalar}}
  %y = kernel.product %x, %w epilogue(%b : tensor<8xf32>) outs(%init : tensor<?x16xf32>) {
  ^bb0(%acc: f32, %e: f32):
    kernel.yield %acc : f32
  } : tensor<?x8xf32>, tensor<1x8x16xf32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

func.func @product_c4(%x: tensor<?x8xf32>, %w: tensor<1x8x16xf32>, %b: tensor<16xf32>, %init: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // expected-error @below {{epilogue takes ('f32'), expected ('f32', 'f32')}}
  %y = kernel.product %x, %w epilogue(%b : tensor<16xf32>) outs(%init : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x8xf32>, tensor<1x8x16xf32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

func.func @product_c5(%x: tensor<?x8xf32>, %w: tensor<1x8x16xf32>, %m: memref<f32>, %init: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // expected-error @below {{epilogue holds 'memref.load', which isn't an element-wise arith or math op}}
  %y = kernel.product %x, %w outs(%init : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    %b = memref.load %m[] : memref<f32>
    kernel.yield %b : f32
  } : tensor<?x8xf32>, tensor<1x8x16xf32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

func.func @product_c6(%x: memref<?x8xf32>, %w: tensor<1x8x16xf32>, %init: tensor<?x16xf32>) -> tensor<?x16xf32> {
  // expected-error @below {{is on tensors but has an operand of 'memref<?x8xf32>'}}
  %y = kernel.product %x, %w outs(%init : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x8xf32>, tensor<1x8x16xf32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
