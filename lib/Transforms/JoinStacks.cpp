// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// --kernel-join-stacks: appends to a tensor of caches as a whole. Exporters of
// GPT-2 stack a layer's keys and values in one input, take each out, join it
// with its new rows, and stack what comes out. Here the new rows are stacked
// and joined with the input, and what was joined is a slice of that:
// --kernel-bind-states then sees an ordinary cache.
#include "States.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "sparse-opt/Transforms/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELJOINSTACKS
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

#define DEBUG_TYPE "kernel-join-stacks"

using namespace mlir;
using namespace sparse_opt;

namespace {

/// One cache of a stack: rows joined behind slice `i` of the input, in the
/// order of dimensions `order` (dimension d of the joined tensor is dimension
/// order[d] of the slice).
struct Layer {
  tensor::InsertSliceOp kept, appended;
  SmallVector<int64_t> order;
};

/// `past` and what is stacked of it in `result`, along dimension `axis`.
struct Stack {
  BlockArgument past;
  tensor::InsertSliceOp result; ///< the last one
  int64_t axis, rowAxis;        ///< of `past`; rows are along the second
  SmallVector<Layer> layers;
};

SmallVector<int64_t> identityOrder(int64_t rank) {
  return llvm::to_vector(llvm::seq<int64_t>(rank));
}

/// x of transpose(x), and `order` made that of x's dimensions.
Value skipTranspose(Value value, SmallVector<int64_t> &order) {
  order = identityOrder(cast<ShapedType>(value.getType()).getRank());
  auto transpose = value.getDefiningOp<linalg::TransposeOp>();
  if (!transpose || !transpose->hasOneUse())
    return value;
  order = llvm::to_vector(transpose.getPermutation());
  return transpose.getInput();
}

/// True when `groups` pair dimension `axis`, of size 1, with a neighbour.
bool dropsUnit(ArrayRef<ReassociationIndices> groups, int64_t axis) {
  return llvm::all_of(groups, [&](const ReassociationIndices &group) {
    return group.size() == 1 ||
           (group.size() == 2 && llvm::is_contained(group, axis));
  });
}

/// Which slice of size 1 along one dimension, in full along the others.
std::optional<int64_t> sliceNumber(OffsetSizeAndStrideOpInterface op,
                                   int64_t axis) {
  for (auto [d, offset] : llvm::enumerate(op.getMixedOffsets()))
    if ((int64_t(d) != axis && !isConstantIntValue(offset, 0)) ||
        !isConstantIntValue(op.getMixedStrides()[d], 1))
      return std::nullopt;
  if (!isConstantIntValue(op.getMixedSizes()[axis], 1))
    return std::nullopt;
  return getConstantIntValue(op.getMixedOffsets()[axis]);
}

/// True when `size` is that of dimension `d` of `past`: a constant, or a size
/// of an input under the same name.
bool isSizeOf(OpFoldResult size, BlockArgument past, int64_t d) {
  int64_t known = cast<ShapedType>(past.getType()).getDimSize(d);
  if (!ShapedType::isDynamic(known))
    return isConstantIntValue(size, known);
  auto value = dyn_cast<Value>(size);
  auto dim = value ? value.getDefiningOp<tensor::DimOp>() : nullptr;
  auto input = dim ? dyn_cast<BlockArgument>(dim.getSource()) : nullptr;
  if (!input || !dim.getConstantIndex())
    return false;
  auto func = cast<func::FuncOp>(past.getOwner()->getParentOp());
  auto name = [&](BlockArgument argument, int64_t i) -> Attribute {
    auto dims =
        func.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "onnx.dims");
    return dims ? dims[i] : Attribute();
  };
  return input == past
             ? *dim.getConstantIndex() == d
             : name(past, d) &&
                   name(past, d) == name(input, *dim.getConstantIndex());
}

