// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads sizes out of index arithmetic and writes them back. Only minima are
// bounded; everything else is exact or not read at all.
#include "SizeExpr.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sparse_opt;

using Expr = std::optional<DimExpr>;

llvm::StringMap<Value> sparse_opt::symbolArguments(func::FuncOp func) {
  llvm::StringMap<Value> symbols;
  for (BlockArgument argument : func.getArguments())
    if (auto name = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                      "kernel.symbol"))
      symbols[name.getValue()] = argument;
  return symbols;
}

static Expr ofArgument(BlockArgument argument) {
  auto func = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  if (!func || argument.getOwner() != &func.front())
    return std::nullopt;
  if (auto name = func.getArgAttrOfType<StringAttr>(argument.getArgNumber(),
                                                    "kernel.symbol"))
    return DimExpr::symbol(name.getValue());
  return std::nullopt;
}

/// Size `dim` of output `number`, as @kernel_output_dims computes it.
static Expr ofOutput(func::FuncOp func, int64_t number, int64_t dim) {
  auto module = func->getParentOfType<ModuleOp>();
  auto dims = module.lookupSymbol<func::FuncOp>("kernel_output_dims");
  if (!dims)
    return std::nullopt;
  for (BlockArgument argument : func.getArguments())
    if (auto output = func.getArgAttrOfType<IntegerAttr>(
            argument.getArgNumber(), "kernel.output"))
      if (output.getInt() < number)
        dim += cast<MemRefType>(argument.getType()).getRank();
  return upperBound(dims.front().getTerminator()->getOperand(dim));
}

/// A dynamic dimension of an input or output of the function.
static Expr ofDim(BlockArgument argument, int64_t index) {
  auto func = dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp());
  if (!func)
    return std::nullopt;
  unsigned number = argument.getArgNumber();
  if (auto output = func.getArgAttrOfType<IntegerAttr>(number, "kernel.output"))
    return ofOutput(func, output.getInt(), index);
  auto names = func.getArgAttrOfType<ArrayAttr>(number, "kernel.input_symbols");
  if (!names)
    return std::nullopt;
  auto type = cast<MemRefType>(argument.getType());
  auto name = cast<StringAttr>(names[type.getDynamicDimIndex(index)]);
  return DimExpr::symbol(name.getValue());
}

static Expr ofFoldResult(OpFoldResult size) {
  if (std::optional<int64_t> constant = getConstantIntValue(size))
    return DimExpr(*constant);
  return upperBound(cast<Value>(size));
}

/// Dimension `dim` of what is left of a slice.
static Expr ofSlice(memref::SubViewOp slice, int64_t dim) {
  llvm::SmallBitVector dropped = slice.getDroppedDims();
  for (auto [i, size] : llvm::enumerate(slice.getMixedSizes()))
    if (!dropped.test(i) && dim-- == 0)
      return ofFoldResult(size);
  return std::nullopt;
}

static Expr ofCollapsed(memref::CollapseShapeOp collapse, int64_t dim) {
  DimExpr product(1);
  for (int64_t source : collapse.getReassociationIndices()[dim]) {
    Expr size = upperBoundOfDim(collapse.getSrc(), source);
    if (!size)
      return std::nullopt;
    product = product * *size;
  }
  return product;
}

Expr sparse_opt::upperBoundOfDim(Value buffer, int64_t dim) {
  auto type = cast<MemRefType>(buffer.getType());
  if (!type.isDynamicDim(dim))
    return DimExpr(type.getDimSize(dim));
  if (auto argument = dyn_cast<BlockArgument>(buffer))
    return ofDim(argument, dim);
  return llvm::TypeSwitch<Operation *, Expr>(buffer.getDefiningOp())
      .Case<memref::AllocOp, memref::AllocaOp>([&](auto alloc) {
        return upperBound(
            alloc.getDynamicSizes()[type.getDynamicDimIndex(dim)]);
      })
      .Case([&](memref::ViewOp view) {
        return upperBound(view.getSizes()[type.getDynamicDimIndex(dim)]);
      })
      .Case([&](memref::SubViewOp slice) { return ofSlice(slice, dim); })
      .Case([&](memref::ExpandShapeOp expand) {
        return ofFoldResult(expand.getMixedOutputShape()[dim]);
      })
      .Case([&](memref::CollapseShapeOp collapse) {
        return ofCollapsed(collapse, dim);
      })
      .Case([&](memref::ReinterpretCastOp cast) {
        return ofFoldResult(cast.getMixedSizes()[dim]);
      })
      .Case([&](memref::CastOp cast) {
        return upperBoundOfDim(cast.getSource(), dim);
      })
      .Default([](Operation *) { return std::nullopt; });
}

/// A minimum is bounded by whichever side is known.
static Expr minimum(const Expr &a, const Expr &b) {
  return a && b ? DimExpr::min(*a, *b) : a ? a : b;
}

