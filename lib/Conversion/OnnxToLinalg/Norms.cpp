// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Normalisations: row reductions in f32 and element-wise ops. Variance is the
// mean of squared differences (two passes), which stays accurate where the
// mean is large.
#include "Lowering.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

namespace {
/// A tensor whose rows are the elements of `axes`.
struct Rows {
  Tensor x;
  IntList outer, axes;
};
/// Per row: loops that index it are Rows::outer.
struct Statistics {
  Tensor mean, inverse; // inverse: 1 / sqrt(variance + epsilon)
};
} // namespace

static Rows rowsFrom(Tensor x, int64_t axis) {
  Rows rows{x, {}, {}};
  for (int64_t i = 0; i < x.rank(); ++i)
    (i < axis ? rows.outer : rows.axes).push_back(i);
  return rows;
}

static Operand whole(Lowering &l, const Rows &rows) {
  return {rows.x, l.b.getMultiDimIdentityMap(rows.x.rank())};
}

static Operand perRow(Lowering &l, const Rows &rows, Tensor statistic) {
  return {statistic, l.dims(rows.x.rank(), rows.outer)};
}

/// Sums body(x, statistic) over each row.
static Tensor sumRows(Lowering &l, const Rows &rows,
                      std::optional<Tensor> statistic, ScalarBody body) {
  Type type = computeType(rows.x.elementType);
  SmallVector<Operand> ins = {whole(l, rows)};
  if (statistic)
    ins.push_back(perRow(l, rows, *statistic));
  return l.generic(rows.x.shape, ins, l.dims(rows.x.rank(), rows.outer), type,
                   l.scalarConstant(type, 0), [&](Scalars &s, ValueRange v) {
                     return s.add(v.back(), body(s, v.drop_back()));
                   });
}

static Value rowLength(Scalars &s, Lowering &l, const Rows &rows, Type type,
                       Size length) {
  if (std::optional<int64_t> value = getConstantIntValue(length))
    return s.constant(type, *value);
  return s.fromIndex(cast<Value>(length), type);
}

/// sums / length
static Tensor divideByLength(Lowering &l, const Rows &rows, Tensor sums) {
  Sizes extents;
  for (int64_t axis : rows.axes)
    extents.push_back(rows.x.shape[axis]);
  Size length = l.product(extents);
  return l.map(sums, sums.elementType, [&](Scalars &s, ValueRange v) {
    return s.div(v[0], rowLength(s, l, rows, v[0].getType(), length));
  });
}

/// 1 / sqrt(x + epsilon)
static Tensor inverseRoot(Lowering &l, Tensor x, float epsilon) {
  return l.map(x, x.elementType, [&](Scalars &s, ValueRange v) {
    Type type = v[0].getType();
    Value root = s.sqrt(s.add(v[0], s.constant(type, epsilon)));
    return s.div(s.constant(type, 1), root);
  });
}

static Statistics statistics(Lowering &l, const Rows &rows, float epsilon) {
  Tensor sums = sumRows(l, rows, std::nullopt,
                        [](Scalars &, ValueRange v) { return v[0]; });
  Tensor mean = divideByLength(l, rows, sums);
  Tensor squares = sumRows(l, rows, mean, [](Scalars &s, ValueRange v) {
    Value difference = s.sub(v[0], v[1]);
    return s.mul(difference, difference);
  });
  Tensor variance = divideByLength(l, rows, squares);
  return {mean, inverseRoot(l, variance, epsilon)};
}

/// (x - mean) * inverse * scale + bias; mean, scale and bias may be absent.
/// `affine` gives where scale and bias are read.
static Tensor normalize(Lowering &l, const Rows &rows,
                        std::optional<Tensor> mean, Tensor inverse,
                        std::optional<Operand> scale,
                        std::optional<Operand> bias, Type type) {
  SmallVector<Operand> ins = {whole(l, rows), perRow(l, rows, inverse)};
  if (mean)
    ins.push_back(perRow(l, rows, *mean));
  if (scale)
    ins.push_back(*scale);
  if (bias)
    ins.push_back(*bias);
  int64_t rank = rows.x.rank();
  return l.generic(rows.x.shape, ins, l.b.getMultiDimIdentityMap(rank), type,
                   {}, [&](Scalars &s, ValueRange v) {
                     unsigned next = 2;
                     Value centred = mean ? s.sub(v[0], v[next++]) : v[0];
                     Value result = s.mul(centred, v[1]);
                     if (scale)
                       result = s.mul(result, v[next++]);
                     return bias ? s.add(result, v[next]) : result;
                   });
}

