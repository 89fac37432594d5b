// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs through the public table of functions: every mistake a caller can make
// is refused with its sentence, and correct calls give the right numbers.
#include "FixtureModel.h"
#include "lib/Runtime/Internal.h"
#include "gtest/gtest.h"
#include <cstdlib>
#include <limits>
#include <string>
#include <thread>
#include <vector>

namespace {

class RuntimeTest : public testing::Test {
protected:
  void SetUp() override {
    api = so_runtime_bind(&model, &storage);
    ASSERT_NE(api, nullptr);
    sparse_opt_options options = {sizeof(options), 2, nullptr, nullptr, 0, 0};
    ASSERT_EQ(api->instance_create(api->model, &options, &instance),
              SPARSE_OPT_OK)
        << api->last_error();
    resize(3, 2);
  }

  void TearDown() override { api->instance_destroy(instance); }

  /// Inputs and outputs for n rows and m ids.
  void resize(int64_t n, int64_t m) {
    rowDims[0] = n;
    idDims[0] = m;
    a.assign(n * 4, 1.0f);
    b.assign(n * 4, 2.0f);
    ids.assign(m, 3);
    sum.assign(n * 4, -1.0f);
    in = {{"a", 1, 2, rowDims, a.data(), a.size() * 4},
          {"b", 1, 2, rowDims, b.data(), b.size() * 4},
          {"ids", 7, 1, idDims, ids.data(), ids.size() * 8}};
    out = {{"sum", 1, 2, nullptr, sum.data(), sum.size() * 4}};
  }

  sparse_opt_status run() {
    return api->run(instance, in.data(), in.size(), out.data(), out.size());
  }

  void expectError(sparse_opt_status expected, const char *message) {
    EXPECT_EQ(run(), expected);
    EXPECT_STREQ(api->last_error(), message);
    // Nothing sticks: the next correct call succeeds.
    resize(3, 2);
    EXPECT_EQ(run(), SPARSE_OPT_OK) << api->last_error();
  }

