// RUN: sparse-opt %s --convert-kernel-to-vector=target=x86-64-v4-bf16 --canonicalize --cse | FileCheck %s
// RUN: sparse-opt %s --convert-kernel-to-vector=target=x86-64-v3 --canonicalize --cse | FileCheck %s --check-prefix=V3
// RUN: sparse-opt %s --convert-kernel-to-vector=target=x86-64-v4-bf16 --expand-math=target=x86-64-v4-bf16 --canonicalize --convert-vector-to-scf --convert-scf-to-cf --expand-strided-metadata --lower-affine --convert-math-to-llvm --convert-vector-to-llvm=enable-x86vector --convert-to-llvm --reconcile-unrealized-casts | FileCheck %s --check-prefix=LLVM

// One thread. What any row keeps is one mask, by which the list and every
// row's values move together; a last vector that isn't whole is masked.
// CHECK-LABEL: @select
// CHECK: %[[COUNT:.+]] = scf.for {{.*}} iter_args(
// CHECK: scf.for {{.*}} iter_args(%{{.+}} = %{{.+}}) -> (vector<16xi1>)
// CHECK: arith.ori %{{.+}}, %{{.+}} : vector<16xi1>
// CHECK: math.ctpop
// CHECK: llvm.call_intrinsic "llvm.experimental.vector.compress"{{.*}}vector<16xi32>
// CHECK: vector.store
// CHECK: scf.for
// CHECK: llvm.call_intrinsic "llvm.experimental.vector.compress"{{.*}}vector<16xf32>
// CHECK: vector.store
// CHECK: vector.maskedstore
// CHECK: memref.store %{{.+}}, %{{.+}}[] : memref<i32>
// Without that instruction the lanes' order is made of the mask's bits.
// V3-LABEL: @select
// V3: llvm.call_intrinsic "llvm.x86.bmi.pdep.64"
// V3: llvm.call_intrinsic "llvm.x86.bmi.pext.64"
// V3: llvm.call_intrinsic "llvm.x86.avx2.permd"
// V3: llvm.call_intrinsic "llvm.x86.avx2.permps"
// LLVM-LABEL: @select
// LLVM: "llvm.experimental.vector.compress"
func.func @select(%s: memref<?x40xf32>, %t: memref<f32>, %l: memref<40xi32>, %n: memref<i32>, %v: memref<?x40xf32>) {
  kernel.select %s extras(%t : memref<f32>) outs(%l, %n, %v : memref<40xi32>, memref<i32>, memref<?x40xf32>) {
  ^bb0(%score: f32, %threshold: f32):
    %keep = arith.cmpf ogt, %score, %threshold : f32
    kernel.yield %keep, %score : i1, f32
  } : memref<?x40xf32>
  return
}

// Groups are kept whole: nothing moves within them.
// CHECK-LABEL: @select_groups
// CHECK-NOT: compress
// CHECK: vector.reduction <or>
// CHECK: memref.store %{{.+}}, %{{.+}}[%{{.+}}] : memref<3xi32>
// CHECK-NOT: masked
// CHECK: memref.store %{{.+}}, %{{.+}}[] : memref<i32>
func.func @select_groups(%s: memref<?x48xf32>, %l: memref<3xi32>, %n: memref<i32>, %v: memref<?x48xf32>) {
  %zero = arith.constant 0.0 : f32
  kernel.select %s outs(%l, %n, %v : memref<3xi32>, memref<i32>, memref<?x48xf32>) {
  ^bb0(%score: f32):
    %keep = arith.cmpf une, %score, %zero : f32
    kernel.yield %keep, %score : i1, f32
  } : memref<?x48xf32>
  return
}

// Tiles of eight neurons, of long rows one line of each in turn, which are
// fetched 16 ahead and, from there on, in the next tile. The epilogue gathers
// what belongs to neurons.
// CHECK-LABEL: @product
// CHECK: scf.parallel
// CHECK: scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>)
// CHECK-COUNT-8: memref.prefetch
// CHECK-COUNT-8: x86vector.avx512.dot
// CHECK: scf.for
// CHECK-COUNT-8: memref.prefetch
// CHECK-COUNT-8: x86vector.avx512.dot
// CHECK: vector.shuffle
// CHECK: vector.gather
// CHECK: vector.maskedload
// CHECK: vector.maskedstore
// CHECK: kernel.grain = 1 : i64
// A target without dot products has f32; one row at a time has registers.
// V3-LABEL: @product
// V3-NOT: scf.index_switch
// V3: arith.shli %{{.+}}, %{{.+}} : vector<8xi32>
// V3: vector.fma
// LLVM-LABEL: @product
// LLVM: llvm.intr.prefetch
func.func @product(%x: memref<?x4096xbf16>, %w: memref<96x4096xbf16>, %l: memref<96xi32>, %n: memref<i32>, %b: memref<96xf32>, %u: memref<?x96xf32>, %out: memref<?x96xf32>) {
  kernel.selected_product %x, %w of(%l, %n) epilogue(%b, %u : memref<96xf32>, memref<?x96xf32>) outs(%out : memref<?x96xf32>) {
  ^bb0(%acc: f32, %bias: f32, %times: f32):
    %s = arith.addf %acc, %bias : f32
    %y = arith.mulf %s, %times : f32
    kernel.yield %y : f32
  } : memref<?x4096xbf16>, memref<96x4096xbf16>, memref<96xi32>, memref<i32>
  return
}

