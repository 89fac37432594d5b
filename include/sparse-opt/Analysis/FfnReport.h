// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What `inspect` says about a model's feed-forward blocks: their size and
// share of the work, and what came close to a block without being one.
#ifndef SPARSE_OPT_ANALYSIS_FFNREPORT_H
#define SPARSE_OPT_ANALYSIS_FFNREPORT_H
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Location.h"
#include "sparse-opt/Analysis/DimExpr.h"
#include "llvm/ADT/StringMap.h"
#include <string>
#include <vector>

namespace sparse_opt {

struct FfnBlockReport {
  std::string name;
  bool gated = false;
  std::string activation; // as in the IR: "gelu_tanh"; "relu*relu" for dReLU
  int64_t d = 0, h = 0, out = 0;
  bool upBias = false, gateBias = false, downBias = false;
  int64_t parameters = 0;
  int64_t multiplyAddsPerRow = 0;
  double share = 0; // of the model's multiply-adds, 0 to 1
};

struct FfnMissReport {
  std::string node; // ONNX name, or "a MatMul" when unnamed
  std::string reason;
};

struct FfnReport {
  std::vector<FfnBlockReport> blocks;
  std::vector<FfnMissReport> misses;
  /// Products of the whole model (MatMul, Gemm, attention, convolutions), one
  /// call at `sizes`.
  int64_t multiplyAdds = 0;
  /// The same for any sizes; what can't be counted is left out of both.
  DimExpr multiplyAddsOfSizes;
  /// Elements of all constants.
  int64_t parameters = 0;
  /// The sizes that the counts are for: 1 for symbols that are the first
  /// dimension of an input, else 128; entries given by the caller win.
  std::vector<std::pair<std::string, int64_t>> sizes;
};

/// Reads a module at stage `ffn` (or `onnx` before recognition: then without
/// blocks, and what would be recognised is no miss).
FfnReport makeFfnReport(mlir::ModuleOp module,
                        const llvm::StringMap<int64_t> &sizes = {});
} // namespace sparse_opt
#endif
