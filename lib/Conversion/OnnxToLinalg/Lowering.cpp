// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Operands, results and sizes of the node being lowered. The code it is made
// of is in LoweringCode.cpp and LoweringShapes.cpp.
#include "Lowering.h"
#include "RuntimeChecks.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;

Lowering::Lowering(func::FuncOp function, const SymbolicShapes &shapes)
    : sizes(function, shapes), b(function.getContext()),
      loc(function.getLoc()) {
  b.setInsertionPointToStart(&function.getBody().front());
  for (BlockArgument argument : function.getArguments())
    if (isa<RankedTensorType>(argument.getType()))
      tensors[argument] = argumentTensor(argument);
}

/// Sizes that the analysis found to be constant are made so here.
Tensor Lowering::argumentTensor(BlockArgument argument) {
  auto type = ::cast<RankedTensorType>(argument.getType());
  auto function = ::cast<func::FuncOp>(argument.getOwner()->getParentOp());
  auto onnxType =
      function.getArgAttrOfType<TypeAttr>(argument.getArgNumber(), "onnx.type");
  auto known = sizes.shapes.getShape(argument);
  Sizes shape;
  for (int64_t i = 0; i < type.getRank(); ++i) {
    if (!type.isDynamicDim(i))
      shape.push_back(sizes.get(type.getDimSize(i)));
    else if (known && (*known)[i])
      shape.push_back(sizes.get(*(*known)[i]));
    else
      shape.push_back(tensor::DimOp::create(b, loc, argument, i).getResult());
  }
  Value value = argument;
  RankedTensorType wanted = tensorType(shape, type.getElementType());
  if (wanted.getShape() != type.getShape())
    value = tensor::CastOp::create(b, loc, wanted, argument);
  return {value, shape, onnxType.getValue()};
}

void Lowering::begin(Operation *current) {
  op = current;
  loc = op->getLoc();
  b.setInsertionPoint(op);
}

LogicalResult Lowering::fail(const Twine &message) {
  auto node = ::cast<onnx::NodeOp>(op);
  return emitError(loc) << "'" << node.getOpType() << "' (opset "
                        << node.getVersion() << ") " << message;
}

//===----------------------------------------------------------------------===//
// Operands and results
//===----------------------------------------------------------------------===//

bool Lowering::has(unsigned i) {
  return i < op->getNumOperands() &&
         !isa<NoneType>(op->getOperand(i).getType());
}

bool Lowering::wanted(unsigned i) {
  return i < op->getNumResults() && !op->getResult(i).use_empty();
}

Type Lowering::type(unsigned i) {
  return getElementTypeOrSelf(op->getResult(i).getType());
}

Tensor Lowering::lookup(Value value) {
  auto it = tensors.find(value);
  if (it != tensors.end())
    return it->second;
  Tensor result = materialize(value);
  tensors[value] = result;
  return result;
}

/// Constants and computed shapes come into being where something reads them
/// as a tensor: most are read at compile time only.
Tensor Lowering::materialize(Value value) {
  if (auto dims = value.getDefiningOp<onnx::DimsOp>())
    return materializeDims(dims);
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  assert(constant && "operands are lowered before their users");
  auto type = ::cast<RankedTensorType>(value.getType());
  Type elementType = type.getElementType(), storage = signless(elementType);
  ElementsAttr attr = constant.getValue();
  if (storage != elementType) {
    if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr))
      attr = DenseResourceElementsAttr::get(type.clone(storage),
                                            resource.getRawHandle());
    else
      attr = ::cast<DenseElementsAttr>(attr).bitcast(storage);
  }
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(constant);
  Value result =
      arith::ConstantOp::create(b, constant.getLoc(), ::cast<TypedAttr>(attr));
  Sizes shape;
  for (int64_t size : type.getShape())
    shape.push_back(sizes.get(size));
  return {result, shape, elementType};
}

