// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Loading and calling compiled models. Everything is checked by the model's
// own runtime; here its answers become sentences that name the file.
#include "ModelFile.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/BinaryFormat/Magic.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cstddef>
#include <dlfcn.h>

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

Error sparse_opt::tool::makeError(const Twine &sentence) {
  return createStringError(inconvertibleErrorCode(), sentence);
}

/// The loader maps segments that a file is too short for, and dies of them.
static Error checkSegments(const std::string &path) {
  auto buffer = MemoryBuffer::getFile(path, /*IsText=*/false,
                                      /*RequiresNullTerminator=*/false);
  if (!buffer)
    return makeError(path + ": " + buffer.getError().message());
  StringRef data = (*buffer)->getBuffer();
  auto file = object::ELFFile<object::ELF64LE>::create(data);
  if (!file)
    return makeError(path + ": " + toString(file.takeError()));
  auto segments = file->program_headers();
  if (!segments)
    return makeError(path + ": " + toString(segments.takeError()));
  for (const auto &segment : *segments)
    if (segment.p_offset > data.size() ||
        segment.p_filesz > data.size() - segment.p_offset)
      return makeError(path + ": is truncated");
  return Error::success();
}

Expected<ModelFile> ModelFile::open(const std::string &path,
                                    const std::string &entry) {
  ModelFile model;
  model.path = path;
  file_magic magic;
  if (std::error_code code = identify_magic(path, magic))
    return makeError(path + ": " + code.message());
  if (magic != file_magic::elf_shared_object)
    return makeError(path + ": not a shared library made by 'sparse-opt "
                            "compile'");
  if (Error error = checkSegments(path))
    return std::move(error);
  SmallString<128> real; // a bare name would be looked up elsewhere
  if (std::error_code code = sys::fs::real_path(path, real))
    return makeError(path + ": " + code.message());
  void *library = dlopen(real.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return makeError(path + ": can't be loaded: " + dlerror());
  auto function =
      reinterpret_cast<sparse_opt_entry>(dlsym(library, entry.c_str()));
  if (!function)
    return makeError(path + ": has no function '" + entry +
                     "', so it is no compiled model (--entry= names another)");
  model.api = function();
  if (!model.api || model.api->version != SPARSE_OPT_API_VERSION ||
      model.api->size < offsetof(sparse_opt_api, profile_enable))
    return makeError(path + ": was made for another version of the interface");
  model.library = library;
  return model;
}

void ModelFile::unload() {
  dlclose(library);
  library = nullptr;
  api = nullptr;
}

ArrayRef<sparse_opt_tensor_info> ModelFile::getInputs() const {
  uint32_t count = 0;
  const sparse_opt_tensor_info *infos = api->inputs(api->model, &count);
  return {infos, count};
}

ArrayRef<sparse_opt_tensor_info> ModelFile::getOutputs() const {
  uint32_t count = 0;
  const sparse_opt_tensor_info *infos = api->outputs(api->model, &count);
  return {infos, count};
}

ArrayRef<sparse_opt_tensor_info> ModelFile::getStates() const {
  if (api->size <= offsetof(sparse_opt_api, states))
    return {};
  uint32_t count = 0;
  const sparse_opt_tensor_info *infos = api->states(api->model, &count);
  return {infos, count};
}

json::Value ModelFile::getManifest() const {
  Expected<json::Value> manifest = json::parse(api->manifest(api->model));
  if (manifest)
    return std::move(*manifest);
  consumeError(manifest.takeError());
  return nullptr;
}

std::string ModelFile::getText(StringRef key) const {
  json::Value manifest = getManifest();
  const json::Object *object = manifest.getAsObject();
  return object ? object->getString(key).value_or("").str() : "";
}

Expected<Instance> Instance::create(const ModelFile &model, unsigned threads,
                                    sparse_opt_pool *pool) {
  const sparse_opt_api &api = model.getApi();
  sparse_opt_options options = {};
  options.size = sizeof options;
  options.threads = threads;
  options.pool = pool;
  sparse_opt_instance *handle = nullptr;
  if (api.instance_create(api.model, &options, &handle) != SPARSE_OPT_OK)
    return makeError(model.getPath() + ": " + api.last_error());
  return Instance(model, Handle(handle, api.instance_destroy));
}

Error Instance::lastError() const {
  return makeError(model->getPath() + ": " + model->getApi().last_error());
}

void Instance::bind(ArrayRef<NpyArray> arrays) {
  inputs.clear();
  for (const NpyArray &array : arrays)
    inputs.push_back({array.name.c_str(), array.elementType,
                      int32_t(array.shape.size()), array.shape.data(),
                      const_cast<uint8_t *>(array.data.data()),
                      array.data.size()});
}

Error Instance::fill(ArrayRef<std::vector<NpyArray>> runs) {
  if (!keepsCaches())
    return Error::success();
  keptLength.reset();
  const sparse_opt_api &api = model->getApi();
  if (api.state_truncate(handle.get(), 0) != SPARSE_OPT_OK)
    return lastError();
  for (const std::vector<NpyArray> &arrays : runs) {
    bind(arrays);
    if (Error error = run())
      return error;
  }
  inputs.clear();
  uint64_t length = 0;
  if (api.state_length(handle.get(), &length, nullptr) != SPARSE_OPT_OK)
    return lastError();
  keptLength = length;
  return Error::success();
}

Error Instance::run() {
  if (keptLength && model->getApi().state_truncate(handle.get(), *keptLength) !=
                        SPARSE_OPT_OK)
    return lastError();
  outputs.clear();
  for (const sparse_opt_tensor_info &info : model->getOutputs())
    outputs.push_back({info.name, 0, 0, nullptr, nullptr, 0});
  sparse_opt_status status =
      model->getApi().run(handle.get(), inputs.data(), inputs.size(),
                          outputs.data(), outputs.size());
  return status == SPARSE_OPT_OK ? Error::success() : lastError();
}

Error Instance::enableProfile(bool enabled) {
  if (model->getApi().size < offsetof(sparse_opt_api, states))
    return makeError(model->getPath() +
                     ": was compiled before kernels could be timed");
  if (model->getApi().profile_enable(handle.get(), enabled) != SPARSE_OPT_OK)
    return lastError();
  return Error::success();
}

Error Instance::setKnob(const std::string &name, double value) {
  if (model->getApi().knob_set(handle.get(), name.c_str(), value) !=
      SPARSE_OPT_OK)
    return lastError();
  return Error::success();
}

StringMap<double> Instance::getDensities() const {
  const sparse_opt_api &api = model->getApi();
  uint32_t count = 0;
  api.telemetry(handle.get(), nullptr, 0, &count);
  std::vector<sparse_opt_block_stats> stats(count);
  api.telemetry(handle.get(), stats.data(), count, &count);
  StringMap<double> densities;
  for (const sparse_opt_block_stats &block : stats)
    if (block.rows > block.fallbacks)
      densities[block.block] = block.density;
  return densities;
}

Expected<Profile> Instance::getProfile() const {
  const sparse_opt_api &api = model->getApi();
  Profile profile;
  uint32_t count = 0;
  if (api.profile(handle.get(), &profile.total, nullptr, 0, &count) !=
      SPARSE_OPT_OK)
    return lastError();
  profile.launches.resize(count);
  if (api.profile(handle.get(), &profile.total, profile.launches.data(), count,
                  &count) != SPARSE_OPT_OK)
    return lastError();
  return profile;
}

std::vector<NpyArray> Instance::getResults() const {
  std::vector<NpyArray> results;
  for (const sparse_opt_tensor &output : outputs) {
    auto *bytes = static_cast<const uint8_t *>(output.data);
    results.push_back({output.name,
                       output.element_type,
                       {output.dims, output.dims + output.rank},
                       {bytes, bytes + output.bytes}});
  }
  return results;
}

Expected<std::vector<NpyArray>>
sparse_opt::tool::readInputs(const std::string &path, const ModelFile &model) {
  std::vector<NpyArray> arrays;
  if (std::string error = readNpz(path, arrays); !error.empty())
    return makeError(error);
  if (arrays.size() == 1 && arrays[0].name.empty()) {
    if (model.getInputs().size() != 1)
      return makeError(path + ": a .npy holds one array, but the model has " +
                       Twine(model.getInputs().size()) + " inputs");
    arrays[0].name = model.getInputs()[0].name;
  }
  return arrays;
}
