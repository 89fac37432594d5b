// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the verifiers of kernel ops share. Only for this dialect's own files.
#ifndef SPARSE_OPT_DIALECTS_KERNEL_KERNELVERIFIERS_H
#define SPARSE_OPT_DIALECTS_KERNEL_KERNELVERIFIERS_H
#include "dialects/Kernel/KernelOps.h"
#include "mlir/IR/Builders.h"

namespace sparse_opt::kernel {

/// Buffers among the operands are read, outputs are written.
void addBufferEffects(mlir::DestinationStyleOpInterface op,
                      llvm::SmallVectorImpl<mlir::SideEffects::EffectInstance<
                          mlir::MemoryEffects::Effect>> &effects);

/// With results all shaped operands are tensors, without they are memrefs.
llvm::LogicalResult verifyAllTensorsOrBuffers(mlir::Operation *op);

/// A region of scalar code from `arguments` to `results`.
llvm::LogicalResult verifyScalarRegion(mlir::Operation *op,
                                       mlir::Region &region,
                                       llvm::StringRef name,
                                       mlir::TypeRange arguments,
                                       mlir::TypeRange results);
llvm::LogicalResult verifyElementwiseOps(mlir::Operation *op,
                                         mlir::Region &region,
                                         llvm::StringRef name);

/// f32, and for each extra what one element of it is.
llvm::SmallVector<mlir::Type> accumulatorAndElements(mlir::Builder builder,
                                                     mlir::OperandRange extras);

/// Each extra has the shape of `out`, of one row of it, or is a scalar.
llvm::LogicalResult verifyExtras(mlir::Operation *op, mlir::OperandRange extras,
                                 mlir::ShapedType out,
                                 llvm::StringRef expected);

} // namespace sparse_opt::kernel
#endif
