/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Making and unmaking instances: one variant of the model, threads, and all
 * the scratch a run needs besides its arena.
 */
#include "Internal.h"
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static sparse_opt_status damaged(const char *what, const char *name) {
  return so_fail(SPARSE_OPT_INTERNAL,
                 "the compiled model is damaged: %s \"%s\"", what, name);
}

/* What later code takes for granted: known types, symbols in range, and every
 * symbol fixed by some input. */
static sparse_opt_status check_tensors(const so_model *model,
                                       const so_tensor *tensors, uint32_t count,
                                       bool *bound) {
  for (uint32_t i = 0; i < count; ++i) {
    const so_tensor *tensor = &tensors[i];
    if (!so_element_size(tensor->element_type))
      return damaged("unknown element type of", tensor->name);
    for (int32_t d = 0; d < tensor->rank; ++d) {
      int64_t dim = tensor->dims[d];
      if (dim >= 0 || (!bound && dim == SO_DIM_PLANNED))
        continue;
      if (dim == SO_DIM_PLANNED || -1 - dim >= model->num_symbols)
        return damaged("unknown symbol in", tensor->name);
      if (bound)
        bound[-1 - dim] = true;
    }
  }
  return SPARSE_OPT_OK;
}

/* Their length is a symbol, and all other sizes come from inputs. */
static sparse_opt_status check_states(const so_model *model, bool *bound) {
  if (!model->num_states)
    return SPARSE_OPT_OK;
  if (model->length_symbol >= model->num_symbols ||
      model->capacity_symbol >= model->num_symbols)
    return damaged("unknown symbol in", model->states[0].name);
  bound[model->length_symbol] = bound[model->capacity_symbol] = true;
  for (uint32_t i = 0; i < model->num_states; ++i) {
    const so_tensor *state = &model->states[i];
    int32_t axis = model->state_axes[i];
    if (axis < 0 || axis >= state->rank ||
        state->dims[axis] != -1 - (int64_t)model->length_symbol)
      return damaged("no length in", state->name);
    for (int32_t d = 0; d < state->rank; ++d)
      if (d != axis && state->dims[d] < 0 &&
          (-1 - state->dims[d] >= model->num_symbols ||
           !bound[-1 - state->dims[d]]))
        return damaged("no input fixes the sizes of", state->name);
  }
  return check_tensors(model, model->states, model->num_states, NULL);
}

static sparse_opt_status check_model(const so_model *model) {
  bool *bound = calloc(model->num_symbols + 1, sizeof(bool));
  if (!bound)
    return so_fail(SPARSE_OPT_OUT_OF_MEMORY, "no memory for an instance");
  sparse_opt_status status =
      check_tensors(model, model->inputs, model->num_inputs, bound);
  if (!status)
    status = check_states(model, bound);
  for (uint32_t s = 0; !status && s < model->num_symbols; ++s)
    if (!bound[s])
      status = damaged("no input fixes", model->symbols[s]);
  if (!status)
    status = check_tensors(model, model->outputs, model->num_outputs, NULL);
  free(bound);
  return status;
}

/* Accepts options of older and newer headers: reads what both know. */
static sparse_opt_status read_options(const sparse_opt_options *given,
                                      sparse_opt_options *options) {
  *options = (sparse_opt_options){.size = sizeof(*options)};
  if (!given)
    return SPARSE_OPT_OK;
  if (given->size < offsetof(sparse_opt_options, pool))
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "options.size is %u; set it to sizeof(sparse_opt_options)",
                   given->size);
  memcpy(options, given,
         given->size < sizeof(*options) ? given->size : sizeof(*options));
  if (options->pool && options->pool->abi != SO_MODEL_ABI)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "the thread pool is of another version of sparse-opt");
  if (options->pool && options->threads > options->pool->threads)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "%u threads are asked of a pool of %u", options->threads,
                   options->pool->threads);
  return SPARSE_OPT_OK;
}

static sparse_opt_status check_capacity(const so_model *model,
                                        uint64_t capacity) {
  if (capacity && !model->num_states)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "the model keeps no caches that a capacity of %" PRIu64
                   " could be for",
                   capacity);
  if (capacity > INT32_MAX)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "a capacity of %" PRIu64 " is too large", capacity);
  return SPARSE_OPT_OK;
}

static sparse_opt_status attach_pool(sparse_opt_instance *instance,
                                     const sparse_opt_options *options) {
  instance->pool = options->pool;
  if (!options->pool) {
    instance->pool_users = malloc(sizeof(uint32_t));
    if (!instance->pool_users)
      return so_fail(SPARSE_OPT_OUT_OF_MEMORY, "no memory for an instance");
    *instance->pool_users = 1;
    sparse_opt_status status =
        so_pool_create(options->threads, &instance->pool);
    if (status)
      return status;
  }
  instance->threads =
      options->threads ? options->threads : instance->pool->threads;
  return SPARSE_OPT_OK;
}

