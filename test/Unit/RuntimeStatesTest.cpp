// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Caches that instances keep, on a hand-written model:
//   x: float[b, n, 2], ok: int64[1] -> sum: float[b, 2], over all rows so far
// with states rows: float[b, 3, length, 2] (each row three times) and
// columns: float[2, b, length]. A run with ok = 0 fails after it has written.
#include "lib/Runtime/Internal.h"
#include "gtest/gtest.h"
#include <limits>
#include <memory>
#include <vector>

namespace {

enum Symbol { Length, B, N, Capacity };

void plan(const int64_t *symbols, int64_t, int64_t *dims, int64_t *arena) {
  dims[0] = symbols[B];
  dims[1] = 2;
  dims[2] = symbols[Length] + symbols[N];
  *arena = 0;
}

void run(so_call *call) {
  int64_t length = call->symbols[Length], b = call->symbols[B],
          n = call->symbols[N], room = call->symbols[Capacity];
  auto *x = static_cast<const float *>(call->inputs[0]);
  auto *rows = static_cast<float *>(call->states[0]);
  auto *columns = static_cast<float *>(call->states[1]);
  auto *sum = static_cast<float *>(call->outputs[0]);
  for (int64_t i = 0; i < b; ++i)
    for (int64_t e = 0; e < 2; ++e) {
      for (int64_t r = 0; r < n; ++r) {
        float value = x[(i * n + r) * 2 + e];
        for (int64_t head = 0; head < 3; ++head)
          rows[((i * 3 + head) * room + length + r) * 2 + e] = value;
        columns[(e * b + i) * room + length + r] = value;
      }
      // A sum of what the first, and of what the second state says.
      sum[i * 2 + e] = 0;
      for (int64_t r = 0; r < length + n; ++r)
        sum[i * 2 + e] += rows[((i * 3 + r % 3) * room + r) * 2 + e] +
                          columns[(e * b + i) * room + r];
    }
  if (!*static_cast<const int64_t *>(call->inputs[1])) {
    call->error_message = "not ok";
    call->error_is_sizes = 1;
  }
}

const int64_t xDims[] = {-1 - B, -1 - N, 2}, okDims[] = {1},
              sumDims[] = {-1 - B, 2}, rowsDims[] = {-1 - B, 3, -1 - Length, 2},
              columnsDims[] = {2, -1 - B, -1 - Length};
const char *const xNames[] = {"b", "n", nullptr}, *const okNames[] = {nullptr},
                  *const rowsNames[] = {"b", nullptr, "length", nullptr},
                  *const columnsNames[] = {nullptr, "b", "length"};
const so_tensor inputs[] = {{"x", 1, 3, xDims, xNames},
                            {"ok", 7, 1, okDims, okNames}};
const so_tensor outputs[] = {{"sum", 1, 2, sumDims, xNames}};
const so_tensor states[] = {{"rows", 1, 4, rowsDims, rowsNames},
                            {"columns", 1, 3, columnsDims, columnsNames}};
const int32_t axes[] = {2, 2};
const char *const symbols[] = {"length", "b", "n", "capacity"};
const so_variant variants[] = {{"baseline", 0, plan, run}};

so_model makeModel() {
  so_model model = {};
  model.size = sizeof(so_model);
  model.abi = SO_MODEL_ABI;
  model.manifest = "{}";
  model.num_inputs = 2;
  model.num_outputs = 1;
  model.num_symbols = 4;
  model.num_variants = 1;
  model.inputs = inputs;
  model.outputs = outputs;
  model.symbols = symbols;
  model.variants = variants;
  model.num_states = 2;
  model.length_symbol = Length;
  model.capacity_symbol = Capacity;
  model.states = states;
  model.state_axes = axes;
  return model;
}

class RuntimeStatesTest : public testing::Test {
protected:
  using Handle =
      std::unique_ptr<sparse_opt_instance, void (*)(sparse_opt_instance *)>;

