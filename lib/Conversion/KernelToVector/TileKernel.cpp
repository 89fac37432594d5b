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
  return MemRefType::get({ShapedType::kDynamic, tileDepth},
                         BFloat16Type::get(context));
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
           const TileOperands &operands, const TileEpilogue *epilogue)
      : b(b), kernel(kernel), block(block), operands(operands),
        epilogue(epilogue) {
    int64_t rows = kernel.rows;
    sum = amx::TileType::get({rows, panelColumns}, b.getF32Type());
    left = amx::TileType::get({rows, TileKernel::tileDepth}, b.getBF16Type());
    right =
        amx::TileType::get({TileKernel::tileDepth / 2, line}, b.getBF16Type());
  }

  /// Blocks of `block.rows` tiles times `block.panels` panels, and of a row
  /// tile left over times as many panels as make the same number of sums.
  void emit();

private:
  using Meanwhile = llvm::function_ref<void(Value k)>;
  /// `count` blocks down the rows, from tile `firstTile` on, and as many
  /// columns of them as there are panels for.
  struct Blocks {
    Value firstTile, count;
    unsigned tiles, panels; ///< of a block
  };
  /// Rows [first, end) times some panels. The sums of row `base` are the first
  /// in memory: a tile that reaches back begins before its block.
  struct Block {
    SmallVector<Value> starts; ///< of its tiles
    Value base, first, end, panel;
    unsigned panels;
  };

  void emitBlocks(const Blocks &blocks);
  void emitColumn(const Blocks &blocks, Value panel, unsigned panels);
  Block emitOverlapped(const Blocks &blocks, unsigned columns);
  Block blockAt(const Blocks &blocks, Value i, Value panel, unsigned panels);
  void emitBlock(const Block &block, Meanwhile meanwhile);
  SmallVector<Value> multiply(const Block &block, Value from, Value by, Value k,
                              Value step, ValueRange sums);
  ProductEpilogue::Row rowOf(const Block &block, Value row);
  void emitShare(const Block &due, unsigned tiles, Value k);
  void emitEpilogue(const Block &due, Value first);

  Emitter &b;
  const TileKernel &kernel;
  TargetInfo::Tile block;
  TileOperands operands;
  const TileEpilogue *epilogue; ///< or null
  amx::TileType sum, left, right;
};

} // namespace

void TileBody::emit() {
  constexpr int64_t height = TileKernel::tileRows;
  Value zero = b.index(0), one = b.index(1);
  unsigned atOnce = block.rows * block.panels;
  if (kernel.rows != height)
    return emitBlocks({zero, one, 1, atOnce});
  Value tiles = b.ceilDiv(operands.rows, height);
  Value blocks = b.div(tiles, block.rows);
  emitBlocks({zero, blocks, block.rows, block.panels});
  Value done = b.mul(blocks, block.rows);
  emitBlocks({done, b.sub(tiles, done), 1, atOnce});
}

void TileBody::emitBlocks(const Blocks &blocks) {
  unsigned columns = kernel.panels / blocks.panels;
  unsigned odd = kernel.panels % blocks.panels;
  if (epilogue && columns) {
    Block last = emitOverlapped(blocks, columns);
    emitEpilogue(last, last.first);
  } else {
    b.loop(b.index(columns), 1, [&](Value i) {
      emitColumn(blocks, b.mul(i, blocks.panels), blocks.panels);
    });
  }
  if (odd)
    emitColumn(blocks, b.index(kernel.panels - odd), odd);
}

/// All rows of some panels, one block after another.
void TileBody::emitColumn(const Blocks &blocks, Value panel, unsigned panels) {
  b.loop(blocks.count, 1, [&](Value i) {
    Block block = blockAt(blocks, i, panel, panels);
    emitBlock(block, [](Value) {});
    if (epilogue)
      emitEpilogue(block, block.first);
  });
}

