// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products of bf16 on tile registers (AMX): one private function for all rows
// of a superblock times a group of panels. LLVM configures the tiles once in
// each function that uses any, so a function does much work and calls nothing.
#ifndef SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_TILEKERNEL_H
#define SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_TILEKERNEL_H
#include "MicroKernel.h"

namespace sparse_opt {

/// sums[p, r, c] = sum_k left[r, k] * right[p, k / 2, c, k mod 2]. Every tile
/// has the same shape, since a function has one configuration; what that
/// leaves of the depth comes as copies, filled up with zeros.
struct TileKernel {
  static constexpr int64_t tileRows = 16;  ///< of each operand, at most
  static constexpr int64_t tileDepth = 32; ///< k's of one tile

  /// `tileRows`: any number of rows from there on, an argument. Fewer: that
  /// many, in lower tiles.
  unsigned rows = 0;
  unsigned panels = 0;
  int64_t depth = 0;
  int64_t leftStride = 0; ///< from row to row, in elements
  int64_t rowsInSums = 0; ///< of a panel

  std::string name() const;
  mlir::MemRefType leftType(mlir::MLIRContext *context) const;
  mlir::MemRefType rightType(mlir::MLIRContext *context) const;
  mlir::MemRefType sumsType(mlir::MLIRContext *context) const;
  /// The last k's of left and right, zeros behind them.
  mlir::MemRefType leftTailType(mlir::MLIRContext *context) const;
  mlir::MemRefType rightTailType(mlir::MLIRContext *context) const;
  bool hasTail() const { return depth % tileDepth != 0; }
};

/// Operands of a call; the tails only where the kernel has some.
struct TileOperands {
  mlir::Value left, right, sums, rows, leftTail, rightTail;
};

void callTileKernel(Emitter &b, MicroKernels &kernels, const TileKernel &kernel,
                    const TileOperands &operands);

/// Copies what a kernel takes as tails: of `rows` rows, and of its panels.
void emitTails(Emitter &b, const TileKernel &kernel,
               const TileOperands &operands);

} // namespace sparse_opt
#endif