  Handle create(uint64_t capacity = 0) {
    sparse_opt_options options = {};
    options.size = sizeof options;
    options.threads = 1;
    options.capacity = capacity;
    sparse_opt_instance *made = nullptr;
    EXPECT_EQ(api->instance_create(api->model, &options, &made), SPARSE_OPT_OK)
        << api->last_error();
    return Handle(made, api->instance_destroy);
  }

  /// Appends n rows of `value` + the batch item; the sum of item `item`.
  sparse_opt_status append(sparse_opt_instance *instance, int64_t b, int64_t n,
                           float value, int64_t ok = 1) {
    std::vector<float> x(b * n * 2);
    for (int64_t i = 0; i < b; ++i)
      for (int64_t j = 0; j < n * 2; ++j)
        x[i * n * 2 + j] = value + float(i);
    int64_t dims[] = {b, n, 2};
    sparse_opt_tensor in[] = {{"x", 1, 3, dims, x.data(), x.size() * 4},
                              {"ok", 7, 1, okDims, &ok, 8}};
    sums.assign(b * 2, -1.0f);
    sparse_opt_tensor out = {"sum",   1,           2,
                             nullptr, sums.data(), sums.size() * 4};
    return api->run(instance, in, 2, &out, 1);
  }

  uint64_t lengthOf(sparse_opt_instance *instance) {
    uint64_t length = 99;
    EXPECT_EQ(api->state_length(instance, &length, nullptr), SPARSE_OPT_OK);
    return length;
  }
  uint64_t capacityOf(sparse_opt_instance *instance) {
    uint64_t length, capacity = 99;
    EXPECT_EQ(api->state_length(instance, &length, &capacity), SPARSE_OPT_OK);
    return capacity;
  }

  so_model model = makeModel();
  sparse_opt_api storage = {};
  const sparse_opt_api *api = so_runtime_bind(&model, &storage);
  std::vector<float> sums;
};

TEST_F(RuntimeStatesTest, RunsAppend) {
  Handle instance = create();
  EXPECT_EQ(lengthOf(instance.get()), 0u);
  ASSERT_EQ(append(instance.get(), 2, 3, 1), SPARSE_OPT_OK)
      << api->last_error();
  EXPECT_EQ(sums, (std::vector<float>{6, 6, 12, 12}));
  ASSERT_EQ(append(instance.get(), 2, 1, 10), SPARSE_OPT_OK);
  EXPECT_EQ(sums, (std::vector<float>{26, 26, 34, 34}));
  EXPECT_EQ(lengthOf(instance.get()), 4u);
  uint32_t count = 0;
  const sparse_opt_tensor_info *info = api->states(api->model, &count);
  ASSERT_EQ(count, 2u);
  EXPECT_STREQ(info[1].name, "columns");
  EXPECT_STREQ(info[1].dim_names[2], "length");
}

TEST_F(RuntimeStatesTest, GrowthKeepsTheRows) {
  Handle instance = create();
  float expected = 0;
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(append(instance.get(), 2, 1, float(i)), SPARSE_OPT_OK);
    expected += 2 * float(i);
    ASSERT_EQ(sums[1], expected) << i;
    ASSERT_EQ(sums[2], expected + 2 * float(i + 1)) << i;
  }
  EXPECT_EQ(capacityOf(instance.get()), 512u) << "64, doubled";
  ASSERT_EQ(append(instance.get(), 2, 4000, 0), SPARSE_OPT_OK);
  EXPECT_EQ(sums[0], expected);
}

TEST_F(RuntimeStatesTest, AFailedRunLeavesTheRows) {
  Handle instance = create();
  ASSERT_EQ(append(instance.get(), 1, 60, 1), SPARSE_OPT_OK);
  ASSERT_EQ(append(instance.get(), 1, 200, 7, /*ok=*/0),
            SPARSE_OPT_WRONG_SHAPE);
  EXPECT_EQ(lengthOf(instance.get()), 60u);
  ASSERT_EQ(append(instance.get(), 1, 1, 1), SPARSE_OPT_OK);
  EXPECT_EQ(sums[0], 122.0f);
}

