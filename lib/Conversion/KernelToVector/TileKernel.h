// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products of bf16 on tile registers (AMX): one private function for all rows
// of a superblock times a group of panels. LLVM configures the tiles once in
// each function that uses any, so a function does much work and calls nothing.
#ifndef SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_TILEKERNEL_H
#define SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_TILEKERNEL_H
#include "MicroKernel.h"
#include "ProductEpilogue.h"

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

  bool hasTail() const { return depth % tileDepth != 0; }
  /// Steps of the loop over k.
  int64_t steps() const { return depth / tileDepth; }
  /// With fewer steps there would be too much of an epilogue in each.
  static bool canOverlap(int64_t depth) { return depth / tileDepth >= 8; }

  std::string name() const;
  mlir::MemRefType leftType(mlir::MLIRContext *context) const;
  mlir::MemRefType rightType(mlir::MLIRContext *context) const;
  mlir::MemRefType sumsType(mlir::MLIRContext *context) const;
  /// The last k's of left and right, zeros behind them.
  mlir::MemRefType leftTailType(mlir::MLIRContext *context) const;
  mlir::MemRefType rightTailType(mlir::MLIRContext *context) const;
};

/// Operands of a call; the tails only where the kernel has some.
struct TileOperands {
  mlir::Value left, right, sums, rows, leftTail, rightTail;
};

/// Of the epilogue that a function does itself, each block's in the loop over k
/// of the next one: tiles are multiplied beside what vectors do.
struct TileEpilogue {
  ProductEpilogue epilogue;
  bool masked;
  mlir::Value firstRow, firstPanel; ///< of the output, from where sums are
};

/// Calls the one function of `kernel`.
void callTileKernel(Emitter &b, MicroKernels &kernels, const TileKernel &kernel,
                    const TileOperands &operands);

/// Calls a function that writes the output itself; `sums` is scratch for one
/// block. Products that do the same share it.
void callTileProduct(Emitter &b, MicroKernels &kernels,
                     const TileKernel &kernel, const TileOperands &operands,
                     const TileEpilogue &epilogue);

/// Copies what a kernel takes as tails: of `rows` rows, and of its panels.
void emitTails(Emitter &b, const TileKernel &kernel,
               const TileOperands &operands);

} // namespace sparse_opt
#endif
