// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Generates micro-kernels. Accumulators are loop-carried vectors of one
// register each; the left operand is broadcast from memory. Which tile fits a
// target's registers, and how it multiplies bf16, is in its TargetInfo; who
// calls is the lowerings' matter.
#include "MicroKernel.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMAttrs.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::int8PanelColumns;
using kernel::panelColumns;
using kernel::panelsInInt8;

//===----------------------------------------------------------------------===//
// Names and types
//===----------------------------------------------------------------------===//

static std::string text(int64_t value) {
  return ShapedType::isDynamic(value) ? "d" : std::to_string(value);
}

std::string MicroKernel::name() const {
  return std::string(isPaired() ? "kernel_bf16" : "kernel_f32") +
         (isRightInt8  ? "_int8"
          : isLeftWide ? "_bf16"
                       : "") +
         "_r" + text(rows) + "_p" + text(panels) + "_k" + text(depth) + "_l" +
         text(leftStride) + "_t" + text(tilePanelStride) + "_" +
         text(tileRowStride) + "_f" + text(prefetched) + "_a" + text(ahead);
}

Type MicroKernel::elementType(MLIRContext *context) const {
  return isBf16 ? Type(BFloat16Type::get(context))
                : Type(Float32Type::get(context));
}

Type MicroKernel::leftElement(MLIRContext *context) const {
  return isLeftWide ? Type(Float32Type::get(context)) : elementType(context);
}

MemRefType MicroKernel::leftType(MLIRContext *context) const {
  Type type = leftElement(context);
  if (ShapedType::isDynamic(depth))
    return stridedMemRef(
        type, {ShapedType::kDynamic, ShapedType::kDynamic, panelColumns},
        {leftStride, panelColumns, 1});
  return stridedMemRef(type, {ShapedType::kDynamic, depth}, {leftStride, 1});
}

/// `count` panels, each of as many lines as there are steps; of int8 a line for
/// each k, of which fewer than four panels are a part.
MemRefType MicroKernel::panelsType(MLIRContext *context, int64_t count) const {
  if (isRightInt8)
    return stridedMemRef(IntegerType::get(context, 8),
                         {int64_t(llvm::divideCeil(count, panelsInInt8)), depth,
                          std::min(count, panelsInInt8) * panelColumns},
                         {depth * int8PanelColumns, int8PanelColumns, 1});
  int64_t line = panelColumns * step();
  int64_t dynamic = ShapedType::kDynamic;
  if (ShapedType::isDynamic(depth))
    return stridedMemRef(elementType(context), {count, dynamic, line},
                         {dynamic, line, 1});
  return stridedMemRef(elementType(context), {count, lines(), line},
                       {lines() * line, line, 1});
}

MemRefType MicroKernel::rightType(MLIRContext *context) const {
  return panelsType(context, panels);
}

MemRefType MicroKernel::nextType(MLIRContext *context) const {
  return panelsType(context, prefetched);
}

MemRefType MicroKernel::tileType(MLIRContext *context) const {
  return stridedMemRef(Float32Type::get(context),
                       {panels, ShapedType::kDynamic, panelColumns},
                       {tilePanelStride, tileRowStride, 1});
}

//===----------------------------------------------------------------------===//
// The body
//===----------------------------------------------------------------------===//

namespace {

/// Emits one function's body; accumulators are ordered row, panel, vector.
class BodyEmitter {
public:
  BodyEmitter(Emitter &b, const MicroKernel &kernel, const TargetInfo &target,
              Value left, Value right)
      : b(b), kernel(kernel), lanes(target.f32Lanes()),
        vectorsAPanel(panelColumns / lanes), left(left), right(right) {
    assert((kernel.isLeftWide ||
            !(kernel.isBf16 && target.bf16 == TargetInfo::Bf16::Widen)) &&
           "this target multiplies no bf16");
  }

