// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Report.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Location.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Regex.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::frontend;

std::string frontend::nodeName(const pb::NodeProto &node) {
  if (!node.name().empty())
    return node.name();
  std::string output = node.output_size() ? node.output(0) : "";
  return node.op_type() + "(" + output + ")";
}

std::string frontend::describe(const pb::NodeProto &node) {
  return "node '" + nodeName(node) + "' (" + node.op_type() + ")";
}

/// Takes "(op_type:OP, node name: NAME): " off the front of inference's
/// messages, where each level of graphs adds one: the innermost node that has
/// a name. Those without are in the bodies of ONNX's own functions.
static std::string takeInferenceNode(StringRef &message) {
  std::string found;
  while (true) {
    size_t begin = message.find("(op_type:");
    size_t end = message.find("): ", begin);
    if (begin == StringRef::npos || end == StringRef::npos)
      return found;
    auto [op, name] =
        message.slice(begin + strlen("(op_type:"), end).split(", node name: ");
    if (!name.empty())
      found = "node '" + name.str() + "' (" + op.str() + "): ";
    message = message.drop_front(end + strlen("): "));
  }
}

/// Takes the checker's "Name: NAME OpType: OP" off the end.
static std::string takeCheckerNode(StringRef &message) {
  SmallVector<StringRef> match;
  Regex pattern("Name: ([^\n]*) OpType: ([^\n]*)$");
  if (!pattern.match(message, &match))
    return "";
  message = message.take_front(message.find("\n\n==> Context"));
  return ("node '" + match[1] + "' (" + match[2] + "): ").str();
}

std::string frontend::cleanMessage(StringRef message) {
  std::string node = takeInferenceNode(message);
  if (node.empty())
    node = takeCheckerNode(message);
  // Tags in front: "[ShapeInferenceError] ", "Inference error(s): ".
  while (true) {
    message = message.ltrim();
    if (message.consume_front("Inference error(s): "))
      continue;
    if (!message.starts_with("[") || !message.contains("] "))
      break;
    message = message.split("] ").second;
  }
  // Words of the library's own source: "ir.h:12: assert: Assertion `x` failed:
  // ".
  if (size_t at = message.find("` failed: "); at != StringRef::npos)
    message = message.drop_front(at + strlen("` failed: "));
  // Only the first of several complaints; a line that ends with ':' goes on.
  size_t end = message.find('\n');
  while (end != StringRef::npos &&
         message.take_front(end).rtrim().ends_with(":"))
    end = message.find('\n', end + 1);
  // And only the first sentence.
  end = std::min(end, message.find(". "));
  std::string text = message.take_front(end).rtrim(" .\n").str();
  // "Axis must" but not "ONNX".
  if (text.size() > 1 && isUpper(text[0]) && !isUpper(text[1]))
    text[0] = toLower(text[0]);
  return node + text;
}

static void emit(const Report &report, mlir::DiagnosticSeverity severity,
                 const Twine &message) {
  auto unknown = mlir::UnknownLoc::get(&report.context);
  mlir::InFlightDiagnostic diag = severity == mlir::DiagnosticSeverity::Error
                                      ? mlir::emitError(unknown)
                                      : mlir::emitWarning(unknown);
  // Names may hold anything; a message is one line.
  std::string line = message.str();
  for (char &c : line)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f')
      c = ' ';
  diag << report.file << ": " << line;
}

LogicalResult Report::error(const Twine &message) const {
  emit(*this, mlir::DiagnosticSeverity::Error, message);
  return failure();
}

LogicalResult Report::error(const pb::NodeProto &node,
                            const Twine &message) const {
  return error(describe(node) + ": " + message);
}

void Report::warning(const Twine &message) const {
  emit(*this, mlir::DiagnosticSeverity::Warning, message);
}
