// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A hand-written model as the compiler would emit it, for tests of the runtime:
//
//   a: float[n, 4], b: float[n, 4], table_row: int64[m]  ->
//   sum: float[n, 4] = a + b + weights, threads: int64[n] = who computed row i,
//   joined: float[n + m] (zeros; a size only `plan` knows)
#ifndef SPARSE_OPT_TEST_UNIT_FIXTUREMODEL_H
#define SPARSE_OPT_TEST_UNIT_FIXTUREMODEL_H
#include "sparse-opt/Runtime/ModelAbi.h"
#include <atomic>
#include <cstring>

namespace fixture {

inline std::atomic<int> planCalls{0}, runCalls{0};

/// How the one loop is launched.
inline int64_t launchNumber = 0, timesLaunched = 1;

inline constexpr int64_t tableSize = 10;

inline void plan(const int64_t *symbols, int64_t threads, int64_t *dims,
                 int64_t *arena) {
  ++planCalls;
  const int64_t n = symbols[0], m = symbols[1];
  const int64_t all[] = {n, 4, n, n + m};
  std::memcpy(dims, all, sizeof(all));
  // Negative when absurdly large: what an overflow would look like.
  *arena = n > (int64_t(1) << 40) ? -1 : n * 16 + threads * 64;
}

struct Body {
  const float *a, *b, *weights;
  float *sum, *scratch;
  int64_t *threads;
};

inline void rows(void *ctx, int64_t begin, int64_t end, int64_t thread) {
  auto *body = static_cast<Body *>(ctx);
  for (int64_t i = begin; i < end; ++i) {
    for (int64_t j = 0; j < 4; ++j) {
      int64_t at = i * 4 + j;
      body->scratch[at] = body->a[at] + body->b[at];
      body->sum[at] = body->scratch[at] + body->weights[j];
    }
    body->threads[i] = thread;
  }
}

inline void run(so_call *call) {
  ++runCalls;
  const int64_t n = call->symbols[0], m = call->symbols[1];
  auto *ids = static_cast<const int64_t *>(call->inputs[2]);
  for (int64_t i = 0; i < m && !call->error_message; ++i)
    if (ids[i] < -tableSize || ids[i] >= tableSize) {
      call->error_message = "/embeddings/Gather (input \"ids\")";
      call->error_value = ids[i];
      call->error_bound = tableSize;
    }
  Body body = {static_cast<const float *>(call->inputs[0]),
               static_cast<const float *>(call->inputs[1]),
               reinterpret_cast<const float *>(call->weights),
               static_cast<float *>(call->outputs[0]),
               reinterpret_cast<float *>(call->arena),
               static_cast<int64_t *>(call->outputs[1])};
  call->launch = launchNumber;
  for (int64_t i = 0; i < timesLaunched; ++i)
    call->parallel(call, rows, &body, n, 1);
  std::memset(call->outputs[2], 0, (n + m) * sizeof(float));
}

inline const int64_t rowDims[] = {-1, 4}, idDims[] = {-2}, nDims[] = {-1},
                     joinedDims[] = {SO_DIM_PLANNED};
inline const char *const rowNames[] = {"n", nullptr};
inline const char *const idNames[] = {"m"};
inline const char *const joinedNames[] = {"n + m"};
inline const char *const symbols[] = {"n", "m"};
inline const so_tensor inputs[] = {{"a", 1, 2, rowDims, rowNames},
                                   {"b", 1, 2, rowDims, rowNames},
                                   {"ids", 7, 1, idDims, idNames}};
inline const so_tensor outputs[] = {{"sum", 1, 2, rowDims, rowNames},
                                    {"threads", 7, 1, nDims, rowNames},
                                    {"joined", 1, 1, joinedDims, joinedNames}};
alignas(64) inline const float weights[] = {0.5f, 1.5f, 2.5f, 3.5f};
/// Needs nothing of the CPU.
inline const so_variant variants[] = {{"impossible", ~uint64_t(0), plan, run},
                                      {"baseline", 0, plan, run}};

inline so_model model() {
  return {sizeof(so_model),
          SO_MODEL_ABI,
          "{}",
          3,
          3,
          2,
          2,
          inputs,
          outputs,
          symbols,
          variants,
          reinterpret_cast<const uint8_t *>(weights),
          sizeof(weights),
          /*weights_file=*/nullptr,
          /*weights_hash=*/0,
          /*num_states=*/0,
          /*length_symbol=*/0,
          /*capacity_symbol=*/0,
          /*reserved=*/0,
          /*states=*/nullptr,
          /*state_axes=*/nullptr,
          /*num_knobs=*/0,
          /*num_blocks=*/0,
          /*knobs=*/nullptr,
          /*blocks=*/nullptr};
}

} // namespace fixture
#endif // SPARSE_OPT_TEST_UNIT_FIXTUREMODEL_H