// Of short rows four at a time, two lines of each in turn, while later ones are
// fetched.
// CHECK-LABEL: @product_of_short_rows
// CHECK: scf.parallel
// CHECK: scf.for {{.*}} -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
// CHECK-COUNT-8: memref.prefetch
// CHECK-COUNT-8: vector.fma
// CHECK: scf.yield
// CHECK: vector.shuffle
func.func @product_of_short_rows(%x: memref<1x512xf32>, %w: memref<96x512xf32>, %l: memref<96xi32>, %n: memref<i32>, %out: memref<1x96xf32>) {
  kernel.selected_product %x, %w of(%l, %n) outs(%out : memref<1x96xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<1x512xf32>, memref<96x512xf32>, memref<96xi32>, memref<i32>
  return
}

// One part for 64 neurons, 8 at most; a part's sums are in memory while eight
// rows at a time pass, and added to the others' where the epilogue runs.
// CHECK-LABEL: @sum
// CHECK: memref.alloc(%{{.+}}) {alignment = 64 : i64} : memref<2x?x2048xf32>
// CHECK: scf.parallel (%{{.+}}) = (%c0) to (%c2)
// CHECK: scf.for
// CHECK-COUNT-8: memref.prefetch
// CHECK-COUNT-8: vector.fma
// CHECK: vector.store
// CHECK: kernel.grain = 1 : i64
// CHECK: scf.parallel (%{{.+}}) = (%c0) to (%c8)
// CHECK: arith.addf
// CHECK: vector.store
// V3-LABEL: @sum
// V3: vector.fma
func.func @sum(%v: memref<?x130xf32>, %w: memref<130x2048xf32>, %l: memref<130xi32>, %n: memref<i32>, %out: memref<?x2048xf32>) {
  kernel.selected_sum %v, %w of(%l, %n) outs(%out : memref<?x2048xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x130xf32>, memref<130x2048xf32>, memref<130xi32>, memref<i32>
  return
}

// One row's values that bf16 holds: pairs of weights times (value, 0) for even
// columns, times (0, value) for odd ones. Several rows share weights as f32, and
// so do targets without such products.
// CHECK-LABEL: @sum_of_pairs
// CHECK: %[[BITS:.+]] = arith.bitcast %{{.+}} : f32 to i32
// CHECK: %[[LOW:.+]] = arith.shrui %[[BITS]], %{{.+}} : i32
// CHECK: vector.broadcast %[[LOW]] : i32 to vector<16xi32>
// CHECK: vector.broadcast %[[BITS]] : i32 to vector<16xi32>
// CHECK-COUNT-16: x86vector.avx512.dot
// CHECK: vector.fma
// V3-LABEL: @sum_of_pairs
// V3-NOT: x86vector
// V3: vector.fma
func.func @sum_of_pairs(%v: memref<?x64xf32>, %w: memref<64x4096xbf16>, %l: memref<64xi32>, %n: memref<i32>, %out: memref<?x4096xf32>) {
  kernel.selected_sum %v, %w of(%l, %n) outs(%out : memref<?x4096xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } {bf16_values} : memref<?x64xf32>, memref<64x4096xbf16>, memref<64xi32>, memref<i32>
  return
}

// Values of f32 are not rounded.
// CHECK-LABEL: @sum_of_whole_values
// CHECK-NOT: x86vector
// CHECK: vector.fma
func.func @sum_of_whole_values(%v: memref<?x64xf32>, %w: memref<64x4096xbf16>, %l: memref<64xi32>, %n: memref<i32>, %out: memref<?x4096xf32>) {
  kernel.selected_sum %v, %w of(%l, %n) outs(%out : memref<?x4096xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x64xf32>, memref<64x4096xbf16>, memref<64xi32>, memref<i32>
  return
}

// The same weight for many rows: squares of it are transposed into a thread's
// scratch, where the micro-kernels find panels.
// CHECK-LABEL: @product_of_outputs
// CHECK: %[[SCRATCH:.+]] = memref.alloc() {{.*}}: memref<2x64x16xf32>
// CHECK: memref.prefetch
// CHECK: vector.shuffle
// CHECK: vector.store %{{.+}}, %[[SCRATCH]]
// CHECK: call @kernel_f32_r14_p2_k64
func.func @product_of_outputs(%x: memref<?x64xf32>, %w: memref<96x64xf32>, %out: memref<?x96xf32>) {
  kernel.product %x, %w outs(%out : memref<?x96xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x64xf32>, memref<96x64xf32>
  return
}

// Rows by input are copied, four panels of each in turn, pairs of bf16 from two.
// CHECK-LABEL: @product_of_inputs
// CHECK: scf.parallel {{.*}} to ({{.*}}%c8)
// CHECK: memref.alloc() {{.*}}: memref<4x32x32xbf16>
// CHECK: memref.prefetch
// CHECK-NOT: vector.shuffle
// CHECK: vector.interleave %{{.+}}, %{{.+}} : vector<16xi16>
// CHECK: call @kernel_
func.func @product_of_inputs(%x: memref<?x64xbf16>, %w: memref<64x512xbf16>, %out: memref<?x512xf32>) {
  kernel.product %x, %w by_input outs(%out : memref<?x512xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x64xbf16>, memref<64x512xbf16>
  return
}