/// All rows of all whole columns, each block's epilogue in the next one's loop;
/// returns the last. Before the first there are no rows to be done.
TileBody::Block TileBody::emitOverlapped(const Blocks &blocks,
                                         unsigned columns) {
  Value zero = b.index(0);
  auto due = [&](ValueRange values) {
    return Block{{}, values[0], values[1], values[2], values[3], blocks.panels};
  };
  auto row = [&](Value column) {
    return [&, column](Value i, ValueRange carried) {
      Block next =
          blockAt(blocks, i, b.mul(column, blocks.panels), blocks.panels);
      emitBlock(next,
                [&](Value k) { emitShare(due(carried), blocks.tiles, k); });
      return SmallVector<Value>{next.base, next.first, next.end, next.panel};
    };
  };
  SmallVector<Value> none(4, zero);
  return due(b.carry(zero, b.index(columns), none,
                     [&](Value column, ValueRange carried) {
                       return b.carry(zero, blocks.count, carried, row(column));
                     }));
}

TileBody::Block TileBody::blockAt(const Blocks &blocks, Value i, Value panel,
                                  unsigned panels) {
  constexpr int64_t height = TileKernel::tileRows;
  Value zero = b.index(0);
  if (kernel.rows != height)
    return {{zero}, zero, zero, operands.rows, panel, panels};
  Value first = b.mul(b.add(blocks.firstTile, b.mul(i, blocks.tiles)), height);
  Value lastStart = b.sub(operands.rows, b.index(height));
  SmallVector<Value> starts;
  for (unsigned tile = 0; tile != blocks.tiles; ++tile)
    starts.push_back(b.min(b.add(first, tile * height), lastStart));
  Value end = b.min(b.add(first, blocks.tiles * height), operands.rows);
  Value base = epilogue ? starts.front() : zero;
  return {starts, base, first, end, panel, panels};
}

//===----------------------------------------------------------------------===//
// A block
//===----------------------------------------------------------------------===//

void TileBody::emitBlock(const Block &block, Meanwhile meanwhile) {
  // Each zero is a register of its own, so none are shared.
  SmallVector<Value> sums;
  for (unsigned i = 0; i != block.starts.size() * block.panels; ++i)
    sums.push_back(amx::TileZeroOp::create(b, sum));
  Value zero = b.index(0);
  if (kernel.steps())
    sums = b.carry(zero, b.index(kernel.steps()), sums,
                   [&](Value k, ValueRange sums) {
                     SmallVector<Value> next =
                         multiply(block, operands.left, operands.right,
                                  b.mul(k, TileKernel::tileDepth),
                                  b.mul(k, TileKernel::tileDepth / 2), sums);
                     meanwhile(k);
                     return next;
                   });
  if (kernel.hasTail())
    sums = multiply(block, operands.leftTail, operands.rightTail, zero, zero,
                    sums);
  bool isAlone = epilogue; // in `sums`
  for (auto [i, start] : llvm::enumerate(block.starts))
    for (unsigned p = 0; p != block.panels; ++p) {
      Value panel = isAlone ? b.index(p) : b.add(block.panel, p);
      amx::TileStoreOp::create(
          b, operands.sums, ValueRange{panel, b.sub(start, block.base), zero},
          sums[i * block.panels + p]);
    }
}

/// sums + left[starts.., k] * right[panel.., step]
SmallVector<Value> TileBody::multiply(const Block &block, Value from, Value by,
                                      Value k, Value step, ValueRange sums) {
  ArrayRef<Value> starts = block.starts;
  Value zero = b.index(0);
  auto loadRow = [&](Value start) -> Value {
    return amx::TileLoadOp::create(b, left, from, ValueRange{start, k});
  };
  auto loadColumn = [&](unsigned p) -> Value {
    return amx::TileLoadOp::create(
        b, right, by, ValueRange{b.add(block.panel, p), step, zero});
  };
  SmallVector<Value> result;
  auto add = [&](Value row, Value column) {
    result.push_back(
        amx::TileMulFOp::create(b, sum, row, column, sums[result.size()]));
  };
  if (starts.size() == 1) {
    // Loaded at once the panels would need more registers than there are.
    Value row = loadRow(starts.front());
    for (unsigned p = 0; p != block.panels; ++p)
      add(row, loadColumn(p));
    return result;
  }
  SmallVector<Value> rows, columns;
  for (unsigned i = 0, e = std::max<size_t>(starts.size(), block.panels);
       i != e; ++i) {
    if (i < starts.size())
      rows.push_back(loadRow(starts[i]));
    if (i < block.panels)
      columns.push_back(loadColumn(i));
  }
  for (Value row : rows)
    for (Value column : columns)
      add(row, column);
  return result;
}

