// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operators that rename, permute or repeat elements, and those that make
// tensors out of sizes: Reshape, Transpose, Expand, Tile, Range, ...
// Slices, splits, concatenation and padding are in Slices.cpp.
#include "Lowering.h"
#include "RuntimeChecks.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include <cmath>

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

static LogicalResult dependsOnContents(Lowering &l) {
  return l.fail("has a result whose size depends on the contents of a tensor, "
                "which has no lowering to CPU code");
}

//===----------------------------------------------------------------------===//
// Reshape and its special cases
//===----------------------------------------------------------------------===//

/// The target of Reshape from its shape operand: 0 copies, -1 is the rest.
static std::optional<Sizes> reshapeTarget(NodeOp node, Lowering &l,
                                          const Tensor &x) {
  if (auto known = l.sizes.shapeOf(node.getResult(0)))
    return known;
  std::optional<Sizes> wanted = l.contents(1);
  if (!wanted)
    return std::nullopt;
  Sizes others;
  std::optional<size_t> rest;
  for (auto [i, size] : llvm::enumerate(*wanted)) {
    if (isConstantIntValue(size, 0) && !node.intAttr("allowzero", 0) &&
        i < x.shape.size())
      size = x.shape[i];
    if (isConstantIntValue(size, -1))
      rest = i;
    else
      others.push_back(size);
  }
  if (rest) {
    Scalars s(l.b, l.loc);
    Value all = l.index(l.product(x.shape)), known = l.index(l.product(others));
    (*wanted)[*rest] = s.div(all, known);
  }
  return wanted;
}

static LogicalResult lowerReshape(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  std::optional<Sizes> shape = reshapeTarget(node, l, x);
  if (!shape)
    return dependsOnContents(l);
  l.common(l.product(x.shape), l.product(*shape),
           "the target shape has another number of elements");
  l.out(0, l.reshape(x, *shape));
  return success();
}

/// Two dimensions, split at `axis`.
static LogicalResult lowerFlatten(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  int64_t axis = node.intAttr("axis", 1);
  if (axis < 0)
    axis += x.rank();
  if (axis < 0 || axis > x.rank())
    return l.fail("has an axis out of range");
  ArrayRef<Size> sizes(x.shape);
  l.out(0, l.reshape(x, {l.product(sizes.take_front(axis)),
                         l.product(sizes.drop_front(axis))}));
  return success();
}

/// Axes given as operand 1 or as an attribute; they count in a tensor of
/// `rank`, to which `perAxis` is added for each of them.
static FailureOr<std::optional<IntList>>
givenAxes(NodeOp node, Lowering &l, int64_t rank, int64_t perAxis) {
  IntList axes;
  if (l.has(1)) {
    std::optional<IntList> constants = l.constants(1);
    if (!constants)
      return l.fail("with axes that aren't constant has no lowering to CPU "
                    "code");
    axes = *constants;
  } else if (auto attr = node.intsAttr("axes")) {
    axes.assign(attr->begin(), attr->end());
  } else {
    return std::optional<IntList>();
  }
  int64_t counted = rank + perAxis * static_cast<int64_t>(axes.size());
  for (int64_t &axis : axes) {
    FailureOr<int64_t> positive = l.axis(axis, counted);
    if (failed(positive))
      return failure();
    axis = *positive;
  }
  return std::optional<IntList>(axes);
}

static LogicalResult lowerSqueeze(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  auto axes = givenAxes(node, l, x.rank(), 0);
  if (failed(axes))
    return failure();
  if (!*axes) {
    axes->emplace();
    for (int64_t i = 0; i < x.rank(); ++i)
      if (isConstantIntValue(x.shape[i], 1))
        (*axes)->push_back(i);
  }
  for (int64_t axis : **axes)
    l.common(x.shape[axis], l.size(1), "squeezes a dimension that isn't 1");
  l.out(0, l.dropDims(x, **axes));
  return success();
}

static LogicalResult lowerUnsqueeze(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  auto axes = givenAxes(node, l, x.rank(), 1);
  if (failed(axes))
    return failure();
  if (!*axes)
    return l.fail("has no axes");
  l.out(0, l.keepDims(x, **axes));
  return success();
}

static LogicalResult lowerTranspose(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  IntList permutation = llvm::to_vector<6>(llvm::seq<int64_t>(0, x.rank()));
  if (auto given = node.intsAttr("perm"))
    permutation.assign(given->begin(), given->end());
  else
    std::reverse(permutation.begin(), permutation.end());
  if (static_cast<int64_t>(permutation.size()) != x.rank() ||
      !isPermutationVector(permutation))
    return l.fail("has a perm that is no permutation of its dimensions");
  l.out(0, l.transpose(x, permutation));
  return success();
}

