// RUN: sparse-opt %s --canonicalize --split-input-file | FileCheck %s

// CHECK-LABEL: @all_is_dense
// CHECK-NEXT: %[[Y:.+]] = ffn.block <gelu> %arg0 up(%arg1, %arg2) down(%arg3) {block_name = "ffn.0"}
// CHECK-NEXT: return %[[Y]]
func.func @all_is_dense(%x: tensor<?x8xf32>, %up: tensor<8x32xf32>, %bias: tensor<32xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  %zero = arith.constant dense<0.0> : tensor<32xf32>
  %s = ffn.select all : () -> !ffn.selection<32>
  %y = ffn.correct <gelu> %x, %s up(%up, %bias) down(%down) minus(%zero) {block_name = "ffn.0"} : (tensor<?x8xf32>, !ffn.selection<32>, tensor<8x32xf32>, tensor<32xf32>, tensor<32x8xf32>, tensor<32xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// CHECK-LABEL: @all_is_x
// CHECK-NEXT: return %arg0
func.func @all_is_x(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %s = ffn.select all : () -> !ffn.selection<8>
  %k = ffn.keep %x, %s : tensor<?x8xf32>, !ffn.selection<8>
  return %k : tensor<?x8xf32>
}

// -----

// CHECK-LABEL: @kept_stays
// CHECK: ffn.keep
func.func @kept_stays(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %s = ffn.select nonzero(%x) : (tensor<?x8xf32>) -> !ffn.selection<8>
  %k = ffn.keep %x, %s : tensor<?x8xf32>, !ffn.selection<8>
  return %k : tensor<?x8xf32>
}

// -----

// A surrogate has to be taken away, whatever is selected.
// CHECK-LABEL: @surrogate_stays
// CHECK: ffn.correct
func.func @surrogate_stays(%x: tensor<?x8xf32>, %up: tensor<8x32xf32>, %down: tensor<32x8xf32>, %c: tensor<32xf32>) -> tensor<?x8xf32> {
  %s = ffn.select all : () -> !ffn.selection<32>
  %y = ffn.correct <gelu> %x, %s up(%up) down(%down) minus(%c) : (tensor<?x8xf32>, !ffn.selection<32>, tensor<8x32xf32>, tensor<32x8xf32>, tensor<32xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
