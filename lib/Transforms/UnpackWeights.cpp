// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// com.microsoft MatMulNBits, whose weights are packed rows of 2, 4 or 8 bits
// with a scale for each block: a MatMul by constants of floats, so that all
// that follows sees an ordinary linear layer.
#include "ConstantFolding.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::folding;
using onnx::ConstantOp;
using onnx::NodeOp;

namespace {
/// Operands 1 to 4 of MatMulNBits. Row n of `packed` holds the blocks of
/// column n of the matrix.
struct PackedWeights {
  int64_t rows, columns, bits, blockSize, blocks;
  ConstantData packed, scales;
  std::optional<ConstantData> zeros, groups;

  int64_t code(ArrayRef<char> bytes, int64_t start, int64_t i) const {
    int64_t bit = i * bits;
    unsigned byte = static_cast<unsigned char>(bytes[start + bit / 8]);
    return (byte >> (bit % 8)) & ((1 << bits) - 1);
  }
  double zero(int64_t n, int64_t block) const {
    if (!zeros)
      return int64_t(1) << (bits - 1);
    if (isa<FloatType>(zeros->type.getElementType()))
      return zeros->getDouble(n * blocks + block);
    return code(zeros->bytes, n * ((blocks * bits + 7) / 8), block);
  }
  double at(int64_t k, int64_t n) const {
    int64_t block = groups ? groups->getInteger(k) : k / blockSize;
    int64_t rowBytes = blocks * blockSize * bits / 8;
    return (code(packed.bytes, n * rowBytes, k) - zero(n, block)) *
           scales.getDouble(n * blocks + block);
  }
};
} // namespace

static std::optional<ConstantData> constantOperand(NodeOp node, unsigned i) {
  Value operand = node.operandOrNull(i);
  return operand ? getConstantData(operand) : std::nullopt;
}

/// Every element is there, whatever the attributes say.
static bool isWellFormed(const PackedWeights &w) {
  auto holds = [&](const ConstantData &data, int64_t count) {
    return data.splat || data.size() >= count;
  };
  bool floats = w.zeros && isa<FloatType>(w.zeros->type.getElementType());
  int64_t zeros = floats ? w.blocks : (w.blocks * w.bits + 7) / 8;
  if (getElementBytes(w.packed.type.getElementType()) != 1 ||
      (w.zeros && !floats &&
       getElementBytes(w.zeros->type.getElementType()) != 1))
    return false;
  if (w.packed.splat || !holds(w.scales, w.columns * w.blocks) ||
      w.packed.size() < w.columns * w.blocks * w.blockSize * w.bits / 8 ||
      (w.zeros && (w.zeros->splat || w.zeros->size() < w.columns * zeros)))
    return false;
  if (!w.groups)
    return true;
  for (int64_t k = 0; k < w.rows; ++k)
    if (!holds(*w.groups, w.rows) || w.groups->getInteger(k) < 0 ||
        w.groups->getInteger(k) >= w.blocks)
      return false;
  return true;
}

static std::optional<PackedWeights> readWeights(NodeOp node) {
  int64_t rows = node.intAttr("K", 0), columns = node.intAttr("N", 0);
  int64_t bits = node.intAttr("bits", 4), size = node.intAttr("block_size", 0);
  constexpr int64_t most = 1 << 28; // products of sizes stay below 2^63
  if (rows < 1 || columns < 1 || size < 16 || rows > most || columns > most ||
      size > most || !llvm::is_contained({2, 4, 8}, bits))
    return std::nullopt;
  auto packed = constantOperand(node, 1), scales = constantOperand(node, 2);
  PackedWeights w{rows, columns, bits, size, (rows + size - 1) / size,
                  {},   {},      {},   {}};
  for (unsigned i : {3u, 4u}) {
    (i == 3 ? w.zeros : w.groups) = constantOperand(node, i);
    if (node.operandOrNull(i) && !constantOperand(node, i))
      return std::nullopt;
  }
  if (!packed || !scales)
    return std::nullopt;
  w.packed = *packed;
  w.scales = *scales;
  if (!isWellFormed(w))
    return std::nullopt;
  return w;
}

/// MatMulNBits(x, packed, scales...) -> MatMul(x, floats), and Add of a bias
ConstantOp folding::unpackWeights(NodeOp node) {
  auto type = dyn_cast<RankedTensorType>(node.getResult(0).getType());
  if (!node.is("MatMulNBits", "com.microsoft") || !type)
    return {};
  std::optional<PackedWeights> w = readWeights(node);
  if (!w)
    return {};
  auto floats =
      RankedTensorType::get({w->rows, w->columns}, type.getElementType());
  StringRef name = node.nodeName().empty() ? "unpacked" : node.nodeName();
  bool known = true;
  ElementsAttr value =
      makeConstant(floats, name, [&](MutableArrayRef<char> out) {
        known = dispatchFloat(floats.getElementType(), [&](auto zero) {
          auto *to = reinterpret_cast<decltype(zero) *>(out.data());
          for (int64_t k = 0; k < w->rows; ++k)
            for (int64_t n = 0; n < w->columns; ++n)
              store(to++, w->at(k, n));
          return true;
        });
      });
  if (!known)
    return {};
  OpBuilder b(node);
  Location loc = node.getLoc();
  auto make = [&](StringRef op, int64_t version, ValueRange operands) -> Value {
    auto created =
        NodeOp::create(b, loc, type, op, StringAttr(), version, operands,
                       b.getDictionaryAttr({}), ArrayAttr(), /*bodiesCount=*/0);
    return created.getResult(0);
  };
  auto weight = ConstantOp::create(b, loc, value);
  Value result = make("MatMul", 13, {node.getOperand(0), weight.getResult()});
  if (Value bias = node.operandOrNull(5))
    result = make("Add", 14, {result, bias});
  node.getResult(0).replaceAllUsesWith(result);
  return weight;
}
