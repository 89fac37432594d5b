// RUN: sparse-opt %s --convert-onnx-to-linalg --split-input-file | FileCheck %s

// What every part of the stage `linalg` relies on: one value per size, maps
// for broadcasts, captured scalars, contractions with their batch loops.

// CHECK-DAG: #[[$BATCH:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
// CHECK-DAG: #[[$WEIGHT:.+]] = affine_map<(d0, d1, d2, d3) -> (d3, d2)>
// CHECK-DAG: #[[$LAST:.+]] = affine_map<(d0, d1, d2) -> (d2)>
// CHECK-LABEL: func.func @product_keeps_batch_loops
// CHECK-SAME: (%[[X:.+]]: tensor<?x?x3xf32> {{.*}}onnx.type = f32
// CHECK-DAG: %[[B:.+]] = tensor.dim %[[X]], %{{.+}}
// CHECK-DAG: %[[S:.+]] = tensor.dim %[[X]], %{{.+}}
// CHECK-NOT: tensor.dim
// CHECK: %[[W:.+]] = arith.constant dense<{{.+}}> : tensor<3x2xf32>
// CHECK: %[[INIT:.+]] = linalg.fill
// CHECK: %[[P:.+]] = linalg.generic {indexing_maps = [#[[$BATCH]], #[[$WEIGHT]], #{{.+}}], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%[[X]], %[[W]] : {{.+}}) outs(%[[INIT]]
// CHECK: arith.mulf
// CHECK: arith.addf
// CHECK: linalg.generic {indexing_maps = [#{{.+}}, #[[$LAST]], #{{.+}}]{{.+}} ins(%[[P]], %{{.+}} : tensor<?x?x2xf32>, tensor<2xf32>)
func.func @product_keeps_batch_loops(%x: tensor<?x?x3xf32> {onnx.name = "x", onnx.dims = ["batch", "sequence", "3"]}) -> (tensor<?x?x2xf32> {onnx.name = "y"}) {
  %w = onnx.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>
  %bias = onnx.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %m = onnx.node "MatMul" version 13 (%x, %w) : (tensor<?x?x3xf32>, tensor<3x2xf32>) -> tensor<?x?x2xf32>
  %y = onnx.node "Add" version 14 (%m, %bias) : (tensor<?x?x2xf32>, tensor<2xf32>) -> tensor<?x?x2xf32>
  return %y : tensor<?x?x2xf32>
}

// -----

// CHECK: affine_map<(d0, d1, d2, d3) -> (d0, 0, 0, d3)>
// CHECK-LABEL: func.func @unit_dimensions_are_constant_zero
// CHECK-NOT: arith.constant dense
// CHECK: linalg.generic {{.+}} ins(%{{.+}}, %{{.+}} : tensor<?x4x?x?xf32>, tensor<?x1x1x?xf32>)
// CHECK: %[[SCALAR:.+]] = arith.constant 5.000000e-01 : f32
// CHECK: arith.mulf %{{.+}}, %[[SCALAR]]
func.func @unit_dimensions_are_constant_zero(%x: tensor<?x4x?x?xf32> {onnx.name = "x", onnx.dims = ["b", "4", "s", "s"]}, %m: tensor<?x1x1x?xf32> {onnx.name = "m", onnx.dims = ["b", "1", "1", "s"]}) -> tensor<?x4x?x?xf32> {
  %half = onnx.constant dense<0.5> : tensor<f32>
  %a = onnx.node "Add" version 14 (%x, %m) : (tensor<?x4x?x?xf32>, tensor<?x1x1x?xf32>) -> tensor<?x4x?x?xf32>
  %y = onnx.node "Mul" version 14 (%a, %half) : (tensor<?x4x?x?xf32>, tensor<f32>) -> tensor<?x4x?x?xf32>
  return %y : tensor<?x4x?x?xf32>
}

// -----

// CHECK-LABEL: func.func @transposed_gemm_weight_is_folded
// CHECK: arith.constant dense<{{\[\[}}1.000000e+00, 3.000000e+00, 5.000000e+00], [2.000000e+00, 4.000000e+00, 6.000000e+00]]> : tensor<2x3xf32>
// CHECK-NOT: linalg.transpose
func.func @transposed_gemm_weight_is_folded(%x: tensor<?x2xf32> {onnx.name = "x", onnx.dims = ["n", "2"]}) -> tensor<?x3xf32> {
  %w = onnx.constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]> : tensor<3x2xf32>
  %y = onnx.node "Gemm" version 13 (%x, %w) {transB = 1 : i64} : (tensor<?x2xf32>, tensor<3x2xf32>) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

// CHECK-LABEL: func.func @unsigned_becomes_signless
// CHECK-SAME: tensor<4xi8> {onnx.dims = ["4"], onnx.name = "x", onnx.type = ui8}
// CHECK-SAME: -> (tensor<4xf32> {onnx.type = f32})
// CHECK: arith.uitofp
func.func @unsigned_becomes_signless(%x: tensor<4xui8> {onnx.name = "x", onnx.dims = ["4"]}) -> tensor<4xf32> {
  %y = onnx.node "Cast" version 13 (%x) {to = 1 : i64} : (tensor<4xui8>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// CHECK-LABEL: func.func @half_is_computed_in_single
// CHECK: ^bb0(%[[X:.+]]: f16, %{{.+}}: f16):
// CHECK: %[[WIDE:.+]] = arith.extf %[[X]] : f16 to f32
// CHECK: %[[E:.+]] = math.exp %[[WIDE]] : f32
// CHECK: arith.truncf %[[E]] : f32 to f16
func.func @half_is_computed_in_single(%x: tensor<4xf16> {onnx.name = "x", onnx.dims = ["4"]}) -> tensor<4xf16> {
  %y = onnx.node "Exp" version 13 (%x) : (tensor<4xf16>) -> tensor<4xf16>
  return %y : tensor<4xf16>
}

// -----

// CHECK-LABEL: func.func @gated_block
// CHECK: linalg.generic {{.+}}"reduction"
// CHECK: math.exp
// CHECK: linalg.generic {{.+}}"reduction"
// CHECK: arith.mulf
// CHECK: linalg.generic {{.+}}"reduction"
// CHECK-NOT: ffn.block
func.func @gated_block(%x: tensor<?x4xf32> {onnx.name = "x", onnx.dims = ["n", "4"]}, %g: tensor<4x8xf32> {onnx.name = "g", onnx.dims = ["4", "8"]}, %d: tensor<8x4xf32> {onnx.name = "d", onnx.dims = ["8", "4"]}) -> tensor<?x4xf32> {
  %y = ffn.block <silu> %x gate(%g) up(%g) down(%d) : (tensor<?x4xf32>, tensor<4x8xf32>, tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// A computed shape that is data becomes a tensor of sizes.
// CHECK-LABEL: func.func @sizes_as_data
// CHECK: %[[N:.+]] = tensor.dim
// CHECK: %[[I:.+]] = arith.index_cast %[[N]] : index to i64
// CHECK: tensor.from_elements %[[I]] : tensor<1xi64>
func.func @sizes_as_data(%x: tensor<?xi64> {onnx.name = "x", onnx.dims = ["n"]}) -> tensor<?xi64> {
  %n = onnx.dims ["n"] : tensor<1xi64>
  %y = onnx.node "Add" version 14 (%x, %n) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?xi64>
  return %y : tensor<?xi64>
}
