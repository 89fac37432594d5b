// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Parts of tensors and tensors of parts: Slice, Split, Concat, Pad. Bounds
// may be symbolic; what can't be shown to lie inside its source is read with
// clamped indices, so that no input makes compiled code read astray.
#include "Lowering.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

//===----------------------------------------------------------------------===//
// Slice
//===----------------------------------------------------------------------===//

namespace {
/// What Slice does along one dimension.
struct Cut {
  Size start, extent;
  int64_t step = 1;
};
} // namespace

/// Constants such as INT64_MAX stand for "to the end"; keep sums from
/// overflowing.
static Size tamed(Lowering &l, Size bound) {
  constexpr int64_t most = int64_t(1) << 40;
  if (std::optional<int64_t> value = getConstantIntValue(bound))
    return l.size(std::clamp(*value, -most, most));
  return bound;
}

/// A bound counted from the end when it is negative, inside [low, high].
static Size resolveBound(Lowering &l, Size bound, Size dim, Size low,
                         Size high) {
  bound = tamed(l, bound);
  std::optional<int64_t> constant = getConstantIntValue(bound);
  auto expr = l.sizes.exprOf(bound);
  // What the analysis takes to be at least 1 from the back is (checked) so.
  if (constant
          ? *constant < 0
          : expr && !expr->provablyAtLeast(0) && (-*expr).provablyAtLeast(0))
    bound = l.add(bound, dim);
  else if (!constant && !(expr && expr->provablyAtLeast(0))) {
    Scalars s(l.b, l.loc);
    Value value = l.index(bound);
    Value fromEnd = l.index(l.add(bound, dim));
    bound = s.select(s.less(value, s.index(0)), fromEnd, value);
  }
  if (!l.atLeast(bound, low))
    bound = l.max(bound, low);
  return l.atLeast(high, bound) ? bound : l.min(bound, high);
}

static Cut resolveCut(Lowering &l, Size start, Size end, int64_t step,
                      Size dim) {
  Size zero = l.size(0), last = l.sub(dim, l.size(1));
  Cut cut;
  cut.step = step;
  Size distance;
  if (step > 0) {
    cut.start = resolveBound(l, start, dim, zero, dim);
    distance = l.sub(resolveBound(l, end, dim, zero, dim), cut.start);
  } else {
    cut.start = resolveBound(l, start, dim, zero, last);
    Size stop = resolveBound(l, end, dim, l.size(-1), last);
    distance = l.sub(cut.start, stop);
  }
  cut.extent = l.ceilDiv(distance, std::abs(step));
  if (!l.atLeast(cut.extent, zero))
    cut.extent = l.max(cut.extent, zero);
  return cut;
}

/// The last element read lies inside, for certain.
static bool staysInside(Lowering &l, const Cut &cut, Size dim) {
  if (cut.step <= 0)
    return false;
  Size room = l.sub(dim, cut.start);
  if (cut.step == 1)
    return l.atLeast(room, cut.extent);
  Size span = l.mul(l.sub(cut.extent, l.size(1)), l.size(cut.step));
  return l.atLeast(l.sub(room, l.size(1)), span);
}

static Tensor takeClamped(Lowering &l, Tensor x, ArrayRef<Cut> cuts,
                          ArrayRef<Size> shape) {
  return l.generate(shape, x.elementType, [&](Scalars &s, ValueRange i) {
    s.isUnsigned = false;
    SmallVector<Value> indices;
    for (auto [d, cut] : llvm::enumerate(cuts)) {
      Value size = getValueOrCreateConstantIndexOp(s.b, s.loc, x.shape[d]);
      Value start = getValueOrCreateConstantIndexOp(s.b, s.loc, cut.start);
      Value offset = s.mul(i[d], s.index(cut.step));
      indices.push_back(s.clampIndex(s.add(start, offset), size));
    }
    return l.extract(s, x, indices);
  });
}

static Tensor take(Lowering &l, Tensor x, ArrayRef<Cut> cuts) {
  Sizes shape, offsets;
  IntList steps;
  bool inside = true;
  for (auto [d, cut] : llvm::enumerate(cuts)) {
    shape.push_back(cut.extent);
    offsets.push_back(cut.start);
    steps.push_back(cut.step);
    inside &= staysInside(l, cut, x.shape[d]);
  }
  if (llvm::any_of(shape,
                   [](Size size) { return isConstantIntValue(size, 0); }))
    return {l.empty(shape, x.elementType), shape, x.elementType};
  return inside ? l.slice(x, offsets, shape, steps)
                : takeClamped(l, x, cuts, shape);
}