TEST_F(RuntimeStatesTest, CapacityIsALimit) {
  Handle instance = create(5);
  ASSERT_EQ(append(instance.get(), 1, 4, 1), SPARSE_OPT_OK);
  EXPECT_EQ(capacityOf(instance.get()), 5u);
  EXPECT_EQ(append(instance.get(), 1, 2, 1), SPARSE_OPT_OVER_CAPACITY);
  EXPECT_STREQ(api->last_error(), "the caches hold 4 rows of at most 5, and "
                                  "these inputs append 2");
  ASSERT_EQ(append(instance.get(), 1, 1, 1), SPARSE_OPT_OK);
  EXPECT_EQ(sums[0], 10.0f);
}

TEST_F(RuntimeStatesTest, TruncateForgets) {
  Handle instance = create();
  ASSERT_EQ(append(instance.get(), 1, 4, 1), SPARSE_OPT_OK);
  ASSERT_EQ(append(instance.get(), 1, 4, 100), SPARSE_OPT_OK);
  ASSERT_EQ(api->state_truncate(instance.get(), 5), SPARSE_OPT_OK);
  ASSERT_EQ(append(instance.get(), 1, 1, 2), SPARSE_OPT_OK);
  EXPECT_EQ(sums[0], 2 * (4 + 100 + 2.0f));
  EXPECT_EQ(api->state_truncate(instance.get(), 7),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_STREQ(api->last_error(),
               "the caches hold 6 rows, so they can't be cut to 7");
  EXPECT_EQ(append(instance.get(), 2, 1, 2), SPARSE_OPT_WRONG_SHAPE);
  EXPECT_STREQ(api->last_error(),
               "\"b\" is 2 in input \"x\" (dimension 0), but 1 in the caches "
               "that the instance keeps");
  ASSERT_EQ(api->state_truncate(instance.get(), 0), SPARSE_OPT_OK);
  ASSERT_EQ(append(instance.get(), 7, 80, 2), SPARSE_OPT_OK)
      << "another batch, now that there are no rows";
  EXPECT_EQ(sums[13], 2 * 80 * 8.0f);
}

TEST_F(RuntimeStatesTest, ForksPart) {
  Handle instance = create(6);
  ASSERT_EQ(append(instance.get(), 2, 4, 1), SPARSE_OPT_OK);
  sparse_opt_instance *made = nullptr;
  ASSERT_EQ(api->instance_fork(instance.get(), &made), SPARSE_OPT_OK)
      << api->last_error();
  Handle copy(made, api->instance_destroy);
  ASSERT_EQ(append(instance.get(), 2, 1, 10), SPARSE_OPT_OK);
  EXPECT_EQ(sums[0], 28.0f);
  ASSERT_EQ(append(copy.get(), 2, 1, 20), SPARSE_OPT_OK);
  EXPECT_EQ(sums[0], 48.0f);
  EXPECT_EQ(append(copy.get(), 2, 2, 20), SPARSE_OPT_OVER_CAPACITY);
  instance.reset(); // the pool stays for the copy
  ASSERT_EQ(append(copy.get(), 2, 1, 1), SPARSE_OPT_OK);
  EXPECT_EQ(sums[3], 2 * (4 * 2 + 21 + 2.0f));
  ASSERT_EQ(api->instance_fork(copy.get(), &made), SPARSE_OPT_OK);
  api->instance_destroy(made);
  EXPECT_EQ(api->instance_fork(nullptr, &made), SPARSE_OPT_INVALID_ARGUMENT);
}

TEST_F(RuntimeStatesTest, SelectsBatchItems) {
  Handle instance = create();
  uint32_t rows[] = {1, 1, 0};
  EXPECT_EQ(api->state_select(instance.get(), rows, 3),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_STREQ(api->last_error(), "the caches are empty");
  ASSERT_EQ(append(instance.get(), 2, 3, 1), SPARSE_OPT_OK);
  ASSERT_EQ(api->state_select(instance.get(), rows, 3), SPARSE_OPT_OK)
      << api->last_error();
  ASSERT_EQ(append(instance.get(), 3, 1, 0), SPARSE_OPT_OK)
      << api->last_error();
  EXPECT_EQ(sums, (std::vector<float>{12, 12, 14, 14, 10, 10}));
  rows[0] = 3;
  EXPECT_EQ(api->state_select(instance.get(), rows, 1),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_STREQ(api->last_error(),
               "item 3 is asked of caches with a batch of 3");
  EXPECT_EQ(api->state_select(instance.get(), rows, 0),
            SPARSE_OPT_INVALID_ARGUMENT);
}

TEST_F(RuntimeStatesTest, RefusesImpossibleRoom) {
  Handle instance = create();
  int64_t dims[] = {1, std::numeric_limits<int64_t>::max() / 64, 2}, ok = 1;
  sparse_opt_tensor in[] = {{"x", 1, 3, dims, &ok, 0},
                            {"ok", 7, 1, okDims, &ok, 8}};
  int64_t shape[2];
  EXPECT_EQ(api->output_shapes(instance.get(), in, 2, shape, 2), SPARSE_OPT_OK)
      << "which needs no room";
  sparse_opt_options options = {};
  options.size = sizeof options;
  options.capacity = uint64_t(1) << 40;
  sparse_opt_instance *made = nullptr;
  EXPECT_EQ(api->instance_create(api->model, &options, &made),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_STREQ(api->last_error(), "a capacity of 1099511627776 is too large");
  Handle large = create(1 << 28);
  ASSERT_EQ(append(large.get(), 1, 1, 1), SPARSE_OPT_OK)
      << "memory that nobody touches costs nothing";
  model.num_states = 0; // now a model without caches
  options.capacity = 8;
  EXPECT_EQ(api->instance_create(api->model, &options, &made),
            SPARSE_OPT_INTERNAL);
}

TEST_F(RuntimeStatesTest, ModelsWithoutStatesSaySo) {
  const so_tensor fixed[] = {{"x", 1, 3, xDims, xNames}, inputs[1]};
  so_model plain = makeModel();
  const int64_t symbolsOfX[] = {-1, -2, 2};
  const so_tensor x[] = {{"x", 1, 3, symbolsOfX, xNames}, fixed[1]};
  const int64_t sumOfX[] = {-1, 2};
  const so_tensor sum[] = {{"sum", 1, 2, sumOfX, xNames}};
  plain.inputs = x;
  plain.outputs = sum;
  plain.num_symbols = 2;
  plain.num_states = 0;
  sparse_opt_api table = {};
  const sparse_opt_api *other = so_runtime_bind(&plain, &table);
  sparse_opt_options options = {};
  options.size = sizeof options;
  options.capacity = 8;
  sparse_opt_instance *instance = nullptr;
  EXPECT_EQ(other->instance_create(other->model, &options, &instance),
            SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_STREQ(other->last_error(),
               "the model keeps no caches that a capacity of 8 could be for");
  ASSERT_EQ(other->instance_create(other->model, nullptr, &instance),
            SPARSE_OPT_OK);
  EXPECT_EQ(other->state_truncate(instance, 0), SPARSE_OPT_INVALID_ARGUMENT);
  EXPECT_STREQ(other->last_error(), "the model keeps no caches: it was not "
                                    "compiled with --kv-cache=in-place");
  other->instance_destroy(instance);
}

TEST_F(RuntimeStatesTest, RefusesDamagedModels) {
  sparse_opt_instance *made = nullptr;
  model.length_symbol = 9;
  EXPECT_EQ(api->instance_create(api->model, nullptr, &made),
            SPARSE_OPT_INTERNAL);
  model.length_symbol = B;
  EXPECT_EQ(api->instance_create(api->model, nullptr, &made),
            SPARSE_OPT_INTERNAL);
  EXPECT_STREQ(api->last_error(),
               "the compiled model is damaged: no length in \"rows\"");
}

} // namespace
