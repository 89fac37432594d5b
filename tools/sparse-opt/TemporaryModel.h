// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A model compiled to be measured: loaded, its files gone.
#ifndef SPARSE_OPT_TOOLS_TEMPORARYMODEL_H
#define SPARSE_OPT_TOOLS_TEMPORARYMODEL_H
#include "ModelFile.h"
#include "sparse-opt/Pipelines/Compile.h"

namespace sparse_opt::tool {

class TemporaryModel {
public:
  /// `compile` is given `options` with an output of its own, for this CPU's
  /// best target unless `march` names one; `what` is for messages: "the model
  /// in bf16".
  llvm::Error
  build(CompileOptions options, llvm::StringRef what,
        llvm::function_ref<CompileStatus(const CompileOptions &)> compile,
        unsigned threads = 1);
  /// The same in a context of its own: it holds the weights until it goes.
  llvm::Error
  buildAlone(const CompileOptions &options, llvm::StringRef what,
             llvm::function_ref<CompileStatus(mlir::MLIRContext &,
                                              const CompileOptions &)>
                 compile);
  TemporaryModel() = default;
  TemporaryModel(TemporaryModel &&) = default;
  ~TemporaryModel();

  const ModelFile &getFile() const { return *file; }
  Instance &getInstance() { return *instance; }

private:
  std::unique_ptr<ModelFile> file;
  std::unique_ptr<Instance> instance;
};

} // namespace sparse_opt::tool
#endif
