// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Which rows count, which are held out, and the threads that add them up. Each
// thread takes whole groups of columns, over all rows in order: no sum is
// shared and none depends on who computes it.
#include "sparse-opt/Calibration/Collector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/xxhash.h"
#include <atomic>
#include <cmath>
#include <map>
#include <mutex>
#include <thread>

using namespace llvm;
using namespace sparse_opt;

Collector::Collector(CalibrationProfile empty, unsigned threads)
    : profile(std::move(empty)), threads(std::max(1u, threads)) {
  for (const CalibratedBlock &block : profile.blocks)
    shard.sums.emplace_back(block);
}

/// Calls `work` for 0 to `count` - 1 on several threads.
static void parallelFor(unsigned threads, size_t count,
                        function_ref<void(size_t)> work) {
  std::atomic<size_t> next = 0;
  auto loop = [&] {
    for (size_t i; (i = next++) < count;)
      work(i);
  };
  std::vector<std::thread> others;
  for (unsigned i = 1; i < threads; ++i)
    others.emplace_back(loop);
  loop();
  for (std::thread &other : others)
    other.join();
}

//===----------------------------------------------------------------------===//
// Rows
//===----------------------------------------------------------------------===//

Expected<Collector::Rows>
Collector::rowsOf(const ModelRun &run, int64_t count,
                  const CalibratedBlock &block) const {
  int64_t batch = run.sequences.size(), each = count / batch;
  if (count % batch || (run.positions && each > run.positions))
    return createStringError(
        "block '" + block.name + "' has " + Twine(count) +
        " rows in a run of " + Twine(batch) + " sequences" +
        (run.positions ? " of " + Twine(run.positions) + " positions" : "") +
        ", so it can't be told which of them count (--row-mask=none counts "
        "all)");
  // With a past the rows are the last positions; a pooled row stands for all.
  int64_t first = run.positions - each;
  auto isCounted = [&](int64_t sequence, int64_t row) {
    if (!run.positions)
      return true;
    auto mask =
        ArrayRef(run.mask).slice(sequence * run.positions, run.positions);
    return each == 1 ? any_of(mask, [](uint8_t value) { return value != 0; })
                     : mask[first + row] != 0;
  };
  Rows rows;
  for (int64_t i = 0; i < batch; ++i) {
    uint64_t content = run.sequences[i].contentHash;
    bool heldOut = isHeldOut(content);
    uint64_t position = 0;
    for (int64_t row = 0; row < each; ++row) {
      if (!isCounted(i, row))
        continue;
      (heldOut ? rows.heldOut : rows.fit).push_back(i * each + row);
      (heldOut ? rows.heldOutKeys : rows.fitKeys)
          .push_back({mixHashes(mixHashes(profile.seed, content), position),
                      content, position});
      ++position;
    }
  }
  return rows;
}

/// Offers rows of x, each with its residual, to a sample.
static void sampleRows(RowSample &sample, const BlockRows &values,
                       ArrayRef<uint32_t> rows, ArrayRef<RowKey> keys) {
  auto rowOf = [](const RowsOf &value, uint32_t row) {
    return value.data
               ? ArrayRef(value.data + row * value.columns, value.columns)
               : ArrayRef<float>();
  };
  for (auto [row, key] : zip_equal(rows, keys))
    sample.add(key, rowOf(values.x, row), rowOf(values.residual, row));
}

static bool isFinite(const RowsOf &value, ArrayRef<uint32_t> rows) {
  uint32_t largest = 0;
  for (uint32_t row : rows) {
    const float *at = value.data + row * value.columns;
    for (size_t c = 0; value.data && c < value.columns; ++c) {
      uint32_t bits;
      memcpy(&bits, at + c, sizeof(bits));
      bits &= 0x7fffffffu;
      largest = bits > largest ? bits : largest;
    }
  }
  return largest < 0x7f800000u; // the bits of infinity
}

/// A sentence about the first value of the rows that isn't finite, or "".
static std::string findNonFinite(const CalibratedBlock &block,
                                 const BlockRows &values,
                                 ArrayRef<uint32_t> rows) {
  std::pair<StringRef, const RowsOf &> all[] = {{"x", values.x},
                                                {"gate", values.gate},
                                                {"up", values.up},
                                                {"act", values.act},
                                                {"residual", values.residual}};
  for (auto &[name, value] : all)
    for (uint32_t row : rows)
      if (!isFinite(value, row))
        return ("block '" + block.name + "' has NaN or infinity in " + name +
                ", row " + Twine(row) + " of a run")
            .str();
  return "";
}

