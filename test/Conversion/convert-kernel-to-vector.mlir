// RUN: sparse-opt %s --convert-kernel-to-vector=target=x86-64-v4 --canonicalize --cse | FileCheck %s
// RUN: sparse-opt %s --convert-kernel-to-vector=target=x86-64-v3 --canonicalize --cse | FileCheck %s --check-prefix=V3

// Whole groups of two panels: no masks, one loop over groups of weights inside
// one over superblocks of rows, and a micro-kernel for each height of a block.
// CHECK-LABEL: @whole_panels
// CHECK: scf.parallel (%[[S:.+]], %[[G:.+]]) = (%{{.+}}, %{{.+}}) to (%{{.+}}, %c3)
// CHECK: scf.index_switch
// CHECK: call @kernel_f32_r1_p2_k8_l8_t224_16_f2
// CHECK: call @kernel_f32_r14_p2_k8_l8_t224_16_f2
// CHECK: scf.index_switch
// CHECK: case 7 {
// CHECK: call @kernel_f32_r7_p2_k8_l8_t224_16_f1
// CHECK: vector.load
// CHECK: arith.addf %{{.+}}, %{{.+}} : vector<16xf32>
// CHECK-NOT: mask
// CHECK: vector.store
// CHECK: kernel.grain = 64 : i64
// V3-LABEL: @whole_panels
// Up to two rows take wider groups, so fewer of them.
// V3: %[[THIN:.+]] = arith.cmpi ult, %{{.+}}, %c3
// V3: %[[GROUPS:.+]] = arith.select %[[THIN]], %c3, %c6
// V3: scf.if %[[THIN]]
// V3: call @kernel_f32_r1_p2_k8_l8_t96_16_f2
// V3: call @kernel_f32_r2_p2_k8_l8_t96_16_f2
// V3: call @kernel_f32_r3_p1_k8_l8_t96_16_f1
// V3: arith.addf %{{.+}}, %{{.+}} : vector<8xf32>
func.func @whole_panels(%x: memref<?x8xf32>, %w: memref<6x8x16xf32>, %b: memref<96xf32>, %out: memref<?x96xf32>) {
  kernel.product %x, %w epilogue(%b : memref<96xf32>) outs(%out : memref<?x96xf32>) {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    kernel.yield %s : f32
  } : memref<?x8xf32>, memref<6x8x16xf32>
  return
}

