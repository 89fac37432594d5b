// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Structured code: every lowering comes down to the linalg.generic made here.
#include "Lowering.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;

AffineMap Lowering::dims(int64_t numLoops, ArrayRef<int64_t> loops) {
  SmallVector<AffineExpr> results;
  for (int64_t loop : loops)
    results.push_back(b.getAffineDimExpr(loop));
  return AffineMap::get(numLoops, 0, results, b.getContext());
}

AffineMap Lowering::broadcastMap(ArrayRef<Size> shape, ArrayRef<Size> loops) {
  assert(shape.size() <= loops.size() && "an operand has more dimensions");
  SmallVector<AffineExpr> results;
  size_t skipped = loops.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i) {
    bool repeats = isConstantIntValue(shape[i], 1) &&
                   !isConstantIntValue(loops[skipped + i], 1);
    results.push_back(repeats ? b.getAffineConstantExpr(0)
                              : b.getAffineDimExpr(skipped + i));
  }
  return AffineMap::get(loops.size(), 0, results, b.getContext());
}

/// True when broadcastMap reads an operand within its bounds.
bool Lowering::readsInPlace(ArrayRef<Size> shape, ArrayRef<Size> loops) {
  size_t skipped = loops.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i)
    if (shape[i] != loops[skipped + i] && !isConstantIntValue(shape[i], 1))
      return false;
  return true;
}

/// For sizes that may be 1 or the loop's at run time.
Value Lowering::readClamped(Scalars &s, Tensor x, int64_t loops) {
  SmallVector<Value> indices;
  for (int64_t i = 0; i < x.rank(); ++i) {
    Value size = getValueOrCreateConstantIndexOp(s.b, s.loc, x.shape[i]);
    Value loop = loopIndex(s, loops - x.rank() + i);
    indices.push_back(s.clampIndex(loop, size));
  }
  return extract(s, x, indices);
}

Value Lowering::loopIndex(Scalars &s, int64_t loop) {
  return linalg::IndexOp::create(s.b, s.loc, loop);
}

static Value extend(Scalars &s, Value x) {
  Type type = computeType(x.getType());
  return type == x.getType() ? x : arith::ExtFOp::create(s.b, s.loc, type, x);
}

Value Lowering::extract(Scalars &s, Tensor x, ValueRange indices) {
  return extend(s, tensor::ExtractOp::create(s.b, s.loc, x.value, indices));
}

Tensor Lowering::generic(ArrayRef<Size> loops, ArrayRef<Operand> ins,
                         AffineMap out, Type elementType, Value init,
                         ScalarBody body) {
  SmallVector<utils::IteratorType> iterators(loops.size(),
                                             utils::IteratorType::reduction);
  Sizes shape;
  for (AffineExpr expr : out.getResults()) {
    unsigned loop = ::cast<AffineDimExpr>(expr).getPosition();
    iterators[loop] = utils::IteratorType::parallel;
    shape.push_back(loops[loop]);
  }
  SmallVector<Value> values;
  SmallVector<AffineMap> maps;
  for (const Operand &operand : ins) {
    values.push_back(operand.tensor.value);
    maps.push_back(operand.map);
  }
  maps.push_back(out);
  Value dest =
      init ? fill(shape, elementType, init).value : empty(shape, elementType);
  bool isUnsigned = ins.empty() ? elementType.isUnsignedInteger()
                                : ins[0].tensor.elementType.isUnsignedInteger();
  auto build = [&](OpBuilder &nested, Location loc, ValueRange arguments) {
    Scalars s(nested, loc, isUnsigned);
    SmallVector<Value> extended;
    for (Value argument : init ? arguments : arguments.drop_back())
      extended.push_back(extend(s, argument));
    Value result = body(s, extended);
    if (result.getType() != signless(elementType))
      result =
          arith::TruncFOp::create(nested, loc, signless(elementType), result);
    linalg::YieldOp::create(nested, loc, result);
  };
  auto op = linalg::GenericOp::create(b, loc, dest.getType(), values, dest,
                                      maps, iterators, build);
  return {op.getResult(0), shape, elementType};
}

Tensor Lowering::map(ArrayRef<Tensor> ins, Type elementType, ScalarBody body) {
  SmallVector<Sizes> shapes;
  for (const Tensor &operand : ins)
    shapes.push_back(operand.shape);
  return map(ins, elementType, broadcast(shapes), body);
}

/// A constant attribute as a value of the type that is computed in.
static Value captured(Scalars &s, Attribute value) {
  auto real = dyn_cast<FloatAttr>(value);
  if (!real)
    return arith::ConstantOp::create(s.b, s.loc, ::cast<TypedAttr>(value));
  return s.constant(computeType(real.getType()), real.getValueAsDouble());
}

Tensor Lowering::map(ArrayRef<Tensor> ins, Type elementType,
                     ArrayRef<Size> shape, ScalarBody body) {
  SmallVector<Operand> operands;
  SmallVector<std::optional<Attribute>> constants;
  SmallVector<bool> inPlace;
  for (const Tensor &operand : ins) {
    constants.push_back(splat(operand));
    inPlace.push_back(readsInPlace(operand.shape, shape));
    if (!constants.back() && inPlace.back())
      operands.push_back({operand, broadcastMap(operand.shape, shape)});
  }
  int64_t rank = shape.size();
  return generic(
      shape, operands, b.getMultiDimIdentityMap(rank), elementType, {},
      [&](Scalars &s, ValueRange arguments) {
        s.isUnsigned = !ins.empty() && ins[0].elementType.isUnsignedInteger();
        SmallVector<Value> all;
        unsigned next = 0;
        for (auto [i, operand] : llvm::enumerate(ins))
          all.push_back(constants[i] ? captured(s, *constants[i])
                        : inPlace[i] ? arguments[next++]
                                     : readClamped(s, operand, rank));
        return body(s, all);
      });
}

Tensor Lowering::generate(ArrayRef<Size> shape, Type elementType,
                          ScalarBody body) {
  int64_t rank = shape.size();
  return generic(shape, {}, b.getMultiDimIdentityMap(rank), elementType, {},
                 [&](Scalars &s, ValueRange) {
                   SmallVector<Value> indices;
                   for (int64_t i = 0; i < rank; ++i)
                     indices.push_back(loopIndex(s, i));
                   return body(s, indices);
                 });
}

Tensor Lowering::reduce(ArrayRef<Tensor> ins, ArrayRef<int64_t> axes,
                        Type elementType, Value init, ScalarBody body) {
  const Sizes &loops = ins[0].shape;
  SmallVector<int64_t> kept;
  for (int64_t i = 0; i < ins[0].rank(); ++i)
    if (!llvm::is_contained(axes, i))
      kept.push_back(i);
  SmallVector<Operand> operands;
  for (const Tensor &operand : ins)
    operands.push_back({operand, broadcastMap(operand.shape, loops)});
  return generic(loops, operands, dims(loops.size(), kept), elementType, init,
                 body);
}

Tensor Lowering::cast(Tensor x, Type elementType) {
  if (x.elementType == elementType)
    return x;
  if (signless(x.elementType) == signless(elementType)) {
    x.elementType = elementType;
    return x;
  }
  return map(x, elementType, [&](Scalars &s, ValueRange arguments) {
    return s.cast(arguments[0], x.elementType, elementType);
  });
}
