// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// bf16 as its bits, rounded in one place, so that samples, folded constants and
// stored weights agree.
#ifndef SPARSE_OPT_SUPPORT_BF16_H
#define SPARSE_OPT_SUPPORT_BF16_H
#include <cstdint>
#include <cstring>

namespace sparse_opt {

/// The nearest to `value`, ties to even; a NaN stays one.
inline uint16_t toBf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  if ((bits & 0x7fffffff) > 0x7f800000)
    return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1)) >> 16);
}

inline float fromBf16(uint16_t bits) {
  uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

} // namespace sparse_opt
#endif
