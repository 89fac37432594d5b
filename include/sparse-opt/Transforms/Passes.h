// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_TRANSFORMS_PASSES_H
#define SPARSE_OPT_TRANSFORMS_PASSES_H
#include "dialects/Ffn/FfnOps.h"
#include "dialects/Kernel/KernelOps.h"
#include "dialects/Onnx/OnnxOps.h"
#include "mlir/Pass/Pass.h"

namespace sparse_opt {
#define GEN_PASS_DECL
#include "sparse-opt/Transforms/Passes.h.inc"
#define GEN_PASS_REGISTRATION
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt
#endif
