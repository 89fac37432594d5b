// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Work and traffic of each op of @main, while ops still say what they mean.
// The description is part of the location: rewrites of loops keep that, and
// drop attributes they don't know.
#include "SizeExpr.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "sparse-opt/Conversion/Passes.h"
#include "sparse-opt/Conversion/Work.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELDESCRIBEWORK
#include "sparse-opt/Conversion/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

using Expr = std::optional<DimExpr>;

DictionaryAttr sparse_opt::workOf(Location location) {
  if (auto fused = dyn_cast<FusedLoc>(location))
    if (auto work = dyn_cast_or_null<DictionaryAttr>(fused.getMetadata()))
      return work;
  return nullptr;
}

StringRef sparse_opt::nodeNameOf(Location location) {
  if (auto name = dyn_cast<NameLoc>(location))
    return name.getName().getValue();
  if (auto call = dyn_cast<CallSiteLoc>(location))
    return nodeNameOf(call.getCallee());
  if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location part : fused.getLocations())
      if (StringRef name = nodeNameOf(part); !name.empty())
        return name;
  return "";
}

namespace {
Expr times(const Expr &a, const Expr &b) {
  return a && b ? Expr(*a * *b) : std::nullopt;
}

Expr plus(const Expr &a, const Expr &b) {
  return a && b ? Expr(*a + *b) : std::nullopt;
}

int64_t bytesOfElement(Type element) {
  return element.isIntOrFloat()
             ? llvm::divideCeil(element.getIntOrFloatBitWidth(), 8)
             : 8;
}

Expr bytesOf(Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  Expr bytes = DimExpr(bytesOfElement(type.getElementType()));
  for (int64_t dim : llvm::seq(type.getRank()))
    bytes = times(bytes, upperBoundOfDim(buffer, dim));
  return bytes;
}

/// The buffer that `buffer` is a part or another shape of.
Value rootOf(Value buffer) {
  while (auto view = buffer.getDefiningOp<ViewLikeOpInterface>()) {
    if (isa<memref::ViewOp>(view)) // a weight, or a place in the arena
      return buffer;
    buffer = view.getViewSource();
  }
  return buffer;
}

bool isWeight(Value root) {
  return root.getDefiningOp<memref::ViewOp>() ||
         root.getDefiningOp<memref::GetGlobalOp>();
}

/// Points of an op's loops.
Expr iterationsOf(linalg::LinalgOp op) {
  Expr points = DimExpr(1);
  for (auto [loop, size] : llvm::enumerate(op.getStaticLoopRanges())) {
    Expr extent;
    if (!ShapedType::isDynamic(size))
      extent = DimExpr(size);
    for (OpOperand &operand : op->getOpOperands()) {
      AffineMap map = op.getMatchingIndexingMap(&operand);
      auto dim = map.getResultPosition(getAffineDimExpr(loop, op.getContext()));
      if (!extent && dim)
        extent = upperBoundOfDim(operand.get(), *dim);
    }
    points = times(points, extent);
  }
  return points;
}

/// Operations on floats in the body of an op.
int64_t floatOps(Operation *op) {
  int64_t count = 0;
  op->walk([&](Operation *inner) {
    bool computes =
        isa<math::MathDialect>(inner->getDialect()) ||
        isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp,
            arith::NegFOp, arith::RemFOp, arith::MaximumFOp, arith::MinimumFOp,
            arith::MaxNumFOp, arith::MinNumFOp>(inner);
    count += computes && isa<FloatType>(inner->getResult(0).getType());
  });
  return count;
}

/// FLOPs and distinct bytes of one op.
class Work {
public:
  StringRef kind;
  std::string shape, dtype = "f32";
  std::string weightType; // of a product, where it isn't dtype
  Expr flops = DimExpr(0);
  bool knowsBytes = true;

  /// `buffer` is read or written, in `trips` places when it's a slice that
  /// moves.
  void touch(Value buffer, const Expr &trips, Operation *scope) {
    Value root = rootOf(buffer);
    if (scope->isAncestor(root.getParentRegion()->getParentOp()))
      return; // a scratch buffer
    Expr all = bytesOf(root);
    Operation *def = buffer.getDefiningOp();
    bool moves = def && scope->isProperAncestor(def);
    note(root,
         moves ? atMost(times(bytesOf(buffer), trips), all) : bytesOf(buffer));
  }

  /// Single elements of `buffer` are read at `points`.
  void gather(Value buffer, const Expr &points, Operation *scope) {
    Value root = rootOf(buffer);
    if (scope->isAncestor(root.getParentRegion()->getParentOp()))
      return;
    auto type = cast<MemRefType>(buffer.getType());
    Expr read = times(points, DimExpr(bytesOfElement(type.getElementType())));
    note(root, atMost(read, bytesOf(root)));
  }