  so_model model = fixture::model();
  sparse_opt_api storage = {};
  const sparse_opt_api *api = nullptr;
  sparse_opt_instance *instance = nullptr;
  int64_t rowDims[2] = {0, 4}, idDims[1];
  std::vector<float> a, b, sum;
  std::vector<int64_t> ids;
  std::vector<sparse_opt_tensor> in, out;
};

TEST_F(RuntimeTest, ComputesIntoCallersBuffer) {
  ASSERT_EQ(run(), SPARSE_OPT_OK) << api->last_error();
  for (int i = 0; i < 12; ++i)
    EXPECT_EQ(sum[i], 3.5f + i % 4);
  EXPECT_EQ(out[0].rank, 2);
  EXPECT_EQ(out[0].dims[0], 3);
  EXPECT_EQ(out[0].dims[1], 4);
  EXPECT_EQ(out[0].bytes, 48u);
  EXPECT_EQ(out[0].data, sum.data());
}

TEST_F(RuntimeTest, OwnsOutputsOnRequest) {
  out = {{"joined", 0, 0, nullptr, nullptr, 0},
         {"sum", 0, 0, nullptr, nullptr, 0}};
  ASSERT_EQ(run(), SPARSE_OPT_OK) << api->last_error();
  EXPECT_EQ(out[0].dims[0], 5);
  EXPECT_EQ(out[0].element_type, SPARSE_OPT_FLOAT);
  EXPECT_EQ(static_cast<float *>(out[1].data)[11], 6.5f);
  void *first = out[1].data;
  out[1] = {"sum", 0, 0, nullptr, nullptr, 0};
  ASSERT_EQ(run(), SPARSE_OPT_OK);
  EXPECT_EQ(out[1].data, first) << "a warm run allocates nothing";
}

TEST_F(RuntimeTest, InputsMayComeInAnyOrder) {
  std::swap(in[0], in[2]);
  EXPECT_EQ(run(), SPARSE_OPT_OK) << api->last_error();
  EXPECT_EQ(sum[0], 3.5f);
}

TEST_F(RuntimeTest, ZeroRowsGiveZeroRows) {
  resize(0, 0);
  in[0].data = in[1].data = in[2].data = nullptr;
  int before = fixture::runCalls;
  ASSERT_EQ(run(), SPARSE_OPT_OK) << api->last_error();
  EXPECT_EQ(out[0].dims[0], 0);
  EXPECT_EQ(out[0].bytes, 0u);
  EXPECT_EQ(fixture::runCalls, before);
  resize(0, 2); // one output has elements, so the model runs
  EXPECT_EQ(run(), SPARSE_OPT_OK) << api->last_error();
  EXPECT_EQ(fixture::runCalls, before + 1);
}

TEST_F(RuntimeTest, PlansAreCachedPerShape) {
  int before = fixture::planCalls;
  for (int i = 0; i < 3; ++i)
    for (int64_t n : {1, 2, 5}) {
      resize(n, 1);
      ASSERT_EQ(run(), SPARSE_OPT_OK);
    }
  EXPECT_EQ(fixture::planCalls, before + 3);
  for (int64_t n = 1; n < 40; ++n) { // more than the cache holds
    resize(n, 1);
    ASSERT_EQ(run(), SPARSE_OPT_OK);
    ASSERT_EQ(out[0].dims[0], n);
  }
}

TEST_F(RuntimeTest, OutputShapesNeedNoData) {
  in[0].data = in[1].data = in[2].data = nullptr;
  int64_t dims[4] = {};
  ASSERT_EQ(api->output_shapes(instance, in.data(), 3, dims, 4), SPARSE_OPT_OK);
  EXPECT_EQ(dims[0], 3);
  EXPECT_EQ(dims[1], 4);
  EXPECT_EQ(dims[2], 3);
  EXPECT_EQ(dims[3], 5);
  EXPECT_EQ(api->output_shapes(instance, in.data(), 3, dims, 3),
            SPARSE_OPT_BUFFER_TOO_SMALL);
  EXPECT_STREQ(api->last_error(),
               "the outputs have 4 dimensions, but dims has room for 3");
}

TEST_F(RuntimeTest, RefusesUnknownInput) {
  in[1].name = "c";
  expectError(SPARSE_OPT_UNKNOWN_NAME,
              "the model has no input \"c\"; its inputs are \"a\", \"b\", "
              "\"ids\"");
}

TEST_F(RuntimeTest, RefusesInputGivenTwice) {
  in[1].name = "a";
  expectError(SPARSE_OPT_INVALID_ARGUMENT, "input \"a\" is given twice");
}

TEST_F(RuntimeTest, RefusesMissingInput) {
  in.pop_back();
  expectError(SPARSE_OPT_INVALID_ARGUMENT, "input \"ids\" is missing");
}

TEST_F(RuntimeTest, RefusesInputWithoutName) {
  in[2].name = nullptr;
  expectError(SPARSE_OPT_INVALID_ARGUMENT, "input 2 has no name");
}

TEST_F(RuntimeTest, RefusesWrongType) {
  in[2].element_type = SPARSE_OPT_INT32;
  expectError(SPARSE_OPT_WRONG_TYPE, "input \"ids\" must be int64, not int32");
  in[2].element_type = 99;
  expectError(SPARSE_OPT_WRONG_TYPE,
              "input \"ids\" must be int64, not an unknown type");
}

TEST_F(RuntimeTest, RefusesWrongRank) {
  in[0].rank = 1;
  expectError(SPARSE_OPT_WRONG_SHAPE,
              "input \"a\" must have 2 dimensions [n, 4], not 1");
  in[2].rank = -7;
  expectError(SPARSE_OPT_WRONG_SHAPE,
              "input \"ids\" must have 1 dimension [m], not -7");
}

TEST_F(RuntimeTest, RefusesWrongStaticDim) {
  int64_t dims[2] = {3, 5};
  in[1].dims = dims;
  expectError(SPARSE_OPT_WRONG_SHAPE,
              "dimension 1 of input \"b\" must be 4, not 5");
}

TEST_F(RuntimeTest, RefusesNegativeDim) {
  int64_t dims[2] = {-3, 4};
  in[0].dims = dims;
  expectError(SPARSE_OPT_WRONG_SHAPE,
              "dimension 0 of input \"a\" is negative (-3)");
}

TEST_F(RuntimeTest, InconsistentSymbolNamesBothInputs) {
  int64_t dims[2] = {2, 4};
  in[1].dims = dims;
  expectError(SPARSE_OPT_WRONG_SHAPE,
              "\"n\" is 3 in input \"a\" (dimension 0), but 2 in input \"b\" "
              "(dimension 0)");
}

TEST_F(RuntimeTest, RefusesWrongSize) {
  in[0].bytes = 47;
  expectError(SPARSE_OPT_INVALID_ARGUMENT,
              "input \"a\" of shape [3, 4] has 47 bytes of data instead of 48");
}

TEST_F(RuntimeTest, RefusesOverflowingSizes) {
  rowDims[0] = std::numeric_limits<int64_t>::max();
  expectError(SPARSE_OPT_WRONG_SHAPE, "input \"a\" is too large");
  int64_t dims[4];
  rowDims[0] = std::numeric_limits<int64_t>::max() / 2;
  EXPECT_EQ(api->output_shapes(instance, in.data(), 3, dims, 4),
            SPARSE_OPT_WRONG_SHAPE);
  EXPECT_STREQ(api->last_error(), "these inputs make output \"sum\" too large");
  rowDims[0] = int64_t(1) << 41;
  EXPECT_EQ(api->output_shapes(instance, in.data(), 3, dims, 4),
            SPARSE_OPT_WRONG_SHAPE);
  EXPECT_STREQ(api->last_error(),
               "these inputs need more memory than can be addressed");
}

TEST_F(RuntimeTest, RefusesNullPointers) {
  in[0].data = nullptr;
  expectError(SPARSE_OPT_INVALID_ARGUMENT, "input \"a\" has no data");
  in[1].dims = nullptr;
  expectError(SPARSE_OPT_INVALID_ARGUMENT, "input \"b\" has no dims");
  EXPECT_EQ(api->run(nullptr, in.data(), 3, out.data(), 1),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_EQ(api->run(instance, nullptr, 3, out.data(), 1),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_EQ(api->run(instance, in.data(), 3, nullptr, 1),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_STREQ(api->last_error(), "outputs is NULL");
  sparse_opt_pool *pool = nullptr;
  EXPECT_EQ(api->pool_create(nullptr, 1, &pool), SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_EQ(api->pool_create(api->model, 1, nullptr),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_EQ(api->instance_create(api->model, nullptr, nullptr),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_EQ(api->output_shapes(instance, in.data(), 3, nullptr, 4),
            SPARSE_OPT_INVALID_ARGUMENT);
  api->instance_destroy(nullptr);
  api->pool_destroy(nullptr);
}

TEST_F(RuntimeTest, RefusesMisalignedData) {
  in[0].data = reinterpret_cast<char *>(a.data()) + 2;
  expectError(SPARSE_OPT_INVALID_ARGUMENT,
              "the data of input \"a\" is not aligned to 4 bytes");
  out[0].data = reinterpret_cast<char *>(sum.data()) + 1;
  expectError(SPARSE_OPT_INVALID_ARGUMENT,
              "the buffer of output \"sum\" is not aligned to 4 bytes");
}

TEST_F(RuntimeTest, RefusesBadOutputs) {
  out[0].name = "product";
  expectError(SPARSE_OPT_UNKNOWN_NAME,
              "the model has no output \"product\"; its outputs are \"sum\", "
              "\"threads\", \"joined\"");
  out.push_back({"sum", 0, 0, nullptr, nullptr, 0});
  expectError(SPARSE_OPT_INVALID_ARGUMENT, "output \"sum\" is asked for twice");
  out[0].element_type = SPARSE_OPT_DOUBLE;
  expectError(SPARSE_OPT_WRONG_TYPE, "output \"sum\" is float32, not float64");
  out[0].bytes = 47;
  expectError(SPARSE_OPT_BUFFER_TOO_SMALL,
              "output \"sum\" of shape [3, 4] needs 48 bytes, but its buffer "
              "has 47");
  out[0].data = a.data() + 4;
  expectError(SPARSE_OPT_INVALID_ARGUMENT,
              "the buffer of output \"sum\" overlaps input \"a\"");
  out[0].name = nullptr;
  expectError(SPARSE_OPT_INVALID_ARGUMENT, "output 0 has no name");
}

TEST_F(RuntimeTest, ReportsTheIndexTheModelRefused) {
  ids[1] = 10;
  expectError(SPARSE_OPT_OUT_OF_RANGE,
              "/embeddings/Gather (input \"ids\"): index 10 is outside "
              "[-10, 10)");
}

TEST_F(RuntimeTest, HasNoKnobsAndNoSparseBlocks) {
  double value = 0;
  EXPECT_EQ(api->knob_get(instance, "threshold", &value),
            SPARSE_OPT_UNKNOWN_NAME);
  EXPECT_STREQ(api->last_error(), "the model has no knob \"threshold\"");
  EXPECT_EQ(api->knob_set(instance, "threshold", 1), SPARSE_OPT_UNKNOWN_NAME);
  EXPECT_EQ(api->knob_set(instance, nullptr, 1), SPARSE_OPT_INVALID_ARGUMENT);
  uint32_t count = 7;
  EXPECT_EQ(api->telemetry(instance, nullptr, 0, &count), SPARSE_OPT_OK);
  EXPECT_EQ(count, 0u);
}

TEST_F(RuntimeTest, TimesLaunchesOnRequest) {
  uint64_t total = 1, launches[4] = {};
  uint32_t count = 7;
  ASSERT_EQ(run(), SPARSE_OPT_OK);
  ASSERT_EQ(api->profile(instance, &total, launches, 4, &count), SPARSE_OPT_OK);
  EXPECT_EQ(count, 0u) << "nobody asked";
  EXPECT_EQ(total, 0u);

  ASSERT_EQ(api->profile_enable(instance, 1), SPARSE_OPT_OK);
  for (int64_t number : {0, 2}) {
    fixture::launchNumber = number;
    ASSERT_EQ(run(), SPARSE_OPT_OK);
    ASSERT_EQ(api->profile(instance, &total, launches, 4, &count),
              SPARSE_OPT_OK);
    ASSERT_EQ(count, number + 1) << "of the last run alone";
    EXPECT_GT(launches[number], 0u);
    EXPECT_LE(launches[number], total);
  }
  EXPECT_EQ(launches[0], 0u) << "launches that didn't run took no time";
  EXPECT_EQ(api->profile(instance, &total, nullptr, 0, &count), SPARSE_OPT_OK);
  EXPECT_EQ(count, 3u);
  fixture::launchNumber = 0;

  ASSERT_EQ(api->profile_enable(instance, 0), SPARSE_OPT_OK);
  ASSERT_EQ(run(), SPARSE_OPT_OK);
  EXPECT_EQ(api->profile(instance, &total, nullptr, 0, &count), SPARSE_OPT_OK);
  EXPECT_EQ(count, 3u) << "still of the last one that was timed";
}

TEST_F(RuntimeTest, AddsUpLaunchesOfOneNumber) {
  uint64_t total = 0, launches[2] = {};
  uint32_t count = 0;
  ASSERT_EQ(api->profile_enable(instance, 1), SPARSE_OPT_OK);
  fixture::timesLaunched = 50;
  ASSERT_EQ(run(), SPARSE_OPT_OK);
  fixture::timesLaunched = 1;
  ASSERT_EQ(api->profile(instance, &total, launches, 2, &count), SPARSE_OPT_OK);
  EXPECT_EQ(count, 1u);
  EXPECT_LE(launches[0], total);
}

TEST_F(RuntimeTest, RefusesToReadProfilesIntoNothing) {
  uint64_t total;
  uint32_t count;
  EXPECT_EQ(api->profile_enable(nullptr, 1), SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_EQ(api->profile(instance, &total, nullptr, 1, &count),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_STREQ(api->last_error(), "launches is NULL");
  EXPECT_EQ(api->profile(instance, nullptr, nullptr, 0, &count),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_STREQ(api->last_error(), "total is NULL");
}

TEST_F(RuntimeTest, RefusesBadOptions) {
  sparse_opt_instance *other = nullptr;
  sparse_opt_knob knob = {"threshold", 1.0};
  sparse_opt_options options = {sizeof(options), 1, nullptr, &knob, 1, 0};
  EXPECT_EQ(api->instance_create(api->model, &options, &other),
            SPARSE_OPT_UNKNOWN_NAME);
  EXPECT_EQ(other, nullptr);
  options = {0, 1, nullptr, nullptr, 0, 0};
  EXPECT_EQ(api->instance_create(api->model, &options, &other),
            SPARSE_OPT_INVALID_ARGUMENT);
  options = {sizeof(options), 4096, nullptr, nullptr, 0, 0};
  EXPECT_EQ(api->instance_create(api->model, &options, &other),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_STREQ(api->last_error(), "a pool has at most 1024 threads, not 4096");
}

TEST_F(RuntimeTest, ErrorsBelongToTheirThread) {
  in.pop_back();
  EXPECT_EQ(run(), SPARSE_OPT_INVALID_ARGUMENT);
  std::string other = "unset";
  std::thread([&] {
    other = api->last_error();
    api->knob_set(instance, "x", 1);
  }).join();
  EXPECT_EQ(other, "");
  EXPECT_STREQ(api->last_error(), "input \"ids\" is missing");
}

TEST_F(RuntimeTest, DescribesItsInputs) {
  uint32_t count = 0;
  const sparse_opt_tensor_info *info = api->inputs(api->model, &count);
  ASSERT_EQ(count, 3u);
  EXPECT_STREQ(info[0].name, "a");
  EXPECT_LT(info[0].dims[0], 0);
  EXPECT_STREQ(info[0].dim_names[0], "n");
  EXPECT_EQ(info[0].dims[1], 4);
  info = api->outputs(api->model, &count);
  ASSERT_EQ(count, 3u);
  EXPECT_STREQ(info[2].dim_names[0], "n + m");
  EXPECT_STREQ(api->manifest(api->model), "{}");
}

TEST_F(RuntimeTest, PicksTheBestVariantTheCpuHas) {
  EXPECT_STREQ(api->instance_target(instance), "baseline");
  EXPECT_EQ(api->instance_threads(instance), 2u);
  const so_variant *pick = so_pick_variant(&model, ~uint64_t(0), "baseline");
  ASSERT_NE(pick, nullptr);
  EXPECT_STREQ(pick->isa, "baseline");
}

TEST_F(RuntimeTest, UnsupportedCpuIsAnError) {
  sparse_opt_instance *other = nullptr;
  setenv("SPARSE_OPT_ISA", "impossible", 1);
  EXPECT_EQ(api->instance_create(api->model, nullptr, &other),
            SPARSE_OPT_UNSUPPORTED_CPU);
  EXPECT_STREQ(api->last_error(), "this CPU does not have impossible, which "
                                  "SPARSE_OPT_ISA asks for");
  setenv("SPARSE_OPT_ISA", "z80", 1);
  EXPECT_EQ(api->instance_create(api->model, nullptr, &other),
            SPARSE_OPT_UNSUPPORTED_CPU);
  EXPECT_STREQ(api->last_error(),
               "SPARSE_OPT_ISA is \"z80\", but the model was compiled for "
               "impossible, baseline");
  unsetenv("SPARSE_OPT_ISA");
  model.num_variants = 1;
  EXPECT_EQ(api->instance_create(api->model, nullptr, &other),
            SPARSE_OPT_UNSUPPORTED_CPU);
  EXPECT_STREQ(api->last_error(), "this CPU has none of the instruction sets "
                                  "the model was compiled for (impossible)");
}

TEST_F(RuntimeTest, RefusesDamagedModels) {
  sparse_opt_instance *other = nullptr;
  model.num_symbols = 1; // "m" is now unknown
  EXPECT_EQ(api->instance_create(api->model, nullptr, &other),
            SPARSE_OPT_INTERNAL);
  EXPECT_STREQ(api->last_error(),
               "the compiled model is damaged: unknown symbol in \"ids\"");
  model.num_symbols = 2;
  model.num_inputs = 2; // nothing fixes "m"
  EXPECT_EQ(api->instance_create(api->model, nullptr, &other),
            SPARSE_OPT_INTERNAL);
  so_model old = fixture::model();
  old.abi = 0;
  EXPECT_EQ(so_runtime_bind(&old, &storage), nullptr);
}

TEST_F(RuntimeTest, InstancesRunConcurrently) {
  auto use = [this](sparse_opt_instance *mine) {
    std::vector<float> result(12);
    for (int i = 0; i < 200; ++i) {
      sparse_opt_tensor wanted = {"sum", 0, 0, nullptr, result.data(), 48};
      ASSERT_EQ(api->run(mine, in.data(), 3, &wanted, 1), SPARSE_OPT_OK);
      ASSERT_EQ(result[5], 4.5f);
    }
  };
  sparse_opt_pool *pool = nullptr;
  ASSERT_EQ(api->pool_create(api->model, 2, &pool), SPARSE_OPT_OK);
  sparse_opt_options options = {sizeof(options), 0, pool, nullptr, 0, 0};
  sparse_opt_instance *others[2];
  for (sparse_opt_instance *&other : others)
    ASSERT_EQ(api->instance_create(api->model, &options, &other),
              SPARSE_OPT_OK);
  // Two instances on one pool, and two threads on one instance.
  std::thread first(use, others[0]), second(use, others[1]),
      third(use, instance);
  use(instance);
  first.join();
  second.join();
  third.join();
  for (sparse_opt_instance *other : others)
    api->instance_destroy(other);
  api->pool_destroy(pool);
}

} // namespace
