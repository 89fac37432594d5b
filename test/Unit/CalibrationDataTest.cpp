// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// From arrays to rows that count: runs, padding, sequences, masks, and what is
// said about data that can't be used.
#include "CalibrationFixture.h"
#include "sparse-opt/Support/Bf16.h"
#include "llvm/ADT/STLExtras.h"

using namespace sparse_opt;

static BatchSplitter splitterOf(std::vector<ModelInput> inputs,
                                llvm::StringRef mask = "") {
  return llvm::cantFail(BatchSplitter::create(std::move(inputs), mask));
}

static std::vector<ModelRun> runsOf(const BatchSplitter &splitter,
                                    const std::vector<NpyArray> &arrays,
                                    int64_t rows) {
  std::vector<ModelRun> runs;
  llvm::cantFail(splitter.split(arrays, "f", rows, [&](const ModelRun &run) {
    runs.push_back(run);
    return llvm::Error::success();
  }));
  return runs;
}

static std::string errorOf(const BatchSplitter &splitter,
                           const std::vector<NpyArray> &arrays) {
  return llvm::toString(splitter.split(arrays, "f", 100, [](const ModelRun &) {
    return llvm::Error::success();
  }));
}

static std::vector<uint64_t> hashesOf(const std::vector<ModelRun> &runs) {
  std::vector<uint64_t> hashes;
  for (const ModelRun &run : runs)
    for (const Sequence &sequence : run.sequences)
      hashes.push_back(sequence.contentHash);
  llvm::sort(hashes);
  return hashes;
}

TEST(BatchesTest, SimilarLengthsShareARunWithoutColumnsOfPadding) {
  auto arrays = std::vector<NpyArray>{
      testArray("ids", {4, 4},
                {1, 2, 3, 4, 5, 0, 0, 0, 6, 7, 0, 0, 8, 0, 0, 0}),
      testArray("attention_mask", {4, 4},
                {1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0, 0})};
  std::vector<ModelRun> runs = runsOf(splitterOf(testInputs()), arrays, 6);
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].inputs[0].shape, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(runs[0].inputs[0].data, testArray("", {}, {5, 0, 8, 0, 6, 7}).data);
  EXPECT_EQ(runs[0].mask, (std::vector<uint8_t>{1, 0, 1, 0, 1, 1}));
  EXPECT_EQ(runs[1].inputs[1].shape, (std::vector<int64_t>{1, 4}));
}

TEST(BatchesTest, PaddingIsNoContent) {
  BatchSplitter splitter = splitterOf(testInputs());
  auto hashes = [&](int64_t length, std::vector<int64_t> ids,
                    std::vector<int64_t> mask) {
    return hashesOf(runsOf(splitter,
                           {testArray("ids", {1, length}, ids),
                            testArray("attention_mask", {1, length}, mask)},
                           100));
  };
  auto expected = hashes(2, {5, 6}, {1, 1});
  EXPECT_EQ(hashes(4, {5, 6, 9, 9}, {1, 1, 0, 0}), expected);
  EXPECT_EQ(hashes(3, {7, 5, 6}, {0, 1, 1}), expected);
  EXPECT_NE(hashes(2, {6, 5}, {1, 1}), expected);
  EXPECT_TRUE(hashes(2, {5, 6}, {0, 0}).empty());
}

TEST(BatchesTest, EmptyPastIsPartOfASequence) {
  // As decoders name their dimensions: the mask is as long as past and ids.
  std::vector<ModelInput> inputs = {{"input_ids", 7, {"batch", "seq"}},
                                    {"attention_mask", 7, {"batch", "total"}},
                                    {"past", 7, {"batch", "3", "past", "2"}}};
  std::vector<NpyArray> arrays = {
      testArray("input_ids", {2, 3}, {1, 2, 3, 4, 5, 0}),
      testArray("attention_mask", {2, 3}, {1, 1, 1, 1, 1, 0}),
      testArray("past", {2, 3, 0, 2}, {})};
  std::vector<ModelRun> runs = runsOf(splitterOf(inputs), arrays, 2);
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].inputs[0].shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(runs[0].inputs[2].shape, (std::vector<int64_t>{1, 3, 0, 2}));
  EXPECT_EQ(runs[0].sequences[0].inputs[2].shape,
            (std::vector<int64_t>{3, 0, 2}));
  // A past with contents: nothing can be cut off.
  arrays[1] = testArray("attention_mask", {2, 4}, {1, 1, 1, 0, 1, 1, 0, 0});
  arrays[2] = testArray("past", {2, 3, 1, 2}, std::vector<int64_t>(12, 1));
  runs = runsOf(splitterOf(inputs), arrays, 100);
  EXPECT_EQ(runs[0].inputs[1].shape, (std::vector<int64_t>{2, 4}));
}

