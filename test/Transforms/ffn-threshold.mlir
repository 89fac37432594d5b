// Each rule's scores, what constants become, and the report.
//
// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/rows.py %t/rows.npz 300 1
// RUN: sparse-opt calibrate %S/Inputs/gated.onnxtxt --inputs=%t/rows.npz --row-mask=none -o %t/gated.profile
// RUN: sparse-opt compile %S/Inputs/gated.onnxtxt --emit=ffn -o %t/gated.mlir

// The published ones have no constant: the down bias alone is added.
// RUN: sparse-opt %t/gated.mlir --ffn-threshold="profile=%t/gated.profile rule=cats target-density=0.3" 2>%t/remark | FileCheck %s --check-prefixes=REPORT,CATS
// RUN: FileCheck %s --check-prefix=DEAD < %t/remark
// REPORT: ffn.methods = [{block = "/mlp/down", centre = "none", cett = 0.{{[0-9]+}} : f64, dead = 1 : i64, density = 0.{{29|30}}{{[0-9]+}} : f64, held_out_cett = 0.{{[0-9]+}} : f64, held_out_density = 0.{{[0-9]+}} : f64, held_out_error_after_norm, held_out_error_with_residual = 0.{{[0-9]+}} : f64, held_out_rows = {{[0-9]+}} : i64, method = "ffn-threshold", no_norm = "no norm with constant weights reads the sum", removed = 0 : i64, rows = {{[0-9]+}} : i64, rule = "cats", settings = [{cett = 0.{{[0-9]+}} : f64, density = 0.{{[0-9]+}} : f64, threshold = {{[0-9.]+}} : f64}, {
// DEAD: ffn-threshold: 1 of 8 neurons of block '/mlp/down' were never active in calibration; remove-dead would cut them out
// CATS: %[[G:.+]] = ffn.score exact <relu> %[[X:.+]](%[[GATE:.+]], %[[BIAS:.+]]) :
// CATS-NEXT: %[[T:.+]] = ffn.knob "/mlp/down.threshold" = {{[0-9.e+-]+$}}
// CATS-NEXT: %[[S:.+]] = ffn.select magnitude(%[[G]]) above(%[[T]]) :
// CATS-NEXT: %[[C:.+]] = ffn.knob "/mlp/down.crossover" = 1.0
// CATS-NEXT: %[[FIX:.+]] = ffn.correct <relu> %[[X]], %[[S]] known(%[[G]]) gate(%[[GATE]], %[[BIAS]]) up(%{{.+}}) down(%{{.+}}) all_above(%[[C]]) {block_name = "/mlp/down", density_band = array<f64: 0.{{[0-9]+}}, 0.{{[0-9]+}}>} :
// CATS-NEXT: %[[LINEAR:.+]] = ffn.linear %[[X]] offset(%{{.+}}) :
// CATS-NEXT: arith.addf %[[LINEAR]], %[[FIX]]

// RUN: sparse-opt %t/gated.mlir --ffn-threshold="profile=%t/gated.profile rule=chess cett=0.2" | FileCheck %s --check-prefix=CHESS
// CHESS: ffn.select magnitude(%{{[0-9]+}}) weight(%{{.+}}) above(

// These need the up product of every neuron, so that is known too.
// RUN: sparse-opt %t/gated.mlir --ffn-threshold="profile=%t/gated.profile rule=product target-density=0.3" | FileCheck %s --check-prefix=PRODUCT
// PRODUCT: %[[G:.+]] = ffn.score exact <relu>
// PRODUCT-NEXT: %[[U:.+]] = ffn.score exact <identity> %{{.+}}(%[[UP:.+]]) :
// PRODUCT: ffn.select magnitude(%[[G]], %[[U]]) above(
// PRODUCT: ffn.correct {{.*}} known(%[[G]], %[[U]]) {{.*}} up(%[[UP]])
// RUN: sparse-opt %t/gated.mlir --ffn-threshold="profile=%t/gated.profile cett=0.2" | FileCheck %s --check-prefix=CETT
// CETT: rule = "cett"
// CETT: ffn.select magnitude(%{{[0-9]+}}, %{{[0-9]+}}) weight(%{{.+}}) above(

// A centred gate folds into a matrix; the dead neuron leaves all weights.
// RUN: sparse-opt %t/gated.mlir --ffn-threshold="profile=%t/gated.profile rule=expected-cett centre=median target-density=0.3 remove-dead" 2>/dev/null | FileCheck %s --check-prefix=CENTRED
// CENTRED: dead = 1 : i64{{.*}} removed = 1 : i64
// CENTRED: ffn.select magnitude(%{{.+}}) minus(%[[C:.+]]) weight(%{{.+}}) above(%{{.+}}) : (tensor<?x7xf32>, tensor<7xf32>, tensor<7xf32>, f32) -> !ffn.selection<7>
// CENTRED: ffn.correct {{.*}} minus(%[[C]]) all_above(%{{[0-9]+}}) {block_name = "/mlp/down", {{.*}}} : {{.*}}tensor<4x7xf32>, tensor<7xf32>, tensor<4x7xf32>, tensor<7x4xf32>, tensor<7xf32>, f32)
// CENTRED: ffn.linear %{{.+}} folded(%{{.+}} as i8) offset(%{{.+}}) : (tensor<?x4xf32>, tensor<4x4xf32>, tensor<4xf32>)
// RUN: sparse-opt %t/gated.mlir --ffn-threshold="profile=%t/gated.profile rule=expected-cett centre=median target-density=0.3 folded-type=weights" 2>/dev/null | FileCheck %s --check-prefix=FOLDED
// FOLDED: ffn.linear %{{.+}} folded(%{{[a-z0-9_]+}}) offset(

