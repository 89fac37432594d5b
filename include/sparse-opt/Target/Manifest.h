// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The JSON text an artefact carries about itself; `inspect model.so` prints it.
#ifndef SPARSE_OPT_TARGET_MANIFEST_H
#define SPARSE_OPT_TARGET_MANIFEST_H
#include "llvm/Support/JSON.h"
#include <string>
#include <vector>

namespace sparse_opt {

/// What the artefact was made from and how. Nothing that differs between two
/// runs of the same command (no paths, no times).
struct ManifestInfo {
  std::string modelHash; // of the ONNX file, `onnx.model_hash`
  std::string producer;  // `onnx.producer`, may be empty
  int64_t opset = 0;
  std::string dtype = "f32";        // of activations
  std::string weightType = "f32";   // f32, bf16 or int8
  std::string weightFile;           // beside the artefact; empty: in it
  llvm::json::Object accuracy;      // to f32, as measured; may be empty
  std::vector<std::string> targets; // as --march spells them, best first
  std::vector<std::string> flags;   // that change the code
  uint64_t weightBytes = 0;
  llvm::json::Array blocks; // one object per FFN block
  /// What each method made of a block: `ffn.methods`, see --ffn-skip-zeros and
  /// --ffn-threshold. May be empty.
  llvm::json::Array methods;
  /// Of targets that have the same kernels: {"targets": ["x86-64-v4"],
  /// "launches": [{"name": "/MatMul", "kind": "product", ...}]}.
  llvm::json::Array kernels;
  /// Of index inputs: values are below; {"input_ids": 30522}.
  llvm::json::Object inputBounds;
  /// {"length": "past", "after": "past+sequence", "sizes": {"total":
  /// "past+sequence"}, "list": [{"input": ..., "output": ..., "type": 1}]}:
  /// the caches that instances keep, as the ONNX graph has them, and sizes of
  /// inputs that their length decides. May be empty.
  llvm::json::Object states;
  /// Of the products of one run, a polynomial in the symbols; may be empty.
  std::string multiplyAdds;
};

/// One line of JSON with the versions of sparse-opt, LLVM and the ABI added.
std::string buildManifest(ManifestInfo info);

/// "0.1.0": the version of this build of sparse-opt.
const char *sparseOptVersion();

} // namespace sparse_opt
#endif // SPARSE_OPT_TARGET_MANIFEST_H
