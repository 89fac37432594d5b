// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shapes of operators that move elements without computing with them.
#include "ShapeRules.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

//===----------------------------------------------------------------------===//
// Helpers
//===----------------------------------------------------------------------===//

ShapeList sparse_opt::shapeOf(NodeOp node, unsigned i,
                              const SymbolicShapes &shapes) {
  return shapes.getShape(node.operandOrNull(i));
}

ShapeList sparse_opt::contentsOf(NodeOp node, unsigned i,
                                 const SymbolicShapes &shapes) {
  return shapes.getContents(node.operandOrNull(i));
}

std::optional<SmallVector<int64_t>>
sparse_opt::constantsOf(NodeOp node, unsigned i, StringRef name,
                        const SymbolicShapes &shapes) {
  if (std::optional<ArrayRef<int64_t>> values = node.intsAttr(name))
    return llvm::to_vector(*values);
  std::optional<SmallVector<DimExpr>> list =
      shapes.getKnownContents(node.operandOrNull(i));
  if (!list)
    return std::nullopt;
  SmallVector<int64_t> values;
  for (const DimExpr &element : *list) {
    if (!element.constant())
      return std::nullopt;
    values.push_back(*element.constant());
  }
  return values;
}

std::optional<size_t> sparse_opt::normalizeAxis(int64_t axis, size_t rank) {
  int64_t count = static_cast<int64_t>(rank);
  if (axis < -count || axis >= count)
    return std::nullopt;
  return axis < 0 ? axis + count : axis;
}

Dim sparse_opt::product(ArrayRef<Dim> dims) {
  DimExpr total(1);
  for (const Dim &dim : dims) {
    if (!dim)
      return std::nullopt;
    total = total * *dim;
  }
  return total;
}

//===----------------------------------------------------------------------===//
// Reshaping
//===----------------------------------------------------------------------===//

/// The size that -1 stands for: all elements over those of the other sizes.
static Dim inferredSize(ArrayRef<Dim> from, const DimList &to, size_t at) {
  // Unknown sizes that are copied cancel.
  DimList over, under;
  for (auto [i, dim] : llvm::enumerate(from))
    if (dim || i >= to.size() || i == at || to[i])
      over.push_back(dim);
  for (auto [i, dim] : llvm::enumerate(to))
    if (i != at && (dim || i >= from.size() || from[i]))
      under.push_back(dim);
  Dim elements = product(over), others = product(under);
  if (!elements || !others)
    return std::nullopt;
  return DimExpr::floorDiv(*elements, *others);
}

static void reshape(NodeOp node, SymbolicShapes &shapes) {
  ShapeList from = shapeOf(node, 0, shapes), to = contentsOf(node, 1, shapes);
  if (!to)
    return;
  bool allowZero = node.intAttr("allowzero", 0);
  DimList result;
  std::optional<size_t> inferred;
  for (auto [i, size] : llvm::enumerate(*to)) {
    if (size && size->isConstant(0) && !allowZero)
      result.push_back(from && i < from->size() ? (*from)[i] : Dim());
    else if (size && size->isConstant(-1)) {
      inferred = i;
      result.push_back(std::nullopt);
    } else
      result.push_back(size);
  }
  if (inferred && from)
    result[*inferred] = inferredSize(*from, result, *inferred);
  shapes.setShape(node.getResult(0), std::move(result));
}

static void flatten(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  if (!x)
    return;
  int64_t axis = node.intAttr("axis", 1);
  axis += axis < 0 ? x->size() : 0;
  if (axis < 0 || axis > static_cast<int64_t>(x->size()))
    return;
  shapes.setShape(node.getResult(0),
                  {product(x->take_front(axis)), product(x->drop_front(axis))});
}

static void unsqueeze(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  auto axes = constantsOf(node, 1, "axes", shapes);
  if (!x || !axes)
    return;
  DimList result(x->size() + axes->size(), Dim());
  SmallVector<bool> isNew(result.size(), false);
  for (int64_t axis : *axes)
    if (std::optional<size_t> at = normalizeAxis(axis, result.size()))
      isNew[*at] = true;
  if (llvm::count(isNew, true) != static_cast<int64_t>(axes->size()))
    return;
  for (size_t i = 0, next = 0; i < result.size(); ++i)
    result[i] = isNew[i] ? Dim(DimExpr(1)) : (*x)[next++];
  shapes.setShape(node.getResult(0), std::move(result));
}