/// Scale and bias of a norm over trailing axes broadcast from the right.
static std::optional<Operand> trailing(Lowering &l, const Rows &rows,
                                       unsigned operand) {
  if (!l.has(operand))
    return std::nullopt;
  Tensor x = l.in(operand);
  return Operand{x, l.broadcastMap(x.shape, rows.x.shape)};
}

/// A diagnostic when scale or bias can't be broadcast to the rows.
static LogicalResult checkTrailing(Lowering &l, const Tensor &x,
                                   ArrayRef<unsigned> operands) {
  for (unsigned operand : operands) {
    if (!l.has(operand))
      continue;
    Sizes shape = l.in(operand).shape;
    if (shape.size() > x.shape.size())
      return l.fail("has operand " + Twine(operand) + " of too high a rank");
    for (auto [own, size] :
         llvm::zip(llvm::reverse(shape), llvm::reverse(x.shape))) {
      auto known = getConstantIntValue(own), wanted = getConstantIntValue(size);
      if (known && wanted && *known != 1 && *known != *wanted)
        return l.fail("has operand " + Twine(operand) + " with " +
                      Twine(*known) + " elements for " + Twine(*wanted));
    }
  }
  return success();
}

static void outStatistic(Lowering &l, unsigned result, const Rows &rows,
                         Tensor statistic) {
  if (l.wanted(result))
    l.out(result, l.cast(l.keepDims(statistic, rows.axes), l.type(result)));
}

//===----------------------------------------------------------------------===//
// LayerNormalization and its kin
//===----------------------------------------------------------------------===//

static LogicalResult lowerLayerNorm(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  FailureOr<int64_t> axis = l.axis(node.intAttr("axis", -1), x.rank());
  if (failed(axis))
    return failure();
  if (failed(checkTrailing(l, x, {1, 2})))
    return failure();
  Rows rows = rowsFrom(x, *axis);
  Statistics stats = statistics(l, rows, node.floatAttr("epsilon", 1e-5f));
  l.out(0, normalize(l, rows, stats.mean, stats.inverse, trailing(l, rows, 1),
                     trailing(l, rows, 2), l.type()));
  outStatistic(l, 1, rows, stats.mean);
  outStatistic(l, 2, rows, stats.inverse);
  return success();
}

Tensor lowering::layerNorm(Lowering &l, Tensor x, Tensor gamma, Tensor beta,
                           float epsilon) {
  Rows rows = rowsFrom(x, x.rank() - 1);
  Statistics stats = statistics(l, rows, epsilon);
  auto read = [&](Tensor t) {
    return Operand{t, l.broadcastMap(t.shape, x.shape)};
  };
  return normalize(l, rows, stats.mean, stats.inverse, read(gamma), read(beta),
                   x.elementType);
}

static Tensor inverseRms(Lowering &l, const Rows &rows, float epsilon) {
  Tensor squares = sumRows(l, rows, std::nullopt, [](Scalars &s, ValueRange v) {
    return s.mul(v[0], v[0]);
  });
  return inverseRoot(l, divideByLength(l, rows, squares), epsilon);
}

/// x / sqrt(mean(x^2) + epsilon) * scale
static LogicalResult lowerRmsNorm(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  FailureOr<int64_t> axis = l.axis(node.intAttr("axis", -1), x.rank());
  if (failed(axis))
    return failure();
  if (failed(checkTrailing(l, x, {1})))
    return failure();
  Rows rows = rowsFrom(x, *axis);
  Tensor inverse = inverseRms(l, rows, node.floatAttr("epsilon", 1e-5f));
  l.out(0, normalize(l, rows, std::nullopt, inverse, trailing(l, rows, 1),
                     std::nullopt, l.type()));
  outStatistic(l, 1, rows, inverse);
  return success();
}

