// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reshapes, transposes, slices and concatenation of tensors with symbolic
// sizes: what moves or renames elements and computes nothing.
#include "Lowering.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;

//===----------------------------------------------------------------------===//
// Reshape
//===----------------------------------------------------------------------===//

namespace {
/// Dimensions [from, fromEnd) of the source hold the elements of [to, toEnd)
/// of the target.
struct Group {
  size_t from, fromEnd, to, toEnd;
};
} // namespace

static std::optional<DimExpr> productOf(Lowering &l, ArrayRef<Size> sizes) {
  DimExpr result = 1;
  for (Size size : sizes) {
    std::optional<DimExpr> factor = l.sizes.exprOf(size);
    if (!factor)
      return std::nullopt;
    result = result * *factor;
  }
  return result;
}

static bool sameProduct(Lowering &l, ArrayRef<Size> x, ArrayRef<Size> y) {
  if (x == y)
    return true;
  auto a = productOf(l, x), b = productOf(l, y);
  return a && b && *a == *b;
}

/// The smallest group of both that starts at (from, to).
static Group nextGroup(Lowering &l, ArrayRef<Size> source,
                       ArrayRef<Size> target, size_t from, size_t to) {
  size_t moreFrom = source.size() - from, moreTo = target.size() - to;
  for (size_t total = 2; total <= moreFrom + moreTo; ++total)
    for (size_t n = 1; n < total && n <= moreFrom; ++n) {
      size_t m = total - n;
      if (m <= moreTo &&
          sameProduct(l, source.slice(from, n), target.slice(to, m)))
        return {from, from + n, to, to + m};
    }
  return {from, source.size(), to, target.size()};
}

/// Pairs runs of dimensions of equal size; whatever can't be shown to be
/// equal ends up in one last group, which is flattened.
static SmallVector<Group> groupDims(Lowering &l, ArrayRef<Size> source,
                                    ArrayRef<Size> target) {
  SmallVector<Group> groups;
  size_t from = 0, to = 0;
  while (from < source.size() && to < target.size()) {
    groups.push_back(nextGroup(l, source, target, from, to));
    from = groups.back().fromEnd;
    to = groups.back().toEnd;
  }
  // What is left over on one side are ones.
  groups.back().fromEnd = source.size();
  groups.back().toEnd = target.size();
  return groups;
}

static SmallVector<ReassociationIndices> reassociation(ArrayRef<Group> groups,
                                                       bool ofSource) {
  SmallVector<ReassociationIndices> result;
  for (const Group &group : groups) {
    size_t begin = ofSource ? group.from : group.to;
    size_t end = ofSource ? group.fromEnd : group.toEnd;
    result.push_back(llvm::to_vector<2>(llvm::seq<int64_t>(begin, end)));
  }
  return result;
}

static Value castTo(Lowering &l, Value x, RankedTensorType type) {
  return x.getType() == type ? x : tensor::CastOp::create(l.b, l.loc, type, x);
}

/// Reshapes of rank 0 on either side, where the other holds one element.
static Value reshapeScalar(Lowering &l, const Tensor &x, ArrayRef<Size> shape) {
  RankedTensorType type = l.tensorType(shape, x.elementType);
  ArrayRef<ReassociationIndices> none;
  Sizes ones(std::max<size_t>(shape.size(), x.rank()), l.size(1));
  RankedTensorType single = l.tensorType(ones, x.elementType);
  if (shape.empty())
    return tensor::CollapseShapeOp::create(l.b, l.loc, type,
                                           castTo(l, x.value, single), none);
  Value expanded = tensor::ExpandShapeOp::create(
      l.b, l.loc, single, x.value, none, ArrayRef<OpFoldResult>(ones));
  return castTo(l, expanded, type);
}

/// One collapse, then one expand; either may be missing.
static Value reshapeGroups(Lowering &l, const Tensor &x, ArrayRef<Size> shape) {
  SmallVector<Group> groups = groupDims(l, x.shape, shape);
  ArrayRef<Size> source(x.shape);
  Sizes collapsed, wanted;
  for (const Group &group : groups) {
    collapsed.push_back(
        l.product(source.slice(group.from, group.fromEnd - group.from)));
    wanted.push_back(
        group.toEnd - group.to == 1
            ? shape[group.to]
            : l.product(shape.slice(group.to, group.toEnd - group.to)));
  }
  Value flat = x.value;
  if (collapsed.size() != source.size())
    flat = tensor::CollapseShapeOp::create(
        l.b, l.loc, l.tensorType(collapsed, x.elementType), flat,
        reassociation(groups, true));
  flat = castTo(l, flat, l.tensorType(wanted, x.elementType));
  if (wanted.size() != shape.size())
    flat = tensor::ExpandShapeOp::create(
        l.b, l.loc, l.tensorType(shape, x.elementType), flat,
        reassociation(groups, false), shape);
  return flat;
}

Tensor Lowering::reshape(Tensor x, ArrayRef<Size> shape) {
  // A reshape of a reshape is one of the first source.
  if (auto it = reshapes.find(x.value); it != reshapes.end())
    x = {it->second.value, it->second.shape, x.elementType};
  if (ArrayRef<Size>(x.shape) == shape)
    return x;
  Value result = shape.empty() || x.shape.empty()
                     ? reshapeScalar(*this, x, shape)
                     : reshapeGroups(*this, x, shape);
  reshapes[result] = x;
  return {result, Sizes(shape), x.elementType};
}