static void squeeze(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  if (!x)
    return;
  SmallVector<bool> drop(x->size(), false);
  if (node.operandOrNull(1) || node.attr("axes")) {
    auto axes = constantsOf(node, 1, "axes", shapes);
    if (!axes)
      return;
    for (int64_t axis : *axes)
      if (std::optional<size_t> at = normalizeAxis(axis, x->size()))
        drop[*at] = true;
  } else {
    // Without axes every 1 goes; a size that may be 1 leaves the rank open.
    for (auto [i, dim] : llvm::enumerate(*x)) {
      if (!dim || (!dim->constant() && !dim->provablyDiffers(DimExpr(1))))
        return;
      drop[i] = dim->isConstant(1);
    }
  }
  DimList result;
  for (auto [dim, gone] : llvm::zip(*x, drop))
    if (!gone)
      result.push_back(dim);
  shapes.setShape(node.getResult(0), std::move(result));
}

static void transpose(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  if (!x)
    return;
  DimList result(x->rbegin(), x->rend());
  if (std::optional<ArrayRef<int64_t>> perm = node.intsAttr("perm")) {
    if (perm->size() != x->size())
      return;
    for (auto [dim, from] : llvm::zip(result, *perm)) {
      std::optional<size_t> axis = normalizeAxis(from, x->size());
      dim = axis ? (*x)[*axis] : Dim();
    }
  }
  shapes.setShape(node.getResult(0), std::move(result));
}

//===----------------------------------------------------------------------===//
// Joining and cutting
//===----------------------------------------------------------------------===//

static void concat(NodeOp node, SymbolicShapes &shapes) {
  std::optional<DimList> result;
  for (unsigned i = 0; i < node.getOperands().size(); ++i) {
    ShapeList x = shapeOf(node, i, shapes);
    std::optional<size_t> axis =
        x ? normalizeAxis(node.intAttr("axis", 0), x->size()) : std::nullopt;
    if (!axis || (result && result->size() != x->size()))
      return;
    if (!result) {
      result = toList(*x);
      continue;
    }
    for (auto [j, dim] : llvm::enumerate(*x)) {
      Dim &own = (*result)[j];
      if (j == *axis)
        own = own && dim ? Dim(*own + *dim) : std::nullopt;
      else if (own && dim) {
        shapes.assumeEqual(*own, *dim, node);
        own = own->constant() ? own : dim->constant() ? dim : own;
      } else if (!own)
        own = dim;
    }
  }
  if (result)
    shapes.setShape(node.getResult(0), std::move(*result));
}

static void split(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  std::optional<size_t> axis =
      x ? normalizeAxis(node.intAttr("axis", 0), x->size()) : std::nullopt;
  if (!axis)
    return;
  DimList whole = toList(*x); // setting a shape moves those of others
  const Dim &size = whole[*axis];
  int64_t parts = node->getNumResults();
  auto sizes = constantsOf(node, 1, "split", shapes);
  ShapeList symbolic = contentsOf(node, 1, shapes);
  Dim chunk = size ? DimExpr::ceilDiv(*size, DimExpr(parts)) : std::nullopt;
  for (int64_t i = 0; i < parts; ++i) {
    DimList result = whole;
    Dim &part = result[*axis];
    if (sizes)
      part = i < static_cast<int64_t>(sizes->size()) ? Dim(DimExpr((*sizes)[i]))
                                                     : std::nullopt;
    else if (symbolic)
      part = i < static_cast<int64_t>(symbolic->size()) ? (*symbolic)[i]
                                                        : std::nullopt;
    else if (node.operandOrNull(1) || !chunk)
      part = std::nullopt;
    else
      // Equal parts; the last takes what is left.
      part = i + 1 < parts ? chunk : Dim(*size - *chunk * DimExpr(parts - 1));
    shapes.setShape(node->getResult(i), std::move(result));
  }
}

