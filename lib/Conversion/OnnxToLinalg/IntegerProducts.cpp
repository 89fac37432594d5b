// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Products of 8-bit integers less their zero points. By constant weights they
// are products of floats wherever those are exact, which puts them on the path
// of all other linear layers; else they are integer loops.
#include "Lowering.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include <cstring>

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

/// Operands of a product: both sides and their zero points.
namespace {
struct Places {
  unsigned x, xZero, y, yZero;
};
} // namespace

/// x - zero point, in `type`
static Tensor centred(Lowering &l, unsigned operand, unsigned zeroPoint,
                      bool perRow, Type type) {
  Tensor x = l.cast(l.in(operand), type);
  if (!l.has(zeroPoint))
    return x;
  Tensor zero = l.cast(l.in(zeroPoint), type);
  if (perRow && zero.rank() == 1)
    zero = l.keepDims(zero, {1});
  return l.map({x, zero}, type, x.shape,
               [](Scalars &s, ValueRange v) { return s.sub(v[0], v[1]); });
}

/// A constant matrix less its zero point, [rows, columns], as floats. Nothing
/// when a sum of products of a column with 8-bit values might not fit into the
/// 24 bits of a float: below that every intermediate result is exact.
static std::optional<SmallVector<float>>
exactFloats(const ConstantData &matrix,
            const std::optional<ConstantData> &zeros) {
  constexpr int64_t largest = 255, exact = int64_t(1) << 24;
  int64_t rows = matrix.type.getDimSize(0);
  int64_t columns = matrix.type.getDimSize(1);
  if (zeros && zeros->size() != 1 && zeros->size() != columns)
    return std::nullopt;
  SmallVector<float> result(rows * columns);
  SmallVector<int64_t> sums(columns);
  for (int64_t i = 0; i < rows * columns; ++i) {
    int64_t n = i % columns;
    int64_t zero = zeros ? zeros->getInteger(zeros->size() == 1 ? 0 : n) : 0;
    int64_t value = matrix.getInteger(i) - zero;
    result[i] = value;
    sums[n] += std::abs(value) * largest;
    if (sums[n] > exact)
      return std::nullopt;
  }
  return result;
}

static std::optional<Tensor> floatWeights(Lowering &l, Places at) {
  Value operand = l.op->getOperand(at.y);
  std::optional<ConstantData> matrix = getConstantData(operand), zeros;
  if (!matrix || matrix->type.getRank() != 2)
    return std::nullopt;
  if (l.has(at.yZero)) {
    zeros = getConstantData(l.op->getOperand(at.yZero));
    if (!zeros)
      return std::nullopt;
  }
  std::optional<SmallVector<float>> floats = exactFloats(*matrix, zeros);
  if (!floats)
    return std::nullopt;
  Type type = l.b.getF32Type();
  ElementsAttr value =
      makeConstant(RankedTensorType::get(matrix->type.getShape(), type),
                   "weights", [&](MutableArrayRef<char> out) {
                     std::memcpy(out.data(), floats->data(), out.size());
                   });
  OpBuilder::InsertionGuard guard(l.b);
  l.b.setInsertionPoint(operand.getDefiningOp());
  Value constant =
      arith::ConstantOp::create(l.b, operand.getLoc(), cast<TypedAttr>(value));
  return Tensor{
      constant,
      {l.size(matrix->type.getDimSize(0)), l.size(matrix->type.getDimSize(1))},
      type};
}

/// The product of both sides less their zero points, in i32.
static Tensor product(Lowering &l, Places at) {
  Type wide = l.b.getI32Type();
  if (l.in(at.x).rank() > 1)
    if (std::optional<Tensor> weights = floatWeights(l, at)) {
      Tensor x = centred(l, at.x, at.xZero, true, l.b.getF32Type());
      return l.map(contract(l, x, *weights), wide,
                   [&](Scalars &s, ValueRange v) -> Value {
                     return arith::FPToSIOp::create(s.b, s.loc, wide, v[0]);
                   });
    }
  return contract(l, centred(l, at.x, at.xZero, true, wide),
                  centred(l, at.y, at.yZero, false, wide));
}

/// a, b, and their zero points
static LogicalResult lowerMatMulInteger(NodeOp, Lowering &l) {
  l.out(0, product(l, {0, 2, 1, 3}));
  return success();
}

/// Operands a, scale, zero; b, scale, zero; the result's scale and zero.
static LogicalResult lowerQLinearMatMul(NodeOp, Lowering &l) {
  Tensor integers = product(l, {0, 2, 3, 5});
  Type real = computeType(l.in(1).elementType), type = l.type();
  Tensor left = l.in(1);
  if (left.rank() == 1)
    left = l.keepDims(left, {1});
  SmallVector<Tensor> ins = {integers, left, l.in(4), l.in(6), l.in(7)};
  l.out(0, l.map(ins, type, integers.shape, [&](Scalars &s, ValueRange v) {
    Value value = s.cast(v[0], integers.elementType, real);
    Value scaled = s.mul(value, s.mul(v[1], v[2]));
    return quantize(s, scaled, v[3], v[4], type);
  }));
  return success();
}

ArrayRef<Entry> lowering::integerProductLowerings() {
  static const Entry entries[] = {
      {onnxDomain, "MatMulInteger", 10, latest, lowerMatMulInteger},
      {onnxDomain, "QLinearMatMul", 10, latest, lowerQLinearMatMul},
  };
  return entries;
}
