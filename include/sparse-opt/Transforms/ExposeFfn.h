// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Values of FFN blocks as results of the whole model, for whoever looks at
// them at run time: `calibrate` gathers statistics, `verify` compares blocks.
#ifndef SPARSE_OPT_TRANSFORMS_EXPOSEFFN_H
#define SPARSE_OPT_TRANSFORMS_EXPOSEFFN_H
#include "dialects/Ffn/FfnOps.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>

namespace sparse_opt {

/// The blocks of a module, in order.
llvm::SmallVector<ffn::BlockOp> findBlocks(mlir::ModuleOp module);
/// `block_name`, or "ffn.<index>" without one.
std::string nameOfBlock(ffn::BlockOp block, size_t index);

/// What is added to a block's result before anything else reads it (attention
/// in parallel adds twice).
struct ResidualStream {
  llvm::SmallVector<mlir::Value, 1> added;
  /// The sum; where `skip` adds the last one, what it adds it to.
  mlir::Value sum;
  mlir::Operation *skip = nullptr; ///< a norm that adds
  bool isUniform = true;           ///< all that is added is of one type
};
ResidualStream followResidual(mlir::Value y);

struct ExposeCounts {
  unsigned blocks = 0, residuals = 0, results = 0;
};

/// Makes `values` of every block results of @main, called "<block>:<value>":
/// x and y; gate and up, the products before the activation; act, what goes
/// into the down projection; residual, the sum of what is added to y before
/// anything else reads it. They become f32. The model's own results go unless
/// `keepResults`. A module without blocks stays as it is.
ExposeCounts exposeBlocks(mlir::ModuleOp module,
                          llvm::ArrayRef<std::string> values, bool keepResults);

} // namespace sparse_opt
#endif
