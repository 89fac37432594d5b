// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// `sparse-opt merge`: calibration profiles of one model into one.
#include "Cli.h"
#include "sparse-opt/Calibration/Profile.h"
#include "sparse-opt/Pipelines/StageFile.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace sparse_opt;
using namespace sparse_opt::tool;

static cl::SubCommand command("merge", "add calibration profiles up");

namespace {
struct Flags {
  cl::list<std::string> profiles{cl::Positional, cl::OneOrMore,
                                 cl::sub(command)};
  cl::opt<std::string> output{"o", cl::sub(command),
                              cl::value_desc("all.profile"),
                              cl::desc("what to write")};
} flags;
} // namespace

Expected<std::string>
sparse_opt::tool::saveProfile(const CalibrationProfile &profile,
                              StringRef path) {
  Error error = writeFileAtomically(path, [&](raw_ostream &os) {
    writeProfile(profile, os);
    return Error::success();
  });
  if (error)
    return std::move(error);
  uint64_t bytes = 0;
  (void)sys::fs::file_size(path, bytes);
  return formatv("{0:f1} MB", bytes / 1e6).str();
}

static Error mergeProfiles() {
  std::optional<CalibrationProfile> merged;
  std::string names;
  for (const std::string &path : flags.profiles) {
    Expected<CalibrationProfile> profile = readProfile(path);
    if (!profile)
      return profile.takeError();
    if (!merged)
      merged = std::move(*profile);
    else if (Error error = mergeProfile(*merged, *profile, names, path))
      return error;
    names = names.empty() ? path : names + " and " + path;
  }
  Expected<std::string> size = saveProfile(*merged, flags.output);
  if (!size)
    return size.takeError();
  uint64_t rows = 0;
  for (size_t i = 0; i < merged->blocks.size(); ++i)
    rows = std::max(rows, merged->rowsOf(i) + merged->heldOutRowsOf(i));
  outs() << formatv("{0}: {1} rows of {2} sequences ({3} held out) from {4} "
                    "calibrations, {5}\n",
                    flags.output, rows, merged->numSequences(),
                    merged->numHeldOutSequences(), merged->shards.size(),
                    *size);
  return Error::success();
}

int sparse_opt::tool::mergeMain(int argc, char **argv) {
  if (auto status = parseFlags(
          argc, argv, command,
          "usage: sparse-opt merge a.profile b.profile ... -o all.profile",
          "Profiles of one model; their order changes no bit.\n"))
    return *status;
  if (flags.output.empty())
    return fail("merge needs -o all.profile");
  if (Error error = mergeProfiles())
    return fail(std::move(error));
  return Done;
}
