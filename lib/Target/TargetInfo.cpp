// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The table of targets and the look-ups on it.
#include "sparse-opt/Target/TargetInfo.h"
#include "sparse-opt/Runtime/ModelAbi.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"

using namespace sparse_opt;

// Generic levels are tuned as a recent core of that level: the "x86-64-v4"
// CPU model of LLVM prefers 256-bit vectors, which halves the product's speed.
// The last row has no instructions but those that its bits stand for: the
// loader checks the bits, and a virtual machine may hide others.
static const TargetInfo targets[] = {
    {"x86-64-v3", SO_ISA_X86_64_V3, "x86-64-v3", "", "x86-64-v3", 256,
     /*f32Tile=*/{6, 1},
     /*bf16Tile=*/{6, 1}, /*wideTile=*/{6, 1}, /*thinTile=*/{2, 2},
     /*thinInt8Tile=*/{1, 4}, /*rowCacheBytes=*/768 << 10,
     /*prefetchLines=*/64, /*int8PrefetchLines=*/128, /*selectedLines=*/128,
     TargetInfo::Bf16::Widen},
    {"x86-64-v4", SO_ISA_X86_64_V3 | SO_ISA_X86_64_V4, "x86-64-v4",
     "-prefer-256-bit", "x86-64-v4", 512, /*f32Tile=*/{14, 2},
     /*bf16Tile=*/{12, 2}, /*wideTile=*/{12, 2}, /*thinTile=*/{},
     /*thinInt8Tile=*/{4, 4},
     /*rowCacheBytes=*/768 << 10, /*prefetchLines=*/64,
     /*int8PrefetchLines=*/128, /*selectedLines=*/128, TargetInfo::Bf16::Widen},
    {"x86-64-v4-bf16", SO_ISA_X86_64_V3 | SO_ISA_X86_64_V4 | SO_ISA_AVX512_BF16,
     "x86-64-v4", "+avx512bf16,-prefer-256-bit", "x86-64-v4", 512,
     /*f32Tile=*/{14, 2},
     /*bf16Tile=*/{14, 2}, /*wideTile=*/{12, 2}, /*thinTile=*/{},
     /*thinInt8Tile=*/{4, 4}, /*rowCacheBytes=*/768 << 10,
     /*prefetchLines=*/64, /*int8PrefetchLines=*/128, /*selectedLines=*/128,
     TargetInfo::Bf16::Dot},
    {"sapphirerapids",
     SO_ISA_X86_64_V3 | SO_ISA_X86_64_V4 | SO_ISA_AVX512_BF16 | SO_ISA_AMX_BF16,
     "x86-64-v4", "+avx512bf16,+amx-tile,+amx-bf16,-prefer-256-bit",
     "sapphirerapids", 512, /*f32Tile=*/{14, 2}, /*bf16Tile=*/{14, 2},
     /*wideTile=*/{12, 2}, /*thinTile=*/{}, /*thinInt8Tile=*/{4, 4},
     /*rowCacheBytes=*/768 << 10, /*prefetchLines=*/64,
     /*int8PrefetchLines=*/128, /*selectedLines=*/128, TargetInfo::Bf16::Tiles,
     /*tiles=*/{2, 2}, /*tilePanels=*/4},
};

const TargetInfo *sparse_opt::lookupTarget(llvm::StringRef name) {
  const TargetInfo *found = llvm::find_if(
      targets, [&](const TargetInfo &target) { return target.name == name; });
  return found == std::end(targets) ? nullptr : found;
}

/// SO_ISA_* bits of the CPU that runs this.
static uint64_t hostIsaBits() {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  auto has = [&](std::initializer_list<const char *> names) {
    return llvm::all_of(
        names, [&](const char *name) { return features.lookup(name); });
  };
  uint64_t bits = 0;
  if (has({"avx2", "fma", "bmi", "bmi2", "f16c", "lzcnt", "movbe"}))
    bits |= SO_ISA_X86_64_V3;
  if (has({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}))
    bits |= SO_ISA_X86_64_V4;
  if (has({"avx512bf16"}))
    bits |= SO_ISA_AVX512_BF16;
  if (has({"amx-tile", "amx-bf16"}))
    bits |= SO_ISA_AMX_BF16;
  return bits;
}

llvm::SmallVector<const TargetInfo *> sparse_opt::targetsFor(bool bf16) {
  llvm::SmallVector<const TargetInfo *> found;
  for (const TargetInfo &target : llvm::reverse(targets))
    if (bf16 || target.bf16 == TargetInfo::Bf16::Widen)
      found.push_back(&target);
  return found;
}

bool sparse_opt::hostRuns(const TargetInfo &target) {
  static const uint64_t bits = hostIsaBits();
  return (target.isaBits & ~bits) == 0;
}

const TargetInfo *sparse_opt::hostTarget(bool bf16) {
  for (const TargetInfo *target : targetsFor(bf16))
    if (hostRuns(*target))
      return target;
  return nullptr;
}

std::string sparse_opt::targetNames() {
  return llvm::join(
      llvm::map_range(
          targets, [](const TargetInfo &target) { return target.name.str(); }),
      ", ");
}
