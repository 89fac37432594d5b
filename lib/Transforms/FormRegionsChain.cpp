// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Recognises contractions and the element-wise ops around them, and turns
// those ops into the scalar region of a kernel op. Which operands a region may
// read is the caller's matter.
#include "FormRegionsInternal.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace sparse_opt;

//===----------------------------------------------------------------------===//
// Contractions
//===----------------------------------------------------------------------===//

static bool isZero(Value init) {
  auto fill = init.getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.getInputs().front(), m_AnyZeroFloat());
}

/// acc + a * b on f32, in any order of operands.
static bool isMultiplyAdd(Block &body) {
  if (body.getOperations().size() != 3)
    return false;
  auto mul = dyn_cast<arith::MulFOp>(body.front());
  auto add = dyn_cast<arith::AddFOp>(*std::next(body.begin()));
  if (!mul || !add || !mul.getType().isF32())
    return false;
  Value a = body.getArgument(0), b = body.getArgument(1),
        sum = body.getArgument(2), product = mul.getResult();
  auto takes = [](Operation *op, Value x, Value y) {
    Value left = op->getOperand(0), right = op->getOperand(1);
    return (left == x && right == y) || (left == y && right == x);
  };
  return takes(mul, a, b) && takes(add, sum, product) &&
         body.getTerminator()->getOperand(0) == add.getResult();
}

std::optional<Contraction> sparse_opt::matchContraction(linalg::GenericOp op) {
  unsigned loops = op.getNumLoops();
  if (op.getNumDpsInputs() != 2 || op->getNumResults() != 1 || loops < 3 ||
      op.getNumReductionLoops() != 1 || !isMultiplyAdd(*op.getBody()) ||
      !isZero(op.getDpsInits().front()))
    return std::nullopt;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  AffineMap outer = AffineMap::getMultiDimIdentityMap(loops, op.getContext())
                        .getMajorSubMap(loops - 1);
  if (maps.back() != outer)
    return std::nullopt;
  Contraction found{op, op.getInputs()[0], op.getInputs()[1], maps[0], maps[1]};
  if (found.lhsMap.isFunctionOfDim(found.n())) {
    std::swap(found.lhs, found.rhs);
    std::swap(found.lhsMap, found.rhsMap);
  }
  if (found.lhsMap.isFunctionOfDim(found.n()) ||
      found.rhsMap.isFunctionOfDim(found.m()))
    return std::nullopt;
  return found;
}

SmallVector<OpFoldResult> sparse_opt::sizesOf(OpBuilder &builder,
                                              linalg::GenericOp op) {
  Value init = op.getDpsInits().front();
  if (auto fill = init.getDefiningOp<linalg::FillOp>())
    init = fill.getDpsInits().front();
  if (auto empty = init.getDefiningOp<tensor::EmptyOp>())
    return empty.getMixedSizes();
  return tensor::getMixedSizes(builder, op.getLoc(), init);
}

//===----------------------------------------------------------------------===//
// Chains
//===----------------------------------------------------------------------===//

/// All loops parallel, result in loop order, body of arith and math only.
static bool isElementwise(linalg::GenericOp op) {
  if (op.getNumReductionLoops() != 0 || op->getNumResults() != 1 ||
      !op.getIndexingMapsArray().back().isIdentity())
    return false;
  Block &body = *op.getBody();
  if (!body.getArguments().back().use_empty())
    return false;
  return llvm::all_of(body.without_terminator(), [](Operation &inner) {
    return isa_and_nonnull<arith::ArithDialect, math::MathDialect>(
               inner.getDialect()) &&
           (inner.hasTrait<OpTrait::Elementwise>() ||
            inner.hasTrait<OpTrait::ConstantLike>());
  });
}

