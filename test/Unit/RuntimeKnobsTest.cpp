// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Knobs, telemetry and drift, on the hand-written model with two blocks of 8
// neurons: a run selects, of each row, as many as the knob "first.kept" says in
// the first block, and none of "second", which computes all.
#include "FixtureModel.h"
#include "lib/Runtime/Internal.h"
#include "gtest/gtest.h"
#include <limits>
#include <string>
#include <vector>

namespace {

void runBlocks(so_call *call) {
  fixture::run(call);
  uint64_t rows = call->symbols[0];
  so_block_counts &first = call->blocks[0], &second = call->blocks[1];
  first.rows += rows;
  first.selected += rows * uint64_t(call->knobs[0]);
  if (call->knobs[0] > call->knobs[1])
    first.guarded += rows;
  second.rows += rows;
  second.whole += rows;
}

const so_knob knobs[] = {{"first.kept", 2}, {"first.crossover", 6}};
const so_block blocks[] = {{"first", 8, 0.2, 0.5}, {"second", 8, 0, 0}};
const so_variant variants[] = {{"baseline", 0, fixture::plan, runBlocks}};

class RuntimeKnobsTest : public testing::Test {
protected:
  RuntimeKnobsTest() : model(fixture::model()) {
    model.variants = variants;
    model.num_variants = 1;
    model.num_knobs = 2;
    model.num_blocks = 2;
    model.knobs = knobs;
    model.blocks = blocks;
    api = so_runtime_bind(&model, &storage);
  }
  ~RuntimeKnobsTest() override { api->instance_destroy(instance); }

  sparse_opt_status create(std::vector<sparse_opt_knob> given = {}) {
    sparse_opt_options options = {
        sizeof(options), 1, nullptr, given.data(), uint32_t(given.size()), 0};
    return api->instance_create(api->model, &options, &instance);
  }

  void run(int64_t rows) {
    int64_t rowDims[] = {rows, 4}, idDims[] = {1}, id = 3;
    std::vector<float> a(rows * 4), sum(rows * 4);
    std::vector<sparse_opt_tensor> in = {
        {"a", 1, 2, rowDims, a.data(), a.size() * 4},
        {"b", 1, 2, rowDims, a.data(), a.size() * 4},
        {"ids", 7, 1, idDims, &id, 8}};
    sparse_opt_tensor out = {"sum", 1, 2, nullptr, sum.data(), sum.size() * 4};
    ASSERT_EQ(api->run(instance, in.data(), in.size(), &out, 1), SPARSE_OPT_OK)
        << api->last_error();
  }

  std::vector<sparse_opt_block_stats> stats() {
    std::vector<sparse_opt_block_stats> result(2);
    uint32_t count = 0;
    EXPECT_EQ(api->telemetry(instance, result.data(), 2, &count),
              SPARSE_OPT_OK);
    EXPECT_EQ(count, 2u);
    return result;
  }

  double get(const char *name) {
    double value = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(api->knob_get(instance, name, &value), SPARSE_OPT_OK);
    return value;
  }

  so_model model;
  sparse_opt_api storage = {};
  const sparse_opt_api *api = nullptr;
  sparse_opt_instance *instance = nullptr;
};

struct Told {
  std::vector<std::string> blocks;
  std::vector<double> densities;
};

void tell(void *user, const char *block, double density, double low,
          double high) {
  auto *told = static_cast<Told *>(user);
  told->blocks.push_back(block);
  told->densities.push_back(density);
  EXPECT_EQ(low, 0.2);
  EXPECT_EQ(high, 0.5);
}

} // namespace

TEST_F(RuntimeKnobsTest, AreSetAtTheStartAndLater) {
  ASSERT_EQ(create({{"first.kept", 4}}), SPARSE_OPT_OK);
  EXPECT_EQ(get("first.kept"), 4);
  EXPECT_EQ(get("first.crossover"), 6);
  EXPECT_EQ(api->knob_set(instance, "first.kept", 3), SPARSE_OPT_OK);
  EXPECT_EQ(get("first.kept"), 3);
  run(2);
  EXPECT_EQ(stats()[0].density, 3 / 8.0);
}

