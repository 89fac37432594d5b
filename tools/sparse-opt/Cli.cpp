// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Flags, errors and progress of the subcommands. LLVM's CommandLine parses;
// its help and messages are rewritten here, because they list the options of
// every library linked and run over several lines.
#include "Cli.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "sparse-opt/Pipelines/StageFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/raw_ostream.h"
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

using namespace llvm;
using namespace sparse_opt::tool;

int sparse_opt::tool::fail(const Twine &sentence) {
  errs() << "sparse-opt: error: " << sentence << '\n';
  return BadInput;
}

char Reported::ID;

int sparse_opt::tool::fail(Error error) {
  if (error.isA<Reported>()) {
    consumeError(std::move(error));
    return BadInput;
  }
  return fail(toString(std::move(error)));
}

/// Options of `command` in the order of its struct of flags, but hidden ones.
static std::vector<cl::Option *> declaredOptions(cl::SubCommand &command) {
  std::vector<cl::Option *> options;
  for (auto &[name, option] : command.OptionsMap)
    if (!cl::SubCommand::getAll().OptionsMap.contains(name) &&
        option->getOptionHiddenFlag() == cl::NotHidden)
      options.push_back(option);
  llvm::sort(options);
  return options;
}

static std::string spelling(const cl::Option &option) {
  std::string text = (option.ArgStr.size() == 1 ? "-" : "--");
  text += option.ArgStr;
  if (!option.ValueStr.empty())
    text += ((option.ArgStr.size() == 1 ? " " : "=") + option.ValueStr).str();
  return text;
}

static void printHelp(cl::SubCommand &command, StringRef overview,
                      StringRef epilogue) {
  outs() << overview << "\n\n";
  for (cl::Option *option : declaredOptions(command)) {
    std::string left = "  " + spelling(*option);
    outs() << left;
    if (left.size() > 25)
      outs() << '\n' << std::string(27, ' ');
    else
      outs() << std::string(27 - left.size(), ' ');
    outs() << option->HelpStr << '\n';
  }
  if (!epilogue.empty())
    outs() << '\n' << epilogue;
}

/// "sparse-opt: Unknown command line argument '--x'.  Try: ..." and the lines
/// after it become one sentence.
static std::string rewriteMessage(StringRef message, StringRef command) {
  SmallVector<StringRef> lines;
  message.trim().split(lines, '\n');
  auto strip = [](StringRef line) {
    line.consume_front("sparse-opt: ");
    return line.trim();
  };
  StringRef first = strip(lines[0]);
  std::string hint;
  if (lines.size() > 1) {
    StringRef second = strip(lines[1]);
    if (second.consume_front("Did you mean '"))
      hint = ("; did you mean " + second.take_until([](char c) {
               return c == '\'';
             })).str();
  }
  if (first.consume_front("Unknown command line argument "))
    return ("unknown flag " + first.take_front(first.find("'.") + 1) + hint +
            " ('sparse-opt " + command + " --help' lists them)")
        .str();
  if (first.starts_with("Not enough positional"))
    return ("which file? ('sparse-opt " + command + " --help')").str();
  if (first.starts_with("Too many positional"))
    return ("'sparse-opt " + command + "' takes one file").str();
  std::string text = first.rtrim("!").str();
  if (StringRef(text).starts_with("for the "))
    text.erase(0, strlen("for the "));
  return text;
}

namespace {
/// Takes what LLVM's parser prints: a part of it ignores the stream given.
class CapturedErrors {
public:
  CapturedErrors() : saved(dup(2)), file(memfd_create("errors", 0)) {
    dup2(file, 2);
  }
  ~CapturedErrors() {
    dup2(saved, 2);
    close(saved);
    close(file);
  }
  std::string take() {
    std::string text(lseek(file, 0, SEEK_CUR), '\0');
    ssize_t got = pread(file, text.data(), text.size(), 0);
    text.resize(got > 0 ? got : 0);
    dup2(saved, 2);
    return text;
  }

private:
  int saved, file;
};
} // namespace

