// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Schemas with inference for the fused operators that ONNX Runtime's optimiser
// writes (domain com.microsoft, and SimplifiedLayerNormalization, which it
// puts into ai.onnx). Only arity and result types: what an operator means is
// known to its lowering. Signatures follow ONNX Runtime's ContribOperators.md.
#include "Normalize.h"
#include "onnx/defs/schema.h"
#include "onnx/defs/shape_inference.h"
#include "onnx/defs/tensor_proto_util.h"

using namespace sparse_opt;
using namespace sparse_opt::frontend;
using pb::InferenceContext;
using pb::TensorShapeProto;

namespace {
struct Operator {
  const char *name;
  int minInputs, maxInputs, maxOutputs;
  void (*infer)(InferenceContext &);
  const char *domain = "com.microsoft";
};
} // namespace

static void sameElement(InferenceContext &ctx, size_t from, size_t to) {
  if (from < ctx.getNumInputs() && ctx.getInputType(from) &&
      to < ctx.getNumOutputs() && ctx.hasOutput(to))
    pb::propagateElemTypeFromInputToOutput(ctx, from, to);
}

static void sameType(InferenceContext &ctx, size_t from, size_t to) {
  sameElement(ctx, from, to);
  if (to < ctx.getNumOutputs() && ctx.hasOutput(to) &&
      pb::hasInputShape(ctx, from))
    pb::propagateShapeFromInputToOutput(ctx, from, to);
}

static void likeFirst(InferenceContext &ctx) { sameType(ctx, 0, 0); }

/// output, mean, inverse deviation, sum of input, skip and bias
static void skipNormalization(InferenceContext &ctx) {
  sameType(ctx, 0, 0);
  sameType(ctx, 0, 3);
}

static int64_t intAttr(InferenceContext &ctx, const char *name,
                       int64_t byDefault = 0) {
  return pb::getAttribute(ctx, name, byDefault);
}

static TensorShapeProto *resultShape(InferenceContext &ctx, size_t i) {
  return pb::getOutputShape(ctx, i);
}

/// Matrix product of `a` and `b`, whose dims are [batch..., rows, columns].
static void productShape(const TensorShapeProto &a, const TensorShapeProto &b,
                         TensorShapeProto &result) {
  int rankA = a.dim_size(), rankB = b.dim_size();
  if (rankA < 1 || rankB < 2)
    fail_shape_inference("matrix product of tensors of rank ", rankA, " and ",
                         rankB);
  const auto &k1 = a.dim(rankA - 1), &k2 = b.dim(rankB - 2);
  if (k1.has_dim_value() && k2.has_dim_value() &&
      k1.dim_value() != k2.dim_value())
    fail_shape_inference("matrix product sums over ", k1.dim_value(), " and ",
                         k2.dim_value());
  TensorShapeProto batchA, batchB;
  for (int i = 0; i + 2 < rankA; ++i)
    *batchA.add_dim() = a.dim(i);
  for (int i = 0; i + 2 < rankB; ++i)
    *batchB.add_dim() = b.dim(i);
  pb::bidirectionalBroadcastShapeInference(batchA, batchB, result);
  if (rankA > 1)
    *result.add_dim() = a.dim(rankA - 2);
  *result.add_dim() = b.dim(rankB - 1);
}

/// Dims as FusedMatMul's attributes transpose them: transBatch moves the first
/// dim behind the other batch dims, trans swaps the last two.
static TensorShapeProto transposed(const TensorShapeProto &shape, bool trans,
                                   bool transBatch) {
  TensorShapeProto result = shape;
  int rank = shape.dim_size();
  if (transBatch && rank > 2) {
    for (int i = 0; i + 2 < rank; ++i)
      *result.mutable_dim(i) = shape.dim(i + 1);
    *result.mutable_dim(rank - 2) = shape.dim(0);
  }
  if (trans && rank > 1)
    result.mutable_dim()->SwapElements(rank - 2, rank - 1);
  return result;
}

