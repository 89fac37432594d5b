/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * A model without a compiler, for the binding's tests:
 *   x: float[n, 3], ids: int64[n], mask: bool[n], half: float16[m] ->
 *   doubled: float[n, 3] = 2 x, picked: int64[n] = mask ? ids : -1,
 *   copied: float16[m] = half, total: float = sum of x
 */
#include "sparse-opt/Runtime/ModelAbi.h"
#include "sparse-opt/Runtime/Runtime.h"
#include <string.h>

static void plan(const int64_t *symbols, int64_t threads, int64_t *dims,
                 int64_t *arena_bytes) {
  (void)threads;
  dims[0] = symbols[0];
  dims[1] = 3;
  dims[2] = symbols[0];
  dims[3] = symbols[1];
  *arena_bytes = 0;
}

static void double_rows(void *ctx, int64_t begin, int64_t end, int64_t thread) {
  so_call *call = ctx;
  const float *x = call->inputs[0];
  float *doubled = call->outputs[0];
  (void)thread;
  for (int64_t i = 3 * begin; i < 3 * end; ++i)
    doubled[i] = 2 * x[i];
}

static void run(so_call *call) {
  const float *x = call->inputs[0];
  const int64_t *ids = call->inputs[1];
  const uint8_t *mask = call->inputs[2];
  int64_t *picked = call->outputs[1], n = call->symbols[0];
  float sum = 0;
  call->parallel(call, double_rows, call, n, 1);
  for (int64_t i = 0; i < n; ++i) {
    picked[i] = mask[i] ? ids[i] : -1;
    if (ids[i] >= 100 && !call->error_message) {
      call->error_message = "node \"/Gather\", input \"ids\"";
      call->error_value = ids[i];
      call->error_bound = 100;
    }
  }
  memcpy(call->outputs[2], call->inputs[3], (size_t)call->symbols[1] * 2);
  for (int64_t i = 0; i < 3 * n; ++i)
    sum += x[i];
  *(float *)call->outputs[3] = sum;
}

static const int64_t rows[] = {-1, 3}, n_dims[] = {-1}, m_dims[] = {-2};
static const char *const row_names[] = {"n", 0}, *const n_names[] = {"n"},
                         *const m_names[] = {"m"};
static const so_tensor inputs[] = {{"x", 1, 2, rows, row_names},
                                   {"ids", 7, 1, n_dims, n_names},
                                   {"mask", 9, 1, n_dims, n_names},
                                   {"half", 10, 1, m_dims, m_names}};
static const so_tensor outputs[] = {{"doubled", 1, 2, rows, row_names},
                                    {"picked", 7, 1, n_dims, n_names},
                                    {"copied", 10, 1, m_dims, m_names},
                                    {"total", 1, 0, 0, 0}};
static const char *const symbols[] = {"n", "m"};
static const so_variant variants[] = {{"future", 1ull << 63, plan, run},
                                      {"baseline", 0, plan, run}};
static const so_model model = {sizeof(so_model),
                               SO_MODEL_ABI,
                               "{\"sparse_opt\": \"test\"}",
                               4,
                               4,
                               2,
                               2,
                               inputs,
                               outputs,
                               symbols,
                               variants,
                               0,
                               0};

const sparse_opt_api *so_runtime_bind(const so_model *, sparse_opt_api *);

__attribute__((visibility("default"))) const sparse_opt_api *
sparse_opt_model_v1(void) {
  static sparse_opt_api api;
  return so_runtime_bind(&model, &api);
}
