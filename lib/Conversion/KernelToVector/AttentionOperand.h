// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// An operand of kernel.attention: a memref indexed by the six loops, and the
// copies of it that put its elements in a micro-kernel's order.
#ifndef SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_ATTENTIONOPERAND_H
#define SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_ATTENTIONOPERAND_H
#include "Emitter.h"
#include "dialects/Kernel/KernelOps.h"
#include <array>

namespace sparse_opt {

/// Where each of the six loops is.
using LoopIndices = std::array<mlir::Value, kernel::AttentionOp::NumLoops>;

class AttentionOperand {
public:
  AttentionOperand() = default;
  AttentionOperand(mlir::Value memref, mlir::AffineMap map)
      : memref(memref), map(map) {}

  /// The memref's dimension that `loop` indexes.
  std::optional<unsigned> dimOf(unsigned loop) const;
  mlir::Value sizeOf(Emitter &b, unsigned loop) const;
  /// Elements from one index of `loop` to the next; kDynamic when unknown.
  int64_t strideOf(unsigned loop) const;
  mlir::Value strideValue(Emitter &b, unsigned loop) const;
  bool isContiguousAlong(unsigned loop) const { return strideOf(loop) == 1; }
  llvm::SmallVector<mlir::Value> indices(Emitter &b,
                                         const LoopIndices &at) const;

  /// Elements of one step of a micro-kernel, which lie together in a panel.
  unsigned step() const;

  /// Rows to pack: `count` from `first` on.
  struct Part {
    mlir::Value first, count;
  };
  /// packed[row / 16, depth / step, row mod 16, depth mod step], the last two
  /// as one dimension: `rows` is k's n, `depth` its d. Columns past the last
  /// row hold a copy of it.
  void packColumns(Emitter &b, LoopIndices at, unsigned rows, Part part,
                   unsigned depth, int64_t depthSize, mlir::Value packed,
                   unsigned lanes) const;
  /// packed[column / 16, row / step, column mod 16, row mod step], the last
  /// two as one dimension: `rows` is v's n, `columns` its e. Columns and rows
  /// past the last are zero.
  void packRows(Emitter &b, LoopIndices at, unsigned rows, Part part,
                unsigned columns, int64_t columnsSize, mlir::Value packed,
                unsigned lanes) const;

  mlir::Value memref;
  mlir::AffineMap map;

private:
  mlir::Value loadRow(Emitter &b, LoopIndices at, unsigned columns,
                      int64_t column, int64_t valid, mlir::Value inside,
                      unsigned lanes) const;
};

} // namespace sparse_opt
#endif
