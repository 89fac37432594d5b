// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operands of an attention, seen through what only moves, widens or scales
// them. Private to --kernel-form-regions.
#ifndef SPARSE_OPT_LIB_TRANSFORMS_ATTENTIONACCESS_H
#define SPARSE_OPT_LIB_TRANSFORMS_ATTENTIONACCESS_H
#include "FormRegionsInternal.h"

namespace sparse_opt {

/// An operand as a source value and, for each of its dimensions, the loops
/// that index it. Several loops in one dimension come from a reshape that a
/// later step undoes; none means index 0.
struct AttentionAccess {
  struct Loop {
    mlir::AffineExpr expr;
    int64_t size;
  };
  mlir::Value value;
  llvm::SmallVector<llvm::SmallVector<Loop>> dims;
  float factor = 1;

  bool isMap() const {
    return llvm::all_of(dims, [](auto &loops) {
      return loops.empty() || (loops.size() == 1 &&
                               kernel::AttentionOp::loopOf(loops.front().expr));
    });
  }
  mlir::AffineMap map() const;
};

/// `value` as `map` reads it, over the loops of an attention.
AttentionAccess accessOf(mlir::Value value, mlir::AffineMap map);

/// The furthest source of `access` that a map can express.
AttentionAccess resolve(AttentionAccess access, bool mayScale);

} // namespace sparse_opt
#endif
