// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From LLVM modules, weights and a description of the model to the file a user
// asked for. Everything before (lowering to the llvm dialect, translation to
// LLVM IR) is lib/Pipelines'; what the file does when loaded is lib/Runtime's.
#ifndef SPARSE_OPT_TARGET_EMIT_H
#define SPARSE_OPT_TARGET_EMIT_H
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace llvm {
class Module;
} // namespace llvm

namespace sparse_opt {

/// A dimension as so_tensor stores it: >= 0 static, -1 - s for symbol s,
/// SO_DIM_PLANNED for a size that only the plan function knows. `name` is the
/// symbol or polynomial, empty for a static dimension.
struct DimDescription {
  int64_t size;
  std::string name;
};

struct TensorDescription {
  std::string name;
  int32_t elementType; // ONNX TensorProto.DataType
  std::vector<DimDescription> dims;
};

/// A cache that the instance keeps (ModelAbi.h: so_model.states), named like
/// the input it was.
struct StateDescription {
  TensorDescription tensor;
  int32_t axis; // along which it grows
};

struct KnobDescription {
  std::string name;
  double value; // until it is set
};

/// A compressed FFN block, whose rows are counted.
struct BlockDescription {
  std::string name;
  uint64_t groups;          // of neurons
  double low = 0, high = 0; // densities to expect; equal: any
};

/// What the runtime must know about a model, whatever its targets.
struct ModelDescription {
  std::vector<TensorDescription> inputs, outputs;
  std::vector<StateDescription> states;
  std::vector<KnobDescription> knobs;
  std::vector<BlockDescription> blocks;
  std::vector<std::string> symbols; // in the order of so_call.symbols
  uint32_t lengthSymbol = 0, capacitySymbol = 0; // of the states
  std::string manifest;                          // JSON, see Manifest.h
};

/// The code for one instruction set. The names of the entry points are those
/// in `module`; every other symbol with a body becomes private to it.
struct VariantCode {
  std::string isa;                      // name in --march: "x86-64-v4"
  uint64_t isaBits;                     // SO_ISA_* the CPU must have
  std::string cpu;                      // LLVM's -mcpu
  std::string features;                 // LLVM's -mattr, may be empty
  std::unique_ptr<llvm::Module> module; // consumed; its context is its own
  std::string planSymbol, runSymbol;
};

/// Bytes of the weights at an offset from their base; gaps are zero.
struct WeightSegment {
  uint64_t offset;
  llvm::ArrayRef<char> data;
};

enum class OutputKind { SharedLibrary, StaticLibrary, Object, Executable };

/// Where the weights go: into the artefact, or a file beside it, which the
/// runtime maps.
enum class WeightStorage { Embed, File };

struct EmitOptions {
  OutputKind kind = OutputKind::SharedLibrary;
  WeightStorage storage = WeightStorage::Embed;
  std::string path;
  std::string entry = "sparse_opt_model_v1";
  unsigned jobs = 1;
  /// Called when the weights are written and not needed any more, before code
  /// is generated.
  std::function<void()> onWeightsWritten;
};

/// Optimises `module` (-O3) and returns its object file.
llvm::Expected<llvm::SmallVector<char, 0>>
emitObject(llvm::Module &module, llvm::StringRef cpu, llvm::StringRef features);

/// Writes an ELF relocatable with one read-only section, aligned to 4096, that
/// holds the segments under one hidden symbol.
llvm::Error writeWeightsObject(llvm::StringRef path, llvm::StringRef symbol,
                               llvm::ArrayRef<WeightSegment> segments,
                               uint64_t size);

/// Name of the weights file of the artefact at `path`: "model.so.weights".
std::string weightsFileName(llvm::StringRef path);

/// Makes the whole artefact at options.path: written beside and renamed, so
/// that a failure leaves nothing. Variants are best first. The same input
/// gives the same bytes. Needs LLVM's native target initialised no further
/// than this function does itself.
llvm::Error emitModel(const ModelDescription &description,
                      std::vector<VariantCode> variants,
                      llvm::ArrayRef<WeightSegment> weights,
                      uint64_t weightsSize, const EmitOptions &options);

} // namespace sparse_opt
#endif // SPARSE_OPT_TARGET_EMIT_H
