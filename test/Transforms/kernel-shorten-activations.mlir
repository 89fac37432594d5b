// RUN: sparse-opt %s --kernel-shorten-activations | FileCheck %s

// GELU of the sum and the bias, before a rounding.
// CHECK-LABEL: @gelu
// CHECK: %[[S:.+]] = arith.addf
// CHECK: %[[LOW:.+]] = arith.constant -4.300000e+00 : f32
// CHECK: arith.cmpf olt, %[[S]], %[[LOW]]
// CHECK-NOT: math.erf
// CHECK-COUNT-9: math.fma
// CHECK-NOT: math.fma
// CHECK: arith.truncf
func.func @gelu(%x: tensor<?x8xbf16>, %w: tensor<2x4x16x2xbf16>, %b: tensor<32xf32>, %out: tensor<?x32xbf16>) -> tensor<?x32xbf16> {
  %0 = kernel.product %x, %w epilogue(%b : tensor<32xf32>) outs(%out : tensor<?x32xbf16>) {
  ^bb0(%acc: f32, %bias: f32):
    %c = arith.constant 1.41421354 : f32
    %one = arith.constant 1.0 : f32
    %half = arith.constant 0.5 : f32
    %s = arith.addf %acc, %bias : f32
    %t = arith.divf %s, %c : f32
    %e = math.erf %t : f32
    %g = arith.addf %e, %one : f32
    %h = arith.mulf %s, %g : f32
    %y = arith.mulf %h, %half : f32
    %r = arith.truncf %y : f32 to bf16
    kernel.yield %r : bf16
  } : tensor<?x8xbf16>, tensor<2x4x16x2xbf16> -> tensor<?x32xbf16>
  return %0 : tensor<?x32xbf16>
}

// SiLU of an extra, times the sum.
// CHECK-LABEL: @gated
// CHECK: ^bb0(%[[ACC:.+]]: f32, %[[GATE:.+]]: f32):
// CHECK: arith.cmpf olt, %[[GATE]]
// CHECK-NOT: math.exp
// CHECK-NOT: arith.divf
// CHECK: arith.mulf %{{.+}}, %[[ACC]] : f32
// CHECK-NEXT: arith.truncf
func.func @gated(%x: tensor<?x8xbf16>, %w: tensor<2x4x16x2xbf16>, %g: tensor<?x32xf32>, %out: tensor<?x32xbf16>) -> tensor<?x32xbf16> {
  %0 = kernel.product %x, %w epilogue(%g : tensor<?x32xf32>) outs(%out : tensor<?x32xbf16>) {
  ^bb0(%acc: f32, %gate: f32):
    %one = arith.constant 1.0 : f32
    %n = arith.negf %gate : f32
    %e = math.exp %n : f32
    %d = arith.addf %e, %one : f32
    %i = arith.divf %one, %d : f32
    %h = arith.mulf %gate, %i : f32
    %y = arith.mulf %h, %acc : f32
    %r = arith.truncf %y : f32 to bf16
    kernel.yield %r : bf16
  } : tensor<?x8xbf16>, tensor<2x4x16x2xbf16> -> tensor<?x32xbf16>
  return %0 : tensor<?x32xbf16>
}

// Another function stays, and so does one whose scale is GELU's but for 1 %.
// CHECK-LABEL: @others
// CHECK: math.tanh
// CHECK: math.erf
func.func @others(%x: tensor<?x8xbf16>, %w: tensor<1x4x16x2xbf16>, %out: tensor<?x16xbf16>) -> (tensor<?x16xbf16>, tensor<?x16xbf16>) {
  %0 = kernel.product %x, %w outs(%out : tensor<?x16xbf16>) {
  ^bb0(%acc: f32):
    %y = math.tanh %acc : f32
    %r = arith.truncf %y : f32 to bf16
    kernel.yield %r : bf16
  } : tensor<?x8xbf16>, tensor<1x4x16x2xbf16> -> tensor<?x16xbf16>
  %1 = kernel.product %x, %w outs(%out : tensor<?x16xbf16>) {
  ^bb0(%acc: f32):
    %c = arith.constant 0.7 : f32
    %one = arith.constant 1.0 : f32
    %half = arith.constant 0.5 : f32
    %t = arith.mulf %acc, %c : f32
    %e = math.erf %t : f32
    %g = arith.addf %e, %one : f32
    %h = arith.mulf %acc, %g : f32
    %y = arith.mulf %h, %half : f32
    %r = arith.truncf %y : f32 to bf16
    kernel.yield %r : bf16
  } : tensor<?x8xbf16>, tensor<1x4x16x2xbf16> -> tensor<?x16xbf16>
  return %0, %1 : tensor<?x16xbf16>, tensor<?x16xbf16>
}

// A result in f32 keeps all its bits.
// CHECK-LABEL: @exact
// CHECK: math.exp
func.func @exact(%x: tensor<?x8xbf16>, %w: tensor<1x4x16x2xbf16>, %out: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %0 = kernel.product %x, %w outs(%out : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    %one = arith.constant 1.0 : f32
    %n = arith.negf %acc : f32
    %e = math.exp %n : f32
    %d = arith.addf %e, %one : f32
    %y = arith.divf %acc, %d : f32
    kernel.yield %y : f32
  } : tensor<?x8xbf16>, tensor<1x4x16x2xbf16> -> tensor<?x16xf32>
  return %0 : tensor<?x16xf32>
}