  void emit(func::FuncOp function) {
    tile = function.getArgument(2);
    if (ShapedType::isDynamic(kernel.depth))
      depth = function.getArgument(3);
    else if (kernel.fetchesNext())
      next = function.getArgument(3);
    emitStores(emitSums());
  }

  SmallVector<Value> emitSums() {
    SmallVector<Value> sums(kernel.rows * kernel.panels * vectorsAPanel,
                            b.splat(0.0f, lanes));
    return ShapedType::isDynamic(kernel.depth) ? emitBlockedLoops(sums)
                                               : emitLoop(sums);
  }

private:
  using Sums = SmallVector<Value>;
  using Body = llvm::function_ref<void(Value, Sums &)>;
  /// Where in `left` a row's elements of one step begin.
  using LeftIndices = llvm::function_ref<SmallVector<Value>(Value row)>;

  /// for i in [begin, end): body, with `sums` carried.
  Sums reduce(Value begin, Value end, const Sums &sums, Body body) {
    return b.carry(begin, end, sums, [&](Value i, ValueRange carried) {
      Sums next(carried);
      body(i, next);
      return next;
    });
  }

  Sums emitLoop(Sums sums) {
    int64_t lines = kernel.lines(), step = kernel.step();
    int64_t whole = kernel.depth / step;
    // From `last` on what is to be fetched lies in the next group.
    int64_t last =
        kernel.fetchesNext() ? lines - std::min(lines, kernel.ahead) : whole;
    auto turn = [&](Value i, Sums &sums, int64_t count) {
      Value k = b.mul(i, step);
      accumulate(
          i, [&](Value row) { return SmallVector<Value>{row, k}; }, count,
          sums);
    };
    if (last != 0)
      sums = reduce(b.index(0), b.index(last), sums, [&](Value i, Sums &sums) {
        if (kernel.isRightInt8)
          prefetchInt8(b.add(b.mul(i, step), kernel.ahead));
        else if (kernel.prefetched)
          prefetch(right, b.add(i, kernel.ahead));
        turn(i, sums, step);
      });
    auto toNext = [&](Value i) {
      if (kernel.fetchesNext())
        prefetch(next, b.sub(i, b.index(last)));
    };
    if (last < whole)
      sums =
          reduce(b.index(last), b.index(whole), sums, [&](Value i, Sums &sums) {
            toNext(i);
            turn(i, sums, step);
          });
    if (whole != lines) {
      toNext(b.index(whole));
      turn(b.index(whole), sums, kernel.depth % step);
    }
    return sums;
  }

  void prefetch(Value panels, Value line) {
    for (unsigned p = 0; p != kernel.prefetched; ++p)
      b.prefetch(panels, {b.index(p), line, b.index(0)});
  }

  /// One step's lines, of all panels that are read at a time.
  void prefetchInt8(Value k) {
    for (unsigned p = 0; p < kernel.prefetched; p += panelsInInt8)
      for (int64_t i = 0; i != kernel.step(); ++i)
        b.prefetch(right, {b.index(p / panelsInInt8), b.add(k, i), b.index(0)});
  }

  /// Full blocks of 16 along k, then the rest.
  Sums emitBlockedLoops(Sums sums) {
    int64_t stepsABlock = panelColumns / kernel.step();
    Value steps = b.ceilDiv(depth, kernel.step());
    Value blocks = b.div(steps, stepsABlock);
    auto block = [&](Value block, Value count, const Sums &sums) {
      return reduce(b.index(0), count, sums, [&](Value within, Sums &sums) {
        Value step = b.add(b.mul(block, stepsABlock), within);
        Value k = b.mul(within, kernel.step());
        accumulate(
            step, [&](Value row) { return SmallVector<Value>{block, row, k}; },
            kernel.step(), sums);
      });
    };
    sums = reduce(b.index(0), blocks, sums, [&](Value i, Sums &sums) {
      sums = block(i, b.index(stepsABlock), sums);
    });
    return block(blocks, b.rem(steps, stepsABlock), sums);
  }

