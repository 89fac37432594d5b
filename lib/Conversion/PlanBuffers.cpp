// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Every allocation of @main becomes a place in one arena. Places are shared
// by buffers that never live together; sizes are polynomials in the symbolic
// dims, so that which buffer fits where is decided once, for all shapes.
// Buffers of a parallel body exist once a thread.
#include "SizeExpr.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "sparse-opt/Conversion/Passes.h"
#include "llvm/Support/MathExtras.h"

namespace sparse_opt {
#define GEN_PASS_DEF_KERNELPLANBUFFERS
#include "sparse-opt/Conversion/Passes.h.inc"
} // namespace sparse_opt

using namespace mlir;
using namespace sparse_opt;

// No dim of a model is called this: names of symbols are never empty.
static constexpr llvm::StringLiteral threadsSymbol = "";
static constexpr int64_t alignment = 64;
/// Largest buffer of a parallel body that lives on the stack, and all of them.
/// Threads of small stacks have 128 KiB.
static constexpr int64_t maxStackBytes = 8192, maxStackBytesInAll = 65536;

namespace {
struct Buffer {
  memref::AllocOp op;
  scf::ParallelOp loop; // the outermost around it, or null
  DimExpr bytes;        // for one thread
  unsigned begin, end;  // of its uses on the timeline, both inclusive
  unsigned slot = 0;
};

struct Slot {
  DimExpr bytes;
  unsigned end; // of the buffer that was last put here
};

/// Positions of ops in the function's one block, with the blocks of its
/// branches in between: what one branch needs another may overwrite.
class Timeline {
public:
  explicit Timeline(Block &block) { add(block); }
  unsigned at(Operation *op) const {
    auto found = position.find(op);
    return found == position.end() ? at(op->getParentOp()) : found->second;
  }

private:
  void add(Block &block) {
    for (Operation &op : block) {
      position.try_emplace(&op, position.size());
      if (isa<scf::IfOp>(op))
        for (Region &region : op.getRegions())
          for (Block &branch : region)
            add(branch);
    }
  }

