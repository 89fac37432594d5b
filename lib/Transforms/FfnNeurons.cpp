// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A block with some of its neurons, or with all of them in another order: its
// weights are copied, neuron by neuron. Which neurons is the passes' choice.
#include "FfnMethods.h"
#include "dialects/Onnx/OnnxOps.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include "sparse-opt/Transforms/OnnxFolding.h"
#include <numeric>

using namespace mlir;
using namespace sparse_opt;

bool sparse_opt::hasConstantWeights(ffn::BlockOp block) {
  return llvm::all_of(block->getOperands(), [&](Value value) {
    return value == block.getX() || getConstantData(value);
  });
}

/// A constant with the columns (or rows) of another one that `order` lists.
static Value take(Value value, ArrayRef<size_t> order, bool rows) {
  if (!value)
    return value;
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  ConstantData data = *getConstantData(value);
  SmallVector<int64_t> shape(data.type.getShape());
  size_t width = getElementBytes(data.type.getElementType());
  size_t old = rows ? shape.front() : shape.back();
  size_t inner = rows ? data.size() / old : 1,
         outer = data.size() / old / inner;
  (rows ? shape.front() : shape.back()) = order.size();
  size_t step = data.splat ? 1 : inner; // elements that lie together
  auto fill = [&](MutableArrayRef<char> out) {
    char *to = out.data();
    for (size_t o = 0; o < outer; ++o)
      for (size_t neuron : order)
        for (size_t i = 0; i < inner; i += step, to += step * width) {
          size_t from = data.splat ? 0 : (o * old + neuron) * inner;
          std::memcpy(to, data.bytes.data() + from * width, step * width);
        }
  };
  OpBuilder builder(constant);
  return onnx::ConstantOp::create(
      builder, constant.getLoc(),
      makeConstant(RankedTensorType::get(shape, data.type.getElementType()),
                   "neurons", fill));
}

void sparse_opt::takeNeurons(ffn::BlockOp block, ArrayRef<size_t> order) {
  auto replace = [&](MutableOperandRange range, bool rows) {
    if (!range.empty())
      range.assign(take(range[0].get(), order, rows));
  };
  replace(block.getGateMutable(), false);
  replace(block.getGateBiasMutable(), false);
  block.getUpMutable().assign(take(block.getUp(), order, false));
  replace(block.getUpBiasMutable(), false);
  block.getDownMutable().assign(take(block.getDown(), order, true));
}

SmallVector<size_t> sparse_opt::byFrequency(ArrayRef<uint64_t> kept) {
  SmallVector<size_t> order(kept.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](size_t a, size_t b) {
    return kept[a] != kept[b] ? kept[a] > kept[b] : a < b;
  });
  return order;
}
