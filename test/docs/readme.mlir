// What README's first screen shows is what the pass does.
// RUN: %python %S/code-block.py %S/../../README.md mlir 1 | sparse-opt --convert-onnx-to-ffn | FileCheck %s

// CHECK-LABEL: @main
// CHECK-SAME: (%[[X:.+]]: tensor<?x384xf32> {
// CHECK-DAG: %[[UP:.+]] = onnx.constant {{.+}} : tensor<384x1536xf32>
// CHECK-DAG: %[[UP_BIAS:.+]] = onnx.constant {{.+}} : tensor<1536xf32>
// CHECK-DAG: %[[DOWN:.+]] = onnx.constant {{.+}} : tensor<1536x384xf32>
// CHECK-DAG: %[[DOWN_BIAS:.+]] = onnx.constant {{.+}} : tensor<384xf32>
// CHECK-NOT: onnx.node
// CHECK: ffn.block <gelu> %[[X]] up(%[[UP]], %[[UP_BIAS]]) down(%[[DOWN]], %[[DOWN_BIAS]]) {block_name = "ffn.0"}
// CHECK-NOT: onnx.node
