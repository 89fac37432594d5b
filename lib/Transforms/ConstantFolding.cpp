// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Half-precision elements and the loops over strided tensors that all constant
// folders share.
#include "ConstantFolding.h"
#include "sparse-opt/Support/Bf16.h"

using namespace mlir;
using namespace sparse_opt;
using namespace sparse_opt::folding;

//===----------------------------------------------------------------------===//
// Half precision
//===----------------------------------------------------------------------===//

float folding::toFloat(Half value) {
  uint32_t sign = (value.bits & 0x8000u) << 16;
  uint32_t exponent = (value.bits >> 10) & 0x1f, mantissa = value.bits & 0x3ff;
  if (exponent == 0) {
    float magnitude = std::ldexp(static_cast<float>(mantissa), -24);
    return sign ? -magnitude : magnitude;
  }
  uint32_t bits = sign | (mantissa << 13) |
                  (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23);
  float result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}

Half folding::toHalf(float value) {
  APFloat number(value);
  bool losesInfo;
  number.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &losesInfo);
  return {static_cast<uint16_t>(number.bitcastToAPInt().getZExtValue())};
}

BFloat folding::toBFloat(float value) { return {toBf16(value)}; }

//===----------------------------------------------------------------------===//
// Loops
//===----------------------------------------------------------------------===//

Strides folding::rowMajorStrides(ArrayRef<int64_t> shape) {
  Strides strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i])
    strides[i] = stride;
  return strides;
}

Strides folding::broadcastStrides(const ConstantData &data,
                                  ArrayRef<int64_t> shape) {
  ArrayRef<int64_t> own = data.type.getShape();
  assert(own.size() <= shape.size() && "operand of a higher rank than result");
  Strides packed = rowMajorStrides(own), strides(shape.size(), 0);
  if (data.splat)
    return strides;
  size_t shift = shape.size() - own.size();
  for (size_t i = 0; i < own.size(); ++i)
    strides[shift + i] = own[i] == 1 ? 0 : packed[i];
  return strides;
}

void folding::forEachRow(
    ArrayRef<int64_t> shape, ArrayRef<Strides> strides,
    llvm::function_ref<void(ArrayRef<int64_t>, int64_t, ArrayRef<int64_t>)>
        body) {
  // Join dimensions: outer stride = inner stride * inner size, everywhere.
  SmallVector<int64_t> sizes;
  SmallVector<Strides> steps(strides.size());
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0)
      return;
    if (shape[d] == 1)
      continue;
    bool joins = !sizes.empty();
    for (size_t t = 0; t < strides.size() && joins; ++t)
      joins = steps[t].back() == strides[t][d] * shape[d];
    if (joins)
      sizes.back() *= shape[d];
    else
      sizes.push_back(shape[d]);
    for (size_t t = 0; t < strides.size(); ++t) {
      if (joins)
        steps[t].pop_back();
      steps[t].push_back(strides[t][d]);
    }
  }
  if (sizes.empty()) {
    sizes.push_back(1);
    for (Strides &list : steps)
      list.push_back(0);
  }
  SmallVector<int64_t> offsets(strides.size(), 0), inner;
  for (Strides &list : steps)
    inner.push_back(list.back());
  SmallVector<int64_t> index(sizes.size() - 1, 0);
  while (true) {
    body(offsets, sizes.back(), inner);
    size_t d = index.size();
    for (; d > 0; --d) {
      for (size_t t = 0; t < offsets.size(); ++t)
        offsets[t] += steps[t][d - 1];
      if (++index[d - 1] < sizes[d - 1])
        break;
      for (size_t t = 0; t < offsets.size(); ++t)
        offsets[t] -= steps[t][d - 1] * sizes[d - 1];
      index[d - 1] = 0;
    }
    if (d == 0)
      return;
  }
}
