// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt run`: one run of a compiled model on a file of arrays.
#include "Cli.h"
#include "ModelFile.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static cl::SubCommand command("run", "run a compiled model on .npz files");

namespace {
struct Flags {
  cl::opt<std::string> model{cl::Positional, cl::Required, cl::sub(command)};
  cl::list<std::string> inputs{
      "inputs", cl::sub(command), cl::value_desc("in.npz"),
      cl::desc("the inputs, by name; of several runs if it repeats")};
  cl::opt<std::string> output{"o", cl::sub(command), cl::value_desc("out.npz"),
                              cl::desc("where the outputs go")};
  cl::opt<unsigned> threads{"threads", cl::sub(command), cl::value_desc("N"),
                            cl::desc("threads to use (default: one a CPU)")};
  cl::opt<bool> deflate{"deflate", cl::sub(command),
                        cl::desc("compress the outputs' file")};
  cl::opt<std::string> entry{"entry", cl::sub(command), cl::value_desc("NAME"),
                             cl::init("sparse_opt_model_v1"),
                             cl::desc("the model's entry function")};
} flags;
} // namespace

static Error runModel() {
  Expected<ModelFile> model = ModelFile::open(flags.model, flags.entry);
  if (!model)
    return model.takeError();
  if (flags.inputs.size() > 1 && model->getStates().empty())
    return makeError("--inputs is given " + Twine(flags.inputs.size()) +
                     " times, but the model keeps no caches between runs");
  Expected<Instance> instance = Instance::create(*model, flags.threads);
  if (!instance)
    return instance.takeError();
  for (const std::string &path : flags.inputs) {
    Expected<std::vector<NpyArray>> inputs = readInputs(path, *model);
    if (!inputs)
      return inputs.takeError();
    instance->bind(*inputs);
    if (Error error = instance->run())
      return error;
  }
  std::string error =
      writeNpz(flags.output, instance->getResults(), flags.deflate);
  return error.empty() ? Error::success() : makeError(error);
}

int sparse_opt::tool::runMain(int argc, char **argv) {
  if (auto status = parseFlags(
          argc, argv, command,
          "usage: sparse-opt run model.so --inputs=in.npz -o out.npz"))
    return *status;
  if (flags.inputs.empty() || flags.output.empty())
    return fail("run needs --inputs=in.npz and -o out.npz");
  if (Error error = runModel())
    return fail(std::move(error));
  return Done;
}
