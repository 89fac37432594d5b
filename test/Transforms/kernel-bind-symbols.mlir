// RUN: sparse-opt %s -split-input-file --kernel-bind-symbols | FileCheck %s

// Equal names are one symbol; sizes of results are expressions over symbols.
// CHECK: module attributes {kernel.symbols = ["batch", "sequence"]}
// CHECK: func.func private @kernel_output_dims(%[[B:.+]]: index {{.*}}, %[[S:.+]]: index {{.*}}) -> (index, index, index)
// CHECK: %[[TWICE:.+]] = affine.apply {{.*}}()[%[[S]], %[[S]]]
// CHECK: return %[[B]], %[[TWICE]], %{{.+}} : index, index, index
// CHECK: func.func @main(%{{.+}}: tensor<?x?xf32> {{.*}}, %{{.+}}: tensor<?x?xf32> {{.*}}, %[[BM:.+]]: index {kernel.symbol = "batch"}, %[[SM:.+]]: index {kernel.symbol = "sequence"})
// CHECK-NOT: tensor.dim
// CHECK: tensor.empty(%[[BM]], %[[SM]])
#id = affine_map<(b, s, d) -> (b, s)>
#out = affine_map<(b, s, d) -> (b, s, d)>
module {
  func.func @main(%a: tensor<?x?xf32> {onnx.name = "a", onnx.dims = ["batch", "sequence"]},
                  %b: tensor<?x?xf32> {onnx.name = "b", onnx.dims = ["batch", "sequence"]})
      -> (tensor<?x?x4xf32> {onnx.name = "y"}) {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %b0 = tensor.dim %a, %c0 : tensor<?x?xf32>
    %s0 = tensor.dim %b, %c1 : tensor<?x?xf32>
    %e = tensor.empty(%b0, %s0) : tensor<?x?x4xf32>
    %g = linalg.generic {indexing_maps = [#id, #id, #out],
        iterator_types = ["parallel", "parallel", "parallel"]}
        ins(%a, %b : tensor<?x?xf32>, tensor<?x?xf32>) outs(%e : tensor<?x?x4xf32>) {
      ^bb0(%x: f32, %y: f32, %o: f32):
        %z = arith.addf %x, %y : f32
        linalg.yield %z : f32
    } -> tensor<?x?x4xf32>
    %c = tensor.concat dim(1) %g, %g : (tensor<?x?x4xf32>, tensor<?x?x4xf32>) -> tensor<?x?x4xf32>
    return %c : tensor<?x?x4xf32>
  }
}

// -----

// Static shapes need no symbol.
// CHECK: module attributes {kernel.symbols = []}
// CHECK: func.func private @kernel_output_dims() -> index
module {
  func.func @main(%a: tensor<4xf32>) -> tensor<4xf32> {
    return %a : tensor<4xf32>
  }
}

// -----

// A result of branches over the number of rows has the size of either.
// CHECK: func.func private @kernel_output_dims(%[[N:.+]]: index {{.*}}) -> (index, index)
// CHECK-NOT: scf.if
// CHECK: return %[[N]], %{{.+}} : index, index
// CHECK: func.func @main
// CHECK: scf.if
module {
  func.func @main(%a: tensor<?x4xf32> {onnx.name = "a", onnx.dims = ["n", "4"]}) -> (tensor<?x4xf32> {onnx.name = "y"}) {
    %c0 = arith.constant 0 : index
    %c16 = arith.constant 16 : index
    %zero = arith.constant 0.0 : f32
    %n = tensor.dim %a, %c0 : tensor<?x4xf32>
    %few = arith.cmpi ule, %n, %c16 : index
    %y = scf.if %few -> (tensor<?x4xf32>) {
      scf.yield %a : tensor<?x4xf32>
    } else {
      %e = tensor.empty(%n) : tensor<?x4xf32>
      %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x4xf32>) -> tensor<?x4xf32>
      scf.yield %f : tensor<?x4xf32>
    } {kernel.few_rows}
    return %y : tensor<?x4xf32>
  }
}