  DictionaryAttr describe(Builder &builder, int64_t id) const {
    SmallVector<NamedAttribute> attrs;
    auto add = [&](StringRef name, const Twine &text) {
      attrs.push_back(builder.getNamedAttr(name, builder.getStringAttr(text)));
    };
    Expr all = DimExpr(0), weights = DimExpr(0);
    for (auto &[root, bytes] : touched) {
      all = plus(all, bytes);
      if (isWeight(root))
        weights = plus(weights, bytes);
    }
    attrs.push_back(builder.getNamedAttr("id", builder.getI64IntegerAttr(id)));
    add("kind", kind);
    add("dtype", dtype);
    if (!weightType.empty())
      add("weight_type", weightType);
    if (!shape.empty())
      add("shape", shape);
    if (flops)
      add("flops", flops->str());
    if (knowsBytes && all && weights) {
      add("bytes", all->str());
      add("weight_bytes", weights->str());
    }
    return builder.getDictionaryAttr(attrs);
  }

private:
  llvm::MapVector<Value, Expr> touched; // by root

  static Expr atMost(const Expr &a, const Expr &b) {
    return a && b ? DimExpr::min(*a, *b) : a ? a : b;
  }

  /// Two uses of one buffer are taken to touch the same bytes: the larger's.
  void note(Value root, const Expr &bytes) {
    auto [place, isNew] = touched.insert({root, bytes});
    if (!isNew)
      place->second = place->second && bytes
                          ? Expr(DimExpr::max(*place->second, *bytes))
                          : std::nullopt;
  }
};

void addLinalg(Work &work, linalg::LinalgOp op, const Expr &trips,
               Operation *scope) {
  Expr points = times(iterationsOf(op), trips);
  work.flops =
      plus(work.flops, times(points, DimExpr(floatOps(op.getOperation()))));
  for (OpOperand &operand : op->getOpOperands())
    if (isa<MemRefType>(operand.get().getType()) &&
        (op.payloadUsesValueFromOperand(&operand) || op.isDpsInit(&operand)))
      work.touch(operand.get(), trips, scope);
  op->walk([&](memref::LoadOp load) {
    work.gather(load.getMemRef(), points, scope);
  });
}

/// How often the loops around `op` run it.
Expr tripsAround(Operation *op) {
  Expr trips = DimExpr(1);
  for (auto loop = op->getParentOfType<scf::ForOp>(); loop;
       loop = loop->getParentOfType<scf::ForOp>()) {
    Expr begin = upperBound(loop.getLowerBound());
    Expr end = upperBound(loop.getUpperBound());
    Expr step = upperBound(loop.getStep());
    trips = begin && end && step
                ? times(trips, DimExpr::ceilDiv(*end - *begin, *step))
                : std::nullopt;
  }
  return trips;
}

Work describeLinalg(linalg::LinalgOp op) {
  Work work;
  bool gathers = false;
  op->walk([&](memref::LoadOp) { gathers = true; });
  work.kind = isa<linalg::FillOp>(op.getOperation())  ? "fill"
              : gathers                               ? "gather"
              : linalg::isaContractionOpInterface(op) ? "product in loops"
              : op.getNumReductionLoops()             ? "reduction"
                                                      : "element-wise";
  addLinalg(work, op, tripsAround(op), op);
  return work;
}

/// True for a view of a buffer that the instance keeps.
bool isOfState(Value buffer) {
  while (auto view = buffer.getDefiningOp<ViewLikeOpInterface>())
    buffer = view.getViewSource();
  auto argument = dyn_cast<BlockArgument>(buffer);
  auto func = argument
                  ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp())
                  : nullptr;
  return func && func.getArgAttr(argument.getArgNumber(), "kernel.state");
}

Work describeCopy(memref::CopyOp op) {
  Work work;
  work.kind = isOfState(op.getSource()) ? "copy of a cache" : "copy";
  work.touch(op.getSource(), DimExpr(1), op);
  work.touch(op.getTarget(), DimExpr(1), op);
  return work;
}

Work describeRows(scf::ForallOp op) {
  Work work;
  work.kind = "rows";
  Expr trips = DimExpr(1);
  for (OpFoldResult upper : op.getMixedUpperBound()) {
    auto constant = getConstantIntValue(upper);
    trips = times(trips, constant ? Expr(DimExpr(*constant))
                                  : upperBound(cast<Value>(upper)));
  }
  op.walk([&](Operation *inner) {
    if (auto linalgOp = dyn_cast<linalg::LinalgOp>(inner))
      addLinalg(work, linalgOp, trips, op);
    else if (auto copy = dyn_cast<memref::CopyOp>(inner)) {
      work.touch(copy.getSource(), trips, op);
      work.touch(copy.getTarget(), trips, op);
    }
  });
  return work;
}

