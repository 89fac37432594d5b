// RUN: sparse-opt %s --verify-roundtrip | FileCheck %s

// CHECK-LABEL: @plain
// CHECK: ffn.block <gelu> %{{.+}} up(%{{.+}}, %{{.+}}) down(%{{.+}})
func.func @plain(%x: tensor<?x8xf32>, %up: tensor<8x32xf32>, %bias: tensor<32xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  %y = ffn.block <gelu> %x up(%up, %bias) down(%down) : (tensor<?x8xf32>, tensor<8x32xf32>, tensor<32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @drelu
// CHECK: ffn.block <relu> %{{.+}} gate(%{{.+}}) up : <relu>(%{{.+}}) down(%{{.+}})
func.func @drelu(%x: tensor<?x8xf32>, %gate: tensor<8x32xf32>, %up: tensor<8x32xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  %y = ffn.block <relu> %x gate(%gate) up : <relu>(%up) down(%down) : (tensor<?x8xf32>, tensor<8x32xf32>, tensor<8x32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @fatrelu
// CHECK: ffn.block <relu> {{.*}} {cutoff = 0.00999999977 : f32}
func.func @fatrelu(%x: tensor<?x8xf32>, %up: tensor<8x32xf32>, %down: tensor<32x8xf32>) -> tensor<?x8xf32> {
  %y = ffn.block <relu> %x up(%up) down(%down) {cutoff = 0.01 : f32} : (tensor<?x8xf32>, tensor<8x32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// CHECK-LABEL: @centred_gate
// CHECK: %[[T:.+]] = ffn.knob "layer.0.threshold" = 1.300000e-02
// CHECK: %[[G:.+]] = ffn.score exact <silu> %{{.+}}(%{{.+}}, %{{.+}})
// CHECK: %[[S:.+]] = ffn.select magnitude(%[[G]]) minus(%{{.+}}) weight(%{{.+}}) above(%[[T]]){{.*}} -> !ffn.selection<32>
// CHECK: ffn.density %[[S]] : <32>
// CHECK: ffn.linear %{{.+}} folded(%{{.+}}) offset(%{{.+}})
// CHECK: ffn.correct <silu> %{{.+}}, %[[S]] known(%[[G]]) gate(%{{.+}}, %{{.+}}) up(%{{.+}}) down(%{{.+}}) minus(%{{.+}})
func.func @centred_gate(%x: tensor<?x8xf32>, %gate: tensor<8x32xf32>, %bias: tensor<32xf32>, %up: tensor<8x32xf32>, %down: tensor<32x8xf32>, %c: tensor<32xf32>, %norm: tensor<32xf32>, %folded: tensor<8x8xf32>, %offset: tensor<8xf32>) -> (tensor<?x8xf32>, f32) {
  %t = ffn.knob "layer.0.threshold" = 1.3e-2
  %g = ffn.score exact <silu> %x(%gate, %bias) : (tensor<?x8xf32>, tensor<8x32xf32>, tensor<32xf32>) -> tensor<?x32xf32>
  %s = ffn.select magnitude(%g) minus(%c) weight(%norm) above(%t) : (tensor<?x32xf32>, tensor<32xf32>, tensor<32xf32>, f32) -> !ffn.selection<32>
  %d = ffn.density %s : !ffn.selection<32>
  %lin = ffn.linear %x folded(%folded) offset(%offset) : (tensor<?x8xf32>, tensor<8x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
  %fix = ffn.correct <silu> %x, %s known(%g) gate(%gate, %bias) up(%up) down(%down) minus(%c) : (tensor<?x8xf32>, !ffn.selection<32>, tensor<?x32xf32>, tensor<8x32xf32>, tensor<32xf32>, tensor<8x32xf32>, tensor<32x8xf32>, tensor<32xf32>) -> tensor<?x8xf32>
  %y = arith.addf %lin, %fix : tensor<?x8xf32>
  return %y, %d : tensor<?x8xf32>, f32
}

// CHECK-LABEL: @other_rules
// CHECK: ffn.select all : () -> !ffn.selection<32>
// CHECK: ffn.select nonzero(%{{.+}}, %{{.+}}) : (tensor<?x32xf32>, tensor<?x32xf32>) -> !ffn.selection<32, group = 16, tile = 4>
// CHECK: ffn.select given(%{{.+}}) : (tensor<?x32xi1>) -> !ffn.selection<32>
func.func @other_rules(%g: tensor<?x32xf32>, %mask: tensor<?x32xi1>) -> (!ffn.selection<32>, !ffn.selection<32, group = 16, tile = 4>, !ffn.selection<32>) {
  %all = ffn.select all : () -> !ffn.selection<32>
  %nonzero = ffn.select nonzero(%g, %g) : (tensor<?x32xf32>, tensor<?x32xf32>) -> !ffn.selection<32, group = 16, tile = 4>
  %given = ffn.select given(%mask) : (tensor<?x32xi1>) -> !ffn.selection<32>
  return %all, %nonzero, %given : !ffn.selection<32>, !ffn.selection<32, group = 16, tile = 4>, !ffn.selection<32>
}

// CHECK-LABEL: @kept_columns
// CHECK: %[[S:.+]] = ffn.select magnitude(%[[X:.+]]) above(%{{.+}}) : (tensor<?x8xf32>, f32) -> !ffn.selection<8>
// CHECK: %[[K:.+]] = ffn.keep %[[X]], %[[S]] : tensor<?x8xf32>, !ffn.selection<8>
// CHECK: ffn.score exact <silu> %[[K]](
// CHECK: ffn.keep %[[X]], %[[S]] all_above(%{{.+}}) {density_band = array<f64: 1.000000e-01, 2.000000e-01>} : tensor<?x8xf32>, !ffn.selection<8>
func.func @kept_columns(%x: tensor<?x8xf32>, %gate: tensor<8x32xf32>) -> (tensor<?x32xf32>, tensor<?x8xf32>) {
  %t = ffn.knob "layer.0.input_threshold" = 4.0e-3
  %s = ffn.select magnitude(%x) above(%t) : (tensor<?x8xf32>, f32) -> !ffn.selection<8>
  %k = ffn.keep %x, %s : tensor<?x8xf32>, !ffn.selection<8>
  %g = ffn.score exact <silu> %k(%gate) : (tensor<?x8xf32>, tensor<8x32xf32>) -> tensor<?x32xf32>
  %guarded = ffn.keep %x, %s all_above(%t) {density_band = array<f64: 0.1, 0.2>} : tensor<?x8xf32>, !ffn.selection<8>
  return %g, %guarded : tensor<?x32xf32>, tensor<?x8xf32>
}
