// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The main program of `--emit=exe` artefacts: one run of the model on .npz
// files. It uses the model through the public interface only; files are
// lib/Support's.
#include "sparse-opt/Runtime/Runtime.h"
#include "sparse-opt/Support/Npz.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace sparse_opt;

namespace {

struct Flags {
  std::string inputs, output;
  unsigned threads = 0;
  bool help = false, manifest = false;
};

int fail(const std::string &message) {
  std::fprintf(stderr, "error: %s\n", message.c_str());
  return 1;
}

void printHelp(const char *program) {
  std::printf(
      "usage: %s --inputs=in.npz -o out.npz [--threads=N]\n\n"
      "  --inputs=in.npz  the model's inputs, by name\n"
      "  -o out.npz       where the outputs go\n"
      "  --threads=N      threads to use (default: one per core)\n"
      "  --manifest       print what the model was made from, as JSON\n",
      program);
}

/// Value of `--name=value`, or null.
const char *valueOf(const char *argument, const char *name) {
  size_t length = std::strlen(name);
  if (std::strncmp(argument, name, length) != 0 || argument[length] != '=')
    return nullptr;
  return argument + length + 1;
}

std::string parseFlags(int argc, char **argv, Flags &flags) {
  for (int i = 1; i < argc; ++i) {
    const char *argument = argv[i];
    if (const char *value = valueOf(argument, "--inputs")) {
      flags.inputs = value;
    } else if (const char *value = valueOf(argument, "--threads")) {
      char *end;
      long threads = std::strtol(value, &end, 10);
      if (*end || end == value || threads < 1 || threads > 1024)
        return "--threads=" + std::string(value) + " is not between 1 and 1024";
      flags.threads = static_cast<unsigned>(threads);
    } else if (!std::strcmp(argument, "-o") && i + 1 < argc) {
      flags.output = argv[++i];
    } else if (!std::strcmp(argument, "--manifest")) {
      flags.manifest = true;
    } else if (!std::strcmp(argument, "--help")) {
      flags.help = true;
    } else {
      return "unknown argument '" + std::string(argument) + "', see --help";
    }
  }
  if (!flags.help && !flags.manifest &&
      (flags.inputs.empty() || flags.output.empty()))
    return "give --inputs=in.npz and -o out.npz, see --help";
  return "";
}

sparse_opt_tensor describe(NpyArray &array) {
  return {array.name.c_str(),
          array.elementType,
          static_cast<int32_t>(array.shape.size()),
          array.shape.data(),
          array.data.data(),
          array.data.size()};
}

NpyArray copyOutput(const sparse_opt_tensor &tensor) {
  NpyArray array;
  array.name = tensor.name;
  array.elementType = tensor.element_type;
  array.shape.assign(tensor.dims, tensor.dims + tensor.rank);
  auto *bytes = static_cast<const uint8_t *>(tensor.data);
  array.data.assign(bytes, bytes + tensor.bytes);
  return array;
}

/// Runs all of `arrays` through the model into `results`.
std::string run(const sparse_opt_api &api, sparse_opt_instance *instance,
                std::vector<NpyArray> &arrays, std::vector<NpyArray> &results) {
  std::vector<sparse_opt_tensor> inputs, outputs;
  for (NpyArray &array : arrays)
    inputs.push_back(describe(array));
  uint32_t count = 0;
  const sparse_opt_tensor_info *infos = api.outputs(api.model, &count);
  for (uint32_t i = 0; i < count; ++i)
    outputs.push_back({infos[i].name, 0, 0, nullptr, nullptr, 0});
  if (api.run(instance, inputs.data(), inputs.size(), outputs.data(), count))
    return api.last_error();
  for (const sparse_opt_tensor &output : outputs)
    results.push_back(copyOutput(output));
  return "";
}

std::string runFiles(const sparse_opt_api &api, const Flags &flags) {
  std::vector<NpyArray> arrays, results;
  std::string error = readNpz(flags.inputs, arrays);
  if (!error.empty())
    return error;
  sparse_opt_options options = {};
  options.size = sizeof options;
  options.threads = flags.threads;
  sparse_opt_instance *instance = nullptr;
  if (api.instance_create(api.model, &options, &instance))
    return api.last_error();
  error = run(api, instance, arrays, results);
  api.instance_destroy(instance);
  return error.empty() ? writeNpz(flags.output, results) : error;
}

} // namespace

int main(int argc, char **argv) {
  Flags flags;
  std::string error = parseFlags(argc, argv, flags);
  if (!error.empty())
    return fail(error);
  if (flags.help) {
    printHelp(argv[0]);
    return 0;
  }
  const sparse_opt_api *api = sparse_opt_model_v1();
  if (!api)
    return fail("the model and the runtime in this program do not match");
  if (flags.manifest) {
    std::puts(api->manifest(api->model));
    return 0;
  }
  error = runFiles(*api, flags);
  return error.empty() ? 0 : fail(error);
}
