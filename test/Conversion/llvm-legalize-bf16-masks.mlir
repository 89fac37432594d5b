// RUN: sparse-opt %s --llvm-legalize-bf16-masks | FileCheck %s

// CHECK-LABEL: @load
// CHECK-SAME: (%[[P:.+]]: !llvm.ptr, %[[M:.+]]: vector<4xi1>, %[[ELSE:.+]]: vector<4xbf16>)
// CHECK: %[[BITS:.+]] = llvm.bitcast %[[ELSE]] : vector<4xbf16> to vector<4xi16>
// CHECK: %[[LOADED:.+]] = llvm.intr.masked.load %[[P]], %[[M]], %[[BITS]] {{.+}} -> vector<4xi16>
// CHECK: %[[RESULT:.+]] = llvm.bitcast %[[LOADED]] : vector<4xi16> to vector<4xbf16>
// CHECK: return %[[RESULT]]
llvm.func @load(%p: !llvm.ptr, %m: vector<4xi1>, %else: vector<4xbf16>) -> vector<4xbf16> {
  %r = llvm.intr.masked.load %p, %m, %else {alignment = 2 : i32} : (!llvm.ptr, vector<4xi1>, vector<4xbf16>) -> vector<4xbf16>
  llvm.return %r : vector<4xbf16>
}

// CHECK-LABEL: @store
// CHECK: %[[BITS:.+]] = llvm.bitcast %{{.+}} : vector<4xbf16> to vector<4xi16>
// CHECK: llvm.intr.masked.store %[[BITS]]
llvm.func @store(%p: !llvm.ptr, %m: vector<4xi1>, %v: vector<4xbf16>) {
  llvm.intr.masked.store %v, %p, %m {alignment = 2 : i32} : vector<4xbf16>, vector<4xi1> into !llvm.ptr
  llvm.return
}

// CHECK-LABEL: @store_of_selected_bits
// CHECK: %[[BITS:.+]] = llvm.select
// CHECK: llvm.store %[[BITS]], {{.+}} : vector<4xi16>
llvm.func @store_of_selected_bits(%p: !llvm.ptr, %m: vector<4xi1>, %a: vector<4xi16>, %b: vector<4xi16>) {
  %s = llvm.select %m, %a, %b : vector<4xi1>, vector<4xi16>
  %v = llvm.bitcast %s : vector<4xi16> to vector<4xbf16>
  llvm.store %v, %p {alignment = 2 : i64} : vector<4xbf16>, !llvm.ptr
  llvm.return
}

// CHECK-LABEL: @store_of_bf16_stays
// CHECK: llvm.store %{{.+}} : vector<4xbf16>
llvm.func @store_of_bf16_stays(%p: !llvm.ptr, %v: vector<4xbf16>) {
  llvm.store %v, %p {alignment = 2 : i64} : vector<4xbf16>, !llvm.ptr
  llvm.return
}

// CHECK-LABEL: @f32_stays
// CHECK-NOT: bitcast
// CHECK: llvm.return
llvm.func @f32_stays(%p: !llvm.ptr, %m: vector<4xi1>, %v: vector<4xf32>) {
  llvm.intr.masked.store %v, %p, %m {alignment = 4 : i32} : vector<4xf32>, vector<4xi1> into !llvm.ptr
  llvm.return
}
