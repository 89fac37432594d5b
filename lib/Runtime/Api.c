/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The table of functions users see. Each checks for NULL and hands on.
 */
#include "Internal.h"
#include <stddef.h>

/* so_tensor is what users see as sparse_opt_tensor_info. */
_Static_assert(sizeof(so_tensor) == sizeof(sparse_opt_tensor_info) &&
                   offsetof(so_tensor, rank) ==
                       offsetof(sparse_opt_tensor_info, rank) &&
                   offsetof(so_tensor, dims) ==
                       offsetof(sparse_opt_tensor_info, dims) &&
                   offsetof(so_tensor, dim_names) ==
                       offsetof(sparse_opt_tensor_info, dim_names),
               "the private and the public tensor description must agree");

static const so_model *inner(const sparse_opt_model *model) {
  return (const so_model *)model;
}

static sparse_opt_status null_argument(const char *name) {
  return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "%s is NULL", name);
}

static const char *manifest(const sparse_opt_model *model) {
  return model ? inner(model)->manifest : "";
}

static const sparse_opt_tensor_info *inputs(const sparse_opt_model *model,
                                            uint32_t *count) {
  if (count)
    *count = model ? inner(model)->num_inputs : 0;
  return model ? (const sparse_opt_tensor_info *)inner(model)->inputs : NULL;
}

static const sparse_opt_tensor_info *outputs(const sparse_opt_model *model,
                                             uint32_t *count) {
  if (count)
    *count = model ? inner(model)->num_outputs : 0;
  return model ? (const sparse_opt_tensor_info *)inner(model)->outputs : NULL;
}

static const sparse_opt_tensor_info *states(const sparse_opt_model *model,
                                            uint32_t *count) {
  if (count)
    *count = model ? inner(model)->num_states : 0;
  return model ? (const sparse_opt_tensor_info *)inner(model)->states : NULL;
}

static sparse_opt_status pool_create(const sparse_opt_model *model,
                                     uint32_t threads, sparse_opt_pool **pool) {
  if (!model || !pool)
    return null_argument(model ? "pool" : "model");
  return so_pool_create(threads, pool);
}

static void pool_destroy(sparse_opt_pool *pool) {
  if (pool)
    pool->destroy(pool);
}

static sparse_opt_status instance_create(const sparse_opt_model *model,
                                         const sparse_opt_options *options,
                                         sparse_opt_instance **instance) {
  if (!model || !instance)
    return null_argument(model ? "instance" : "model");
  return so_instance_create(inner(model), options, instance);
}

static const char *instance_target(const sparse_opt_instance *instance) {
  return instance ? instance->variant->isa : "";
}

static uint32_t instance_threads(const sparse_opt_instance *instance) {
  return instance ? instance->threads : 0;
}

const sparse_opt_api *so_runtime_bind(const so_model *model,
                                      sparse_opt_api *storage) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  if (model->abi != SO_MODEL_ABI || model->size != sizeof(so_model))
    return NULL;
  pthread_mutex_lock(&lock);
  if (!storage->size)
    *storage = (sparse_opt_api){.size = sizeof(sparse_opt_api),
                                .version = SPARSE_OPT_API_VERSION,
                                .model = (const sparse_opt_model *)model,
                                .last_error = so_last_error,
                                .manifest = manifest,
                                .inputs = inputs,
                                .outputs = outputs,
                                .pool_create = pool_create,
                                .pool_destroy = pool_destroy,
                                .instance_create = instance_create,
                                .instance_destroy = so_instance_destroy,
                                .instance_target = instance_target,
                                .instance_threads = instance_threads,
                                .output_shapes = so_output_shapes,
                                .run = so_run,
                                .knob_get = so_knob_get,
                                .knob_set = so_knob_set,
                                .telemetry = so_telemetry,
                                .profile_enable = so_profile_enable,
                                .profile = so_profile_read,
                                .states = states,
                                .state_length = so_state_length,
                                .state_truncate = so_state_truncate,
                                .state_select = so_state_select,
                                .instance_fork = so_instance_fork,
                                .on_drift = so_on_drift};
  pthread_mutex_unlock(&lock);
  return storage;
}
