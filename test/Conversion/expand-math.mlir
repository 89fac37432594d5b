// RUN: sparse-opt %s --expand-math | FileCheck %s
// RUN: sparse-opt %s --expand-math=target=x86-64-v4-bf16 | FileCheck %s --check-prefix=NATIVE

// CHECK-LABEL: func.func @polynomials
// CHECK-NOT: math.exp
// CHECK-NOT: math.erf
// CHECK: math.fma {{.*}} : vector<16xf32>
func.func @polynomials(%x: f32, %v: vector<16xf32>) -> (f32, vector<16xf32>) {
  %a = math.exp %x : f32
  %b = math.erf %v : vector<16xf32>
  return %a, %b : f32, vector<16xf32>
}

// Large angles need libm, and so does double precision.
// CHECK-LABEL: func.func @libm
// CHECK: math.sin
// CHECK: math.exp
func.func @libm(%x: f32, %d: f64) -> (f32, f64) {
  %a = math.sin %x : f32
  %b = math.exp %d : f64
  return %a, %b : f32, f64
}

// bf16 has instructions on one target and becomes integer code on another.
// CHECK-LABEL: func.func @bfloat16
// CHECK-NOT: arith.extf
// CHECK-NOT: arith.truncf
// CHECK: arith.shli
// CHECK: arith.shrui
// CHECK: return
// NATIVE-LABEL: func.func @bfloat16
// NATIVE: arith.truncf %{{.+}} : vector<16xf32> to vector<16xbf16>
func.func @bfloat16(%x: bf16, %v: vector<16xf32>) -> (f32, vector<16xbf16>) {
  %a = arith.extf %x : bf16 to f32
  %b = arith.truncf %v : vector<16xf32> to vector<16xbf16>
  return %a, %b : f32, vector<16xbf16>
}
