// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FfnText.h"
#include "dialects/Kernel/KernelOps.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace sparse_opt;
using kernel::panelColumns;
using llvm::formatv;

//===----------------------------------------------------------------------===//
// Single ops
//===----------------------------------------------------------------------===//

static const char *typeName(bool isBf16) { return isBf16 ? "bf16" : "f32"; }

static std::string neuronMajor(int64_t h, int64_t length,
                               llvm::StringRef type) {
  int64_t aLine = type == "i8" ? 64 : type == "bf16" ? 32 : 16;
  return formatv("memref<{0}x{1}x{2}>", h, llvm::alignTo(length, aLine), type);
}

std::string sparse_opt::selectText(int64_t h, int64_t group) {
  return formatv(
      R"(func.func @f(%s: memref<?x{0}xf32>, %x: memref<?x{0}xf32>,
    %c: memref<{0}xf32>, %t: memref<f32>, %l: memref<{1}xi32>, %n: memref<i32>,
    %v: memref<?x{0}xf32>) attributes {{llvm.emit_c_interface} {{
  kernel.select %s
      extras(%x, %c, %t : memref<?x{0}xf32>, memref<{0}xf32>, memref<f32>)
      outs(%l, %n, %v : memref<{1}xi32>, memref<i32>, memref<?x{0}xf32>) {{
  ^bb0(%score: f32, %times: f32, %minus: f32, %above: f32):
    %value = arith.subf %score, %minus : f32
    %a = math.absf %value : f32
    %m = arith.mulf %a, %times : f32
    %keep = arith.cmpf ogt, %m, %above : f32
    kernel.yield %keep, %value : i1, f32
  } : memref<?x{0}xf32>
  return
})",
      h, h / group);
}

std::string sparse_opt::selectedProductText(int64_t k, int64_t h, int64_t group,
                                            bool isBf16, const char *weight) {
  return formatv(
      R"(func.func @f(%x: memref<?x{0}x{3}>, %w: {4}, %l: memref<{2}xi32>,
    %n: memref<i32>, %b: memref<{1}xf32>, %u: memref<?x{1}xf32>,
    %out: memref<?x{1}xf32>) attributes {{llvm.emit_c_interface} {{
  kernel.selected_product %x, %w of(%l, %n)
      epilogue(%b, %u : memref<{1}xf32>, memref<?x{1}xf32>)
      outs(%out : memref<?x{1}xf32>) {{
  ^bb0(%acc: f32, %bias: f32, %times: f32):
    %s = arith.addf %acc, %bias : f32
    %y = arith.mulf %s, %times : f32
    kernel.yield %y : f32
  } : memref<?x{0}x{3}>, {4}, memref<{2}xi32>, memref<i32>
  return
})",
      k, h, h / group, typeName(isBf16),
      neuronMajor(h, k, weight ? weight : typeName(isBf16)));
}

std::string sparse_opt::selectedSumText(int64_t h, int64_t n, int64_t group,
                                        const char *weight, bool bf16Values) {
  return formatv(
      R"(func.func @f(%v: memref<?x{0}xf32>, %w: {3}, %l: memref<{2}xi32>,
    %n: memref<i32>, %b: memref<{1}xf32>, %r: memref<?x{1}xf32>,
    %out: memref<?x{1}xf32>) attributes {{llvm.emit_c_interface} {{
  kernel.selected_sum %v, %w of(%l, %n)
      epilogue(%b, %r : memref<{1}xf32>, memref<?x{1}xf32>)
      outs(%out : memref<?x{1}xf32>) {{
  ^bb0(%acc: f32, %bias: f32, %residual: f32):
    %s = arith.addf %acc, %bias : f32
    %y = arith.addf %s, %residual : f32
    kernel.yield %y : f32
  } {4} : memref<?x{0}xf32>, {3}, memref<{2}xi32>, memref<i32>
  return
})",
      h, n, h / group, neuronMajor(h, n, weight),
      bf16Values ? "{bf16_values}" : "");
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

static const char *noEpilogue = "%r = arith.negf %a : f32";
static const char *timesOther = "%r = arith.mulf %a, %u : f32";
static const char *silu = R"(
      %n = arith.negf %a : f32
      %e = math.exp %n : f32
      %one = arith.constant 1.0 : f32
      %d = arith.addf %e, %one : f32
      %r = arith.divf %a, %d : f32)";
static const char *siluTimesUp = R"(
      %n = arith.negf %a : f32
      %e = math.exp %n : f32
      %one = arith.constant 1.0 : f32
      %d = arith.addf %e, %one : f32
      %s = arith.divf %a, %d : f32
      %r = arith.mulf %s, %u : f32)";
static const char *gelu = R"(
      %c = arith.constant 0.707106781 : f32
      %t = arith.mulf %a, %c : f32
      %e = math.erf %t : f32
      %one = arith.constant 1.0 : f32
      %g = arith.addf %e, %one : f32
      %half = arith.constant 0.5 : f32
      %p = arith.mulf %a, %half : f32
      %r = arith.mulf %p, %g : f32)";

namespace {

/// The lines of a block's @main.
class Body {
public:
  explicit Body(const FfnBlock &block) : block(block) {}

  void buffer(const char *name, const char *type = "f32") {
    text += formatv("    {0} = memref.alloc(%rows) : memref<?x{1}x{2}>\n", name,
                    block.hidden, type);
  }

  /// Matrix number `matrix` of the weights as `type`.
  std::string weight(const std::string &type, int64_t matrix) {
    std::string name = "%w" + std::to_string(matrix);
    text += formatv("    %o{0} = arith.constant {1} : index\n"
                    "    {2} = memref.view %base[%o{0}][] : memref<?xi8> to "
                    "{3}\n",
                    matrix, matrix * block.matrixBytes(), name, type);
    return name;
  }

  /// A product of all columns; `extra` is a matrix beside the sum.
  void product(const char *x, int64_t k, int64_t n, int64_t matrix,
               const char *extra, const char *out, bool isHidden, bool rounds,
               const char *epilogue) {
    const int64_t width = block.isInt8 ? 64 : panelColumns;
    int64_t panels = llvm::divideCeil(n, width);
    const char *type = typeName(block.isBf16);
    std::string packed =
        block.isBf16 && !block.isInt8
            ? formatv("memref<{0}x{1}x16x2xbf16>", panels, k / 2).str()
            : formatv("memref<{0}x{1}x{2}x{3}>", panels, k, width,
                      block.isInt8 ? "i8" : "f32")
                  .str();
    std::string w = weight(packed, matrix);
    rounds = rounds && block.isBf16;
    text += formatv(
        R"(
    kernel.product {0}, {1} {2} outs({3} : memref<?x{4}x{5}>) {{
    ^bb0(%a: f32{6}):
      {7}
      {8}
    } : memref<?x{9}x{10}>, {11}
)",
        x, w, extraOf(extra, n), out, n, rounds ? type : "f32",
        *extra ? ", %u: f32" : "", epilogue,
        rounds ? "%z = arith.truncf %r : f32 to bf16\n kernel.yield %z : bf16"
               : "kernel.yield %r : f32",
        k, type, packed);
  }

  void selected(const char *op, const char *x, const char *xType,
                int64_t length, int64_t matrix, const char *extra,
                const char *out, int64_t n, const char *epilogue) {
    std::string type = neuronMajor(block.hidden, length, block.weightType());
    std::string w = weight(type, matrix);
    int64_t k = length == n ? block.hidden : length;
    text += formatv(
        R"(
    kernel.{0} {1}, {2} of(%list, %count) {3} outs({4} : memref<?x{5}xf32>) {{
    ^bb0(%a: f32{6}):
      {7}
      kernel.yield %r : f32
    } : memref<?x{8}x{9}>, {10}, memref<{11}xi32>, memref<i32>
)",
        op, x, w, extraOf(extra, n), out, n, *extra ? ", %u: f32" : "",
        epilogue, k, xType, type, block.hidden);
  }

  void select(const char *scores, const char *values) {
    text += formatv(
        R"(
    kernel.select {0} extras(%uniform, %density : memref<?x{2}xf32>, memref<f32>)
        outs(%list, %count, {1} : memref<{2}xi32>, memref<i32>, memref<?x{2}xf32>) {{
    ^bb0(%s: f32, %draw: f32, %share: f32):
      %keep = arith.cmpf olt, %draw, %share : f32
      kernel.yield %keep, %s : i1, f32
    } : memref<?x{2}xf32>
)",
        scores, values, block.hidden);
  }

  std::string text;

private:
  static std::string extraOf(const char *extra, int64_t n) {
    return *extra ? formatv("epilogue({0} : memref<?x{1}xf32>)", extra, n).str()
                  : "";
  }

  const FfnBlock &block;
};

} // namespace

/// Gate, up and down are the matrices, in this order.
static std::string bodyOf(const FfnBlock &block) {
  Body body(block);
  const char *type = typeName(block.isBf16);
  int64_t d = block.d, h = block.hidden, last = block.matrices() - 1;
  body.buffer("%h", block.execution == FfnBlock::Dense ? type : "f32");
  if (block.isGated)
    body.buffer("%other");
  if (block.execution == FfnBlock::Dense) {
    if (block.isGated) {
      body.product("%x", d, h, 0, "", "%other", true, false, noEpilogue);
      body.product("%x", d, h, 1, "%other", "%h", true, true, siluTimesUp);
    } else {
      body.product("%x", d, h, 0, "", "%h", true, true, gelu);
    }
    body.product("%h", h, d, last, "", "%y", false, false, noEpilogue);
    return body.text;
  }
  if (block.execution == FfnBlock::GateFirst) {
    body.text += formatv("    %list = memref.alloc() : memref<{0}xi32>\n"
                         "    %count = memref.alloc() : memref<i32>\n",
                         h);
    body.buffer("%scores");
    body.product("%x", d, h, 0, "", "%scores", true, false,
                 block.isGated ? silu : gelu);
    body.select("%scores", block.isGated ? "%other" : "%h");
  } else {
    body.selected("selected_product", "%x", type, d, 0, "",
                  block.isGated ? "%other" : "%h", h,
                  block.isGated ? silu : gelu);
  }
  if (block.isGated)
    body.selected("selected_product", "%x", type, d, 1, "%other", "%h", h,
                  timesOther);
  body.selected("selected_sum", "%h", "f32", d, last, "", "%y", d, noEpilogue);
  return body.text;
}

std::string FfnBlock::text() const {
  bool isGiven = execution == Given;
  return formatv(
      R"(
module attributes {{kernel.symbols = ["rows"]} {{
  func.func private @kernel_output_dims(%r: index {{kernel.symbol = "rows"})
      -> (index, index) {{
    %d = arith.constant {0} : index
    return %r, %d : index, index
  }
  func.func @main(
      %x: memref<?x{0}x{1}> {{kernel.input = 0, kernel.input_symbols = ["rows"]},
      %{4}: memref<{2}xi32> {{kernel.input = 1, kernel.input_symbols = []},
      %{5}: memref<i32> {{kernel.input = 2, kernel.input_symbols = []},
      %uniform: memref<?x{2}xf32> {{kernel.input = 3, kernel.input_symbols = ["rows"]},
      %density: memref<f32> {{kernel.input = 4, kernel.input_symbols = []},
      %base: memref<?xi8> {{kernel.weights_base},
      %rows: index {{kernel.symbol = "rows"},
      %y: memref<?x{0}xf32> {{kernel.output = 0}) {{
{3}
    return
  }
})",
      d, typeName(isBf16), hidden, bodyOf(*this), isGiven ? "list" : "unused0",
      isGiven ? "count" : "unused1");
}