TEST(BatchesTest, SaysWhatDoesNotFit) {
  BatchSplitter splitter = splitterOf(testInputs());
  auto ids = testArray("ids", {2, 2}, {1, 2, 3, 4});
  auto mask = testArray("attention_mask", {2, 2}, {1, 1, 1, 1});
  EXPECT_EQ(errorOf(splitter, {ids, mask}), "");
  EXPECT_EQ(errorOf(splitter, {ids}),
            "f: has no array for the input 'attention_mask'");
  EXPECT_EQ(errorOf(splitter, {ids, mask, testArray("y", {1}, {1})}),
            "f: the model has no input 'y'");
  EXPECT_EQ(
      errorOf(splitter, {ids, testArray("attention_mask", {4}, {1, 1, 1, 1})}),
      "f: 'attention_mask' is int64 of rank 1, but the model takes int64 "
      "of rank 2");
  EXPECT_EQ(
      errorOf(splitter, {ids, testArray("attention_mask", {1, 2}, {1, 1})}),
      "f: 'ids' holds 2 sequences, 'attention_mask' 1");
  NpyArray values{"x", 1, {2}, std::vector<uint8_t>(8, 0xff)};
  EXPECT_EQ(errorOf(splitterOf({{"x", 1, {"n"}}}), {values}),
            "f: 'x' holds NaN, first in element 0");
  auto refused = [](std::vector<ModelInput> inputs, llvm::StringRef mask) {
    auto splitter = BatchSplitter::create(std::move(inputs), mask);
    return splitter ? "" : llvm::toString(splitter.takeError());
  };
  EXPECT_EQ(refused(testInputs(), "mask"),
            "--row-mask=mask: the model has no such input");
  EXPECT_EQ(refused({{"attention_mask", 7, {"b", "1", "1", "n"}}}, ""),
            "--row-mask: 'attention_mask' has rank 4, not 2 (batch and "
            "position); --row-mask=none counts every row");
  EXPECT_EQ(refused({}, ""), "the model has no input with a dimension, so it "
                             "can't be calibrated");
}

//===----------------------------------------------------------------------===//
// Rows that count
//===----------------------------------------------------------------------===//

static llvm::Error collect(Collector &collector, const ModelRun &run,
                           std::vector<TestValues> &values) {
  std::vector<BlockRows> rows;
  for (const TestValues &value : values)
    rows.push_back(value.rows);
  return collector.add(run, rows);
}

static std::vector<TestValues> valuesOf(int64_t plainRows, int64_t gatedRows) {
  std::vector<CalibratedBlock> blocks = testBlocks();
  std::vector<TestValues> values;
  values.emplace_back(blocks[0], plainRows, 1);
  values.emplace_back(blocks[1], gatedRows, 2);
  return values;
}

TEST(CollectorTest, RowsWithMaskZeroAreNeverLookedAt) {
  ModelRun run = runsOf(splitterOf(testInputs()), testData(30, 6, 3), 1000)[0];
  int64_t count = run.mask.size();
  std::vector<TestValues> clean = valuesOf(count, count),
                          dirty = valuesOf(count, count);
  for (int64_t row = 0; row < count; ++row)
    if (!run.mask[row])
      dirty[0].up[row * 70] = dirty[1].x[row * 5] =
          dirty[0].act[row * 70 + 69] = NAN;
  Collector first(emptyProfile(), 1), second(emptyProfile(), 2);
  llvm::cantFail(collect(first, run, clean));
  llvm::cantFail(collect(second, run, dirty));
  CalibrationProfile profile = llvm::cantFail(first.finish());
  EXPECT_EQ(bytesOf(profile), bytesOf(llvm::cantFail(second.finish())));
  uint64_t valid = llvm::count(run.mask, 1);
  EXPECT_EQ(profile.rowsOf(0) + profile.heldOutRowsOf(0), valid);
}

