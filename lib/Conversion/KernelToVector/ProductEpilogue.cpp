// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ProductEpilogue.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;

void ProductEpilogue::emit(Emitter &b, ArrayRef<Row> rows) const {
  int64_t columns = cast<MemRefType>(out.getType()).getDimSize(1);
  struct Result {
    Value value, row, column, mask;
  };
  SmallVector<Result> results;
  for (const Row &row : rows)
    for (unsigned p = 0; p != row.panels; ++p)
      for (unsigned lane = 0; lane != panelColumns; lane += lanes) {
        Value sum = b.load(
            row.sums, {b.add(row.firstSum, p), row.bufferRow, b.index(lane)},
            lanes);
        Value column =
            b.add(b.mul(b.add(row.firstPanel, p), panelColumns), lane);
        Value mask;
        if (row.masked && p + 1 == row.panels)
          mask = b.maskUpTo(column, b.index(columns), lanes);
        SmallVector<Value> arguments = {sum};
        for (Value extra : extras)
          arguments.push_back(b.loadExtra(extra, row.row, column, lanes, mask));
        results.push_back(
            {b.inlineVectorized(op->getRegion(0), arguments, lanes), row.row,
             column, mask});
      }
  for (const Result &result : results)
    b.store(result.value, out, {result.row, result.column}, result.mask);
}

SmallVector<Value> ProductEpilogue::operands() const {
  SmallVector<Value> result = {out};
  llvm::append_range(result, extras);
  return result;
}

/// Instructions, or polynomials of --expand-math. A call clobbers all tiles.
static bool callsNothing(Operation &op) {
  return isa<arith::ArithDialect>(op.getDialect()) ||
         isa<math::AbsFOp, math::ErfOp, math::ExpOp, math::FmaOp, math::SqrtOp,
             math::TanhOp>(op);
}

bool ProductEpilogue::canMove() const {
  Region &region = op->getRegion(0);
  llvm::SetVector<Value> used;
  getUsedValuesDefinedAbove(region, used);
  return llvm::all_of(region.front().without_terminator(), callsNothing) &&
         llvm::all_of(used, [](Value value) {
           return matchPattern(value, m_Constant());
         });
}