TEST_F(RuntimeKnobsTest, BelongToAnInstance) {
  ASSERT_EQ(create(), SPARSE_OPT_OK);
  sparse_opt_instance *first = instance;
  ASSERT_EQ(create({{"first.kept", 7}}), SPARSE_OPT_OK);
  run(1);
  std::swap(first, instance);
  EXPECT_EQ(get("first.kept"), 2);
  EXPECT_EQ(stats()[0].rows, 0u);
  api->instance_destroy(first);
}

TEST_F(RuntimeKnobsTest, RefuseWhatIsWrong) {
  EXPECT_EQ(create({{"kept", 4}}), SPARSE_OPT_UNKNOWN_NAME);
  EXPECT_STREQ(api->last_error(), "the model has no knob \"kept\"; the first "
                                  "of its 2 is \"first.kept\"");
  EXPECT_EQ(create({{nullptr, 4}}), SPARSE_OPT_INVALID_ARGUMENT);
  ASSERT_EQ(create(), SPARSE_OPT_OK);
  double nan = std::numeric_limits<double>::quiet_NaN(), value = 0;
  EXPECT_EQ(api->knob_set(instance, "first.kept", nan),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_STREQ(api->last_error(), "knob \"first.kept\" can't be NaN");
  EXPECT_EQ(get("first.kept"), 2);
  EXPECT_EQ(api->knob_get(instance, "first.kept", nullptr),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_EQ(api->knob_get(nullptr, "first.kept", &value),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_EQ(api->telemetry(instance, nullptr, 2, nullptr),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_EQ(api->on_drift(nullptr, tell, nullptr), SPARSE_OPT_INVALID_ARGUMENT);
}

TEST_F(RuntimeKnobsTest, TelemetryAddsUpRuns) {
  ASSERT_EQ(create(), SPARSE_OPT_OK);
  run(3);
  ASSERT_EQ(api->knob_set(instance, "first.kept", 7), SPARSE_OPT_OK);
  run(1); // above the crossover
  auto now = stats();
  EXPECT_STREQ(now[0].block, "first");
  EXPECT_EQ(now[0].rows, 4u);
  EXPECT_EQ(now[0].fallbacks, 1u);
  EXPECT_EQ(now[0].density, (3 * 2 + 7) / (4 * 8.0));
  EXPECT_EQ(now[1].rows, 4u);
  EXPECT_EQ(now[1].fallbacks, 4u);
  EXPECT_EQ(now[1].density, 0); // of no row that selects
}

TEST_F(RuntimeKnobsTest, TelemetryOfFewerBlocksThanThereAre) {
  ASSERT_EQ(create(), SPARSE_OPT_OK);
  run(1);
  sparse_opt_block_stats one = {};
  uint32_t count = 0;
  EXPECT_EQ(api->telemetry(instance, &one, 1, &count), SPARSE_OPT_OK);
  EXPECT_EQ(count, 2u);
  EXPECT_STREQ(one.block, "first");
}

TEST_F(RuntimeKnobsTest, DriftIsToldOncePerWindowOutsideTheBand) {
  ASSERT_EQ(create(), SPARSE_OPT_OK);
  Told told;
  run(SPARSE_OPT_DRIFT_ROWS * 4); // before anybody asked
  ASSERT_EQ(api->on_drift(instance, tell, &told), SPARSE_OPT_OK);
  run(SPARSE_OPT_DRIFT_ROWS); // 2 of 8: inside
  EXPECT_TRUE(told.blocks.empty());
  ASSERT_EQ(api->knob_set(instance, "first.kept", 5), SPARSE_OPT_OK);
  run(SPARSE_OPT_DRIFT_ROWS - 1);
  EXPECT_TRUE(told.blocks.empty());
  run(1);
  EXPECT_EQ(told.blocks, std::vector<std::string>{"first"});
  EXPECT_EQ(told.densities, std::vector<double>{5 / 8.0});
  ASSERT_EQ(api->on_drift(instance, nullptr, nullptr), SPARSE_OPT_OK);
  run(SPARSE_OPT_DRIFT_ROWS);
  EXPECT_EQ(told.blocks.size(), 1u);
}
