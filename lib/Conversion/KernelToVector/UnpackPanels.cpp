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
using kernel::panelsInInt8;

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
  auto unpack = [&](int64_t panel, Value k, int64_t count) {
    for (unsigned v = 0; v != panelColumns / lanes; ++v) {
      int64_t column = v * lanes;
      Value wide = b.index(panel / panelsInInt8);
      Value first = b.index(panel % panelsInInt8 * panelColumns + column);
      auto load = [&](int64_t i) {
        return i < count ? b.loadInt8(from, {wide, b.add(k, i), first}, lanes)
                         : b.splat(0.0f, lanes);
      };
      for (int64_t i = 0; i < count; i += toBf16 ? 2 : 1) {
        if (toBf16)
          b.store(b.pairBf16(load(i), load(i + 1)), to,
                  {b.index(panel), b.add(b.div(k, 2), i / 2), b.index(0)});
        else
          b.store(load(i), to, {b.index(panel), b.add(k, i), b.index(column)});
      }
    }
  };
  for (int64_t first = 0; first < panels; first += panelsInInt8) {
    int64_t end = std::min<int64_t>(panels, first + panelsInInt8);
    auto unpackAll = [&](Value k, int64_t count) {
      for (int64_t panel = first; panel != end; ++panel)
        unpack(panel, k, count);
    };
    int64_t whole = depth / step;
    b.loop(b.index(whole), 1, [&](Value i) {
      Value k = b.mul(i, step);
      for (int64_t line = 0; line != step; ++line)
        b.prefetch(from,
                   {b.index(first / panelsInInt8),
                    b.add(k, target.int8PrefetchLines + line), b.index(0)});
      unpackAll(k, step);
    });
    if (depth % step)
      unpackAll(b.index(whole * step), depth % step);
  }
}