  DenseMap<Operation *, unsigned> position;
};

struct Lifetime {
  unsigned begin, end;
};

/// From the first to the last op that may touch `alloc` or a view of it.
FailureOr<Lifetime> lifetimeOf(memref::AllocOp alloc,
                               const Timeline &timeline) {
  Lifetime life{std::numeric_limits<unsigned>::max(), 0};
  SmallVector<Value> work = {alloc};
  DenseSet<Value> seen = {alloc};
  auto addAlias = [&](Value value) {
    if (isa<BaseMemRefType>(value.getType()) && seen.insert(value).second)
      work.push_back(value);
  };
  while (!work.empty()) {
    for (Operation *user : work.pop_back_val().getUsers()) {
      if (!isMemoryEffectFree(user) || user->getNumRegions()) {
        life.begin = std::min(life.begin, timeline.at(user));
        life.end = std::max(life.end, timeline.at(user));
      }
      llvm::for_each(user->getResults(), addAlias);
      if (auto loop = dyn_cast<LoopLikeOpInterface>(user))
        llvm::for_each(loop.getRegionIterArgs(), addAlias);
      if (!isa<scf::YieldOp>(user))
        continue;
      Operation *parent = user->getParentOp();
      if (isa<LoopLikeOpInterface>(parent) && parent->isAncestor(alloc))
        return alloc.emitError("a buffer that a loop hands to its next "
                               "iteration can't be planned");
      llvm::for_each(parent->getResults(), addAlias);
    }
  }
  life.begin = std::min(life.begin, life.end);
  return life;
}

scf::ParallelOp outermostParallel(Operation *op) {
  scf::ParallelOp outermost;
  while ((op = op->getParentOp()))
    if (auto loop = dyn_cast<scf::ParallelOp>(op))
      outermost = loop;
  return outermost;
}

FailureOr<DimExpr> bytesOf(memref::AllocOp alloc) {
  MemRefType type = alloc.getType();
  if (!type.getLayout().isIdentity())
    return alloc.emitError("a buffer with a layout can't be planned");
  int64_t scale = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
  for (int64_t size : type.getShape())
    if (!ShapedType::isDynamic(size))
      scale *= size;
  DimExpr bytes(scale);
  for (Value size : alloc.getDynamicSizes()) {
    std::optional<DimExpr> expr = upperBound(size);
    if (!expr)
      return alloc.emitError("the size of a buffer depends on more than the "
                             "sizes of the inputs");
    bytes = bytes * *expr;
  }
  return bytes;
}

/// First fit among slots that are free, the most recently used first: its
/// memory is most likely still in cache. A free slot that is too small for all
/// shapes grows; one that can't be compared is left alone.
class SlotAllocator {
public:
  unsigned place(const Buffer &buffer, const DimExpr &bytes) {
    std::optional<unsigned> best, smaller;
    for (unsigned i = 0, e = slots.size(); i != e; ++i) {
      if (slots[i].end >= buffer.begin)
        continue;
      if ((slots[i].bytes - bytes).provablyAtLeast(0)) {
        if (!best || slots[*best].end < slots[i].end)
          best = i;
      } else if ((bytes - slots[i].bytes).provablyAtLeast(0)) {
        if (!smaller || slots[*smaller].end < slots[i].end)
          smaller = i;
      }
    }
    unsigned chosen = best ? *best : smaller ? *smaller : slots.size();
    if (chosen == slots.size())
      slots.push_back({bytes, 0});
    else if (!best)
      slots[chosen].bytes = bytes;
    slots[chosen].end = buffer.end;
    return chosen;
  }
  ArrayRef<Slot> getSlots() const { return slots; }

private:
  SmallVector<Slot> slots;
};

Value alignUp(OpBuilder &builder, Location loc, Value bytes) {
  Value round = arith::ConstantIndexOp::create(builder, loc, alignment - 1);
  Value mask = arith::ConstantIndexOp::create(builder, loc, -alignment);
  Value sum = arith::AddIOp::create(builder, loc, bytes, round);
  return arith::AndIOp::create(builder, loc, sum, mask);
}

/// Offsets of the slots, then their end, given the symbols.
SmallVector<Value> layOut(OpBuilder &builder, Location loc,
                          ArrayRef<Slot> slots,
                          const llvm::StringMap<Value> &symbols) {
  SmallVector<Value> offsets = {
      arith::ConstantIndexOp::create(builder, loc, 0)};
  for (const Slot &slot : slots) {
    Value bytes = materialize(builder, loc, slot.bytes, symbols);
    Value end = arith::AddIOp::create(builder, loc, offsets.back(), bytes);
    offsets.push_back(alignUp(builder, loc, end));
  }
  return offsets;
}

struct PlanBuffers
    : public sparse_opt::impl::KernelPlanBuffersBase<PlanBuffers> {
  void runOnOperation() override {
    for (auto func :
         llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (func.isPublic() && !func.isExternal())
        if (failed(plan(func)))
          return signalPassFailure();
  }

  LogicalResult plan(func::FuncOp func) {
    SmallVector<Buffer> buffers;
    useStack(func);
    if (failed(collect(func, buffers)))
      return failure();
    SlotAllocator allocator;
    for (Buffer &buffer : buffers)
      buffer.slot = allocator.place(buffer, slotBytes(buffer));
    numBuffers += buffers.size();
    numSlots += allocator.getSlots().size();
    if (failed(addArguments(func)))
      return failure();
    OpBuilder builder = OpBuilder::atBlockBegin(&func.front());
    llvm::StringMap<Value> symbols = symbolArguments(func);
    symbols[threadsSymbol] = threads;
    SmallVector<Value> offsets =
        layOut(builder, func.getLoc(), allocator.getSlots(), symbols);
    for (Buffer &buffer : buffers)
      replace(buffer, offsets[buffer.slot]);
    emitArenaBytes(func, allocator.getSlots());
    return success();
  }

  /// Small buffers of a parallel body go to the stack of its thread.
  void useStack(func::FuncOp func) {
    DenseMap<Operation *, int64_t> used;
    SmallVector<memref::AllocOp> small;
    func.walk([&](memref::AllocOp alloc) {
      MemRefType type = alloc.getType();
      Operation *loop = outermostParallel(alloc);
      if (!loop || !type.hasStaticShape() ||
          !type.getElementType().isIntOrFloat())
        return;
      int64_t bytes = llvm::alignTo(
          llvm::divideCeil(
              type.getNumElements() * type.getElementTypeBitWidth(), 8),
          alignment);
      if (bytes > maxStackBytes || used[loop] + bytes > maxStackBytesInAll)
        return;
      used[loop] += bytes;
      small.push_back(alloc);
    });
    for (memref::AllocOp alloc : small) {
      OpBuilder builder(alloc);
      alloc.replaceAllUsesWith(
          memref::AllocaOp::create(builder, alloc.getLoc(), alloc.getType(),
                                   builder.getI64IntegerAttr(alignment))
              .getResult());
      alloc.erase();
    }
    numOnStack += small.size();
  }

  static LogicalResult collect(func::FuncOp func,
                               SmallVectorImpl<Buffer> &buffers) {
    Timeline timeline(func.front());
    WalkResult walk = func.walk([&](memref::AllocOp alloc) {
      FailureOr<DimExpr> bytes = bytesOf(alloc);
      FailureOr<Lifetime> life = lifetimeOf(alloc, timeline);
      if (failed(bytes) || failed(life))
        return WalkResult::interrupt();
      buffers.push_back(
          {alloc, outermostParallel(alloc), *bytes, life->begin, life->end});
      return WalkResult::advance();
    });
    llvm::stable_sort(buffers, [](const Buffer &a, const Buffer &b) {
      return a.begin < b.begin;
    });
    return failure(walk.wasInterrupted());
  }

  /// Bytes in the arena: once a thread, each copy aligned.
  static DimExpr slotBytes(const Buffer &buffer) {
    if (!buffer.loop)
      return buffer.bytes;
    DimExpr aligned =
        *DimExpr::ceilDiv(buffer.bytes, alignment) * DimExpr(alignment);
    return aligned * DimExpr::symbol(threadsSymbol);
  }

  LogicalResult addArguments(func::FuncOp func) {
    Builder builder(&getContext());
    auto unit = [&](StringRef name) {
      return builder.getDictionaryAttr(
          builder.getNamedAttr(name, builder.getUnitAttr()));
    };
    Type bytes = MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
    unsigned end = func.getNumArguments();
    if (failed(func.insertArgument(end, bytes, unit("kernel.arena"),
                                   func.getLoc())) ||
        failed(func.insertArgument(end + 1, builder.getIndexType(),
                                   unit("kernel.threads"), func.getLoc())))
      return failure();
    arena = func.getArgument(end);
    threads = func.getArgument(end + 1);
    return success();
  }

  /// alloc -> view of the arena (of the thread's part of the slot).
  void replace(Buffer &buffer, Value offset) {
    OpBuilder builder(buffer.op);
    Location loc = buffer.op.getLoc();
    if (buffer.loop) {
      OpBuilder::InsertionGuard guard(builder);
      OpBuilder outside(buffer.loop);
      Value bytes = materialize(
          outside, loc, buffer.bytes,
          symbolArguments(buffer.op->getParentOfType<func::FuncOp>()));
      Value stride = alignUp(outside, loc, bytes);
      Value thread = kernel::ThreadOp::create(builder, loc);
      Value shift = arith::MulIOp::create(builder, loc, thread, stride);
      offset = arith::AddIOp::create(builder, loc, offset, shift);
    }
    Value view =
        memref::ViewOp::create(builder, loc, buffer.op.getType(), arena, offset,
                               buffer.op.getDynamicSizes());
    buffer.op.replaceAllUsesWith(view);
    buffer.op.erase();
  }

  /// @kernel_arena_bytes(symbols..., threads) -> bytes
  void emitArenaBytes(func::FuncOp main, ArrayRef<Slot> slots) {
    OpBuilder builder(main);
    SmallVector<StringAttr> names;
    for (unsigned i = 0, e = main.getNumArguments(); i != e; ++i)
      if (auto name = main.getArgAttrOfType<StringAttr>(i, "kernel.symbol"))
        names.push_back(name);
    SmallVector<Type> types(names.size() + 1, builder.getIndexType());
    auto func = func::FuncOp::create(
        builder, main.getLoc(), "kernel_arena_bytes",
        builder.getFunctionType(types, builder.getIndexType()));
    func.setPrivate();
    Block *block = func.addEntryBlock();
    llvm::StringMap<Value> symbols;
    for (auto [i, name] : llvm::enumerate(names)) {
      func.setArgAttr(i, "kernel.symbol", name);
      symbols[name.getValue()] = block->getArgument(i);
    }
    symbols[threadsSymbol] = block->getArguments().back();
    builder.setInsertionPointToEnd(block);
    SmallVector<Value> offsets = layOut(builder, main.getLoc(), slots, symbols);
    func::ReturnOp::create(builder, main.getLoc(), offsets.back());
  }

  BlockArgument arena, threads;
};
} // namespace
