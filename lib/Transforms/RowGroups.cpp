// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Greedy grouping along the block: an op joins the group of a producer when
// row i of it needs row i of the producer only. A group is later one loop at
// one place of the block, so an op may not join when something outside the
// group lies between a member and it.
#include "RowGroups.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace sparse_opt;

/// Loops at the front that are the operand's dimensions in the same order.
static unsigned alignedPrefix(AffineMap map) {
  unsigned count = 0;
  for (AffineExpr expr : map.getResults()) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim || dim.getPosition() != count)
      break;
    ++count;
  }
  return count;
}

/// Slices of operands along rows are plain: each dimension is a loop (at most
/// once) or the constant 0.
static bool hasPlainMaps(linalg::GenericOp op) {
  return llvm::all_of(op.getIndexingMapsArray(), [](AffineMap map) {
    return map.isProjectedPermutation(/*allowZeroInResults=*/true);
  });
}

/// Outer loops that can run over rows: parallel, and every result's own.
static unsigned possibleRows(linalg::GenericOp op) {
  unsigned rows = 0;
  for (utils::IteratorType kind : op.getIteratorTypesArray()) {
    if (!linalg::isParallelIterator(kind))
      break;
    ++rows;
  }
  for (OpOperand &init : op.getDpsInitsMutable())
    rows = std::min(rows, alignedPrefix(op.getMatchingIndexingMap(&init)));
  return rows;
}

/// Rows below which an op would run less in parallel or need large
/// intermediates: the inner loop of an element-wise op is for vectors.
static unsigned neededRows(linalg::GenericOp op) {
  unsigned possible = possibleRows(op);
  bool elementwise = op.getNumReductionLoops() == 0;
  return elementwise && possible == op.getNumLoops() && possible > 1
             ? possible - 1
             : possible;
}

/// Products have kernels or loops of their own.
static bool isCandidate(Operation *op) {
  auto generic = dyn_cast<linalg::GenericOp>(op);
  return generic && generic.hasPureTensorSemantics() && hasPlainMaps(generic) &&
         possibleRows(generic) > 0 &&
         !linalg::isaContractionOpInterface(generic);
}

/// With fewer rows known at compile time, the loops inside ops are the better
/// ones to run in parallel, and short rows stay in the cache anyway.
static constexpr int64_t worthLoop = 16;

static bool hasEnoughRows(const RowGroup &group) {
  auto first = cast<linalg::GenericOp>(group.ops.front());
  auto sizes = cast<ShapedType>(first.getDpsInits().front().getType())
                   .getShape()
                   .take_front(group.rows);
  int64_t rows = 1;
  for (int64_t size : sizes) {
    if (ShapedType::isDynamic(size) || size >= worthLoop)
      return true;
    rows *= size;
  }
  return rows >= worthLoop;
}

namespace {
class Grouping {
public:
  explicit Grouping(Block &block) : block(block) {}

  std::vector<RowGroup> run() {
    for (Operation &op : block)
      if (isCandidate(&op))
        place(cast<linalg::GenericOp>(op));
    std::vector<RowGroup> result;
    for (RowGroup &group : groups)
      if (group.ops.size() > 1 && hasEnoughRows(group))
        result.push_back(std::move(group));
    return result;
  }

private:
  void place(linalg::GenericOp op) {
    for (Value operand : op->getOperands()) {
      Operation *producer = operand.getDefiningOp();
      auto found = groupOf.find(producer);
      if (found != groupOf.end() && join(op, found->second))
        return;
    }
    groupOf[op] = groups.size();
    groups.emplace_back();
    groups.back().ops.insert(op);
    groups.back().rows = possibleRows(op);
    groups.back().needed = neededRows(op);
  }

  bool join(linalg::GenericOp op, unsigned number) {
    RowGroup &group = groups[number];
    unsigned rows = std::min(group.rows, possibleRows(op));
    for (OpOperand &operand : op->getOpOperands())
      if (group.ops.contains(operand.get().getDefiningOp()))
        rows =
            std::min(rows, alignedPrefix(op.getMatchingIndexingMap(&operand)));
    for (OpOperand &init : op.getDpsInitsMutable())
      if (op.payloadUsesValueFromOperand(&init) &&
          group.ops.contains(init.get().getDefiningOp()))
        return false; // it goes on from a whole tensor
    unsigned needed = std::max(group.needed, neededRows(op));
    if (rows == 0 || rows < needed || readsInside(op, group) ||
        liesBehind(op, number))
      return false;
    group.ops.insert(op);
    group.rows = rows;
    group.needed = needed;
    groupOf[op] = number;
    return true;
  }

  /// The body extracts elements of a member: of any row, perhaps.
  static bool readsInside(linalg::GenericOp op, const RowGroup &group) {
    WalkResult walk = op.getBody()->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (group.ops.contains(operand.getDefiningOp()))
          return WalkResult::interrupt();
      return WalkResult::advance();
    });
    return walk.wasInterrupted();
  }

  /// Something outside of group `number` lies between a member and `op`.
  bool liesBehind(Operation *op, unsigned number) {
    DenseSet<Operation *> seen;
    SmallVector<Operation *> work;
    auto push = [&](Operation *user) {
      auto operands = [&](Value value) {
        Operation *def = value.getDefiningOp();
        if (def)
          def = block.findAncestorOpInBlock(*def);
        if (def && def != user && seen.insert(def).second)
          work.push_back(def);
      };
      user->walk([&](Operation *inner) {
        llvm::for_each(inner->getOperands(), operands);
      });
    };
    // Operands made in the group are fine; what the others need must not be.
    push(op);
    llvm::erase_if(work, [&](Operation *def) {
      auto found = groupOf.find(def);
      bool member = found != groupOf.end() && found->second == number;
      if (member)
        seen.erase(def);
      return member;
    });
    while (!work.empty()) {
      Operation *def = work.pop_back_val();
      auto found = groupOf.find(def);
      if (found == groupOf.end()) {
        push(def);
        continue;
      }
      if (found->second == number)
        return true;
      for (Operation *member : groups[found->second].ops)
        push(member);
    }
    return false;
  }

  Block &block;
  std::vector<RowGroup> groups;
  DenseMap<Operation *, unsigned> groupOf;
};
} // namespace

std::vector<RowGroup> sparse_opt::findRowGroups(Block &block) {
  return Grouping(block).run();
}