/// A slice bound as an index in [low, size]. `fromBack` gets how far from the
/// back a bound is that would be one from the front if that were 0.
static Dim clampBound(const Dim &bound, const DimExpr &size, int64_t low,
                      const DimExpr &high, Dim &fromBack) {
  if (!bound)
    return std::nullopt;
  std::optional<int64_t> value = bound->constant();
  if (value && *value >= INT32_MAX) // "to the end"
    return high;
  if (value && *value <= INT32_MIN)
    return DimExpr(low);
  DimExpr index = *bound;
  if (value && *value < 0)
    index = index + size;
  else if (!value && !bound->provablyAtLeast(0)) {
    if (!(-*bound).provablyAtLeast(0))
      return std::nullopt; // from the front or from the back: unknown
    if (!(-*bound).provablyAtLeast(1))
      fromBack = -*bound;
    index = index + size;
  }
  return DimExpr::min(DimExpr::max(index, DimExpr(low)), high);
}

/// Elements of x[start:end:step]. x[-n:] is all of x for n = 0 and n elements
/// otherwise: n is taken to be at least 1.
static Dim sliceLength(const Dim &size, const Dim &start, const Dim &end,
                       int64_t step, SymbolicShapes &shapes, NodeOp node) {
  if (!size || !step)
    return std::nullopt;
  DimExpr last = *size - DimExpr(1);
  Dim startFromBack, endFromBack;
  Dim from =
      clampBound(start, *size, 0, step > 0 ? *size : last, startFromBack);
  Dim to = step > 0 ? clampBound(end, *size, 0, *size, endFromBack)
                    : clampBound(end, *size, -1, last, endFromBack);
  if (!from || !to)
    return std::nullopt;
  for (const Dim &count : {startFromBack, endFromBack})
    if (count)
      shapes.assumeEqual(DimExpr::max(*count, DimExpr(1)), *count, node);
  DimExpr span = step > 0 ? *to - *from : *from - *to;
  Dim count =
      DimExpr::ceilDiv(DimExpr::max(span, DimExpr(0)), DimExpr(std::abs(step)));
  return count;
}

static void slice(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes);
  ShapeList starts = contentsOf(node, 1, shapes);
  ShapeList ends = contentsOf(node, 2, shapes);
  if (!x)
    return;
  auto axes = constantsOf(node, 3, "axes", shapes);
  auto steps = constantsOf(node, 4, "steps", shapes);
  if ((!axes && node.operandOrNull(3)) || !starts || !ends ||
      starts->size() != ends->size()) {
    if (!axes || node.operandOrNull(3) == nullptr)
      return;
    // Unknown bounds still leave the other axes as they are.
    DimList result = toList(*x);
    for (int64_t axis : *axes)
      if (std::optional<size_t> at = normalizeAxis(axis, x->size()))
        result[*at] = std::nullopt;
    shapes.setShape(node.getResult(0), std::move(result));
    return;
  }
  DimList result = toList(*x);
  for (size_t i = 0; i < starts->size(); ++i) {
    int64_t axis = axes && i < axes->size() ? (*axes)[i] : i;
    std::optional<size_t> at = normalizeAxis(axis, x->size());
    if (!at)
      return;
    bool known = steps ? i < steps->size() : !node.operandOrNull(4);
    int64_t step = steps && known ? (*steps)[i] : 1;
    result[*at] =
        known ? sliceLength((*x)[*at], (*starts)[i], (*ends)[i],
                            std::clamp<int64_t>(step, -INT32_MAX, INT32_MAX),
                            shapes, node)
              : std::nullopt;
  }
  shapes.setShape(node.getResult(0), std::move(result));
}

static void pad(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes), pads = contentsOf(node, 1, shapes);
  auto axes = constantsOf(node, 3, "axes", shapes);
  if (!x || !pads || (!axes && node.operandOrNull(3)))
    return;
  DimList result = toList(*x);
  size_t count = pads->size() / 2;
  for (size_t i = 0; i < count; ++i) {
    int64_t axis = axes && i < axes->size() ? (*axes)[i] : i;
    std::optional<size_t> at = normalizeAxis(axis, x->size());
    if (!at)
      return;
    Dim &dim = result[*at];
    const Dim &before = (*pads)[i], &after = (*pads)[i + count];
    dim = dim && before && after ? Dim(*dim + *before + *after) : std::nullopt;
  }
  shapes.setShape(node.getResult(0), std::move(result));
}

//===----------------------------------------------------------------------===//
// Reading and repeating
//===----------------------------------------------------------------------===//