static void fusedMatMul(InferenceContext &ctx) {
  sameElement(ctx, 0, 0);
  if (!pb::hasNInputShapes(ctx, 2))
    return;
  TensorShapeProto shape;
  productShape(transposed(pb::getInputShape(ctx, 0), intAttr(ctx, "transA"),
                          intAttr(ctx, "transBatchA")),
               transposed(pb::getInputShape(ctx, 1), intAttr(ctx, "transB"),
                          intAttr(ctx, "transBatchB")),
               shape);
  *resultShape(ctx, 0) = shape;
}

static void plainMatMul(InferenceContext &ctx) {
  sameElement(ctx, 0, 0);
  if (!pb::hasNInputShapes(ctx, 2))
    return;
  TensorShapeProto shape;
  productShape(pb::getInputShape(ctx, 0), pb::getInputShape(ctx, 1), shape);
  *resultShape(ctx, 0) = shape;
}

static void matMulNBits(InferenceContext &ctx) {
  sameType(ctx, 0, 0);
  if (!pb::hasInputShape(ctx, 0) || resultShape(ctx, 0)->dim_size() == 0)
    return;
  auto *shape = resultShape(ctx, 0);
  shape->mutable_dim(shape->dim_size() - 1)->set_dim_value(intAttr(ctx, "N"));
}

/// Result 0 is [batch, sequence, width], the first two dims those of input 0.
static TensorShapeProto::Dimension *rowsOfFirst(InferenceContext &ctx) {
  if (!pb::hasInputShape(ctx, 0))
    return nullptr;
  const TensorShapeProto &ids = pb::getInputShape(ctx, 0);
  if (ids.dim_size() < 2)
    return nullptr;
  TensorShapeProto *shape = resultShape(ctx, 0);
  *shape->add_dim() = ids.dim(0);
  *shape->add_dim() = ids.dim(1);
  return shape->add_dim();
}

/// Result 1 is a mask of one index a batch.
/// ids, segments, word, position and segment embeddings, gamma, beta, ...
static void embedLayerNormalization(InferenceContext &ctx) {
  sameElement(ctx, 2, 0);
  sameElement(ctx, 2, 2);
  if (ctx.getNumOutputs() > 1)
    pb::updateOutputElemType(ctx, 1, pb::TensorProto::INT32);
  auto *width = rowsOfFirst(ctx);
  if (width && pb::hasInputShape(ctx, 2) &&
      pb::getInputShape(ctx, 2).dim_size() == 2)
    *width = pb::getInputShape(ctx, 2).dim(1);
  if (width && ctx.getNumOutputs() > 1)
    *resultShape(ctx, 1)->add_dim() = pb::getInputShape(ctx, 0).dim(0);
  if (width && ctx.getNumOutputs() > 2)
    *resultShape(ctx, 2) = *resultShape(ctx, 0);
}

/// input, weights [width, q + k + v], bias, ...
static void attention(InferenceContext &ctx) {
  sameElement(ctx, 0, 0);
  sameElement(ctx, 0, 1);
  auto *width = rowsOfFirst(ctx);
  if (!width || !pb::hasInputShape(ctx, 1) ||
      pb::getInputShape(ctx, 1).dim_size() != 2)
    return;
  std::vector<int64_t> sizes;
  const auto &columns = pb::getInputShape(ctx, 1).dim(1);
  if (pb::getRepeatedAttribute(ctx, "qkv_hidden_sizes", sizes) &&
      sizes.size() == 3)
    width->set_dim_value(sizes[2]);
  else if (columns.has_dim_value())
    width->set_dim_value(columns.dim_value() / 3);
}

/// query, key, value, ...: [batch, sequence, width] when not packed.
static void multiHeadAttention(InferenceContext &ctx) {
  for (size_t i = 0; i < 3; ++i)
    sameElement(ctx, 0, i);
  if (!pb::hasInputShape(ctx, 0) || pb::getInputShape(ctx, 0).dim_size() != 3)
    return;
  auto *width = rowsOfFirst(ctx);
  if (ctx.getNumInputs() > 2 && pb::hasInputShape(ctx, 2) &&
      pb::getInputShape(ctx, 2).dim_size() == 3)
    *width = pb::getInputShape(ctx, 2).dim(2);
}