static SmallVector<Cut> wholeTensor(Lowering &l, const Tensor &x) {
  SmallVector<Cut> cuts;
  for (Size size : x.shape)
    cuts.push_back({l.size(0), size, 1});
  return cuts;
}

static std::optional<Sizes> listAttr(NodeOp node, Lowering &l, StringRef name) {
  auto given = node.intsAttr(name);
  if (!given)
    return std::nullopt;
  return llvm::map_to_vector<6>(*given,
                                [&](int64_t value) { return l.size(value); });
}

/// Bounds are operands since version 10, attributes before.
static LogicalResult lowerSlice(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  bool operands = node.getNumOperands() > 1;
  auto starts = operands ? l.contents(1) : listAttr(node, l, "starts");
  auto ends = operands ? l.contents(2) : listAttr(node, l, "ends");
  if (!starts || !ends)
    return l.fail("with bounds that depend on the contents of a tensor has no "
                  "lowering to CPU code");
  auto axes = l.has(3) ? l.contents(3) : listAttr(node, l, "axes");
  std::optional<IntList> steps;
  if (l.has(4) && !(steps = l.constants(4)))
    return l.fail("with steps that aren't constant has no lowering to CPU "
                  "code");
  SmallVector<Cut> cuts = wholeTensor(l, x);
  auto known = l.sizes.shapeOf(node.getResult(0));
  for (size_t i = 0; i < starts->size(); ++i) {
    std::optional<int64_t> given =
        axes ? getConstantIntValue((*axes)[i]) : std::optional<int64_t>(i);
    FailureOr<int64_t> axis =
        given ? l.axis(*given, x.rank())
              : FailureOr<int64_t>(l.fail("has an axis that isn't constant"));
    if (failed(axis))
      return failure();
    int64_t step = steps ? (*steps)[i] : 1;
    if (step == 0)
      return l.fail("has a step of 0");
    Cut &cut = cuts[*axis];
    cut = resolveCut(l, (*starts)[i], (*ends)[i], step, x.shape[*axis]);
    if (known) // one value for the size in all its users
      cut.extent = (*known)[*axis];
  }
  l.out(0, take(l, x, cuts));
  return success();
}

//===----------------------------------------------------------------------===//
// Split and Concat
//===----------------------------------------------------------------------===//

/// Sizes of the parts: given, or as equal as possible.
static std::optional<Sizes> splitSizes(NodeOp node, Lowering &l, Size dim) {
  if (l.has(1))
    return l.contents(1);
  if (auto given = listAttr(node, l, "split"))
    return given;
  int64_t count = node.getNumResults();
  Size part = l.ceilDiv(dim, count);
  Sizes result(count, part);
  if (l.mul(part, l.size(count)) != dim)
    result.back() = l.sub(dim, l.mul(part, l.size(count - 1)));
  return result;
}

static LogicalResult lowerSplit(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  FailureOr<int64_t> axis = l.axis(node.intAttr("axis", 0), x.rank());
  if (failed(axis))
    return failure();
  std::optional<Sizes> parts = splitSizes(node, l, x.shape[*axis]);
  if (!parts || parts->size() != node.getNumResults())
    return l.fail("with parts of unknown size has no lowering to CPU code");
  Size offset = l.size(0);
  for (auto [i, part] : llvm::enumerate(*parts)) {
    SmallVector<Cut> cuts = wholeTensor(l, x);
    cuts[*axis] = {offset, part, 1};
    if (l.wanted(i))
      l.out(i, take(l, x, cuts));
    offset = l.add(offset, part);
  }
  l.common(offset, x.shape[*axis], "the parts don't add up to the whole");
  return success();
}

static LogicalResult lowerConcat(NodeOp node, Lowering &l) {
  SmallVector<Tensor> parts;
  for (unsigned i = 0; i < node.getNumOperands(); ++i)
    parts.push_back(l.in(i));
  FailureOr<int64_t> axis = l.axis(node.intAttr("axis", 1), parts[0].rank());
  if (failed(axis))
    return failure();
  for (Tensor &part : parts)
    for (int64_t d = 0; d < part.rank(); ++d)
      if (d != *axis)
        part.shape[d] = l.common(part.shape[d], parts[0].shape[d],
                                 "sizes of the parts differ");
  l.out(0, l.concat(parts, *axis, l.type()));
  return success();
}

//===----------------------------------------------------------------------===//
// Pad
//===----------------------------------------------------------------------===//

