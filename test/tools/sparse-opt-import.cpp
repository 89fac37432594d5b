// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Imports ONNX files and prints the `onnx` stage, for tests of the importer
// alone: no passes, no code generation.
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "sparse-opt/Frontend/Import.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

static cl::opt<std::string> input(cl::Positional, cl::Required,
                                  cl::desc("model.onnx"));
static cl::list<std::string>
    allowExternal("allow-external",
                  cl::desc("further folder of external data"));
static cl::opt<int64_t>
    opset("opset", cl::desc("canonical opset"),
          cl::init(sparse_opt::ImportOptions().canonicalOpset));
static cl::opt<bool> locations("locations", cl::desc("print locations"));
static cl::opt<bool> resources("resources", cl::desc("print weights too"));
static cl::opt<bool> quiet("quiet", cl::desc("print nothing"));

int main(int argc, char **argv) {
  InitLLVM init(argc, argv);
  cl::ParseCommandLineOptions(argc, argv, "sparse-opt importer\n");
  mlir::MLIRContext context;
  llvm::SourceMgr sources;
  mlir::SourceMgrDiagnosticHandler printer(sources, &context);
  sparse_opt::ImportOptions options;
  options.allowExternal = allowExternal;
  options.canonicalOpset = opset;
  auto module = sparse_opt::importOnnxFile(input, context, options);
  if (!module)
    return 1;
  mlir::OpPrintingFlags flags;
  if (!resources)
    flags.elideLargeResourceString(64);
  if (locations)
    flags.enableDebugInfo(true).useLocalScope();
  if (!quiet)
    module->print(outs(), flags);
  return 0;
}
