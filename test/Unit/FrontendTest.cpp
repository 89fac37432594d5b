// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The importer through its interface: files that are no models, tensors that
// do not hold what they say, and what must not depend on the container.
#include "OnnxWire.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "sparse-opt/Frontend/Import.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace sparse_opt;

namespace {
struct Importer {
  Importer() {
    context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
      messages.push_back(diagnostic.str());
    });
  }
  OwningOpRef<ModuleOp> bytes(llvm::StringRef data, bool text = false) {
    return importOnnxBuffer(data, text, "m.onnx", "", context, {});
  }
  OwningOpRef<ModuleOp> file(llvm::StringRef path) {
    return importOnnxFile(path, context, {});
  }
  MLIRContext context;
  std::vector<std::string> messages;
};

/// One message, whatever else happens.
std::string errorOf(llvm::StringRef data, bool text = false) {
  Importer importer;
  EXPECT_FALSE(importer.bytes(data, text));
  EXPECT_EQ(importer.messages.size(), 1u);
  return importer.messages.empty() ? "" : importer.messages[0];
}

/// A model whose only initialiser is `tensor`, of this type.
std::string modelWith(const std::string &tensor, int type = 1) {
  return wire::model(wire::graph(
      {wire::node("Identity", {"w"}, {"y"})},
      wire::initializer(tensor) + wire::output(wire::value("y", type, {2}))));
}

std::string hashOf(const std::string &data) {
  Importer importer;
  auto module = importer.bytes(data);
  EXPECT_TRUE(module) << importer.messages[0];
  return module ? (*module)->getAttrOfType<StringAttr>("onnx.model_hash").str()
                : "";
}
} // namespace

TEST(FrontendTest, importsTheSample) {
  Importer importer;
  auto module = importer.bytes(wire::sample());
  ASSERT_TRUE(module) << importer.messages[0];
  EXPECT_TRUE(importer.messages.empty());
  EXPECT_EQ((*module)->getAttrOfType<IntegerAttr>("onnx.opset").getInt(), 21);
  std::string text;
  llvm::raw_string_ostream(text) << *module;
  // The function is gone, the branch is not.
  EXPECT_EQ(text.find("\"scale\""), std::string::npos);
  EXPECT_NE(text.find("onnx.yield"), std::string::npos);
}

TEST(FrontendTest, filesThatAreNoModels) {
  EXPECT_EQ(errorOf(""), "m.onnx: is empty");
  EXPECT_EQ(errorOf("", true), "m.onnx: is empty");
  EXPECT_EQ(errorOf("not a model"), "m.onnx: is truncated or no ONNX file");
  EXPECT_EQ(errorOf(wire::num(1, 8)),
            "m.onnx: is no ONNX model: it has no graph or no IR version");
  std::string sample = wire::sample();
  EXPECT_EQ(errorOf(sample.substr(0, sample.size() / 2)),
            "m.onnx: is truncated or no ONNX file");
}

TEST(FrontendTest, pathsThatAreNoFiles) {
  Importer importer;
  EXPECT_FALSE(importer.file("/nowhere/m.onnx"));
  EXPECT_FALSE(importer.file("/tmp"));
  EXPECT_FALSE(importer.file("/dev/null"));
  ASSERT_EQ(importer.messages.size(), 3u);
  EXPECT_EQ(importer.messages[0],
            "/nowhere/m.onnx: cannot be read: No such file or directory");
  EXPECT_EQ(importer.messages[1], "/tmp: is not a regular file");
  EXPECT_EQ(importer.messages[2], "/dev/null: is not a regular file");
}

TEST(FrontendTest, textErrorsHaveTheirPlace) {
  EXPECT_EQ(errorOf("<ir_version: 8,\n  opset_import [", true),
            "m.onnx: line 2, column 16: expected character : not found");
  EXPECT_EQ(errorOf(std::string(5000, '['), true),
            "m.onnx: nests brackets deeper than 100");
}

TEST(FrontendTest, versionsThatAreTooNew) {
  std::string graph = wire::graph({wire::node("Relu", {"x"}, {"y"})},
                                  wire::input(wire::value("x", 1, {2})) +
                                      wire::output(wire::value("y", 1, {2})));
  std::string ir = errorOf(wire::model(graph, 13, 99));
  EXPECT_EQ(ir.find("m.onnx: has IR version 99, newer than "), 0u) << ir;
  std::string opset = errorOf(wire::model(graph, 99));
  EXPECT_EQ(opset.find("m.onnx: uses opset 99, newer than "), 0u) << opset;
}

TEST(FrontendTest, tensorsThatDoNotHoldWhatTheySay) {
  EXPECT_EQ(errorOf(modelWith(wire::tensor("w", 1, {2}, "1234"))),
            "m.onnx: initialiser 'w' holds 4 bytes where f32[2] needs 8");
  EXPECT_EQ(errorOf(modelWith(wire::tensor("w", 77, {2}, "1234"))),
            "m.onnx: initialiser 'w' has unknown element type 77");
  EXPECT_EQ(errorOf(modelWith(wire::tensor("w", 1, {-2}, "1234"))),
            "m.onnx: initialiser 'w' has a negative or too large dimension");
  int64_t large = int64_t(1) << 40;
  EXPECT_EQ(errorOf(modelWith(wire::tensor("w", 1, {large, large}, "1234"))),
            "m.onnx: initialiser 'w' has a negative or too large dimension");
}

