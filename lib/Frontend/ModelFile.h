// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef SPARSE_OPT_LIB_FRONTEND_MODELFILE_H
#define SPARSE_OPT_LIB_FRONTEND_MODELFILE_H
#include "Report.h"
#include "llvm/Support/MemoryBuffer.h"
#include <memory>

namespace sparse_opt::frontend {

/// Parses the file `path`, textual when it ends in .onnxtxt. Where the model's
/// large initialisers stay in it (InlineWeights.h), `weights` is the file.
llvm::LogicalResult parseFile(llvm::StringRef path, pb::ModelProto &model,
                              std::shared_ptr<llvm::MemoryBuffer> &weights,
                              const Report &report);

/// Parses a model in memory.
llvm::LogicalResult parseBytes(llvm::StringRef bytes, bool text,
                               pb::ModelProto &model, const Report &report);

} // namespace sparse_opt::frontend
#endif