Tensor Lowering::keepDims(Tensor x, ArrayRef<int64_t> axes) {
  Sizes shape;
  auto next = x.shape.begin();
  for (int64_t i = 0, e = x.rank() + axes.size(); i < e; ++i)
    shape.push_back(llvm::is_contained(axes, i) ? size(1) : *next++);
  return reshape(x, shape);
}

Tensor Lowering::dropDims(Tensor x, ArrayRef<int64_t> axes) {
  Sizes shape;
  for (int64_t i = 0; i < x.rank(); ++i)
    if (!llvm::is_contained(axes, i))
      shape.push_back(x.shape[i]);
  return reshape(x, shape);
}

//===----------------------------------------------------------------------===//
// Transpose
//===----------------------------------------------------------------------===//

/// Copies a row-major [rows, columns] matrix as [columns, rows].
static void transposeBytes(ArrayRef<char> from, MutableArrayRef<char> to,
                           int64_t rows, int64_t columns, int64_t width) {
  constexpr int64_t block = 32;
  for (int64_t r0 = 0; r0 < rows; r0 += block)
    for (int64_t c0 = 0; c0 < columns; c0 += block)
      for (int64_t r = r0; r < std::min(rows, r0 + block); ++r)
        for (int64_t c = c0; c < std::min(columns, c0 + block); ++c)
          std::memcpy(&to[(c * rows + r) * width],
                      &from[(r * columns + c) * width], width);
}

/// A constant matrix, transposed now; null for what isn't one.
static TypedAttr transposedConstant(Value value) {
  auto constant = value.getDefiningOp<arith::ConstantOp>();
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!constant || !type || type.getRank() != 2)
    return {};
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
  auto result = RankedTensorType::get({columns, rows}, type.getElementType());
  int64_t bits = type.getElementTypeBitWidth();
  if (auto dense = dyn_cast<DenseElementsAttr>(constant.getValue())) {
    if (dense.isSplat())
      return dense.resizeSplat(result);
    if (bits % 8 != 0)
      return {};
    std::vector<char> data(dense.getRawData().size());
    transposeBytes(dense.getRawData(), data, rows, columns, bits / 8);
    return DenseElementsAttr::getFromRawBuffer(result, data);
  }
  auto resource = dyn_cast<DenseResourceElementsAttr>(constant.getValue());
  AsmResourceBlob *blob =
      resource ? resource.getRawHandle().getBlob() : nullptr;
  if (!blob || bits % 8 != 0)
    return {};
  AsmResourceBlob copy =
      HeapAsmResourceBlob::allocate(blob->getData().size(), 64);
  transposeBytes(blob->getData(), copy.getMutableData(), rows, columns,
                 bits / 8);
  return DenseResourceElementsAttr::get(
      result, (resource.getRawHandle().getKey() + "_t").str(), std::move(copy));
}

Tensor Lowering::transpose(Tensor x, ArrayRef<int64_t> permutation) {
  Sizes shape;
  SmallVector<int64_t> moved, sorted;
  for (int64_t i : permutation) {
    shape.push_back(x.shape[i]);
    if (!isConstantIntValue(x.shape[i], 1))
      moved.push_back(i);
  }
  if (llvm::is_sorted(moved)) // only sizes of 1 change places
    return reshape(x, shape);
  auto constant = x.value.getDefiningOp<arith::ConstantOp>();
  if (constant && x.rank() == 2) {
    Value &known = transposedConstants[x.value];
    if (!known) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPoint(constant);
      if (TypedAttr attr = transposedConstant(x.value))
        known = arith::ConstantOp::create(b, constant.getLoc(), attr);
    }
    if (known)
      return {known, shape, x.elementType};
  }
  Value result = linalg::TransposeOp::create(
                     b, loc, x.value, empty(shape, x.elementType), permutation)
                     ->getResult(0);
  return {result, shape, x.elementType};
}

//===----------------------------------------------------------------------===//
// Slice and concatenation
//===----------------------------------------------------------------------===//

Tensor Lowering::slice(Tensor x, ArrayRef<Size> offsets, ArrayRef<Size> shape,
                       ArrayRef<int64_t> strides) {
  if (ArrayRef<Size>(x.shape) == shape)
    return x;
  Sizes steps;
  for (int64_t stride : strides)
    steps.push_back(size(stride));
  Value result = tensor::ExtractSliceOp::create(
      b, loc, tensorType(shape, x.elementType), x.value, offsets, shape, steps);
  return {result, Sizes(shape), x.elementType};
}

Tensor Lowering::slice(Tensor x, int64_t axis, Size offset, Size extent) {
  Sizes offsets(x.rank(), size(0)), shape = x.shape;
  offsets[axis] = offset;
  shape[axis] = extent;
  return slice(x, offsets, shape, IntList(x.rank(), 1));
}

Tensor Lowering::concat(ArrayRef<Tensor> parts, int64_t axis,
                        Type elementType) {
  if (parts.size() == 1)
    return parts[0];
  Sizes shape = parts[0].shape;
  for (const Tensor &part : parts.drop_front())
    shape[axis] = add(shape[axis], part.shape[axis]);
  Value result = empty(shape, elementType);
  Sizes offsets(shape.size(), size(0)), steps(shape.size(), size(1));
  for (const Tensor &part : parts) {
    result = tensor::InsertSliceOp::create(b, loc, part.value, result, offsets,
                                           part.shape, steps);
    offsets[axis] = add(offsets[axis], part.shape[axis]);
  }
  return {result, shape, elementType};
}
