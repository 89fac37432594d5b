// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// See SizeTable.h.
#include "SizeTable.h"
#include "RuntimeChecks.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::lowering;

SizeTable::SizeTable(func::FuncOp function, const SymbolicShapes &shapes)
    : shapes(shapes), function(function), b(function.getContext()),
      bodyBegin(&function.getBody().front().front()) {
  b.setInsertionPoint(bodyBegin);
  // Where a minimum or the like was taken to be equal to something simpler,
  // the simpler one stands for both: all sizes of a loop then agree.
  for (const SizeAssumption &assumption : shapes.getAssumptions()) {
    bool keepLeft = assumption.lhs.str().size() <= assumption.rhs.str().size();
    const DimExpr &kept = keepLeft ? assumption.lhs : assumption.rhs;
    const DimExpr &replaced = keepLeft ? assumption.rhs : assumption.lhs;
    if (!replaced.constant())
      assumed.try_emplace(replaced.str(), kept);
  }
}

DimExpr SizeTable::canonical(const DimExpr &expr) const {
  DimExpr result = expr;
  for (size_t steps = 0; steps <= assumed.size(); ++steps) {
    auto it = assumed.find(result.str());
    if (it == assumed.end())
      break;
    result = it->second;
  }
  return result;
}

Size SizeTable::get(int64_t value) { return b.getIndexAttr(value); }

Size SizeTable::get(const DimExpr &expr) {
  DimExpr kept = canonical(expr);
  if (std::optional<int64_t> value = kept.constant())
    return get(*value);
  Value value = materialize(kept);
  expressions.try_emplace(value, kept);
  return value;
}

std::optional<DimExpr> SizeTable::exprOf(Size size) const {
  if (std::optional<int64_t> value = getConstantIntValue(size))
    return DimExpr(*value);
  auto it = expressions.find(cast<Value>(size));
  if (it == expressions.end())
    return std::nullopt;
  return it->second;
}

std::optional<Sizes> SizeTable::shapeOf(Value value) {
  auto known = shapes.getKnownShape(value);
  if (!known)
    return std::nullopt;
  return llvm::map_to_vector<6>(*known,
                                [&](const DimExpr &expr) { return get(expr); });
}

std::optional<Sizes> SizeTable::contentsOf(Value value) {
  auto known = shapes.getKnownContents(value);
  if (!known)
    return std::nullopt;
  return llvm::map_to_vector<6>(*known,
                                [&](const DimExpr &expr) { return get(expr); });
}

//===----------------------------------------------------------------------===//
// Expressions to arith
//===----------------------------------------------------------------------===//

Value SizeTable::materialize(const DimExpr &expr) {
  std::string key = expr.str();
  if (Value known = values.lookup(key))
    return known;
  Location loc = function.getLoc();
  Value sum;
  int64_t constant = 0;
  for (const DimTerm &term : expr.getTerms()) {
    if (term.factors.empty()) {
      constant += term.coefficient;
      continue;
    }
    Value product;
    for (const DimAtomRef &atom : term.factors) {
      Value factor = materialize(*atom);
      product =
          product ? arith::MulIOp::create(b, loc, product, factor) : factor;
    }
    if (term.coefficient != 1)
      product = arith::MulIOp::create(
          b, loc, product,
          arith::ConstantIndexOp::create(b, loc, term.coefficient));
    sum = sum ? arith::AddIOp::create(b, loc, sum, product) : product;
  }
  if (!sum)
    return values[key] = arith::ConstantIndexOp::create(b, loc, constant);
  if (constant != 0)
    sum = arith::AddIOp::create(
        b, loc, sum, arith::ConstantIndexOp::create(b, loc, constant));
  return values[key] = sum;
}

Value SizeTable::materialize(const DimAtom &atom) {
  if (atom.kind == DimAtom::Symbol)
    return symbol(atom.text);
  if (Value known = values.lookup(atom.text))
    return known;
  Location loc = function.getLoc();
  Value x = materialize(atom.operands[0]), y = materialize(atom.operands[1]);
  auto divisor = [&]() -> Value { // a size of zero must not trap
    Value zero = arith::ConstantIndexOp::create(b, loc, 0);
    Value one = arith::ConstantIndexOp::create(b, loc, 1);
    Value isZero =
        arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, y, zero);
    return arith::SelectOp::create(b, loc, isZero, one, y);
  };
  Value result;
  switch (atom.kind) {
  case DimAtom::Symbol:
    llvm_unreachable("handled above");
  case DimAtom::FloorDiv:
    result = arith::FloorDivSIOp::create(b, loc, x, divisor());
    break;
  case DimAtom::CeilDiv:
    result = arith::CeilDivSIOp::create(b, loc, x, divisor());
    break;
  case DimAtom::TruncDiv:
    result = arith::DivSIOp::create(b, loc, x, divisor());
    break;
  case DimAtom::Mod: {
    Value safe = divisor();
    Value quotient = arith::FloorDivSIOp::create(b, loc, x, safe);
    result = arith::SubIOp::create(
        b, loc, x, arith::MulIOp::create(b, loc, quotient, safe));
    break;
  }
  case DimAtom::Min:
    result = arith::MinSIOp::create(b, loc, x, y);
    break;
  case DimAtom::Max:
    result = arith::MaxSIOp::create(b, loc, x, y);
    break;
  }
  return values[atom.text] = result;
}

Value SizeTable::symbol(StringRef name) {
  std::string key = DimExpr::symbol(name).str();
  if (Value known = values.lookup(key))
    return known;
  auto source = shapes.getSource(name);
  assert(source && "a symbol that no argument declares");
  return values[key] = tensor::DimOp::create(
             b, function.getLoc(), function.getArgument(source->first),
             source->second);
}

/// c where `x == y` says that the symbol x is at most c, y being min(c, x), or
/// at least c, y being max(c, x).
static std::optional<int64_t> limit(DimAtom::Kind kind, const DimExpr &x,
                                    const DimExpr &y) {
  if (!x.symbolName() || y.getTerms().size() != 1 ||
      y.getTerms().front().coefficient != 1 ||
      y.getTerms().front().factors.size() != 1)
    return std::nullopt;
  const DimAtom &atom = *y.getTerms().front().factors.front();
  if (atom.kind != kind)
    return std::nullopt;
  if (atom.operands[1] == x)
    return atom.operands[0].constant();
  if (atom.operands[0] == x)
    return atom.operands[1].constant();
  return std::nullopt;
}

static std::string describe(const DimExpr &x, const DimExpr &y) {
  if (auto most = limit(DimAtom::Min, x, y))
    return x.str() + " must be at most " + std::to_string(*most);
  if (auto least = limit(DimAtom::Max, x, y))
    return x.str() + " must be at least " + std::to_string(*least);
  return x.str() + " must be equal to " + y.str();
}

void SizeTable::checkAssumptions() {
  for (const SizeAssumption &assumption : shapes.getAssumptions()) {
    const DimExpr *x = &assumption.lhs, *y = &assumption.rhs;
    if (limit(DimAtom::Min, *y, *x) || limit(DimAtom::Max, *y, *x))
      std::swap(x, y);
    emitSizesEqual(b, assumption.op->getLoc(), materialize(*x), materialize(*y),
                   checkMessage(assumption.op, describe(*x, *y)));
  }
}
