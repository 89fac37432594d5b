// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Generates micro-kernels. Accumulators are loop-carried vectors of one
// register each; the left operand is broadcast from memory. Which tile fits a
// target's registers is in its TargetInfo; who calls is the lowerings' matter.
#include "MicroKernel.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMAttrs.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;

//===----------------------------------------------------------------------===//
// Names and types
//===----------------------------------------------------------------------===//

static std::string text(int64_t value) {
  return ShapedType::isDynamic(value) ? "d" : std::to_string(value);
}

std::string MicroKernel::name() const {
  return "kernel_f32_r" + text(rows) + "_p" + text(panels) + "_k" +
         text(depth) + "_l" + text(leftStride) + "_t" + text(tilePanelStride) +
         "_" + text(tileRowStride) + "_f" + text(prefetched);
}

MemRefType MicroKernel::leftType(MLIRContext *context) const {
  if (ShapedType::isDynamic(depth))
    return stridedF32(
        context, {ShapedType::kDynamic, ShapedType::kDynamic, panelColumns},
        {leftStride, panelColumns, 1});
  return stridedF32(context, {ShapedType::kDynamic, depth}, {leftStride, 1});
}

MemRefType MicroKernel::rightType(MLIRContext *context) const {
  int64_t panelSize = ShapedType::isDynamic(depth) ? ShapedType::kDynamic
                                                   : depth * panelColumns;
  return stridedF32(context, {panels, depth, panelColumns},
                    {panelSize, panelColumns, 1});
}

MemRefType MicroKernel::tileType(MLIRContext *context) const {
  return stridedF32(context, {panels, ShapedType::kDynamic, panelColumns},
                    {tilePanelStride, tileRowStride, 1});
}

MemRefType MicroKernel::nextType(MLIRContext *context) const {
  return stridedF32(context, {prefetched, depth, panelColumns},
                    {depth * panelColumns, panelColumns, 1});
}

//===----------------------------------------------------------------------===//
// The body
//===----------------------------------------------------------------------===//

namespace {

/// Emits one function's body; accumulators are ordered row, panel, vector.
class BodyEmitter {
public:
  BodyEmitter(Emitter &b, const MicroKernel &kernel, const TargetInfo &target,
              func::FuncOp function)
      : b(b), kernel(kernel), lanes(target.f32Lanes()),
        vectorsAPanel(panelColumns / lanes) {
    left = function.getArgument(0);
    right = function.getArgument(1);
    tile = function.getArgument(2);
    if (ShapedType::isDynamic(kernel.depth))
      depth = function.getArgument(3);
    else if (kernel.prefetched)
      next = function.getArgument(3);
  }

  void emit() {
    SmallVector<Value> sums(kernel.rows * kernel.panels * vectorsAPanel,
                            b.splat(0.0f, lanes));
    if (ShapedType::isDynamic(kernel.depth))
      sums = emitBlockedLoops(sums);
    else
      sums = reduce(b.index(kernel.depth), sums, [&](Value k, auto &sums) {
        accumulate(
            k, [&](Value row) { return SmallVector<Value>{row, k}; }, sums);
      });
    emitStores(sums);
  }

private:
  using Sums = SmallVector<Value>;
  using Body = llvm::function_ref<void(Value, Sums &)>;

  /// for k in [0, count): body, with `sums` carried.
  Sums reduce(Value count, const Sums &sums, Body body) {
    return b.carry(b.index(0), count, sums, [&](Value k, ValueRange carried) {
      Sums next(carried);
      body(k, next);
      return next;
    });
  }

  /// Full blocks of 16 along k, then the rest.
  Sums emitBlockedLoops(Sums sums) {
    Value blocks = b.div(depth, panelColumns);
    auto block = [&](Value i, Value count, const Sums &sums) {
      return reduce(count, sums, [&](Value within, Sums &sums) {
        Value k = b.add(b.mul(i, panelColumns), within);
        accumulate(
            k, [&](Value row) { return SmallVector<Value>{i, row, within}; },
            sums);
      });
    };
    sums = reduce(blocks, sums, [&](Value i, Sums &sums) {
      sums = block(i, b.index(panelColumns), sums);
    });
    return block(blocks, b.rem(depth, panelColumns), sums);
  }

  /// sums += left[.., k] * right[.., k, ..]
  void accumulate(Value k,
                  llvm::function_ref<SmallVector<Value>(Value)> leftIndices,
                  Sums &sums) {
    SmallVector<Value> columns;
    for (unsigned p = 0; p != kernel.panels; ++p)
      for (unsigned v = 0; v != vectorsAPanel; ++v)
        columns.push_back(
            b.load(right, {b.index(p), k, b.index(v * lanes)}, lanes));
    for (unsigned p = 0; p != kernel.prefetched; ++p)
      memref::PrefetchOp::create(b, next, ValueRange{b.index(p), k, b.index(0)},
                                 /*isWrite=*/false, /*localityHint=*/3,
                                 /*isDataCache=*/true);
    unsigned sum = 0;
    for (unsigned r = 0; r != kernel.rows; ++r) {
      Value scalar = memref::LoadOp::create(b, left, leftIndices(b.index(r)));
      Value factor = b.broadcast(scalar, lanes);
      for (Value column : columns) {
        sums[sum] = vector::FMAOp::create(b, factor, column, sums[sum]);
        ++sum;
      }
    }
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

//===----------------------------------------------------------------------===//
// The functions
//===----------------------------------------------------------------------===//

func::FuncOp MicroKernels::get(const MicroKernel &kernel) {
  std::string name = kernel.name();
  if (auto known = symbols.lookup<func::FuncOp>(name))
    return known;
  MLIRContext *context = module.getContext();
  SmallVector<Type> inputs = {kernel.leftType(context),
                              kernel.rightType(context),
                              kernel.tileType(context)};
  if (ShapedType::isDynamic(kernel.depth))
    inputs.push_back(IndexType::get(context));
  else if (kernel.prefetched)
    inputs.push_back(kernel.nextType(context));

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
  BodyEmitter(b, kernel, target, function).emit();
  func::ReturnOp::create(b);
  return function;
}

void MicroKernels::call(Emitter &b, const MicroKernel &kernel, Value left,
                        Value right, Value tile, Value depth, Value next) {
  SmallVector<Value> arguments = {left, right, tile};
  if (ShapedType::isDynamic(kernel.depth))
    arguments.push_back(depth);
  else if (kernel.prefetched)
    arguments.push_back(next);
  func::CallOp::create(b, get(kernel), arguments);
}
