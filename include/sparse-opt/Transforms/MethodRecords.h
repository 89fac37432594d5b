// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The module attribute `ffn.methods`: what was done to each FFN block, for
// reports and the manifest. Passes write it; whoever measures what they made
// corrects it.
#ifndef SPARSE_OPT_TRANSFORMS_METHODRECORDS_H
#define SPARSE_OPT_TRANSFORMS_METHODRECORDS_H
#include "mlir/IR/BuiltinOps.h"

namespace sparse_opt {

/// A 64-bit float of `ffn.methods`.
mlir::Attribute number(mlir::MLIRContext *context, double value);
/// Sets what the module attribute `ffn.methods` says of a block: `entry`, and
/// its name as `block`. An earlier entry of the block goes.
void recordMethod(mlir::ModuleOp module, llvm::StringRef block,
                  llvm::ArrayRef<mlir::NamedAttribute> entry);
/// The entry of a block that stays dense, and why.
void recordDense(mlir::ModuleOp module, llvm::StringRef block,
                 const llvm::Twine &reason);

} // namespace sparse_opt
#endif
