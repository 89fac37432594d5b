// RUN: sparse-opt %s -split-input-file --kernel-describe-work -mlir-print-debuginfo -mlir-print-local-scope | FileCheck %s

// A product: 2 * 8 * 32 FLOPs a row; rows of x and out, and the packed weight
// with its bias, once.
// CHECK-LABEL: func.func @main
// CHECK: kernel.product
// CHECK: loc(fused<{bytes = "160*n+1152", dtype = "f32", flops = "512*n", id = 0 : i64, kind = "product", shape = "8x32", weight_bytes = "1152"}>["/MatMul"])
func.func @main(%x: memref<?x8xf32> {kernel.input = 0 : i64, kernel.input_symbols = ["n"]},
                %out: memref<?x32xf32> {kernel.output = 0 : i64, kernel.output_symbols = ["n"]},
                %n: index {kernel.symbol = "n"}, %weights: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %c1024 = arith.constant 1024 : index
  %w = memref.view %weights[%c0][] : memref<?xi8> to memref<2x8x16xf32>
  %b = memref.view %weights[%c1024][] : memref<?xi8> to memref<32xf32>
  %y = memref.alloc(%n) : memref<?x32xf32>
  kernel.product %x, %w epilogue(%b : memref<32xf32>) outs(%y : memref<?x32xf32>) {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    kernel.yield %s : f32
  } : memref<?x8xf32>, memref<2x8x16xf32> loc("/MatMul")
  return
}

// -----

// Of two types: multiply-adds of bf16, and half the bytes on the way in.
// CHECK-LABEL: func.func @main
// CHECK: loc(fused<{bytes = "80*n+256", dtype = "bf16", flops = "256*n", id = 0 : i64, kind = "product", shape = "8x16", weight_bytes = "256"}>[
func.func @main(%x: memref<?x8xbf16> {kernel.input = 0 : i64, kernel.input_symbols = ["n"]},
                %n: index {kernel.symbol = "n"}, %weights: memref<?xi8>) {
  %c0 = arith.constant 0 : index
  %w = memref.view %weights[%c0][] : memref<?xi8> to memref<1x4x16x2xbf16>
  %y = memref.alloc(%n) : memref<?x16xf32>
  kernel.product %x, %w outs(%y : memref<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x8xbf16>, memref<1x4x16x2xbf16>
  return
}

// -----

// Scores and their product with values; a loop that no map has counts once.
// CHECK-LABEL: func.func @main
// CHECK: loc(fused<{bytes = "256*m+256*n", dtype = "f32", flops = "128*m*n", id = 0 : i64, kind = "attention", shape = "2x16", weight_bytes = "0"}>[
#q = affine_map<(b, h, m, n, d, e) -> (m, h, d)>
#k = affine_map<(b, h, m, n, d, e) -> (n, h, d)>
#v = affine_map<(b, h, m, n, d, e) -> (n, h, e)>
#o = affine_map<(b, h, m, n, d, e) -> (m, h, e)>
func.func @main(%q: memref<?x2x16xf32> {kernel.input = 0 : i64, kernel.input_symbols = ["m"]},
                %k: memref<?x2x16xf32> {kernel.input = 1 : i64, kernel.input_symbols = ["n"]},
                %v: memref<?x2x16xf32> {kernel.input = 2 : i64, kernel.input_symbols = ["n"]},
                %m: index {kernel.symbol = "m"}) {
  %out = memref.alloc(%m) : memref<?x2x16xf32>
  kernel.attention %q, %k, %v outs(%out : memref<?x2x16xf32>) maps [#q, #k, #v, #o]
    score {
  ^bb0(%s: f32):
    kernel.yield %s : f32
  } probability {
  ^bb0(%p: f32):
    kernel.yield %p : f32
  } : memref<?x2x16xf32>, memref<?x2x16xf32>, memref<?x2x16xf32>
  return
}

// -----

// Rows: slices come to the whole buffers, what a row keeps to itself is no
// traffic, and the ops inside get no description of their own.
// CHECK-LABEL: func.func @main
// CHECK: scf.forall
// CHECK-NOT: kind = "element-wise"
// CHECK: loc(fused<{bytes = "64*n", dtype = "f32", flops = "16*n", id = 0 : i64, kind = "rows", weight_bytes = "0"}>["/Softmax"])
// One FLOP an element; a size that is no expression of symbols is left out.
// CHECK: loc(fused<{bytes = "32*n", dtype = "f32", flops = "8*n", id = 1 : i64, kind = "element-wise", weight_bytes = "0"}>["/Exp"])
// CHECK: loc(fused<{dtype = "f32", id = 2 : i64, kind = "element-wise"}>["/Odd"])
#row = affine_map<(i, j) -> (i, j)>
func.func @main(%x: memref<?x8xf32> {kernel.input = 0 : i64, kernel.input_symbols = ["n"]},
                %n: index {kernel.symbol = "n"}, %odd: index) {
  %out = memref.alloc(%n) : memref<?x8xf32>
  scf.forall (%i) in (%n) {
    %in = memref.subview %x[%i, 0] [1, 8] [1, 1] : memref<?x8xf32> to memref<1x8xf32, strided<[8, 1], offset: ?>>
    %to = memref.subview %out[%i, 0] [1, 8] [1, 1] : memref<?x8xf32> to memref<1x8xf32, strided<[8, 1], offset: ?>>
    %scratch = memref.alloc() : memref<1x8xf32>
    linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel", "parallel"]}
        ins(%in : memref<1x8xf32, strided<[8, 1], offset: ?>>) outs(%scratch : memref<1x8xf32>) {
    ^bb0(%a: f32, %o: f32):
      %e = math.exp %a : f32
      linalg.yield %e : f32
    }
    linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel", "parallel"]}
        ins(%scratch : memref<1x8xf32>) outs(%to : memref<1x8xf32, strided<[8, 1], offset: ?>>) {
    ^bb0(%a: f32, %o: f32):
      %e = arith.mulf %a, %a : f32
      linalg.yield %e : f32
    }
  } loc("/Softmax")
  linalg.generic {indexing_maps = [#row], iterator_types = ["parallel", "parallel"]} outs(%out : memref<?x8xf32>) {
  ^bb0(%o: f32):
    %e = math.exp %o : f32
    linalg.yield %e : f32
  } loc("/Exp")
  %unknown = memref.alloc(%odd) : memref<?x8xf32>
  linalg.generic {indexing_maps = [#row], iterator_types = ["parallel", "parallel"]} outs(%unknown : memref<?x8xf32>) {
  ^bb0(%o: f32):
    %e = math.exp %o : f32
    linalg.yield %e : f32
  } loc("/Odd")
  return
}
