// RUN: sparse-opt %s --kernel-emit-entry-points=suffix=x86_64_v4 | FileCheck %s

// CHECK: func.func private @main(
// CHECK-SAME: !llvm.ptr {kernel.call})
// CHECK: func.func @sparse_opt_plan_x86_64_v4(%[[SYMBOLS:.+]]: !llvm.ptr, %[[THREADS:.+]]: i64, %[[DIMS:.+]]: !llvm.ptr, %[[BYTES:.+]]: !llvm.ptr)
// CHECK: %[[S:.+]] = arith.index_cast %{{.+}} : i64 to index
// CHECK: %[[D:.+]]:2 = call @kernel_output_dims(%[[S]])
// CHECK: call @kernel_arena_bytes(%[[S]], %{{.+}})
// CHECK: func.func @sparse_opt_run_x86_64_v4(%[[CALL:.+]]: !llvm.ptr)
// CHECK: call @kernel_output_dims
// CHECK: call @main({{.*}}, %[[CALL]])
module attributes {kernel.symbols = ["s"]} {
  func.func private @kernel_output_dims(%s: index) -> (index, index) {
    %c4 = arith.constant 4 : index
    return %s, %c4 : index, index
  }
  func.func private @kernel_arena_bytes(%s: index, %t: index) -> index {
    return %s : index
  }
  func.func @main(%x: memref<?x4xf32> {kernel.input = 0, kernel.input_symbols = ["s"]},
      %s: index {kernel.symbol = "s"}, %w: memref<?xi8> {kernel.weights_base},
      %y: memref<?x4xf32> {kernel.output = 0}, %a: memref<?xi8> {kernel.arena},
      %t: index {kernel.threads}) {
    return
  }
}
