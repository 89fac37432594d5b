// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Blocks whose activation gives exact zeros. Which neurons are zero is seen
// when the model runs; how many there will be only a profile knows.
#include "FfnMethods.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include "sparse-opt/Transforms/OnnxFolding.h"
#include "sparse-opt/Transforms/Passes.h"
#include "llvm/Support/FormatVariadic.h"
#include <numeric>

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

/// How many rows each neuron was other than exactly zero in, as its activation
/// gave it.
static SmallVector<uint64_t>
nonZeros(ffn::BlockOp block, const CalibrationProfile &profile, size_t index) {
  const BlockCounts &counts = profile.counts[index];
  SmallVector<uint64_t> rows(counts.zeros.size(), profile.rowsOf(index));
  if (block.getGate() && givesZeros(block.getActivation()) &&
      !block.getCutoff()) {
    // Zeros of the product may be those of `up`: count gates below 0. (Those
    // at a cutoff are between two bins.)
    for (auto [i, count] : llvm::enumerate(counts.gate))
      if (i % numGridBins < gridBinsPerSign)
        rows[i / numGridBins] -= count;
  } else {
    for (auto [neuron, zeros] : llvm::enumerate(counts.zeros))
      rows[neuron] -= zeros;
  }
  return rows;
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
    for (auto function : getOperation().getOps<func::FuncOp>())
      eraseDeadNodes(function);
  }

private:
  LogicalResult compress(NamedBlock block,
                         const std::optional<CalibrationProfile> &known,
                         double least) {
    Builder builder(&getContext());
    std::optional<double> zeros;
    SmallVector<uint64_t> rows;
    if (known) {
      auto index = findInProfile(block, *known, profile, getArgument());
      if (failed(index))
        return failure();
      rows = nonZeros(block.op, *known, *index);
      double values = double(known->rowsOf(*index)) * double(rows.size());
      double kept =
          double(std::accumulate(rows.begin(), rows.end(), uint64_t(0)));
      zeros = values ? 1 - kept / values : 0;
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
    if (hasConstantWeights(block.op) && !rows.empty())
      takeNeurons(block.op, byFrequency(rows));
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
