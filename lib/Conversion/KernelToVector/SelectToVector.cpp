// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// kernel.select on memrefs, by one thread: a vector of neurons at a time is
// kept where any row keeps it, and what is kept moves together. That is little
// beside one product of the rows that are kept.
#include "Lowerings.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::SelectOp;

namespace {

/// Moves the lanes of a mask together at the front.
class Compression {
public:
  Compression(Emitter &b, Value mask) : b(b), mask(mask) {
    lanes = cast<VectorType>(mask.getType()).getNumElements();
    if (lanes == 8)
      order = emitOrder();
  }

  /// Lanes of the mask, as an index.
  Value count();
  /// What is behind them is undefined.
  Value apply(Value vector);

private:
  Value call(StringRef intrinsic, Type type, ValueRange arguments) {
    return LLVM::CallIntrinsicOp::create(
               b, type, b.getStringAttr("llvm." + intrinsic), arguments)
        ->getResult(0);
  }
  Value constant(Type type, uint64_t value) {
    return arith::ConstantOp::create(
        b, b.getIntegerAttr(type, static_cast<int64_t>(value)));
  }
  Value bits();
  Value emitOrder();

  Emitter &b;
  Value mask, order;
  int64_t lanes;
};

Value Compression::bits() {
  Type type = b.getIntegerType(lanes);
  Value vector = vector::BitCastOp::create(b, VectorType::get(1, type), mask);
  return vector::ExtractOp::create(b, vector, 0);
}

Value Compression::count() {
  Value number = math::CtPopOp::create(
      b, arith::ExtUIOp::create(b, b.getI32Type(), bits()));
  return arith::IndexCastOp::create(b, b.getIndexType(), number);
}

/// Of eight lanes, without an instruction that moves them: a byte for each,
/// of which the masked ones' numbers are extracted.
Value Compression::emitOrder() {
  Type i64 = b.getI64Type();
  Value wide = arith::ExtUIOp::create(b, i64, bits());
  Value bytes =
      call("x86.bmi.pdep.64", i64, {wide, constant(i64, 0x0101010101010101)});
  bytes = arith::MulIOp::create(b, bytes, constant(i64, 255));
  Value numbers =
      call("x86.bmi.pext.64", i64, {constant(i64, 0x0706050403020100), bytes});
  Value vector = vector::BitCastOp::create(b, VectorType::get(8, b.getI8Type()),
                                           b.broadcast(numbers, 1));
  return arith::ExtUIOp::create(b, VectorType::get(8, b.getI32Type()), vector);
}

Value Compression::apply(Value vector) {
  Type type = vector.getType();
  if (lanes != 8)
    return call("experimental.vector.compress", type,
                {vector, mask, b.zero(type)});
  bool isFloat = isa<FloatType>(cast<VectorType>(type).getElementType());
  return call(isFloat ? "x86.avx2.permps" : "x86.avx2.permd", type,
              {vector, order});
}

class SelectLowering {
public:
  SelectLowering(SelectOp op, const TargetInfo &target)
      : op(op), lanes(target.f32Lanes()), b(op.getLoc(), op) {
    auto scores = cast<MemRefType>(op.getScores().getType());
    neurons = scores.getDimSize(1);
    group = kernel::neuronsInAGroup(cast<ShapedType>(op.getList().getType()),
                                    neurons);
    rows = b.size(op.getScores(), 0);
  }

  void lower();

private:
  /// Adds the neurons from `begin` on, where `mask` is given only its, behind
  /// the `count` groups so far; returns how many there are then.
  Value emitNeurons(Value begin, Value count, Value mask);
  Value emitGroup(Value number, Value count);
  Value emitAnyKeeps(Value column, Value mask);

  struct Ruled {
    Value keep, value;
  };
  Ruled emitRule(Value row, Value column, Value mask);
  /// value where kept, else 0.
  Value emitValue(Value row, Value column, Value mask);

  SelectOp op;
  unsigned lanes;
  Emitter b;
  int64_t neurons, group;
  Value rows;
};

} // namespace

