// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How many f32 multiply-adds this machine does at most, measured: the scale
// for what a model reaches.
#ifndef SPARSE_OPT_TOOLS_PEAK_H
#define SPARSE_OPT_TOOLS_PEAK_H
#include "llvm/ADT/StringRef.h"

namespace sparse_opt::tool {
/// Multiply-adds a second of `threads` threads together, with the registers of
/// `target` ("x86-64-v4"), over a few milliseconds.
double measurePeak(llvm::StringRef target, unsigned threads);
} // namespace sparse_opt::tool
#endif
