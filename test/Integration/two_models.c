/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Two models (--emit=lib --entry=...) in one program, on one thread pool. */
#include "sparse-opt/Runtime/Runtime.h"
#include <stdio.h>

const sparse_opt_api *first_model(void), *second_model(void);

static int use(const sparse_opt_api *api, sparse_opt_pool *pool) {
  sparse_opt_options options = {.size = sizeof(options), .pool = pool};
  sparse_opt_instance *instance;
  float x[4] = {0, 0, 0, 0}, y[4];
  int64_t dims[] = {1, 4};
  sparse_opt_tensor in = {"x", SPARSE_OPT_FLOAT, 2, dims, x, sizeof(x)};
  sparse_opt_tensor out = {"y", SPARSE_OPT_FLOAT, 2, NULL, y, sizeof(y)};
  if (api->instance_create(api->model, &options, &instance) ||
      api->run(instance, &in, 1, &out, 1)) {
    fprintf(stderr, "error: %s\n", api->last_error());
    return 1;
  }
  printf("%g %g\n", y[0], y[3]);
  api->instance_destroy(instance);
  return 0;
}

int main(void) {
  const sparse_opt_api *first = first_model(), *second = second_model();
  sparse_opt_pool *pool;
  if (first->pool_create(first->model, 2, &pool))
    return 1;
  int failed = use(first, pool) || use(second, pool);
  second->pool_destroy(pool);
  return failed;
}