Tensor Lowering::materializeDims(onnx::DimsOp dims) {
  auto type = ::cast<RankedTensorType>(dims.getType());
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(dims);
  Scalars s(b, dims.getLoc());
  SmallVector<Value> elements;
  for (Attribute text : dims.getExprs()) {
    std::optional<DimExpr> expr =
        DimExpr::parse(::cast<StringAttr>(text).getValue());
    assert(expr && "onnx.dims holds expressions");
    elements.push_back(
        s.fromIndex(index(sizes.get(*expr)), signless(type.getElementType())));
  }
  Sizes shape;
  for (int64_t size : type.getShape())
    shape.push_back(sizes.get(size));
  auto storage = type.clone(signless(type.getElementType()));
  return {tensor::FromElementsOp::create(
              b, dims.getLoc(), ::cast<RankedTensorType>(storage), elements),
          shape, type.getElementType()};
}

/// A result whose ONNX type knows a size that the lowering didn't is cast.
void Lowering::set(Value original, Tensor tensor) {
  auto declared = dyn_cast<RankedTensorType>(original.getType());
  if (declared && declared.getRank() == tensor.rank()) {
    bool changed = false;
    for (auto [i, size] : llvm::enumerate(declared.getShape()))
      if (!ShapedType::isDynamic(size) &&
          !getConstantIntValue(tensor.shape[i])) {
        tensor.shape[i] = sizes.get(size);
        changed = true;
      }
    if (changed)
      tensor.value = tensor::CastOp::create(
          b, loc, tensorType(tensor.shape, tensor.elementType), tensor.value);
  }
  tensors[original] = tensor;
}

std::optional<Sizes> Lowering::contents(unsigned i) {
  return sizes.contentsOf(op->getOperand(i));
}

std::optional<IntList> Lowering::constants(unsigned i) {
  std::optional<Sizes> all = contents(i);
  if (!all)
    return std::nullopt;
  IntList result;
  for (Size size : *all) {
    std::optional<int64_t> value = getConstantIntValue(size);
    if (!value)
      return std::nullopt;
    result.push_back(*value);
  }
  return result;
}

std::optional<double> Lowering::constantScalar(unsigned i) {
  if (!has(i) || !op->getOperand(i).getDefiningOp<onnx::ConstantOp>())
    return std::nullopt;
  std::optional<Attribute> value = splat(in(i));
  if (!value)
    return std::nullopt;
  if (auto real = dyn_cast<FloatAttr>(*value))
    return real.getValueAsDouble();
  return static_cast<double>(::cast<IntegerAttr>(*value).getInt());
}

/// The value of every element when that is one constant.
std::optional<Attribute> Lowering::splat(const Tensor &x) {
  if (auto fill = x.value.getDefiningOp<linalg::FillOp>()) {
    Attribute scalar;
    if (!matchPattern(fill.getInputs()[0], m_Constant(&scalar)))
      return std::nullopt;
    return scalar;
  }
  auto constant = x.value.getDefiningOp<arith::ConstantOp>();
  if (!constant)
    return std::nullopt;
  auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (auto resource =
          dyn_cast<DenseResourceElementsAttr>(constant.getValue())) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (resource.getType().getNumElements() != 1 || !blob)
      return std::nullopt;
    elements = DenseElementsAttr::getFromRawBuffer(resource.getType(),
                                                   blob->getData());
  }
  if (!elements || !elements.isSplat())
    return std::nullopt;
  return elements.getSplatValue<Attribute>();
}

LogicalResult Lowering::needRank(unsigned i, int64_t rank) {
  if (!has(i) || in(i).rank() == rank)
    return success();
  return fail("has operand " + Twine(i) + " of rank " + Twine(in(i).rank()) +
              ", not " + Twine(rank));
}

FailureOr<int64_t> Lowering::axis(int64_t axis, int64_t rank) {
  int64_t result = axis < 0 ? axis + rank : axis;
  if (result < 0 || result >= std::max<int64_t>(rank, 1))
    return fail("has axis " + Twine(axis) + " of a tensor of rank " +
                Twine(rank));
  return result;
}

//===----------------------------------------------------------------------===//
// Sizes
//===----------------------------------------------------------------------===//

Value Lowering::index(Size size) {
  return getValueOrCreateConstantIndexOp(b, loc, size);
}

#define BINARY_SIZE(NAME, EXPR, OP)                                            \
  Size Lowering::NAME(Size x, Size y) {                                        \
    auto a = sizes.exprOf(x), c = sizes.exprOf(y);                             \
    if (a && c)                                                                \
      return sizes.get(EXPR);                                                  \
    return arith::OP::create(b, loc, index(x), index(y)).getResult();          \
  }
