// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Blocks whose activation gives exact zeros. Which neurons are zero is seen
// when the model runs; how many there will be only a profile knows.
#include "FfnMethods.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Pass/Pass.h"
#include "sparse-opt/Transforms/Passes.h"
#include "llvm/Support/FormatVariadic.h"

namespace sparse_opt {
#define GEN_PASS_DEF_FFNSKIPZEROS
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

static bool givesZeros(ffn::Activation activation) {
  return activation == ffn::Activation::Relu ||
         activation == ffn::Activation::Relu2;
}

/// The share of exact zeros among what the block's activation gave.
static double shareOfZeros(ffn::BlockOp block,
                           const CalibrationProfile &profile, size_t index) {
  const BlockCounts &counts = profile.counts[index];
  uint64_t zeros = 0, values = profile.rowsOf(index) * counts.zeros.size();
  if (!values)
    return 0;
  if (block.getGate() && givesZeros(block.getActivation())) {
    // Zeros of the product may be those of `up`: count gates below 0.
    for (auto [i, count] : llvm::enumerate(counts.gate))
      if (i % numGridBins < gridBinsPerSign)
        zeros += count;
  } else {
    for (uint32_t count : counts.zeros)
      zeros += count;
  }
  return double(zeros) / double(values);
}

namespace {
struct FfnSkipZeros : sparse_opt::impl::FfnSkipZerosBase<FfnSkipZeros> {
  using FfnSkipZerosBase::FfnSkipZerosBase;

  void runOnOperation() override {
    double least;
    if (StringRef(minZeros).getAsDouble(least) || !(least >= 0 && least <= 1)) {
      emitError(flagLocation(getOperation()))
          << "ffn-skip-zeros: min-zeros=" << minZeros
          << " is no share from 0 to 1";
      return signalPassFailure();
    }
    std::optional<CalibrationProfile> known;
    if (!profile.empty()) {
      auto read = profileOf(getOperation(), profile, getArgument());
      if (failed(read))
        return signalPassFailure();
      known = std::move(*read);
    }
    auto blocks = blocksOfLayers(getOperation(), layers, getArgument());
    if (failed(blocks))
      return signalPassFailure();
    for (const NamedBlock &block : *blocks)
      if (failed(compress(block, known, least)))
        return signalPassFailure();
  }

private:
  LogicalResult compress(NamedBlock block,
                         const std::optional<CalibrationProfile> &known,
                         double least) {
    Builder builder(&getContext());
    std::optional<double> zeros;
    if (known) {
      auto index = findInProfile(block, *known, profile, getArgument());
      if (failed(index))
        return failure();
      zeros = shareOfZeros(block.op, *known, *index);
    }
    if (!zeros && !givesZeros(block.op.getActivation()))
      return decline(block,
                     stringifyActivation(block.op.getActivation()) +
                         " gives no zeros that are known without a profile");
    if (zeros && *zeros < least)
      return decline(block,
                     llvm::formatv("{0:f4} of its activations are zero, less "
                                   "than min-zeros={1}",
                                   *zeros, minZeros)
                         .str());
    CompressedForm form;
    form.offset = block.op.getDownBias();
    compressBlock(block, form);
    ++numCompressed;
    NamedAttrList entry;
    entry.set("method", builder.getStringAttr(getArgument()));
    if (zeros)
      entry.set("density", number(&getContext(), 1 - *zeros));
    recordMethod(getOperation(), block.name, entry);
    return success();
  }

  LogicalResult decline(NamedBlock block, const Twine &reason) {
    ++numDeclined;
    recordDense(getOperation(), block.name, reason);
    return success();
  }
};
} // namespace
