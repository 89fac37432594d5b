// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What `--onnx-fold-constants` and `--onnx-fold-shapes` do, for passes that
// leave constant nodes or dead nodes behind.
#ifndef SPARSE_OPT_TRANSFORMS_ONNXFOLDING_H
#define SPARSE_OPT_TRANSFORMS_ONNXFOLDING_H
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace sparse_opt {

struct ConstantFoldingCounts {
  unsigned folded = 0, shared = 0, tooLarge = 0;
  uint64_t freedBytes = 0;
};

/// Evaluates nodes on constants; resources without a reader are freed.
ConstantFoldingCounts foldConstants(mlir::ModuleOp module);

/// Erases onnx and ffn ops that nothing reads; how many there were.
unsigned eraseDeadNodes(mlir::func::FuncOp function);
} // namespace sparse_opt
#endif
