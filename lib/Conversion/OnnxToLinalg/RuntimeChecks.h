// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What compiled code checks while it runs, as `kernel.check_index` and
// `kernel.check_sizes`.
#ifndef SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_RUNTIMECHECKS_H
#define SPARSE_OPT_LIB_CONVERSION_ONNXTOLINALG_RUNTIMECHECKS_H
#include "mlir/IR/Builders.h"

namespace sparse_opt::lowering {
/// "node 'NAME' (Gather): <what>", for messages at run time.
std::string checkMessage(mlir::Operation *op, const llvm::Twine &what);
/// Every element of `indices` must lie in [-bound, bound).
void emitIndexCheck(mlir::OpBuilder &b, mlir::Location loc, mlir::Value indices,
                    mlir::Value bound, llvm::StringRef message);
/// Two index values must be equal.
void emitSizesEqual(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x,
                    mlir::Value y, llvm::StringRef message);
/// An i1 must hold, which says that index values x and y fit each other.
void emitSizesCheck(mlir::OpBuilder &b, mlir::Location loc, mlir::Value holds,
                    mlir::Value x, mlir::Value y, llvm::StringRef message);
} // namespace sparse_opt::lowering
#endif