  /// sums += left[.., step] * right[.., step, ..], of the step's first `count`
  /// k's.
  void accumulate(Value step, LeftIndices leftIndices, int64_t count,
                  Sums &sums) {
    SmallVector<Factors> columns;
    for (unsigned p = 0; p != kernel.panels; ++p)
      for (unsigned v = 0; v != vectorsAPanel; ++v)
        columns.push_back(loadColumns(p, step, v, count));
    // One factor after the other, for fewer registers.
    for (unsigned part = 0; part != columns.front().size(); ++part)
      for (unsigned r = 0, sum = 0; r != kernel.rows; ++r) {
        Value row = loadRow(leftIndices(b.index(r)), part, count);
        for (const Factors &column : columns) {
          sums[sum] = multiplyAdd(row, column[part], sums[sum]);
          ++sum;
        }
      }
  }

  /// One step's elements of some columns as the target multiplies them, in the
  /// order of k: vectors of f32 or of pairs of bf16.
  using Factors = SmallVector<Value, 4>;

  Factors loadColumns(unsigned panel, Value step, unsigned v, int64_t count) {
    if (kernel.isRightInt8)
      return loadInt8(panel, b.mul(step, kernel.step()), v * lanes, count);
    unsigned width = lanes * kernel.step();
    Value elements =
        b.load(right, {b.index(panel), step, b.index(v * width)}, width);
    if (!kernel.isLeftWide)
      return {elements};
    Factors halves = splitPairs(elements);
    halves.truncate(count);
    return halves;
  }

  Factors loadInt8(unsigned panel, Value k, unsigned column, int64_t count) {
    Value wide = b.index(panel / panelsInInt8);
    Value first = b.index(panel % panelsInInt8 * panelColumns + column);
    Factors floats;
    for (int64_t i = 0; i < count; ++i)
      floats.push_back(b.loadInt8(right, {wide, b.add(k, i), first}, lanes));
    if (!kernel.isPaired())
      return floats;
    Factors pairs;
    for (int64_t i = 0; i < count; i += 2)
      pairs.push_back(b.pairBf16(
          floats[i], i + 1 < count ? floats[i + 1] : b.splat(0.0f, lanes)));
    return pairs;
  }

  Factors splitPairs(Value elements) {
    auto bits = VectorType::get(lanes, b.getI32Type());
    auto floats = VectorType::get(lanes, b.getF32Type());
    Value pairs = vector::BitCastOp::create(b, bits, elements);
    auto constant = [&](int32_t value) -> Value {
      return arith::ConstantOp::create(
          b, DenseElementsAttr::get(bits, APInt(32, value, true)));
    };
    Value first = arith::ShLIOp::create(b, pairs, constant(16));
    Value second = arith::AndIOp::create(b, pairs, constant(-65536));
    return {vector::BitCastOp::create(b, floats, first),
            vector::BitCastOp::create(b, floats, second)};
  }

  /// A row's elements that belong to factor `part` of a step of `count` k's, in
  /// every lane.
  Value loadRow(SmallVector<Value> indices, unsigned part, int64_t count) {
    if (!kernel.isPaired()) {
      indices.back() = b.add(indices.back(), part);
      return b.broadcast(memref::LoadOp::create(b, left, indices), lanes);
    }
    indices.back() = b.add(indices.back(), 2 * part);
    Type i32 = b.getI32Type();
    Value pair;
    if (count - 2 * part == 1) {
      Value element = memref::LoadOp::create(b, left, indices);
      Value bits = arith::BitcastOp::create(b, b.getI16Type(), element);
      pair = arith::ExtUIOp::create(b, i32, bits);
    } else {
      Value elements = b.load(left, indices, 2);
      Value one =
          vector::BitCastOp::create(b, VectorType::get(1, i32), elements);
      pair = vector::ExtractOp::create(b, one, 0);
    }
    return vector::BitCastOp::create(
        b, VectorType::get(2 * lanes, b.getBF16Type()),
        b.broadcast(pair, lanes));
  }

