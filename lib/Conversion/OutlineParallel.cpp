// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// scf.parallel -> a private function over a range and a kernel.launch. Equal
// bodies (one per layer of a model, as a rule) become one function. Loops
// inside a parallel body run in their thread, one after another.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"
#include "sparse-opt/Conversion/Passes.h"
#include "llvm/ADT/MapVector.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELOUTLINEPARALLEL
#include "sparse-opt/Conversion/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

namespace {
/// Number of iterations of each dimension.
SmallVector<Value> tripCounts(OpBuilder &builder, scf::ParallelOp loop) {
  SmallVector<Value> counts;
  for (auto [lower, upper, step] : llvm::zip_equal(
           loop.getLowerBound(), loop.getUpperBound(), loop.getStep())) {
    Value extent =
        matchPattern(lower, m_Zero())
            ? upper
            : arith::SubIOp::create(builder, loop.getLoc(), upper, lower);
    counts.push_back(
        matchPattern(step, m_One())
            ? extent
            : arith::CeilDivSIOp::create(builder, loop.getLoc(), extent, step));
  }
  return counts;
}

Value product(OpBuilder &builder, Location loc, ValueRange values) {
  Value result = values.front();
  for (Value value : values.drop_front())
    result = arith::MulIOp::create(builder, loc, result, value);
  return result;
}

/// Values from outside that `region` uses, in order of first use; constants
/// among them are copied into it.
SmallVector<Value> captures(Region &region) {
  llvm::SetVector<Value> used;
  getUsedValuesDefinedAbove(region, used);
  SmallVector<Value> kept;
  OpBuilder builder = OpBuilder::atBlockBegin(&region.front());
  for (Value value : used) {
    Operation *def = value.getDefiningOp();
    if (!def || !def->hasTrait<OpTrait::ConstantLike>()) {
      kept.push_back(value);
      continue;
    }
    Value copy = builder.clone(*def)->getResult(0);
    replaceAllUsesInRegionWith(value, copy, region);
  }
  return kept;
}

/// Iteration `linear` of the loop nest as the loop's induction variables.
SmallVector<Value> delinearize(OpBuilder &builder, Location loc, Value linear,
                               ValueRange counts, ValueRange lowers,
                               ValueRange steps) {
  SmallVector<Value> indices(counts.size());
  for (unsigned i = counts.size(); i-- > 0;) {
    Value index = linear;
    if (i > 0) {
      index = arith::RemUIOp::create(builder, loc, linear, counts[i]);
      linear = arith::DivUIOp::create(builder, loc, linear, counts[i]);
    }
    if (!matchPattern(steps[i], m_One()))
      index = arith::MulIOp::create(builder, loc, index, steps[i]);
    if (!matchPattern(lowers[i], m_Zero()))
      index = arith::AddIOp::create(builder, loc, index, lowers[i]);
    indices[i] = index;
  }
  return indices;
}

/// Stack buffers of a body live for the whole call.
void hoistAllocas(func::FuncOp body) {
  SmallVector<memref::AllocaOp> allocas;
  body.walk([&](memref::AllocaOp op) {
    if (op.getType().hasStaticShape())
      allocas.push_back(op);
  });
  for (memref::AllocaOp op : allocas)
    op->moveBefore(&body.front(), body.front().begin());
}

struct OutlineParallel
    : public sparse_opt::impl::KernelOutlineParallelBase<OutlineParallel> {
  void runOnOperation() override {
    SmallVector<func::FuncOp> functions(getOperation().getOps<func::FuncOp>());
    for (func::FuncOp func : functions)
      if (func.isPublic() && !func.isExternal())
        if (failed(outlineAll(func)))
          return signalPassFailure();
    mergeEqual();
  }

  LogicalResult outlineAll(func::FuncOp func) {
    SmallVector<scf::ParallelOp> loops;
    func.walk<WalkOrder::PreOrder>([&](scf::ParallelOp loop) {
      loops.push_back(loop);
      return WalkResult::skip();
    });
    for (scf::ParallelOp loop : loops) {
      if (!loop.getInitVals().empty())
        return loop.emitError("a parallel loop can't reduce: its result would "
                              "depend on the number of threads");
      if (failed(serializeInner(loop)))
        return failure();
      outline(loop);
    }
    return success();
  }

  static LogicalResult serializeInner(scf::ParallelOp outer) {
    SmallVector<scf::ParallelOp> inner;
    outer.getBody()->walk([&](scf::ParallelOp loop) { inner.push_back(loop); });
    IRRewriter rewriter(outer.getContext());
    for (scf::ParallelOp loop : inner) {
      rewriter.setInsertionPoint(loop);
      if (failed(scf::parallelForToNestedFors(rewriter, loop)))
        return loop.emitError("can't run this loop in one thread");
    }
    return success();
  }

  void outline(scf::ParallelOp loop) {
    OpBuilder builder(loop);
    Location loc = loop.getLoc();
    SmallVector<Value> counts = tripCounts(builder, loop);
    Value count = product(builder, loc, counts);
    int64_t minimum = 1;
    if (auto grain = loop->getAttrOfType<IntegerAttr>("kernel.grain"))
      minimum = std::max<int64_t>(1, grain.getInt());
    Value grain = arith::ConstantIndexOp::create(builder, loc, minimum);
    SmallVector<Value> captured = captures(loop.getRegion());
    func::FuncOp body = createBody(loop, counts, captured);
    kernel::LaunchOp::create(builder, loc, SymbolRefAttr::get(body), count,
                             grain, captured);
    loop.erase();
    ++numLaunches;
  }

  /// body(begin, end, thread, captures...). Values that only the loop header
  /// needs (bounds, counts) are captured behind those of the body.
  func::FuncOp createBody(scf::ParallelOp loop, ArrayRef<Value> counts,
                          SmallVectorImpl<Value> &captured) {
    llvm::SetVector<Value> all(captured.begin(), captured.end());
    auto capture = [&](ValueRange values) {
      for (Value value : values)
        if (!isConstant(value))
          all.insert(value);
    };
    capture(ArrayRef(counts).drop_front());
    capture(loop.getLowerBound());
    capture(loop.getStep());
    captured.assign(all.begin(), all.end());

    OpBuilder builder(&getContext());
    SmallVector<Type> types(3, builder.getIndexType());
    llvm::append_range(types, ValueRange(captured).getTypes());
    auto parent = loop->getParentOfType<func::FuncOp>();
    builder.setInsertionPoint(parent);
    auto body = func::FuncOp::create(builder, loop.getLoc(),
                                     "kernel_body_" +
                                         std::to_string(numLaunches.getValue()),
                                     builder.getFunctionType(types, {}));
    body.setPrivate();
    Block *entry = body.addEntryBlock();
    IRMapping mapping;
    for (auto [value, argument] :
         llvm::zip_equal(captured, entry->getArguments().drop_front(3)))
      mapping.map(value, argument);
    builder.setInsertionPointToEnd(entry);
    fillBody(builder, loop, counts, entry, mapping);
    func::ReturnOp::create(builder, loop.getLoc());
    hoistAllocas(body);
    return body;
  }

  static bool isConstant(Value value) {
    return matchPattern(value, m_Constant());
  }

  void fillBody(OpBuilder &builder, scf::ParallelOp loop,
                ArrayRef<Value> counts, Block *entry, IRMapping &mapping) {
    Location loc = loop.getLoc();
    auto mapped = [&](ValueRange values) {
      SmallVector<Value> result;
      for (Value value : values) {
        if (isConstant(value) && !mapping.contains(value))
          mapping.map(value,
                      builder.clone(*value.getDefiningOp())->getResult(0));
        result.push_back(mapping.lookupOrDefault(value));
      }
      return result;
    };
    SmallVector<Value> inner = {Value()};
    llvm::append_range(inner, mapped(counts.drop_front()));
    SmallVector<Value> lowers = mapped(loop.getLowerBound());
    SmallVector<Value> steps = mapped(loop.getStep());
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    auto range = scf::ForOp::create(builder, loc, entry->getArgument(0),
                                    entry->getArgument(1), one);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(range.getBody());
    SmallVector<Value> indices = delinearize(
        builder, loc, range.getInductionVar(), inner, lowers, steps);
    mapping.map(loop.getInductionVars(), indices);
    for (Operation &op : loop.getBody()->without_terminator())
      builder.clone(op, mapping);
    range.walk([&](kernel::ThreadOp thread) {
      thread.replaceAllUsesWith(entry->getArgument(2));
      thread.erase();
    });
  }

  /// Functions that do the same become one, until nothing changes.
  void mergeEqual() {
    while (mergeOnce())
      ;
  }

  bool mergeOnce() {
    llvm::MapVector<size_t, SmallVector<func::FuncOp>> buckets;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (func.isPrivate() && !func.isExternal())
        buckets[hashOf(func)].push_back(func);
    DenseMap<StringAttr, FlatSymbolRefAttr> renamed;
    for (auto &[hash, functions] : buckets)
      for (unsigned i = 1, e = functions.size(); i < e; ++i)
        for (unsigned j = 0; j < i; ++j)
          if (functions[j] && equal(functions[i], functions[j])) {
            renamed[functions[i].getSymNameAttr()] =
                FlatSymbolRefAttr::get(functions[j].getSymNameAttr());
            functions[i].erase();
            functions[i] = {};
            ++numMerged;
            break;
          }
    if (renamed.empty())
      return false;
    redirect(renamed);
    return true;
  }

  static size_t hashOf(func::FuncOp func) {
    llvm::hash_code hash = hash_value(func.getFunctionType());
    func.getBody().walk([&](Operation *op) {
      hash = llvm::hash_combine(hash,
                                OperationEquivalence::computeHash(
                                    op, OperationEquivalence::ignoreHashValue,
                                    OperationEquivalence::ignoreHashValue,
                                    OperationEquivalence::IgnoreLocations));
    });
    return hash;
  }

  static bool equal(func::FuncOp a, func::FuncOp b) {
    if (a.getFunctionType() != b.getFunctionType() ||
        a.getArgAttrsAttr() != b.getArgAttrsAttr())
      return false;
    return OperationEquivalence::isRegionEquivalentTo(
        &a.getBody(), &b.getBody(), OperationEquivalence::IgnoreLocations);
  }

  void redirect(const DenseMap<StringAttr, FlatSymbolRefAttr> &renamed) {
    auto target = [&](FlatSymbolRefAttr symbol) {
      auto found = renamed.find(symbol.getAttr());
      return found == renamed.end() ? symbol : found->second;
    };
    getOperation().walk([&](Operation *op) {
      if (auto call = dyn_cast<func::CallOp>(op))
        call.setCalleeAttr(target(call.getCalleeAttr()));
      else if (auto launch = dyn_cast<kernel::LaunchOp>(op))
        launch.setBodyAttr(target(launch.getBodyAttr()));
    });
  }
};
} // namespace