BINARY_SIZE(add, *a + *c, AddIOp)
BINARY_SIZE(sub, *a - *c, SubIOp)
BINARY_SIZE(mul, *a **c, MulIOp)
BINARY_SIZE(min, DimExpr::min(*a, *c), MinSIOp)
BINARY_SIZE(max, DimExpr::max(*a, *c), MaxSIOp)
#undef BINARY_SIZE

Size Lowering::floorDiv(Size x, int64_t y) {
  if (auto expr = sizes.exprOf(x))
    if (auto quotient = DimExpr::floorDiv(*expr, DimExpr(y)))
      return sizes.get(*quotient);
  return arith::FloorDivSIOp::create(b, loc, index(x), index(size(y)))
      .getResult();
}

Size Lowering::ceilDiv(Size x, int64_t y) {
  return floorDiv(add(x, size(y - 1)), y);
}

Size Lowering::product(ArrayRef<Size> all) {
  DimExpr known = 1;
  Sizes unknown;
  for (Size factor : all) {
    if (auto expr = sizes.exprOf(factor))
      known = known * *expr;
    else
      unknown.push_back(factor);
  }
  Size result = sizes.get(known);
  for (Size factor : unknown)
    result = mul(result, factor);
  return result;
}

bool Lowering::atLeast(Size x, Size y) {
  if (x == y)
    return true;
  auto a = sizes.exprOf(x), c = sizes.exprOf(y);
  return a && c && (*a - *c).provablyAtLeast(0);
}

Size Lowering::common(Size x, Size y, const Twine &what) {
  if (x == y)
    return x;
  emitSizesEqual(b, loc, index(x), index(y), checkMessage(op, what));
  return min(x, y);
}

/// Two sizes, neither known to be 1, that aren't known to be equal either.
static Size broadcastAtRunTime(Lowering &l, Size x, Size y) {
  Scalars s(l.b, l.loc);
  Value a = l.index(x), c = l.index(y), one = s.index(1);
  Value aIsOne = s.equal(a, one);
  Value fits = s.logicalOr(s.equal(a, c), s.logicalOr(aIsOne, s.equal(c, one)));
  emitSizesCheck(
      l.b, l.loc, fits, a, c,
      checkMessage(l.op, "sizes must be equal or 1 to be broadcast"));
  if (getConstantIntValue(x))
    return x;
  if (getConstantIntValue(y))
    return y;
  return s.select(aIsOne, c, a);
}

Sizes Lowering::broadcast(ArrayRef<Sizes> shapes) {
  size_t rank = 0;
  for (const Sizes &shape : shapes)
    rank = std::max(rank, shape.size());
  Sizes result(rank, size(1));
  for (const Sizes &shape : shapes)
    for (size_t i = 0; i < shape.size(); ++i) {
      Size &kept = result[rank - shape.size() + i];
      if (isConstantIntValue(kept, 1))
        kept = shape[i];
      else if (kept != shape[i] && !isConstantIntValue(shape[i], 1))
        kept = broadcastAtRunTime(*this, kept, shape[i]);
    }
  return result;
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

RankedTensorType Lowering::tensorType(ArrayRef<Size> shape, Type elementType) {
  SmallVector<int64_t> dims;
  for (Size size : shape)
    dims.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  return RankedTensorType::get(dims, signless(elementType));
}

Value Lowering::empty(ArrayRef<Size> shape, Type elementType) {
  return tensor::EmptyOp::create(b, loc, shape, signless(elementType));
}

Value Lowering::scalarConstant(Type type, double value) {
  return Scalars(b, loc).constant(signless(type), value);
}

Tensor Lowering::fill(ArrayRef<Size> shape, Type elementType, Value scalar) {
  Value filled =
      linalg::FillOp::create(b, loc, scalar, empty(shape, elementType))
          .getResult(0);
  return {filled, Sizes(shape), elementType};
}

Tensor Lowering::zeros(ArrayRef<Size> shape, Type elementType) {
  return fill(shape, elementType, scalarConstant(elementType, 0));
}