/// [n, c, h, w] with blocks of pixels moved to (or from) channels.
static LogicalResult lowerDepthToSpace(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  int64_t block = node.intAttr("blocksize", 0);
  if (block < 1 || x.rank() != 4)
    return l.fail("needs a blocksize and an image");
  bool columnFirst = node.stringAttr("mode", "DCR") == "CRD";
  Size depth = l.floorDiv(x.shape[1], block * block), k = l.size(block);
  Sizes split = {x.shape[0], k, k, depth, x.shape[2], x.shape[3]};
  IntList permutation = {0, 3, 4, 1, 5, 2};
  if (columnFirst) {
    split = {x.shape[0], depth, k, k, x.shape[2], x.shape[3]};
    permutation = {0, 1, 4, 2, 5, 3};
  }
  Tensor moved = l.transpose(l.reshape(x, split), permutation);
  l.out(0, l.reshape(moved, {x.shape[0], depth, l.mul(x.shape[2], k),
                             l.mul(x.shape[3], k)}));
  return success();
}

static LogicalResult lowerSpaceToDepth(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  int64_t block = node.intAttr("blocksize", 0);
  if (block < 1 || x.rank() != 4)
    return l.fail("needs a blocksize and an image");
  Size rows = l.floorDiv(x.shape[2], block), k = l.size(block);
  Size columns = l.floorDiv(x.shape[3], block);
  Tensor split = l.reshape(x, {x.shape[0], x.shape[1], rows, k, columns, k});
  bool columnFirst = node.stringAttr("mode", "DCR") == "CRD";
  Tensor moved = l.transpose(split, columnFirst ? IntList{0, 1, 3, 5, 2, 4}
                                                : IntList{0, 3, 5, 1, 2, 4});
  l.out(0,
        l.reshape(moved, {x.shape[0], l.mul(x.shape[1], l.size(block * block)),
                          rows, columns}));
  return success();
}

//===----------------------------------------------------------------------===//
// Repetition
//===----------------------------------------------------------------------===//

/// A view with a map, or a fill when there is only one value.
static Tensor expand(Lowering &l, Tensor x, ArrayRef<Size> shape) {
  if (ArrayRef<Size>(x.shape) == shape)
    return x;
  if (std::optional<Attribute> value = l.splat(x)) {
    Value scalar =
        arith::ConstantOp::create(l.b, l.loc, ::cast<TypedAttr>(*value));
    return l.fill(shape, x.elementType, scalar);
  }
  return l.map(x, x.elementType, shape,
               [](Scalars &, ValueRange v) { return v[0]; });
}

static LogicalResult lowerExpand(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  std::optional<Sizes> shape = l.sizes.shapeOf(node.getResult(0));
  if (!shape) {
    std::optional<Sizes> wanted = l.contents(1);
    if (!wanted)
      return dependsOnContents(l);
    shape = l.broadcast({x.shape, *wanted});
  }
  l.out(0, expand(l, x, *shape));
  return success();
}

/// [d0, d1] as [1, d0, 1, d1], expanded to [r0, d0, r1, d1], flattened.
static LogicalResult lowerTile(NodeOp, Lowering &l) {
  Tensor x = l.in(0);
  std::optional<Sizes> repeats = l.contents(1);
  if (!repeats)
    return dependsOnContents(l);
  if (static_cast<int64_t>(repeats->size()) != x.rank())
    return l.fail("needs one repeat per dimension");
  Sizes ones, all, result;
  for (auto [size, repeat] : llvm::zip(x.shape, *repeats)) {
    if (!isConstantIntValue(repeat, 1)) {
      ones.push_back(l.size(1));
      all.push_back(repeat);
    }
    ones.push_back(size);
    all.push_back(size);
    result.push_back(l.mul(size, repeat));
  }
  l.out(0, l.reshape(expand(l, l.reshape(x, ones), all), result));
  return success();
}

//===----------------------------------------------------------------------===//
// Tensors out of sizes
//===----------------------------------------------------------------------===//

static LogicalResult lowerConstantOfShape(NodeOp node, Lowering &l) {
  std::optional<Sizes> shape = l.sizes.shapeOf(node.getResult(0));
  if (!shape)
    shape = l.contents(0);
  if (!shape)
    return dependsOnContents(l);
  Type type = signless(l.type());
  Value scalar = l.scalarConstant(type, 0);
  if (auto value = dyn_cast_or_null<DenseElementsAttr>(node.attr("value"))) {
    if (value.getElementType() != type)
      value = value.bitcast(type);
    scalar = arith::ConstantOp::create(
        l.b, l.loc, ::cast<TypedAttr>(*value.value_begin<Attribute>()));
  }
  l.out(0, l.fill(*shape, l.type(), scalar));
  return success();
}

/// max(ceil((limit - start) / delta), 0), when all three are constants.
static std::optional<int64_t> rangeLength(Lowering &l) {
  auto start = l.constantScalar(0), limit = l.constantScalar(1);
  auto delta = l.constantScalar(2);
  if (!start || !limit || !delta || *delta == 0)
    return std::nullopt;
  return std::max<double>(std::ceil((*limit - *start) / *delta), 0);
}

