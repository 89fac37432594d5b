// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Sizes of tensors while a model is lowered. Every symbolic size becomes one
// SSA value at the function's entry, computed from `tensor.dim` of arguments,
// so that equal sizes are the same value and can be compared by identity.
// What sizes are is decided by SymbolicShapes; this only spells them out.
#ifndef SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_SIZETABLE_H
#define SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_SIZETABLE_H
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/OpDefinition.h"
#include "sparse-opt/Analysis/SymbolicShapes.h"
#include "llvm/ADT/StringMap.h"

namespace sparse_opt::lowering {

/// An index attribute when static, else an index value.
using Size = mlir::OpFoldResult;
using Sizes = llvm::SmallVector<mlir::OpFoldResult, 6>;

class SizeTable {
public:
  SizeTable(mlir::func::FuncOp function, const SymbolicShapes &shapes);

  Size get(int64_t value);
  Size get(const DimExpr &expr);
  /// The expression behind a size; nothing for one known only at run time.
  std::optional<DimExpr> exprOf(Size size) const;
  /// The shape of an ONNX value; nothing when a size or the rank is unknown.
  std::optional<Sizes> shapeOf(mlir::Value value);
  /// The elements of a small integer tensor as sizes.
  std::optional<Sizes> contentsOf(mlir::Value value);

  /// Checks, when the model runs, every equality that SymbolicShapes assumed.
  void checkAssumptions();

  const SymbolicShapes &shapes;

private:
  DimExpr canonical(const DimExpr &expr) const;
  mlir::Value materialize(const DimExpr &expr);
  mlir::Value materialize(const DimAtom &atom);
  mlir::Value symbol(llvm::StringRef name);

  mlir::func::FuncOp function;
  mlir::OpBuilder b; // stays before the first op of the original body
  mlir::Operation *bodyBegin;
  llvm::StringMap<mlir::Value> values; // by printed expression
  llvm::StringMap<DimExpr> assumed;    // printed expression -> its equal
  llvm::DenseMap<mlir::Value, DimExpr> expressions;
};
} // namespace sparse_opt::lowering
#endif
