/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * From the dims of a call's inputs to the values of the model's symbols and
 * the plan for them. Every mistake a caller can make with names, types and
 * sizes of inputs is refused here, in one sentence.
 */
#include "Internal.h"
#include <inttypes.h>
#include <string.h>

static const struct {
  const char *name;
  uint64_t size;
} element_types[] = {[SPARSE_OPT_FLOAT] = {"float32", 4},
                     [SPARSE_OPT_UINT8] = {"uint8", 1},
                     [SPARSE_OPT_INT8] = {"int8", 1},
                     [SPARSE_OPT_UINT16] = {"uint16", 2},
                     [SPARSE_OPT_INT16] = {"int16", 2},
                     [SPARSE_OPT_INT32] = {"int32", 4},
                     [SPARSE_OPT_INT64] = {"int64", 8},
                     [SPARSE_OPT_BOOL] = {"bool", 1},
                     [SPARSE_OPT_FLOAT16] = {"float16", 2},
                     [SPARSE_OPT_DOUBLE] = {"float64", 8},
                     [SPARSE_OPT_UINT32] = {"uint32", 4},
                     [SPARSE_OPT_UINT64] = {"uint64", 8},
                     [SPARSE_OPT_BFLOAT16] = {"bfloat16", 2}};
enum { NUM_TYPES = sizeof(element_types) / sizeof(element_types[0]) };

uint64_t so_element_size(int32_t type) {
  return type < 0 || type >= NUM_TYPES ? 0 : element_types[type].size;
}

const char *so_element_name(int32_t type) {
  return so_element_size(type) ? element_types[type].name : "an unknown type";
}

bool so_tensor_bytes(int32_t type, int32_t rank, const int64_t *dims,
                     uint64_t *bytes) {
  uint64_t total = so_element_size(type);
  for (int32_t i = 0; i < rank; ++i)
    if (dims[i] == 0) {
      *bytes = 0;
      return true;
    }
  for (int32_t i = 0; i < rank; ++i)
    if (__builtin_mul_overflow(total, (uint64_t)dims[i], &total) ||
        total > INT64_MAX)
      return false;
  *bytes = total;
  return true;
}

void so_append_shape(so_text *text, int32_t rank, const int64_t *dims) {
  so_append(text, "[");
  for (int32_t i = 0; i < rank; ++i)
    so_append(text, "%s%" PRId64, i ? ", " : "", dims[i]);
  so_append(text, "]");
}

static const char *plural(int32_t count) { return count == 1 ? "" : "s"; }

static sparse_opt_status wrong_rank(const so_tensor *want, int32_t rank) {
  so_text shape = {.length = 0};
  for (int32_t i = 0; i < want->rank; ++i) {
    so_append(&shape, i ? ", " : "");
    if (want->dims[i] >= 0)
      so_append(&shape, "%" PRId64, want->dims[i]);
    else
      so_append(&shape, "%s", want->dim_names[i] ? want->dim_names[i] : "?");
  }
  return so_fail(SPARSE_OPT_WRONG_SHAPE,
                 "input \"%s\" must have %d dimension%s [%s], not %d",
                 want->name, want->rank, plural(want->rank), shape.data, rank);
}

/* Fixes symbol s by dimension `dim` of the model's input `index`, or checks
 * that it agrees with whatever fixed it before. */
static sparse_opt_status bind_symbol(sparse_opt_instance *instance, int64_t s,
                                     uint32_t index, uint32_t dim,
                                     int64_t value) {
  const so_model *model = instance->model;
  if (!instance->bound_by[s]) {
    instance->bound_by[s] = index + 1;
    instance->bound_dim[s] = dim;
    instance->symbols[s] = value;
    return SPARSE_OPT_OK;
  }
  if (instance->symbols[s] == value)
    return SPARSE_OPT_OK;
  if (instance->bound_by[s] == SO_BOUND_BY_STATES)
    return so_fail(SPARSE_OPT_WRONG_SHAPE,
                   "\"%s\" is %" PRId64 " in input \"%s\" (dimension %u), but "
                   "%" PRId64 " in the caches that the instance keeps",
                   model->symbols[s], value, model->inputs[index].name, dim,
                   instance->symbols[s]);
  return so_fail(SPARSE_OPT_WRONG_SHAPE,
                 "\"%s\" is %" PRId64 " in input \"%s\" (dimension %u), but "
                 "%" PRId64 " in input \"%s\" (dimension %u)",
                 model->symbols[s], instance->symbols[s],
                 model->inputs[instance->bound_by[s] - 1].name,
                 instance->bound_dim[s], value, model->inputs[index].name, dim);
}