TEST(FrontendTest, functionsThatExpandWithoutEnd) {
  // f0 calls f1 twice, f1 calls f2 twice, ...
  std::string functions;
  for (int i = 0; i < 64; ++i) {
    std::string callee = i == 63 ? "Neg" : "f" + std::to_string(i + 1);
    std::string domain = i == 63 ? "" : "my";
    functions += wire::str(
        25, wire::str(1, "f" + std::to_string(i)) + wire::str(4, "a") +
                wire::str(5, "c") +
                wire::str(7, wire::node(callee, {"a"}, {"b"}, "", domain)) +
                wire::str(7, wire::node(callee, {"b"}, {"c"}, "", domain)) +
                wire::str(9, wire::opset("", 13)) +
                wire::str(9, wire::opset("my", 1)) + wire::str(10, "my"));
  }
  std::string graph = wire::graph({wire::node("f0", {"x"}, {"y"}, "", "my")},
                                  wire::input(wire::value("x", 1, {2})) +
                                      wire::output(wire::value("y", 1, {2})));
  EXPECT_EQ(errorOf(wire::model(graph) + functions),
            "m.onnx: has more than 1048576 nodes with its functions expanded");
}

TEST(FrontendTest, hashIsOfWeightsNotOfTheirContainer) {
  std::string one = wire::tensor("w", 1, {2}, "12345678");
  // The same floats in float_data, which is field 4.
  std::string typed = wire::num(1, 2) + wire::num(2, 1) + wire::str(8, "w") +
                      wire::str(4, "12345678");
  EXPECT_EQ(hashOf(modelWith(one)), hashOf(modelWith(typed)));
  EXPECT_EQ(hashOf(modelWith(one)).size(), 32u);
  EXPECT_NE(hashOf(modelWith(one)),
            hashOf(modelWith(wire::tensor("w", 1, {2}, "12345679"))));
  EXPECT_NE(hashOf(modelWith(one)),
            hashOf(modelWith(wire::tensor("w", 6, {2}, "12345678"), 6)));
}

//===----------------------------------------------------------------------===//
// Weights that stay in the model's file
//===----------------------------------------------------------------------===//

namespace {
/// A file of these bytes, which is gone at the end.
class File {
public:
  explicit File(llvm::StringRef bytes) {
    int fd;
    EXPECT_FALSE(
        llvm::sys::fs::createTemporaryFile("frontend", "onnx", fd, path));
    llvm::raw_fd_ostream(fd, /*shouldClose=*/true) << bytes;
  }
  ~File() { llvm::sys::fs::remove(path); }
  llvm::SmallString<64> path;
};

/// What a file says, without its name.
std::string importFile(llvm::StringRef bytes) {
  File file(bytes);
  Importer importer;
  auto module = importer.file(file.path);
  std::string text;
  if (module)
    llvm::raw_string_ostream(text) << *module;
  for (llvm::StringRef message : importer.messages)
    text += message.split(": ").second;
  return text;
}

std::string importBytes(llvm::StringRef bytes) {
  Importer importer;
  auto module = importer.bytes(bytes);
  std::string text;
  if (module)
    llvm::raw_string_ostream(text) << *module;
  for (llvm::StringRef message : importer.messages)
    text += message.split(": ").second;
  return text;
}

/// Its data begins at another remainder of 4 for each length of the name.
std::string largeModel(const std::string &name, int64_t rows,
                       const std::string &raw) {
  return wire::model(
      wire::graph({wire::node("Transpose", {name}, {"y"})},
                  wire::initializer(wire::tensor(name, 1, {rows, 3}, raw)) +
                      wire::output(wire::value("y", 1, {3, rows}))));
}

std::string floats(size_t count) {
  std::string raw;
  for (size_t i = 0; i < count; ++i) {
    float value = 0.5f + i;
    raw.append(reinterpret_cast<const char *>(&value), sizeof(value));
  }
  return raw;
}
} // namespace

TEST(FrontendTest, inlineWeightsWhereverTheyLie) {
  // The larger one is mapped, the other read.
  for (int64_t rows : {100, 20000})
    for (std::string name : {"w", "ww", "www", "wwww"}) {
      std::string model = largeModel(name, rows, floats(3 * rows));
      EXPECT_EQ(importFile(model), importBytes(model));
    }
}

TEST(FrontendTest, inlineWeightsThatAreDamaged) {
  std::string raw = floats(300);
  for (size_t size : {size_t(0), raw.size() - 4, raw.size() - 1}) {
    std::string model = largeModel("w", 100, raw.substr(0, size));
    EXPECT_EQ(importFile(model), importBytes(model));
    EXPECT_NE(importFile(model).find("holds"), std::string::npos);
  }
  std::string model = largeModel("w", 100, raw);
  for (size_t size = 0; size < model.size(); size += 7)
    EXPECT_EQ(importFile(model.substr(0, size)),
              importBytes(model.substr(0, size)));
}
