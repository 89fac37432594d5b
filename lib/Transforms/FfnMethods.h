// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What passes that compress FFN blocks share: which blocks are meant, what
// calibration knows of them, how the compressed form is built, and what is
// written down for reports. What form a block gets is each pass's own.
#ifndef SPARSE_OPT_LIB_TRANSFORMS_FFNMETHODS_H
#define SPARSE_OPT_LIB_TRANSFORMS_FFNMETHODS_H
#include "dialects/Ffn/FfnOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "sparse-opt/Calibration/Profile.h"
#include "sparse-opt/Transforms/MethodRecords.h"
#include <optional>
#include <string>

namespace sparse_opt {

struct NamedBlock {
  ffn::BlockOp op;
  std::string name;
};

/// Of errors about options: none in the model.
mlir::Location flagLocation(mlir::ModuleOp module);

/// The blocks whose name `layers` (a regular expression, searched for) matches,
/// all when it is empty. Fails with a diagnostic when there is none of them, or
/// it is no expression. `pass` is named in errors. A module without blocks has
/// none, which is a warning.
mlir::FailureOr<llvm::SmallVector<NamedBlock>>
blocksOfLayers(mlir::ModuleOp module, llvm::StringRef layers,
               llvm::StringRef pass);

/// Reads `path`. Fails with a diagnostic when it isn't of this model.
mlir::FailureOr<CalibrationProfile>
profileOf(mlir::ModuleOp module, llvm::StringRef path, llvm::StringRef pass);
/// The block's place in the profile. Fails with a diagnostic.
mlir::FailureOr<size_t> findInProfile(NamedBlock block,
                                      const CalibrationProfile &profile,
                                      llvm::StringRef path,
                                      llvm::StringRef pass);

/// A block as a selection, a correction, and what is there without it.
struct CompressedForm {
  /// |(score - minus) * times| * weight > threshold; nothing: score != 0.
  std::optional<float> threshold;
  /// What abs(x_j) has to exceed for column j to count, or nothing: all do.
  std::optional<float> inputThreshold;
  bool timesUp = false;      ///< scores are times act_up(x up)
  mlir::Value minus, weight; ///< of h, or null
  mlir::Value folded;        ///< d x d_out, or null
  mlir::Value offset;        ///< of d_out, or null
  /// Least and largest density to expect, of neurons and of x's columns, or
  /// nothing.
  std::optional<std::pair<double, double>> band, inputBand;
  mlir::Type foldedType; ///< what `folded` is stored in, or null: as others
};

/// block(x) -> linear(x) + correct(x, select(score(x))); the block goes.
void compressBlock(NamedBlock block, const CompressedForm &form);

bool hasConstantWeights(ffn::BlockOp block);
/// Gives the block, whose weights are constants with data, the neurons that
/// `order` lists, in its order. With all of them y stays what it is, but for
/// the order in which they are added up.
void takeNeurons(ffn::BlockOp block, llvm::ArrayRef<size_t> order);
/// Neurons that are kept often first (`kept` counts rows): those lie together
/// then, and are read as one stream.
llvm::SmallVector<size_t> byFrequency(llvm::ArrayRef<uint64_t> kept);

} // namespace sparse_opt
#endif
