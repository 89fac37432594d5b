// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Between index arithmetic in the IR and polynomials over the model's symbols.
#ifndef SPARSE_OPT_CONVERSION_SIZEEXPR_H
#define SPARSE_OPT_CONVERSION_SIZEEXPR_H
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "sparse-opt/Analysis/DimExpr.h"
#include "llvm/ADT/StringMap.h"

namespace sparse_opt {

/// The arguments of `func` that hold a symbolic dim, by its name.
llvm::StringMap<mlir::Value> symbolArguments(mlir::func::FuncOp func);

/// `value` over the symbols of its function, or an expression it never
/// exceeds (one side of a minimum); nothing when it depends on anything else.
std::optional<DimExpr> upperBound(mlir::Value value);

/// The same for a dimension of a buffer.
std::optional<DimExpr> upperBoundOfDim(mlir::Value buffer, int64_t dim);

/// Index arithmetic that computes `expr`.
mlir::Value materialize(mlir::OpBuilder &builder, mlir::Location loc,
                        const DimExpr &expr,
                        const llvm::StringMap<mlir::Value> &symbols);
} // namespace sparse_opt
#endif
