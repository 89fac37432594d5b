// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Drives the symbolic shape analysis: seeds arguments and constants, visits
// nodes in order, asks the tables of ShapeRules.h, and merges what they say
// with the result types that ONNX's own inference left. Starts again when two
// symbols turn out to be equal, until nothing new is found.
#include "sparse-opt/Analysis/SymbolicShapes.h"
#include "ShapeRules.h"
#include "dialects/Ffn/FfnOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "sparse-opt/Analysis/ConstantData.h"
#include <cmath>

using namespace mlir;
using namespace sparse_opt;

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

static std::optional<ArrayRef<Dim>>
find(const llvm::DenseMap<Value, DimList> &map, Value value) {
  auto it = map.find(value);
  if (!value || it == map.end())
    return std::nullopt;
  return ArrayRef<Dim>(it->second);
}

static std::optional<SmallVector<DimExpr>>
allKnown(std::optional<ArrayRef<Dim>> list) {
  if (!list || !llvm::all_of(*list, [](const Dim &dim) { return !!dim; }))
    return std::nullopt;
  return llvm::map_to_vector(*list, [](const Dim &dim) { return *dim; });
}

std::optional<ArrayRef<Dim>> SymbolicShapes::getShape(Value value) const {
  return find(shapes, value);
}
std::optional<ArrayRef<Dim>> SymbolicShapes::getContents(Value value) const {
  return find(contents, value);
}
std::optional<SmallVector<DimExpr>>
SymbolicShapes::getKnownShape(Value value) const {
  return allKnown(getShape(value));
}
std::optional<SmallVector<DimExpr>>
SymbolicShapes::getKnownContents(Value value) const {
  return allKnown(getContents(value));
}

Dim SymbolicShapes::getDim(Value value, int64_t dim) const {
  std::optional<ArrayRef<Dim>> shape = getShape(value);
  if (!shape)
    return std::nullopt;
  std::optional<size_t> axis = normalizeAxis(dim, shape->size());
  return axis ? (*shape)[*axis] : Dim();
}

//===----------------------------------------------------------------------===//
// Facts
//===----------------------------------------------------------------------===//

/// What the type says; unknown sizes are nothing.
static std::optional<DimList> shapeOfType(Type type) {
  auto ranked = dyn_cast<RankedTensorType>(type);
  if (!ranked)
    return std::nullopt;
  DimList shape;
  for (int64_t size : ranked.getShape())
    shape.push_back(ShapedType::isDynamic(size) ? Dim() : Dim(DimExpr(size)));
  return shape;
}

/// Sums with hundreds of terms come from broken models: they count as unknown
/// before they fill the memory.
static bool isReasonable(const DimExpr &expr) {
  return expr.getTerms().size() <= 32 &&
         llvm::all_of(expr.getTerms(), [](const DimTerm &term) {
           return term.factors.size() <= 16 &&
                  llvm::all_of(term.factors, [](const DimAtomRef &atom) {
                    return atom->text.size() <= 512;
                  });
         });
}

void SymbolicShapes::resolveAll(DimList &list) const {
  for (Dim &dim : list) {
    if (dim && isReasonable(*dim))
      dim = resolve(*dim);
    if (dim && !isReasonable(*dim))
      dim = std::nullopt;
  }
}

void SymbolicShapes::setShape(Value value, DimList shape) {
  resolveAll(shape);
  // Static sizes of the type stand (except 0, which ONNX's inference writes
  // for what it doesn't know); a rule of another rank is wrong.
  if (std::optional<DimList> typed = shapeOfType(value.getType())) {
    shape.resize(typed->size() == shape.size() ? shape.size() : 0);
    shape.resize(typed->size());
    for (auto [dim, known] : llvm::zip(shape, *typed))
      if (known && !(dim && known->isConstant(0)))
        dim = known;
  }
  shapes[value] = std::move(shape);
}

void SymbolicShapes::setContents(Value value, DimList list) {
  if (list.size() > maxTrackedElements)
    return;
  resolveAll(list);
  contents[value] = std::move(list);
}

DimExpr SymbolicShapes::resolve(const DimExpr &expr) const {
  if (equal.empty())
    return expr;
  return expr.substitute([&](StringRef name) -> std::optional<DimExpr> {
    auto it = equal.find(name);
    if (it == equal.end())
      return std::nullopt;
    return it->second;
  });
}

static bool mentions(const DimExpr &expr, StringRef symbol) {
  SmallVector<std::string> names;
  expr.collectSymbols(names);
  return llvm::is_contained(names, symbol);
}

