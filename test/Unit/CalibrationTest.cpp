// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Statistics and samples against loops that are obviously right; profiles
// that merge into the same bytes however it is done; files that were damaged.
#include "CalibrationFixture.h"
#include "sparse-opt/Support/Bf16.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/xxhash.h"
#include <cmath>

using namespace sparse_opt;

//===----------------------------------------------------------------------===//
// The grid
//===----------------------------------------------------------------------===//

/// By comparison instead of bits.
static unsigned plainBin(float value) {
  double magnitude = std::fabs(double(value));
  unsigned step = 0;
  for (unsigned octave = 0; octave < 16; ++octave)
    for (unsigned part = 0; part < 16; ++part)
      step += magnitude >= std::exp2(int(octave) - 8) * (1 + part / 16.0);
  step += magnitude >= 256;
  return value < 0 ? gridBinsPerSign - 1 - step : gridBinsPerSign + step;
}

TEST(GridTest, FindsTheBinOfEveryMagnitude) {
  std::mt19937 random(1);
  for (unsigned i = 0; i < 100000; ++i) {
    uint32_t bits = random();
    float value;
    memcpy(&value, &bits, sizeof(value));
    if (std::isfinite(value)) {
      EXPECT_EQ(gridBin(value), plainBin(value)) << value;
    }
  }
  for (float value : {0.0f, 0x1p-8f, 0x1.fffffep-9f, 256.0f, 0x1.fffffep7f,
                      1.0f, 0x1.0ffffep0f, 0x1.1p0f, 0x1p-149f, 0x1p127f}) {
    EXPECT_EQ(gridBin(value), plainBin(value)) << value;
    EXPECT_EQ(gridBin(-value), plainBin(-value)) << -value;
  }
  EXPECT_EQ(gridBin(-0.0f), gridBin(0.0f));
}

TEST(GridTest, ValuesLieInTheirBins) {
  for (unsigned bin = 0; bin < numGridBins; ++bin) {
    EXPECT_EQ(gridValue(bin), -gridValue(numGridBins - 1 - bin));
    if (bin != gridBinsPerSign - 1) { // values around 0 are taken to be +0
      EXPECT_EQ(gridBin(gridValue(bin)), bin);
    }
  }
  EXPECT_EQ(gridEdge(1), 0x1p-8f);
  EXPECT_EQ(gridEdge(gridBinsPerSign - 1), 256.0f);
  EXPECT_TRUE(std::isinf(gridEdge(gridBinsPerSign)));
}

TEST(GridTest, QuantilesAreWithinAStep) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> values;
  std::vector<uint32_t> counts(numGridBins);
  for (unsigned i = 0; i < 10000; ++i) {
    values.push_back(std::fabs(normal(random)));
    ++counts[gridBin(i % 2 ? values.back() : -values.back())];
  }
  llvm::sort(values);
  for (double q : {0.1, 0.5, 0.9, 0.99})
    EXPECT_NEAR(gridQuantileOfAbs(counts.data(), q), values[q * 10000],
                values[q * 10000] / 16);
  std::fill(counts.begin(), counts.end(), 0);
  EXPECT_EQ(gridQuantileOfAbs(counts.data(), 0.5), 0);
}

//===----------------------------------------------------------------------===//
// Statistics
//===----------------------------------------------------------------------===//

namespace {
struct Reference {
  double sum = 0, squares = 0;
  float low = INFINITY, high = -INFINITY;
  std::vector<uint32_t> bins = std::vector<uint32_t>(numGridBins);
  uint32_t zeros = 0;

  Reference(const std::vector<float> &values, size_t columns, size_t column,
            llvm::ArrayRef<uint32_t> rows) {
    for (uint32_t row : rows) {
      float value = values[row * columns + column];
      sum += value;
      squares += double(value) * value;
      low = std::fmin(low, value);
      high = std::fmax(high, value);
      zeros += value == 0;
      ++bins[plainBin(value)];
    }
  }
};
} // namespace

