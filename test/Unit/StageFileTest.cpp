// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Stage dumps: small data stays in the text, large data lies once in the side
// file and comes back from there, and a missing or damaged side file is an
// error.
#include "sparse-opt/Pipelines/StageFile.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace sparse_opt;

namespace {
constexpr const char *moduleText = R"mlir(
  %a = arith.constant dense_resource<odd> : tensor<33xi8>
  %b = arith.constant dense_resource<large> : tensor<16xf32>
  %c = arith.constant dense_resource<small> : tensor<2xi8>
)mlir";

class StageFileTest : public testing::Test {
protected:
  StageFileTest() : context(MLIRContext::Threading::DISABLED) {
    context.loadDialect<arith::ArithDialect>();
    context.getDiagEngine().registerHandler(
        [this](Diagnostic &diagnostic) { message = diagnostic.str(); });
    EXPECT_FALSE(llvm::sys::fs::createUniqueDirectory("stage-file", folder));
  }
  ~StageFileTest() override { llvm::sys::fs::remove_directories(folder); }

  std::string in(StringRef name) {
    SmallString<64> path(folder);
    llvm::sys::path::append(path, name);
    return path.str().str();
  }

  /// The module with data: 0, 1, 2, ... in each resource.
  OwningOpRef<ModuleOp> makeModule() {
    auto module = parseSourceString<ModuleOp>(moduleText, &context);
    module->walk([](arith::ConstantOp op) {
      auto attr = cast<DenseResourceElementsAttr>(op.getValue());
      size_t size = attr.getNumElements() *
                    attr.getElementType().getIntOrFloatBitWidth() / 8;
      AsmResourceBlob blob = HeapAsmResourceBlob::allocate(size, 16);
      for (size_t i = 0; i < size; ++i)
        blob.getMutableData()[i] = char(i);
      attr.getRawHandle().getResource()->setBlob(std::move(blob));
    });
    return module;
  }

  MLIRContext context;
  SmallString<64> folder;
  std::string message;
};
} // namespace

TEST_F(StageFileTest, dataComesBack) {
  {
    OwningOpRef<ModuleOp> module = makeModule();
    StageDumper dumper(folder.str().str());
    EXPECT_TRUE(dumper.empty());
    ASSERT_FALSE(bool(dumper.add(*module, "1.mlir")));
    ASSERT_FALSE(bool(dumper.add(*module, "2.mlir")));
    EXPECT_FALSE(dumper.empty());
    ASSERT_FALSE(bool(dumper.finish()));
  }
  uint64_t size;
  ASSERT_FALSE(llvm::sys::fs::file_size(in("weights.safetensors"), size));
  EXPECT_LT(size, 1024u) << "each resource once";

  MLIRContext fresh(MLIRContext::Threading::DISABLED);
  fresh.loadDialect<arith::ArithDialect>();
  OwningOpRef<ModuleOp> module = loadStageFile(in("2.mlir"), fresh);
  ASSERT_TRUE(module && succeeded(attachWeights(*module, in("2.mlir"))));
  int seen = 0;
  module->walk([&](arith::ConstantOp op) {
    auto attr = cast<DenseResourceElementsAttr>(op.getValue());
    ArrayRef<char> data = attr.getRawHandle().getBlob()->getData();
    size_t width = attr.getElementType().getIntOrFloatBitWidth() / 8;
    ASSERT_EQ(data.size(), attr.getNumElements() * width);
    for (size_t i = 0; i < data.size(); ++i)
      EXPECT_EQ(data[i], char(i));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data.data()) % width, 0u);
    ++seen;
  });
  EXPECT_EQ(seen, 3);
}

TEST_F(StageFileTest, missingOrDamagedSideFileIsAnError) {
  OwningOpRef<ModuleOp> module = makeModule();
  StageDumper dumper(folder.str().str());
  ASSERT_FALSE(bool(dumper.add(*module, "1.mlir")));
  for (StringRef damaged : {"", "short", "not a length, not a table"}) {
    if (!damaged.empty())
      ASSERT_FALSE(bool(writeFileAtomically(in("weights.safetensors"),
                                            [&](llvm::raw_ostream &os) {
                                              os << damaged;
                                              return llvm::Error::success();
                                            })));
    MLIRContext fresh(MLIRContext::Threading::DISABLED);
    fresh.loadDialect<arith::ArithDialect>();
    fresh.getDiagEngine().registerHandler(
        [this](Diagnostic &diagnostic) { message = diagnostic.str(); });
    message.clear();
    OwningOpRef<ModuleOp> loaded = loadStageFile(in("1.mlir"), fresh);
    ASSERT_TRUE(loaded);
    EXPECT_TRUE(failed(attachWeights(*loaded, in("1.mlir"))));
    EXPECT_NE(message.find("weights 'odd' are neither in the file nor in"),
              std::string::npos)
        << message;
  }
}

TEST_F(StageFileTest, nothingIsLeftWhenWritingFails) {
  llvm::Error error =
      writeFileAtomically(in("x"), [](llvm::raw_ostream &os) -> llvm::Error {
        os << "half";
        return llvm::createStringError("no");
      });
  EXPECT_EQ(toString(std::move(error)), "no");
  std::error_code code;
  EXPECT_EQ(llvm::sys::fs::directory_iterator(folder, code),
            llvm::sys::fs::directory_iterator());
}