//===----------------------------------------------------------------------===//
// Epilogues
//===----------------------------------------------------------------------===//

ProductEpilogue::Row TileBody::rowOf(const Block &block, Value row) {
  return {operands.sums,
          b.index(0),
          b.sub(row, block.base),
          b.add(epilogue->firstRow, row),
          b.add(epilogue->firstPanel, block.panel),
          block.panels,
          epilogue->masked};
}

/// The rows from `first` on.
void TileBody::emitEpilogue(const Block &due, Value first) {
  b.loop(first, due.end,
         [&](Value row) { epilogue->epilogue.emit(b, {rowOf(due, row)}); });
}

/// What step `k` does of it. A row is done once only: the output may be an
/// operand too.
void TileBody::emitShare(const Block &due, unsigned tiles, Value k) {
  int64_t share =
      llvm::divideCeil(tiles * TileKernel::tileRows, kernel.steps());
  Value first = b.add(due.first, b.mul(k, share));
  b.ifElse(
      b.less(due.end, b.add(first, share)), [&] { emitEpilogue(due, first); },
      [&] {
        SmallVector<ProductEpilogue::Row> rows;
        for (int64_t i = 0; i != share; ++i)
          rows.push_back(rowOf(due, b.add(first, i)));
        epilogue->epilogue.emit(b, rows);
      });
}

//===----------------------------------------------------------------------===//
// Calls
//===----------------------------------------------------------------------===//

namespace {
/// What a function takes before its epilogue's operands.
struct Signature {
  SmallVector<Type> types;
  SmallVector<Value> values;

  Signature(const TileKernel &kernel, const TileOperands &operands,
            MLIRContext *context)
      : types{kernel.leftType(context), kernel.rightType(context),
              kernel.sumsType(context), IndexType::get(context)},
        values{operands.left, operands.right, operands.sums, operands.rows} {
    if (!kernel.hasTail())
      return;
    types.append({kernel.leftTailType(context), kernel.rightTailType(context)});
    values.append({operands.leftTail, operands.rightTail});
  }

  static TileOperands inside(const TileKernel &kernel, ValueRange arguments) {
    TileOperands operands = {arguments[0], arguments[1], arguments[2],
                             arguments[3], Value(),      Value()};
    if (kernel.hasTail()) {
      operands.leftTail = arguments[4];
      operands.rightTail = arguments[5];
    }
    return operands;
  }
};
} // namespace

void sparse_opt::callTileKernel(Emitter &b, MicroKernels &kernels,
                                const TileKernel &kernel,
                                const TileOperands &operands) {
  Signature signature(kernel, operands, b.getContext());
  auto emit = [&](Emitter &inside, func::FuncOp function) {
    TileBody(inside, kernel, kernels.getTarget().tiles,
             Signature::inside(kernel, function.getArguments()), nullptr)
        .emit();
  };
  func::CallOp::create(b, kernels.get(kernel.name(), signature.types, emit),
                       signature.values);
}

void sparse_opt::callTileProduct(Emitter &b, MicroKernels &kernels,
                                 const TileKernel &kernel,
                                 const TileOperands &operands,
                                 const TileEpilogue &epilogue) {
  Signature signature(kernel, operands, b.getContext());
  unsigned first = signature.values.size();
  signature.values.append({epilogue.firstRow, epilogue.firstPanel});
  llvm::append_range(signature.values, epilogue.epilogue.operands());
  for (Value value : ArrayRef(signature.values).drop_front(first))
    signature.types.push_back(value.getType());
  auto emit = [&](Emitter &inside, func::FuncOp function) {
    ValueRange own = function.getArguments().drop_front(first);
    TileEpilogue arguments = {epilogue.epilogue.inside(own.drop_front(2)),
                              epilogue.masked, own[0], own[1]};
    TileBody(inside, kernel, kernels.getTarget().tiles,
             Signature::inside(kernel, function.getArguments()), &arguments)
        .emit();
  };
  func::CallOp::create(
      b, kernels.getShared(kernel.name() + "_e", signature.types, emit),
      signature.values);
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