static LogicalResult lowerRange(NodeOp node, Lowering &l) {
  std::optional<Sizes> shape = l.sizes.shapeOf(node.getResult(0));
  if (!shape)
    if (std::optional<int64_t> length = rangeLength(l))
      shape = Sizes{l.size(*length)};
  if (!shape)
    return dependsOnContents(l);
  Tensor start = l.in(0), delta = l.in(2);
  start = l.reshape(start, {});
  delta = l.reshape(delta, {});
  Type type = l.type();
  l.out(0, l.map({start, delta}, type, *shape, [&](Scalars &s, ValueRange v) {
    Value i = s.fromIndex(l.loopIndex(s, 0), v[0].getType());
    return s.add(v[0], s.mul(i, v[1]));
  }));
  return success();
}

/// The sizes of operand 0 from `start` to `end`.
static LogicalResult lowerShape(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  auto clamp = [&](int64_t i) {
    return std::clamp<int64_t>(i < 0 ? i + x.rank() : i, 0, x.rank());
  };
  int64_t start = clamp(node.intAttr("start", 0));
  int64_t end = std::max(clamp(node.intAttr("end", x.rank())), start);
  Scalars s(l.b, l.loc);
  SmallVector<Value> elements;
  for (int64_t i = start; i < end; ++i)
    elements.push_back(s.fromIndex(l.index(x.shape[i]), l.b.getI64Type()));
  auto type = RankedTensorType::get({end - start}, l.b.getI64Type());
  l.out(0, {tensor::FromElementsOp::create(l.b, l.loc, type, elements),
            {l.size(end - start)},
            l.type()});
  return success();
}

static LogicalResult lowerSize(NodeOp, Lowering &l) {
  Scalars s(l.b, l.loc);
  Value count =
      s.fromIndex(l.index(l.product(l.in(0).shape)), l.b.getI64Type());
  auto type = RankedTensorType::get({}, l.b.getI64Type());
  l.out(
      0,
      {tensor::FromElementsOp::create(l.b, l.loc, type, count), {}, l.type()});
  return success();
}

static LogicalResult lowerEyeLike(NodeOp node, Lowering &l) {
  int64_t offset = node.intAttr("k", 0);
  Tensor x = l.in(0);
  if (x.rank() != 2)
    return l.fail("has an operand that isn't a matrix");
  Type type = computeType(signless(l.type()));
  l.out(0, l.generate(x.shape, l.type(), [&](Scalars &s, ValueRange i) {
    Value onDiagonal = s.equal(s.add(i[0], s.index(offset)), i[1]);
    return s.select(onDiagonal, s.integer(type, 1), s.integer(type, 0));
  }));
  return success();
}

/// Keeps the upper or lower triangle of the last two dimensions.
static LogicalResult lowerTrilu(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  std::optional<Sizes> given;
  if (l.has(1) && !(given = l.contents(1)))
    return l.fail("with a diagonal that isn't constant has no lowering to CPU "
                  "code");
  if (x.rank() < 2)
    return l.fail("has an operand of rank below 2");
  Value diagonal =
      l.index(given && !given->empty() ? given->front() : l.size(0));
  bool upper = node.intAttr("upper", 1);
  l.out(0, l.map(x, l.type(), [&](Scalars &s, ValueRange v) {
    s.isUnsigned = false;
    Value row = l.loopIndex(s, x.rank() - 2);
    Value column = l.loopIndex(s, x.rank() - 1);
    Value edge = s.add(row, diagonal);
    Value kept = upper ? s.lessEqual(edge, column) : s.lessEqual(column, edge);
    return s.select(kept, v[0], s.constant(v[0].getType(), 0));
  }));
  return success();
}

ArrayRef<Entry> lowering::movementLowerings() {
  static const Entry entries[] = {
      {onnxDomain, "Reshape", 5, latest, lowerReshape},
      {onnxDomain, "Flatten", 1, latest, lowerFlatten},
      {onnxDomain, "Squeeze", 1, latest, lowerSqueeze},
      {onnxDomain, "Unsqueeze", 1, latest, lowerUnsqueeze},
      {onnxDomain, "Transpose", 1, latest, lowerTranspose},
      {onnxDomain, "DepthToSpace", 1, latest, lowerDepthToSpace},
      {onnxDomain, "SpaceToDepth", 1, latest, lowerSpaceToDepth},
      {onnxDomain, "Expand", 8, latest, lowerExpand},
      {onnxDomain, "Tile", 6, latest, lowerTile},
      {onnxDomain, "ConstantOfShape", 9, latest, lowerConstantOfShape},
      {onnxDomain, "Range", 11, latest, lowerRange},
      {onnxDomain, "Shape", 1, latest, lowerShape},
      {onnxDomain, "Size", 1, latest, lowerSize},
      {onnxDomain, "EyeLike", 9, latest, lowerEyeLike},
      {onnxDomain, "Trilu", 14, latest, lowerTrilu},
  };
  return entries;
}
