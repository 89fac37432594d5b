// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A compiled model as the tool uses it: loaded with dlopen, called through the
// public C interface, arrays in and out as NumPy's files hold them.
#ifndef SPARSE_OPT_TOOLS_MODELFILE_H
#define SPARSE_OPT_TOOLS_MODELFILE_H
#include "sparse-opt/Runtime/Runtime.h"
#include "sparse-opt/Support/Npz.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include <memory>
#include <optional>

namespace sparse_opt::tool {

llvm::Error makeError(const llvm::Twine &sentence);

/// A shared library of ours. Stays loaded unless `unload` is called.
class ModelFile {
public:
  static llvm::Expected<ModelFile> open(const std::string &path,
                                        const std::string &entry);

  /// Once no instance is left; its threads are stopped. Nothing else may be
  /// called after that.
  void unload();

  const std::string &getPath() const { return path; }
  const sparse_opt_api &getApi() const { return *api; }
  llvm::ArrayRef<sparse_opt_tensor_info> getInputs() const;
  llvm::ArrayRef<sparse_opt_tensor_info> getOutputs() const;
  /// Caches that instances keep.
  llvm::ArrayRef<sparse_opt_tensor_info> getStates() const;
  /// The parsed manifest; null when it is malformed.
  llvm::json::Value getManifest() const;
  /// A text of the manifest; "" when there is none. "dtype" is "f32" or "bf16",
  /// "weight_type" those or "int8".
  std::string getText(llvm::StringRef key) const;

private:
  std::string path;
  void *library = nullptr;
  const sparse_opt_api *api = nullptr;
};

/// Nanoseconds of one run.
struct Profile {
  uint64_t total;                 // of the compiled code
  std::vector<uint64_t> launches; // in the order of the manifest's "kernels"
};

/// An instance of a model with its threads.
class Instance {
public:
  /// On threads of its own, or on those of `pool`.
  static llvm::Expected<Instance> create(const ModelFile &model,
                                         unsigned threads,
                                         sparse_opt_pool *pool = nullptr);

  /// Caches are emptied, then filled by runs on these inputs; each run that
  /// follows begins with what is in them then. Nothing for models without.
  llvm::Error fill(llvm::ArrayRef<std::vector<NpyArray>> runs);
  bool keepsCaches() const { return !model->getStates().empty(); }
  /// Fixes the inputs of the runs that follow.
  void bind(llvm::ArrayRef<NpyArray> inputs);
  llvm::Error run();
  /// What the last run gave, in the order of the model's outputs.
  std::vector<NpyArray> getResults() const;
  /// The same without a copy, valid until the next run.
  llvm::ArrayRef<sparse_opt_tensor> getOutputs() const { return outputs; }
  llvm::Error setKnob(const std::string &name, double value);
  /// The share of neurons that each compressed block took so far, where it
  /// skipped any.
  llvm::StringMap<double> getDensities() const;
  /// Times the launches of the runs that follow, or doesn't.
  llvm::Error enableProfile(bool enabled);
  llvm::Expected<Profile> getProfile() const;
  llvm::StringRef getTarget() const {
    return model->getApi().instance_target(handle.get());
  }
  unsigned getThreads() const {
    return model->getApi().instance_threads(handle.get());
  }

private:
  using Handle =
      std::unique_ptr<sparse_opt_instance, void (*)(sparse_opt_instance *)>;
  Instance(const ModelFile &model, Handle handle)
      : model(&model), handle(std::move(handle)) {}
  llvm::Error lastError() const;

  const ModelFile *model;
  Handle handle;
  std::vector<sparse_opt_tensor> inputs, outputs;
  std::optional<uint64_t> keptLength; // of caches, before each run
};

/// The arrays of `path`; a lone .npy gets the name of the only input.
llvm::Expected<std::vector<NpyArray>> readInputs(const std::string &path,
                                                 const ModelFile &model);

} // namespace sparse_opt::tool
#endif