void SelectLowering::lower() {
  Value zero = b.index(0), one = b.index(1);
  auto once = scf::ParallelOp::create(b, ValueRange{zero}, ValueRange{one},
                                      ValueRange{one});
  b.setInsertionPointToStart(once.getBody());
  int64_t step = group == 1 ? lanes : group, whole = neurons / step;
  Value count = b.carry(zero, b.index(whole), zero,
                        [&](Value i, ValueRange count) -> SmallVector<Value> {
                          return {group == 1 ? emitNeurons(b.mul(i, step),
                                                           count[0], Value())
                                             : emitGroup(i, count[0])};
                        })
                    .front();
  if (whole * step != neurons) {
    Value begin = b.index(whole * step);
    count =
        emitNeurons(begin, count, b.maskUpTo(begin, b.index(neurons), lanes));
  }
  memref::StoreOp::create(
      b, arith::IndexCastOp::create(b, b.getI32Type(), count), op.getCount());
}

SelectLowering::Ruled SelectLowering::emitRule(Value row, Value column,
                                               Value mask) {
  SmallVector<Value> arguments = {
      b.load(op.getScores(), {row, column}, lanes, mask)};
  for (Value extra : op.getExtras())
    arguments.push_back(b.loadExtra(extra, row, column, lanes, mask));
  SmallVector<Value> yielded =
      b.inlineAllVectorized(op.getRule(), arguments, lanes);
  Value keep = yielded[0];
  if (mask)
    keep = arith::AndIOp::create(b, keep, mask);
  return {keep, yielded[1]};
}

Value SelectLowering::emitValue(Value row, Value column, Value mask) {
  Ruled ruled = emitRule(row, column, mask);
  return arith::SelectOp::create(b, ruled.keep, ruled.value,
                                 b.splat(0.0f, lanes));
}

Value SelectLowering::emitAnyKeeps(Value column, Value mask) {
  Value none = b.zero(VectorType::get(lanes, b.getI1Type()));
  return b
      .carry(b.index(0), rows, none,
             [&](Value row, ValueRange any) -> SmallVector<Value> {
               Value keep = emitRule(row, column, mask).keep;
               return {arith::OrIOp::create(b, any[0], keep)};
             })
      .front();
}

/// Whole vectors are stored: their end is overwritten, or behind what counts.
/// The end of the last, partial one is not there.
Value SelectLowering::emitNeurons(Value begin, Value count, Value mask) {
  Compression kept(b, emitAnyKeeps(begin, mask));
  Value more = kept.count(), stored;
  if (mask)
    stored = b.maskUpTo(b.index(0), more, lanes);
  Value first = arith::IndexCastOp::create(b, b.getI32Type(), begin);
  b.store(kept.apply(b.upFrom(first, lanes)), op.getList(), count, stored);
  b.loop(rows, 1, [&](Value row) {
    b.store(kept.apply(emitValue(row, begin, mask)), op.getValues(),
            {row, count}, stored);
  });
  return b.add(count, more);
}

/// A group is written in any case, and overwritten when it isn't kept.
Value SelectLowering::emitGroup(Value number, Value count) {
  Value any = b.zero(b.getI1Type());
  for (int64_t lane = 0; lane != group; lane += lanes) {
    Value column = b.add(b.mul(number, group), lane);
    Value part = vector::ReductionOp::create(b, vector::CombiningKind::OR,
                                             emitAnyKeeps(column, Value()));
    any = arith::OrIOp::create(b, any, part);
    b.loop(rows, 1, [&](Value row) {
      b.store(emitValue(row, column, Value()), op.getValues(),
              {row, b.add(b.mul(count, group), lane)});
    });
  }
  memref::StoreOp::create(b,
                          arith::IndexCastOp::create(b, b.getI32Type(), number),
                          op.getList(), count);
  return b.add(count, arith::IndexCastUIOp::create(b, b.getIndexType(), any));
}

LogicalResult sparse_opt::lowerSelect(SelectOp op, const TargetInfo &target) {
  if (failed(verifyContiguousRows(op)))
    return failure();
  SelectLowering(op, target).lower();
  op.erase();
  return success();
}
