// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_DIALECTS_KERNEL_KERNELBUFFERIZATION_H
#define SPARSE_OPT_DIALECTS_KERNEL_KERNELBUFFERIZATION_H
#include "mlir/IR/DialectRegistry.h"

namespace sparse_opt::kernel {
/// One-shot bufferisation of the kernel dialect's ops.
void registerBufferizableOpInterfaceExternalModels(
    mlir::DialectRegistry &registry);
} // namespace sparse_opt::kernel
#endif