// One group of panels: the loop over superblocks alone, and its grain.
// CHECK-LABEL: @one_group
// CHECK: scf.parallel (%[[S:.+]]) = (%{{.+}}) to (%{{.+}})
// CHECK: kernel.grain = 64 : i64
func.func @one_group(%x: memref<?x8xf32>, %w: memref<2x8x16xf32>, %out: memref<?x32xf32>) {
  kernel.product %x, %w outs(%out : memref<?x32xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x8xf32>, memref<2x8x16xf32>
  return
}

// The columns past the last whole group are a branch of their own, and its
// partial panel is masked.
// CHECK-LABEL: @partial_panel
// CHECK: scf.if
// CHECK: call @kernel_f32_r1_p2_
// CHECK: } else {
// CHECK: call @kernel_f32_r1_p1_
// CHECK: vector.maskedstore
func.func @partial_panel(%x: memref<?x8xf32>, %w: memref<3x8x16xf32>, %out: memref<?x40xf32>) {
  kernel.product %x, %w outs(%out : memref<?x40xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x8xf32>, memref<3x8x16xf32>
  return
}

// A single row block prefetches 64 lines ahead, at the end in the next group.
// CHECK-LABEL: @long_panels
// CHECK: call @kernel_f32_r1_p1_k100_l100_t224_16_f1_a64
func.func @long_panels(%x: memref<?x100xf32>, %w: memref<1x100x16xf32>, %out: memref<?x16xf32>) {
  kernel.product %x, %w outs(%out : memref<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x100xf32>, memref<1x100x16xf32>
  return
}

// A target that multiplies no bf16 copies the left operand to f32 once, in
// rows that don't compete for cache lines; the kernel widens weights alone.
// CHECK-LABEL: @bf16
// CHECK: %[[WIDE:.+]] = memref.alloc(%{{.+}}) {alignment = 64 : i64} : memref<?x48xf32>
// CHECK: scf.parallel (%[[R:.+]]) =
// CHECK: vector.load %{{.+}}[%[[R]], %c0] : memref<?x20xbf16>, vector<16xbf16>
// CHECK: arith.shli
// CHECK: vector.store %{{.+}}, %[[WIDE]][%[[R]], %c0]
// CHECK: vector.maskedload
// CHECK: scf.parallel
// CHECK: call @kernel_f32_bf16_r1_p1_k20_l48_
func.func @bf16(%x: memref<?x20xbf16>, %w: memref<1x10x16x2xbf16>, %out: memref<?x16xf32>) {
  kernel.product %x, %w outs(%out : memref<?x16xf32>) {
  ^bb0(%acc: f32):
    kernel.yield %acc : f32
  } : memref<?x20xbf16>, memref<1x10x16x2xbf16>
  return
}

// erf and exp are polynomials in the region.
// CHECK-LABEL: @region_math
// CHECK-NOT: math.e{{rf|xp}}
// CHECK: math.fma
// CHECK-NOT: math.e{{rf|xp}}
// CHECK: return
func.func @region_math(%x: memref<?x8xf32>, %w: memref<1x8x16xf32>, %out: memref<?x16xf32>) {
  kernel.product %x, %w outs(%out : memref<?x16xf32>) {
  ^bb0(%acc: f32):
    %e = math.erf %acc : f32
    %f = math.exp %e : f32
    kernel.yield %f : f32
  } : memref<?x8xf32>, memref<1x8x16xf32>
  return
}

#q = affine_map<(b, h, m, n, d, e) -> (b, m, h, d)>
#k = affine_map<(b, h, m, n, d, e) -> (b, n, h, d)>
#v = affine_map<(b, h, m, n, d, e) -> (b, n, h, e)>
#o = affine_map<(b, h, m, n, d, e) -> (b, m, h, e)>
#mask = affine_map<(b, h, m, n, d, e) -> (b, 0, 0, n)>

// One task a head, chunk of rows and range of n: scratch of one size, k packed
// by transposing squares; few rows read k and v as they lie. Ranges are merged.
// CHECK-LABEL: @attention
// CHECK: %[[PARTIALS:.+]] = memref.alloc({{.+}}) {{.*}} : memref<?x?x48xf32>
// CHECK: scf.parallel
// CHECK: %[[K:.+]] = memref.alloc() {alignment = 64 : i64} : memref<32x32x16xf32>
// CHECK: memref.alloc() {alignment = 64 : i64} : memref<2x512x16xf32>
// CHECK: memref.alloc() {alignment = 64 : i64} : memref<32x14x16xf32>
// CHECK: scf.if
// CHECK: vector.shuffle
// CHECK: vector.store %{{.+}}, %[[K]]
// CHECK: call @attention_scores_r1_0
// CHECK: vector.reduction <maxnumf>
// CHECK: vector.reduction <add>
// CHECK: call @kernel_f32_r1_p2_kd_l224_t224_16_f0
// CHECK: arith.divf
// CHECK: else
// CHECK: call @attention_dots_r1_0
// CHECK: vector.reduction <add>
// CHECK: call @attention_sums_r1_0
// CHECK: kernel.grain
// CHECK: scf.parallel
// CHECK: vector.load %[[PARTIALS]]
func.func @attention(%q: memref<?x?x12x32xf32>, %mask: memref<?x1x1x?xf32>, %out: memref<?x?x12x32xf32>) {
  kernel.attention %q, %q, %q extras(%mask : memref<?x1x1x?xf32>) outs(%out : memref<?x?x12x32xf32>) maps [#q, #k, #v, #mask, #o] score {
  ^bb0(%s: f32, %a: f32):
    %t = arith.addf %s, %a : f32
    kernel.yield %t : f32
  } probability {
  ^bb0(%p: f32):
    kernel.yield %p : f32
  } : memref<?x?x12x32xf32>, memref<?x?x12x32xf32>, memref<?x?x12x32xf32>
  return
}

// Two accumulators a row, one broadcast of x each row, one line prefetched.
// CHECK-LABEL: func.func private @kernel_f32_r7_p2_k8_l8_t224_16_f1
// CHECK-SAME: llvm.linkage = #llvm.linkage<internal>
// CHECK: scf.for
// CHECK: memref.prefetch
// CHECK-COUNT-2: vector.load
// CHECK-COUNT-14: vector.fma
// CHECK-NOT: vector.fma
// CHECK: scf.yield

// CHECK-LABEL: func.func private @kernel_f32_r1_p1_k100_l100_t224_16_f1_a64
// CHECK-SAME: (%{{.+}}: memref<{{.+}}>, %[[W:.+]]: memref<1x100x16xf32, {{.+}}>, %{{.+}}: memref<{{.+}}>, %[[NEXT:.+]]: memref
// CHECK: scf.for %[[I:.+]] = %c0 to %c36
// CHECK: %[[AHEAD:.+]] = arith.addi %[[I]], %c64
// CHECK: memref.prefetch %[[W]][%c0, %[[AHEAD]], %c0]
// CHECK: scf.for %[[J:.+]] = %c36 to %c100
// CHECK: %[[BEHIND:.+]] = arith.subi %[[J]], %c36
// CHECK: memref.prefetch %[[NEXT]][%c0, %[[BEHIND]], %c0]

// CHECK-LABEL: func.func private @kernel_f32_bf16_r1_p1_k20_l48_
// CHECK-SAME: (%[[X:.+]]: memref<?x20xf32, strided<[48, 1], offset: ?>>,
// CHECK: %[[LOW:.+]] = arith.shli
// CHECK: %[[HIGH:.+]] = arith.andi
// CHECK: memref.load %[[X]][%c0, %[[K:[0-9a-z_]+]]]
// CHECK: vector.fma
// CHECK: %[[NEXT:.+]] = arith.addi %[[K]], %c1
// CHECK: memref.load %[[X]][%c0, %[[NEXT]]]
// CHECK: vector.fma
