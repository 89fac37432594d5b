// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operators that read where a tensor says: indices are checked as a whole
// (kernel.check_index reports the first that is out of range) and clamped
// where they are used, so that a bad one is an error and never a bad read.
#include "IndexRange.h"
#include "Lowering.h"
#include "RuntimeChecks.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

/// The model's input that `value` is a cast or another view of, if any.
static std::optional<StringRef> sourceInput(Value value) {
  while (auto node = value.getDefiningOp<NodeOp>()) {
    if (!llvm::is_contained({"Cast", "Identity", "Unsqueeze", "Squeeze",
                             "Reshape", "Flatten", "Transpose", "Slice"},
                            node.getOpType()))
      return std::nullopt;
    value = node.getOperand(0);
  }
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument)
    return std::nullopt;
  auto function = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  if (!function)
    return std::nullopt;
  if (auto name = function.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                        "onnx.name"))
    return name.getValue();
  return std::nullopt;
}

/// The message for an index operand that is out of range of operand 0.
static std::string outOfRange(Lowering &l, unsigned operand,
                              const Twine &detail = "") {
  std::string what = "index out of range";
  if (auto name = sourceInput(l.op->getOperand(operand)))
    what += (" in input '" + *name + "'").str();
  else if (auto data = sourceInput(l.op->getOperand(0)))
    what += (" of input '" + *data + "'").str();
  return checkMessage(l.op, what + detail);
}

/// Indices that are computed from sizes alone: 0 <= least <= i <= most. They
/// fit when most < bound; what both sides share is left out of the check.
static bool checkBySizes(Lowering &l, unsigned operand, const IndexRange &range,
                         Size bound) {
  std::optional<DimExpr> size = l.sizes.exprOf(bound);
  if (!size || !range.least.provablyAtLeast(0))
    return false;
  DimExpr room = *size - range.most - DimExpr(1);
  if (room.provablyAtLeast(0))
    return true;
  DimExpr needed, given;
  room.splitBySign(given, needed);
  Value x = l.index(l.sizes.get(needed)), y = l.index(l.sizes.get(given));
  Value holds =
      arith::CmpIOp::create(l.b, l.loc, arith::CmpIPredicate::sle, x, y);
  emitSizesCheck(
      l.b, l.loc, holds, x, y,
      outOfRange(l, operand,
                 ": " + needed.str() + " must be at most " + given.str()));
  return true;
}

/// Checks `indices`, all of an operand or a column of it, against `bound`,
/// unless constants or sizes show that they fit.
static void checkPart(Lowering &l, unsigned operand, Tensor indices, Size bound,
                      std::optional<int64_t> column) {
  std::optional<int64_t> limit = getConstantIntValue(bound);
  bool asGiven = indices.value == l.in(operand).value;
  if (std::optional<IntList> known = l.constants(operand))
    if (asGiven && limit && llvm::all_of(*known, [&](int64_t i) {
          return i >= -*limit && i < *limit;
        }))
      return;
  if (asGiven || column)
    if (auto range =
            indexRange(l.op->getOperand(operand), l.sizes.shapes, column))
      if (checkBySizes(l, operand, *range, bound))
        return;
  emitIndexCheck(l.b, l.loc, indices.value, l.index(bound),
                 outOfRange(l, operand));
}

void lowering::checkIndices(Lowering &l, unsigned operand, Tensor indices,
                            Size bound) {
  checkPart(l, operand, indices, bound, std::nullopt);
}

/// A negative index counts from the end; then clamped to [0, size).
Value lowering::usableIndex(Scalars &s, Value raw, Size bound) {
  s.isUnsigned = false;
  Value index = s.toIndex(raw);
  Value size = getValueOrCreateConstantIndexOp(s.b, s.loc, bound);
  Value fromEnd = s.add(index, size);
  Value positive = s.select(s.less(index, s.index(0)), fromEnd, index);
  return s.clampIndex(positive, size);
}

//===----------------------------------------------------------------------===//
// Gather
//===----------------------------------------------------------------------===//