static sparse_opt_status bind_dims(sparse_opt_instance *instance,
                                   uint32_t index,
                                   const sparse_opt_tensor *tensor) {
  const so_tensor *want = &instance->model->inputs[index];
  if (tensor->rank != want->rank)
    return wrong_rank(want, tensor->rank);
  if (want->rank && !tensor->dims)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "input \"%s\" has no dims",
                   want->name);
  for (int32_t i = 0; i < want->rank; ++i) {
    int64_t size = tensor->dims[i], expected = want->dims[i];
    if (size < 0)
      return so_fail(SPARSE_OPT_WRONG_SHAPE,
                     "dimension %d of input \"%s\" is negative (%" PRId64 ")",
                     i, want->name, size);
    if (expected >= 0 && size != expected)
      return so_fail(SPARSE_OPT_WRONG_SHAPE,
                     "dimension %d of input \"%s\" must be %" PRId64
                     ", not %" PRId64,
                     i, want->name, expected, size);
    if (expected >= 0)
      continue;
    sparse_opt_status status =
        bind_symbol(instance, -1 - expected, index, (uint32_t)i, size);
    if (status)
      return status;
  }
  return SPARSE_OPT_OK;
}

static sparse_opt_status unknown_input(const so_model *model,
                                       const char *name) {
  so_text names = {.length = 0};
  for (uint32_t i = 0; i < model->num_inputs; ++i)
    so_append(&names, "%s\"%s\"", i ? ", " : "", model->inputs[i].name);
  return so_fail(SPARSE_OPT_UNKNOWN_NAME,
                 "the model has no input \"%s\"; its inputs are %s", name,
                 names.data);
}

/* Fills instance->given: which of `inputs` is each of the model's. */
static sparse_opt_status match_names(sparse_opt_instance *instance,
                                     const sparse_opt_tensor *inputs,
                                     uint32_t num_inputs) {
  const so_model *model = instance->model;
  for (uint32_t i = 0; i < model->num_inputs; ++i)
    instance->given[i] = NULL;
  for (uint32_t i = 0; i < num_inputs; ++i) {
    const char *name = inputs[i].name;
    if (!name)
      return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "input %u has no name", i);
    uint32_t slot = 0;
    while (slot < model->num_inputs &&
           strcmp(model->inputs[slot].name, name) != 0)
      ++slot;
    if (slot == model->num_inputs)
      return unknown_input(model, name);
    if (instance->given[slot])
      return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "input \"%s\" is given twice",
                     name);
    instance->given[slot] = &inputs[i];
  }
  for (uint32_t i = 0; i < model->num_inputs; ++i)
    if (!instance->given[i])
      return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "input \"%s\" is missing",
                     model->inputs[i].name);
  return SPARSE_OPT_OK;
}

sparse_opt_status so_bind_inputs(sparse_opt_instance *instance,
                                 const sparse_opt_tensor *inputs,
                                 uint32_t num_inputs) {
  const so_model *model = instance->model;
  if (!inputs && num_inputs)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "inputs is NULL");
  sparse_opt_status status = match_names(instance, inputs, num_inputs);
  for (uint32_t s = 0; s < model->num_symbols; ++s)
    instance->bound_by[s] = 0;
  so_states_bind(instance);
  for (uint32_t i = 0; !status && i < model->num_inputs; ++i)
    status = bind_dims(instance, i, instance->given[i]);
  return status;
}

static const so_plan *cached_plan(const sparse_opt_instance *instance) {
  uint64_t bytes = instance->model->num_symbols * sizeof(int64_t);
  for (uint32_t i = 0; i < SO_MAX_PLANS; ++i) {
    const so_plan *plan = &instance->plans[i];
    if (plan->valid &&
        (!bytes || memcmp(plan->symbols, instance->symbols, bytes) == 0))
      return plan;
  }
  return NULL;
}

/* Sizes that the plan worked out must be sizes. */
static sparse_opt_status check_plan(const sparse_opt_instance *instance,
                                    const so_plan *plan) {
  const so_model *model = instance->model;
  const int64_t *dims = plan->dims;
  for (uint32_t i = 0; i < model->num_outputs; ++i) {
    const so_tensor *output = &model->outputs[i];
    uint64_t bytes;
    for (int32_t d = 0; d < output->rank; ++d)
      if (dims[d] < 0)
        return so_fail(SPARSE_OPT_WRONG_SHAPE,
                       "these inputs are too small: they give dimension %d of "
                       "output \"%s\" the size %" PRId64,
                       d, output->name, dims[d]);
    if (!so_tensor_bytes(output->element_type, output->rank, dims, &bytes))
      return so_fail(SPARSE_OPT_WRONG_SHAPE,
                     "these inputs make output \"%s\" too large", output->name);
    dims += output->rank;
  }
  if (plan->arena_bytes < 0)
    return so_fail(SPARSE_OPT_WRONG_SHAPE,
                   "these inputs need more memory than can be addressed");
  return SPARSE_OPT_OK;
}

const so_plan *so_find_plan(sparse_opt_instance *instance) {
  const so_plan *known = cached_plan(instance);
  if (known)
    return known;
  so_plan *plan = &instance->plans[instance->next_plan];
  plan->valid = false;
  plan->arena_bytes = 0;
  if (instance->model->num_symbols)
    memcpy(plan->symbols, instance->symbols,
           instance->model->num_symbols * sizeof(int64_t));
  instance->variant->plan(instance->symbols, instance->threads, plan->dims,
                          &plan->arena_bytes);
  if (check_plan(instance, plan))
    return NULL;
  plan->valid = true;
  instance->next_plan = (instance->next_plan + 1) % SO_MAX_PLANS;
  return plan;
}
