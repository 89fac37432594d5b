// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ONNX's Attention: products, softmax and masks as separate ops, in the form
// that region forming turns into one kernel. Masks become an additive bias.
// ONNX Runtime's spellings are in MicrosoftAttention.cpp.
#include "Attention.h"
#include <cmath>

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

//===----------------------------------------------------------------------===//
// Heads
//===----------------------------------------------------------------------===//

LogicalResult lowering::readScale(NodeOp node, Lowering &l, const Tensor &q,
                                  float &scale) {
  scale = node.floatAttr("scale", 0);
  if (scale != 0)
    return success();
  std::optional<int64_t> depth = getConstantIntValue(q.shape[3]);
  if (!depth)
    return l.fail("with a head size that isn't constant has no lowering to "
                  "CPU code");
  scale = 1 / std::sqrt(static_cast<float>(*depth));
  return success();
}

LogicalResult lowering::needHeads(Lowering &l, const Tensor &x, int64_t heads) {
  std::optional<int64_t> columns = getConstantIntValue(x.shape[2]);
  if (!columns || *columns % heads == 0)
    return success();
  return l.fail("has " + Twine(heads) + " heads, which don't divide " +
                Twine(*columns) + " columns");
}

Tensor lowering::splitHeads(Lowering &l, Tensor x, int64_t heads) {
  Size depth = l.floorDiv(x.shape[2], heads);
  Tensor split = l.reshape(x, {x.shape[0], x.shape[1], l.size(heads), depth});
  return l.transpose(split, {0, 2, 1, 3});
}

Tensor lowering::joinHeads(Lowering &l, Tensor x) {
  Tensor rows = l.transpose(x, {0, 2, 1, 3});
  return l.reshape(rows, {rows.shape[0], rows.shape[1],
                          l.mul(rows.shape[2], rows.shape[3])});
}

/// Each head of keys or values serves a group of query heads.
static Tensor repeatHeads(Lowering &l, Tensor x, Size heads) {
  std::optional<int64_t> wanted = getConstantIntValue(heads);
  std::optional<int64_t> given = getConstantIntValue(x.shape[1]);
  if (x.shape[1] == heads || !wanted || !given || *given < 1 ||
      *wanted % *given != 0)
    return x;
  Sizes grouped = {x.shape[0], x.shape[1], l.size(1), x.shape[2], x.shape[3]};
  Tensor split = l.reshape(x, grouped);
  grouped[2] = l.size(*wanted / *given);
  Tensor repeated = l.map(split, x.elementType, grouped,
                          [](Scalars &, ValueRange v) { return v[0]; });
  return l.reshape(repeated, {x.shape[0], heads, x.shape[2], x.shape[3]});
}

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

std::optional<Tensor> lowering::positionBias(Lowering &l, const Window &window,
                                             Size rows, Size columns,
                                             Type type) {
  if (!window.causal && window.left < 0 && window.right < 0 &&
      !window.validLengths && !window.starts)
    return std::nullopt;
  Sizes loops = {l.size(1), l.size(1), rows, columns};
  SmallVector<Operand> ins;
  assert(!(window.validLengths && window.starts) && "one list a sequence");
  const std::optional<Tensor> &perSequence =
      window.starts ? window.starts : window.validLengths;
  if (perSequence) {
    Tensor list = l.reshape(*perSequence, {l.product(perSequence->shape)});
    loops[0] = list.shape[0];
    ins.push_back({list, l.dims(4, {0})});
  }
  return l.generic(
      loops, ins, l.b.getMultiDimIdentityMap(4), type, {},
      [&](Scalars &s, ValueRange v) {
        s.isUnsigned = false;
        Value row = l.loopIndex(s, 2), column = l.loopIndex(s, 3);
        Value offset = getValueOrCreateConstantIndexOp(s.b, s.loc, window.past);
        Value allowed = s.integer(s.b.getI1Type(), 1);
        if (window.starts)
          offset = s.toIndex(v[0]);
        if (window.validLengths) {
          Value length = s.toIndex(v[0]);
          Value size = getValueOrCreateConstantIndexOp(s.b, s.loc, rows);
          if (!window.hasPast)
            offset = s.sub(length, size);
          allowed = s.less(column, length);
        }
        Value position = s.add(row, offset);
        if (window.causal)
          allowed = s.logicalAnd(allowed, s.lessEqual(column, position));
        if (window.left >= 0)
          allowed = s.logicalAnd(allowed, s.lessEqual(s.sub(position, column),
                                                      s.index(window.left)));
        if (window.right >= 0)
          allowed = s.logicalAnd(allowed, s.lessEqual(s.sub(column, position),
                                                      s.index(window.right)));
        Type compute = computeType(type);
        return s.select(allowed, s.constant(compute, 0),
                        s.constant(compute, window.masked));
      });
}

