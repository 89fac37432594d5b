// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A product's epilogue on vectors: from its sums in a buffer to its output.
#ifndef SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_PRODUCTEPILOGUE_H
#define SPARSE_OPT_LIB_CONVERSION_KERNELTOVECTOR_PRODUCTEPILOGUE_H
#include "Emitter.h"
#include "dialects/Kernel/KernelOps.h"

namespace sparse_opt {

/// out[row, column...] = epilogue(sums, extras...). The operands are the op's,
/// or what stands for them inside a function.
class ProductEpilogue {
public:
  ProductEpilogue(kernel::ProductOp op, unsigned lanes)
      : ProductEpilogue(op, lanes, op.getExtras(), op.getOut()) {}
  ProductEpilogue(kernel::ProductOp op, unsigned lanes, mlir::ValueRange extras,
                  mlir::Value out)
      : op(op), lanes(lanes), extras(extras), out(out) {}

  /// One row of some panels: sums[p, bufferRow] belongs to `row` of the output
  /// and panel firstPanel + p, the last of them masked or none.
  struct Row {
    mlir::Value sums, firstSum, bufferRow, row, firstPanel;
    unsigned panels;
    bool masked;
  };

  /// All results are computed before the first is stored, so that no store
  /// keeps the others' loads back.
  void emit(Emitter &b, llvm::ArrayRef<Row> rows) const;

  /// Operands that a function of its own takes: out and extras.
  llvm::SmallVector<mlir::Value> operands() const;
  /// True when it can be done inside another function, and between tiles: the
  /// region uses nothing but constants from outside and calls no library.
  bool canMove() const;
  /// The same inside a function, by its arguments that stand for `operands`.
  ProductEpilogue inside(mlir::ValueRange arguments) const {
    return {op, lanes, arguments.drop_front(), arguments.front()};
  }

private:
  kernel::ProductOp op;
  unsigned lanes;
  llvm::SmallVector<mlir::Value> extras;
  mlir::Value out;
};

} // namespace sparse_opt
#endif