/// The element of a line of `size` that stands at `i`, which may lie outside.
static Value paddedIndex(Scalars &s, StringRef mode, Value i, Value size) {
  Value zero = s.index(0);
  if (mode == "edge")
    return s.clampIndex(i, size);
  Value below, above;
  if (mode == "wrap") {
    below = s.add(i, size);
    above = s.sub(i, size);
  } else { // reflect
    below = s.sub(zero, i);
    above = s.sub(s.mul(s.index(2), s.sub(size, s.index(1))), i);
  }
  Value inside =
      s.select(s.less(i, zero), below, s.select(s.less(i, size), i, above));
  return s.clampIndex(inside, size);
}

static Tensor padConstant(NodeOp node, Lowering &l, Tensor x,
                          ArrayRef<Size> before, ArrayRef<Size> shape) {
  Value scalar = l.scalarConstant(l.type(), node.floatAttr("value", 0));
  if (l.has(2))
    scalar = tensor::ExtractOp::create(l.b, l.loc, l.reshape(l.in(2), {}).value,
                                       ValueRange());
  Tensor filled = l.fill(shape, x.elementType, scalar);
  Sizes steps(x.rank(), l.size(1));
  filled.value = tensor::InsertSliceOp::create(
      l.b, l.loc, x.value, filled.value, before, x.shape, steps);
  return filled;
}

static Tensor padByIndex(Lowering &l, Tensor x, StringRef mode,
                         ArrayRef<Size> before, ArrayRef<Size> shape) {
  return l.generate(shape, x.elementType, [&](Scalars &s, ValueRange i) {
    s.isUnsigned = false;
    SmallVector<Value> indices;
    for (int64_t d = 0; d < x.rank(); ++d) {
      Value size = getValueOrCreateConstantIndexOp(s.b, s.loc, x.shape[d]);
      Value skipped = getValueOrCreateConstantIndexOp(s.b, s.loc, before[d]);
      indices.push_back(paddedIndex(s, mode, s.sub(i[d], skipped), size));
    }
    return l.extract(s, x, indices);
  });
}

/// Negative amounts cut; the rest is then never negative.
static Tensor cutNegative(Lowering &l, Tensor x, Sizes &before, Sizes &after) {
  SmallVector<Cut> cuts = wholeTensor(l, x);
  bool any = false;
  for (int64_t d = 0; d < x.rank(); ++d)
    for (Sizes *side : {&before, &after}) {
      std::optional<int64_t> amount = getConstantIntValue((*side)[d]);
      if (!amount || *amount >= 0)
        continue;
      any = true;
      if (side == &before)
        cuts[d].start = l.size(-*amount);
      cuts[d].extent = l.max(l.add(cuts[d].extent, (*side)[d]), l.size(0));
      (*side)[d] = l.size(0);
    }
  return any ? take(l, x, cuts) : x;
}

static LogicalResult lowerPad(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  auto pads = l.has(1) ? l.contents(1) : listAttr(node, l, "pads");
  if (!pads)
    return l.fail("with amounts that depend on the contents of a tensor has "
                  "no lowering to CPU code");
  IntList axes = llvm::to_vector<6>(llvm::seq<int64_t>(0, x.rank()));
  if (l.has(3)) {
    std::optional<IntList> given = l.constants(3);
    if (!given)
      return l.fail("has axes that aren't constant");
    axes = *given;
  }
  if (pads->size() != 2 * axes.size())
    return l.fail("needs two amounts per axis");
  Sizes before(x.rank(), l.size(0)), after = before;
  for (auto [i, given] : llvm::enumerate(axes)) {
    FailureOr<int64_t> axis = l.axis(given, x.rank());
    if (failed(axis))
      return failure();
    before[*axis] = (*pads)[i];
    after[*axis] = (*pads)[axes.size() + i];
  }
  x = cutNegative(l, x, before, after);
  Sizes shape;
  for (int64_t d = 0; d < x.rank(); ++d)
    shape.push_back(l.add(l.add(x.shape[d], before[d]), after[d]));
  StringRef mode = node.stringAttr("mode", "constant");
  l.out(0, mode == "constant" ? padConstant(node, l, x, before, shape)
                              : padByIndex(l, x, mode, before, shape));
  return success();
}

ArrayRef<Entry> lowering::sliceLowerings() {
  static const Entry entries[] = {
      {onnxDomain, "Slice", 1, latest, lowerSlice},
      {onnxDomain, "Split", 2, latest, lowerSplit},
      {onnxDomain, "Concat", 4, latest, lowerConcat},
      {onnxDomain, "Pad", 2, latest, lowerPad},
  };
  return entries;
}
