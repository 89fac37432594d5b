// RUN: sparse-opt %s --ffn-skip-zeros --split-input-file | FileCheck %s

// With a profile the report knows how many are zero, and min-zeros decides.
// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/rows.py %t/rows.npz 200 1
// RUN: sparse-opt calibrate %S/Inputs/gated.onnxtxt --inputs=%t/rows.npz --row-mask=none -o %t/relu.profile
// RUN: sparse-opt compile %S/Inputs/gated.onnxtxt --emit=ffn -o %t/relu.mlir
// RUN: sparse-opt %t/relu.mlir --ffn-skip-zeros=profile=%t/relu.profile | FileCheck %s --check-prefix=KNOWN
// KNOWN: ffn.methods = [{block = "/mlp/down", density = 0.4{{[0-9]+}} : f64, method = "ffn-skip-zeros"}]
// Neurons that are seldom zero come first, in all weights alike; biases of
// gates show the order.
// KNOWN-NOT: dense<[1.000000e-01, 2.000000e-01, 3.000000e-01, 4.000000e-01, -1.000000e-01,
// KNOWN: %[[BIAS:.+]] = onnx.constant dense<[3.000000e-01, 4.000000e-01, 2.000000e-01, 1.000000e-01, -2.000000e-01, -1.000000e-01, -3.000000e-01, -9.000000e+01]>
// KNOWN: onnx.constant dense<{{\[\[}}-3.000000e-01, 2.000000e-01, 1.000000e-01, 5.000000e-01, -6.000000e-01,
// KNOWN: onnx.constant dense<{{\[\[}}0.899999976, 1.000000e-01, 2.000000e-01, 3.000000e-01], [4.000000e-01, -5.000000e-01,
// KNOWN: ffn.score exact <relu> %{{.+}}(%{{.+}}, %[[BIAS]])
// KNOWN: ffn.select nonzero
// RUN: sparse-opt %t/relu.mlir --ffn-skip-zeros="profile=%t/relu.profile min-zeros=0.9" | FileCheck %s --check-prefix=FEW
// FEW: ffn.methods = [{block = "/mlp/down", method = "none", reason = "0.5{{[0-9]+}} of its activations are zero, less than min-zeros=0.9"}]
// FEW: ffn.block <relu>

// A smooth activation whose gates lie so low that it underflows.
// RUN: sed "s/a = Relu (g)/s = Sigmoid (g)\n  a = Mul (s, g)/; s/0.1, 0.2, 0.3, 0.4, -0.1, -0.2, -0.3, -90.0/-900.0, -900.0, -900.0, -900.0, -0.1, -0.2, -0.3, -900.0/" %S/Inputs/gated.onnxtxt > %t/silu.onnxtxt
// RUN: sparse-opt calibrate %t/silu.onnxtxt --inputs=%t/rows.npz --row-mask=none -o %t/silu.profile
// RUN: sparse-opt compile %t/silu.onnxtxt --emit=ffn -o %t/silu.mlir
// RUN: sparse-opt %t/silu.mlir --ffn-skip-zeros=profile=%t/silu.profile | FileCheck %s --check-prefix=SMOOTH
// SMOOTH: ffn.methods = [{block = "/mlp/down", density = 3.750000e-01 : f64, method = "ffn-skip-zeros"}]
// SMOOTH: ffn.score exact <silu>
// SMOOTH: ffn.select nonzero

// A plain block: the bias comes behind. The other block is smooth and stays.
// CHECK: ffn.methods = [{block = "/down", method = "ffn-skip-zeros"}, {block = "ffn.1", method = "none", reason = "gelu gives no zeros that are known without a profile"}]
// CHECK-LABEL: @main
// CHECK-SAME: %[[X:.+]]: tensor<?x4xf32>
// CHECK: %[[A:.+]] = ffn.score exact <relu2> %[[X]](%[[UP:.+]], %[[BIAS:.+]]) :
// CHECK: %[[S:.+]] = ffn.select nonzero(%[[A]]) : (tensor<?x8xf32>) -> !ffn.selection<8>
// CHECK: %[[FIX:.+]] = ffn.correct <relu2> %[[X]], %[[S]] known(%[[A]]) up(%[[UP]], %[[BIAS]]) down(%[[DOWN:.+]]) {block_name = "/down"} :
// CHECK: %[[LINEAR:.+]] = ffn.linear %[[X]] offset(%{{.+}}) :
// CHECK: %[[Y:.+]] = arith.addf %[[LINEAR]], %[[FIX]]
// CHECK: ffn.block <gelu> %[[Y]]
func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %up = onnx.constant dense<0.1> : tensor<4x8xf32>
  %bias = onnx.constant dense<0.2> : tensor<8xf32>
  %down = onnx.constant dense<0.3> : tensor<8x4xf32>
  %down_bias = onnx.constant dense<0.4> : tensor<4xf32>
  %y = ffn.block <relu2> %x up(%up, %bias) down(%down, %down_bias) {block_name = "/down"} : (tensor<?x4xf32>, tensor<4x8xf32>, tensor<8xf32>, tensor<8x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
  %z = ffn.block <gelu> %y up(%up) down(%down) : (tensor<?x4xf32>, tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %z : tensor<?x4xf32>
}

// -----

// FATReLU: scores and the correction cut off as the block does.
// CHECK-LABEL: @main
// CHECK: %[[G:.+]] = ffn.score exact <relu> %[[X:.+]](%[[GATE:.+]]) {cutoff = 0.00999999977 : f32}
// CHECK: %[[S:.+]] = ffn.select nonzero(%[[G]])
// CHECK: ffn.correct <relu> %[[X]], %[[S]] known(%[[G]]) gate(%[[GATE]]) up(%{{.+}}) down(%{{.+}}) {block_name = "ffn.0", cutoff = 0.00999999977 : f32}
func.func @main(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %gate = onnx.constant dense<0.4> : tensor<4x8xf32>
  %up = onnx.constant dense<0.1> : tensor<4x8xf32>
  %down = onnx.constant dense<0.3> : tensor<8x4xf32>
  %y = ffn.block <relu> %x gate(%gate) up(%up) down(%down) {cutoff = 0.01 : f32} : (tensor<?x4xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// dReLU in another type: gate first; nothing is added without a bias.
// CHECK-LABEL: @main
// CHECK: %[[G:.+]] = ffn.score exact <relu> %[[X:.+]](%[[GATE:.+]]) : (tensor<?x4xf16>
// CHECK: %[[S:.+]] = ffn.select nonzero(%[[G]])
// CHECK: %[[Y:.+]] = ffn.correct <relu> %[[X]], %[[S]] known(%[[G]]) gate(%[[GATE]]) up : <relu>(%{{.+}}) down(%{{.+}}) {block_name = "ffn.0"}
// CHECK: return %[[Y]]
func.func @main(%x: tensor<?x4xf16>) -> tensor<?x4xf16> {
  %gate = onnx.constant dense<0.4> : tensor<4x8xf16>
  %up = onnx.constant dense<0.1> : tensor<4x8xf16>
  %down = onnx.constant dense<0.3> : tensor<8x4xf16>
  %y = ffn.block <relu> %x gate(%gate) up : <relu>(%up) down(%down) : (tensor<?x4xf16>, tensor<4x8xf16>, tensor<4x8xf16>, tensor<8x4xf16>) -> tensor<?x4xf16>
  return %y : tensor<?x4xf16>
}