/// The layer whose joined tensor `source`, of rank `rank - 1`, is.
std::optional<Layer> matchLayer(Value source, const Stack &stack,
                                int64_t number) {
  if (auto expand = source.getDefiningOp<tensor::ExpandShapeOp>())
    if (dropsUnit(expand.getReassociationIndices(), stack.axis))
      source = expand.getSrc();
  Layer layer;
  SmallVector<int64_t> back;
  layer.appended =
      skipTranspose(source, back).getDefiningOp<tensor::InsertSliceOp>();
  if (layer.appended)
    layer.kept =
        layer.appended.getDest().getDefiningOp<tensor::InsertSliceOp>();
  if (!layer.kept || !layer.kept->hasOneUse() ||
      !layer.kept.getDest().getDefiningOp<tensor::EmptyOp>())
    return std::nullopt;
  Value read = skipTranspose(layer.kept.getSource(), layer.order);
  if (auto collapse = read.getDefiningOp<tensor::CollapseShapeOp>())
    if (collapse->hasOneUse() &&
        dropsUnit(collapse.getReassociationIndices(), stack.axis))
      read = collapse.getSrc();
  auto slice = read.getDefiningOp<tensor::ExtractSliceOp>();
  if (!slice || !slice->hasOneUse() || slice.getSource() != stack.past ||
      sliceNumber(slice, stack.axis) != number)
    return std::nullopt;
  for (auto [d, size] : llvm::enumerate(slice.getMixedSizes()))
    if (int64_t(d) != stack.axis && !isSizeOf(size, stack.past, d))
      return std::nullopt;
  if (layer.order.size() != back.size() ||
      size_t(cast<ShapedType>(stack.past.getType()).getRank()) !=
          back.size() + 1)
    return std::nullopt;
  for (auto [d, from] : llvm::enumerate(back))
    if (layer.order[from] != int64_t(d))
      return std::nullopt;
  return layer;
}

/// insert_slice(x[n-1], ... insert_slice(x[0], empty)), each a layer.
std::optional<Stack> matchStack(BlockArgument past,
                                tensor::InsertSliceOp result) {
  Stack stack{past, result, -1, -1, {}};
  SmallVector<tensor::InsertSliceOp> parts;
  for (auto part = result; part;
       part = part.getDest().getDefiningOp<tensor::InsertSliceOp>()) {
    if (part != result && !part->hasOneUse())
      return std::nullopt;
    parts.insert(parts.begin(), part);
  }
  auto type = cast<RankedTensorType>(past.getType());
  if (result.getType().getRank() != type.getRank() || parts.size() < 2 ||
      !parts[0].getDest().getDefiningOp<tensor::EmptyOp>())
    return std::nullopt;
  for (auto [d, offset] : llvm::enumerate(result.getMixedOffsets()))
    if (isConstantIntValue(offset, parts.size() - 1) &&
        type.getDimSize(d) == int64_t(parts.size()))
      stack.axis = d;
  if (stack.axis < 0)
    return std::nullopt;
  for (auto [i, part] : llvm::enumerate(parts)) {
    if (sliceNumber(part, stack.axis) != int64_t(i))
      return std::nullopt;
    std::optional<Layer> layer = matchLayer(part.getSource(), stack, i);
    if (!layer)
      return std::nullopt;
    std::optional<int64_t> axis = appendAxis(layer->kept, layer->appended);
    if (!axis)
      return std::nullopt;
    int64_t rowAxis = layer->order[*axis];
    rowAxis += rowAxis >= stack.axis;
    if (stack.rowAxis >= 0 && stack.rowAxis != rowAxis)
      return std::nullopt;
    stack.rowAxis = rowAxis;
    stack.layers.push_back(*layer);
  }
  return stack;
}

/// True when no layer's new rows depend on another layer's joined ones.
bool areIndependent(const Stack &stack) {
  llvm::SetVector<Operation *> before;
  BackwardSliceOptions options;
  options.inclusive = true;
  for (Layer layer : stack.layers)
    if (failed(getBackwardSlice(layer.appended.getSource(), &before, options)))
      return false;
  return llvm::none_of(stack.layers, [&](const Layer &layer) {
    return before.contains(layer.appended);
  });
}

