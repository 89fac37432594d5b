// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The LayerNorm or RMSNorm that reads the sum of a block and what is added to
// it: what of a block's error the model goes on with. It is found by what it
// does to rows, so every spelling of a norm is one.
#ifndef SPARSE_OPT_LIB_TRANSFORMS_FOLLOWINGNORM_H
#define SPARSE_OPT_LIB_TRANSFORMS_FOLLOWINGNORM_H
#include "dialects/Ffn/FfnOps.h"
#include "sparse-opt/Numerics/Thresholds.h"
#include <string>

namespace sparse_opt {

struct FollowingNorm {
  std::string name;   ///< of the node whose result it is
  std::string whyNot; ///< there is none, or ""
  /// Of the sum's rows; null when there is none. Outlived by the block.
  numerics::RowFunction apply;
};

/// The first node behind the sum that has, in a dimension of the sum's size, a
/// function of each row alone that looks at the whole row.
FollowingNorm findFollowingNorm(ffn::BlockOp block);

} // namespace sparse_opt
#endif
