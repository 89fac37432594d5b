// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Simplifications of nodes that move elements, given symbolic shapes. Part of
// `--onnx-fold-shapes`.
#ifndef SPARSE_OPT_LIB_TRANSFORMS_SIMPLIFYLAYOUT_H
#define SPARSE_OPT_LIB_TRANSFORMS_SIMPLIFYLAYOUT_H
#include "dialects/Onnx/OnnxOps.h"
#include "sparse-opt/Analysis/SymbolicShapes.h"

namespace sparse_opt {

/// Builds integer tensors of known elements, each once, at the function's
/// beginning.
class DimTensors {
public:
  explicit DimTensors(mlir::func::FuncOp function);
  /// `onnx.constant` when all elements are constant, else `onnx.dims`.
  mlir::Value get(mlir::Location loc, mlir::RankedTensorType type,
                  llvm::ArrayRef<DimExpr> elements);

private:
  mlir::OpBuilder builder;
  llvm::StringMap<mlir::Value> known;
};

/// The operand that `node`'s first result always equals; null when there is
/// none.
mlir::Value findEqualOperand(onnx::NodeOp node, const SymbolicShapes &shapes);

/// One Transpose for `node`, a Transpose or Reshape at the end of a chain of
/// these; null when the chain is no permutation or too short to gain.
mlir::Value mergeTransposes(onnx::NodeOp node, const SymbolicShapes &shapes,
                            mlir::OpBuilder &builder);
} // namespace sparse_opt
#endif