/// The norm of input + skip (+ bias): operands x, skip, gamma, (beta,) bias.
static LogicalResult lowerSkipNorm(NodeOp node, Lowering &l, bool simplified) {
  unsigned bias = simplified ? 3 : 4;
  if (failed(checkTrailing(l, l.in(0), {1, 2, 3, bias})))
    return failure();
  Tensor x = addBias(l, l.in(0), l.in(1));
  if (l.has(bias))
    x = addBias(l, x, l.in(bias));
  Rows rows = rowsFrom(x, x.rank() - 1);
  float epsilon = node.floatAttr("epsilon", 1e-12f);
  if (simplified) {
    Tensor inverse = inverseRms(l, rows, epsilon);
    l.out(0, normalize(l, rows, std::nullopt, inverse, trailing(l, rows, 2),
                       std::nullopt, l.type()));
    outStatistic(l, 2, rows, inverse);
  } else {
    Statistics stats = statistics(l, rows, epsilon);
    l.out(0, normalize(l, rows, stats.mean, stats.inverse, trailing(l, rows, 2),
                       trailing(l, rows, 3), l.type()));
    outStatistic(l, 1, rows, stats.mean);
    outStatistic(l, 2, rows, stats.inverse);
  }
  if (l.wanted(3))
    l.out(3, x);
  return success();
}

static LogicalResult lowerSkipLayerNorm(NodeOp node, Lowering &l) {
  return lowerSkipNorm(node, l, /*simplified=*/false);
}
static LogicalResult lowerSkipRmsNorm(NodeOp node, Lowering &l) {
  return lowerSkipNorm(node, l, /*simplified=*/true);
}

//===----------------------------------------------------------------------===//
// Norms over channels
//===----------------------------------------------------------------------===//

/// Operand i, one value per channel (dimension 1).
static Operand perChannel(Lowering &l, const Tensor &x, unsigned i) {
  return {l.in(i), l.dims(x.rank(), {1})};
}

/// Each instance and channel by itself.
static LogicalResult lowerInstanceNorm(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  if (x.rank() < 3)
    return l.fail("has an operand of rank below 3");
  Rows rows = rowsFrom(x, 2);
  Statistics stats = statistics(l, rows, node.floatAttr("epsilon", 1e-5f));
  l.out(0, normalize(l, rows, stats.mean, stats.inverse, perChannel(l, x, 1),
                     perChannel(l, x, 2), l.type()));
  return success();
}

/// (x - mean) / sqrt(variance + epsilon) * scale + bias with known statistics.
static LogicalResult lowerBatchNorm(NodeOp node, Lowering &l) {
  if (node.intAttr("training_mode", 0) || l.wanted(1))
    return l.fail("in training mode has no lowering to CPU code");
  Tensor x = l.in(0);
  if (x.rank() < 2)
    return l.fail("has an operand of rank below 2");
  Tensor inverse = inverseRoot(l, l.in(4), node.floatAttr("epsilon", 1e-5f));
  Rows rows{x, {1}, {}};
  l.out(0, normalize(l, rows, l.in(3), inverse, perChannel(l, x, 1),
                     perChannel(l, x, 2), l.type()));
  return success();
}

/// Each instance and group of channels by itself.
static LogicalResult lowerGroupNorm(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  int64_t groups = node.intAttr("num_groups", 1);
  if (x.rank() < 2 || groups < 1)
    return l.fail("needs at least one group of channels");
  Size channels = x.shape[1];
  Sizes grouped = {x.shape[0], l.size(groups), l.floorDiv(channels, groups)};
  grouped.append(x.shape.begin() + 2, x.shape.end());
  Rows rows = rowsFrom(l.reshape(x, grouped), 2);
  Statistics stats = statistics(l, rows, node.floatAttr("epsilon", 1e-5f));
  Sizes perGroup = {grouped[1], grouped[2]};
  AffineMap map = l.dims(rows.x.rank(), {1, 2});
  Operand scale{l.reshape(l.in(1), perGroup), map};
  Operand bias{l.reshape(l.in(2), perGroup), map};
  l.out(0, l.reshape(normalize(l, rows, stats.mean, stats.inverse, scale, bias,
                               l.type()),
                     x.shape));
  return success();
}

