// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the files of this library share.
#ifndef SPARSE_OPT_LIB_TARGET_INTERNAL_H
#define SPARSE_OPT_LIB_TARGET_INTERNAL_H
#include "sparse-opt/Target/Emit.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"

namespace llvm {
class raw_fd_ostream;
class TargetMachine;
} // namespace llvm

namespace sparse_opt {

using ObjectBuffer = llvm::SmallVector<char, 0>;

template <typename... Args>
llvm::Error makeError(const char *format, Args &&...args) {
  return llvm::createStringError(std::errc::invalid_argument, format,
                                 std::forward<Args>(args)...);
}

/// The code generator for a CPU; position independent, hidden symbols near.
llvm::Expected<std::unique_ptr<llvm::TargetMachine>>
createMachine(llvm::StringRef cpu, llvm::StringRef features);

/// Renames a variant's entry points to "so_plan.<isa>" and "so_run.<isa>",
/// hidden, and makes every other definition private to the module.
llvm::Error hideVariant(VariantCode &variant);
std::string planName(llvm::StringRef isa);
std::string runName(llvm::StringRef isa);

/// The symbol of the weights: its own for every entry, so that two models
/// link into one program.
std::string weightsName(llvm::StringRef entry);

/// Where the weights will be.
struct WeightsPlace {
  uint64_t size = 0;
  std::string file;  ///< beside the artefact; empty: in it
  uint64_t hash = 0; ///< of a file's weights
};

/// Writes the file of WeightsFile.h and returns the hash.
llvm::Expected<uint64_t>
writeWeightsFile(llvm::StringRef path, llvm::ArrayRef<WeightSegment> segments,
                 uint64_t size);

/// The object with `so_model` and the entry function.
llvm::Expected<ObjectBuffer>
emitDescriptor(const ModelDescription &description,
               llvm::ArrayRef<VariantCode> variants,
               const WeightsPlace &weights, llvm::StringRef entry);

/// `write(stream)` to a file, in large pieces.
llvm::Error
writeFile(llvm::StringRef path,
          llvm::function_ref<llvm::Error(llvm::raw_fd_ostream &)> write);

/// A file beside the artefact that is gone when this is, unless renamed.
class TempFile {
public:
  static llvm::Expected<TempFile> create(llvm::StringRef beside,
                                         llvm::StringRef suffix);
  TempFile(TempFile &&other);
  TempFile &operator=(TempFile &&other) = delete;
  ~TempFile();

  void swap(TempFile &other) { std::swap(name, other.name); }
  llvm::StringRef path() const { return name; }
  llvm::Error write(llvm::ArrayRef<char> bytes);
  /// What another file holds.
  llvm::Error copy(llvm::StringRef from);
  llvm::Error renameTo(llvm::StringRef target);

private:
  explicit TempFile(std::string name) : name(std::move(name)) {}
  std::string name;
};

/// The parts of an artefact, all on disk.
struct LinkJob {
  std::vector<std::string> objects; // descriptor and variants
  std::string weights;              // empty when there are none
  std::string entry;
  std::string output;
};
llvm::Error linkSharedLibrary(const LinkJob &job);
llvm::Error linkStaticLibrary(const LinkJob &job);
llvm::Error linkObject(const LinkJob &job);
llvm::Error linkExecutable(const LinkJob &job);

} // namespace sparse_opt
#endif // SPARSE_OPT_LIB_TARGET_INTERNAL_H
