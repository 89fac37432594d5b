// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The steps from modules to an artefact, in order. Objects go to files beside
// the artefact; it gets its name only when it is whole.
#include "Internal.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/Path.h"
#include <atomic>
#include <thread>

using namespace llvm;

namespace sparse_opt {

/// The entry is a C symbol, and goes into a linker script as it is.
static Error checkEntry(StringRef entry) {
  if (entry.empty() || isDigit(entry.front()) ||
      !all_of(entry, [](char c) { return isAlnum(c) || c == '_'; }))
    return makeError("--entry=%s is not a C identifier", entry.str().c_str());
  return Error::success();
}

static Expected<ObjectBuffer> emitVariant(VariantCode &variant) {
  if (Error error = hideVariant(variant))
    return error;
  Expected<ObjectBuffer> object =
      emitObject(*variant.module, variant.cpu, variant.features);
  variant.module.reset();
  return object;
}

/// Compiles the variants on up to `jobs` threads; results in their order.
static std::vector<Expected<ObjectBuffer>>
emitVariants(MutableArrayRef<VariantCode> variants, unsigned jobs) {
  std::vector<Expected<ObjectBuffer>> objects;
  for (size_t i = 0; i < variants.size(); ++i)
    objects.emplace_back(ObjectBuffer());
  std::atomic<size_t> next(0);
  auto work = [&] {
    for (size_t i; (i = next++) < variants.size();) {
      // Assignment needs a checked value; the placeholder is one.
      cantFail(objects[i].takeError());
      objects[i] = emitVariant(variants[i]);
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min<size_t>(jobs, variants.size()); ++i)
    threads.emplace_back(work);
  work();
  for (std::thread &thread : threads)
    thread.join();
  return objects;
}

static Error link(const LinkJob &job, OutputKind kind) {
  switch (kind) {
  case OutputKind::SharedLibrary:
    return linkSharedLibrary(job);
  case OutputKind::StaticLibrary:
    return linkStaticLibrary(job);
  case OutputKind::Object:
    return linkObject(job);
  case OutputKind::Executable:
    return linkExecutable(job);
  }
  llvm_unreachable("all kinds are handled");
}

/// mkstemp makes private files; an artefact gets the usual permissions.
static Error publish(TempFile &file, StringRef path, bool runnable) {
  unsigned mask = sys::fs::getUmask();
  auto permissions =
      static_cast<sys::fs::perms>((runnable ? 0777u : 0666u) & ~mask);
  if (std::error_code code = sys::fs::setPermissions(file.path(), permissions))
    return createFileError(path, code);
  return file.renameTo(path);
}

static Error addObject(std::vector<TempFile> &files, ArrayRef<char> bytes,
                       const EmitOptions &options, LinkJob &job) {
  Expected<TempFile> file = TempFile::create(options.path, "o");
  if (!file)
    return file.takeError();
  if (Error error = file->write(bytes))
    return error;
  job.objects.push_back(file->path().str());
  files.push_back(std::move(*file));
  return Error::success();
}

std::string weightsFileName(StringRef path) {
  return (sys::path::filename(path) + ".weights").str();
}

Error emitModel(const ModelDescription &description,
                std::vector<VariantCode> variants,
                ArrayRef<WeightSegment> weights, uint64_t weightsSize,
                const EmitOptions &options) {
  if (Error error = checkEntry(options.entry))
    return error;
  std::vector<TempFile> files;
  LinkJob job;
  // A program's entry is hidden in it, and has the name its main calls.
  job.entry = options.kind == OutputKind::Executable ? EmitOptions().entry
                                                     : options.entry;

  // 1. The weights, streamed.
  WeightsPlace place;
  place.size = weightsSize;
  std::optional<TempFile> weightsFile;
  if (weightsSize) {
    Expected<TempFile> file = TempFile::create(options.path, "o");
    if (!file)
      return file.takeError();
    if (options.storage == WeightStorage::File) {
      Expected<uint64_t> hash =
          writeWeightsFile(file->path(), weights, weightsSize);
      if (!hash)
        return hash.takeError();
      place.hash = *hash;
      place.file = weightsFileName(options.path);
      weightsFile.emplace(std::move(*file));
    } else {
      if (Error error = writeWeightsObject(file->path(), weightsName(job.entry),
                                           weights, weightsSize))
        return error;
      job.weights = file->path().str();
      files.push_back(std::move(*file));
    }
  }

  if (options.onWeightsWritten)
    options.onWeightsWritten();

  // 2. The descriptor and one object per variant.
  Expected<ObjectBuffer> descriptor =
      emitDescriptor(description, variants, place, job.entry);
  if (!descriptor)
    return descriptor.takeError();
  if (Error error = addObject(files, *descriptor, options, job))
    return error;
  Error failed = Error::success();
  for (Expected<ObjectBuffer> &object : emitVariants(variants, options.jobs))
    failed = joinErrors(std::move(failed),
                        object ? addObject(files, *object, options, job)
                               : object.takeError());
  if (failed)
    return failed;

  // 3. Linked under another name, copied as weights are best mapped, and
  //    renamed.
  const bool isMapped = options.kind == OutputKind::SharedLibrary ||
                        options.kind == OutputKind::Executable;
  Expected<TempFile> output = TempFile::create(options.path, "tmp");
  if (!output)
    return output.takeError();
  job.output = output->path().str();
  if (Error error = link(job, options.kind))
    return error;
  if (isMapped && !job.weights.empty()) {
    Expected<TempFile> copy = TempFile::create(options.path, "tmp");
    if (!copy)
      return copy.takeError();
    if (Error error = copy->copy(output->path()))
      return error;
    output->swap(*copy);
  }
  if (weightsFile)
    if (Error error = publish(*weightsFile, options.path + ".weights",
                              /*runnable=*/false))
      return error;
  return publish(*output, options.path, /*runnable=*/isMapped);
}

} // namespace sparse_opt