/// Element-wise users of `start`, their users and so on, in program order.
static SmallVector<linalg::GenericOp> elementwiseUsers(Value start) {
  Block *block = start.getParentBlock();
  SetVector<Operation *> found;
  SmallVector<Value> values = {start};
  while (!values.empty()) {
    Value value = values.pop_back_val();
    for (Operation *user : value.getUsers()) {
      auto generic = dyn_cast<linalg::GenericOp>(user);
      if (generic && generic->getBlock() == block && isElementwise(generic) &&
          found.insert(generic))
        values.push_back(generic->getResult(0));
    }
  }
  SmallVector<Operation *> ordered = found.takeVector();
  llvm::sort(ordered,
             [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  return llvm::map_to_vector(
      ordered, [](Operation *op) { return cast<linalg::GenericOp>(op); });
}

std::optional<Chain>
sparse_opt::growChain(Value start,
                      llvm::function_ref<bool(OpOperand &)> isExtra,
                      llvm::function_ref<bool(Value)> isExit) {
  llvm::SmallPtrSet<Operation *, 8> inside;
  llvm::SmallSetVector<Value, 8> values;
  values.insert(start);
  auto isClosed = [&](Value exit) {
    return llvm::all_of(values, [&](Value value) {
      return value == exit || llvm::all_of(value.getUsers(), [&](Operation *u) {
               return inside.contains(u);
             });
    });
  };
  std::optional<Chain> longest;
  Chain chain{start, start, {}};
  if (isExit(start))
    longest = chain;
  for (linalg::GenericOp op : elementwiseUsers(start)) {
    bool joins =
        llvm::all_of(op.getDpsInputOperands(), [&](OpOperand *operand) {
          return values.contains(operand->get())
                     ? op.getMatchingIndexingMap(operand).isIdentity()
                     : isExtra(*operand);
        });
    if (!joins)
      continue;
    chain.exit = op->getResult(0);
    chain.members.push_back(op);
    inside.insert(op);
    values.insert(chain.exit);
    if (isClosed(chain.exit) && isExit(chain.exit))
      longest = chain;
  }
  return longest;
}

SmallVector<Chain::Extra> Chain::extras() const {
  SmallVector<Extra> found;
  llvm::SmallPtrSet<Value, 8> made = {start};
  for (linalg::GenericOp op : members) {
    for (OpOperand *operand : op.getDpsInputOperands()) {
      Extra extra{operand->get(), op.getMatchingIndexingMap(operand)};
      bool known = llvm::any_of(found, [&](const Extra &other) {
        return other.value == extra.value && other.map == extra.map;
      });
      if (!made.contains(extra.value) && !known)
        found.push_back(extra);
    }
    made.insert(op->getResult(0));
  }
  return found;
}

/// What an element is in memory: a bool is a byte.
static Type storedType(Type type) {
  return type.isInteger(1) ? IntegerType::get(type.getContext(), 8) : type;
}

static Value fromStored(OpBuilder &builder, Location loc, Value stored,
                        Type type) {
  if (stored.getType() == type)
    return stored;
  return arith::TruncIOp::create(builder, loc, type, stored);
}

/// Sizes from what made the tensor: of a view's they would stay unknown, and so
/// would those of a branch's result, from which a generic's follow.
static SmallVector<OpFoldResult> reifySizes(OpBuilder &builder, Location loc,
                                            Value tensor) {
  if (auto op = tensor.getDefiningOp<linalg::GenericOp>();
      op && op.getNumResults() == 1)
    return sizesOf(builder, op);
  ReifiedRankedShapedTypeDims shapes;
  if (auto result = dyn_cast<OpResult>(tensor))
    if (succeeded(reifyResultShapes(builder, result.getOwner(), shapes)))
      return shapes[result.getResultNumber()];
  return tensor::getMixedSizes(builder, loc, tensor);
}

Value sparse_opt::mapElements(
    OpBuilder &builder, Location loc, Value tensor, Type type,
    llvm::function_ref<Value(OpBuilder &, Location, Value)> convert) {
  int64_t rank = cast<RankedTensorType>(tensor.getType()).getRank();
  Value empty = tensor::EmptyOp::create(builder, loc,
                                        reifySizes(builder, loc, tensor), type);
  SmallVector<AffineMap> maps(2, builder.getMultiDimIdentityMap(rank));
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  auto op = linalg::GenericOp::create(
      builder, loc, empty.getType(), tensor, empty, maps, loops,
      [&](OpBuilder &nested, Location loc, ValueRange arguments) {
        linalg::YieldOp::create(nested, loc,
                                convert(nested, loc, arguments.front()));
      });
  return op->getResult(0);
}

Value sparse_opt::asStored(OpBuilder &builder, Location loc, Value tensor) {
  Type element = getElementTypeOrSelf(tensor.getType());
  Type stored = storedType(element);
  if (stored == element)
    return tensor;
  return mapElements(builder, loc, tensor, stored,
                     [&](OpBuilder &nested, Location loc, Value element) {
                       return arith::ExtUIOp::create(nested, loc, stored,
                                                     element);
                     });
}

void Chain::build(Region &region, OpBuilder &builder, Location loc,
                  float factor) const {
  SmallVector<Extra> others = extras();
  SmallVector<Type> types = {getElementTypeOrSelf(start.getType())};
  for (const Extra &extra : others)
    types.push_back(storedType(getElementTypeOrSelf(extra.value.getType())));
  OpBuilder::InsertionGuard guard(builder);
  Block *block = builder.createBlock(&region, region.end(), types,
                                     SmallVector<Location>(types.size(), loc));
  DenseMap<Value, Value> scalars;
  Value first = block->getArgument(0);
  if (factor != 1)
    first = arith::MulFOp::create(
        builder, loc, first,
        arith::ConstantOp::create(builder, loc,
                                  builder.getF32FloatAttr(factor)));
  scalars[start] = first;
  auto scalarOf = [&](Value value, AffineMap map) {
    if (Value scalar = scalars.lookup(value))
      return scalar;
    for (auto [i, extra] : llvm::enumerate(others))
      if (extra.value == value && extra.map == map)
        return fromStored(builder, loc, block->getArgument(1 + i),
                          getElementTypeOrSelf(value.getType()));
    llvm_unreachable("an operand is neither made by the chain nor an extra");
  };
  for (linalg::GenericOp member : members) {
    linalg::GenericOp op = member;
    IRMapping mapping;
    for (OpOperand *operand : op.getDpsInputOperands())
      mapping.map(op.getMatchingBlockArgument(operand),
                  scalarOf(operand->get(), op.getMatchingIndexingMap(operand)));
    for (Operation &inner : op.getBody()->without_terminator())
      builder.clone(inner, mapping);
    scalars[op->getResult(0)] =
        mapping.lookupOrDefault(op.getBody()->getTerminator()->getOperand(0));
  }
  kernel::YieldOp::create(builder, loc, scalars.lookup(exit));
}
