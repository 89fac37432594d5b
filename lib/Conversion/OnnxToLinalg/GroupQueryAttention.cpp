// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ONNX Runtime's GroupQueryAttention: causal attention of decoders, with
// rotation and a cache of keys and values in which each sequence of the batch
// has its own length.
#include "Attention.h"
#include "RuntimeChecks.h"
#include <cmath>

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

namespace {
enum Operands : unsigned {
  query,
  key,
  value,
  pastKey,
  pastValue,
  lengths, // last row's place, a sequence
  total,   // rows of the longest sequence
  cosCache,
  sinCache,
  positionIds,
  attentionBias
};
struct Heads {
  Tensor q, k, v; // [batch, rows, heads, depth]
};
} // namespace

static Tensor apart(Lowering &l, Tensor x, int64_t heads) {
  return l.reshape(x, {x.shape[0], x.shape[1], l.size(heads),
                       l.floorDiv(x.shape[2], heads)});
}

static Heads splitOperands(Lowering &l, int64_t heads, int64_t shared) {
  Tensor q = l.in(query);
  if (l.has(key))
    return {apart(l, q, heads), apart(l, l.in(key), shared),
            apart(l, l.in(value), shared)};
  Tensor all = apart(l, q, heads + 2 * shared);
  return {l.slice(all, 2, l.size(0), l.size(heads)),
          l.slice(all, 2, l.size(heads), l.size(shared)),
          l.slice(all, 2, l.size(heads + shared), l.size(shared))};
}

/// Where the first row of each sequence stands, [batch]: behind what the cache
/// holds, or at 0 when the rows are all there is.
static Tensor firstPlaces(Lowering &l, Size rows, Size room) {
  Tensor last = l.in(lengths);
  last = l.reshape(last, {l.product(last.shape)});
  emitIndexCheck(l.b, l.loc, last.value, l.index(room),
                 checkMessage(l.op, "sequence length out of range"));
  return l.map(last, l.b.getI64Type(), [&](Scalars &s, ValueRange v) {
    s.isUnsigned = false;
    Value count = getValueOrCreateConstantIndexOp(s.b, s.loc, rows);
    Value all = getValueOrCreateConstantIndexOp(s.b, s.loc, room);
    Value length = s.add(s.toIndex(v[0]), s.index(1));
    Value start = s.select(s.equal(count, all), s.index(0),
                           s.max(s.sub(length, count), s.index(0)));
    return s.fromIndex(start, s.b.getI64Type());
  });
}

static void rotateHeads(NodeOp node, Lowering &l, Heads &heads, Tensor starts) {
  Tensor positions;
  if (l.has(positionIds)) {
    positions = l.in(positionIds);
  } else {
    Size rows = heads.q.shape[1];
    positions = l.map(
        l.keepDims(starts, {1}), starts.elementType, {starts.shape[0], rows},
        [&](Scalars &s, ValueRange v) {
          return s.add(v[0], s.fromIndex(l.loopIndex(s, 1), v[0].getType()));
        });
  }
  unsigned from = l.has(positionIds) ? positionIds : lengths;
  Tensor cos = gatherRows(l, l.in(cosCache), from, positions);
  Tensor sin = gatherRows(l, l.in(sinCache), from, positions);
  Size part = l.mul(cos.shape.back(), l.size(2));
  bool interleaved = node.intAttr("rotary_interleaved", 0);
  heads.q = rotateRows(l, heads.q, cos, sin, part, interleaved);
  heads.k = rotateRows(l, heads.k, cos, sin, part, interleaved);
}

/// The past's first rows, then x, then zeros: [batch, heads, room, depth].
static Tensor present(Lowering &l, Tensor x, unsigned past, Tensor starts,
                      Size room) {
  Tensor rows = l.transpose(x, {0, 2, 1, 3});
  if (!l.has(past) && rows.shape[2] == room)
    return rows;
  Sizes shape = rows.shape;
  shape[2] = room;
  Tensor cache = l.has(past) ? l.in(past) : rows;
  for (unsigned d : {0, 1, 3})
    l.common(cache.shape[d], shape[d], "the cache is of another size");
  return l.generate(shape, x.elementType, [&](Scalars &s, ValueRange i) {
    s.isUnsigned = false;
    auto value = [&](Size size) {
      return getValueOrCreateConstantIndexOp(s.b, s.loc, size);
    };
    // An element of a tensor at `place`; 0 outside. Sizes were checked, which
    // doesn't stop what is running.
    auto read = [&](const Tensor &from, Value place) {
      SmallVector<Value> at(i);
      at[2] = place;
      for (unsigned d = 0; d < 4; ++d)
        if (from.shape[d] != shape[d])
          at[d] = s.clampIndex(at[d], value(from.shape[d]));
      Value element = l.extract(s, from, at);
      return s.select(s.less(place, value(from.shape[2])), element,
                      s.constant(element.getType(), 0));
    };
    Value sequence = s.clampIndex(i[0], value(starts.shape[0]));
    Value start = s.toIndex(l.extract(s, starts, {sequence}));
    Value fresh = read(rows, s.sub(i[2], start));
    if (!l.has(past))
      return fresh;
    return s.select(s.less(i[2], start), read(cache, i[2]), fresh);
  });
}