  Value multiplyAdd(Value row, Value column, Value sum) {
    if (!kernel.isPaired())
      return vector::FMAOp::create(b, row, column, sum);
    return x86vector::DotBF16Op::create(b, sum, row, column);
  }

  void emitStores(const Sums &sums) {
    unsigned sum = 0;
    for (unsigned r = 0; r != kernel.rows; ++r)
      for (unsigned p = 0; p != kernel.panels; ++p)
        for (unsigned v = 0; v != vectorsAPanel; ++v)
          b.store(sums[sum++], tile,
                  {b.index(p), b.index(r), b.index(v * lanes)});
  }

  Emitter &b;
  const MicroKernel &kernel;
  unsigned lanes, vectorsAPanel;
  Value left, right, tile, depth, next;
};

} // namespace

SmallVector<Value> sparse_opt::emitSums(Emitter &b, const MicroKernel &kernel,
                                        const TargetInfo &target, Value left,
                                        Value right) {
  return BodyEmitter(b, kernel, target, left, right).emitSums();
}

//===----------------------------------------------------------------------===//
// The functions
//===----------------------------------------------------------------------===//

func::FuncOp
MicroKernels::get(const std::string &name, ArrayRef<Type> inputs,
                  llvm::function_ref<void(Emitter &, func::FuncOp)> emit) {
  if (auto known = symbols.lookup<func::FuncOp>(name))
    return known;
  MLIRContext *context = module.getContext();
  Emitter b(module.getLoc(), context);
  auto function = func::FuncOp::create(
      b, name, FunctionType::get(context, inputs, TypeRange()));
  function.setPrivate();
  // Internal, so that LLVM drops the arguments that only describe shapes;
  // out of line, because all products of one depth share it.
  function->setAttr("llvm.linkage",
                    LLVM::LinkageAttr::get(context, LLVM::Linkage::Internal));
  function->setAttr("passthrough", b.getStrArrayAttr({"noinline"}));
  symbols.insert(function);
  b.setInsertionPointToStart(function.addEntryBlock());
  emit(b, function);
  func::ReturnOp::create(b);
  return function;
}

func::FuncOp MicroKernels::getShared(
    const std::string &prefix, ArrayRef<Type> inputs,
    llvm::function_ref<void(Emitter &, func::FuncOp)> emit) {
  SmallVector<func::FuncOp> &known = shared[prefix];
  func::FuncOp made = get(prefix + std::to_string(known.size()), inputs, emit);
  for (func::FuncOp other : known)
    if (other.getFunctionType() == made.getFunctionType() &&
        OperationEquivalence::isRegionEquivalentTo(
            &other.getBody(), &made.getBody(),
            OperationEquivalence::IgnoreLocations)) {
      symbols.erase(made);
      return other;
    }
  return known.emplace_back(made);
}

func::FuncOp MicroKernels::get(const MicroKernel &kernel) {
  MLIRContext *context = module.getContext();
  SmallVector<Type> inputs = {kernel.leftType(context),
                              kernel.rightType(context),
                              kernel.tileType(context)};
  if (ShapedType::isDynamic(kernel.depth))
    inputs.push_back(IndexType::get(context));
  else if (kernel.fetchesNext())
    inputs.push_back(kernel.nextType(context));
  return get(kernel.name(), inputs, [&](Emitter &b, func::FuncOp function) {
    BodyEmitter(b, kernel, target, function.getArgument(0),
                function.getArgument(1))
        .emit(function);
  });
}

void MicroKernels::call(Emitter &b, const MicroKernel &kernel, Value left,
                        Value right, Value tile, Value depth, Value next) {
  SmallVector<Value> arguments = {left, right, tile};
  if (ShapedType::isDynamic(kernel.depth))
    arguments.push_back(depth);
  else if (kernel.fetchesNext())
    arguments.push_back(next);
  func::CallOp::create(b, get(kernel), arguments);
}
