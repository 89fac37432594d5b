// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns what is wrong with a model, and what ONNX's library throws about it,
// into one sentence with file and node.
#ifndef SPARSE_OPT_LIB_FRONTEND_REPORT_H
#define SPARSE_OPT_LIB_FRONTEND_REPORT_H
#include "mlir/IR/MLIRContext.h"
#include "onnx/onnx_pb.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/LogicalResult.h"
#include <exception>
#include <string>

namespace sparse_opt::frontend {
namespace pb = ::onnx;

/// A node's name; unnamed ones go by operator and first output, `Add(y)`.
std::string nodeName(const pb::NodeProto &node);

/// "node 'NAME' (OP)".
std::string describe(const pb::NodeProto &node);

/// The first complaint of a message of ONNX's library as one lower-case
/// sentence that starts with the node it is about.
std::string cleanMessage(llvm::StringRef message);

class Report {
public:
  Report(mlir::MLIRContext &context, llvm::StringRef file)
      : context(context), file(file) {}
  /// Emits "FILE: MESSAGE" as an error and fails.
  llvm::LogicalResult error(const llvm::Twine &message) const;
  llvm::LogicalResult error(const pb::NodeProto &node,
                            const llvm::Twine &message) const;
  void warning(const llvm::Twine &message) const;

  mlir::MLIRContext &context;
  const std::string file;
};

/// Runs `call`, which enters ONNX's library; what that throws is reported.
template <typename Call>
llvm::LogicalResult guarded(const Report &report, Call call) {
  try {
    call();
    return llvm::success();
  } catch (const std::exception &thrown) {
    return report.error(cleanMessage(thrown.what()));
  }
}

} // namespace sparse_opt::frontend
#endif