/// Constant indices that are consecutive are a slice.
static std::optional<Tensor> gatherSlice(Lowering &l, Tensor x, int64_t axis,
                                         int64_t indexRank) {
  std::optional<IntList> known = l.constants(1);
  if (!known || known->empty())
    return std::nullopt;
  for (size_t i = 1; i < known->size(); ++i)
    if ((*known)[i] != known->front() + static_cast<int64_t>(i))
      return std::nullopt;
  Size dim = x.shape[axis], count = l.size(known->size());
  int64_t first = known->front();
  Size start = first < 0 ? l.add(dim, l.size(first)) : l.size(first);
  if (!l.atLeast(start, l.size(0)) || !l.atLeast(dim, l.add(start, count)))
    return std::nullopt;
  Tensor part = l.slice(x, axis, start, count);
  return indexRank == 0 ? l.dropDims(part, {axis}) : part;
}

/// y[a, i, c] = x[a, indices[i], c], where `indices` came from `operand`.
static Tensor gatherAlong(Lowering &l, Tensor x, int64_t axis, unsigned operand,
                          Tensor indices) {
  checkIndices(l, operand, indices, x.shape[axis]);
  Sizes shape(ArrayRef<Size>(x.shape).take_front(axis));
  llvm::append_range(shape, indices.shape);
  shape.append(x.shape.begin() + axis + 1, x.shape.end());
  int64_t rank = shape.size(), after = axis + indices.rank();
  IntList read = llvm::to_vector<6>(llvm::seq<int64_t>(axis, after));
  return l.generic(shape, {{indices, l.dims(rank, read)}},
                   l.b.getMultiDimIdentityMap(rank), x.elementType, {},
                   [&](Scalars &s, ValueRange v) {
                     SmallVector<Value> where;
                     for (int64_t i = 0; i < axis; ++i)
                       where.push_back(l.loopIndex(s, i));
                     where.push_back(usableIndex(s, v[0], x.shape[axis]));
                     for (int64_t i = after; i < rank; ++i)
                       where.push_back(l.loopIndex(s, i));
                     return l.extract(s, x, where);
                   });
}

Tensor lowering::gatherRows(Lowering &l, Tensor table, unsigned operand,
                            Tensor indices) {
  return gatherAlong(l, table, 0, operand, indices);
}

static LogicalResult lowerGather(NodeOp node, Lowering &l) {
  Tensor x = l.in(0), indices = l.in(1);
  FailureOr<int64_t> axis = l.axis(node.intAttr("axis", 0), x.rank());
  if (failed(axis))
    return failure();
  auto part = gatherSlice(l, x, *axis, indices.rank());
  l.out(0, part ? *part : gatherAlong(l, x, *axis, 1, indices));
  return success();
}

/// y[i, j] = x[i, indices[i, j]] with the index in place of `axis`
static LogicalResult lowerGatherElements(NodeOp node, Lowering &l) {
  Tensor x = l.in(0), indices = l.in(1);
  FailureOr<int64_t> axis = l.axis(node.intAttr("axis", 0), x.rank());
  if (failed(axis))
    return failure();
  checkIndices(l, 1, indices, x.shape[*axis]);
  l.out(0, l.map(indices, l.type(), [&](Scalars &s, ValueRange v) {
    SmallVector<Value> where;
    for (int64_t i = 0; i < x.rank(); ++i) {
      Value size = getValueOrCreateConstantIndexOp(s.b, s.loc, x.shape[i]);
      where.push_back(i == *axis ? usableIndex(s, v[0], x.shape[i])
                                 : s.clampIndex(l.loopIndex(s, i), size));
    }
    return l.extract(s, x, where);
  }));
  return success();
}

