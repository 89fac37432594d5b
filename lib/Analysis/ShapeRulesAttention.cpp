// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Shapes of attention and of embeddings, as ONNX and ONNX Runtime spell them.
#include "ShapeRules.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;
using namespace sparse_opt;
using onnx::NodeOp;

/// Sets result `i`, if the node has it.
static void setResult(NodeOp node, unsigned i, DimList shape,
                      SymbolicShapes &shapes) {
  if (i < node->getNumResults() && isa<ShapedType>(node.getResult(i).getType()))
    shapes.setShape(node.getResult(i), std::move(shape));
}

/// A past cache [batch, heads, past, depth] with `rows` behind it.
static Dim withPast(NodeOp node, unsigned operand, const Dim &rows,
                    SymbolicShapes &shapes) {
  if (!node.operandOrNull(operand))
    return rows;
  Dim past = shapes.getDim(node.operandOrNull(operand), 2);
  return past && rows ? Dim(*past + *rows) : std::nullopt;
}

static Dim perHead(const Dim &width, int64_t heads) {
  return width && heads > 0 ? width->exactDiv(DimExpr(heads)) : std::nullopt;
}

/// com.microsoft MultiHeadAttention: query's rows, value's width; then keys
/// and values with the past in front, scores.
static void multiHeadAttention(NodeOp node, SymbolicShapes &shapes) {
  ShapeList query = shapeOf(node, 0, shapes), key = shapeOf(node, 1, shapes),
            value = shapeOf(node, 2, shapes);
  if (!query || query->size() != 3 || !value || value->size() != 3)
    return;
  const Dim &batch = (*query)[0], &rows = (*query)[1];
  int64_t heads = node.intAttr("num_heads", 0);
  Dim total = withPast(node, 6, (*value)[1], shapes);
  setResult(node, 0, {batch, rows, (*value)[2]}, shapes);
  if (key && key->size() == 3)
    setResult(node, 1,
              {batch, DimExpr(heads), total, perHead((*key)[2], heads)},
              shapes);
  setResult(node, 2,
            {batch, DimExpr(heads), total, perHead((*value)[2], heads)},
            shapes);
  setResult(node, 3, {batch, DimExpr(heads), rows, total}, shapes);
}

/// com.microsoft GroupQueryAttention: rows as of the query, which may hold keys
/// and values too; then keys and values with room for all so far.
static void groupQueryAttention(NodeOp node, SymbolicShapes &shapes) {
  ShapeList query = shapeOf(node, 0, shapes);
  ShapeList total = contentsOf(node, 6, shapes);
  int64_t heads = node.intAttr("num_heads", 0);
  int64_t shared = node.intAttr("kv_num_heads", 0);
  if (!query || query->size() != 3 || heads < 1 || shared < 1)
    return;
  bool packed = !node.operandOrNull(1);
  Dim depth = perHead((*query)[2], packed ? heads + 2 * shared : heads);
  const Dim &batch = (*query)[0];
  setResult(
      node, 0,
      {batch, (*query)[1], depth ? Dim(*depth * DimExpr(heads)) : std::nullopt},
      shapes);
  Dim room = total && total->size() == 1 ? (*total)[0] : std::nullopt;
  if (Value past = node.operandOrNull(3)) {
    Dim held = shapes.getDim(past, 2);
    room = room && held ? Dim(DimExpr::max(*room, *held)) : std::nullopt;
  }
  for (unsigned i : {1u, 2u})
    setResult(node, i, {batch, DimExpr(shared), room, depth}, shapes);
}

/// com.microsoft Attention: x and packed weights of q, k and v.
static void packedAttention(NodeOp node, SymbolicShapes &shapes) {
  ShapeList x = shapeOf(node, 0, shapes), weight = shapeOf(node, 1, shapes);
  if (!x || x->size() != 3 || !weight || weight->size() != 2 || !(*weight)[1])
    return;
  Dim width = (*weight)[1]->exactDiv(DimExpr(3));
  if (auto sizes = node.intsAttr("qkv_hidden_sizes"))
    width = sizes->size() == 3 ? Dim(DimExpr((*sizes)[2])) : std::nullopt;
  shapes.setShape(node.getResult(0), {(*x)[0], (*x)[1], width});
}

/// com.microsoft EmbedLayerNormalization: rows of the word table by ids, the
/// length of each sequence, and the sum that was normalised.
static void embedLayerNormalization(NodeOp node, SymbolicShapes &shapes) {
  ShapeList ids = shapeOf(node, 0, shapes), words = shapeOf(node, 2, shapes);
  if (!ids || ids->size() != 2 || !words || words->size() != 2)
    return;
  DimList rows = {(*ids)[0], (*ids)[1], (*words)[1]};
  setResult(node, 0, rows, shapes);
  setResult(node, 1, {(*ids)[0]}, shapes);
  setResult(node, 2, rows, shapes);
}

/// ai.onnx Attention, operands of rank 3 (heads side by side) or 4: result,
/// keys and values with the past in front, scores.
static void attention(NodeOp node, SymbolicShapes &shapes) {
  ShapeList query = shapeOf(node, 0, shapes), key = shapeOf(node, 1, shapes),
            value = shapeOf(node, 2, shapes);
  if (!query || !key || !value || query->size() < 3 || query->size() > 4 ||
      key->size() != query->size() || value->size() != query->size())
    return;
  bool flat = query->size() == 3;
  Dim heads = flat ? Dim(DimExpr(node.intAttr("q_num_heads", 1))) : (*query)[1];
  Dim shared = flat ? Dim(DimExpr(node.intAttr("kv_num_heads", 1))) : (*key)[1];
  auto headSize = [&](ShapeList x) -> Dim {
    if (!flat || !x->back() || !shared)
      return x->back();
    return DimExpr::floorDiv(*x->back(), *shared);
  };
  DimList result = toList(*query);
  result.back() = value->back();
  if (flat && *heads != *shared)
    result.back() =
        headSize(value) ? Dim(*headSize(value) * *heads) : std::nullopt;
  Dim total = withPast(node, 4, (*key)[key->size() - 2], shapes);
  const Dim &batch = (*query)[0], &rows = (*query)[query->size() - 2];
  DimList lists[] = {result,
                     {batch, shared, total, headSize(key)},
                     {batch, shared, total, headSize(value)},
                     {batch, heads, rows, total}};
  for (auto [i, list] : llvm::enumerate(lists))
    setResult(node, i, list, shapes);
}

//===----------------------------------------------------------------------===//
// Table
//===----------------------------------------------------------------------===//

ShapeRule sparse_opt::lookupAttentionRule(NodeOp node) {
  static const llvm::StringMap<ShapeRule> rules = {
      {"Attention", attention},
      {"com.microsoft:Attention", packedAttention},
      {"com.microsoft:GroupQueryAttention", groupQueryAttention},
      {"com.microsoft:EmbedLayerNormalization", embedLayerNormalization},
      {"com.microsoft:MultiHeadAttention", multiHeadAttention}};
  StringRef domain = node.getDomain().value_or("");
  if (domain.empty())
    return rules.lookup(node.getOpType());
  return rules.lookup((domain + ":" + node.getOpType()).str());
}
