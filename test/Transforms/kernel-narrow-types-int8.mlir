// RUN: sparse-opt %s -split-input-file '--kernel-narrow-types=operands=f32 weights=int8 min-table-bytes=16 min-int8-elements=4' | FileCheck %s
// RUN: not sparse-opt %s -split-input-file --kernel-narrow-types=weights=int4 2>&1 | FileCheck %s --check-prefix=ERROR
// ERROR: error: there are operands of f32 and bf16, and weights of f32, bf16 and int8

// RUN: sparse-opt %s -split-input-file '--kernel-narrow-types=operands=f32 weights=f32 min-int8-elements=4' | FileCheck %s --check-prefix=F32

// One scale a neuron, the largest magnitude of which becomes 127; panels have 64
// columns, and those past the last neuron are zero. Sums are scaled first.
// CHECK-LABEL: @scaled
// CHECK-SAME: (%[[X:[^:]+]]: tensor<?x2xf32>, %[[B:[^:]+]]: tensor<2xf32>
// CHECK-DAG: %[[W:.+]] = arith.constant dense<"0x7F40{{(00)+}}E081{{(00)+}}"> : tensor<1x2x64xi8>
// CHECK-DAG: %[[S:.+]] = arith.constant dense<[0.00787401571, 0.0314960629]> : tensor<2xf32>
// CHECK: kernel.product %[[X]], %[[W]] epilogue(%[[B]], %[[S]] : tensor<2xf32>, tensor<2xf32>)
// CHECK: ^bb0(%[[ACC:.+]]: f32, %[[BIAS:.+]]: f32, %[[SCALE:.+]]: f32):
// CHECK: %[[SUM:.+]] = arith.mulf %[[ACC]], %[[SCALE]]
// CHECK: arith.addf %[[SUM]], %[[BIAS]]
// CHECK: tensor<?x2xf32>, tensor<1x2x64xi8> -> tensor<?x2xf32>
func.func @scaled(%x: tensor<?x2xf32>, %b: tensor<2xf32>, %rows: index) -> tensor<?x2xf32> {
  %w = arith.constant dense<[[[1., 2., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.], [-0.25, -4., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.]]]> : tensor<1x2x16xf32>
  %empty = tensor.empty(%rows) : tensor<?x2xf32>
  %0 = kernel.product %x, %w epilogue(%b : tensor<2xf32>) outs(%empty : tensor<?x2xf32>) {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    kernel.yield %s : f32
  } : tensor<?x2xf32>, tensor<1x2x16xf32> -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

// Few weights stay as they are, and so do those that aren't finite.
// CHECK-LABEL: @as_they_are
// CHECK-NOT: i8
func.func @as_they_are(%x: tensor<?x1xf32>, %rows: index) -> (tensor<?x1xf32>, tensor<?x16xf32>) {
  %few = arith.constant dense<0.5> : tensor<1x1x16xf32>
  %infinite = arith.constant dense<0x7F800000> : tensor<1x1x16xf32>
  %empty = tensor.empty(%rows) : tensor<?x1xf32>
  %wide = tensor.empty(%rows) : tensor<?x16xf32>
  %0 = kernel.product %x, %few outs(%empty : tensor<?x1xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x1xf32>, tensor<1x1x16xf32> -> tensor<?x1xf32>
  %1 = kernel.product %x, %infinite outs(%wide : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x1xf32>, tensor<1x1x16xf32> -> tensor<?x16xf32>
  return %0, %1 : tensor<?x1xf32>, tensor<?x16xf32>
}

// -----

// A table has a scale for each row; a look-up in a product's weight reads the
// product's.
// CHECK-LABEL: @tables
// CHECK-SAME: (%[[X:[^:]+]]: tensor<?x1xf32>, %[[I:[^:]+]]: index
// CHECK-DAG: %[[SCALES:.+]] = arith.constant dense<[0.0157480314, 0.0314960629]> : tensor<2xf32>
// CHECK-DAG: %[[TABLE:.+]] = arith.constant dense<{{\[\[}}64, 127], [95, 127]]> : tensor<2x2xi8>
// CHECK: %[[ELEMENT:.+]] = tensor.extract %[[TABLE]][%[[I]], %[[I]]]
// CHECK: %[[SCALE:.+]] = tensor.extract %[[SCALES]][%[[I]]]
// CHECK: %[[FLOAT:.+]] = arith.sitofp %[[ELEMENT]] : i8 to f32
// CHECK: arith.mulf %[[FLOAT]], %[[SCALE]]
// CHECK: %[[W:.+]] = arith.constant dense<{{.+}}> : tensor<1x1x64xi8>
// CHECK: kernel.product %[[X]], %[[W]]
// CHECK: %[[FIRST:.+]] = arith.muli %{{.+}}, %{{.+}} : index
// CHECK: %[[ROW:.+]] = arith.addi %[[FIRST]], %[[I]]
// CHECK: %[[PANEL:.+]] = arith.divui %[[ROW]], %[[WIDTH:.+]] : index
// CHECK: %[[COLUMN:.+]] = arith.remui %[[ROW]], %[[WIDTH]] : index
// CHECK: tensor.extract %{{.+}}[%[[PANEL]], %{{.+}}, %[[COLUMN]]] : tensor<1x1x64xi8>
// CHECK: tensor.extract %{{.+}}[%[[ROW]]] : tensor<16xf32>
func.func @tables(%x: tensor<?x1xf32>, %i: index, %rows: index) -> (f32, f32, tensor<?x16xf32>) {
  %zero = arith.constant 0 : index
  %table = arith.constant dense_resource<table> : tensor<2x2xf32>
  %w = arith.constant dense_resource<w> : tensor<1x1x16xf32>
  %a = tensor.extract %table[%i, %i] : tensor<2x2xf32>
  %empty = tensor.empty(%rows) : tensor<?x16xf32>
  %0 = kernel.product %x, %w outs(%empty : tensor<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : tensor<?x1xf32>, tensor<1x1x16xf32> -> tensor<?x16xf32>
  %b = tensor.extract %w[%zero, %zero, %i] : tensor<1x1x16xf32>
  return %a, %b, %0 : f32, f32, tensor<?x16xf32>
}
{-#
  dialect_resources: {
    builtin: {
      table: "0x040000000000803F000000400000404000008040",
      w: "0x040000000000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F0000803F"
    }
  }
#-}

// -----

// A product whose weight has its own type, whatever those of others are.
// F32-LABEL: @scaled
// F32-NOT: i8
// F32-LABEL: @own_type
// F32: arith.constant dense<"0x7F40{{(00)+}}E081{{(00)+}}"> : tensor<1x2x64xi8>
// CHECK-LABEL: @own_type
// CHECK: tensor<1x2x64xi8>
func.func @own_type(%x: tensor<?x2xf32>, %rows: index) -> tensor<?x2xf32> {
  %w = arith.constant dense<[[[1., 2., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.], [-0.25, -4., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.]]]> : tensor<1x2x16xf32>
  %empty = tensor.empty(%rows) : tensor<?x2xf32>
  %0 = kernel.product %x, %w outs(%empty : tensor<?x2xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } {kernel.weight_type = i8} : tensor<?x2xf32>, tensor<1x2x16xf32> -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