/// A mask that says true where to look, as something to add.
static Tensor additive(Lowering &l, Tensor mask, Type type) {
  if (!mask.elementType.isInteger(1))
    return mask;
  return l.map(mask, type, [&](Scalars &s, ValueRange v) {
    Type compute = computeType(type);
    return s.select(v[0], s.constant(compute, 0), s.lowest(compute));
  });
}

/// A mask for fewer columns forbids the others.
static Tensor padMask(Lowering &l, Tensor mask, Size columns) {
  int64_t last = mask.rank() - 1;
  if (last < 0 || mask.shape[last] == columns ||
      isConstantIntValue(mask.shape[last], 1))
    return mask;
  Sizes missing = mask.shape;
  missing[last] = l.max(l.sub(columns, mask.shape[last]), l.size(0));
  Type storage = signless(mask.elementType);
  Scalars s(l.b, l.loc);
  Value never =
      storage.isInteger(1) ? s.integer(storage, 0) : s.lowest(storage);
  Tensor rest = l.fill(missing, mask.elementType, never);
  Tensor padded = l.concat({mask, rest}, last, mask.elementType);
  padded.shape[last] = columns;
  if (l.tensorType(padded.shape, padded.elementType) != padded.value.getType())
    padded = l.slice(padded, last, l.size(0), columns);
  return padded;
}

static Tensor addTensors(Lowering &l, Tensor x, Tensor y) {
  return l.map({x, y}, x.elementType,
               [](Scalars &s, ValueRange v) { return s.add(v[0], v[1]); });
}

//===----------------------------------------------------------------------===//
// softmax(q k^T) v
//===----------------------------------------------------------------------===//

Tensor lowering::rowSoftmax(Lowering &l, Tensor x) {
  Value result = linalg::SoftmaxOp::create(
                     l.b, l.loc, l.tensorType(x.shape, x.elementType), x.value,
                     l.empty(x.shape, x.elementType), x.rank() - 1)
                     ->getResult(0);
  return {result, x.shape, x.elementType};
}

/// A row that may look nowhere is 0, where softmax says 0 / 0.
static Tensor withoutNan(Lowering &l, Tensor x) {
  return l.map(x, x.elementType, [](Scalars &s, ValueRange v) {
    Value isNan = arith::CmpFOp::create(s.b, s.loc, arith::CmpFPredicate::UNO,
                                        v[0], v[0]);
    return s.select(isNan, s.constant(v[0].getType(), 0), v[0]);
  });
}

