// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_LIB_FRONTEND_BUILDMODULE_H
#define SPARSE_OPT_LIB_FRONTEND_BUILDMODULE_H
#include "Normalize.h"
#include "Weights.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace sparse_opt::frontend {

/// The normalised model as a module of the `onnx` stage; null after an error.
mlir::OwningOpRef<mlir::ModuleOp> buildModule(const pb::ModelProto &model,
                                              const ModelInfo &info,
                                              Weights &weights,
                                              const Report &report);

} // namespace sparse_opt::frontend
#endif
