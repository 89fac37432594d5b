// RUN: sparse-opt %s --convert-kernel-to-vector=target=sapphirerapids --canonicalize --cse -o %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: sparse-opt %t.mlir --convert-scf-to-cf --expand-strided-metadata --lower-affine --convert-vector-to-llvm --convert-to-llvm --reconcile-unrealized-casts | mlir-translate --mlir-to-llvmir -o %t.ll
// RUN: opt %t.ll -O3 -mtriple=x86_64-unknown-linux-gnu -mcpu=sapphirerapids -o %t.bc
// RUN: llc %t.bc -O3 -mcpu=sapphirerapids -relocation-model=pic -o %t.s
// RUN: FileCheck %s --check-prefix=ASM < %t.s
// RUN: not grep -E "tile(loadd|stored).*%%rsp" %t.s

// Groups of four panels. All rows of a superblock in one call, unless they are
// fewer than a tile has.
// CHECK-LABEL: @whole_tiles
// CHECK: memref.alloca() {alignment = 64 : i64} : memref<4x128x16xf32>
// CHECK: scf.if
// CHECK: call @kernel_tiles_r1_p4_k64_l64_s128
// CHECK: call @kernel_tiles_r15_p4_k64_l64_s128
// CHECK: } else {
// CHECK: call @kernel_tiles_r16_p4_k64_l64_s128
// CHECK: arith.addf %{{.+}}, %{{.+}} : vector<16xf32>
func.func @whole_tiles(%x: memref<?x64xbf16>, %w: memref<8x32x16x2xbf16>, %b: memref<128xf32>, %out: memref<?x128xf32>) {
  kernel.product %x, %w epilogue(%b : memref<128xf32>) outs(%out : memref<?x128xf32>) {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    kernel.yield %s : f32
  } : memref<?x64xbf16>, memref<8x32x16x2xbf16>
  return
}

