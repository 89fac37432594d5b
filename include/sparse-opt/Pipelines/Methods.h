// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The methods that `compile --method=` runs at stage `ffn-compressed`: passes
// of lib/Transforms by name, with options as MLIR's pass pipelines have them.
#ifndef SPARSE_OPT_PIPELINES_METHODS_H
#define SPARSE_OPT_PIPELINES_METHODS_H
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include <memory>
#include <string>
#include <vector>

namespace mlir {
class Pass;
} // namespace mlir

namespace sparse_opt {

struct Method {
  llvm::StringRef name; ///< of the pass
  bool isLossless;
  /// With what every method has; a method may do without either.
  std::unique_ptr<mlir::Pass> (*create)(llvm::StringRef profile,
                                        llvm::StringRef layers);
};

/// In the order in which they run; each takes blocks that others left.
struct MethodChoice {
  struct Call {
    const Method *method;
    std::string options; ///< "rule=cett target-density=0.3"
  };
  std::vector<Call> calls;
  std::string profile, layers; ///< defaults of all calls' options

  /// "none" or "", or calls such as "ffn-skip-zeros,ffn-threshold{rule=cett
  /// cett=0.2}". An error is one sentence about the first thing wrong.
  static llvm::Expected<MethodChoice>
  parse(llvm::StringRef text, llvm::StringRef profile, llvm::StringRef layers);
  /// The pass of a call that was parsed.
  std::unique_ptr<mlir::Pass> createPass(const Call &call) const;
  /// As --method= takes it.
  std::string str() const;
};

/// The module attribute `ffn.methods` as the manifest has it.
llvm::json::Array describeMethods(mlir::ModuleOp module);
/// One line about an entry, for a terminal.
std::string methodText(const llvm::json::Object &entry);

} // namespace sparse_opt
#endif