static void gather(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes), index = shapeOf(node, 1, shapes);
  std::optional<size_t> axis =
      x ? normalizeAxis(node.intAttr("axis", 0), x->size()) : std::nullopt;
  if (!axis || !index)
    return;
  DimList result = toList(x->take_front(*axis));
  result.append(index->begin(), index->end());
  result.append(x->begin() + *axis + 1, x->end());
  shapes.setShape(node.getResult(0), std::move(result));
}

static void gatherND(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes), index = shapeOf(node, 1, shapes);
  if (!x || !index || index->empty() || !index->back() ||
      !index->back()->constant())
    return;
  int64_t taken = node.intAttr("batch_dims", 0) + *index->back()->constant();
  if (taken < 0 || taken > static_cast<int64_t>(x->size()))
    return;
  DimList result = toList(index->drop_back());
  result.append(x->begin() + taken, x->end());
  shapes.setShape(node.getResult(0), std::move(result));
}

static void gatherElements(NodeOp node, SymbolicShapes &shapes) {
  if (ShapeList index = shapeOf(node, 1, shapes))
    shapes.setShape(node.getResult(0), toList(*index));
}

static void expand(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes), to = contentsOf(node, 1, shapes);
  if (!x || !to)
    return;
  size_t rank = std::max(x->size(), to->size());
  DimList result;
  for (size_t i = 0; i < rank; ++i) {
    Dim one = DimExpr(1);
    size_t fromX = rank - x->size(), fromTo = rank - to->size();
    result.push_back(shapes.broadcast(i < fromX ? one : (*x)[i - fromX],
                                      i < fromTo ? one : (*to)[i - fromTo],
                                      node));
  }
  shapes.setShape(node.getResult(0), std::move(result));
}

static void tile(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes), times = contentsOf(node, 1, shapes);
  if (!x || !times || x->size() != times->size())
    return;
  DimList result;
  for (auto [dim, count] : llvm::zip(*x, *times))
    result.push_back(dim && count ? Dim(*dim * *count) : std::nullopt);
  shapes.setShape(node.getResult(0), std::move(result));
}

static void constantOfShape(NodeOp node, SymbolicShapes &shapes) {
  if (ShapeList shape = contentsOf(node, 0, shapes))
    shapes.setShape(node.getResult(0), toList(*shape));
}

static void range(NodeOp node, SymbolicShapes &shapes) {
  ShapeList start = contentsOf(node, 0, shapes);
  ShapeList limit = contentsOf(node, 1, shapes);
  ShapeList delta = contentsOf(node, 2, shapes);
  Dim length;
  auto known = [](ShapeList list) {
    return list && list->size() == 1 && (*list)[0];
  };
  if (known(start) && known(limit) && known(delta)) {
    DimExpr span = *(*limit)[0] - *(*start)[0], step = *(*delta)[0];
    if (std::optional<int64_t> constant = step.constant();
        constant && *constant < 0) {
      span = -span;
      step = -step;
    }
    length = DimExpr::ceilDiv(DimExpr::max(span, DimExpr(0)), step);
  }
  shapes.setShape(node.getResult(0), {length});
}

static void oneHot(NodeOp node, SymbolicShapes &shapes) {
  ShapeList index = shapeOf(node, 0, shapes),
            depth = contentsOf(node, 1, shapes);
  if (!index)
    return;
  std::optional<size_t> axis =
      normalizeAxis(node.intAttr("axis", -1), index->size() + 1);
  if (!axis)
    return;
  DimList result = toList(*index);
  result.insert(result.begin() + *axis,
                depth && depth->size() == 1 ? (*depth)[0] : Dim());
  shapes.setShape(node.getResult(0), std::move(result));
}

ShapeRule sparse_opt::lookupLayoutRule(NodeOp node) {
  static const llvm::StringMap<ShapeRule> rules = {
      {"Reshape", reshape},
      {"Flatten", flatten},
      {"Unsqueeze", unsqueeze},
      {"Squeeze", squeeze},
      {"Transpose", transpose},
      {"Concat", concat},
      {"Split", split},
      {"Slice", slice},
      {"Pad", pad},
      {"Gather", gather},
      {"GatherND", gatherND},
      {"GatherElements", gatherElements},
      {"Expand", expand},
      {"Tile", tile},
      {"ConstantOfShape", constantOfShape},
      {"Range", range},
      {"OneHot", oneHot}};
  return node.getDomain().value_or("").empty() ? rules.lookup(node.getOpType())
                                               : nullptr;
}