static bool allocate_scratch(sparse_opt_instance *instance) {
  const so_model *model = instance->model;
  /* One dim more than outputs have: the length of states. */
  uint64_t symbols = model->num_symbols + 1u, dims = 1;
  for (uint32_t i = 0; i < model->num_outputs; ++i)
    dims += (uint32_t)model->outputs[i].rank;
  instance->num_output_dims = (uint32_t)dims - 1;
  instance->given = calloc(model->num_inputs + 1u, sizeof(void *));
  instance->inputs = calloc(model->num_inputs + 1u, sizeof(void *));
  instance->outputs = calloc(model->num_outputs + 1u, sizeof(void *));
  instance->owned = calloc(model->num_outputs + 1u, sizeof(so_buffer));
  instance->symbols = calloc(symbols, sizeof(int64_t));
  instance->bound_by = calloc(symbols, sizeof(uint32_t));
  instance->bound_dim = calloc(symbols, sizeof(uint32_t));
  bool complete = instance->given && instance->inputs && instance->outputs &&
                  instance->owned && instance->symbols && instance->bound_by &&
                  instance->bound_dim && so_states_allocate(instance) &&
                  so_knobs_allocate(instance);
  for (uint32_t i = 0; i < SO_MAX_PLANS; ++i) {
    instance->plans[i].symbols = calloc(symbols, sizeof(int64_t));
    instance->plans[i].dims = calloc(dims, sizeof(int64_t));
    complete &= instance->plans[i].symbols && instance->plans[i].dims;
  }
  return complete;
}

static sparse_opt_status set_up(sparse_opt_instance *instance,
                                const sparse_opt_options *given) {
  sparse_opt_options options;
  sparse_opt_status status = read_options(given, &options);
  if (!status)
    status = check_model(instance->model);
  if (!status)
    status = check_capacity(instance->model, options.capacity);
  if (status)
    return status;
  instance->states.limit = (int64_t)options.capacity;
  const char *wanted = getenv("SPARSE_OPT_ISA");
  instance->variant = so_pick_variant(instance->model, so_cpu_features(),
                                      wanted && *wanted ? wanted : NULL);
  if (!instance->variant)
    return SPARSE_OPT_UNSUPPORTED_CPU;
  if (!allocate_scratch(instance))
    return so_fail(SPARSE_OPT_OUT_OF_MEMORY, "no memory for an instance");
  status = so_knobs_set_all(instance, options.knobs, options.num_knobs);
  if (!status)
    status = so_weights_open(instance->model, &instance->weights);
  return status ? status : attach_pool(instance, &options);
}

sparse_opt_status so_instance_create(const so_model *model,
                                     const sparse_opt_options *options,
                                     sparse_opt_instance **result) {
  *result = NULL;
  sparse_opt_instance *instance = calloc(1, sizeof(*instance));
  if (!instance)
    return so_fail(SPARSE_OPT_OUT_OF_MEMORY, "no memory for an instance");
  instance->model = model;
  pthread_mutex_init(&instance->lock, NULL);
  sparse_opt_status status = set_up(instance, options);
  if (status)
    so_instance_destroy(instance);
  else
    *result = instance;
  return status;
}

sparse_opt_status so_instance_fork(sparse_opt_instance *instance,
                                   sparse_opt_instance **result) {
  if (!instance || !result)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "%s is NULL",
                   instance ? "copy" : "instance");
  sparse_opt_options options = {.size = sizeof(options),
                                .threads = instance->threads,
                                .pool = instance->pool,
                                .capacity = (uint64_t)instance->states.limit};
  sparse_opt_instance *copy;
  sparse_opt_status status =
      so_instance_create(instance->model, &options, &copy);
  *result = NULL;
  if (status)
    return status;
  copy->variant = instance->variant;
  memcpy(copy->knobs, instance->knobs,
         instance->model->num_knobs * sizeof(float));
  copy->pool_users = instance->pool_users;
  if (copy->pool_users)
    __atomic_add_fetch(copy->pool_users, 1, __ATOMIC_RELAXED);
  pthread_mutex_lock(&instance->lock);
  status = so_states_copy(copy, instance);
  pthread_mutex_unlock(&instance->lock);
  if (status)
    so_instance_destroy(copy);
  else
    *result = copy;
  return status;
}

/* A pool of instances' own goes with the last of them. */
static void release_pool(sparse_opt_instance *instance) {
  uint32_t *users = instance->pool_users;
  if (!users || __atomic_sub_fetch(users, 1, __ATOMIC_ACQ_REL))
    return;
  free(users);
  if (instance->pool)
    instance->pool->destroy(instance->pool);
}

void so_instance_destroy(sparse_opt_instance *instance) {
  if (!instance)
    return;
  release_pool(instance);
  so_states_release(instance);
  so_knobs_release(instance);
  so_weights_close(instance->model, instance->weights);
  for (uint32_t i = 0; instance->owned && i < instance->model->num_outputs; ++i)
    so_buffer_release(&instance->owned[i]);
  so_buffer_release(&instance->arena);
  free(instance->profile.launches);
  for (uint32_t i = 0; i < SO_MAX_PLANS; ++i) {
    free(instance->plans[i].symbols);
    free(instance->plans[i].dims);
  }
  free(instance->given);
  free(instance->inputs);
  free(instance->outputs);
  free(instance->owned);
  free(instance->symbols);
  free(instance->bound_by);
  free(instance->bound_dim);
  pthread_mutex_destroy(&instance->lock);
  free(instance);
}