static void compare(const std::vector<float> &values, size_t columns,
                    llvm::ArrayRef<uint32_t> rows, const Moments &moments,
                    const Extremes &range, const uint32_t *bins,
                    const uint32_t *zeros, const uint64_t *pooled) {
  std::vector<uint64_t> together(numGridBins);
  for (size_t c = 0; c < columns; ++c) {
    Reference reference(values, columns, c, rows);
    EXPECT_EQ(moments.sum[c], reference.sum);
    EXPECT_EQ(moments.squares[c], reference.squares);
    EXPECT_EQ(range.low[c], reference.low);
    EXPECT_EQ(range.high[c], reference.high);
    for (unsigned bin = 0; bin < numGridBins; ++bin) {
      together[bin] += reference.bins[bin];
      if (bins)
        ASSERT_EQ(bins[c * numGridBins + bin], reference.bins[bin]);
    }
    if (zeros)
      EXPECT_EQ(zeros[c], reference.zeros);
  }
  for (unsigned bin = 0; pooled && bin < numGridBins; ++bin)
    ASSERT_EQ(pooled[bin], together[bin]);
}

TEST(StatisticsTest, AreThoseOfTheListedRows) {
  for (const CalibratedBlock &block : testBlocks()) {
    TestValues values(block, 50, 3);
    std::vector<uint32_t> rows = {0, 3, 4, 17, 49};
    BlockSums sums(block);
    BlockCounts counts(block);
    for (size_t group = 0; group < numColumnGroups(block); ++group) {
      std::vector<uint64_t> pooled(2 * numGridBins);
      EXPECT_TRUE(
          addGroup(block, values.rows, rows, group, sums, counts, pooled));
      for (unsigned bin = 0; bin < numGridBins; ++bin) {
        counts.x[bin] += pooled[bin];
        counts.act[bin] += pooled[numGridBins + bin];
      }
    }
    compare(values.x, block.d, rows, sums.x, counts.xRange, nullptr, nullptr,
            counts.x.data());
    compare(values.up, block.h, rows, sums.up, counts.upRange, counts.up.data(),
            nullptr, nullptr);
    compare(values.act, block.h, rows, sums.act, counts.actRange, nullptr,
            counts.zeros.data(), counts.act.data());
    if (block.gated)
      compare(values.gate, block.h, rows, sums.gate, counts.gateRange,
              counts.gate.data(), nullptr, nullptr);
  }
}

TEST(StatisticsTest, SeeValuesThatAreNotFinite) {
  CalibratedBlock block = testBlocks()[0];
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    TestValues values(block, 4, 5);
    values.up[2 * block.h + 69] = bad; // in the part of a group
    BlockSums sums(block);
    BlockCounts counts(block);
    std::vector<uint64_t> pooled(2 * numGridBins);
    unsigned failures = 0;
    for (size_t group = 0; group < numColumnGroups(block); ++group)
      failures +=
          !addGroup(block, values.rows, {0, 2}, group, sums, counts, pooled);
    EXPECT_EQ(failures, 1u);
    for (size_t group = 0; group < numColumnGroups(block); ++group)
      EXPECT_TRUE(
          addGroup(block, values.rows, {0, 1, 3}, group, sums, counts, pooled));
  }
}

//===----------------------------------------------------------------------===//
// Samples
//===----------------------------------------------------------------------===//

TEST(SampleTest, Bf16IsTheNearest) {
  EXPECT_EQ(fromBf16(toBf16(1.0f)), 1.0f);
  EXPECT_EQ(fromBf16(toBf16(-0x1.01p0f)), -1.0f); // a tie, to even
  EXPECT_EQ(fromBf16(toBf16(0x1.03p0f)), 0x1.04p0f);
  EXPECT_EQ(fromBf16(toBf16(0x1.010002p0f)), 0x1.02p0f);
  // A NaN whose payload rounding would carry away.
  float nan;
  uint32_t bits = 0x7f800001, all = 0xffffffff;
  std::memcpy(&nan, &bits, sizeof(nan));
  EXPECT_TRUE(std::isnan(fromBf16(toBf16(nan))));
  std::memcpy(&nan, &all, sizeof(nan));
  EXPECT_TRUE(std::isnan(fromBf16(toBf16(nan))));
}

TEST(SampleTest, KeepsTheSmallestHashes) {
  std::mt19937 random(4);
  RowSample sample(10, 2), other(10, 2);
  std::vector<uint64_t> hashes;
  for (unsigned i = 0; i < 200; ++i) {
    uint64_t hash = random() % 150; // some come twice
    hashes.push_back(hash);
    float value = float(hash);
    (i % 3 ? sample : other).add({hash, 1, i}, {value}, {-value});
  }
  sample.merge(other);
  sample.sort();
  llvm::sort(hashes);
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
  ASSERT_EQ(sample.size(), 10u);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(sample.key(i).hash, hashes[i]);
    EXPECT_EQ(sample.columnsOf(1, 1)[i], -float(hashes[i]));
  }
  sample.setCapacity(3);
  EXPECT_EQ(sample.size(), 3u);
  EXPECT_TRUE(sample.wants(hashes[1]));
  EXPECT_FALSE(sample.wants(hashes[5]));
  RowSample none(0, 2);
  EXPECT_FALSE(none.wants(0));
}