TEST(CollectorTest, SamplesHoldTheRowsOfX) {
  ModelRun run = runsOf(splitterOf(testInputs()), testData(30, 6, 3), 1000)[0];
  int64_t count = run.mask.size();
  std::vector<TestValues> values = valuesOf(count, count);
  Collector collector(emptyProfile(1 << 20), 1);
  llvm::cantFail(collect(collector, run, values));
  CalibrationProfile profile = llvm::cantFail(collector.finish());
  const RowSample &sample = profile.rows[0].fit;
  ASSERT_EQ(sample.size(), profile.rowsOf(0));
  for (size_t i = 0; i < sample.size(); ++i) {
    auto sequence = llvm::find_if(run.sequences, [&](const Sequence &each) {
      return each.contentHash == sample.key(i).sequence;
    });
    size_t row = (sequence - run.sequences.begin()) * run.positions +
                 sample.key(i).position;
    for (size_t c = 0; c < 5; ++c) {
      EXPECT_EQ(sample.row(i)[c], toBf16(values[0].x[row * 5 + c]));
      EXPECT_EQ(sample.row(i)[5 + c], toBf16(values[0].residual[row * 5 + c]));
    }
  }
}

TEST(CollectorTest, BlocksOfOneRowASequenceCountToo) {
  ModelRun run = runsOf(splitterOf(testInputs()), testData(30, 6, 3), 1000)[0];
  std::vector<TestValues> values = valuesOf(run.mask.size(), 30);
  Collector collector(emptyProfile(), 1);
  llvm::cantFail(collect(collector, run, values));
  CalibrationProfile profile = llvm::cantFail(collector.finish());
  EXPECT_EQ(profile.rowsOf(1) + profile.heldOutRowsOf(1), 30u);
  values = valuesOf(run.mask.size(), 31);
  Collector another(emptyProfile(), 1);
  EXPECT_EQ(
      llvm::toString(collect(another, run, values)),
      "block 'gated' has 31 rows in a run of 30 sequences of 6 positions, "
      "so it can't be told which of them count (--row-mask=none counts "
      "all)");
}

TEST(CollectorTest, RefusesDataThatSaysNothing) {
  auto finish = [](int64_t sequences, int64_t length) {
    Collector collector(emptyProfile(), 1);
    if (sequences) {
      std::vector<int64_t> ids(sequences * length, 3),
          mask(sequences * length, 1);
      for (const ModelRun &run :
           runsOf(splitterOf(testInputs()),
                  {testArray("ids", {sequences, length}, ids),
                   testArray("attention_mask", {sequences, length}, mask)},
                  100)) {
        std::vector<TestValues> values =
            valuesOf(run.mask.size(), run.mask.size());
        llvm::cantFail(collect(collector, run, values));
      }
    }
    auto profile = collector.finish();
    return profile ? "" : llvm::toString(profile.takeError());
  };
  EXPECT_EQ(finish(0, 0), "the calibration set is empty: it has no row that "
                          "counts");
  EXPECT_EQ(finish(1, 1), "the calibration set has one row; statistics need "
                          "more");
}

TEST(CollectorTest, NamesTheBlockWithNan) {
  for (unsigned where = 0; where < 3; ++where) {
    ModelRun run =
        runsOf(splitterOf(testInputs()), testData(30, 6, 3), 1000)[0];
    int64_t count = run.mask.size();
    std::vector<TestValues> values = valuesOf(count, count);
    size_t row = 0;
    for (size_t i = 0; i < run.sequences.size(); ++i)
      if (isHeldOut(run.sequences[i].contentHash) == (where == 1))
        row = i * run.positions;
    (where == 2 ? values[0].residual[row * 5] : values[0].x[row * 5]) = NAN;
    Collector collector(emptyProfile(1 << 20), 2);
    EXPECT_EQ(llvm::toString(collect(collector, run, values)),
              std::string("block 'plain' has NaN or infinity in ") +
                  (where == 2 ? "residual" : "x") + ", row " +
                  std::to_string(row) + " of a run");
  }
}
