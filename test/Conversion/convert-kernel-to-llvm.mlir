// RUN: sparse-opt %s -split-input-file --convert-kernel-to-llvm | FileCheck %s

// A captured buffer is its pointer and its dynamic size.
// CHECK: func.func private @body_thunk(%[[RECORD:.+]]: !llvm.ptr, %{{.+}}: i64, %{{.+}}: i64, %{{.+}}: i64)
// CHECK-SAME: llvm.linkage = #llvm.linkage<internal>
// CHECK: call @body(
// CHECK: func.func @main
// CHECK: %[[RECORD:.+]] = llvm.alloca %{{.+}} x !llvm.array<16 x i8>
// CHECK-COUNT-2: llvm.store
// CHECK: %[[THUNK:.+]] = constant @body_thunk
// CHECK: llvm.call %{{.+}}({{.*}}, %[[RECORD]],
// Launches are numbered, for profiles.
// CHECK: %[[NUMBER:.+]] = arith.constant 1 : i64
// CHECK: %[[SLOT:.+]] = llvm.getelementptr %{{.+}}[{{[0-9]+}}]
// CHECK: llvm.store %[[NUMBER]], %[[SLOT]]
// CHECK: llvm.call
func.func private @body(%b: index, %e: index, %t: index, %m: memref<?x4xf32>) {
  return
}
func.func @main(%m: memref<?x4xf32>, %n: index, %call: !llvm.ptr {kernel.call}) {
  kernel.launch @body range(%n, %n) captures(%m : memref<?x4xf32>)
  kernel.launch @body range(%n, %n) captures(%m : memref<?x4xf32>)
  return
}

// -----

// CHECK: llvm.mlir.global internal constant @[[TEXT:.+]]("bad id\00")
// CHECK: func.func @main
// CHECK: scf.for
// CHECK: %[[BAD:.+]] = arith.cmpi uge
// CHECK: scf.if %[[BAD]]
// CHECK: llvm.mlir.addressof @[[TEXT]]
func.func @main(%m: memref<?xi64>, %n: index, %call: !llvm.ptr {kernel.call}) {
  kernel.check_index %m below %n "bad id" : memref<?xi64>
  return
}

// -----

// CHECK: llvm.mlir.global internal constant @[[TEXT:.+]]("n is 4\00")
// CHECK: func.func @main
// CHECK: %[[BAD:.+]] = arith.xori %arg1
// CHECK: scf.if %[[BAD]]
// CHECK: llvm.mlir.addressof @[[TEXT]]
func.func @main(%n: index, %holds: i1, %four: index, %call: !llvm.ptr {kernel.call}) {
  kernel.check_sizes %n, %four when %holds "n is 4"
  return
}
