// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From objects to the four kinds of artefact. LLD runs as a child process; a
// program is linked by the system's C compiler, which knows its start files.
// Whatever the kind, only the entry function stays visible.
#include "Internal.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ObjCopy/CommonConfig.h"
#include "llvm/ObjCopy/ELF/ELFConfig.h"
#include "llvm/ObjCopy/ELF/ELFObjcopy.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;

namespace sparse_opt {

/// An archive of ours: beside the running tool when installed or built, else
/// where this build put it.
static Expected<std::string> findArchive(StringRef name) {
  static int anchor;
  SmallVector<std::string> places;
  if (std::optional<std::string> set =
          sys::Process::GetEnv("SPARSE_OPT_RUNTIME_DIR"))
    places.push_back(*set);
  std::string tool = sys::fs::getMainExecutable(nullptr, &anchor);
  StringRef prefix = sys::path::parent_path(sys::path::parent_path(tool));
  places.push_back((prefix + "/lib").str());
  places.push_back((prefix + "/lib/sparse-opt").str());
  places.push_back(SPARSE_OPT_BUILD_LIB_DIR);
  for (const std::string &place : places)
    if (std::string path = place + "/" + name.str(); sys::fs::exists(path))
      return path;
  return makeError("cannot find %s beside the tool (%s/lib); set "
                   "SPARSE_OPT_RUNTIME_DIR to its folder",
                   name.str().c_str(), prefix.str().c_str());
}

static Expected<std::string> findLinker() {
  for (StringRef name : {"ld.lld-" SPARSE_OPT_LLVM_MAJOR, "ld.lld"}) {
    if (ErrorOr<std::string> path = sys::findProgramByName(name))
      return *path;
    if (ErrorOr<std::string> path =
            sys::findProgramByName(name, {SPARSE_OPT_LLVM_TOOLS_DIR}))
      return *path;
  }
  return makeError("cannot find the linker ld.lld-%s or ld.lld; install LLVM's "
                   "lld package",
                   SPARSE_OPT_LLVM_MAJOR);
}

/// The C library a shared model needs, by file: LLD alone knows no paths.
static Expected<std::string> findSystemLibrary(StringRef name) {
  for (StringRef folder : {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
                           "/lib64", "/usr/lib64", "/lib", "/usr/lib"})
    if (std::string path = (folder + "/" + name).str(); sys::fs::exists(path))
      return path;
  return makeError("cannot find %s in the system's library folders",
                   name.str().c_str());
}

/// Runs a linker; its complaints become the error's text.
static Error runLinker(const std::string &program,
                       ArrayRef<std::string> arguments, StringRef beside) {
  Expected<TempFile> log = TempFile::create(beside, "log");
  if (!log)
    return log.takeError();
  SmallVector<StringRef> words = {program};
  words.append(arguments.begin(), arguments.end());
  std::string message;
  int status = sys::ExecuteAndWait(program, words, std::nullopt,
                                   {StringRef(), log->path(), log->path()}, 0,
                                   0, &message);
  if (status == 0)
    return Error::success();
  if (ErrorOr<std::unique_ptr<MemoryBuffer>> text =
          MemoryBuffer::getFile(log->path()))
    message += (*text)->getBuffer().rtrim();
  return makeError("linking failed: %s: %s",
                   sys::path::filename(program).str().c_str(), message.c_str());
}

static Error runLld(ArrayRef<std::string> arguments, StringRef beside) {
  Expected<std::string> lld = findLinker();
  if (!lld)
    return lld.takeError();
  return runLinker(*lld, arguments, beside);
}

static std::vector<std::string> withWeights(const LinkJob &job) {
  std::vector<std::string> objects = job.objects;
  if (!job.weights.empty())
    objects.push_back(job.weights);
  return objects;
}

Error linkSharedLibrary(const LinkJob &job) {
  Expected<std::string> runtime = findArchive("libsparse_opt_runtime.a");
  if (!runtime)
    return runtime.takeError();
  Expected<std::string> libc = findSystemLibrary("libc.so.6");
  if (!libc)
    return libc.takeError();
  Expected<std::string> libm = findSystemLibrary("libm.so.6");
  if (!libm)
    return libm.takeError();
  Expected<TempFile> exports = TempFile::create(job.output, "map");
  if (!exports)
    return exports.takeError();
  std::string script = "{ global: " + job.entry + "; local: *; };\n";
  if (Error error = exports->write(ArrayRef(script.data(), script.size())))
    return error;
  std::vector<std::string> arguments = {"-shared",
                                        "--build-id=none",
                                        "--gc-sections",
                                        "-z",
                                        "defs",
                                        "-z",
                                        "noexecstack",
                                        "-z",
                                        "relro",
                                        "-z",
                                        "now",
                                        "--hash-style=gnu",
                                        "--strip-debug",
                                        "--version-script",
                                        exports->path().str(),
                                        "-o",
                                        job.output};
  llvm::append_range(arguments, withWeights(job));
  llvm::append_range(
      arguments, ArrayRef<std::string>{*runtime, "--as-needed", *libm, *libc});
  return runLld(arguments, job.output);
}

/// Makes every defined symbol but `entry` local.
static Error localizeSymbols(StringRef path, StringRef entry,
                             TempFile &output) {
  Expected<object::OwningBinary<object::ObjectFile>> file =
      object::ObjectFile::createObjectFile(path);
  if (!file)
    return file.takeError();
  objcopy::CommonConfig common;
  objcopy::ELFConfig elf;
  common.InputFilename = path;
  common.OutputFilename = output.path();
  common.StripDebug = true;
  if (Error error =
          common.SymbolsToKeepGlobal.addMatcher(objcopy::NameOrPattern::create(
              entry, objcopy::MatchStyle::Literal, [](Error e) { return e; })))
    return error;
  ObjectBuffer bytes;
  raw_svector_ostream stream(bytes);
  if (Error error = objcopy::elf::executeObjcopyOnBinary(
          common, elf, cast<object::ELFObjectFileBase>(*file->getBinary()),
          stream))
    return error;
  return output.write(bytes);
}

/// Code, descriptor and runtime as one object that shows only the entry and
/// still refers to the weights.
static Error linkCode(const LinkJob &job, TempFile &output) {
  Expected<std::string> runtime = findArchive("libsparse_opt_runtime.a");
  if (!runtime)
    return runtime.takeError();
  Expected<TempFile> merged = TempFile::create(job.output, "o");
  if (!merged)
    return merged.takeError();
  std::vector<std::string> arguments = {"-r", "--build-id=none", "-o",
                                        merged->path().str()};
  llvm::append_range(arguments, job.objects);
  arguments.push_back(*runtime);
  if (Error error = runLld(arguments, job.output))
    return error;
  return localizeSymbols(merged->path(), job.entry, output);
}

Error linkObject(const LinkJob &job) {
  Expected<TempFile> code = TempFile::create(job.output, "o");
  if (!code)
    return code.takeError();
  if (Error error = linkCode(job, *code))
    return error;
  if (job.weights.empty())
    return code->renameTo(job.output);
  return runLld({"-r", "--build-id=none", "-o", job.output, code->path().str(),
                 job.weights},
                job.output);
}

static Error addMember(std::vector<NewArchiveMember> &members, StringRef path,
                       StringRef name) {
  Expected<NewArchiveMember> member = NewArchiveMember::getFile(path, true);
  if (!member)
    return member.takeError();
  member->MemberName = name;
  member->Perms = 0644;
  members.push_back(std::move(*member));
  return Error::success();
}

Error linkStaticLibrary(const LinkJob &job) {
  Expected<TempFile> code = TempFile::create(job.output, "o");
  if (!code)
    return code.takeError();
  if (Error error = linkCode(job, *code))
    return error;
  std::vector<NewArchiveMember> members;
  if (Error error = addMember(members, code->path(), "model.o"))
    return error;
  if (!job.weights.empty())
    if (Error error = addMember(members, job.weights, "weights.o"))
      return error;
  return writeArchive(job.output, members, SymtabWritingMode::NormalSymtab,
                      object::Archive::K_GNU, /*Deterministic=*/true,
                      /*Thin=*/false);
}

Error linkExecutable(const LinkJob &job) {
  Expected<std::string> main = findArchive("libsparse_opt_main.a");
  if (!main)
    return main.takeError();
  ErrorOr<std::string> compiler = sys::findProgramByName("cc");
  if (!compiler)
    return makeError("cannot find the C compiler 'cc', which links programs");
  Expected<TempFile> code = TempFile::create(job.output, "o");
  if (!code)
    return code.takeError();
  if (Error error = linkCode(job, *code))
    return error;
  std::vector<std::string> arguments = {"-o", job.output, "-Wl,--build-id=none",
                                        "-Wl,-z,now", code->path().str()};
  if (!job.weights.empty())
    arguments.push_back(job.weights);
  llvm::append_range(arguments,
                     ArrayRef<std::string>{*main, "-lstdc++", "-lz", "-lm"});
  return runLinker(*compiler, arguments, job.output);
}

} // namespace sparse_opt