// An odd depth's last element and the zeros behind it are a tile of their own,
// as are the weights for it, which end in zeros too.
// CHECK-LABEL: @tail
// CHECK: %[[X:.+]] = memref.alloca() {{.*}} : memref<128x32xbf16>
// CHECK: %[[ROWS:.+]] = memref.cast %[[X]]
// CHECK: %[[W:.+]] = memref.alloca() {{.*}} : memref<1x16x32xbf16>
// CHECK: %[[LAST:.+]] = vector.maskedload
// CHECK: vector.store %[[LAST]]
// CHECK: vector.store %{{.+}}, %[[W]]
// CHECK: call @kernel_tiles_r16_p1_k33_l33_s128({{.*}}%[[ROWS]], %[[W]])
func.func @tail(%x: memref<?x33xbf16>, %w: memref<1x17x16x2xbf16>, %out: memref<?x16xf32>) {
  kernel.product %x, %w outs(%out : memref<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x33xbf16>, memref<1x17x16x2xbf16>
  return
}

// Many steps along k: the function does the epilogue. Sums of one block are in
// memory at a time. The residual may be the output.
// CHECK-LABEL: @epilogue_inside
// CHECK: memref.alloca() {alignment = 64 : i64} : memref<8x32x16xf32>
// CHECK: call @kernel_tiles_r1_p8_k384_l384_s32(
// CHECK: } else {
// CHECK-NEXT: call @kernel_tiles_r16_p8_k384_l384_s32_e0(
// CHECK-NEXT: }
func.func @epilogue_inside(%x: memref<?x384xbf16>, %w: memref<96x192x16x2xbf16>, %b: memref<1536xf32>, %out: memref<?x1536xbf16>) {
  kernel.product %x, %w epilogue(%b : memref<1536xf32>) outs(%out : memref<?x1536xbf16>) {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    %y = arith.truncf %s : f32 to bf16
    kernel.yield %y : bf16
  } : memref<?x384xbf16>, memref<96x192x16x2xbf16>
  return
}

// Products that do the same share the function, whatever their weights are.
// CHECK-LABEL: @same_function
// CHECK: call @kernel_tiles_r16_p8_k384_l384_s32_e0(
// CHECK: call @kernel_tiles_r16_p8_k384_l384_s32_e1(
func.func @same_function(%x: memref<?x384xbf16>, %w: memref<96x192x16x2xbf16>, %b: memref<1536xf32>, %out: memref<?x1536xbf16>) {
  kernel.product %x, %w epilogue(%b : memref<1536xf32>) outs(%out : memref<?x1536xbf16>) {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    %y = arith.truncf %s : f32 to bf16
    kernel.yield %y : bf16
  } : memref<?x384xbf16>, memref<96x192x16x2xbf16>
  kernel.product %x, %w epilogue(%b : memref<1536xf32>) outs(%out : memref<?x1536xbf16>) {
  ^bb0(%acc: f32, %bias: f32):
    %y = arith.truncf %acc : f32 to bf16
    kernel.yield %y : bf16
  } : memref<?x384xbf16>, memref<96x192x16x2xbf16>
  return
}

// A library's function would clobber the tiles.
// CHECK-LABEL: @call_in_epilogue
// CHECK: } else {
// CHECK-NEXT: call @kernel_tiles_r16_p4_k384_l384_s128(
// CHECK-NOT: call
// CHECK: math.sin
func.func @call_in_epilogue(%x: memref<?x384xbf16>, %w: memref<96x192x16x2xbf16>, %out: memref<?x1536xf32>) {
  kernel.product %x, %w outs(%out : memref<?x1536xf32>) {
  ^bb0(%acc: f32):
    %y = math.sin %acc : f32
    kernel.yield %y : f32
  } : memref<?x384xbf16>, memref<96x192x16x2xbf16>
  return
}

// f32 is multiplied as on the other targets.
// CHECK-LABEL: @single_precision
// CHECK: call @kernel_f32_r14_p2_
func.func @single_precision(%x: memref<?x8xf32>, %w: memref<6x8x16xf32>, %out: memref<?x96xf32>) {
  kernel.product %x, %w outs(%out : memref<?x96xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x8xf32>, memref<6x8x16xf32>
  return
}

// Few rows: one lower tile times all panels.
// CHECK-LABEL: func.func private @kernel_tiles_r7_p4_k64
// CHECK: scf.for
// CHECK: amx.tile_load %{{.+}} into !amx.tile<7x32xbf16>
// CHECK: amx.tile_load %{{.+}} into !amx.tile<16x32xbf16>
// CHECK: amx.tile_mulf
// CHECK: amx.tile_load
// CHECK: amx.tile_mulf

// Two tiles of rows times two panels, then what is left of the rows times four.
// The last tile ends with the last row.
// CHECK-LABEL: func.func private @kernel_tiles_r16_p4_k64_
// CHECK-SAME: %[[ROWS:[a-z0-9]+]]: index)
// CHECK: scf.for
// CHECK: scf.for
// CHECK: %[[LAST:.+]] = arith.subi %[[ROWS]], %c16
// CHECK: arith.minui %{{.+}}, %[[LAST]]
// CHECK-COUNT-4: amx.tile_zero
// CHECK: scf.for
// CHECK-COUNT-4: amx.tile_load
// CHECK-COUNT-4: amx.tile_mulf
// CHECK: scf.yield
// CHECK-COUNT-4: amx.tile_store
// CHECK: scf.for
// CHECK: arith.minui
// CHECK: scf.for
// CHECK: amx.tile_load
// CHECK-COUNT-4: amx.tile_load {{.*[[:space:]]+.*}}amx.tile_mulf
// CHECK: scf.yield
// CHECK: amx.tile_store

// Three rows of the block before in each of twelve steps, fewer at its end; the
// last block's after the loops.
// CHECK-LABEL: func.func private @kernel_tiles_r16_p8_k384_l384_s32_e0
// CHECK: %[[DUE:.+]]:4 = scf.for {{.*}} iter_args(
// CHECK: scf.for {{.*}} iter_args(
// CHECK: scf.for {{.*}} iter_args(
// CHECK-COUNT-4: amx.tile_load
// CHECK-COUNT-4: amx.tile_mulf
// CHECK: scf.if
// CHECK: scf.for
// CHECK-COUNT-2: arith.truncf {{.*}} : vector<16xf32> to vector<16xbf16>
// CHECK: } else {
// CHECK-COUNT-6: arith.truncf {{.*}} : vector<16xf32> to vector<16xbf16>
// CHECK-COUNT-6: vector.store
// CHECK-COUNT-4: amx.tile_store
// CHECK: scf.for %{{.+}} = %[[DUE]]#1 to %[[DUE]]#2

// The tiles are configured once, and (the RUN line with grep) none is spilled.
// ASM-LABEL: {{^}}kernel_tiles_r16_p4_k64_l64_s128:
// ASM: ldtilecfg
// ASM-NOT: ldtilecfg
// ASM-COUNT-12: tdpbf16ps
// ASM-NOT: ldtilecfg
// ASM: tilerelease
// ASM-NOT: ldtilecfg
// ASM: retq