/// What this lowering leaves out; failure has been told.
static LogicalResult checkSupported(NodeOp node, Lowering &l) {
  if (node.intAttr("num_heads", 0) < 1 || node.intAttr("kv_num_heads", 0) < 1 ||
      l.in(query).rank() != 3)
    return l.fail("needs num_heads, kv_num_heads and a query of rank 3");
  for (unsigned i : {key, value})
    if (failed(l.needRank(i, 3)))
      return failure();
  int64_t heads = node.intAttr("num_heads", 0);
  int64_t shared = node.intAttr("kv_num_heads", 0);
  if (failed(
          needHeads(l, l.in(query), l.has(key) ? heads : heads + 2 * shared)))
    return failure();
  for (unsigned i : {key, value})
    if (l.has(i) && failed(needHeads(l, l.in(i), shared)))
      return failure();
  for (unsigned i : {pastKey, pastValue})
    if (failed(l.needRank(i, 4)))
      return failure();
  for (unsigned i : {cosCache, sinCache, positionIds})
    if (failed(l.needRank(i, 2)))
      return failure();
  if (l.has(key) != l.has(value) || l.has(pastKey) != l.has(pastValue))
    return l.fail("has keys without values or values without keys");
  if (node.intAttr("smooth_softmax", 0) || l.has(attentionBias + 1) ||
      node.intAttr("kv_cache_bit_width", 0) || l.wanted(3))
    return l.fail(
        "with a smooth softmax, sinks, a quantised cache or scores as "
        "a result has no lowering to CPU code");
  if (node.intAttr("do_rotary", 0) && (!l.has(cosCache) || !l.has(sinCache)))
    return l.fail("needs both caches of angles to rotate");
  return success();
}

LogicalResult lowering::lowerGroupQueryAttention(NodeOp node, Lowering &l) {
  if (failed(checkSupported(node, l)))
    return failure();
  std::optional<Sizes> all = l.contents(total);
  std::optional<IntList> known = l.constants(total);
  if (!all || all->size() != 1 || (known && known->front() < 1))
    return l.fail("with a total_sequence_length that isn't computed from sizes "
                  "has no lowering to CPU code");
  Size room = all->front();
  int64_t shared = node.intAttr("kv_num_heads", 0);
  Heads heads = splitOperands(l, node.intAttr("num_heads", 0), shared);
  Tensor starts = firstPlaces(l, heads.q.shape[1], room);
  if (node.intAttr("do_rotary", 0))
    rotateHeads(node, l, heads, starts);
  if (l.has(pastKey))
    room = l.max(room, l.in(pastKey).shape[2]);
  Tensor k = present(l, heads.k, pastKey, starts, room);
  Tensor v = present(l, heads.v, pastValue, starts, room);
  AttentionOptions options;
  if (failed(readScale(node, l, heads.q, options.scale)))
    return failure();
  options.softcap = node.floatAttr("softcap", 0);
  options.window.causal = true;
  // The window counts the row's own column.
  int64_t window = node.intAttr("local_window_size", -1);
  options.window.left = window > 0 ? window - 1 : -1;
  options.window.masked = -std::numeric_limits<double>::infinity();
  options.window.past = l.size(0);
  options.window.starts = starts;
  if (l.has(attentionBias))
    options.mask = l.in(attentionBias);
  Tensor q = l.transpose(heads.q, {0, 2, 1, 3});
  l.out(0, joinHeads(l, attend(l, q, k, v, options)));
  if (l.wanted(1))
    l.out(1, k);
  if (l.wanted(2))
    l.out(2, v);
  return success();
}
