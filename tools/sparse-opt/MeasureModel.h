// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A whole model dense and compressed, on the sequences that calibration held
// out: what the compressed one's results lose, and how long both take.
#ifndef SPARSE_OPT_TOOLS_MEASUREMODEL_H
#define SPARSE_OPT_TOOLS_MEASUREMODEL_H
#include "TemporaryModel.h"
#include "mlir/IR/BuiltinOps.h"
#include "sparse-opt/Calibration/Profile.h"

namespace sparse_opt::tool {

/// A limit on errors of a whole model: "rel:0.01", "cos:", "kl:", "ppl:".
struct ModelErrorLimit {
  /// rel: norm(y - ref) / norm(ref) of an output's rows, the mean; of the float
  /// output where it is worst. cos: 1 - the mean cosine of the rows. kl: the
  /// mean over tokens of KL(dense || compressed), in nats. ppl: perplexity of
  /// the tokens that follow, compressed / dense - 1.
  enum Kind { Rel, Cos, Kl, Ppl } kind = Rel;
  double limit = 0.01;
  std::string number; ///< `limit`, as it was written

  static llvm::Expected<ModelErrorLimit> parse(llvm::StringRef text);
  std::string str() const; ///< "ppl:0.03"
};

struct ModelError {
  double rel = 0, relP99 = 0, cos = 0;
  std::optional<double> kl, ppl; ///< of models with logits of tokens
  size_t sequences = 0, tokens = 0;

  double operator[](ModelErrorLimit::Kind kind) const;
  llvm::json::Object toJson() const;
};

/// "3 sequences (700 tokens) that were held out"
std::string heldOutText(size_t sequences, size_t tokens);

class ModelPair {
public:
  /// `compressed` by the methods of `options`, `dense` without; both modules
  /// stay as they are. Caches are the caller's, whoever keeps them later.
  llvm::Error build(mlir::ModuleOp dense, mlir::ModuleOp compressed,
                    const CompileOptions &options,
                    const CalibrationProfile &profile);
  /// Of the compressed model with its knobs as they are.
  llvm::Expected<ModelError> measure();
  Instance &getCompressed() { return compressed.getInstance(); }
  /// Median seconds of `rows` tokens (0: a whole sequence) in turns.
  llvm::Expected<std::pair<double, double>> time(int64_t rows);

private:
  std::vector<NpyArray> inputsOf(const SampledSequence &sequence,
                                 int64_t rows) const;
  llvm::Error runDense();

  TemporaryModel dense, compressed;
  std::vector<CalibratedInput> inputs;
  std::vector<SampledSequence> sequences;
  std::vector<std::vector<NpyArray>> exact; ///< results of each sequence
};

} // namespace sparse_opt::tool
#endif
