// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the subcommands share: how flags are read, how errors are printed, what
// the exit status means. Each subcommand is one file with its own flags.
#ifndef SPARSE_OPT_TOOLS_CLI_H
#define SPARSE_OPT_TOOLS_CLI_H
#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include <optional>
#include <string>
#include <vector>

namespace sparse_opt {
struct CalibrationProfile;
} // namespace sparse_opt

namespace sparse_opt::tool {

enum ExitStatus { Done = 0, BadInput = 1, OurBug = 2, Differs = 3 };

/// "sparse-opt: error: <sentence>" on stderr; answers BadInput.
int fail(const llvm::Twine &sentence);
int fail(llvm::Error error);

/// What a DiagnosticPrinter has said already; `fail` adds nothing to it.
class Reported : public llvm::ErrorInfo<Reported> {
public:
  static char ID;
  void log(llvm::raw_ostream &os) const override { os << "see above"; }
  std::error_code convertToErrorCode() const override {
    return llvm::inconvertibleErrorCode();
  }
};

/// What LLVM's parsers of options print to stderr while `work` runs, as the end
/// of a sentence; or "".
std::string captureErrors(llvm::function_ref<void()> work);

/// Reads `argv[1..]` into the options of `command` (argv[1] is its name).
/// Nothing when all is well, else the status to exit with: a wrong flag is one
/// sentence, --help prints the options of `command` alone.
std::optional<int> parseFlags(int argc, char **argv,
                              llvm::cl::SubCommand &command,
                              llvm::StringRef overview,
                              llvm::StringRef epilogue = "");

/// Prints diagnostics as `sparse-opt: error: model.onnx: node '/Add': ...`.
class DiagnosticPrinter : public mlir::ScopedDiagnosticHandler {
public:
  DiagnosticPrinter(mlir::MLIRContext *context, std::string input);
};

/// A line on stderr that each step overwrites; silent unless a terminal.
class Progress {
public:
  Progress();
  ~Progress() { clear(); }
  void step(llvm::StringRef what);
  void clear();

private:
  bool terminal;
};

/// "1,2" as numbers; nothing when it is anything else.
std::optional<std::vector<unsigned>> parseNumbers(llvm::StringRef list);

/// Writes it beside `path` and renames.
llvm::Error writeJson(llvm::StringRef path, llvm::json::Object object);

int compileMain(int argc, char **argv);
int runMain(int argc, char **argv);
int inspectMain(int argc, char **argv);
int verifyMain(int argc, char **argv);
int benchMain(int argc, char **argv);
int calibrateMain(int argc, char **argv);
int mergeMain(int argc, char **argv);

/// `inspect` of a calibration profile.
int inspectProfile(llvm::StringRef path, bool asJson);
/// Writes one, and says how large it is: "94.2 MB".
llvm::Expected<std::string> saveProfile(const CalibrationProfile &profile,
                                        llvm::StringRef path);

} // namespace sparse_opt::tool
#endif