/// (x - mean) / (standard deviation + 1e-9) over `axes`
static LogicalResult lowerMeanVarianceNorm(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  Rows rows{x, {}, {0, 2, 3}};
  if (auto given = node.intsAttr("axes"))
    rows.axes.assign(given->begin(), given->end());
  for (int64_t &each : rows.axes) {
    FailureOr<int64_t> axis = l.axis(each, x.rank());
    if (failed(axis))
      return failure();
    each = *axis;
  }
  for (int64_t i = 0; i < x.rank(); ++i)
    if (!llvm::is_contained(rows.axes, i))
      rows.outer.push_back(i);
  Statistics stats = statistics(l, rows, /*epsilon=*/0);
  Tensor inverse = l.map(
      stats.inverse, stats.inverse.elementType, [](Scalars &s, ValueRange v) {
        Type type = v[0].getType();
        Value one = s.constant(type, 1);
        Value deviation = s.div(one, v[0]);
        return s.div(one, s.add(deviation, s.constant(type, 1e-9)));
      });
  l.out(0, normalize(l, rows, stats.mean, inverse, std::nullopt, std::nullopt,
                     l.type()));
  return success();
}

/// x / (sum |x|^p)^(1/p) along `axis`; a row of zeros stays 0.
static LogicalResult lowerLpNorm(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  FailureOr<int64_t> axis = l.axis(node.intAttr("axis", -1), x.rank());
  if (failed(axis))
    return failure();
  bool squares = node.intAttr("p", 2) == 2;
  Rows rows{x, {}, {*axis}};
  for (int64_t i = 0; i < x.rank(); ++i)
    if (i != *axis)
      rows.outer.push_back(i);
  Tensor sums = sumRows(l, rows, std::nullopt, [&](Scalars &s, ValueRange v) {
    return squares ? s.mul(v[0], v[0]) : s.abs(v[0]);
  });
  Tensor inverse = l.map(sums, sums.elementType, [&](Scalars &s, ValueRange v) {
    Type type = v[0].getType();
    Value zero = s.constant(type, 0);
    Value norm = squares ? s.sqrt(v[0]) : v[0];
    return s.select(s.equal(norm, zero), zero,
                    s.div(s.constant(type, 1), norm));
  });
  l.out(0, normalize(l, rows, std::nullopt, inverse, std::nullopt, std::nullopt,
                     l.type()));
  return success();
}

ArrayRef<Entry> lowering::normLowerings() {
  static const Entry entries[] = {
      {onnxDomain, "LayerNormalization", 1, latest, lowerLayerNorm},
      {onnxDomain, "RMSNormalization", 23, latest, lowerRmsNorm},
      {onnxDomain, "SimplifiedLayerNormalization", 1, latest, lowerRmsNorm},
      {onnxDomain, "InstanceNormalization", 6, latest, lowerInstanceNorm},
      {onnxDomain, "BatchNormalization", 9, latest, lowerBatchNorm},
      {onnxDomain, "MeanVarianceNormalization", 9, latest,
       lowerMeanVarianceNorm},
      {onnxDomain, "LpNormalization", 1, latest, lowerLpNorm},
      {onnxDomain, "GroupNormalization", 21, latest, lowerGroupNorm},
      {microsoft, "SkipLayerNormalization", 1, latest, lowerSkipLayerNorm},
      {microsoft, "SimplifiedLayerNormalization", 1, latest, lowerRmsNorm},
      {microsoft, "SkipSimplifiedLayerNormalization", 1, latest,
       lowerSkipRmsNorm},
  };
  return entries;
}
