// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reductions along axes, softmax, arg-extrema and running sums.
#include "Lowering.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

//===----------------------------------------------------------------------===//
// Reduce*
//===----------------------------------------------------------------------===//

/// Axes are an operand in newer versions, an attribute in older ones. Nothing
/// when the node is to return its operand.
static FailureOr<std::optional<IntList>> reducedAxes(NodeOp node, Lowering &l,
                                                     int64_t rank) {
  IntList given;
  if (l.has(1)) {
    std::optional<IntList> constants = l.constants(1);
    if (!constants)
      return l.fail("with axes that aren't constant has no lowering to CPU "
                    "code");
    given = *constants;
  } else if (auto attr = node.intsAttr("axes")) {
    given.assign(attr->begin(), attr->end());
  }
  if (given.empty()) {
    if (node.intAttr("noop_with_empty_axes", 0))
      return std::optional<IntList>();
    given = llvm::to_vector<6>(llvm::seq<int64_t>(0, rank));
  }
  IntList result;
  for (int64_t axis : given) {
    FailureOr<int64_t> positive = l.axis(axis, rank);
    if (failed(positive))
      return failure();
    if (rank > 0)
      result.push_back(*positive);
  }
  llvm::sort(result);
  return std::optional<IntList>(result);
}

namespace {
/// A reduction: what is added up (or compared) and what its result becomes.
struct Reduction {
  Value (*before)(Scalars &, Value) = nullptr;
  Value (*combine)(Scalars &, Value, Value);
  Value (*init)(Scalars &, Type);
  Value (*after)(Scalars &, Value) = nullptr;
  bool mean = false;
};
} // namespace

static Value plus(Scalars &s, Value x, Value y) { return s.add(x, y); }
static Value times(Scalars &s, Value x, Value y) { return s.mul(x, y); }
static Value larger(Scalars &s, Value x, Value y) {
  return x.getType().isInteger(1) ? s.logicalOr(x, y) : s.max(x, y);
}
static Value smaller(Scalars &s, Value x, Value y) {
  return x.getType().isInteger(1) ? s.logicalAnd(x, y) : s.min(x, y);
}
static Value zero(Scalars &s, Type type) { return s.constant(type, 0); }
static Value one(Scalars &s, Type type) { return s.constant(type, 1); }
static Value lowest(Scalars &s, Type type) {
  return type.isInteger(1) ? s.integer(type, 0) : s.lowest(type);
}
static Value highest(Scalars &s, Type type) {
  return type.isInteger(1) ? s.integer(type, 1) : s.highest(type);
}
static Value square(Scalars &s, Value x) { return s.mul(x, x); }
static Value absolute(Scalars &s, Value x) { return s.abs(x); }
static Value exponential(Scalars &s, Value x) { return s.exp(x); }
static Value logarithm(Scalars &s, Value x) { return s.log(x); }
/// sqrt, through f64 for integers
static Value root(Scalars &s, Value x) {
  if (isa<FloatType>(x.getType()))
    return s.sqrt(x);
  Type real = s.b.getF64Type();
  return s.cast(s.sqrt(s.cast(x, x.getType(), real)), real, x.getType());
}

static Tensor divideByCount(Lowering &l, Tensor sums, Size count) {
  return l.map(sums, sums.elementType, [&](Scalars &s, ValueRange v) {
    Type type = v[0].getType();
    std::optional<int64_t> known = getConstantIntValue(count);
    return s.div(v[0], known ? s.integer(type, *known)
                             : s.fromIndex(cast<Value>(count), type));
  });
}

