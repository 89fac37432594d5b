// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Attention and embeddings as ONNX Runtime's optimiser fuses them. They come
// apart into products, masks and norms here: fusion is decided later.
#include "Attention.h"
#include "RuntimeChecks.h"
#include <cmath>

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

/// A mask of ones and zeros as something to add, [..., columns].
static Tensor maskToBias(Lowering &l, Tensor mask, Type type, float masked) {
  return l.map(mask, type, [&](Scalars &s, ValueRange v) {
    Type compute = computeType(type);
    Value zero = s.constant(v[0].getType(), 0);
    return s.select(s.equal(v[0], zero), s.constant(compute, masked),
                    s.constant(compute, 0));
  });
}

/// What a padding mask of `operand` allows: columns [batch, columns], or per
/// row [batch, rows, columns], or the number of columns, [batch].
static LogicalResult applyPaddingMask(Lowering &l, unsigned operand, Size batch,
                                      float masked, Type type,
                                      AttentionOptions &options) {
  if (!l.has(operand))
    return success();
  Tensor mask = l.in(operand);
  switch (mask.rank()) {
  case 1:
    if (mask.shape[0] != batch)
      break;
    options.window.validLengths = mask;
    options.window.hasPast = true; // lengths don't move the first row
    return success();
  case 2:
    options.mask = l.keepDims(maskToBias(l, mask, type, masked), {1, 2});
    return success();
  case 3:
    options.mask = l.keepDims(maskToBias(l, mask, type, masked), {1});
    return success();
  }
  return l.fail("with a mask of this shape has no lowering to CPU code");
}

static void addAttentionBias(Lowering &l, unsigned operand,
                             AttentionOptions &options) {
  if (!l.has(operand))
    return;
  Tensor bias = l.in(operand);
  options.mask = options.mask ? addBias(l, bias, *options.mask) : bias;
}

static LogicalResult readOptions(NodeOp node, Lowering &l, const Tensor &q,
                                 AttentionOptions &options) {
  if (failed(readScale(node, l, q, options.scale)))
    return failure();
  options.window.causal = node.intAttr("unidirectional", 0);
  options.window.past = l.size(0);
  options.window.masked = node.floatAttr("mask_filter_value", -10000);
  return success();
}

//===----------------------------------------------------------------------===//
// Attention, MultiHeadAttention
//===----------------------------------------------------------------------===//

/// input, weights [width, q + k + v], bias, mask, past, attention bias
static LogicalResult lowerAttention(NodeOp node, Lowering &l) {
  int64_t heads = node.intAttr("num_heads", 0);
  if (heads < 1 || l.has(4) || l.has(6) || node.intAttr("do_rotary", 0))
    return l.fail("with a past or rotation has no lowering to CPU code");
  if (failed(l.needRank(0, 3)) || failed(l.needRank(1, 2)) ||
      failed(l.needRank(2, 1)))
    return failure();
  Tensor all = contract(l, l.in(0), l.in(1));
  if (l.has(2))
    all = addBias(l, all, l.in(2));
  Size third = l.floorDiv(all.shape[2], 3);
  Sizes widths = {third, third, third};
  if (auto given = node.intsAttr("qkv_hidden_sizes");
      given && given->size() == 3)
    widths = {l.size((*given)[0]), l.size((*given)[1]), l.size((*given)[2])};
  Tensor parts[3];
  Size offset = l.size(0);
  for (unsigned i = 0; i < 3; ++i) {
    Tensor part = l.slice(all, 2, offset, widths[i]);
    if (failed(needHeads(l, part, heads)))
      return failure();
    parts[i] = splitHeads(l, part, heads);
    offset = l.add(offset, widths[i]);
  }
  AttentionOptions options;
  if (failed(readOptions(node, l, parts[0], options)) ||
      failed(applyPaddingMask(l, 3, all.shape[0], options.window.masked,
                              all.elementType, options)))
    return failure();
  addAttentionBias(l, 5, options);
  l.out(0, joinHeads(l, attend(l, parts[0], parts[1], parts[2], options)));
  if (l.wanted(1))
    return l.fail("with a present result has no lowering to CPU code");
  return success();
}

/// One part of a bias over queries, keys and values.
static Tensor addPartOfBias(Lowering &l, Tensor x, unsigned operand,
                            Size offset) {
  if (!l.has(operand))
    return x;
  return addBias(l, x, l.slice(l.in(operand), 0, offset, x.shape[2]));
}