TEST(SampleTest, EqualHashesAreOneRowWhateverTheOrder) {
  RowSample a(4, 1), b(4, 1);
  for (float value : {2.0f, 1.0f, 3.0f})
    a.add({9, 0, 0}, {value}, {});
  for (float value : {3.0f, 2.0f, 1.0f})
    b.add({9, 0, 0}, {value}, {});
  ASSERT_EQ(a.size(), 1u);
  EXPECT_EQ(a.columnsOf(0, 1), b.columnsOf(0, 1));
}

TEST(SampleTest, SequencesMergeInAnyOrder) {
  std::mt19937 random(6);
  for (unsigned round = 0; round < 300; ++round) {
    SequenceSample parts[3] = {SequenceSample(200), SequenceSample(200),
                               SequenceSample(200)};
    SequenceSample whole(200);
    for (unsigned i = 0; i < 12; ++i) {
      SampledSequence sequence{random() % 40, {{{1}, {}}}};
      sequence.inputs[0].data.resize(sequence.hash * 7 % 60);
      whole.add(sequence);
      parts[random() % 3].add(sequence);
    }
    unsigned order[] = {0, 1, 2};
    do {
      SequenceSample left = parts[order[0]], right = parts[order[1]];
      left.merge(parts[order[1]]);
      left.merge(parts[order[2]]);
      right.merge(parts[order[2]]);
      right.merge(parts[order[0]]);
      for (const SequenceSample *merged : {&left, &right}) {
        ASSERT_EQ(merged->horizon(), whole.horizon());
        ASSERT_EQ(merged->get().size(), whole.get().size());
        for (size_t i = 0; i < whole.get().size(); ++i)
          ASSERT_EQ(merged->get()[i].hash, whole.get()[i].hash);
      }
    } while (std::next_permutation(order, order + 3));
  }
}

//===----------------------------------------------------------------------===//
// Profiles
//===----------------------------------------------------------------------===//

TEST(ProfileTest, DoesNotDependOnThreads) {
  std::string one = bytesOf(testProfile(1));
  for (unsigned threads : {2, 3, 8})
    EXPECT_EQ(bytesOf(testProfile(1, threads)), one);
}

TEST(ProfileTest, MergesInAnyOrderIntoTheSameBytes) {
  CalibrationProfile parts[4];
  for (unsigned i = 0; i < 4; ++i)
    parts[i] = testProfile(10 + i);
  unsigned order[] = {0, 1, 2, 3};
  std::string expected;
  do {
    // ((a b) c) d, and (a b) (c d).
    CalibrationProfile chain = parts[order[0]], left = chain,
                       right = parts[order[2]];
    for (unsigned i = 1; i < 4; ++i)
      llvm::cantFail(mergeProfile(chain, parts[order[i]], "a", "b"));
    llvm::cantFail(mergeProfile(left, parts[order[1]], "a", "b"));
    llvm::cantFail(mergeProfile(right, parts[order[3]], "a", "b"));
    llvm::cantFail(mergeProfile(left, right, "a", "b"));
    if (expected.empty())
      expected = bytesOf(chain);
    ASSERT_EQ(bytesOf(chain), expected);
    ASSERT_EQ(bytesOf(left), expected);
  } while (std::next_permutation(order, order + 4));
}

TEST(ProfileTest, CountsEveryRowOnce) {
  CalibrationProfile merged = testProfile(20);
  llvm::cantFail(mergeProfile(merged, testProfile(21), "a", "b"));
  EXPECT_EQ(merged.numSequences(), 80u);
  for (size_t i = 0; i < merged.blocks.size(); ++i) {
    uint64_t entries = 0;
    for (uint64_t count : merged.counts[i].x)
      entries += count;
    EXPECT_EQ(entries, merged.rowsOf(i) * merged.blocks[i].d);
    EXPECT_EQ(merged.sumsOf(i).rows, merged.rowsOf(i));
    EXPECT_GT(merged.heldOutRowsOf(i), 0u);
    EXPECT_GT(merged.rows[i].fit.size(), 0u);
    for (size_t r = 0; r < merged.rows[i].fit.size(); ++r)
      EXPECT_FALSE(isHeldOut(merged.rows[i].fit.key(r).sequence));
    for (size_t r = 0; r < merged.rows[i].heldOut.size(); ++r)
      EXPECT_TRUE(isHeldOut(merged.rows[i].heldOut.key(r).sequence));
  }
  EXPECT_EQ(merged.find("gated"), 1u);
  EXPECT_EQ(merged.find("none"), std::nullopt);
}

