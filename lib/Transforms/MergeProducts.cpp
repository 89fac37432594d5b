// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// --kernel-merge-products: products of one left operand that do the same with
// their sums (query, key and value) become one, by joining the panels of their
// weights; each result is a range of its columns. Which kernels read such a
// range in place is their lowerings' matter; where one would need a copy the
// product stays alone.
#include "FormRegionsInternal.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include "sparse-opt/Transforms/Passes.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELMERGEPRODUCTS
#include "sparse-opt/Transforms/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;
using kernel::ProductOp;

#define DEBUG_TYPE "kernel-merge-products"

static int64_t columnsOf(ProductOp op) {
  return cast<RankedTensorType>(op.getOut().getType()).getDimSize(1);
}

static int64_t rankOf(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type ? type.getRank() : 0;
}

//===----------------------------------------------------------------------===//
// What can be joined
//===----------------------------------------------------------------------===//

/// The bytes of a constant tensor, all of them.
static std::optional<ArrayRef<char>> bytesOf(Value value) {
  ElementsAttr constant;
  if (!matchPattern(value, m_Constant(&constant)))
    return std::nullopt;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(constant)) {
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      return blob->getData();
    return std::nullopt;
  }
  auto dense = dyn_cast<DenseElementsAttr>(constant);
  if (!dense || dense.isSplat())
    return std::nullopt;
  return dense.getRawData();
}

/// True when every reader of `value` takes rows that lie apart.
static bool readsColumnRange(Value value) {
  return llvm::all_of(value.getUsers(), [](Operation *user) {
    if (isa<tensor::DimOp, linalg::LinalgOp, kernel::AttentionOp, ProductOp>(
            user))
      return true;
    return isa<tensor::ExpandShapeOp, tensor::CastOp>(user) &&
           readsColumnRange(user->getResult(0));
  });
}

/// The product's columns can be followed by another's.
static bool canJoin(ProductOp op) {
  auto empty = op.getOut().getDefiningOp<tensor::EmptyOp>();
  Type element = getElementTypeOrSelf(op.getWeight().getType());
  if (!empty || op->getNumResults() != 1 ||
      columnsOf(op) % kernel::panelColumnsOf(element) != 0 ||
      op.isNeuronMajor() || !bytesOf(op.getWeight()))
    return false;
  for (Value extra : op.getExtras())
    if (rankOf(extra) == 2 || (rankOf(extra) == 1 && !bytesOf(extra)))
      return false;
  return readsColumnRange(op->getResult(0));
}

