// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Generates the functions of TileKernel.h in dialect amx. A panel's 16 pairs of
// k are one tile as they lie in memory. Rows are taken in tiles of 16 of which
// the last one reaches back over rows that the one before has had: nothing is
// read behind the last row, and a row's sums are the same from both.
#include "TileKernel.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;

//===----------------------------------------------------------------------===//
// Names and types
//===----------------------------------------------------------------------===//

/// Elements of a panel's line: a pair of each column.
constexpr int64_t line = 2 * panelColumns;

std::string TileKernel::name() const {
  auto text = [](int64_t value) {
    return ShapedType::isDynamic(value) ? "d" : std::to_string(value);
  };
  return "kernel_tiles_r" + text(rows) + "_p" + text(panels) + "_k" +
         text(depth) + "_l" + text(leftStride) + "_s" + text(rowsInSums);
}

MemRefType TileKernel::leftType(MLIRContext *context) const {
  return stridedMemRef(BFloat16Type::get(context),
                       {ShapedType::kDynamic, depth}, {leftStride, 1});
}

MemRefType TileKernel::rightType(MLIRContext *context) const {
  int64_t lines = llvm::divideCeil(depth, 2);
  return stridedMemRef(BFloat16Type::get(context), {panels, lines, line},
                       {lines * line, line, 1});
}

MemRefType TileKernel::sumsType(MLIRContext *context) const {
  return stridedMemRef(Float32Type::get(context),
                       {panels, rowsInSums, panelColumns},
                       {rowsInSums * panelColumns, panelColumns, 1});
}

MemRefType TileKernel::leftTailType(MLIRContext *context) const {
  return MemRefType::get({rowsInSums, tileDepth}, BFloat16Type::get(context));
}

MemRefType TileKernel::rightTailType(MLIRContext *context) const {
  return MemRefType::get({panels, tileDepth / 2, line},
                         BFloat16Type::get(context));
}

//===----------------------------------------------------------------------===//
// The functions
//===----------------------------------------------------------------------===//

namespace {

class TileBody {
public:
  TileBody(Emitter &b, const TileKernel &kernel, TargetInfo::Tile block,
           func::FuncOp function)
      : b(b), kernel(kernel), block(block) {
    ValueRange arguments = function.getArguments();
    operands = {arguments[0], arguments[1], arguments[2],
                arguments[3], Value(),      Value()};
    if (kernel.hasTail()) {
      operands.leftTail = arguments[4];
      operands.rightTail = arguments[5];
    }
    int64_t rows = kernel.rows;
    sum = amx::TileType::get({rows, panelColumns}, b.getF32Type());
    left = amx::TileType::get({rows, TileKernel::tileDepth}, b.getBF16Type());
    right =
        amx::TileType::get({TileKernel::tileDepth / 2, line}, b.getBF16Type());
  }

  /// Blocks of `block.rows` tiles times `block.panels` panels. A row tile left
  /// over takes all panels at once, which is as many accumulators.
  void emit() {
    if (kernel.rows != TileKernel::tileRows)
      return emitBlock({b.index(0)}, b.index(0), kernel.panels);
    Value tiles = b.ceilDiv(operands.rows, TileKernel::tileRows);
    Value blocks = b.div(tiles, block.rows);
    Value lastTile = b.sub(operands.rows, b.index(TileKernel::tileRows));
    auto emitColumn = [&](Value panel, unsigned panels) {
      b.loop(blocks, 1, [&](Value i) {
        SmallVector<Value> starts;
        for (unsigned tile = 0; tile != block.rows; ++tile)
          starts.push_back(b.min(
              b.mul(b.add(b.mul(i, block.rows), tile), TileKernel::tileRows),
              lastTile));
        emitBlock(starts, panel, panels);
      });
    };
    int64_t odd = kernel.panels % block.panels;
    b.loop(b.index(kernel.panels - odd), block.panels,
           [&](Value panel) { emitColumn(panel, block.panels); });
    if (odd)
      emitColumn(b.index(kernel.panels - odd), odd);
    b.loop(b.mul(blocks, block.rows), tiles, [&](Value tile) {
      Value start = b.min(b.mul(tile, TileKernel::tileRows), lastTile);
      emitBlock({start}, b.index(0), kernel.panels);
    });
  }

private:
  /// The row tiles that begin at `starts` times `panels` panels from `panel`.
  void emitBlock(ArrayRef<Value> starts, Value panel, unsigned panels) {
    // Each zero is a register of its own, so none are shared.
    SmallVector<Value> sums;
    for (unsigned i = 0; i != starts.size() * panels; ++i)
      sums.push_back(amx::TileZeroOp::create(b, sum));
    int64_t steps = kernel.depth / TileKernel::tileDepth;
    Value zero = b.index(0);
    if (steps)
      sums = b.carry(zero, b.index(steps), sums, [&](Value k, ValueRange sums) {
        return multiply(starts, panel, panels, operands.left, operands.right,
                        b.mul(k, TileKernel::tileDepth),
                        b.mul(k, TileKernel::tileDepth / 2), sums);
      });
    if (kernel.hasTail())
      sums = multiply(starts, panel, panels, operands.leftTail,
                      operands.rightTail, zero, zero, sums);
    for (auto [i, start] : llvm::enumerate(starts))
      for (unsigned p = 0; p != panels; ++p)
        amx::TileStoreOp::create(b, operands.sums,
                                 ValueRange{b.add(panel, p), start, zero},
                                 sums[i * panels + p]);
  }