Error Collector::addValues(ArrayRef<const Rows *> rows,
                           ArrayRef<BlockRows> blocks) {
  // Tasks: every group of columns of every block, and its samples.
  struct Task {
    size_t block, group;
  };
  std::vector<Task> tasks;
  for (auto [b, block] : enumerate(profile.blocks))
    for (size_t group = 0; group <= numColumnGroups(block); ++group)
      tasks.push_back({b, group});
  std::atomic<bool> allFinite = true;
  std::mutex mutex;
  parallelFor(threads, tasks.size(), [&](size_t i) {
    auto [b, group] = tasks[i];
    const Rows &counted = *rows[b];
    if (group == numColumnGroups(profile.blocks[b])) {
      sampleRows(profile.rows[b].fit, blocks[b], counted.fit, counted.fitKeys);
      sampleRows(profile.rows[b].heldOut, blocks[b], counted.heldOut,
                 counted.heldOutKeys);
      // Groups look at the other values of fit rows.
      if (!isFinite(blocks[b].residual, counted.fit) ||
          !findNonFinite(profile.blocks[b], blocks[b], counted.heldOut).empty())
        allFinite = false;
      return;
    }
    std::vector<uint64_t> pooled(2 * numGridBins);
    if (!addGroup(profile.blocks[b], blocks[b], counted.fit, group,
                  shard.sums[b], profile.counts[b], pooled))
      allFinite = false;
    std::lock_guard<std::mutex> lock(mutex);
    for (unsigned bin = 0; bin < numGridBins; ++bin) {
      profile.counts[b].x[bin] += pooled[bin];
      profile.counts[b].act[bin] += pooled[numGridBins + bin];
    }
  });
  for (auto [b, block] : enumerate(profile.blocks)) {
    for (const std::vector<uint32_t> *list : {&rows[b]->fit, &rows[b]->heldOut})
      if (!allFinite)
        if (std::string text = findNonFinite(block, blocks[b], *list);
            !text.empty())
          return createStringError(text);
    shard.sums[b].rows += rows[b]->fit.size();
    shard.sums[b].heldOutRows += rows[b]->heldOut.size();
  }
  return Error::success();
}

Error Collector::add(const ModelRun &run, ArrayRef<BlockRows> blocks) {
  // Blocks with as many rows have the same ones.
  std::map<int64_t, Rows> known;
  std::vector<const Rows *> rows;
  for (auto [block, values] : zip_equal(profile.blocks, blocks)) {
    auto place = known.find(values.rows);
    if (place == known.end()) {
      Expected<Rows> found = rowsOf(run, values.rows, block);
      if (!found)
        return found.takeError();
      place = known.emplace(values.rows, std::move(*found)).first;
    }
    rows.push_back(&place->second);
  }
  if (Error error = addValues(rows, blocks))
    return error;
  for (auto [b, block] : enumerate(profile.blocks))
    if (shard.sums[b].rows > UINT32_MAX)
      return createStringError("block '" + block.name + "' has more than " +
                               Twine(UINT32_MAX) +
                               " rows, which is all that a profile can count");
  for (const Sequence &sequence : run.sequences) {
    bool heldOut = isHeldOut(sequence.contentHash);
    ++shard.sequences;
    shard.heldOutSequences += heldOut;
    hashes.push_back(sequence.contentHash);
    (heldOut ? profile.sequences.heldOut : profile.sequences.fit)
        .add({mixHashes(profile.seed, sequence.contentHash), sequence.inputs});
  }
  return Error::success();
}

uint64_t Collector::numRows() const {
  uint64_t rows = 0;
  for (const BlockSums &sums : shard.sums)
    rows = std::max(rows, sums.rows + sums.heldOutRows);
  return rows;
}

Expected<CalibrationProfile> Collector::finish() {
  uint64_t fit = UINT64_MAX;
  for (const BlockSums &sums : shard.sums)
    fit = std::min(fit, sums.rows);
  if (numRows() == 0)
    return createStringError("the calibration set is empty: it has no row "
                             "that counts");
  if (numRows() == 1)
    return createStringError("the calibration set has one row; statistics "
                             "need more");
  if (fit < 2)
    return createStringError(
        "of " + Twine(shard.sequences) + " sequences " +
        Twine(shard.heldOutSequences) +
        " are held out, which leaves too few rows for statistics; give more "
        "sequences");
  hashes.push_back(xxh3_64bits(profile.modelHash));
  shard.hash =
      xxh3_64bits(ArrayRef(reinterpret_cast<const uint8_t *>(hashes.data()),
                           hashes.size() * sizeof(uint64_t)));
  for (RowSamples &samples : profile.rows) {
    samples.fit.sort();
    samples.heldOut.sort();
  }
  profile.shards.push_back(std::move(shard));
  return std::move(profile);
}