static Tensor reduceBy(Lowering &l, Tensor x, ArrayRef<int64_t> axes,
                       const Reduction &r) {
  Type type = computeType(x.elementType);
  Scalars outer(l.b, l.loc, x.elementType.isUnsignedInteger());
  Tensor result = l.reduce(x, axes, type, r.init(outer, signless(type)),
                           [&](Scalars &s, ValueRange v) {
                             Value x = r.before ? r.before(s, v[0]) : v[0];
                             return r.combine(s, v[1], x);
                           });
  if (r.mean) {
    Sizes extents;
    for (int64_t axis : axes)
      extents.push_back(x.shape[axis]);
    result = divideByCount(l, result, l.product(extents));
  }
  if (r.after)
    result = l.map(result, type,
                   [&](Scalars &s, ValueRange v) { return r.after(s, v[0]); });
  return result;
}

static LogicalResult lowerReduction(NodeOp node, Lowering &l,
                                    const Reduction &r) {
  Tensor x = l.in(0);
  auto axes = reducedAxes(node, l, x.rank());
  if (failed(axes))
    return failure();
  if (!*axes) {
    // Nothing is combined, but each element still passes through.
    l.out(0, l.map(x, l.type(), [&](Scalars &s, ValueRange v) {
      Value value = r.before ? r.before(s, v[0]) : v[0];
      return r.after ? r.after(s, value) : value;
    }));
    return success();
  }
  Tensor result = reduceBy(l, x, **axes, r);
  if (node.intAttr("keepdims", 1))
    result = l.keepDims(result, **axes);
  l.out(0, l.cast(result, l.type()));
  return success();
}

#define REDUCTION(NAME, ...)                                                   \
  {onnxDomain, NAME, 1, latest, [](NodeOp node, Lowering &l) {                 \
     return lowerReduction(node, l, Reduction{__VA_ARGS__});                   \
   }}

/// max + log(sum(exp(x - max)))
static LogicalResult lowerLogSumExp(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  auto axes = reducedAxes(node, l, x.rank());
  if (failed(axes))
    return failure();
  if (!*axes) {
    l.out(0, x);
    return success();
  }
  Type type = computeType(x.elementType);
  Tensor top = reduceBy(l, x, **axes, {nullptr, larger, lowest});
  Tensor kept = l.keepDims(top, **axes);
  // An infinite maximum would make x - max NaN.
  kept = l.map(kept, type, [](Scalars &s, ValueRange v) {
    Value zero = s.constant(v[0].getType(), 0);
    return s.select(s.equal(s.sub(v[0], v[0]), zero), v[0], zero);
  });
  Tensor shifted = l.map({x, kept}, type, [](Scalars &s, ValueRange v) {
    return s.exp(s.sub(v[0], v[1]));
  });
  Tensor sum = reduceBy(l, shifted, **axes, {nullptr, plus, zero});
  Tensor result =
      l.map({l.keepDims(sum, **axes), kept}, type,
            [](Scalars &s, ValueRange v) { return s.add(s.log(v[0]), v[1]); });
  if (!node.intAttr("keepdims", 1))
    result = l.dropDims(result, **axes);
  l.out(0, l.cast(result, l.type()));
  return success();
}

//===----------------------------------------------------------------------===//
// Softmax
//===----------------------------------------------------------------------===//

static Tensor softmax(Lowering &l, Tensor x, int64_t axis) {
  Value result = linalg::SoftmaxOp::create(
                     l.b, l.loc, l.tensorType(x.shape, x.elementType), x.value,
                     l.empty(x.shape, x.elementType), axis)
                     ->getResult(0);
  return {result, x.shape, x.elementType};
}

/// x - max - log(sum(exp(x - max)))
static Tensor logSoftmax(Lowering &l, Tensor x, int64_t axis) {
  Type type = x.elementType;
  Tensor top =
      l.keepDims(reduceBy(l, x, {axis}, {nullptr, larger, lowest}), {axis});
  Tensor shifted = l.map({x, top}, type, [](Scalars &s, ValueRange v) {
    return s.sub(v[0], v[1]);
  });
  Tensor sum =
      reduceBy(l, shifted, {axis}, {exponential, plus, zero, logarithm});
  return l.map({shifted, l.keepDims(sum, {axis})}, type,
               [](Scalars &s, ValueRange v) { return s.sub(v[0], v[1]); });
}

