// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Another engine running the ONNX model, in a Python process that stays alive
// so that its calls can alternate with ours.
#ifndef SPARSE_OPT_TOOLS_PEER_H
#define SPARSE_OPT_TOOLS_PEER_H
#include "TemporaryFiles.h"
#include "sparse-opt/Support/Npz.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace sparse_opt::tool {

/// "onnxruntime", "openvino" (in f32), "openvino-bf16", or a Python file with
/// a class Peer like those in peer.py.
bool isPeerName(llvm::StringRef name);

class Peer {
public:
  /// Starts `python` and opens `model` in it; an error when Python, the
  /// package or the model doesn't work.
  static llvm::Expected<std::unique_ptr<Peer>> open(const std::string &python,
                                                    const std::string &name,
                                                    const std::string &model,
                                                    unsigned threads);
  ~Peer();

  llvm::StringRef getVersion() const { return version; }
  /// Fixes the inputs of the runs that follow.
  llvm::Error bind(const std::vector<NpyArray> &inputs);
  /// Nanoseconds of each of `runs` runs.
  llvm::Expected<std::vector<double>> run(unsigned runs);
  /// One run and what it gave.
  llvm::Expected<std::vector<NpyArray>> getResults();

private:
  Peer() = default;
  llvm::Error start(const std::string &python);
  llvm::Expected<llvm::json::Object> ask(llvm::json::Object command);
  /// Engines' threads go on spinning after a run, some for 60 ms: they would
  /// take a CPU from whoever has the next turn. Says so of those that never
  /// stop.
  void waitUntilIdle();

  std::string name, version;
  TemporaryFolder folder;
  FILE *toChild = nullptr, *fromChild = nullptr;
  int child = -1;
  bool neverRests = false;
};

} // namespace sparse_opt::tool
#endif
