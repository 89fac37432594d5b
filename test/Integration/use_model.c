/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* A model linked into a C program: cc use_model.c model.so && ./a.out */
#include "sparse-opt/Runtime/Runtime.h"
#include <stdio.h>

static int fail(const sparse_opt_api *api) {
  fprintf(stderr, "error: %s\n", api->last_error());
  return 1;
}

int main(void) {
  const sparse_opt_api *api = sparse_opt_model_v1();
  sparse_opt_instance *instance;
  float x[2][4] = {{0, 0, 0, 0}, {10, 20, 30, 40}};
  int64_t dims[] = {2, 4};
  sparse_opt_tensor in = {"x", SPARSE_OPT_FLOAT, 2, dims, x, sizeof(x)};
  sparse_opt_tensor out = {"y", 0, 0, NULL, NULL, 0}; /* the instance's memory */

  if (api->instance_create(api->model, NULL, &instance))
    return fail(api);
  if (api->run(instance, &in, 1, &out, 1))
    return fail(api);
  for (uint64_t i = 0; i < out.bytes / sizeof(float); ++i)
    printf("%g ", ((float *)out.data)[i]);
  printf("of shape %d x %d\n", (int)out.dims[0], (int)out.dims[1]);
  api->instance_destroy(instance);
  return 0;
}