std::string sparse_opt::tool::captureErrors(function_ref<void()> work) {
  CapturedErrors captured;
  work();
  return rewriteMessage(captured.take(), "");
}

std::optional<int> sparse_opt::tool::parseFlags(int argc, char **argv,
                                                cl::SubCommand &command,
                                                StringRef overview,
                                                StringRef epilogue) {
  for (int i = 2; i < argc && StringRef(argv[i]) != "--"; ++i)
    if (StringRef arg = argv[i]; arg == "--help" || arg == "-h") {
      printHelp(command, overview, epilogue);
      return Done;
    }
  std::vector<const char *> arguments(argv, argv + argc);
  arguments[0] = "sparse-opt"; // messages begin with it
  CapturedErrors captured;
  if (cl::ParseCommandLineOptions(argc, arguments.data(), "", &errs()))
    return std::nullopt;
  return fail(rewriteMessage(captured.take(), command.getName()));
}

/// "node '/encoder/Add': " or "file:3:4: " or "".
static std::string locationText(mlir::Location location) {
  if (auto name = dyn_cast<mlir::NameLoc>(location))
    return ("node '" + name.getName().getValue() + "': ").str();
  if (auto fused = dyn_cast<mlir::FusedLoc>(location)) {
    for (mlir::Location part : fused.getLocations())
      if (std::string text = locationText(part); !text.empty())
        return text;
    return "";
  }
  if (auto call = dyn_cast<mlir::CallSiteLoc>(location))
    return locationText(call.getCallee());
  if (auto file = dyn_cast<mlir::FileLineColLoc>(location))
    return ("line " + Twine(file.getLine()) + ": ").str();
  return "";
}

DiagnosticPrinter::DiagnosticPrinter(mlir::MLIRContext *context,
                                     std::string input)
    : ScopedDiagnosticHandler(context) {
  context->printOpOnDiagnostic(false);
  setHandler([input](mlir::Diagnostic &diagnostic) {
    StringRef kind = "note";
    if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error)
      kind = "error";
    else if (diagnostic.getSeverity() == mlir::DiagnosticSeverity::Warning)
      kind = "warning";
    std::string text = diagnostic.str();
    std::string prefix = "sparse-opt: " + kind.str() + ": ";
    if (!StringRef(text).starts_with(input))
      prefix += input + ": " + locationText(diagnostic.getLocation());
    // What is compiled again to be measured has no more to say.
    static std::mutex mutex;
    static StringSet<> said;
    std::lock_guard<std::mutex> lock(mutex);
    if (!said.insert(prefix + text).second)
      return;
    errs() << prefix << text << '\n';
    for (mlir::Diagnostic &note : diagnostic.getNotes())
      errs() << "sparse-opt: note: " << locationText(note.getLocation())
             << note.str() << '\n';
  });
}

Progress::Progress() : terminal(sys::Process::StandardErrIsDisplayed()) {}

void Progress::step(StringRef what) {
  if (terminal)
    errs() << "\r\x1b[K" << what << "...";
}

void Progress::clear() {
  if (terminal)
    errs() << "\r\x1b[K";
}

std::optional<std::vector<unsigned>>
sparse_opt::tool::parseNumbers(StringRef list) {
  std::vector<unsigned> numbers;
  SmallVector<StringRef> parts;
  list.split(parts, ',');
  for (StringRef part : parts)
    if (unsigned value; part.getAsInteger(10, value) || value == 0)
      return std::nullopt;
    else
      numbers.push_back(value);
  return numbers;
}

Error sparse_opt::tool::writeJson(StringRef path, json::Object object) {
  return writeFileAtomically(path, [&](raw_ostream &os) {
    os << formatv("{0:2}\n", json::Value(std::move(object)));
    return Error::success();
  });
}
