// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Matrix products: each is one linalg.generic contraction with its batch loops
// kept; biases follow as element-wise ops of their own, for fusion to move
// where it pays.
#include "Lowering.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

Tensor lowering::addBias(Lowering &l, Tensor x, Tensor bias) {
  return l.map({x, bias}, x.elementType,
               [](Scalars &s, ValueRange v) { return s.add(v[0], v[1]); });
}

/// Repeats `x` along leading (batch) sizes that may differ at run time.
static Tensor expandBatch(Lowering &l, Tensor x, ArrayRef<Size> batch) {
  Sizes wanted(batch);
  int64_t rank = x.rank();
  wanted.append({x.shape[rank - 2], x.shape[rank - 1]});
  ArrayRef<Size> tail = ArrayRef<Size>(wanted).take_back(rank);
  for (int64_t i = 0; i < rank; ++i)
    if (x.shape[i] != tail[i] && !isConstantIntValue(x.shape[i], 1))
      return l.map(x, x.elementType, wanted,
                   [](Scalars &, ValueRange v) { return v[0]; });
  return x;
}

/// Where loop `batch...` reads a batch dimension of an operand.
static SmallVector<AffineExpr> batchExprs(Lowering &l, const Tensor &x,
                                          ArrayRef<Size> batch) {
  SmallVector<AffineExpr> results;
  size_t own = x.rank() - 2, skipped = batch.size() - own;
  for (size_t i = 0; i < own; ++i) {
    bool repeats = isConstantIntValue(x.shape[i], 1) &&
                   !isConstantIntValue(batch[skipped + i], 1);
    results.push_back(repeats ? l.b.getAffineConstantExpr(0)
                              : l.b.getAffineDimExpr(skipped + i));
  }
  return results;
}

static Value multiplyAdd(Scalars &s, ValueRange v) {
  return s.add(v[2], s.mul(v[0], v[1]));
}

/// numpy.matmul over operands of rank 2 and more: loops (batch..., m, n, k).
static Tensor matmul(Lowering &l, Tensor x, Tensor y) {
  Sizes batchX(ArrayRef<Size>(x.shape).drop_back(2));
  Sizes batchY(ArrayRef<Size>(y.shape).drop_back(2));
  Sizes batch = l.broadcast({batchX, batchY});
  x = expandBatch(l, x, batch);
  y = expandBatch(l, y, batch);
  Size k = l.common(x.shape.back(), y.shape[y.rank() - 2],
                    "sizes to be contracted differ");
  x = l.slice(x, x.rank() - 1, l.size(0), k);
  y = l.slice(y, y.rank() - 2, l.size(0), k);
  int64_t m = batch.size(), n = m + 1, depth = m + 2, loops = m + 3;
  SmallVector<AffineExpr> readX = batchExprs(l, x, batch);
  SmallVector<AffineExpr> readY = batchExprs(l, y, batch);
  readX.append({l.b.getAffineDimExpr(m), l.b.getAffineDimExpr(depth)});
  readY.append({l.b.getAffineDimExpr(depth), l.b.getAffineDimExpr(n)});
  Sizes bounds = batch;
  bounds.append({x.shape[x.rank() - 2], y.shape.back(), k});
  Type accumulator = computeType(x.elementType);
  Tensor result =
      l.generic(bounds,
                {{x, AffineMap::get(loops, 0, readX, l.b.getContext())},
                 {y, AffineMap::get(loops, 0, readY, l.b.getContext())}},
                l.b.getMultiDimIdentityMap(loops).getMajorSubMap(loops - 1),
                accumulator, l.scalarConstant(accumulator, 0), multiplyAdd);
  return l.cast(result, x.elementType);
}

/// numpy.matmul: vectors get a dimension of 1 that the result loses again.
Tensor lowering::contract(Lowering &l, Tensor x, Tensor y) {
  bool isRow = x.rank() == 1, isColumn = y.rank() == 1;
  if (isRow)
    x = l.keepDims(x, {0});
  if (isColumn)
    y = l.keepDims(y, {1});
  Tensor result = matmul(l, x, y);
  int64_t rank = result.rank();
  if (isRow && isColumn)
    return l.dropDims(result, {rank - 2, rank - 1});
  if (isRow)
    return l.dropDims(result, {rank - 2});
  return isColumn ? l.dropDims(result, {rank - 1}) : result;
}

static Tensor scaled(Lowering &l, Tensor x, float factor) {
  if (factor == 1)
    return x;
  return l.map(x, x.elementType, [&](Scalars &s, ValueRange v) -> Value {
    if (isa<FloatType>(v[0].getType()))
      return s.mul(v[0], s.constant(v[0].getType(), factor));
    Value wide = s.cast(v[0], x.elementType, s.b.getF32Type());
    return s.cast(s.mul(wide, s.constant(wide.getType(), factor)),
                  wide.getType(), x.elementType);
  });
}

static LogicalResult lowerMatMul(NodeOp, Lowering &l) {
  if (l.in(0).rank() == 0 || l.in(1).rank() == 0)
    return l.fail("has an operand of rank 0");
  l.out(0, contract(l, l.in(0), l.in(1)));
  return success();
}

static Tensor transposeLast(Lowering &l, Tensor x) {
  IntList permutation = llvm::to_vector<6>(llvm::seq<int64_t>(0, x.rank()));
  std::swap(permutation[x.rank() - 1], permutation[x.rank() - 2]);
  return l.transpose(x, permutation);
}

/// alpha * op(a) op(b) + beta * c
static LogicalResult lowerGemm(NodeOp node, Lowering &l) {
  Tensor a = l.in(0), y = l.in(1);
  if (a.rank() != 2 || y.rank() != 2)
    return l.fail("has an operand that isn't a matrix");
  if (node.intAttr("transA", 0))
    a = transposeLast(l, a);
  if (node.intAttr("transB", 0))
    y = transposeLast(l, y);
  Tensor result = scaled(l, contract(l, a, y), node.floatAttr("alpha", 1));
  if (l.has(2))
    result = addBias(l, result, scaled(l, l.in(2), node.floatAttr("beta", 1)));
  l.out(0, result);
  return success();
}

/// alpha * op(a) op(b), batched
static LogicalResult lowerFusedMatMul(NodeOp node, Lowering &l) {
  if (node.intAttr("transBatchA", 0) || node.intAttr("transBatchB", 0))
    return l.fail("with transBatchA or transBatchB has no lowering to CPU "
                  "code");
  Tensor a = l.in(0), y = l.in(1);
  if (node.intAttr("transA", 0) && a.rank() >= 2)
    a = transposeLast(l, a);
  if (node.intAttr("transB", 0) && y.rank() >= 2)
    y = transposeLast(l, y);
  l.out(0, scaled(l, contract(l, a, y), node.floatAttr("alpha", 1)));
  return success();
}

ArrayRef<Entry> lowering::contractionLowerings() {
  static const Entry entries[] = {
      {onnxDomain, "MatMul", 1, latest, lowerMatMul},
      {onnxDomain, "Gemm", 7, latest, lowerGemm},
      {microsoft, "FusedMatMul", 1, latest, lowerFusedMatMul},
      {microsoft, "TransposeMatMul", 1, latest, lowerFusedMatMul},
  };
  return entries;
}
