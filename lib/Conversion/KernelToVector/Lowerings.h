// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_LOWERINGS_H
#define SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_LOWERINGS_H
#include "MicroKernel.h"
#include "dialects/Kernel/KernelOps.h"

namespace sparse_opt {
/// Each replaces an op on memrefs by an scf.parallel over vector code.
mlir::LogicalResult lowerProduct(kernel::ProductOp op, MicroKernels &kernels);
mlir::LogicalResult lowerAttention(kernel::AttentionOp op,
                                   MicroKernels &kernels);
mlir::LogicalResult lowerSelect(kernel::SelectOp op, const TargetInfo &target);
mlir::LogicalResult lowerSelectedProduct(kernel::SelectedProductOp op,
                                         const TargetInfo &target);
mlir::LogicalResult lowerSelectedSum(kernel::SelectedSumOp op,
                                     const TargetInfo &target);

/// Fails on an operand whose last dimension isn't contiguous.
mlir::LogicalResult verifyContiguousRows(mlir::Operation *op);
} // namespace sparse_opt
#endif