// A plain block's constants are a bias; scap's are modes.
// RUN: %python %S/../tools/Inputs/calibration-data.py %t/plain.npz 60 7 1
// RUN: sparse-opt calibrate %S/../tools/model.onnxtxt --inputs=%t/plain.npz -o %t/plain.profile
// RUN: sparse-opt compile %S/../tools/model.onnxtxt --emit=ffn -o %t/plain.mlir
// RUN: sparse-opt %t/plain.mlir --ffn-threshold="profile=%t/plain.profile rule=scap target-density=0.5" | FileCheck %s --check-prefix=SCAP
// SCAP: centre = "mode"
// SCAP: %[[A:.+]] = ffn.score exact <gelu> %{{.+}}(%[[UP:.+]], %[[BIAS:.+]]) :
// SCAP: ffn.select magnitude(%[[A]]) minus(%[[C:.+]]) above(
// SCAP: ffn.correct <gelu> {{.*}} known(%[[A]]) up(%[[UP]], %[[BIAS]]) down(%{{.+}}) minus(%[[C]])
// SCAP-NEXT: ffn.linear %{{.+}} offset(

// teal skips columns of x too; what it reads is a share of the weights.
// RUN: sparse-opt %t/gated.mlir --ffn-threshold="profile=%t/gated.profile rule=teal target-density=0.6" 2>/dev/null | FileCheck %s --check-prefix=TEAL
// TEAL: density = 0.{{5|6}}{{.*}} held_out_density = 0.{{[0-9]+}} : f64, {{.*}}held_out_input_density = 0.{{[0-9]+}} : f64, held_out_neuron_density = 0.{{[0-9]+}} : f64, {{.*}}input_density = 0.{{[0-9]+}} : f64, input_threshold = {{[0-9.]+}} : f64, {{.*}}neuron_density = 0.{{[0-9]+}} : f64, {{.*}}rule = "teal", settings = [{cett = 0.{{[0-9]+}} : f64, density = 0.{{[0-9]+}} : f64, input_threshold =
// TEAL: %[[TX:.+]] = ffn.knob "/mlp/down.input_threshold" =
// TEAL-NEXT: %[[SX:.+]] = ffn.select magnitude(%[[X:.+]]) above(%[[TX]]) : (tensor<?x4xf32>, f32) -> !ffn.selection<4>
// TEAL-NEXT: %[[CX:.+]] = ffn.knob "/mlp/down.input_crossover" = 1.0
// TEAL-NEXT: %[[K:.+]] = ffn.keep %[[X]], %[[SX]] all_above(%[[CX]]) {density_band = array<f64: 0.{{[0-9]+}}, {{[01]\.[0-9e+]+}}>} :
// TEAL-NEXT: %[[G:.+]] = ffn.score exact <relu> %[[K]](%[[GATE:.+]], %[[BIAS:.+]]) :
// TEAL-NEXT: %[[U:.+]] = ffn.score exact <identity> %[[K]](%[[UP:.+]]) :
// TEAL-NEXT: %[[T:.+]] = ffn.knob "/mlp/down.threshold" =
// TEAL-NEXT: %[[S:.+]] = ffn.select magnitude(%[[G]], %[[U]]) above(%[[T]]) :
// TEAL: ffn.correct <relu> %[[K]], %[[S]] known(%[[G]], %[[U]]) gate(%[[GATE]], %[[BIAS]]) up(%[[UP]])
// TEAL-NEXT: ffn.linear %[[X]] offset(
// RUN: sparse-opt %t/plain.mlir --ffn-threshold="profile=%t/plain.profile rule=teal cett=0.3" | FileCheck %s --check-prefix=TEAL-PLAIN
// TEAL-PLAIN: cett = 0.{{[12]}}
// TEAL-PLAIN: %[[G:.+]] = ffn.score exact <gelu> %[[K:.+]](%[[UP:.+]], %[[BIAS:.+]]) :
// TEAL-PLAIN: ffn.select magnitude(%[[G]]) above(
// TEAL-PLAIN: ffn.correct <gelu> %[[K]], {{.*}} known(%[[G]]) up(%[[UP]], %[[BIAS]])

// Blocks of another type stay, as do those that layers= leaves out.
// RUN: sed "s/onnx.constant dense<.*> : tensor<8x4xf32>/onnx.node \"Down\" version 1 () : () -> tensor<8x4xf32>/" %t/plain.mlir > %t/open.mlir
// RUN: sparse-opt %t/open.mlir --ffn-threshold="profile=%t/plain.profile target-density=0.5" | FileCheck %s --check-prefix=STAYS
// STAYS: ffn.methods = [{block = "/down/MatMul", method = "none", reason = "its weights aren't constants with data"}]
// STAYS: ffn.block <gelu>