/// Like the query when key and value come apart from it.
static void groupQueryAttention(InferenceContext &ctx) {
  for (size_t i = 0; i < 3; ++i)
    sameElement(ctx, 0, i);
  if (ctx.hasInput(1) && ctx.hasInput(2))
    sameType(ctx, 0, 0);
}

static void dequantizeLinear(InferenceContext &ctx) {
  sameElement(ctx, 1, 0);
  if (pb::hasInputShape(ctx, 0))
    pb::propagateShapeFromInputToOutput(ctx, 0, 0);
}

static void quantizeLinear(InferenceContext &ctx) {
  if (ctx.getNumInputs() > 2 && ctx.hasInput(2))
    sameElement(ctx, 2, 0);
  else
    pb::updateOutputElemType(ctx, 0, pb::TensorProto::UINT8);
  if (pb::hasInputShape(ctx, 0))
    pb::propagateShapeFromInputToOutput(ctx, 0, 0);
}

static const Operator operators[] = {
    {"Gelu", 1, 1, 1, likeFirst},
    {"FastGelu", 1, 2, 1, likeFirst},
    {"BiasGelu", 2, 2, 1, likeFirst},
    {"QuickGelu", 1, 1, 1, likeFirst},
    {"BiasSoftmax", 2, 2, 1, likeFirst},
    {"SkipLayerNormalization", 3, 5, 4, skipNormalization},
    {"SkipSimplifiedLayerNormalization", 3, 4, 4, skipNormalization},
    {"SimplifiedLayerNormalization", 2, 2, 2, likeFirst, ""},
    {"EmbedLayerNormalization", 7, 9, 3, embedLayerNormalization},
    {"FusedMatMul", 2, 2, 1, fusedMatMul},
    {"TransposeMatMul", 2, 2, 1, fusedMatMul},
    {"DynamicQuantizeMatMul", 3, 5, 1, plainMatMul},
    {"MatMulNBits", 3, 6, 1, matMulNBits},
    {"Attention", 2, 7, 2, attention},
    {"MultiHeadAttention", 1, 10, 4, multiHeadAttention},
    {"GroupQueryAttention", 7, 14, 4, groupQueryAttention},
    {"RotaryEmbedding", 4, 4, 1, likeFirst},
    {"DequantizeLinear", 2, 3, 1, dequantizeLinear},
    {"QuantizeLinear", 2, 3, 1, quantizeLinear},
};

/// One heterogeneous list each of inputs and outputs says all that the checker
/// needs; optional ones may be empty names.
static pb::OpSchema schemaOf(const Operator &op) {
  auto inference = [op](InferenceContext &ctx) {
    if (int(ctx.getNumInputs()) > op.maxInputs ||
        int(ctx.getNumOutputs()) > op.maxOutputs)
      fail_type_inference("takes at most ", op.maxInputs, " inputs and gives ",
                          op.maxOutputs, " outputs");
    op.infer(ctx);
  };
  pb::OpSchema schema(op.name, __FILE__, __LINE__);
  schema.SetDomain(op.domain)
      .SinceVersion(1)
      .AllowUncheckedAttributes()
      .Input(0, "inputs", "", "T", pb::OpSchema::Variadic,
             /*is_homogeneous=*/false, op.minInputs)
      .Output(0, "outputs", "", "T", pb::OpSchema::Variadic,
              /*is_homogeneous=*/false, 1)
      .TypeConstraint("T", pb::OpSchema::all_tensor_types_ir11(), "")
      .TypeAndShapeInferenceFunction(inference);
  return schema;
}

void frontend::registerMicrosoftOperators() {
  static const bool once = [] {
    auto &domains = pb::OpSchemaRegistry::DomainToVersionRange::Instance();
    if (!domains.Map().count("com.microsoft"))
      domains.AddDomainToVersion("com.microsoft", 1, 1);
    for (const Operator &op : operators)
      pb::RegisterSchema(schemaOf(op));
    return true;
  }();
  (void)once;
}