TEST(ProfileTest, RefusesToMergeWhatDoesNotBelongTogether) {
  CalibrationProfile profile = testProfile(30), other = testProfile(31);
  auto sentence = [&] {
    return llvm::toString(mergeProfile(profile, other, "a", "b"));
  };
  other.modelHash = "ffff";
  EXPECT_EQ(sentence(), "b: is a profile of another model: its weights have "
                        "the hash ffff, those of a have 0123abcd");
  other = profile;
  EXPECT_EQ(sentence(), "b: holds data that a holds too; it would count twice");
  other = testProfile(31);
  other.seed = 8;
  EXPECT_EQ(sentence(), "b: was sampled with --seed=8, a with 7");
  other = testProfile(31);
  other.blocks[0].activation = "relu";
  EXPECT_EQ(sentence(), "b: has other inputs or FFN blocks of the model than "
                        "a; calibrate both with one version");
  other = testProfile(31);
  other.shards[0].sums[1].rows = UINT32_MAX;
  EXPECT_EQ(sentence(), "b: with its rows a block would have more than "
                        "4294967295, which is all that a profile can count");
}

//===----------------------------------------------------------------------===//
// Files
//===----------------------------------------------------------------------===//

static std::string errorOf(llvm::StringRef bytes) {
  auto profile = parseProfile(bytes, "p");
  return profile ? "" : llvm::toString(profile.takeError());
}

TEST(ProfileFileTest, ReadsBackWhatWasWritten) {
  CalibrationProfile profile = testProfile(40);
  std::string bytes = bytesOf(profile);
  CalibrationProfile read = llvm::cantFail(parseProfile(bytes, "p"));
  EXPECT_EQ(bytesOf(read), bytes);
  EXPECT_EQ(read.counts[1].gate, profile.counts[1].gate);
  EXPECT_EQ(read.sumsOf(0).up.squares, profile.sumsOf(0).up.squares);
  EXPECT_EQ(read.rows[0].fit.row(3), profile.rows[0].fit.row(3));
  EXPECT_EQ(read.sequences.fit.get()[0].inputs,
            profile.sequences.fit.get()[0].inputs);
}

TEST(ProfileFileTest, RefusesDamagedFiles) {
  std::string bytes = bytesOf(testProfile(41, 1, 12));
  EXPECT_EQ(errorOf(""), "p: not a profile made by 'sparse-opt calibrate'");
  EXPECT_EQ(errorOf(bytes.substr(0, bytes.size() - 1)),
            "p: is truncated or has something added: " +
                std::to_string(bytes.size() - 33) +
                " bytes after its header instead of " +
                std::to_string(bytes.size() - 32));
  std::string newer = bytes;
  newer[8] = 2;
  EXPECT_EQ(errorOf(newer), "p: has version 2 of the format of profiles; this "
                            "sparse-opt reads version 1");
  for (size_t i = 0; i < bytes.size(); i += 1 + i / 64) {
    std::string altered = bytes;
    altered[i] ^= 1 << i % 8;
    EXPECT_NE(errorOf(altered), "") << i;
    EXPECT_NE(errorOf(llvm::StringRef(bytes).take_front(i)), "") << i;
  }
}

/// `payload` behind a header that is right for it.
static std::string withHeader(const std::string &payload) {
  std::string header("SOPROF\r\n\1\0\0\0\0\0\0\0", 16);
  uint64_t words[] = {payload.size(),
                      llvm::xxh3_64bits(llvm::StringRef(payload))};
  header.append(reinterpret_cast<const char *>(words), sizeof(words));
  return header + payload;
}

TEST(ProfileFileTest, SurvivesAnyContentWithARightChecksum) {
  std::string bytes = bytesOf(testProfile(42, 1, 12));
  std::mt19937 random(8);
  for (unsigned round = 0; round < 400; ++round) {
    std::string altered = bytes.substr(32);
    for (unsigned i = 0; i <= round % 3; ++i)
      altered[random() % (round % 2 ? 200 : altered.size())] = char(random());
    if (round % 5 == 0)
      altered.resize(random() % altered.size());
    (void)errorOf(withHeader(altered)); // an error or not, but no crash
  }
}