Tensor lowering::attend(Lowering &l, Tensor q, Tensor k, Tensor v,
                        const AttentionOptions &options,
                        std::optional<Tensor> *captured) {
  Type type = q.elementType, compute = computeType(type);
  k = repeatHeads(l, k, q.shape[1]);
  v = repeatHeads(l, v, q.shape[1]);
  Tensor scores = contract(l, l.cast(q, compute),
                           l.cast(l.transpose(k, {0, 1, 3, 2}), compute));
  scores = l.map(scores, compute, [&](Scalars &s, ValueRange x) {
    return s.mul(x[0], s.constant(compute, options.scale));
  });
  auto capture = [&](int64_t stage, Tensor value) {
    if (captured && options.captureStage == stage)
      *captured = value;
  };
  capture(0, scores);
  if (options.softcap > 0)
    scores = l.map(scores, compute, [&](Scalars &s, ValueRange x) {
      Value cap = s.constant(compute, options.softcap);
      return s.mul(s.tanh(s.div(x[0], cap)), cap);
    });
  capture(1, scores);
  std::optional<Tensor> position =
      positionBias(l, options.window, q.shape[2], k.shape[2], compute);
  if (options.mask) {
    Tensor mask = additive(l, padMask(l, *options.mask, k.shape[2]), compute);
    scores = addTensors(l, scores, l.cast(mask, compute));
  }
  if (position)
    scores = addTensors(l, scores, *position);
  capture(2, scores);
  Tensor probabilities = rowSoftmax(l, scores);
  if (options.mask || (position && options.window.validLengths))
    probabilities = withoutNan(l, probabilities);
  capture(3, probabilities);
  return l.cast(contract(l, probabilities, l.cast(v, compute)), type);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

static LogicalResult lowerAttention(NodeOp node, Lowering &l) {
  Tensor q = l.in(0), k = l.in(1), v = l.in(2);
  bool packed = q.rank() == 3;
  int64_t heads = node.intAttr("q_num_heads", 0);
  int64_t kvHeads = node.intAttr("kv_num_heads", 0);
  if ((!packed && q.rank() != 4) || k.rank() != q.rank() ||
      v.rank() != q.rank() || (packed && (heads < 1 || kvHeads < 1)))
    return l.fail("needs operands of rank 4, or of rank 3 and q_num_heads and "
                  "kv_num_heads");
  if (packed) {
    if (failed(needHeads(l, q, heads)) || failed(needHeads(l, k, kvHeads)) ||
        failed(needHeads(l, v, kvHeads)))
      return failure();
    q = splitHeads(l, q, heads);
    k = splitHeads(l, k, kvHeads);
    v = splitHeads(l, v, kvHeads);
  }
  AttentionOptions options;
  if (l.has(4)) {
    Tensor pastKey = l.in(4);
    options.window.past = pastKey.shape[2];
    options.window.hasPast = true;
    k = l.concat({pastKey, k}, 2, k.elementType);
    v = l.concat({l.in(5), v}, 2, v.elementType);
  } else {
    options.window.past = l.size(0);
  }
  std::optional<int64_t> depth = getConstantIntValue(q.shape[3]);
  options.scale = node.floatAttr("scale", 0);
  if (!node.attr("scale")) {
    if (!depth)
      return l.fail("with a head size that isn't constant has no lowering to "
                    "CPU code");
    options.scale = 1 / std::sqrt(static_cast<float>(*depth));
  }
  options.softcap = node.floatAttr("softcap", 0);
  options.captureStage = node.intAttr("qk_matmul_output_mode", 0);
  options.window.causal = node.intAttr("is_causal", 0);
  options.window.left = node.intAttr("left_window_size", -1);
  options.window.right = node.intAttr("right_window_size", -1);
  options.window.masked = -std::numeric_limits<double>::infinity();
  if (l.has(3))
    options.mask = l.in(3);
  if (l.has(6))
    options.window.validLengths = l.in(6);
  std::optional<Tensor> scores;
  Tensor y = attend(l, q, k, v, options, &scores);
  l.out(0, packed ? joinHeads(l, y) : y);
  if (l.wanted(1))
    l.out(1, k);
  if (l.wanted(2))
    l.out(2, v);
  if (l.wanted(3))
    l.out(3, l.cast(*scores, l.type(3)));
  return success();
}

//===----------------------------------------------------------------------===//
// RotaryEmbedding
//===----------------------------------------------------------------------===//

/// a * x - b * y, or + with `plus`
static Tensor rotateHalf(Lowering &l, Tensor a, Tensor x, Tensor b, Tensor y,
                         bool plus, Type type) {
  return l.map({x, a, y, b}, type, [&](Scalars &s, ValueRange v) {
    Value first = s.mul(v[1], v[0]), second = s.mul(v[3], v[2]);
    return plus ? s.add(first, second) : s.sub(first, second);
  });
}

/// Rotates pairs of x [batch, sequence, heads, depth] by cos and sin
/// [batch, sequence, half]; pairs are halves apart, or neighbours.
static Tensor rotate(Lowering &l, Tensor x, Tensor cos, Tensor sin,
                     bool interleaved) {
  Size half = cos.shape.back();
  cos = l.keepDims(cos, {2});
  sin = l.keepDims(sin, {2});
  Type type = x.elementType;
  Sizes pairs(ArrayRef<Size>(x.shape).drop_back());
  pairs.append({half, l.size(2)});
  Tensor first, second;
  if (interleaved) {
    Tensor split = l.reshape(x, pairs);
    first = l.dropDims(l.slice(split, 4, l.size(0), l.size(1)), {4});
    second = l.dropDims(l.slice(split, 4, l.size(1), l.size(1)), {4});
  } else {
    first = l.slice(x, 3, l.size(0), half);
    second = l.slice(x, 3, half, half);
  }
  Tensor real = rotateHalf(l, cos, first, sin, second, false, type);
  Tensor imaginary = rotateHalf(l, sin, first, cos, second, true, type);
  if (!interleaved)
    return l.concat({real, imaginary}, 3, type);
  Tensor joined =
      l.concat({l.keepDims(real, {4}), l.keepDims(imaginary, {4})}, 4, type);
  return l.reshape(joined, x.shape);
}

Tensor lowering::rotateRows(Lowering &l, Tensor x, Tensor cos, Tensor sin,
                            Size part, bool interleaved) {
  Size depth = x.shape[3];
  Tensor rotated =
      rotate(l, l.slice(x, 3, l.size(0), part), cos, sin, interleaved);
  if (part == depth)
    return rotated;
  Tensor rest = l.slice(x, 3, part, l.sub(depth, part));
  return l.concat({rotated, rest}, 3, x.elementType);
}

static LogicalResult lowerRotary(NodeOp node, Lowering &l, Tensor cos,
                                 Tensor sin) {
  Tensor x = l.in(0);
  bool packed = x.rank() == 3;
  int64_t heads = node.intAttr("num_heads", 0);
  int64_t rotated = node.intAttr("rotary_embedding_dim", 0);
  if (packed && heads < 1 && rotated == 0) // ONNX Runtime: from the caches
    if (auto half = getConstantIntValue(cos.shape.back()))
      if (auto width = getConstantIntValue(x.shape[2]))
        heads = *half > 0 ? *width / (2 * *half) : 0;
  if ((!packed && x.rank() != 4) || (packed && heads < 1))
    return l.fail("needs an operand of rank 4, or of rank 3 and num_heads");
  if (packed && failed(needHeads(l, x, heads)))
    return failure();
  Tensor rows = packed ? l.reshape(x, {x.shape[0], x.shape[1], l.size(heads),
                                       l.floorDiv(x.shape[2], heads)})
                       : l.transpose(x, {0, 2, 1, 3});
  Size part = rotated > 0 ? l.size(rotated) : rows.shape[3];
  Tensor result =
      rotateRows(l, rows, cos, sin, part, node.intAttr("interleaved", 0));
  l.out(0, packed ? l.reshape(result, x.shape)
                  : l.transpose(result, {0, 2, 1, 3}));
  return success();
}

/// x, cos cache, sin cache, positions
static LogicalResult lowerRotaryEmbedding(NodeOp node, Lowering &l) {
  Tensor cos = l.in(1), sin = l.in(2);
  if (l.has(3)) {
    cos = gatherRows(l, cos, 3, l.in(3));
    sin = gatherRows(l, sin, 3, l.in(3));
  }
  return lowerRotary(node, l, cos, sin);
}

/// ONNX Runtime's: x, positions, cos cache, sin cache; one position is that
/// of the first row.
static LogicalResult lowerMicrosoftRotary(NodeOp node, Lowering &l) {
  Tensor x = l.in(0), positions = l.in(1);
  if (positions.rank() != 2) {
    Tensor start = l.reshape(positions, {l.size(1), l.size(1)});
    Size sequence = x.shape[x.rank() == 4 ? 2 : 1];
    positions = l.map(
        start, start.elementType, {l.size(1), sequence},
        [&](Scalars &s, ValueRange v) {
          return s.add(v[0], s.fromIndex(l.loopIndex(s, 1), v[0].getType()));
        });
  }
  return lowerRotary(node, l, gatherRows(l, l.in(2), 1, positions),
                     gatherRows(l, l.in(3), 1, positions));
}

ArrayRef<Entry> lowering::attentionLowerings() {
  static const Entry entries[] = {
      {onnxDomain, "Attention", 23, latest, lowerAttention},
      {onnxDomain, "RotaryEmbedding", 23, latest, lowerRotaryEmbedding},
      {microsoft, "RotaryEmbedding", 1, latest, lowerMicrosoftRotary},
  };
  return entries;
}