static Expr ofAffine(AffineExpr expr, unsigned numDims, ValueRange operands) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return DimExpr(constant.getValue());
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return upperBound(operands[dim.getPosition()]);
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return upperBound(operands[numDims + symbol.getPosition()]);
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Expr a = ofAffine(binary.getLHS(), numDims, operands);
  Expr b = ofAffine(binary.getRHS(), numDims, operands);
  if (!a || !b)
    return std::nullopt;
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    return *a + *b;
  case AffineExprKind::Mul:
    return *a * *b;
  case AffineExprKind::FloorDiv:
    return DimExpr::floorDiv(*a, *b);
  case AffineExprKind::CeilDiv:
    return DimExpr::ceilDiv(*a, *b);
  default:
    return DimExpr::mod(*a, *b);
  }
}

static Expr ofBinary(Operation *op) {
  Expr a = upperBound(op->getOperand(0)), b = upperBound(op->getOperand(1));
  if (isa<arith::MinSIOp, arith::MinUIOp>(op))
    return minimum(a, b);
  if (!a || !b)
    return std::nullopt;
  return llvm::TypeSwitch<Operation *, Expr>(op)
      .Case<arith::AddIOp>([&](auto) { return *a + *b; })
      .Case<arith::SubIOp>([&](auto) { return *a - *b; })
      .Case<arith::MulIOp>([&](auto) { return *a * *b; })
      .Case<arith::DivSIOp, arith::DivUIOp>(
          [&](auto) { return DimExpr::truncDiv(*a, *b); })
      .Case<arith::FloorDivSIOp>(
          [&](auto) { return DimExpr::floorDiv(*a, *b); })
      .Case<arith::CeilDivSIOp, arith::CeilDivUIOp>(
          [&](auto) { return DimExpr::ceilDiv(*a, *b); })
      .Case<arith::RemUIOp>([&](auto) { return DimExpr::mod(*a, *b); })
      .Case<arith::MaxSIOp, arith::MaxUIOp>(
          [&](auto) { return DimExpr::max(*a, *b); })
      .Default([](auto) { return std::nullopt; });
}

Expr sparse_opt::upperBound(Value value) {
  if (auto argument = dyn_cast<BlockArgument>(value))
    return ofArgument(argument);
  Operation *op = value.getDefiningOp();
  APInt constant;
  if (matchPattern(value, m_ConstantInt(&constant)))
    return DimExpr(constant.getSExtValue());
  if (auto dim = dyn_cast<memref::DimOp>(op)) {
    std::optional<int64_t> index = dim.getConstantIndex();
    if (!index || !isa<MemRefType>(dim.getSource().getType()))
      return std::nullopt;
    return upperBoundOfDim(dim.getSource(), *index);
  }
  if (isa<arith::IndexCastOp, arith::IndexCastUIOp>(op))
    return upperBound(op->getOperand(0));
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op))
    return ofAffine(apply.getAffineMap().getResult(0),
                    apply.getAffineMap().getNumDims(), op->getOperands());
  if (auto min = dyn_cast<affine::AffineMinOp>(op)) {
    Expr bound;
    for (AffineExpr result : min.getAffineMap().getResults())
      bound = minimum(bound, ofAffine(result, min.getAffineMap().getNumDims(),
                                      op->getOperands()));
    return bound;
  }
  if (op->getNumOperands() == 2 && isa<arith::ArithDialect>(op->getDialect()))
    return ofBinary(op);
  return std::nullopt;
}

static Value materialize(OpBuilder &builder, Location loc, const DimAtom &atom,
                         const llvm::StringMap<Value> &symbols) {
  if (atom.kind == DimAtom::Symbol) {
    Value value = symbols.lookup(atom.text);
    assert(value && "a size uses a symbol that no argument holds");
    return value;
  }
  Value a = materialize(builder, loc, atom.operands[0], symbols);
  Value b = materialize(builder, loc, atom.operands[1], symbols);
  switch (atom.kind) {
  case DimAtom::FloorDiv:
    return arith::FloorDivSIOp::create(builder, loc, a, b);
  case DimAtom::CeilDiv:
    return arith::CeilDivSIOp::create(builder, loc, a, b);
  case DimAtom::TruncDiv:
    return arith::DivSIOp::create(builder, loc, a, b);
  case DimAtom::Min:
    return arith::MinSIOp::create(builder, loc, a, b);
  case DimAtom::Max:
    return arith::MaxSIOp::create(builder, loc, a, b);
  default: {
    // The sign of the divisor: a - floordiv(a, b) * b.
    Value quotient = arith::FloorDivSIOp::create(builder, loc, a, b);
    Value product = arith::MulIOp::create(builder, loc, quotient, b);
    return arith::SubIOp::create(builder, loc, a, product);
  }
  }
}

Value sparse_opt::materialize(OpBuilder &builder, Location loc,
                              const DimExpr &expr,
                              const llvm::StringMap<Value> &symbols) {
  Value sum;
  for (const DimTerm &term : expr.getTerms()) {
    Value product;
    for (const DimAtomRef &atom : term.factors) {
      Value factor = ::materialize(builder, loc, *atom, symbols);
      product = product ? arith::MulIOp::create(builder, loc, product, factor)
                        : factor;
    }
    if (!product || term.coefficient != 1) {
      Value scale =
          arith::ConstantIndexOp::create(builder, loc, term.coefficient);
      product =
          product ? arith::MulIOp::create(builder, loc, product, scale) : scale;
    }
    sum = sum ? arith::AddIOp::create(builder, loc, sum, product) : product;
  }
  return sum ? sum : arith::ConstantIndexOp::create(builder, loc, 0);
}
