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