/// a and b of a - b: past + n and other + n are equal when past and other are.
static std::optional<std::pair<DimExpr, DimExpr>>
differenceOfSymbols(const DimExpr &difference) {
  ArrayRef<DimTerm> terms = difference.getTerms();
  auto isSymbol = [](const DimTerm &term) {
    return term.factors.size() == 1 &&
           term.factors.front()->kind == DimAtom::Symbol;
  };
  if (terms.size() != 2 || !isSymbol(terms[0]) || !isSymbol(terms[1]) ||
      std::abs(terms[0].coefficient) != 1 ||
      terms[0].coefficient != -terms[1].coefficient)
    return std::nullopt;
  return std::pair(DimExpr::symbol(terms[0].factors.front()->text),
                   DimExpr::symbol(terms[1].factors.front()->text));
}

void SymbolicShapes::assumeEqual(const DimExpr &a, const DimExpr &b,
                                 Operation *op) {
  // A branch that isn't taken promises nothing.
  if (!isa_and_nonnull<func::FuncOp>(op->getParentOp()))
    return;
  DimExpr lhs = resolve(a), rhs = resolve(b);
  if (lhs == rhs || (lhs.constant() && rhs.constant()))
    return;
  std::optional<StringRef> left = lhs.symbolName(), right = rhs.symbolName();
  // Of two symbols the one that was seen first stays.
  if (left && right && symbolOrder.lookup(*left) > symbolOrder.lookup(*right)) {
    std::swap(lhs, rhs);
    std::swap(left, right);
  }
  if (right && !mentions(lhs, *right))
    return addEqual(*right, lhs, op);
  if (left && !mentions(rhs, *left))
    return addEqual(*left, rhs, op);
  if (auto symbols = differenceOfSymbols(lhs - rhs))
    return assumeEqual(symbols->first, symbols->second, op);
  if (llvm::none_of(assumptions, [&](const SizeAssumption &known) {
        return (known.lhs == lhs && known.rhs == rhs) ||
               (known.lhs == rhs && known.rhs == lhs);
      }))
    assumptions.push_back({lhs, rhs, op});
}

void SymbolicShapes::addEqual(StringRef symbol, const DimExpr &expr,
                              Operation *op) {
  std::string name = symbol.str();
  equal.try_emplace(name, expr);
  equalAt.push_back({DimExpr::symbol(name), expr, op});
  for (auto &entry : equal)
    if (entry.getKey() != name)
      entry.second = resolve(entry.second);
  foundEqual = true;
}

Dim SymbolicShapes::broadcast(const Dim &a, const Dim &b, Operation *op) {
  if (a && a->isConstant(1))
    return b;
  if (b && b->isConstant(1))
    return a;
  if (!a || !b) {
    // An unknown size beside a constant other than 1 can only be it or 1.
    const Dim &known = a ? a : b;
    return known && known->constant() ? known : std::nullopt;
  }
  if (*a == *b)
    return a;
  assumeEqual(*a, *b, op);
  if (a->constant())
    return a;
  if (b->constant())
    return b;
  return (*a - *b).provablyAtLeast(0) ? a : b;
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

void SymbolicShapes::seedArguments(func::FuncOp function) {
  for (BlockArgument argument : function.getArguments()) {
    auto names = function.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(),
                                                      "onnx.dims");
    std::optional<DimList> shape = shapeOfType(argument.getType());
    if (!shape)
      continue;
    for (unsigned i = 0; names && i < shape->size() && i < names.size(); ++i) {
      auto text = dyn_cast<StringAttr>(names[i]);
      if ((*shape)[i] || !text)
        continue;
      DimExpr dim = DimExpr::fromInputDim(text.getValue());
      (*shape)[i] = dim;
      if (std::optional<StringRef> name = dim.symbolName()) {
        symbolOrder.try_emplace(*name, symbolOrder.size() + 1);
        sources.try_emplace(*name, argument.getArgNumber(), i);
      }
    }
    setShape(argument, std::move(*shape));
  }
}

void SymbolicShapes::readDimNames(func::FuncOp function) {
  // An input dim called "past + sequence" beside dims of these names is their
  // sum, as exporters mean it.
  for (const auto &source : sources) {
    std::optional<DimExpr> sum = DimExpr::parse(source.getKey());
    if (!sum || sum->symbolName() || sum->constant())
      continue;
    SmallVector<std::string> names;
    sum->collectSymbols(names);
    if (llvm::all_of(names, [&](StringRef name) {
          return sources.contains(name) && name != source.getKey();
        }))
      addEqual(source.getKey(), *sum, function);
  }
}

