// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Linear quantisation as element-wise arithmetic. What is constant has been
// folded before; this is for activations. Products of what was quantised are
// in IntegerProducts.cpp.
#include "Lowering.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;
using sparse_opt::onnx::NodeOp;

/// Scale or zero point as something that broadcasts to `x`: one value, one
/// per element of an axis, or one per block along it.
static FailureOr<Tensor> parameter(NodeOp node, Lowering &l, const Tensor &x,
                                   unsigned operand) {
  Tensor value = l.in(operand);
  if (l.product(value.shape) == l.size(1))
    return l.reshape(value, {});
  FailureOr<int64_t> axis = l.axis(node.intAttr("axis", 1), x.rank());
  if (failed(axis))
    return failure();
  if (value.rank() == 1) {
    Sizes shape(x.rank() - *axis, l.size(1));
    shape.front() = value.shape[0];
    return l.reshape(value, shape);
  }
  int64_t block = node.intAttr("block_size", 0);
  if (block < 1 || value.rank() != x.rank())
    return l.fail("has a scale that is neither one per element of an axis nor "
                  "one per block");
  // Each block's value, repeated for its elements.
  Sizes split = value.shape, repeated;
  split.insert(split.begin() + *axis + 1, l.size(1));
  repeated = split;
  repeated[*axis + 1] = l.size(block);
  Tensor wide = l.map(l.reshape(value, split), value.elementType, repeated,
                      [](Scalars &, ValueRange v) { return v[0]; });
  Sizes whole = value.shape;
  whole[*axis] = l.mul(whole[*axis], l.size(block));
  return l.slice(l.reshape(wide, whole), *axis, l.size(0), x.shape[*axis]);
}

/// x, its scale and, where the node has one, its zero point.
static FailureOr<SmallVector<Tensor>> withParameters(NodeOp node, Lowering &l,
                                                     Tensor x) {
  SmallVector<Tensor> ins = {x};
  for (unsigned operand : {1, 2}) {
    if (!l.has(operand))
      break;
    FailureOr<Tensor> value = parameter(node, l, x, operand);
    if (failed(value))
      return failure();
    ins.push_back(*value);
  }
  return ins;
}

/// (x - zero point) * scale
static LogicalResult lowerDequantize(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  FailureOr<SmallVector<Tensor>> ins = withParameters(node, l, x);
  if (failed(ins))
    return failure();
  Type compute = computeType((*ins)[1].elementType);
  l.out(0, l.map(*ins, l.type(), x.shape, [&](Scalars &s, ValueRange v) {
    // Differences of 32-bit values may not fit: in the float type.
    Value value = s.cast(v[0], x.elementType, compute);
    if (v.size() > 2)
      value = s.sub(value, s.cast(v[2], x.elementType, compute));
    return s.mul(value, v[1]);
  }));
  return success();
}

/// round(x / scale) + zero point, saturated
Value lowering::quantize(Scalars &s, Value x, Value scale, Value zero,
                         Type type) {
  Type compute = x.getType();
  Value rounded = math::RoundEvenOp::create(s.b, s.loc, s.div(x, scale));
  if (zero)
    rounded = s.add(rounded, s.cast(zero, type, compute));
  return s.cast(rounded, compute, type);
}

static LogicalResult lowerQuantize(NodeOp node, Lowering &l) {
  Tensor x = l.in(0);
  Type type = l.type();
  if (!isa<IntegerType>(type))
    return l.fail("to a float type has no lowering to CPU code");
  FailureOr<SmallVector<Tensor>> ins = withParameters(node, l, x);
  if (failed(ins))
    return failure();
  Type compute = isa<FloatType>(x.elementType) ? computeType(x.elementType)
                                               : l.b.getF32Type();
  l.out(0, l.map(*ins, type, x.shape, [&](Scalars &s, ValueRange v) {
    Value value = s.cast(v[0], x.elementType, compute);
    Value factor = s.cast(v[1], computeType((*ins)[1].elementType), compute);
    return quantize(s, value, factor, v.size() > 2 ? v[2] : Value(), type);
  }));
  return success();
}

/// The smallest or largest element, or 0.
static Tensor extreme(Lowering &l, Tensor x, bool largest) {
  IntList axes = llvm::to_vector<6>(llvm::seq<int64_t>(0, x.rank()));
  return l.reduce(x, axes, x.elementType, l.scalarConstant(x.elementType, 0),
                  [&](Scalars &s, ValueRange v) {
                    return largest ? s.max(v[1], v[0]) : s.min(v[1], v[0]);
                  });
}

/// To ui8, with the scale and zero point that the values need.
static LogicalResult lowerDynamicQuantize(NodeOp, Lowering &l) {
  Tensor x = l.in(0);
  Type real = x.elementType, type = l.type(0);
  Tensor low = extreme(l, x, false), high = extreme(l, x, true);
  Tensor scale = l.map({high, low}, real, [&](Scalars &s, ValueRange v) {
    Value range = s.div(s.sub(v[0], v[1]), s.constant(real, 255));
    // All zero: any scale will do.
    Value isZero = s.equal(range, s.constant(real, 0));
    return s.select(isZero, s.constant(real, 1), range);
  });
  Tensor zero = l.map({low, scale}, type, [&](Scalars &s, ValueRange v) {
    Value exact = s.neg(s.div(v[0], v[1]));
    Value rounded = math::RoundEvenOp::create(s.b, s.loc, exact);
    return s.cast(rounded, real, type);
  });
  l.out(0, l.map({x, scale, zero}, type, [&](Scalars &s, ValueRange v) {
    return quantize(s, v[0], v[1], v[2], type);
  }));
  l.out(1, scale);
  l.out(2, zero);
  return success();
}

ArrayRef<Entry> lowering::quantizationLowerings() {
  static const Entry entries[] = {
      {onnxDomain, "DequantizeLinear", 10, latest, lowerDequantize},
      {onnxDomain, "QuantizeLinear", 10, latest, lowerQuantize},
      {onnxDomain, "DynamicQuantizeLinear", 11, latest, lowerDynamicQuantize},
      {microsoft, "DequantizeLinear", 1, latest, lowerDequantize},
      {microsoft, "QuantizeLinear", 1, latest, lowerQuantize},
  };
  return entries;
}