/// query, key, value, bias, padding mask, attention bias, past key and value
static LogicalResult lowerMultiHeadAttention(NodeOp node, Lowering &l) {
  int64_t heads = node.intAttr("num_heads", 0);
  bool apart = l.has(1) && l.has(2) && l.in(0).rank() == 3;
  if (heads < 1 || !apart)
    return l.fail("with packed operands has no lowering to CPU code");
  if (failed(l.needRank(3, 1)) || failed(l.needRank(6, 4)) ||
      failed(l.needRank(7, 4)))
    return failure();
  Tensor q = l.in(0), k = l.in(1), v = l.in(2);
  Size width = q.shape[2];
  for (const Tensor &x : {q, k, v})
    if (x.rank() == 3 && failed(needHeads(l, x, heads)))
      return failure();
  q = splitHeads(l, addPartOfBias(l, q, 3, l.size(0)), heads);
  // Keys and values of cross attention come with their heads apart.
  if (k.rank() != v.rank() || (k.rank() != 3 && k.rank() != 4))
    return l.fail("has keys and values of ranks other than 3 or 4");
  if (k.rank() == 3)
    k = splitHeads(l, addPartOfBias(l, k, 3, width), heads);
  if (v.rank() == 3)
    v = splitHeads(l, addPartOfBias(l, v, 3, l.add(width, width)), heads);
  AttentionOptions options;
  if (failed(readOptions(node, l, q, options)))
    return failure();
  if (l.has(6) && l.has(7)) {
    options.window.past = l.in(6).shape[2];
    options.window.hasPast = true;
    k = l.concat({l.in(6), k}, 2, k.elementType);
    v = l.concat({l.in(7), v}, 2, v.elementType);
  }
  if (failed(applyPaddingMask(l, 4, q.shape[0], options.window.masked,
                              q.elementType, options)))
    return failure();
  addAttentionBias(l, 5, options);
  options.captureStage = 0;
  std::optional<Tensor> scores;
  l.out(0, joinHeads(l, attend(l, q, k, v, options, &scores)));
  if (l.wanted(1))
    l.out(1, k);
  if (l.wanted(2))
    l.out(2, v);
  if (l.wanted(3))
    l.out(3, *scores);
  return success();
}

//===----------------------------------------------------------------------===//
// EmbedLayerNormalization
//===----------------------------------------------------------------------===//

/// Positions 0, 1, ... of the table, one row for all of the batch.
static Tensor firstRows(Lowering &l, Tensor table, Size count) {
  if (!l.atLeast(table.shape[0], count)) {
    Scalars s(l.b, l.loc);
    Value wanted = l.index(count), rows = l.index(table.shape[0]);
    emitSizesCheck(l.b, l.loc, s.lessEqual(wanted, rows), wanted, rows,
                   checkMessage(l.op, "more positions than embeddings"));
  }
  return l.generate(
      {l.size(1), count, table.shape[1]}, table.elementType,
      [&](Scalars &s, ValueRange i) {
        Value rows =
            getValueOrCreateConstantIndexOp(s.b, s.loc, table.shape[0]);
        return l.extract(s, table, {s.clampIndex(i[1], rows), i[2]});
      });
}

/// ids, segments, word, position and segment tables, gamma, beta, mask,
/// positions
static LogicalResult lowerEmbedLayerNorm(NodeOp node, Lowering &l) {
  for (unsigned i : {0, 1, 2, 3, 4, 7, 8})
    if (failed(l.needRank(i, 2)))
      return failure();
  Tensor ids = l.in(0);
  Tensor sum = gatherRows(l, l.in(2), 0, ids);
  Tensor positions = l.has(8) ? gatherRows(l, l.in(3), 8, l.in(8))
                              : firstRows(l, l.in(3), ids.shape[1]);
  sum = addBias(l, sum, positions);
  if (l.has(1) && l.has(4))
    sum = addBias(l, sum, gatherRows(l, l.in(4), 1, l.in(1)));
  l.out(0,
        layerNorm(l, sum, l.in(5), l.in(6), node.floatAttr("epsilon", 1e-12f)));
  if (l.wanted(1)) {
    Type type = l.b.getI32Type();
    Tensor count = l.has(7)
                       ? l.reduce(l.in(7), {1}, type, l.scalarConstant(type, 0),
                                  [](Scalars &s, ValueRange v) {
                                    return s.add(v[1], v[0]);
                                  })
                       : l.zeros({ids.shape[0]}, type);
    l.out(1, count);
  }
  if (l.wanted(2))
    l.out(2, sum);
  return success();
}

ArrayRef<Entry> lowering::microsoftLowerings() {
  static const Entry entries[] = {
      {microsoft, "Attention", 1, latest, lowerAttention},
      {microsoft, "MultiHeadAttention", 1, latest, lowerMultiHeadAttention},
      {microsoft, "GroupQueryAttention", 1, latest, lowerGroupQueryAttention},
      {microsoft, "EmbedLayerNormalization", 1, latest, lowerEmbedLayerNorm},
  };
  return entries;
}