/// Both do the same with the same rows, each with its own columns.
static bool belongTogether(ProductOp a, ProductOp b) {
  if (a.getX() != b.getX() || a->getBlock() != b->getBlock() ||
      a.getExtras().size() != b.getExtras().size() ||
      getElementTypeOrSelf(a.getWeight().getType()) !=
          getElementTypeOrSelf(b.getWeight().getType()) ||
      getElementTypeOrSelf(a.getOut().getType()) !=
          getElementTypeOrSelf(b.getOut().getType()))
    return false;
  for (auto [x, y] : llvm::zip_equal(a.getExtras(), b.getExtras()))
    if (rankOf(x) != rankOf(y) || (rankOf(x) == 0 && x != y))
      return false;
  return OperationEquivalence::isRegionEquivalentTo(
      &a.getEpilogue(), &b.getEpilogue(),
      OperationEquivalence::IgnoreLocations);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {

struct MergeProducts
    : sparse_opt::impl::KernelMergeProductsBase<MergeProducts> {
  void runOnOperation() override {
    SmallVector<ProductOp> products;
    getOperation().walk([&](ProductOp op) { products.push_back(op); });
    SmallVector<SmallVector<ProductOp>> groups;
    for (ProductOp op : products) {
      if (!canJoin(op))
        continue;
      auto found = llvm::find_if(groups, [&](ArrayRef<ProductOp> group) {
        return belongTogether(group.front(), op);
      });
      if (found != groups.end())
        found->push_back(op);
      else
        groups.push_back({op});
    }
    for (ArrayRef<ProductOp> group : groups)
      if (group.size() > 1)
        merge(group);
    freeUnused();
  }

private:
  /// product(x, a), product(x, b) -> columns of product(x, a ++ b)
  void merge(ArrayRef<ProductOp> group) {
    ProductOp first = group.front();
    OpBuilder builder(first);
    Location loc = first.getLoc();
    int64_t columns = 0;
    for (ProductOp op : group)
      columns += columnsOf(op);
    auto operands = [&](auto get) {
      return llvm::map_to_vector(
          group, [&](ProductOp op) -> Value { return get(op); });
    };
    Value weight =
        join(builder, operands([](ProductOp op) { return op.getWeight(); }));
    SmallVector<Value> extras;
    for (unsigned i = 0; i != first.getExtras().size(); ++i)
      extras.push_back(rankOf(first.getExtras()[i]) == 0
                           ? first.getExtras()[i]
                           : join(builder, operands([&](ProductOp op) {
                                    return op.getExtras()[i];
                                  })));
    SmallVector<OpFoldResult> sizes =
        first.getOut().getDefiningOp<tensor::EmptyOp>().getMixedSizes();
    OpFoldResult rows = sizes[0];
    sizes[1] = builder.getIndexAttr(columns);
    Value out = tensor::EmptyOp::create(
        builder, loc, sizes, getElementTypeOrSelf(first.getOut().getType()));
    auto merged = ProductOp::create(builder, loc, out.getType(), first.getX(),
                                    weight, extras, out);
    merged.getEpilogue().takeBody(first.getEpilogue());
    int64_t begin = 0;
    OpFoldResult zero = builder.getIndexAttr(0), one = builder.getIndexAttr(1);
    for (ProductOp op : group) {
      int64_t count = columnsOf(op);
      SmallVector<OpFoldResult> offsets = {zero, builder.getIndexAttr(begin)},
                                lengths = {rows, builder.getIndexAttr(count)},
                                strides = {one, one};
      op->getResult(0).replaceAllUsesWith(tensor::ExtractSliceOp::create(
          builder, loc, cast<RankedTensorType>(op->getResult(0).getType()),
          merged->getResult(0), offsets, lengths, strides));
      begin += count;
    }
    for (ProductOp op : group) {
      op->erase();
      ++numMerged;
    }
  }

  /// The constants' elements one after another, along the first dimension.
  Value join(OpBuilder &builder, ArrayRef<Value> parts) {
    auto type = cast<RankedTensorType>(parts.front().getType());
    SmallVector<int64_t> shape(type.getShape());
    shape[0] = 0;
    size_t size = 0;
    for (Value part : parts) {
      shape[0] += cast<RankedTensorType>(part.getType()).getDimSize(0);
      size += bytesOf(part)->size();
    }
    AsmResourceBlob blob = HeapAsmResourceBlob::allocate(size, /*align=*/64);
    char *to = blob.getMutableData().data();
    std::string name;
    for (Value part : parts) {
      to = llvm::copy(*bytesOf(part), to);
      ElementsAttr constant;
      matchPattern(part, m_Constant(&constant));
      if (auto resource = dyn_cast<DenseResourceElementsAttr>(constant)) {
        sources.insert(resource);
        if (name.empty())
          name = resource.getRawHandle().getKey().str() + "_merged";
      }
    }
    auto joined = RankedTensorType::get(shape, type.getElementType());
    TypedAttr value;
    if (joined.getNumElements() <= 256) // small ones print where they are used
      value = DenseElementsAttr::getFromRawBuffer(joined, blob.getData());
    else
      value = DenseResourceElementsAttr::get(
          joined, name.empty() ? "merged" : name, std::move(blob));
    return arith::ConstantOp::create(builder, parts.front().getLoc(), value);
  }

  /// The memory of what was joined, once nothing else refers to it.
  void freeUnused() {
    getOperation().walk([&](Operation *op) {
      auto constant = dyn_cast<arith::ConstantOp>(op);
      if (constant && constant->use_empty() &&
          sources.contains(constant.getValue()))
        return constant->erase();
      for (NamedAttribute named : op->getAttrs())
        sources.remove(named.getValue());
    });
    for (Attribute source : sources) {
      auto handle = cast<DenseResourceElementsAttr>(source).getRawHandle();
      handle.getManagerInterface(&getContext())
          .getBlobManager()
          .update(handle.getKey(), AsmResourceBlob());
    }
  }

  llvm::SetVector<Attribute> sources;
};

} // namespace