/// Checks column j of an index tensor [..., columns] against sizes[j].
void lowering::checkColumns(Lowering &l, unsigned operand, Tensor indices,
                            ArrayRef<Size> sizes) {
  bool fromSizes =
      indexRange(l.op->getOperand(operand), l.sizes.shapes, 0).has_value();
  if (sizes.size() == 1 || (llvm::all_equal(sizes) && !fromSizes))
    return checkIndices(l, operand, indices, sizes.front());
  int64_t last = indices.rank() - 1;
  for (auto [j, size] : llvm::enumerate(sizes))
    checkPart(l, operand, l.slice(indices, last, l.size(j), l.size(1)), size,
              j);
}

/// y[b, i, c] = x[b, indices[b, i, :], c]
static LogicalResult lowerGatherND(NodeOp node, Lowering &l) {
  Tensor x = l.in(0), indices = l.in(1);
  int64_t batch = node.intAttr("batch_dims", 0), last = indices.rank() - 1;
  if (last < 0 || batch < 0 || batch > last)
    return l.fail("has batch_dims out of range");
  std::optional<int64_t> depth = getConstantIntValue(indices.shape.back());
  if (!depth || *depth < 1 || batch + *depth > x.rank())
    return l.fail("needs the last size of its indices to be constant and at "
                  "most the rank of its data");
  ArrayRef<Size> all(x.shape);
  checkColumns(l, 1, indices, all.slice(batch, *depth));
  Sizes shape(ArrayRef<Size>(indices.shape).drop_back());
  llvm::append_range(shape, all.drop_front(batch + *depth));
  l.out(0, l.generate(shape, l.type(), [&](Scalars &s, ValueRange i) {
    SmallVector<Value> where(i.take_front(batch));
    SmallVector<Value> from(i.take_front(last));
    from.push_back({});
    for (int64_t j = 0; j < *depth; ++j) {
      from.back() = s.index(j);
      Value raw = l.extract(s, indices, from);
      where.push_back(usableIndex(s, raw, x.shape[batch + j]));
    }
    llvm::append_range(where, i.drop_front(last));
    return l.extract(s, x, where);
  }));
  return success();
}

//===----------------------------------------------------------------------===//
// OneHot
//===----------------------------------------------------------------------===//

/// on where the loop along `axis` meets the index, else off
static LogicalResult lowerOneHot(NodeOp node, Lowering &l) {
  Tensor indices = l.in(0), values = l.in(2);
  int64_t rank = indices.rank() + 1;
  FailureOr<int64_t> axis = l.axis(node.intAttr("axis", -1), rank);
  if (failed(axis))
    return failure();
  std::optional<Sizes> depth = l.contents(1);
  if (!depth || depth->size() != 1)
    return l.fail("with a depth that depends on the contents of a tensor has "
                  "no lowering to CPU code");
  Sizes shape = indices.shape;
  shape.insert(shape.begin() + *axis, depth->front());
  IntList read;
  for (int64_t i = 0; i < rank; ++i)
    if (i != *axis)
      read.push_back(i);
  Tensor wide = l.cast(indices, l.b.getI64Type());
  l.out(0, l.generic(shape, {{wide, l.dims(rank, read)}},
                     l.b.getMultiDimIdentityMap(rank), l.type(), {},
                     [&](Scalars &s, ValueRange v) {
                       Value size = getValueOrCreateConstantIndexOp(
                           s.b, s.loc, depth->front());
                       Value index = s.toIndex(v[0]);
                       Value positive = s.select(s.less(index, s.index(0)),
                                                 s.add(index, size), index);
                       Value hit = s.equal(positive, l.loopIndex(s, *axis));
                       Value off = l.extract(s, values, s.index(0));
                       Value on = l.extract(s, values, s.index(1));
                       return s.select(hit, on, off);
                     }));
  return success();
}

ArrayRef<Entry> lowering::indexingLowerings() {
  static const Entry entries[] = {
      {onnxDomain, "Gather", 1, latest, lowerGather},
      {onnxDomain, "GatherElements", 11, latest, lowerGatherElements},
      {onnxDomain, "GatherND", 11, latest, lowerGatherND},
      {onnxDomain, "OneHot", 9, latest, lowerOneHot},
  };
  return entries;
}
