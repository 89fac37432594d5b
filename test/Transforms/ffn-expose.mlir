// RUN: sparse-opt %s --ffn-expose --split-input-file | FileCheck %s
// RUN: sparse-opt %s --ffn-expose="values=x,y keep-results" --split-input-file | FileCheck %s --check-prefix=KEEP

// A plain block: its input, the product before the activation, what goes into
// the down projection, and what is added to its result. The rest goes.
// CHECK-LABEL: @main
// CHECK-SAME: (%[[X:.+]]: tensor<?x4xf32> {{.*}}) -> (tensor<?x4xf32> {onnx.dims = ["b", "4"], onnx.name = "/down:x"}, tensor<?x8xf32> {onnx.dims = ["b", "8"], onnx.name = "/down:up"}, tensor<?x8xf32> {{{.*}}onnx.name = "/down:act"}, tensor<?x4xf32> {{{.*}}onnx.name = "/down:residual"})
// CHECK: %[[SUM:.+]] = onnx.node "MatMul" version 13 (%[[X]], %{{.+}}) : (tensor<?x4xf32>, tensor<4x8xf32>) -> tensor<?x8xf32>
// CHECK: %[[Z:.+]] = onnx.node "Add" version 14 (%[[SUM]], %{{.+}})
// CHECK: %[[A:.+]] = onnx.node "Gelu" version 20 (%[[Z]]) {approximate = "none"}
// CHECK-NOT: onnx.node
// CHECK: return %[[X]], %[[Z]], %[[A]], %[[X]]
// KEEP-LABEL: @main
// KEEP-SAME: -> (tensor<?x4xf32> {onnx.name = "out"}, tensor<?x4xf32> {{{.*}}onnx.name = "/down:x"}, tensor<?x4xf32> {{{.*}}onnx.name = "/down:y"})
// KEEP: %[[Y:.+]] = ffn.block <gelu>
// KEEP: return %{{.+}}, %{{.+}}, %[[Y]]
func.func @main(%x: tensor<?x4xf32> {onnx.name = "x", onnx.dims = ["b", "4"]}) -> (tensor<?x4xf32> {onnx.name = "out"}) {
  %up = onnx.constant dense<0.1> : tensor<4x8xf32>
  %bias = onnx.constant dense<0.2> : tensor<8xf32>
  %down = onnx.constant dense<0.3> : tensor<8x4xf32>
  %y = ffn.block <gelu> %x up(%up, %bias) down(%down) {block_name = "/down"} : (tensor<?x4xf32>, tensor<4x8xf32>, tensor<8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %r = onnx.node "Add" version 14 (%y, %x) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %out = onnx.node "Relu" version 14 (%r) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %out : tensor<?x4xf32>
}

// -----

// A gated block of another type: gate and up, f32 for whoever reads them.
// CHECK-LABEL: @main
// CHECK-SAME: "ffn.0:x"{{.*}} "ffn.0:gate"{{.*}} "ffn.0:up"{{.*}} "ffn.0:act"{{.*}} "ffn.0:residual"
// CHECK: %[[G:.+]] = onnx.node "MatMul"
// CHECK: %[[U:.+]] = onnx.node "MatMul"
// CHECK: %[[PU:.+]] = onnx.node "Relu" version 14 (%[[G]])
// CHECK: %[[PG:.+]] = onnx.node "Relu" version 14 (%[[U]])
// CHECK: %[[M:.+]] = onnx.node "Mul" version 14 (%{{.+}}, %{{.+}}) : (tensor<?x8xf16>
// CHECK-COUNT-5: onnx.node "Cast" version 13
// CHECK-NOT: onnx.node
func.func @main(%x: tensor<?x4xf16> {onnx.name = "x", onnx.dims = ["b", "4"]}, %s: tensor<?x4xf16> {onnx.name = "s", onnx.dims = ["b", "4"]}) -> (tensor<?x4xf16> {onnx.name = "out"}) {
  %gate = onnx.constant dense<0.4> : tensor<4x8xf16>
  %up = onnx.constant dense<0.1> : tensor<4x8xf16>
  %down = onnx.constant dense<0.3> : tensor<8x4xf16>
  %y = ffn.block <relu> %x gate(%gate) up : <relu>(%up) down(%down) : (tensor<?x4xf16>, tensor<4x8xf16>, tensor<4x8xf16>, tensor<8x4xf16>) -> tensor<?x4xf16>
  %out = onnx.node "Add" version 14 (%s, %y) : (tensor<?x4xf16>, tensor<?x4xf16>) -> tensor<?x4xf16>
  return %out : tensor<?x4xf16>
}

// -----

// Two blocks in parallel on one stream: what joins the first is the sum of
// the other's result and the stream; the second's result has two readers, so
// nothing is said to join it. The first's own result isn't computed.
// CHECK-LABEL: @main
// CHECK: %[[Y2:.+]] = onnx.node "MatMul" {{.*}} -> tensor<?x4xf32>
// CHECK: %[[R:.+]] = onnx.node "Add" version 14 (%[[Y2]], %arg0)
// CHECK: return %{{.+}}, %{{.+}}, %{{.+}}, %[[R]], %{{.+}}, %{{.+}}, %{{.+}}
func.func @main(%x: tensor<?x4xf32> {onnx.name = "x", onnx.dims = ["b", "4"]}) -> (tensor<?x4xf32> {onnx.name = "out"}) {
  %up = onnx.constant dense<0.1> : tensor<4x8xf32>
  %down = onnx.constant dense<0.3> : tensor<8x4xf32>
  %y1 = ffn.block <silu> %x up(%up) down(%down) : (tensor<?x4xf32>, tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %y2 = ffn.block <relu2> %x up(%up) down(%down) : (tensor<?x4xf32>, tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<?x4xf32>
  %a = onnx.node "Add" version 14 (%y1, %y2) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %b = onnx.node "Add" version 14 (%a, %x) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %out = onnx.node "Mul" version 14 (%b, %y2) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %out : tensor<?x4xf32>
}

// -----

// Without a block nothing changes; a bias is no residual.
// CHECK-LABEL: @main
// CHECK: %[[OUT:.+]] = onnx.node "Relu"
// CHECK: return %[[OUT]]
func.func @main(%x: tensor<?x4xf32> {onnx.name = "x", onnx.dims = ["b", "4"]}) -> (tensor<?x4xf32> {onnx.name = "out"}) {
  %out = onnx.node "Relu" version 14 (%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %out : tensor<?x4xf32>
}
