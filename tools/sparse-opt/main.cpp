// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The first argument decides: a subcommand (one file each), or the usual MLIR
// pass driver for IR and pass flags.
#include "Cli.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "sparse-opt/Pipelines/Registration.h"
#include "sparse-opt/Runtime/Runtime.h"
#include "sparse-opt/Target/Manifest.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Signals.h"
#include "llvm/Support/raw_ostream.h"
#include <unistd.h>

using namespace sparse_opt;
using namespace sparse_opt::tool;

namespace {
struct Command {
  llvm::StringLiteral name;
  int (*main)(int argc, char **argv);
  llvm::StringLiteral summary;
};
constexpr Command commands[] = {
    {"compile", compileMain, "model.onnx -o model.so: ONNX in, binary out"},
    {"run", runMain, "model.so --inputs=in.npz -o out.npz"},
    {"calibrate", calibrateMain,
     "model.onnx --inputs=calib.npz -o model.profile"},
    {"merge", mergeMain, "a.profile b.profile -o all.profile"},
    {"inspect", inspectMain,
     "model.onnx, model.so, model.profile: what is in it"},
    {"verify", verifyMain, "model.so --reference=model.onnx: compare answers"},
    {"bench", benchMain, "model.so [--against=onnxruntime]: measure"},
};
} // namespace

static int printHelp() {
  llvm::outs() << "sparse-opt: compiles trained transformers (ONNX) to native "
                  "code\n\nusage:\n";
  for (const Command &command : commands)
    llvm::outs() << "  sparse-opt " << command.name
                 << std::string(10 - command.name.size(), ' ')
                 << command.summary << '\n';
  llvm::outs()
      << "  sparse-opt file.mlir --pass ...   the MLIR pass driver ('-' reads "
         "stdin)\n"
         "  sparse-opt --version\n\n"
         "'sparse-opt COMMAND --help' lists a command's flags, 'sparse-opt - "
         "--help' the\npasses. Exit status: 0 done, 1 the input or a flag is "
         "wrong, 2 our bug, 3 a\ncomparison failed.\n";
  return Done;
}

static int printVersion() {
  llvm::outs() << "sparse-opt " << sparseOptVersion() << "\nLLVM "
               << LLVM_VERSION_STRING << "\nmodel ABI "
               << SPARSE_OPT_API_VERSION << '\n';
  return Done;
}

/// IR, or flags of the pass driver; anything else is a mistyped subcommand.
static bool isForPassDriver(llvm::StringRef argument) {
  return argument.starts_with("-") || argument.ends_with(".mlir") ||
         argument.ends_with(".mlirbc") || llvm::sys::fs::exists(argument);
}

static int passDriverMain(int argc, char **argv) {
  mlir::DialectRegistry registry;
  registerEverything(registry);
  return mlir::failed(mlir::MlirOptMain(argc, argv, "sparse-opt pass driver\n",
                                        registry))
             ? BadInput
             : Done;
}

/// A crash is our bug, and the exit status says so.
static void exitAfterCrash(void *) { _exit(OurBug); }

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  llvm::sys::AddSignalHandler(exitAfterCrash, nullptr);
  llvm::StringRef first = argc > 1 ? argv[1] : "";
  if (first == "--help" || first == "-h" ||
      (argc == 1 && llvm::sys::Process::StandardInIsUserInput()))
    return printHelp();
  if (first == "--version")
    return printVersion();
  for (const Command &command : commands)
    if (first == command.name)
      return command.main(argc, argv);
  if (argc > 1 && !isForPassDriver(first))
    return fail("'" + first +
                "' is neither a command nor a file ('sparse-opt --help' lists "
                "the commands)");
  return passDriverMain(argc, argv);
}
