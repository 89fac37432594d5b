// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelText.h"
#include "dialects/Kernel/KernelOps.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace sparse_opt;
using kernel::int8PanelColumns;
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
  case Epilogue::Exp:
    return "%y = math.exp %acc : f32\n";
  case Epilogue::Erf:
    return "%y = math.erf %acc : f32\n";
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
  case Epilogue::GeluTanh:
    return "%s = arith.addf %acc, %bias : f32\n"
           "%two = arith.mulf %s, %s : f32\n"
           "%three = arith.mulf %two, %s : f32\n"
           "%a = arith.constant 0.044715 : f32\n"
           "%cubic = arith.mulf %three, %a : f32\n"
           "%sum = arith.addf %s, %cubic : f32\n"
           "%c = arith.constant 0.797884561 : f32\n"
           "%t = arith.mulf %sum, %c : f32\n"
           "%e = math.tanh %t : f32\n"
           "%one = arith.constant 1.0 : f32\n"
           "%g = arith.addf %e, %one : f32\n"
           "%half = arith.constant 0.5 : f32\n"
           "%h = arith.mulf %s, %half : f32\n"
           "%y = arith.mulf %h, %g : f32\n";
  case Epilogue::Silu:
    return "%s = arith.addf %acc, %bias : f32\n"
           "%t = arith.negf %s : f32\n"
           "%e = math.exp %t : f32\n"
           "%one = arith.constant 1.0 : f32\n"
           "%g = arith.addf %e, %one : f32\n"
           "%y = arith.divf %s, %g : f32\n";
  case Epilogue::QuickGelu:
    return "%s = arith.addf %acc, %bias : f32\n"
           "%c = arith.constant -1.702 : f32\n"
           "%t = arith.mulf %s, %c : f32\n"
           "%e = math.exp %t : f32\n"
           "%one = arith.constant 1.0 : f32\n"
           "%g = arith.addf %one, %e : f32\n"
           "%sigmoid = arith.divf %one, %g : f32\n"
           "%y = arith.mulf %sigmoid, %s : f32\n";
  }
  llvm_unreachable("unknown epilogue");
}

