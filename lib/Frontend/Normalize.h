// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_LIB_FRONTEND_NORMALIZE_H
#define SPARSE_OPT_LIB_FRONTEND_NORMALIZE_H
#include "Report.h"

namespace sparse_opt::frontend {

/// What the file said before it was normalised.
struct ModelInfo {
  int64_t irVersion = 0;
  int64_t opset = 0;
  std::string producer;
};

/// Reads the model's versions and refuses those newer than ONNX's library;
/// both spellings of ai.onnx become the empty one.
llvm::LogicalResult readVersions(pb::ModelProto &model, ModelInfo &info,
                                 const Report &report);

/// ONNX's checker, leaving out what it demands of types and inference gives.
llvm::LogicalResult checkModel(pb::ModelProto &model, const Report &report);

/// Replaces calls of the model's functions by their bodies, and checks again.
llvm::LogicalResult inlineFunctions(pb::ModelProto &model,
                                    const Report &report);

/// Initialisers that are inputs too become constants only.
void dropDefaultedInputs(pb::ModelProto &model);

/// Converts operators of ai.onnx to `opset`. A model that ONNX's converter
/// cannot convert keeps its opset, with a warning.
llvm::LogicalResult convertOpset(pb::ModelProto &model, int64_t opset,
                                 const Report &report);

/// Infers the type of every value, symbolic dims included.
llvm::LogicalResult inferTypes(pb::ModelProto &model, const Report &report);

/// Opset of a domain as the model imports it, 0 when it does not.
int64_t importedOpset(const pb::ModelProto &model, llvm::StringRef domain);

/// Makes ONNX's library know the com.microsoft operators that are lowered.
void registerMicrosoftOperators();

} // namespace sparse_opt::frontend
#endif
