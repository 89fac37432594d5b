// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A run's so_call (ModelAbi.h) as code sees it. Private to
// --convert-kernel-to-llvm.
#ifndef SPARSE_OPT_LIB_CONVERSION_KERNELCALL_H
#define SPARSE_OPT_LIB_CONVERSION_KERNELCALL_H
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace sparse_opt {

mlir::Type pointerType(mlir::Builder &builder);
/// `bytes` behind `pointer`.
mlir::Value fieldAt(mlir::OpBuilder &builder, mlir::Location loc,
                    mlir::Value pointer, int64_t bytes);
mlir::Value toI64(mlir::OpBuilder &builder, mlir::Location loc,
                  mlir::Value index);
mlir::Value toIndex(mlir::OpBuilder &builder, mlir::Location loc,
                    mlir::Value value);
/// The argument of `func` that holds the so_call, or null.
mlir::Value callOf(mlir::func::FuncOp func);

/// kernel.knob becomes a load from the call's knobs, kernel.note_rows additions
/// to its counts of the block.
llvm::LogicalResult convertKnobsAndCounts(mlir::ModuleOp module);

} // namespace sparse_opt
#endif
