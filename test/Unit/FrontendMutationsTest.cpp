// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Seeded damage to model files: the importer gives a module or one error of
// one line, and never crashes. Runs under AddressSanitizer and UBSan too.
#include "OnnxWire.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "sparse-opt/Frontend/Import.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"
#include <random>

using namespace mlir;
using namespace sparse_opt;

namespace {
class Mutator {
public:
  explicit Mutator(unsigned seed) : random(seed) {}

  std::string mutate(std::string bytes) {
    for (size_t edits = 1 + below(3); edits && !bytes.empty(); --edits)
      edit(bytes);
    return bytes;
  }

private:
  size_t below(size_t bound) { return random() % bound; }

  void edit(std::string &bytes) {
    size_t at = below(bytes.size());
    size_t count = 1 + below(std::min<size_t>(bytes.size() - at, 64));
    switch (below(8)) {
    case 0:
      bytes[at] ^= 1 << below(8);
      break;
    case 1:
      bytes[at] = static_cast<char>(random());
      break;
    case 2: // a length, size or index much too large
      bytes.replace(at, count, std::string(9, '\xff') + '\x01');
      break;
    case 3:
      bytes.erase(at, count);
      break;
    case 4: // splice: twice here, or over there
      bytes.insert(at, bytes.substr(at, count));
      break;
    case 5: {
      std::string part = bytes.substr(below(bytes.size()), count);
      bytes.replace(at, part.size(), part);
      break;
    }
    case 6:
      bytes.resize(at);
      break;
    default:
      bytes.insert(at, count, static_cast<char>(random()));
    }
  }

  std::mt19937 random;
};

/// True when it imports.
bool importsOrFailsCleanly(const std::string &bytes, bool text,
                           llvm::StringRef folder, unsigned seed) {
  MLIRContext context(MLIRContext::Threading::DISABLED);
  unsigned errors = 0;
  context.getDiagEngine().registerHandler([&](Diagnostic &diagnostic) {
    errors += diagnostic.getSeverity() == DiagnosticSeverity::Error;
    std::string message = diagnostic.str();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_EQ(message.find("m.onnx: "), 0u) << message;
  });
  auto module = importOnnxBuffer(bytes, text, "m.onnx", folder, context, {});
  EXPECT_EQ(errors, module ? 0u : 1u) << "seed " << seed;
  return bool(module);
}

/// Some of the damage must go deep: neither all nor nothing imports.
void runMutations(const std::string &bytes, bool text, llvm::StringRef folder,
                  unsigned count) {
  ASSERT_TRUE(importsOrFailsCleanly(bytes, text, folder, 0));
  unsigned imported = 0;
  for (unsigned seed = 1; seed <= count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    imported +=
        importsOrFailsCleanly(Mutator(seed).mutate(bytes), text, folder, seed);
  }
  EXPECT_GT(imported, 0u);
  EXPECT_LT(imported, count);
}
} // namespace

TEST(FrontendMutationsTest, smallBinaryModel) {
  runMutations(wire::sample(), /*text=*/false, "", 400);
}

TEST(FrontendMutationsTest, graphOfRealModelInText) {
  // Its weights are 90 MB of external data: a file of zeros without blocks.
  llvm::SmallString<128> folder, data;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("mutations", folder));
  data = folder;
  llvm::sys::path::append(data, "all-MiniLM-L6-v2.data");
  int fd;
  ASSERT_FALSE(llvm::sys::fs::openFileForWrite(data, fd));
  ASSERT_FALSE(llvm::sys::fs::resize_file(fd, 100 << 20));
  auto text = llvm::MemoryBuffer::getFile(SPARSE_OPT_MODEL_TEXT);
  ASSERT_TRUE(text);
  runMutations((*text)->getBuffer().str(), /*text=*/true, folder, 200);
  llvm::sys::fs::file_t file = llvm::sys::fs::convertFDToNativeFile(fd);
  ASSERT_FALSE(llvm::sys::fs::closeFile(file));
  llvm::sys::fs::remove_directories(folder);
}