/// Before version 13 everything from `axis` on was one row.
static LogicalResult lowerSoftmaxBy(NodeOp node, Lowering &l,
                                    Tensor (*function)(Lowering &, Tensor,
                                                       int64_t)) {
  bool flattens = node.getVersion() < 13;
  Tensor x = l.in(0);
  FailureOr<int64_t> axis =
      l.axis(node.intAttr("axis", flattens ? 1 : -1), x.rank());
  if (failed(axis))
    return failure();
  Sizes shape = x.shape;
  if (x.rank() == 0)
    x = l.keepDims(x, {0});
  x = l.cast(x, computeType(x.elementType));
  if (flattens) {
    ArrayRef<Size> sizes(shape);
    x = l.reshape(x, {l.product(sizes.take_front(*axis)),
                      l.product(sizes.drop_front(*axis))});
    *axis = 1;
  }
  Tensor result = l.reshape(function(l, x, *axis), shape);
  l.out(0, l.cast(result, l.type()));
  return success();
}

static LogicalResult lowerSoftmax(NodeOp node, Lowering &l) {
  return lowerSoftmaxBy(node, l, softmax);
}
static LogicalResult lowerLogSoftmax(NodeOp node, Lowering &l) {
  return lowerSoftmaxBy(node, l, logSoftmax);
}

//===----------------------------------------------------------------------===//
// ArgMax, ArgMin
//===----------------------------------------------------------------------===//

/// The index of the largest element of each row; with `last` the last one.
/// NaN never wins.
static Tensor argExtremum(Lowering &l, Tensor x, int64_t axis, bool largest,
                          bool last) {
  Type type = computeType(x.elementType);
  Reduction extremum{nullptr, largest ? larger : smaller,
                     largest ? lowest : highest};
  Tensor best = l.keepDims(reduceBy(l, x, {axis}, extremum), {axis});
  Type indexType = l.b.getI64Type();
  int64_t none = last ? -1 : INT64_MAX;
  Value init = Scalars(l.b, l.loc).integer(indexType, none);
  Tensor wide = l.cast(x, type);
  Tensor found = l.reduce(
      {wide, best}, {axis}, indexType, init, [&](Scalars &s, ValueRange v) {
        Value here = s.fromIndex(l.loopIndex(s, axis), indexType);
        Value candidate =
            s.select(s.equal(v[0], v[1]), here, s.integer(indexType, none));
        s.isUnsigned = false;
        return last ? s.max(v[2], candidate) : s.min(v[2], candidate);
      });
  // A row of NaN has no winner: index 0.
  return l.map(found, indexType, [&](Scalars &s, ValueRange v) {
    Value missing = s.equal(v[0], s.integer(indexType, none));
    return s.select(missing, s.integer(indexType, 0), v[0]);
  });
}

static LogicalResult lowerArg(NodeOp node, Lowering &l, bool largest) {
  Tensor x = l.in(0);
  FailureOr<int64_t> axis = l.axis(node.intAttr("axis", 0), x.rank());
  if (failed(axis))
    return failure();
  Tensor result =
      argExtremum(l, x, *axis, largest, node.intAttr("select_last_index", 0));
  if (node.intAttr("keepdims", 1))
    result = l.keepDims(result, {*axis});
  l.out(0, result);
  return success();
}

static LogicalResult lowerArgMax(NodeOp node, Lowering &l) {
  return lowerArg(node, l, true);
}
static LogicalResult lowerArgMin(NodeOp node, Lowering &l) {
  return lowerArg(node, l, false);
}

