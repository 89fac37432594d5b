// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shapes of every value of a model, and contents of its small integer
// tensors, as polynomials in the symbols of `onnx.dims` on the arguments. A
// forward analysis of a function at the `onnx` or `ffn` stage; it changes no
// IR (`--onnx-fold-shapes` does).
#ifndef SPARSE_OPT_ANALYSIS_SYMBOLICSHAPES_H
#define SPARSE_OPT_ANALYSIS_SYMBOLICSHAPES_H
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "sparse-opt/Analysis/DimExpr.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace sparse_opt {

/// A size or an element; nothing when it isn't known at compile time.
using Dim = std::optional<DimExpr>;
using DimList = llvm::SmallVector<Dim, 4>;

/// The node `op` is only right when both sides are equal; sizes of inputs
/// that don't fulfil it are to be refused when the model runs.
struct SizeAssumption {
  DimExpr lhs, rhs;
  mlir::Operation *op;
};

class SymbolicShapes {
public:
  explicit SymbolicShapes(mlir::func::FuncOp function);

  /// One entry per dimension; nothing when the rank isn't known.
  std::optional<llvm::ArrayRef<Dim>> getShape(mlir::Value value) const;
  /// One entry per element of a tensor of rank 0 or 1 (bool as 0 and 1, floats
  /// where they hold integers); nothing when the contents aren't tracked.
  std::optional<llvm::ArrayRef<Dim>> getContents(mlir::Value value) const;

  /// The same, but nothing unless every entry is known.
  std::optional<llvm::SmallVector<DimExpr>>
  getKnownShape(mlir::Value value) const;
  std::optional<llvm::SmallVector<DimExpr>>
  getKnownContents(mlir::Value value) const;
  /// Size `dim` of `value` (negative: from the back).
  Dim getDim(mlir::Value value, int64_t dim) const;

  /// Sizes that were taken to be equal where the graph is meaningless
  /// otherwise and neither side is a plain symbol that could be renamed.
  llvm::ArrayRef<SizeAssumption> getAssumptions() const { return assumptions; }
  /// Symbols found to be equal to another expression (`mask_dim_1` to
  /// `sequence`), because nodes combine them. All results use the latter.
  const llvm::StringMap<DimExpr> &getEqualSymbols() const { return equal; }

  /// The first argument and its dimension that the symbol names.
  std::optional<std::pair<unsigned, unsigned>>
  getSource(llvm::StringRef symbol) const {
    auto it = sources.find(symbol);
    return it == sources.end() ? std::nullopt : std::optional(it->second);
  }

  // For the transfer functions of lib/Analysis.
  void setShape(mlir::Value value, DimList shape);
  void setContents(mlir::Value value, DimList contents);
  /// Takes `a` and `b` to be equal, at `op`.
  void assumeEqual(const DimExpr &a, const DimExpr &b, mlir::Operation *op);
  /// The size that `a` and `b` broadcast to.
  Dim broadcast(const Dim &a, const Dim &b, mlir::Operation *op);

private:
  void visit(mlir::Block &block);
  void seedArguments(mlir::func::FuncOp function);
  void readDimNames(mlir::func::FuncOp function);
  void addEqual(llvm::StringRef symbol, const DimExpr &expr,
                mlir::Operation *op);
  DimExpr resolve(const DimExpr &expr) const;
  void resolveAll(DimList &list) const;

  llvm::DenseMap<mlir::Value, DimList> shapes, contents;
  llvm::SmallVector<SizeAssumption> assumptions, equalAt;
  llvm::StringMap<DimExpr> equal;
  llvm::StringMap<unsigned> symbolOrder;
  llvm::StringMap<std::pair<unsigned, unsigned>> sources;
  bool foundEqual = false;
};
} // namespace sparse_opt
#endif