static void visitConstant(onnx::ConstantOp op, SymbolicShapes &shapes) {
  shapes.setShape(op.getResult(), *shapeOfType(op.getType()));
  auto type = cast<RankedTensorType>(op.getType());
  if (type.getRank() > 1 || !type.hasStaticShape() ||
      type.getNumElements() > static_cast<int64_t>(maxTrackedElements))
    return;
  std::optional<ConstantData> data = getConstantData(op.getValue());
  if (!data)
    return;
  DimList elements;
  bool isFloat = isa<FloatType>(type.getElementType());
  for (int64_t i = 0; i < data->size(); ++i) {
    double value = isFloat ? data->getDouble(i) : 0;
    if (isFloat && (value != std::floor(value) || std::fabs(value) > 1e15))
      elements.push_back(std::nullopt);
    else
      elements.push_back(DimExpr(data->getInteger(i)));
  }
  shapes.setContents(op.getResult(), std::move(elements));
}

static void visitDims(onnx::DimsOp op, SymbolicShapes &shapes) {
  shapes.setShape(op.getResult(), *shapeOfType(op.getType()));
  DimList elements;
  for (Attribute text : op.getExprs())
    elements.push_back(DimExpr::parse(cast<StringAttr>(text).getValue()));
  shapes.setContents(op.getResult(), std::move(elements));
}

/// Of a block's kin: rows of `x`, as wide as the columns of `weight`.
static void visitRows(Value x, Value weight, Value result,
                      SymbolicShapes &shapes) {
  std::optional<ArrayRef<Dim>> rows = shapes.getShape(x);
  std::optional<ArrayRef<Dim>> columns = shapes.getShape(weight);
  if (!rows || rows->empty() || !columns || columns->empty())
    return;
  DimList shape = toList(*rows);
  shape.back() = columns->back();
  shapes.setShape(result, std::move(shape));
}

static void visitFfn(Operation *op, SymbolicShapes &shapes) {
  if (auto block = dyn_cast<ffn::BlockOp>(op))
    visitRows(block.getX(), block.getDown(), block.getY(), shapes);
  else if (auto score = dyn_cast<ffn::ScoreOp>(op))
    visitRows(score.getX(), score.getWeight(), score.getResult(), shapes);
  else if (auto linear = dyn_cast<ffn::LinearOp>(op))
    visitRows(linear.getX(), linear.getOffset(), linear.getY(), shapes);
  else if (auto correct = dyn_cast<ffn::CorrectOp>(op))
    visitRows(correct.getX(), correct.getDown(), correct.getY(), shapes);
  else if (isa<ffn::KeepOp, arith::AddFOp>(op)) {
    if (std::optional<ArrayRef<Dim>> shape = shapes.getShape(op->getOperand(0)))
      shapes.setShape(op->getResult(0), toList(*shape));
  }
}

static void visitNode(onnx::NodeOp node, SymbolicShapes &shapes) {
  if (node->getNumResults() == 0 || node.getOperands().empty())
    return;
  ShapeRule rule = lookupLayoutRule(node);
  if (!rule)
    rule = lookupMathRule(node);
  if (!rule)
    rule = lookupSpatialRule(node);
  if (!rule)
    rule = lookupAttentionRule(node);
  if (rule)
    rule(node, shapes);
  if (ShapeRule contentRule = lookupContentRule(node))
    contentRule(node, shapes);
}

void SymbolicShapes::visit(Block &block) {
  for (BlockArgument argument : block.getArguments())
    if (!shapes.contains(argument))
      if (std::optional<DimList> typed = shapeOfType(argument.getType()))
        shapes[argument] = std::move(*typed);
  for (Operation &op : block) {
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        visit(inner);
    if (auto constant = dyn_cast<onnx::ConstantOp>(op))
      visitConstant(constant, *this);
    else if (auto dims = dyn_cast<onnx::DimsOp>(op))
      visitDims(dims, *this);
    else if (auto node = dyn_cast<onnx::NodeOp>(op))
      visitNode(node, *this);
    else
      visitFfn(&op, *this);
    for (Value result : op.getResults())
      if (!shapes.contains(result))
        if (std::optional<DimList> typed = shapeOfType(result.getType()))
          shapes[result] = std::move(*typed);
  }
}

SymbolicShapes::SymbolicShapes(func::FuncOp function) {
  // Every round but the last eliminates a symbol, so this ends.
  do {
    foundEqual = false;
    shapes.clear();
    contents.clear();
    assumptions.clear();
    seedArguments(function);
    if (equal.empty())
      readDimNames(function);
    for (Block &block : function.getBody())
      visit(block);
  } while (foundEqual);
  for (const SizeAssumption &known : equalAt)
    if (!known.rhs.symbolName() && !known.rhs.constant())
      assumptions.push_back(known);
}