struct JoinStacks : public sparse_opt::impl::KernelJoinStacksBase<JoinStacks> {
  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (!func.isPublic() || func.isExternal())
        continue;
      SmallVector<Stack> stacks = findStacks(func);
      for (const Stack &stack : stacks)
        join(stack);
      if (stacks.empty())
        continue;
      sortTopologically(&func.front());
      for (Operation &op : llvm::make_early_inc_range(
               llvm::reverse(func.front().getOperations())))
        if (isOpTriviallyDead(&op)) // the slices of before
          op.erase();
      numJoined += stacks.size();
    }
  }

  static SmallVector<Stack> findStacks(func::FuncOp func) {
    SmallVector<Stack> stacks;
    for (BlockArgument past : func.getArguments()) {
      SmallVector<Operation *> readers;
      for (Operation *user : past.getUsers())
        if (!isa<tensor::DimOp>(user))
          readers.push_back(user);
      if (!llvm::all_of(readers, llvm::IsaPred<tensor::ExtractSliceOp>))
        continue;
      for (Value result : func.front().getTerminator()->getOperands())
        if (auto last = result.getDefiningOp<tensor::InsertSliceOp>())
          if (std::optional<Stack> stack = matchStack(past, last);
              stack && stack->layers.size() == readers.size() &&
              areIndependent(*stack)) {
            stacks.push_back(*stack);
            break;
          }
    }
    return stacks;
  }

  /// The sizes of a joined or new tensor, as a slice of the stack.
  static SmallVector<OpFoldResult> sliceSizes(const Stack &stack,
                                              const Layer &layer,
                                              ArrayRef<OpFoldResult> sizes) {
    Builder builder(stack.past.getContext());
    SmallVector<OpFoldResult> ordered(sizes.size());
    for (auto [d, to] : llvm::enumerate(layer.order))
      ordered[to] = sizes[d];
    ordered.insert(ordered.begin() + stack.axis, builder.getIndexAttr(1));
    return ordered;
  }

  /// transpose(x), or x when nothing moves.
  static Value inOrder(OpBuilder &b, Location loc, Value value,
                       ArrayRef<int64_t> order) {
    if (isIdentityPermutation(order))
      return value;
    auto sizes = tensor::getMixedSizes(b, loc, value);
    SmallVector<OpFoldResult> ordered;
    for (int64_t d : order)
      ordered.push_back(sizes[d]);
    Value empty =
        tensor::EmptyOp::create(b, loc, ordered, getElementTypeOrSelf(value));
    return linalg::TransposeOp::create(b, loc, value, empty, order)
        ->getResult(0);
  }

  /// stack(joined(past[i], x[i])) -> joined(past, stack(x)); a layer's joined
  /// tensor is slice i of it.
  static void join(const Stack &stack) {
    tensor::InsertSliceOp last = stack.result;
    Location loc = last.getLoc();
    OpBuilder b(last->getBlock()->getTerminator());
    auto type = cast<RankedTensorType>(stack.past.getType());
    SmallVector<OpFoldResult> ones(type.getRank(), b.getIndexAttr(1)),
        zeros(type.getRank(), b.getIndexAttr(0));
    auto at = [&](int64_t i) {
      SmallVector<OpFoldResult> offsets = zeros;
      offsets[stack.axis] = b.getIndexAttr(i);
      return offsets;
    };
    auto whole = [&](SmallVector<OpFoldResult> sizes) {
      sizes[stack.axis] = b.getIndexAttr(stack.layers.size());
      return sizes;
    };
    const Layer &first = stack.layers.front();
    tensor::InsertSliceOp kept = first.kept, appended = first.appended;
    auto pastSizes = whole(sliceSizes(stack, first, kept.getMixedSizes()));
    auto newSizes = whole(sliceSizes(stack, first, appended.getMixedSizes()));
    auto joined = kept.getDest().getDefiningOp<tensor::EmptyOp>();
    auto allSizes = sliceSizes(stack, first, joined.getMixedSizes());

    // 1. The new rows, stacked.
    Value fresh =
        tensor::EmptyOp::create(b, loc, newSizes, type.getElementType());
    for (auto [i, layer] : llvm::enumerate(stack.layers)) {
      tensor::InsertSliceOp rows = layer.appended;
      Value ordered = inOrder(b, loc, rows.getSource(),
                              invertPermutationVector(layer.order));
      fresh = tensor::InsertSliceOp::create(
          b, loc, ordered, fresh, at(i),
          sliceSizes(stack, layer, rows.getMixedSizes()), ones);
    }
    // 2. The input, and they behind it.
    Value empty =
        tensor::EmptyOp::create(b, loc, whole(allSizes), type.getElementType());
    Value all = tensor::InsertSliceOp::create(b, loc, stack.past, empty, zeros,
                                              pastSizes, ones);
    SmallVector<OpFoldResult> behind = zeros;
    behind[stack.rowAxis] = pastSizes[stack.rowAxis];
    all = tensor::InsertSliceOp::create(b, loc, fresh, all, behind, newSizes,
                                        ones);
    last.getResult().replaceAllUsesWith(all);
    // 3. Slices of that for those that read a layer.
    for (auto [i, layer] : llvm::enumerate(stack.layers)) {
      tensor::InsertSliceOp rows = layer.appended;
      SmallVector<int64_t> shape(cast<ShapedType>(all.getType()).getShape());
      shape.erase(shape.begin() + stack.axis);
      Value slice = tensor::ExtractSliceOp::create(
          b, rows.getLoc(), type.clone(shape), all, at(i), allSizes, ones);
      rows.getResult().replaceAllUsesWith(
          inOrder(b, rows.getLoc(), slice, layer.order));
    }
  }
};

} // namespace
