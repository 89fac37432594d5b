// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_PIPELINES_REGISTRATION_H
#define SPARSE_OPT_PIPELINES_REGISTRATION_H
#include "mlir/IR/DialectRegistry.h"

namespace sparse_opt {
/// All dialects that a compilation uses, and their translation to LLVM IR.
void registerDialects(mlir::DialectRegistry &registry);
/// All dialects and passes that sparse-opt knows, its own and upstream's.
void registerEverything(mlir::DialectRegistry &registry);
} // namespace sparse_opt
#endif
