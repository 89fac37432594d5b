// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// ONNX's own test models, one or more for each operator and version: all of
// them import.
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "sparse-opt/Frontend/Import.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace sparse_opt;

TEST(NodeCasesTest, allImport) {
  std::error_code error;
  unsigned imported = 0;
  llvm::sys::fs::recursive_directory_iterator it(SPARSE_OPT_NODE_CASES, error);
  if (error)
    GTEST_SKIP() << SPARSE_OPT_NODE_CASES << ": " << error.message();
  for (; it != llvm::sys::fs::recursive_directory_iterator() && !error;
       it.increment(error)) {
    if (llvm::sys::path::filename(it->path()) != "model.onnx")
      continue;
    MLIRContext context(MLIRContext::Threading::DISABLED);
    std::string messages;
    context.getDiagEngine().registerHandler(
        [&](Diagnostic &diagnostic) { messages += diagnostic.str(); });
    auto module = importOnnxFile(it->path(), context, {});
    EXPECT_TRUE(module) << messages;
    EXPECT_EQ(messages, "");
    imported += bool(module);
  }
  EXPECT_GT(imported, 1000u);
}
