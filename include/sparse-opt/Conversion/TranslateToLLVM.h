// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_CONVERSION_TRANSLATETOLLVM_H
#define SPARSE_OPT_CONVERSION_TRANSLATETOLLVM_H
#include "mlir/IR/BuiltinOps.h"
#include <memory>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace sparse_opt {
struct TargetInfo;

/// `module` (stage `llvm`) as LLVM IR for `target`: triple and data layout,
/// and CPU and features on every function, so that the optimiser's cost model
/// knows the registers. Null, after a diagnostic, when that fails.
std::unique_ptr<llvm::Module> translateToLLVM(mlir::ModuleOp module,
                                              const TargetInfo &target,
                                              llvm::LLVMContext &context);
} // namespace sparse_opt
#endif
