// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Writes the model of EmitFixture.h as an artefact, for the tests that use
// artefacts from outside: emit-fixture so|lib|obj|exe PATH ENTRY WEIGHT
#include "EmitFixture.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/raw_ostream.h"
#include <cstdlib>

int main(int argc, char **argv) {
  if (argc != 5)
    return 1;
  sparse_opt::EmitOptions options;
  options.kind = llvm::StringSwitch<sparse_opt::OutputKind>(argv[1])
                     .Case("lib", sparse_opt::OutputKind::StaticLibrary)
                     .Case("obj", sparse_opt::OutputKind::Object)
                     .Case("exe", sparse_opt::OutputKind::Executable)
                     .Default(sparse_opt::OutputKind::SharedLibrary);
  options.path = argv[2];
  options.entry = argv[3];
  std::string message =
      llvm::toString(fixture::emit(std::strtof(argv[4], nullptr), options));
  if (!message.empty())
    llvm::errs() << "error: " << message << "\n";
  return message.empty() ? 0 : 1;
}
