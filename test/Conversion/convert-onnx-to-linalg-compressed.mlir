// RUN: sparse-opt %s --split-input-file --convert-onnx-to-linalg --canonicalize --cse --verify-diagnostics | FileCheck %s

// Few rows list what is kept and read the rows of it; many compute all neurons,
// masked where they are made. Knobs and blocks are numbered.
// CHECK: module attributes {kernel.blocks = [{groups = 64 : i64, name = "b"}], kernel.knobs = [{name = "t", value = 1.000000e-01 : f32}]}
// CHECK-LABEL: @main
// CHECK: %[[T:.+]] = kernel.knob "t" = 1.000000e-01
// CHECK: %[[FEW:.+]] = arith.cmpi ule, %{{.+}}, %c16
// CHECK: scf.if %[[FEW]] -> (tensor<?x64xf32>) {
// CHECK: %[[S:.+]]:3 = kernel.select
// CHECK: %[[CENTRED:.+]] = arith.subf
// CHECK: math.absf %[[CENTRED]]
// CHECK: %[[KEEP:.+]] = arith.cmpf ugt, %{{.+}}, %[[T]]
// CHECK: kernel.yield %[[KEEP]], %[[CENTRED]] : i1, f32
// CHECK: kernel.note_rows "b" %{{.+}} selected %{{.+}} of 64
// CHECK: %[[P:.+]] = kernel.selected_product %arg0, %{{.+}} of(%[[S]]#0, %[[S]]#1) epilogue(%[[S]]#2
// CHECK: kernel.selected_sum %[[P]], %{{.+}} of(%[[S]]#0, %[[S]]#1)
// CHECK: } else {
// CHECK: kernel.note_rows "b" %{{.+}} of 64
// CHECK: arith.select %{{.+}}, %{{.+}}, %{{.+}} : f32
// CHECK: } {kernel.few_rows}
func.func @main(%x: tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "x"}) -> (tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "y"}) {
  %gate = onnx.constant dense<1.0> : tensor<64x64xf32>
  %up = onnx.constant dense<2.0> : tensor<64x64xf32>
  %down = onnx.constant dense<3.0> : tensor<64x64xf32>
  %c = onnx.constant dense<0.5> : tensor<64xf32>
  %t = ffn.knob "t" = 0.1
  %g = ffn.score exact <silu> %x(%gate) : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %s = ffn.select magnitude(%g) minus(%c) above(%t) : (tensor<?x64xf32>, tensor<64xf32>, f32) -> !ffn.selection<64>
  %y = ffn.correct <silu> %x, %s known(%g) gate(%gate) up(%up) down(%down) minus(%c) {block_name = "b"} : (tensor<?x64xf32>, !ffn.selection<64>, tensor<?x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// Static rows need no branch; too many of them no kernel.
// CHECK-LABEL: @many
// CHECK-NOT: scf.if
// CHECK-NOT: kernel.select
// CHECK: arith.select
func.func @many(%x: tensor<17x64xf32> {onnx.dims = ["17", "64"], onnx.name = "x"}) -> (tensor<17x64xf32> {onnx.dims = ["17", "64"], onnx.name = "y"}) {
  %up = onnx.constant dense<2.0> : tensor<64x64xf32>
  %down = onnx.constant dense<3.0> : tensor<64x64xf32>
  %g = ffn.score exact <relu> %x(%up) : (tensor<17x64xf32>, tensor<64x64xf32>) -> tensor<17x64xf32>
  %t = ffn.knob "t" = 0.1
  %s = ffn.select magnitude(%g) above(%t) : (tensor<17x64xf32>, f32) -> !ffn.selection<64>
  %y = ffn.correct <relu> %x, %s known(%g) up(%up) down(%down) : (tensor<17x64xf32>, !ffn.selection<64>, tensor<17x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<17x64xf32>
  return %y : tensor<17x64xf32>
}

// -----

// What kernels can't take is said.
// CHECK-LABEL: @odd
// CHECK-NOT: kernel.select
func.func @odd(%x: tensor<?x8xf32> {onnx.dims = ["n", "8"], onnx.name = "x"}) -> (tensor<?x8xf32> {onnx.dims = ["n", "8"], onnx.name = "y"}) {
  %up = onnx.constant dense<2.0> : tensor<8x32xf32>
  %down = onnx.constant dense<3.0> : tensor<32x8xf32>
  %g = ffn.score exact <relu> %x(%up) : (tensor<?x8xf32>, tensor<8x32xf32>) -> tensor<?x32xf32>
  %s = ffn.select nonzero(%g) : (tensor<?x32xf32>) -> !ffn.selection<32>
  // expected-remark @below {{all neurons of this block are computed for few rows too: kernels that skip them need f32 constants whose widths are multiples of 64}}
  %y = ffn.correct <relu> %x, %s known(%g) up(%up) down(%down) : (tensor<?x8xf32>, !ffn.selection<32>, tensor<?x32xf32>, tensor<8x32xf32>, tensor<32x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// What a folded matrix is stored in goes with its product.
// RUN: sparse-opt %s --split-input-file --convert-onnx-to-linalg --canonicalize --cse --kernel-form-regions 2>/dev/null | FileCheck %s --check-prefix=REGION
// CHECK-LABEL: @main
// CHECK: linalg.generic {{.*}} attrs = {kernel.weight_type = i8}
// REGION: kernel.product
// REGION: {kernel.weight_type = i8} : tensor<?x64xf32>, tensor<4x64x16xf32>
func.func @main(%x: tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "x"}) -> (tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "y"}) {
  %folded = onnx.constant dense<1.0> : tensor<64x64xf32>
  %offset = onnx.constant dense<0.5> : tensor<64xf32>
  %y = ffn.linear %x folded(%folded as i8) offset(%offset) : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// Many rows need no mask for exact zeros: they add nothing as they are.
// CHECK-LABEL: @main
// CHECK: scf.if
// CHECK: arith.cmpf une
// CHECK: } else {
// CHECK-NOT: arith.cmpf une
// CHECK-NOT: arith.select
// CHECK: } {kernel.few_rows}
func.func @main(%x: tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "x"}) -> (tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "y"}) {
  %up = onnx.constant dense<2.0> : tensor<64x64xf32>
  %down = onnx.constant dense<3.0> : tensor<64x64xf32>
  %g = ffn.score exact <relu2> %x(%up) : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %s = ffn.select nonzero(%g) : (tensor<?x64xf32>) -> !ffn.selection<64>
  %y = ffn.correct <relu2> %x, %s known(%g) up(%up) down(%down) {block_name = "b"} : (tensor<?x64xf32>, !ffn.selection<64>, tensor<?x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// Kept columns: few rows read their rows of gate and up, with one list for
// both; many mask x. Both compute what the correction is told of.
// CHECK-LABEL: @main
// CHECK: %[[TX:.+]] = kernel.knob "tx"
// CHECK-NOT: linalg.generic
// CHECK: scf.if
// CHECK: %[[S:.+]]:3 = kernel.select %arg0
// CHECK: arith.cmpf ugt, %{{.+}}, %[[TX]]
// CHECK: %[[G:.+]] = kernel.selected_sum %[[S]]#2, %{{.+}} of(%[[S]]#0, %[[S]]#1) epilogue(
// CHECK: math.exp
// CHECK: %[[U:.+]] = kernel.selected_sum %[[S]]#2, %{{.+}} of(%[[S]]#0, %[[S]]#1) outs(
// CHECK: %[[M:.+]]:3 = kernel.select %[[G]] extras(%[[U]] :
// CHECK: kernel.note_rows "b" %{{.+}} selected
// CHECK: kernel.selected_sum %[[M]]#2,
// CHECK: } else {
// CHECK: %[[KEPT:.+]] = linalg.generic {{.*}} ins(%arg0 :
// CHECK: arith.cmpf ugt, %{{.+}}, %[[TX]]
// CHECK: ins(%[[KEPT]], %{{.+}} :
// CHECK: ins(%[[KEPT]], %{{.+}} :
// CHECK: } {kernel.few_rows}
func.func @main(%x: tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "x"}) -> (tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "y"}) {
  %gate = onnx.constant dense<1.0> : tensor<64x64xf32>
  %bias = onnx.constant dense<0.5> : tensor<64xf32>
  %up = onnx.constant dense<2.0> : tensor<64x64xf32>
  %down = onnx.constant dense<3.0> : tensor<64x64xf32>
  %tx = ffn.knob "tx" = 0.2
  %sx = ffn.select magnitude(%x) above(%tx) : (tensor<?x64xf32>, f32) -> !ffn.selection<64>
  %k = ffn.keep %x, %sx : tensor<?x64xf32>, !ffn.selection<64>
  %g = ffn.score exact <silu> %k(%gate, %bias) : (tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  %u = ffn.score exact <identity> %k(%up) : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %t = ffn.knob "t" = 0.1
  %s = ffn.select magnitude(%g, %u) above(%t) : (tensor<?x64xf32>, tensor<?x64xf32>, f32) -> !ffn.selection<64>
  %y = ffn.correct <silu> %k, %s known(%g, %u) gate(%gate, %bias) up(%up) down(%down) {block_name = "b"} : (tensor<?x64xf32>, !ffn.selection<64>, tensor<?x64xf32>, tensor<?x64xf32>, tensor<64x64xf32>, tensor<64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// Above a density of columns, what is masked is multiplied by dense kernels;
// what comes out is the same value, of which neurons are selected. Both lists
// are counted.
// CHECK: kernel.blocks = [{band = array<f64: 5.000000e-01, 7.500000e-01>, groups = 64 : i64, name = "b.inputs"}, {groups = 128 : i64, name = "b"}]
// CHECK-LABEL: @main
// CHECK-DAG: %[[OX:.+]] = kernel.knob "ox" = 7.500000e-01
// CHECK-DAG: %[[O:.+]] = kernel.knob "o" = 8.000000e-01
// CHECK: scf.if
// CHECK: %[[S:.+]]:3 = kernel.select %arg0
// CHECK: %[[MOST:.+]] = arith.mulf %[[OX]], %{{.+}} : f32
// CHECK: %[[DENSE:.+]] = arith.cmpf ogt, %{{.+}}, %[[MOST]]
// CHECK: %[[SCORES:.+]]:2 = scf.if %[[DENSE]] -> (tensor<?x128xf32>, tensor<?x128xf32>) {
// CHECK: kernel.note_rows "b.inputs" %{{.+}} selected %{{.+}} of 64 guarded
// CHECK: %[[KEPT:.+]] = linalg.generic {{.*}} ins(%arg0 :
// CHECK: ins(%[[KEPT]], %{{.+}} :
// CHECK: ins(%[[KEPT]], %{{.+}} :
// CHECK-NOT: kernel.selected_sum
// CHECK: } else {
// CHECK: kernel.note_rows "b.inputs" %{{.+}} selected %{{.+}} of 64 band
// CHECK: kernel.selected_sum %[[S]]#2,
// CHECK: kernel.selected_sum %[[S]]#2,
// CHECK: }
// CHECK: kernel.select %[[SCORES]]#0 extras(%[[SCORES]]#1 :
// CHECK: arith.mulf %[[O]],
// CHECK: scf.if
// CHECK: kernel.note_rows "b" %{{.+}} selected %{{.+}} of 128 guarded
// CHECK: } else {
// CHECK: kernel.note_rows "b" %{{.+}} selected %{{.+}} of 128{{$}}
// CHECK: kernel.selected_sum
// CHECK: } else {
// CHECK: kernel.note_rows "b" %{{[^ ]+}} of 128{{$}}
// CHECK: kernel.note_rows "b.inputs" %{{[^ ]+}} of 64
// CHECK: } {kernel.few_rows}
func.func @main(%x: tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "x"}) -> (tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "y"}) {
  %gate = onnx.constant dense<1.0> : tensor<64x128xf32>
  %up = onnx.constant dense<2.0> : tensor<64x128xf32>
  %down = onnx.constant dense<3.0> : tensor<128x64xf32>
  %tx = ffn.knob "tx" = 0.2
  %ox = ffn.knob "ox" = 0.75
  %sx = ffn.select magnitude(%x) above(%tx) : (tensor<?x64xf32>, f32) -> !ffn.selection<64>
  %k = ffn.keep %x, %sx all_above(%ox) {density_band = array<f64: 0.5, 0.75>} : tensor<?x64xf32>, !ffn.selection<64>
  %g = ffn.score exact <silu> %k(%gate) : (tensor<?x64xf32>, tensor<64x128xf32>) -> tensor<?x128xf32>
  %u = ffn.score exact <identity> %k(%up) : (tensor<?x64xf32>, tensor<64x128xf32>) -> tensor<?x128xf32>
  %t = ffn.knob "t" = 0.1
  %o = ffn.knob "o" = 0.8
  %s = ffn.select magnitude(%g, %u) above(%t) : (tensor<?x128xf32>, tensor<?x128xf32>, f32) -> !ffn.selection<128>
  %y = ffn.correct <silu> %k, %s known(%g, %u) gate(%gate) up(%up) down(%down) all_above(%o) {block_name = "b"} : (tensor<?x64xf32>, !ffn.selection<128>, tensor<?x128xf32>, tensor<?x128xf32>, tensor<64x128xf32>, tensor<64x128xf32>, tensor<128x64xf32>, f32) -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}

// -----

// A score that something else reads too is a product of its own.
// CHECK-LABEL: @main
// CHECK: linalg.generic
// CHECK: scf.if
// CHECK: kernel.select
// CHECK-NOT: kernel.select %arg0
func.func @main(%x: tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "x"}) -> (tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "y"}, tensor<?x64xf32> {onnx.dims = ["n", "64"], onnx.name = "g"}) {
  %up = onnx.constant dense<2.0> : tensor<64x64xf32>
  %down = onnx.constant dense<3.0> : tensor<64x64xf32>
  %t = ffn.knob "t" = 0.1
  %sx = ffn.select magnitude(%x) above(%t) : (tensor<?x64xf32>, f32) -> !ffn.selection<64>
  %k = ffn.keep %x, %sx : tensor<?x64xf32>, !ffn.selection<64>
  %g = ffn.score exact <silu> %k(%up) : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  %s = ffn.select magnitude(%g) above(%t) : (tensor<?x64xf32>, f32) -> !ffn.selection<64>
  %y = ffn.correct <silu> %k, %s known(%g) up(%up) down(%down) : (tensor<?x64xf32>, !ffn.selection<64>, tensor<?x64xf32>, tensor<64x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
  return %y, %g : tensor<?x64xf32>, tensor<?x64xf32>
}
