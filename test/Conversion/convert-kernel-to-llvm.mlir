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

// Sizes are checked before anything runs, and nothing runs when they don't fit.
// CHECK: llvm.mlir.global internal constant @[[TEXT:.+]]("n is 4\00")
// CHECK: func.func @main(%[[N:.+]]: index, %{{.+}}: memref<?xf32>, %[[CALL:.+]]: !llvm.ptr
// CHECK: %[[HOLDS:.+]] = arith.cmpi eq, %[[N]]
// CHECK: %[[BAD:.+]] = arith.xori %[[HOLDS]]
// CHECK: scf.if %[[BAD]]
// CHECK: llvm.mlir.addressof @[[TEXT]]
// CHECK: %[[MESSAGE:.+]] = llvm.load
// CHECK: %[[FITS:.+]] = llvm.icmp "eq" %[[MESSAGE]]
// CHECK: cf.cond_br %[[FITS]], ^[[REST:.+]], ^[[END:.+]]
// CHECK: ^[[REST]]:
// CHECK: memref.store
// CHECK: return
// CHECK: ^[[END]]:
// CHECK-NEXT: return
func.func @main(%n: index, %m: memref<?xf32>, %call: !llvm.ptr {kernel.call}) {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  memref.store %zero, %m[%c0] : memref<?xf32>
  %four = arith.constant 4 : index
  %holds = arith.cmpi eq, %n, %four : index
  kernel.check_sizes %n, %four when %holds "n is 4"
  return
}

// -----

// A size that memory decides can't be checked before it is there.
// CHECK: func.func @main
// CHECK: memref.store
// CHECK: memref.load
// CHECK: scf.if
// CHECK-NOT: cf.cond_br
func.func @main(%n: index, %m: memref<?xindex>, %call: !llvm.ptr {kernel.call}) {
  %c0 = arith.constant 0 : index
  memref.store %n, %m[%c0] : memref<?xindex>
  %four = memref.load %m[%c0] : memref<?xindex>
  %holds = arith.cmpi eq, %n, %four : index
  kernel.check_sizes %n, %four when %holds "n is 4"
  return
}

// -----

// Knobs and counts are found by their places in the module's lists.
// CHECK: func.func @main(%{{.+}}: memref<f32>, %{{.+}}: index, %{{.+}}: index, %[[CALL:.+]]: !llvm.ptr
// CHECK: %[[KNOBS:.+]] = llvm.load %{{.+}} : !llvm.ptr -> !llvm.ptr
// CHECK: %[[SLOT:.+]] = llvm.getelementptr %[[KNOBS]][4]
// CHECK: llvm.load %[[SLOT]] : !llvm.ptr -> f32
// CHECK: %[[BLOCKS:.+]] = llvm.load %{{.+}} : !llvm.ptr -> !llvm.ptr
// CHECK: llvm.getelementptr %[[BLOCKS]][0]
// CHECK-COUNT-2: llvm.store
// CHECK-NOT: kernel.
module attributes {kernel.knobs = [{name = "s", value = 0.0 : f32}, {name = "t", value = 0.0 : f32}], kernel.blocks = [{name = "b", groups = 32 : i64}]} {
  func.func @main(%m: memref<f32>, %rows: index, %n: index, %call: !llvm.ptr {kernel.call}) {
    %t = kernel.knob "t" = 0.0
    memref.store %t, %m[] : memref<f32>
    kernel.note_rows "b" %rows selected %n of 32
    return
  }
}
