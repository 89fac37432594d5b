// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_CONVERSION_PASSES_TD
#define SPARSE_OPT_CONVERSION_PASSES_TD
include "mlir/Pass/PassBase.td"

#endif
