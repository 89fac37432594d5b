// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// How many multiply-adds this machine does at most, measured: the scale for
// what a model reaches.
#ifndef SPARSE_OPT_TOOLS_PEAK_H
#define SPARSE_OPT_TOOLS_PEAK_H
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/StringRef.h"

namespace sparse_opt::tool {

/// The instructions that multiply and add.
enum class Arithmetic { Fma256, Fma512, Bf16Dot512, Bf16Tiles };

/// "f32 FMA of 512 bits"
llvm::StringRef nameOf(Arithmetic arithmetic);

/// What code for `target` ("x86-64-v4") multiplies f32 or bf16 with; of an
/// unknown target, what this CPU has for f32.
Arithmetic arithmeticOf(llvm::StringRef target, bool ofBf16);

/// Those that this CPU has.
llvm::ArrayRef<Arithmetic> hostArithmetic();

/// Multiply-adds a second of `threads` threads together over a few
/// milliseconds; 0 when this CPU doesn't have the instructions.
double measurePeak(Arithmetic arithmetic, unsigned threads);

/// Calls `measure()` on each of `threads` threads at once; the sum. Each has a
/// CPU of its own where there are enough: schedulers of some virtual machines
/// keep threads together for seconds.
double sumOverThreads(unsigned threads,
                      llvm::function_ref<double(unsigned thread)> measure);
} // namespace sparse_opt::tool
#endif
