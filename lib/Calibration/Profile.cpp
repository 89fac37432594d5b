// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Profiles in memory: made empty, looked into, merged. The file format is
// ProfileFile.cpp's, what goes into one the collector's.
#include "sparse-opt/Calibration/Profile.h"
#include "llvm/ADT/STLExtras.h"
#include <algorithm>
#include <cstddef>

using namespace llvm;
using namespace sparse_opt;

/// More fit no closer, however small the rows.
static constexpr uint64_t mostRows = 10240;

CalibrationProfile sparse_opt::makeProfile(std::string modelHash, uint64_t seed,
                                           std::vector<CalibratedInput> inputs,
                                           std::vector<CalibratedBlock> blocks,
                                           uint64_t rowSampleBytes,
                                           uint64_t sequenceBytes) {
  CalibrationProfile profile;
  profile.modelHash = std::move(modelHash);
  profile.seed = seed;
  profile.inputs = std::move(inputs);
  profile.blocks = std::move(blocks);
  auto widthOf = [](const CalibratedBlock &block) {
    return size_t(block.d + (block.hasResidual ? block.out : 0));
  };
  uint64_t rowBytes = 1;
  for (const CalibratedBlock &block : profile.blocks)
    rowBytes += widthOf(block) * sizeof(uint16_t) + sizeof(RowKey);
  uint64_t rows =
      std::min(mostRows, std::max<uint64_t>(10, rowSampleBytes / rowBytes));
  for (const CalibratedBlock &block : profile.blocks) {
    profile.counts.emplace_back(block);
    profile.rows.push_back({RowSample(rows - rows / 5, widthOf(block)),
                            RowSample(rows / 5, widthOf(block))});
  }
  profile.sequences = {SequenceSample(sequenceBytes - sequenceBytes / 5),
                       SequenceSample(sequenceBytes / 5)};
  return profile;
}

std::optional<size_t> CalibrationProfile::find(StringRef block) const {
  for (auto [i, candidate] : llvm::enumerate(blocks))
    if (candidate.name == block)
      return i;
  return std::nullopt;
}

BlockSums CalibrationProfile::sumsOf(size_t block) const {
  BlockSums sums(blocks[block]);
  for (const Shard &shard : shards)
    sums.add(shard.sums[block]);
  return sums;
}

uint64_t CalibrationProfile::rowsOf(size_t block) const {
  uint64_t rows = 0;
  for (const Shard &shard : shards)
    rows += shard.sums[block].rows;
  return rows;
}

uint64_t CalibrationProfile::heldOutRowsOf(size_t block) const {
  uint64_t rows = 0;
  for (const Shard &shard : shards)
    rows += shard.sums[block].heldOutRows;
  return rows;
}

uint64_t CalibrationProfile::numSequences() const {
  uint64_t count = 0;
  for (const Shard &shard : shards)
    count += shard.sequences;
  return count;
}

uint64_t CalibrationProfile::numHeldOutSequences() const {
  uint64_t count = 0;
  for (const Shard &shard : shards)
    count += shard.heldOutSequences;
  return count;
}

Error sparse_opt::checkModel(const CalibrationProfile &profile,
                             StringRef modelHash, StringRef profileName,
                             StringRef modelName) {
  if (profile.modelHash == modelHash)
    return Error::success();
  return createStringError(profileName +
                           ": is a profile of another model: its weights have "
                           "the hash " +
                           profile.modelHash + ", those of " + modelName +
                           " have " + modelHash);
}

//===----------------------------------------------------------------------===//
// Merging
//===----------------------------------------------------------------------===//

/// An error when the two can't be added.
static Error checkMerge(const CalibrationProfile &into,
                        const CalibrationProfile &from, StringRef intoName,
                        StringRef fromName) {
  if (Error error = checkModel(from, into.modelHash, fromName, intoName))
    return error;
  if (!(from.inputs == into.inputs && from.blocks == into.blocks))
    return createStringError(fromName +
                             ": has other inputs or FFN blocks of "
                             "the model than " +
                             intoName + "; calibrate both with one version");
  if (from.seed != into.seed)
    return createStringError(fromName +
                             ": was sampled with --seed=" + Twine(from.seed) +
                             ", " + intoName + " with " + Twine(into.seed));
  for (const Shard &shard : from.shards)
    if (llvm::any_of(into.shards, [&](const Shard &other) {
          return other.hash == shard.hash;
        }))
      return createStringError(fromName + ": holds data that " + intoName +
                               " holds too; it would count twice");
  for (size_t i = 0; i < into.blocks.size(); ++i)
    if (into.rowsOf(i) + from.rowsOf(i) > UINT32_MAX)
      return createStringError(
          fromName + ": with its rows a block would have more than " +
          Twine(UINT32_MAX) + ", which is all that a profile can count");
  return Error::success();
}

Error sparse_opt::mergeProfile(CalibrationProfile &into,
                               const CalibrationProfile &from,
                               StringRef intoName, StringRef fromName) {
  if (Error error = checkMerge(into, from, intoName, fromName))
    return error;
  llvm::append_range(into.shards, from.shards);
  llvm::sort(into.shards,
             [](const Shard &a, const Shard &b) { return a.hash < b.hash; });
  for (size_t i = 0; i < into.blocks.size(); ++i) {
    into.counts[i].add(from.counts[i]);
    into.rows[i].fit.merge(from.rows[i].fit);
    into.rows[i].heldOut.merge(from.rows[i].heldOut);
    into.rows[i].fit.sort();
    into.rows[i].heldOut.sort();
  }
  into.sequences.fit.merge(from.sequences.fit);
  into.sequences.heldOut.merge(from.sequences.heldOut);
  return Error::success();
}
