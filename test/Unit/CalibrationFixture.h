// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Made-up runs of a made-up model for the tests of lib/Calibration: one plain
// and one gated block, two inputs, a mask.
#ifndef SPARSE_OPT_TEST_UNIT_CALIBRATIONFIXTURE_H
#define SPARSE_OPT_TEST_UNIT_CALIBRATIONFIXTURE_H
#include "sparse-opt/Calibration/Collector.h"
#include "gtest/gtest.h"
#include <cstring>
#include <random>

namespace sparse_opt {

inline std::vector<CalibratedBlock> testBlocks() {
  return {{"plain", "gelu", 5, 70, 5, false, true},
          {"gated", "silu", 5, 9, 6, true, false}};
}

/// The values of one block in one run, and their memory.
struct TestValues {
  std::vector<float> x, gate, up, act, residual;
  BlockRows rows;

  TestValues(const CalibratedBlock &block, int64_t count, unsigned seed) {
    std::mt19937 random(seed);
    // Many magnitudes, and zeros.
    auto fill = [&](std::vector<float> &values, int64_t columns) {
      std::normal_distribution<float> normal;
      for (int64_t i = 0; i < count * columns; ++i)
        values.push_back(random() % 7 ? normal(random) *
                                            std::exp2(int(random() % 24) - 12)
                                      : 0.0f);
    };
    fill(x, block.d);
    fill(up, block.h);
    fill(act, block.h);
    if (block.gated)
      fill(gate, block.h);
    if (block.hasResidual)
      fill(residual, block.out);
    rows.rows = count;
    rows.x = {x.data(), size_t(block.d)};
    rows.up = {up.data(), size_t(block.h)};
    rows.act = {act.data(), size_t(block.h)};
    if (block.gated)
      rows.gate = {gate.data(), size_t(block.h)};
    if (block.hasResidual)
      rows.residual = {residual.data(), size_t(block.out)};
  }
};

/// int64 values as an array of a file.
inline NpyArray testArray(std::string name, std::vector<int64_t> shape,
                          const std::vector<int64_t> &values) {
  NpyArray array{std::move(name), 7, std::move(shape), {}};
  array.data.resize(values.size() * sizeof(int64_t));
  if (!values.empty())
    memcpy(array.data.data(), values.data(), array.data.size());
  return array;
}

inline std::vector<ModelInput> testInputs() {
  return {{"ids", 7, {"batch", "length"}},
          {"attention_mask", 7, {"batch", "length"}}};
}

/// `sequences` random sequences of 1 to `length` positions, padded.
inline std::vector<NpyArray> testData(int64_t sequences, int64_t length,
                                      unsigned seed) {
  std::mt19937 random(seed);
  std::vector<int64_t> ids, mask;
  for (int64_t i = 0; i < sequences; ++i) {
    int64_t valid = 1 + random() % length;
    for (int64_t p = 0; p < length; ++p) {
      ids.push_back(p < valid ? random() % 1000 : 0);
      mask.push_back(p < valid);
    }
  }
  return {testArray("ids", {sequences, length}, ids),
          testArray("attention_mask", {sequences, length}, mask)};
}

inline std::string bytesOf(const CalibrationProfile &profile) {
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  writeProfile(profile, os);
  return bytes;
}

inline CalibrationProfile emptyProfile(uint64_t rowBytes = 4000,
                                       uint64_t sequenceBytes = 1000) {
  return makeProfile("0123abcd", 7, {{"ids", 7}, {"attention_mask", 7}},
                     testBlocks(), rowBytes, sequenceBytes);
}

/// The profile of one shard of made-up data.
inline CalibrationProfile testProfile(unsigned seed, unsigned threads = 1,
                                      int64_t sequences = 40) {
  BatchSplitter splitter =
      llvm::cantFail(BatchSplitter::create(testInputs(), ""));
  Collector collector(emptyProfile(), threads);
  llvm::cantFail(splitter.split(
      testData(sequences, 6, seed), "data", 32, [&](const ModelRun &run) {
        std::vector<TestValues> values;
        std::vector<BlockRows> rows;
        int64_t count = run.sequences.size() * run.positions;
        for (const CalibratedBlock &block : testBlocks()) {
          values.emplace_back(block, count, seed + values.size());
          rows.push_back(values.back().rows);
        }
        return collector.add(run, rows);
      }));
  return llvm::cantFail(collector.finish());
}

} // namespace sparse_opt
#endif
