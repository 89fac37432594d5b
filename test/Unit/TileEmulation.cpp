// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tile becomes a vector of its rows, of f32 or of 32-bit pairs of bf16. The
// product is a function that sums in TDPBF16PS's order: a chain of fused
// multiply-adds of each pair's first elements and one of its second, from zero
// in every instruction, whose sum goes to the accumulator. It doesn't flush
// denormals, which the instruction does.
#include "TileEmulation.h"
#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

using namespace mlir;

namespace {

class Emulation {
public:
  explicit Emulation(ModuleOp module) : module(module) {}

  void run() {
    SmallVector<Operation *> ops;
    module.walk([&](Operation *op) {
      if (isa<amx::TileZeroOp, amx::TileLoadOp, amx::TileMulFOp,
              amx::TileStoreOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops)
      replace(op);
    module.walk([&](Operation *op) {
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (BlockArgument argument : block.getArguments())
            retype(argument);
      for (Value result : op->getResults())
        retype(result);
    });
  }

private:
  static VectorType vectorOf(amx::TileType tile) {
    Type element = tile.getElementType();
    int64_t lanes = tile.getDimSize(1);
    if (element.isBF16()) {
      element = IntegerType::get(tile.getContext(), 32);
      lanes /= 2;
    }
    return VectorType::get({tile.getDimSize(0), lanes}, element);
  }

  /// Operands may have been replaced already: ops' own accessors, which
  /// insist on tiles, can't be asked for them.
  static VectorType retype(Value value) {
    if (auto tile = dyn_cast<amx::TileType>(value.getType()))
      value.setType(vectorOf(tile));
    return dyn_cast<VectorType>(value.getType());
  }

  void replace(Operation *op) {
    ImplicitLocOpBuilder b(op->getLoc(), op);
    if (auto zero = dyn_cast<amx::TileZeroOp>(op)) {
      Value result = arith::ConstantOp::create(
          b, b.getZeroAttr(vectorOf(zero.getTileType())));
      zero.replaceAllUsesWith(result);
    } else if (auto load = dyn_cast<amx::TileLoadOp>(op)) {
      load.replaceAllUsesWith(emitLoad(b, load));
    } else if (auto multiply = dyn_cast<amx::TileMulFOp>(op)) {
      multiply.replaceAllUsesWith(emitMultiply(b, multiply));
    } else {
      emitStore(b, cast<amx::TileStoreOp>(op));
    }
    op->erase();
  }

  /// The indices of row `r`, which counts along the last dimension but one.
  static SmallVector<Value> rowOf(ImplicitLocOpBuilder &b, ValueRange indices,
                                  int64_t r) {
    SmallVector<Value> result(indices);
    Value &row = result[result.size() - 2];
    row = arith::AddIOp::create(b, row, arith::ConstantIndexOp::create(b, r));
    return result;
  }

  static Value emitLoad(ImplicitLocOpBuilder &b, amx::TileLoadOp op) {
    assert(!op.getStride() && "the memref has the stride");
    amx::TileType tile = op.getTileType();
    VectorType type = vectorOf(tile);
    auto bits = VectorType::get(type.getDimSize(1), type.getElementType());
    auto elements = VectorType::get(tile.getDimSize(1), tile.getElementType());
    Value result = arith::ConstantOp::create(b, b.getZeroAttr(type));
    for (int64_t r = 0; r != tile.getDimSize(0); ++r) {
      Value row = vector::LoadOp::create(b, elements, op.getBase(),
                                         rowOf(b, op.getIndices(), r));
      row = vector::BitCastOp::create(b, bits, row);
      result = vector::InsertOp::create(b, row, result, r);
    }
    return result;
  }

  static void emitStore(ImplicitLocOpBuilder &b, amx::TileStoreOp op) {
    assert(!op.getStride() && "the memref has the stride");
    Value tile = op->getOperands().back();
    int64_t rows = retype(tile).getDimSize(0);
    for (int64_t r = 0; r != rows; ++r)
      vector::StoreOp::create(b, vector::ExtractOp::create(b, tile, r),
                              op.getBase(), rowOf(b, op.getIndices(), r));
  }

  Value emitMultiply(ImplicitLocOpBuilder &b, amx::TileMulFOp op) {
    SmallVector<Value> memory;
    auto entry = ImplicitLocOpBuilder::atBlockBegin(
        b.getLoc(), &op->getParentOfType<func::FuncOp>().front());
    for (Value tile : op->getOperands()) {
      VectorType type = retype(tile);
      memory.push_back(memref::AllocaOp::create(
          entry, MemRefType::get(type.getShape(), type.getElementType())));
      for (int64_t r = 0; r != type.getDimSize(0); ++r)
        vector::StoreOp::create(b, vector::ExtractOp::create(b, tile, r),
                                memory.back(), at(b, r));
    }
    func::CallOp::create(b, multiplier(memory), memory);
    VectorType type = vectorOf(op.getTileType());
    auto row = VectorType::get(type.getDimSize(1), type.getElementType());
    Value result = arith::ConstantOp::create(b, b.getZeroAttr(type));
    for (int64_t r = 0; r != type.getDimSize(0); ++r)
      result = vector::InsertOp::create(
          b, vector::LoadOp::create(b, row, memory[2], at(b, r)), result, r);
    return result;
  }

  static SmallVector<Value> at(ImplicitLocOpBuilder &b, int64_t row) {
    return {arith::ConstantIndexOp::create(b, row),
            arith::ConstantIndexOp::create(b, 0)};
  }

  /// A function of the left, right and accumulated rows in memory.
  func::FuncOp multiplier(ValueRange memory) {
    auto left = cast<MemRefType>(memory[0].getType());
    auto sums = cast<MemRefType>(memory[2].getType());
    std::string name = "emulated_tdpbf16ps_" +
                       std::to_string(left.getDimSize(0)) + "_" +
                       std::to_string(left.getDimSize(1));
    if (auto known = module.lookupSymbol<func::FuncOp>(name))
      return known;
    auto b =
        ImplicitLocOpBuilder::atBlockBegin(module.getLoc(), module.getBody());
    auto function =
        func::FuncOp::create(b, name, b.getFunctionType(memory.getTypes(), {}));
    function.setPrivate();
    function->setAttr("passthrough", b.getStrArrayAttr({"noinline"}));
    b.setInsertionPointToStart(function.addEntryBlock());
    Value zero = arith::ConstantIndexOp::create(b, 0);
    Value one = arith::ConstantIndexOp::create(b, 1);
    Value rows = arith::ConstantIndexOp::create(b, left.getDimSize(0));
    Value pairs = arith::ConstantIndexOp::create(b, left.getDimSize(1));
    auto row = VectorType::get(sums.getDimSize(1), b.getF32Type());
    Value none = arith::ConstantOp::create(b, b.getZeroAttr(row));
    ValueRange arguments = function.getArguments();
    scf::ForOp::create(
        b, zero, rows, one, ValueRange(),
        [&](OpBuilder &nested, Location loc, Value r, ValueRange) {
          ImplicitLocOpBuilder b(loc, nested);
          auto chains = scf::ForOp::create(
              b, zero, pairs, one, ValueRange{none, none},
              [&](OpBuilder &nested, Location loc, Value k, ValueRange sums) {
                ImplicitLocOpBuilder b(loc, nested);
                scf::YieldOp::create(b, addPair(b, arguments, r, k, sums));
              });
          Value sum = arith::AddFOp::create(b, chains.getResult(0),
                                            chains.getResult(1));
          Value before =
              vector::LoadOp::create(b, row, arguments[2], ValueRange{r, zero});
          sum = arith::AddFOp::create(b, before, sum);
          vector::StoreOp::create(b, sum, arguments[2], ValueRange{r, zero});
          scf::YieldOp::create(b);
        });
    func::ReturnOp::create(b);
    return function;
  }

  /// sums[i] += left[r, k][i] * right[k, ..][i], `i` one of a pair.
  static SmallVector<Value> addPair(ImplicitLocOpBuilder &b,
                                    ValueRange arguments, Value r, Value k,
                                    ValueRange sums) {
    auto floats = cast<VectorType>(sums.front().getType());
    auto bits = floats.clone(b.getI32Type());
    Value zero = arith::ConstantIndexOp::create(b, 0);
    Value pair = vector::BroadcastOp::create(
        b, bits, memref::LoadOp::create(b, arguments[0], ValueRange{r, k}));
    Value line =
        vector::LoadOp::create(b, bits, arguments[1], ValueRange{k, zero});
    auto constant = [&](int32_t value) -> Value {
      return arith::ConstantOp::create(
          b, DenseElementsAttr::get(bits, APInt(32, value, true)));
    };
    auto halves = [&](Value pairs) -> std::array<Value, 2> {
      Value first = arith::ShLIOp::create(b, pairs, constant(16));
      Value second = arith::AndIOp::create(b, pairs, constant(-65536));
      return {vector::BitCastOp::create(b, floats, first),
              vector::BitCastOp::create(b, floats, second)};
    };
    std::array<Value, 2> x = halves(pair), y = halves(line);
    return {vector::FMAOp::create(b, x[0], y[0], sums[0]),
            vector::FMAOp::create(b, x[1], y[1], sums[1])};
  }

  ModuleOp module;
};

} // namespace

void sparse_opt::emulateTiles(ModuleOp module) { Emulation(module).run(); }
