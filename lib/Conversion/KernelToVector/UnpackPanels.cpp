// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Emits the function that unpacks panels of int8. It streams: what it reads
// comes from far away and is fetched ahead, what it writes stays in cache.
#include "UnpackPanels.h"
#include "dialects/Kernel/KernelOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace sparse_opt;
using kernel::panelColumns;

MicroKernel PanelUnpacking::kernel(bool ofInt8) const {
  MicroKernel kernel;
  kernel.isBf16 = toBf16;
  kernel.isRightInt8 = ofInt8;
  kernel.panels = panels;
  kernel.depth = depth;
  return kernel;
}

MemRefType PanelUnpacking::fromType(MLIRContext *context) const {
  return kernel(/*ofInt8=*/true).rightType(context);
}

MemRefType PanelUnpacking::toType(MLIRContext *context) const {
  return kernel(/*ofInt8=*/false).rightType(context);
}

void PanelUnpacking::call(Emitter &b, MicroKernels &kernels, Value from,
                          Value to) const {
  MLIRContext *context = b.getContext();
  std::string name = std::string("unpack_") + (toBf16 ? "bf16" : "f32") + "_p" +
                     std::to_string(panels) + "_k" + std::to_string(depth);
  func::FuncOp function =
      kernels.get(name, {fromType(context), toType(context)},
                  [&](Emitter &inner, func::FuncOp made) {
                    emit(inner, kernels.getTarget(), made.getArgument(0),
                         made.getArgument(1));
                  });
  func::CallOp::create(b, function, ValueRange{from, to});
}

void PanelUnpacking::emit(Emitter &b, const TargetInfo &target, Value from,
                          Value to) const {
  unsigned lanes = target.f32Lanes();
  assert((!toBf16 || lanes == panelColumns) && "pairs fill a register");
  int64_t step = kernel(/*ofInt8=*/true).step();
  auto unpack = [&](Value panel, Value k, int64_t count) {
    for (unsigned v = 0; v != panelColumns / lanes; ++v) {
      Value column = b.index(v * lanes);
      auto load = [&](int64_t i) {
        return i < count ? b.loadInt8(from, {panel, b.add(k, i), column}, lanes)
                         : b.splat(0.0f, lanes);
      };
      for (int64_t i = 0; i < count; i += toBf16 ? 2 : 1) {
        if (toBf16)
          b.store(b.pairBf16(load(i), load(i + 1)), to,
                  {panel, b.add(b.div(k, 2), i / 2), b.index(0)});
        else
          b.store(load(i), to, {panel, b.add(k, i), column});
      }
    }
  };
  b.loop(b.index(panels), 1, [&](Value panel) {
    int64_t whole = depth / step;
    b.loop(b.index(whole), 1, [&](Value i) {
      Value k = b.mul(i, step);
      Value ahead = b.add(k, step * target.prefetchLines);
      memref::PrefetchOp::create(b, from, ValueRange{panel, ahead, b.index(0)},
                                 /*isWrite=*/false, /*localityHint=*/3,
                                 /*isDataCache=*/true);
      unpack(panel, k, step);
    });
    if (depth % step)
      unpack(panel, b.index(whole * step), depth % step);
  });
}