/// 1 where the (first) largest element along the axis is, else 0.
static LogicalResult lowerHardmax(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  if (node.getVersion() < 13)
    return l.fail("before version 13 has no lowering to CPU code");
  FailureOr<int64_t> axis = l.axis(node.intAttr("axis", -1), x.rank());
  if (failed(axis))
    return failure();
  Tensor winner = l.keepDims(argExtremum(l, x, *axis, true, false), {*axis});
  l.out(0, l.map({x, winner}, l.type(), [&](Scalars &s, ValueRange v) {
    Value here = s.fromIndex(l.loopIndex(s, *axis), v[1].getType());
    Type type = v[0].getType();
    return s.select(s.equal(here, v[1]), s.constant(type, 1),
                    s.constant(type, 0));
  }));
  return success();
}

//===----------------------------------------------------------------------===//
// CumSum
//===----------------------------------------------------------------------===//

/// Element i combines the elements up to it: quadratic along the axis, which
/// in transformers is positions counted from a mask.
static LogicalResult lowerRunning(NodeOp node, Lowering &l, bool product) {
  Tensor x = l.in(0);
  std::optional<IntList> given = l.constants(1);
  if (!given || given->size() != 1)
    return l.fail("with an axis that isn't constant has no lowering to CPU "
                  "code");
  FailureOr<int64_t> axis = l.axis(given->front(), x.rank());
  if (failed(axis))
    return failure();
  bool exclusive = node.intAttr("exclusive", 0);
  bool reverse = node.intAttr("reverse", 0);
  int64_t rank = x.rank();
  Sizes loops = x.shape;
  loops.push_back(x.shape[*axis]);
  IntList read = llvm::to_vector<6>(llvm::seq<int64_t>(0, rank));
  read[*axis] = rank;
  Type type = computeType(x.elementType);
  Tensor result =
      l.generic(loops, {{x, l.dims(rank + 1, read)}},
                l.b.getMultiDimIdentityMap(rank + 1).getMajorSubMap(rank), type,
                l.scalarConstant(type, product), [&](Scalars &s, ValueRange v) {
                  s.isUnsigned = false;
                  Value here = l.loopIndex(s, *axis),
                        other = l.loopIndex(s, rank);
                  if (reverse)
                    std::swap(here, other);
                  Value counts = exclusive ? s.less(other, here)
                                           : s.lessEqual(other, here);
                  Value neutral = s.constant(v[0].getType(), product);
                  Value next = s.select(counts, v[0], neutral);
                  return product ? s.mul(v[1], next) : s.add(v[1], next);
                });
  l.out(0, l.cast(result, l.type()));
  return success();
}

static LogicalResult lowerCumSum(NodeOp node, Lowering &l) {
  return lowerRunning(node, l, /*product=*/false);
}
static LogicalResult lowerCumProd(NodeOp node, Lowering &l) {
  return lowerRunning(node, l, /*product=*/true);
}

ArrayRef<Entry> lowering::reductionLowerings() {
  static const Entry entries[] = {
      REDUCTION("ReduceSum", nullptr, plus, zero),
      REDUCTION("ReduceMean", nullptr, plus, zero, nullptr, true),
      REDUCTION("ReduceMax", nullptr, larger, lowest),
      REDUCTION("ReduceMin", nullptr, smaller, highest),
      REDUCTION("ReduceProd", nullptr, times, one),
      REDUCTION("ReduceSumSquare", square, plus, zero),
      REDUCTION("ReduceL1", absolute, plus, zero),
      REDUCTION("ReduceL2", square, plus, zero, root),
      REDUCTION("ReduceLogSum", nullptr, plus, zero, logarithm),
      {onnxDomain, "ReduceLogSumExp", 1, latest, lowerLogSumExp},
      {onnxDomain, "Softmax", 1, latest, lowerSoftmax},
      {onnxDomain, "LogSoftmax", 1, latest, lowerLogSoftmax},
      {onnxDomain, "Hardmax", 13, latest, lowerHardmax},
      {onnxDomain, "ArgMax", 1, latest, lowerArgMax},
      {onnxDomain, "ArgMin", 1, latest, lowerArgMin},
      {onnxDomain, "CumSum", 11, latest, lowerCumSum},
      {onnxDomain, "CumProd", 26, latest, lowerCumProd},
  };
  return entries;
}
