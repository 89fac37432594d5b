// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// --kernel-form-regions: finds the candidates and counts. Matching and
// rewriting are FormRegionsProduct.cpp's and FormRegionsAttention.cpp's.
#include "FormRegionsInternal.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "sparse-opt/Transforms/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELFORMREGIONS
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

#define DEBUG_TYPE "kernel-form-regions"

namespace {

struct FormRegions : sparse_opt::impl::KernelFormRegionsBase<FormRegions> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    IRRewriter rewriter(&getContext());
    ResourceUses counted(module);
    uses = &counted;
    eraseDead();
    // 1. Attentions, before a chain could take an end of one.
    SmallVector<linalg::SoftmaxOp> softmaxes;
    module.walk([&](linalg::SoftmaxOp op) { softmaxes.push_back(op); });
    for (linalg::SoftmaxOp op : softmaxes)
      count(formAttention(op, rewriter), numAttentions, numPlainSoftmaxes);
    // 2. Products.
    WeightPacker weights(module, counted);
    SmallVector<linalg::GenericOp> contractions;
    module.walk([&](linalg::GenericOp op) {
      if (matchContraction(op))
        contractions.push_back(op);
    });
    // Weights that look-ups may share come first, so that the two copies of a
    // model's largest one aren't beside all the others.
    auto rest = std::stable_partition(
        contractions.begin(), contractions.end(), [&](linalg::GenericOp op) {
          return weights.mayBeTable(matchContraction(op)->rhs);
        });
    auto form = [&](auto begin, auto end) {
      for (linalg::GenericOp op : llvm::make_range(begin, end))
        count(formProduct(op, weights, rewriter), numProducts,
              numPlainContractions);
    };
    form(contractions.begin(), rest);
    numShared += weights.shareTables();
    form(rest, contractions.end());
    numFreed += counted.numFreed();
  }

  void count(LogicalResult formed, Statistic &yes, Statistic &no) {
    if (failed(formed)) {
      ++no;
      return;
    }
    ++yes;
    // Later matches count uses.
    eraseDead();
  }

  void eraseDead() {
    SmallVector<Operation *> all;
    getOperation()->walk<WalkOrder::PreOrder>(
        [&](Operation *op) { all.push_back(op); });
    for (Operation *op : llvm::reverse(all))
      if (isOpTriviallyDead(op))
        uses->erase(op);
  }

  ResourceUses *uses = nullptr; ///< while it runs
};

} // namespace