std::string typeName(Value buffer) {
  Type element = getElementTypeOrSelf(buffer.getType());
  return element.isBF16() ? "bf16" : element.isInteger(8) ? "int8" : "f32";
}

Work describeProduct(kernel::ProductOp op) {
  Work work;
  work.kind = "product";
  work.dtype = typeName(op.getX());
  if (std::string weights = typeName(op.getWeight()); weights != work.dtype)
    work.weightType = weights;
  int64_t depth = cast<MemRefType>(op.getX().getType()).getDimSize(1);
  int64_t columns = cast<MemRefType>(op.getOut().getType()).getDimSize(1);
  work.shape = std::to_string(depth) + "x" + std::to_string(columns);
  work.flops =
      times(upperBoundOfDim(op.getOut(), 0), DimExpr(2 * depth * columns));
  for (Value operand : op->getOperands())
    if (isa<MemRefType>(operand.getType()))
      work.touch(operand, DimExpr(1), op);
  return work;
}

Work describeAttention(kernel::AttentionOp op) {
  Work work;
  work.kind = "attention";
  work.dtype = typeName(op.getQ());
  std::array<Expr, kernel::AttentionOp::NumLoops> sizes;
  for (OpOperand &operand : op->getOpOperands()) {
    work.touch(operand.get(), DimExpr(1), op);
    for (auto [dim, loop] : llvm::enumerate(op.getMap(operand).getResults()))
      // What heads share says less of their number than q does.
      if (auto at = dyn_cast<AffineDimExpr>(loop))
        if (Expr &size = sizes[at.getPosition()]; !size)
          size = upperBoundOfDim(operand.get(), dim);
  }
  auto size = [&](unsigned loop) { return sizes[loop]; };
  using Op = kernel::AttentionOp;
  auto isUsed = [&](unsigned loop) {
    return llvm::any_of(
        op.getMaps(), [&](AffineMap map) { return map.isFunctionOfDim(loop); });
  };
  Expr points = times(size(Op::M), size(Op::N));
  for (unsigned loop : {Op::B, Op::H})
    if (isUsed(loop))
      points = times(points, size(loop));
  work.flops = times(times(points, DimExpr(2)), plus(size(Op::D), size(Op::E)));
  if (size(Op::H) && size(Op::H)->constant() && size(Op::D))
    work.shape = size(Op::H)->str() + "x" + size(Op::D)->str();
  return work;
}

Work describeSelect(kernel::SelectOp op) {
  Work work;
  work.kind = "selection";
  auto scores = cast<MemRefType>(op.getScores().getType());
  work.shape = std::to_string(scores.getDimSize(1));
  work.flops = times(
      times(upperBoundOfDim(op.getScores(), 0), DimExpr(scores.getDimSize(1))),
      DimExpr(floatOps(op.getOperation())));
  for (Value operand : op->getOperands())
    if (isa<MemRefType>(operand.getType()))
      work.touch(operand, DimExpr(1), op);
  return work;
}

/// How many rows of the weight are read only a run knows.
Work describeSelected(StringRef kind, Value weight, Value rows, Value columns) {
  auto last = [](Value matrix) {
    return std::to_string(cast<MemRefType>(matrix.getType()).getDimSize(1));
  };
  Work work;
  work.kind = kind;
  work.dtype = typeName(weight);
  work.shape = last(rows) + "x" + last(columns);
  work.flops = std::nullopt;
  work.knowsBytes = false;
  return work;
}

struct KernelDescribeWork
    : public sparse_opt::impl::KernelDescribeWorkBase<KernelDescribeWork> {
  void runOnOperation() override {
    getOperation().walk<WalkOrder::PreOrder>([&](Operation *op) {
      auto work =
          llvm::TypeSwitch<Operation *, std::optional<Work>>(op)
              .Case(describeProduct)
              .Case(describeAttention)
              .Case(describeSelect)
              .Case([](kernel::SelectedProductOp op) {
                return describeSelected("selected product", op.getWeight(),
                                        op.getX(), op.getOut());
              })
              .Case([](kernel::SelectedSumOp op) {
                return describeSelected("selected sum", op.getWeight(),
                                        op.getValues(), op.getOut());
              })
              .Case(describeRows)
              .Case(describeCopy)
              .Case([](linalg::LinalgOp op) { return describeLinalg(op); })
              .Default([](Operation *) { return std::nullopt; });
      if (!work)
        return WalkResult::advance();
      Builder builder(op);
      op->setLoc(FusedLoc::get({op->getLoc()},
                               work->describe(builder, numDescribed.getValue()),
                               op->getContext()));
      ++numDescribed;
      return WalkResult::skip();
    });
  }
};
} // namespace
