// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Bytes to protobuf, either form. What the parsers accept may still be
// nonsense; Names.cpp and Normalize.cpp find that out.
#include "ModelFile.h"
#include "InlineWeights.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl.h"
#include "onnx/defs/parser.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Regex.h"
#include <climits>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::frontend;
namespace io = google::protobuf::io;

/// Brackets may nest this deep in the textual form: its parser recurses.
static constexpr unsigned kMaxNesting = 100;

static LogicalResult parseBinary(io::ZeroCopyInputStream &stream,
                                 pb::ModelProto &model, const Report &report) {
  // Damaged files are reported once, by us.
  auto *old = google::protobuf::SetLogHandler(nullptr);
  scope_exit restore([&] { google::protobuf::SetLogHandler(old); });
  io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(INT_MAX);
  if (!model.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage())
    return report.error("is truncated or no ONNX file");
  return success();
}

/// True when the textual parser would recurse deeper than we allow.
static bool nestsTooDeep(StringRef text) {
  unsigned depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        i += text[i] == '\\';
    } else if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '(' || c == '[' || c == '{' || c == '<') {
      if (++depth > kMaxNesting)
        return true;
    } else if ((c == ')' || c == ']' || c == '}' || c == '>') && depth) {
      --depth;
    }
  }
  return false;
}

/// "[ParseError at position (line: 1 column: 7)]\nError context: ...\nWHAT".
static LogicalResult reportParseError(StringRef message, const Report &report) {
  SmallVector<StringRef> match;
  Regex position("line: ([0-9]+) column: ([0-9]+)");
  if (!position.match(message, &match))
    return report.error(cleanMessage(message));
  std::string where = ("line " + match[1] + ", column " + match[2]).str();
  return report.error(where + ": " +
                      cleanMessage(message.trim().rsplit('\n').second));
}

/// Parses `text`; what is wrong with it, or "".
static std::string tryParseText(StringRef text, pb::ModelProto &model) {
  try {
    pb::OnnxParser parser({text.data(), text.size()});
    auto status = parser.Parse(model);
    if (!status.IsOK())
      return status.ErrorMessage();
    if (!parser.EndOfInput())
      return parser.GetCurrentPos() + "\nunexpected text after the model";
    return "";
  } catch (const std::exception &thrown) {
    return std::string("a literal is out of range: ") + thrown.what();
  }
}

static LogicalResult parseText(StringRef text, pb::ModelProto &model,
                               const Report &report) {
  if (nestsTooDeep(text))
    return report.error("nests brackets deeper than " + Twine(kMaxNesting));
  std::string wrong = tryParseText(text, model);
  return wrong.empty() ? success() : reportParseError(wrong, report);
}

LogicalResult frontend::parseBytes(StringRef bytes, bool text,
                                   pb::ModelProto &model,
                                   const Report &report) {
  if (bytes.empty())
    return report.error("is empty");
  if (text)
    return parseText(bytes, model, report);
  if (bytes.size() > INT_MAX)
    return report.error("is larger than 2 GiB; keep its weights in external "
                        "data");
  io::ArrayInputStream stream(bytes.data(), bytes.size());
  return parseBinary(stream, model, report);
}

LogicalResult frontend::parseFile(StringRef path, pb::ModelProto &model,
                                  std::shared_ptr<MemoryBuffer> &weights,
                                  const Report &report) {
  sys::fs::file_status status;
  if (std::error_code error = sys::fs::status(path, status))
    return report.error("cannot be read: " + error.message());
  if (status.type() != sys::fs::file_type::regular_file)
    return report.error("is not a regular file");
  if (path.ends_with(".onnxtxt")) {
    auto buffer = MemoryBuffer::getFile(path);
    if (!buffer)
      return report.error("cannot be read: " + buffer.getError().message());
    return parseBytes((*buffer)->getBuffer(), /*text=*/true, model, report);
  }
  if (status.getSize() == 0 || status.getSize() > INT_MAX)
    return parseBytes({"", size_t(status.getSize())}, false, model, report);
  auto file = MemoryBuffer::getFile(path, /*IsText=*/false,
                                    /*RequiresNullTerminator=*/false);
  if (!file)
    return report.error("cannot be read: " + file.getError().message());
  // Weights stay in the file: the parser would copy them.
  std::optional<std::string> rest = detachInlineWeights((*file)->getBuffer());
  if (!rest)
    return parseBytes((*file)->getBuffer(), /*text=*/false, model, report);
  weights = std::move(*file);
  return parseBytes(*rest, /*text=*/false, model, report);
}
