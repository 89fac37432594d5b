// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Lowerings.h"
using namespace mlir;
using namespace sparse_opt;
LogicalResult sparse_opt::lowerAttention(kernel::AttentionOp op,
                                         MicroKernels &kernels) {
  return op.emitOpError("todo");
}