std::string sparse_opt::productText(int64_t k, int64_t n, Epilogue epilogue,
                                    bool isBf16, bool isOutBf16,
                                    const char *element, WeightRows rows) {
  llvm::StringRef type = element ? element : isBf16 ? "bf16" : "f32";
  int64_t width = type == "i8" ? int8PanelColumns : panelColumns;
  int64_t panels = llvm::divideCeil(n, width);
  int64_t aLine = type == "bf16" ? 32 : type == "i8" ? 64 : 16;
  std::string weight =
      rows == WeightRows::Outputs
          ? llvm::formatv("{0}x{1}x{2}", n, llvm::alignTo(k, aLine), type).str()
      : rows == WeightRows::Inputs
          ? llvm::formatv("{0}x{1}x{2}", k, llvm::alignTo(n, aLine), type).str()
      : type == "bf16"
          ? llvm::formatv("{0}x{1}x16x2xbf16", panels, (k + 1) / 2).str()
          : llvm::formatv("{0}x{1}x{2}x{3}", panels, k, width, type).str();
  return llvm::formatv(
      R"(func.func @f(%x: memref<?x{0}x{4}>, %w: memref<{2}>,
    %b: memref<{1}xf32>, %r: memref<?x{1}xf32>, %out: memref<?x{1}x{5}>)
    attributes {{llvm.emit_c_interface} {{
  kernel.product %x, %w {7}
      epilogue(%b, %r : memref<{1}xf32>, memref<?x{1}xf32>)
      outs(%out : memref<?x{1}x{5}>) {{
  ^bb0(%acc: f32, %bias: f32, %res: f32):
    {3}
    {6}
  } : memref<?x{0}x{4}>, memref<{2}>
  return
})",
      k, n, weight, epilogueLines(epilogue), isBf16 ? "bf16" : "f32",
      isOutBf16 ? "bf16" : "f32",
      isOutBf16 ? "%n = arith.truncf %y : f32 to bf16\n kernel.yield %n : bf16"
                : "kernel.yield %y : f32",
      rows == WeightRows::Inputs ? "by_input" : "");
}

namespace {
struct AttentionShape {
  const char *q, *k, *v, *out; ///< results of the maps
};
} // namespace

static AttentionShape shapeOf(Layout layout) {
  switch (layout) {
  case Layout::Interleaved:
    return {"b, m, h, d", "b, n, h, d", "b, n, h, e", "b, m, h, e"};
  case Layout::Split:
    return {"b, h, m, d", "b, h, d, n", "b, h, n, e", "b, h, m, e"};
  case Layout::Odd:
    return {"m, d, h, b", "n, d, h, b", "n, e, h, b", "b, e, h, m"};
  case Layout::Cached:
    return {"b, h, m, d", "b, h, n, d", "b, h, n, e", "b, m, h, e"};
  }
  llvm_unreachable("unknown layout");
}

/// memref type of an operand whose map has these results.
static std::string typeOf(llvm::StringRef results, int64_t heads, int64_t d,
                          int64_t e, const char *element,
                          const char *layout = "") {
  std::string type = "memref<";
  for (char loop : results) {
    if (loop == 'h')
      type += std::to_string(heads) + "x";
    else if (loop == 'd')
      type += std::to_string(d) + "x";
    else if (loop == 'e')
      type += std::to_string(e) + "x";
    else if (loop != ',' && loop != ' ')
      type += "?x";
  }
  return type + element + layout + ">";
}

namespace {
/// The types of an attention's operands, and the op between its arguments.
struct AttentionOp {
  std::string q, k, v, out, text;
};
} // namespace

static AttentionOp attentionOp(int64_t heads, int64_t d, int64_t e,
                               Layout layout, bool isBf16, int64_t group,
                               bool isMasked) {
  AttentionShape shape = shapeOf(layout);
  const char *element = isBf16 ? "bf16" : "f32";
  const char *strides =
      layout == Layout::Cached ? ", strided<[?, ?, ?, 1], offset: ?>" : "";
  auto map = [](std::string results) {
    return llvm::formatv("affine_map<(b, h, m, n, d, e) -> ({0})>", results)
        .str();
  };
  auto sharedMap = [&](std::string results) {
    if (group != 1)
      results.replace(results.find('h'), 1,
                      "h floordiv " + std::to_string(group));
    return map(results);
  };
  AttentionOp op;
  op.q = typeOf(shape.q, heads, d, e, element, strides);
  op.k = typeOf(shape.k, heads / group, d, e, element, strides);
  op.v = typeOf(shape.v, heads / group, d, e, element, strides);
  op.out = typeOf(shape.out, heads, d, e, element);
  op.text = llvm::formatv(
      R"(
  %zero = arith.constant 0.0 : f32
  %factor = arith.constant 0.125 : f32
  kernel.attention %q, %k, %v {0}
      outs(%out : {1}) maps [{2}, {3}, {4}, {5}{6}]
  score {{
  ^bb0(%s: f32{7}):
    %t = arith.mulf %s, %factor : f32
    {8}
  } probability {{
  ^bb0(%p: f32):
    %nan = arith.cmpf uno, %p, %p : f32
    %r = arith.select %nan, %zero, %p : f32
    {9}
  } : {10}, {11}, {12}
  return)",
      isMasked ? "extras(%mask : memref<?x1x1x?xf32>)" : "", op.out,
      map(shape.q), sharedMap(shape.k), sharedMap(shape.v),
      isMasked ? map("b, 0, 0, n") + ", " : "", map(shape.out),
      isMasked ? ", %a: f32" : "",
      isMasked ? "%u = arith.addf %t, %a : f32\n kernel.yield %u : f32"
               : "kernel.yield %t : f32",
      isBf16 ? "%n = arith.truncf %r : f32 to bf16\n kernel.yield %n : bf16"
             : "kernel.yield %r : f32",
      op.q, op.k, op.v);
  return op;
}

std::string sparse_opt::attentionText(int64_t heads, int64_t d, int64_t e,
                                      Layout layout, bool isBf16,
                                      int64_t group) {
  AttentionOp op =
      attentionOp(heads, d, e, layout, isBf16, group, /*isMasked=*/true);
  return llvm::formatv(
      R"(func.func @f(%q: {0}, %k: {1}, %v: {2}, %mask: memref<?x1x1x?xf32>,
    %out: {3}) attributes {{llvm.emit_c_interface} {{
{4}
})",
      op.q, op.k, op.v, op.out, op.text);
}

std::string sparse_opt::attentionModelText(int64_t heads, int64_t d, int64_t e,
                                           bool isBf16, int64_t group,
                                           bool isMasked) {
  AttentionOp op =
      attentionOp(heads, d, e, Layout::Interleaved, isBf16, group, isMasked);
  return llvm::formatv(
      R"(
module attributes {{kernel.symbols = ["batch", "rows", "keys"]} {{
  func.func private @kernel_output_dims(
      %b: index {{kernel.symbol = "batch"}, %m: index {{kernel.symbol = "rows"},
      %n: index {{kernel.symbol = "keys"}) -> (index, index, index, index) {{
    %h = arith.constant {4} : index
    %e = arith.constant {5} : index
    return %b, %m, %h, %e : index, index, index, index
  }
  func.func @main(
      %q: {0} {{kernel.input = 0, kernel.input_symbols = ["batch", "rows"]},
      %k: {1} {{kernel.input = 1, kernel.input_symbols = ["batch", "keys"]},
      %v: {2} {{kernel.input = 2, kernel.input_symbols = ["batch", "keys"]},
      %mask: memref<?x1x1x?xf32> {{kernel.input = 3, kernel.input_symbols = ["batch", "keys"]},
      %base: memref<?xi8> {{kernel.weights_base},
      %batch: index {{kernel.symbol = "batch"},
      %rows: index {{kernel.symbol = "rows"},
      %keys: index {{kernel.symbol = "keys"},
      %out: {3} {{kernel.output = 0}) {{
{6}
  }
})",
      op.q, op.k, op.v, op.out, heads, e, op.text);
}

template <typename T>
static std::vector<T> packInto(const std::vector<float> &weight, int64_t k,
                               int64_t n, int64_t width) {
  int64_t panels = llvm::divideCeil(n, width);
  std::vector<T> packed(panels * k * width);
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j)
      packed[(j / width * k + i) * width + j % width] = T(weight[i * n + j]);
  return packed;
}

std::vector<float> sparse_opt::pack(const std::vector<float> &weight, int64_t k,
                                    int64_t n) {
  return packInto<float>(weight, k, n, panelColumns);
}

std::vector<uint16_t> sparse_opt::packBf16(const std::vector<float> &weight,
                                           int64_t k, int64_t n) {
  int64_t panels = llvm::divideCeil(n, panelColumns), pairs = (k + 1) / 2;
  std::vector<uint16_t> packed(panels * pairs * panelColumns * 2);
  std::vector<uint16_t> narrow = toBf16(weight);
  for (int64_t i = 0; i < k; ++i)
    for (int64_t j = 0; j < n; ++j)
      packed[((j / panelColumns * pairs + i / 2) * panelColumns +
              j % panelColumns) *
                 2 +
             i % 2] = narrow[i * n + j];
  return packed;
}

std::vector<float> sparse_opt::padRows(const std::vector<float> &rows,
                                       int64_t length, int64_t bytes) {
  if (length == 0)
    return {};
  int64_t stride = llvm::alignTo(length, 64 / bytes);
  std::vector<float> padded(rows.size() / length * stride);
  for (size_t i = 0; i < rows.size(); ++i)
    padded[i / length * stride + i % length] = rows[i];
  return padded;
}

std::vector<int8_t> sparse_opt::toInt8(const std::vector<float> &values) {
  return {values.begin(), values.end()};
}

std::vector<int8_t> sparse_opt::packInt8(const std::vector<float> &weight,
                                         int64_t k, int64_t n) {
  return packInto<int8_t>(weight, k, n, int8PanelColumns);
}

std::vector<uint16_t> sparse_opt::toBf16(const std::vector<float> &values) {
  std::vector<uint16_t> result;
  for (float value : values) {
    llvm::APFloat rounded(value);
    bool inexact;
    rounded.convert(llvm::APFloat::BFloat(), llvm::APFloat::rmNearestTiesToEven,
                    &inexact);
    result.push_back(rounded.bitcastToAPInt().getZExtValue());
  }
  return result;
}

std::vector<float> sparse_opt::fromBf16(const std::vector<uint16_t> &values) {
  std::vector<float> result;
  for (uint16_t value : values)
    result.push_back(
        llvm::APFloat(llvm::APFloat::BFloat(), llvm::APInt(16, value))
            .convertToDouble());
  return result;
}