  /// sums + left[starts.., k] * right[panel.., step]
  SmallVector<Value> multiply(ArrayRef<Value> starts, Value panel,
                              unsigned panels, Value from, Value by, Value k,
                              Value step, ValueRange sums) {
    Value zero = b.index(0);
    auto loadRow = [&](Value start) -> Value {
      return amx::TileLoadOp::create(b, left, from, ValueRange{start, k});
    };
    auto loadColumn = [&](unsigned p) -> Value {
      return amx::TileLoadOp::create(b, right, by,
                                     ValueRange{b.add(panel, p), step, zero});
    };
    SmallVector<Value> result;
    auto add = [&](Value row, Value column) {
      result.push_back(
          amx::TileMulFOp::create(b, sum, row, column, sums[result.size()]));
    };
    if (starts.size() == 1) {
      // Loaded at once the panels would need more registers than there are.
      Value row = loadRow(starts.front());
      for (unsigned p = 0; p != panels; ++p)
        add(row, loadColumn(p));
      return result;
    }
    SmallVector<Value> rows, columns;
    for (unsigned i = 0, e = std::max<size_t>(starts.size(), panels); i != e;
         ++i) {
      if (i < starts.size())
        rows.push_back(loadRow(starts[i]));
      if (i < panels)
        columns.push_back(loadColumn(i));
    }
    for (Value row : rows)
      for (Value column : columns)
        add(row, column);
    return result;
  }

  Emitter &b;
  const TileKernel &kernel;
  TargetInfo::Tile block;
  TileOperands operands;
  amx::TileType sum, left, right;
};

} // namespace

void sparse_opt::callTileKernel(Emitter &b, MicroKernels &kernels,
                                const TileKernel &kernel,
                                const TileOperands &operands) {
  MLIRContext *context = b.getContext();
  SmallVector<Value> arguments = {operands.left, operands.right, operands.sums,
                                  operands.rows};
  SmallVector<Type> types = {kernel.leftType(context),
                             kernel.rightType(context),
                             kernel.sumsType(context), IndexType::get(context)};
  if (kernel.hasTail()) {
    arguments.append({operands.leftTail, operands.rightTail});
    types.append({kernel.leftTailType(context), kernel.rightTailType(context)});
  }
  auto function = kernels.get(
      kernel.name(), types, [&](Emitter &inside, func::FuncOp function) {
        TileBody(inside, kernel, kernels.getTarget().tiles, function).emit();
      });
  func::CallOp::create(b, function, arguments);
}

//===----------------------------------------------------------------------===//
// Tails
//===----------------------------------------------------------------------===//

void sparse_opt::emitTails(Emitter &b, const TileKernel &kernel,
                           const TileOperands &operands) {
  int64_t tail = kernel.depth % TileKernel::tileDepth;
  int64_t begin = kernel.depth - tail;
  Value zero = b.index(0);
  Value mask =
      b.maskUpTo(b.index(begin), b.index(kernel.depth), TileKernel::tileDepth);
  b.loop(operands.rows, 1, [&](Value r) {
    Value last =
        b.load(operands.left, {r, b.index(begin)}, TileKernel::tileDepth, mask);
    b.store(last, operands.leftTail, {r, zero});
  });
  int64_t lines = llvm::divideCeil(tail, 2);
  Value none = b.zero(VectorType::get(line, b.getBF16Type()));
  for (unsigned p = 0; p != kernel.panels; ++p)
    b.loop(b.index(TileKernel::tileDepth / 2), 1, [&](Value i) {
      SmallVector<Value> to = {b.index(p), i, zero};
      b.ifElse(
          b.less(i, b.index(lines)),
          [&] {
            Value from = b.add(i, begin / 2);
            b.store(b.load(operands.right, {b.index(p), from, zero}, line),
                    operands.rightTail, to);
          },
          [&] { b.store(none, operands.rightTail, to); });
    });
}
