// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_DIALECTS_KERNEL_KERNELOPS_H
#define SPARSE_OPT_DIALECTS_KERNEL_KERNELOPS_H
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace sparse_opt::kernel {
/// P: outputs in one panel of a packed weight, and those of one of int8, whose
/// every k is then a line of 64 bytes.
constexpr int64_t panelColumns = 16, int8PanelColumns = 64;

/// Panels of P = 16 in one of int8.
constexpr int64_t panelsInInt8 = int8PanelColumns / panelColumns;

/// P for weights of `element`.
inline int64_t panelColumnsOf(mlir::Type element) {
  return element.isInteger(8) ? int8PanelColumns : panelColumns;
}

/// An scf.if that takes the same values from kernels for few rows, or else from
/// plain code, which always may be taken.
constexpr llvm::StringLiteral fewRowsAttr = "kernel.few_rows";

/// A type, on a contraction with a constant and on the `kernel.product` that it
/// becomes: what the constant is stored in, whatever others are.
constexpr llvm::StringLiteral weightTypeAttr = "kernel.weight_type";
/// Lists of the module: `{name, value}` of each kernel.knob, and `{name,
/// groups}` of each block of kernel.note_rows. The runtime knows both by their
/// positions.
constexpr llvm::StringLiteral knobsAttr = "kernel.knobs",
                              blocksAttr = "kernel.blocks";

/// A K x N weight in panels: ceil(N / P) x K x P, of bf16 in pairs along K:
/// ceil(N / P) x ceil(K / 2) x P x 2.
mlir::RankedTensorType packedWeightType(int64_t k, int64_t n,
                                        mlir::Type element);

/// A weight in rows of `length`, one for each neuron, padded to whole cache
/// lines.
mlir::RankedTensorType neuronMajorType(int64_t neurons, int64_t length,
                                       mlir::Type element);

/// P: neurons that an entry of a selection's list stands for.
int64_t neuronsInAGroup(mlir::ShapedType list, int64_t neurons);
} // namespace sparse_opt::kernel

#include "dialects/Kernel/KernelDialect.h.inc"
#include "dialects/Kernel/KernelEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Kernel/KernelAttrs.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/Kernel/KernelTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/Kernel/KernelOps.h.inc"
#endif
