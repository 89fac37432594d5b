// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Models of one feed-forward block with made-up weights, for `bench --ffn`: as
// ONNX, which peers run too, and compressed, so that a run is told which
// neurons to compute.
#ifndef SPARSE_OPT_TOOLS_FFNMODEL_H
#define SPARSE_OPT_TOOLS_FFNMODEL_H
#include "sparse-opt/Pipelines/Compile.h"
#include "sparse-opt/Support/Npz.h"
#include "llvm/Support/Error.h"

namespace sparse_opt::tool {

/// "gated,4096,11008,bf16"
struct FfnShape {
  bool isGated = false;
  int64_t d = 0, hidden = 0; ///< multiples of 64
  std::string type;          ///< f32, bf16 or int8 (weights, with f32)

  /// An error, without the flag's name, when `text` is no such shape.
  static llvm::Expected<FfnShape> parse(llvm::StringRef text);
  std::string str() const; ///< "gated 4096 x 11008 bf16"
  int64_t matrices() const { return isGated ? 3 : 2; }
  /// Of one matrix as it is compiled, without scales.
  int64_t matrixBytes() const;
};

/// Which neurons are computed: all, those that the input "mask" keeps, or the
/// latter when the gate (of plain blocks, up) is known of all.
enum class FfnForm { Dense, Given, GateFirst };
llvm::StringRef nameOf(FfnForm form); ///< as --selection spells it

/// Above this share of the neurons dense kernels compute all of them; 1, unless
/// it is set, so that they never do.
constexpr llvm::StringLiteral ffnCrossoverKnob = "crossover";

/// An error when `folder` or memory can't hold the weights: as ONNX in f32, and
/// again in each of `forms` forms.
llvm::Error checkRoom(const FfnShape &shape, size_t forms,
                      const std::string &folder);

/// Writes ffn.onnx and its weights into `folder`: input x of rows x d floats,
/// output y.
llvm::Error writeFfnModel(const FfnShape &shape, const std::string &folder);

/// Compiles what was written there in one form.
CompileStatus compileFfn(mlir::MLIRContext &context,
                         const CompileOptions &options, FfnForm form);

} // namespace sparse_opt::tool
#endif
