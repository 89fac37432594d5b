// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelText.h"
#include "dialects/Kernel/KernelOps.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace sparse_opt;
using kernel::panelColumns;

/// The region's lines from %acc, %bias and %res to %y.
static const char *epilogueLines(Epilogue epilogue) {
  switch (epilogue) {
  case Epilogue::None:
    return "%zero = arith.constant 0.0 : f32\n"
           "%y = arith.addf %acc, %zero : f32\n";
  case Epilogue::Bias:
    return "%y = arith.addf %acc, %bias : f32\n";
  case Epilogue::Residual:
    return "%s = arith.addf %acc, %bias : f32\n"
           "%y = arith.addf %s, %res : f32\n";
  case Epilogue::Gelu:
    return "%s = arith.addf %acc, %bias : f32\n"
           "%c = arith.constant 0.707106781 : f32\n"
           "%t = arith.mulf %s, %c : f32\n"
           "%e = math.erf %t : f32\n"
           "%one = arith.constant 1.0 : f32\n"
           "%g = arith.addf %e, %one : f32\n"
           "%half = arith.constant 0.5 : f32\n"
           "%h = arith.mulf %s, %half : f32\n"
           "%y = arith.mulf %h, %g : f32\n";
  }
  llvm_unreachable("unknown epilogue");
}

std::string sparse_opt::productText(int64_t k, int64_t n, Epilogue epilogue) {
  return llvm::formatv(
      R"(func.func @f(%x: memref<?x{0}xf32>, %w: memref<{2}x{0}x16xf32>,
    %b: memref<{1}xf32>, %r: memref<?x{1}xf32>, %out: memref<?x{1}xf32>)
    attributes {{llvm.emit_c_interface} {{
  kernel.product %x, %w
      epilogue(%b, %r : memref<{1}xf32>, memref<?x{1}xf32>)
      outs(%out : memref<?x{1}xf32>) {{
  ^bb0(%acc: f32, %bias: f32, %res: f32):
    {3}
    kernel.yield %y : f32
  } : memref<?x{0}xf32>, memref<{2}x{0}x16xf32>
  return
})",
      k, n, llvm::divideCeil(n, panelColumns), epilogueLines(epilogue));
}

std::vector<float> sparse_opt::pack(const std::vector<float> &weight, int64_t k,
                                    int64_t n) {
  int64_t panels = llvm::divideCeil(n, panelColumns);
  std::vector<float> packed(panels * k * panelColumns);
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j)
      packed[(j / panelColumns * k + i) * panelColumns + j % panelColumns] =
          weight[i * n + j];
  return packed;
}
