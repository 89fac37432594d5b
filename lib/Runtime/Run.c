/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * One run: check the buffers, find the plan, lend memory and threads to the
 * compiled function, and turn an error it recorded into a status.
 */
#include "Internal.h"
#include <inttypes.h>
#include <string.h>
#include <xmmintrin.h>

static sparse_opt_status check_input(const so_tensor *want,
                                     const sparse_opt_tensor *tensor) {
  uint64_t bytes, size = so_element_size(want->element_type);
  if (tensor->element_type != want->element_type)
    return so_fail(SPARSE_OPT_WRONG_TYPE, "input \"%s\" must be %s, not %s",
                   want->name, so_element_name(want->element_type),
                   so_element_name(tensor->element_type));
  if (!so_tensor_bytes(want->element_type, want->rank, tensor->dims, &bytes))
    return so_fail(SPARSE_OPT_WRONG_SHAPE, "input \"%s\" is too large",
                   want->name);
  if (tensor->bytes != bytes) {
    so_text shape = {.length = 0};
    so_append_shape(&shape, want->rank, tensor->dims);
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "input \"%s\" of shape %s has %" PRIu64
                   " bytes of data instead of %" PRIu64,
                   want->name, shape.data, tensor->bytes, bytes);
  }
  if (bytes && !tensor->data)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "input \"%s\" has no data",
                   want->name);
  if (bytes && (uintptr_t)tensor->data % size)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "the data of input \"%s\" is not aligned to %" PRIu64
                   " bytes",
                   want->name, size);
  return SPARSE_OPT_OK;
}

static sparse_opt_status bind_data(sparse_opt_instance *instance) {
  const so_model *model = instance->model;
  for (uint32_t i = 0; i < model->num_inputs; ++i) {
    sparse_opt_status status =
        check_input(&model->inputs[i], instance->given[i]);
    if (status)
      return status;
    instance->inputs[i] = instance->given[i]->data;
  }
  return SPARSE_OPT_OK;
}

static sparse_opt_status find_output(const so_model *model, const char *name,
                                     uint32_t position, uint32_t *slot) {
  if (!name)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "output %u has no name",
                   position);
  so_text names = {.length = 0};
  for (uint32_t i = 0; i < model->num_outputs; ++i)
    if (strcmp(model->outputs[i].name, name) == 0) {
      *slot = i;
      return SPARSE_OPT_OK;
    }
  for (uint32_t i = 0; i < model->num_outputs; ++i)
    so_append(&names, "%s\"%s\"", i ? ", " : "", model->outputs[i].name);
  return so_fail(SPARSE_OPT_UNKNOWN_NAME,
                 "the model has no output \"%s\"; its outputs are %s", name,
                 names.data);
}

static sparse_opt_status check_overlap(const sparse_opt_instance *instance,
                                       const sparse_opt_tensor *output,
                                       uint64_t bytes) {
  const so_model *model = instance->model;
  uintptr_t begin = (uintptr_t)output->data, end = begin + bytes;
  for (uint32_t i = 0; i < model->num_inputs; ++i) {
    uintptr_t input = (uintptr_t)instance->inputs[i];
    if (input < end && begin < input + instance->given[i]->bytes)
      return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                     "the buffer of output \"%s\" overlaps input \"%s\"",
                     output->name, model->inputs[i].name);
  }
  return SPARSE_OPT_OK;
}

/* The caller's buffer for an output of `bytes` bytes. */
static sparse_opt_status take_buffer(const sparse_opt_instance *instance,
                                     const so_tensor *want, const int64_t *dims,
                                     uint64_t bytes,
                                     const sparse_opt_tensor *output) {
  uint64_t size = so_element_size(want->element_type);
  if (output->bytes < bytes) {
    so_text shape = {.length = 0};
    so_append_shape(&shape, want->rank, dims);
    return so_fail(SPARSE_OPT_BUFFER_TOO_SMALL,
                   "output \"%s\" of shape %s needs %" PRIu64
                   " bytes, but its buffer has %" PRIu64,
                   want->name, shape.data, bytes, output->bytes);
  }
  if ((uintptr_t)output->data % size)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "the buffer of output \"%s\" is not aligned to %" PRIu64
                   " bytes",
                   want->name, size);
  return check_overlap(instance, output, bytes);
}

/* Binds the outputs wanted: instance->outputs gets the callers' buffers, the
 * others stay NULL. */
static sparse_opt_status bind_wanted(sparse_opt_instance *instance,
                                     const so_plan *plan,
                                     const sparse_opt_tensor *outputs,
                                     uint32_t num_outputs) {
  const so_model *model = instance->model;
  memset(instance->outputs, 0, model->num_outputs * sizeof(void *));
  for (uint32_t i = 0; i < num_outputs; ++i) {
    uint32_t slot;
    sparse_opt_status status = find_output(model, outputs[i].name, i, &slot);
    if (status)
      return status;
    for (uint32_t k = 0; k < i; ++k)
      if (strcmp(outputs[k].name, outputs[i].name) == 0)
        return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                       "output \"%s\" is asked for twice", outputs[i].name);
    const so_tensor *want = &model->outputs[slot];
    if (outputs[i].element_type &&
        outputs[i].element_type != want->element_type)
      return so_fail(SPARSE_OPT_WRONG_TYPE, "output \"%s\" is %s, not %s",
                     want->name, so_element_name(want->element_type),
                     so_element_name(outputs[i].element_type));
    if (!outputs[i].data)
      continue;
    const int64_t *dims = plan->dims;
    for (uint32_t k = 0; k < slot; ++k)
      dims += model->outputs[k].rank;
    uint64_t bytes = 0;
    so_tensor_bytes(want->element_type, want->rank, dims, &bytes);
    status = take_buffer(instance, want, dims, bytes, &outputs[i]);
    if (status)
      return status;
    instance->outputs[slot] = outputs[i].data;
  }
  return SPARSE_OPT_OK;
}

/* Memory for the outputs that have none yet, and the arena. `*total` gets the
 * bytes of all outputs. */
static sparse_opt_status reserve(sparse_opt_instance *instance,
                                 const so_plan *plan, uint64_t *total) {
  const so_model *model = instance->model;
  const int64_t *dims = plan->dims;
  *total = 0;
  for (uint32_t i = 0; i < model->num_outputs; ++i) {
    const so_tensor *output = &model->outputs[i];
    uint64_t bytes = 0;
    so_tensor_bytes(output->element_type, output->rank, dims, &bytes);
    dims += output->rank;
    *total |= bytes;
    if (instance->outputs[i])
      continue;
    if (!so_buffer_reserve(&instance->owned[i], bytes))
      return so_fail(SPARSE_OPT_OUT_OF_MEMORY,
                     "no memory for the %" PRIu64 " bytes of output \"%s\"",
                     bytes, output->name);
    instance->outputs[i] = instance->owned[i].data;
  }
  if (!so_buffer_reserve(&instance->arena, (uint64_t)plan->arena_bytes))
    return so_fail(SPARSE_OPT_OUT_OF_MEMORY,
                   "no memory for the %" PRId64
                   " bytes that inputs of these sizes need",
                   plan->arena_bytes);
  return SPARSE_OPT_OK;
}

void so_parallel(so_call *call, so_body body, void *ctx, int64_t count,
                 int64_t grain) {
  sparse_opt_instance *instance = call->runtime;
  if (instance->threads > 1)
    instance->pool->parallel(instance->pool, instance->threads, body, ctx,
                             count, grain);
  else if (count > 0)
    body(ctx, 0, count, 0);
}

/* The compiled function, in the default floating-point environment whatever
 * the caller's is: a result depends on the inputs alone. */
static sparse_opt_status call_model(sparse_opt_instance *instance) {
  const so_model *model = instance->model;
  so_call call = {.weights = instance->weights,
                  .arena = instance->arena.data,
                  .inputs = instance->inputs,
                  .outputs = instance->outputs,
                  .symbols = instance->symbols,
                  .threads = instance->threads,
                  .parallel = so_parallel,
                  .runtime = instance,
                  .states = instance->states.data,
                  .knobs = instance->knobs,
                  .blocks = instance->blocks};
  instance->pool->prepare(instance->pool);
  uint32_t control = _mm_getcsr();
  _mm_setcsr(0x1f80);
  if (instance->profile.enabled)
    so_profile_run(instance, &call);
  else
    instance->variant->run(&call);
  _mm_setcsr(control);
  if (instance->drift)
    so_check_drift(instance);
  if (!call.error_message)
    return SPARSE_OPT_OK;
  if (call.error_is_sizes)
    return so_fail(SPARSE_OPT_WRONG_SHAPE,
                   "%s (%" PRId64 " against %" PRId64 ")", call.error_message,
                   call.error_value, call.error_bound);
  return so_fail(SPARSE_OPT_OUT_OF_RANGE,
                 "%s: index %" PRId64 " is outside [-%" PRId64 ", %" PRId64 ")",
                 call.error_message, call.error_value, call.error_bound,
                 call.error_bound);
}

static void describe_outputs(const sparse_opt_instance *instance,
                             const so_plan *plan, sparse_opt_tensor *outputs,
                             uint32_t num_outputs) {
  const so_model *model = instance->model;
  const int64_t *dims = plan->dims;
  for (uint32_t slot = 0; slot < model->num_outputs; ++slot) {
    const so_tensor *output = &model->outputs[slot];
    for (uint32_t i = 0; i < num_outputs; ++i) {
      if (strcmp(outputs[i].name, output->name) != 0)
        continue;
      outputs[i].element_type = output->element_type;
      outputs[i].rank = output->rank;
      outputs[i].dims = dims;
      outputs[i].data = instance->outputs[slot];
      so_tensor_bytes(output->element_type, output->rank, dims,
                      &outputs[i].bytes);
    }
    dims += output->rank;
  }
}

static sparse_opt_status run_locked(sparse_opt_instance *instance,
                                    const sparse_opt_tensor *inputs,
                                    uint32_t num_inputs,
                                    sparse_opt_tensor *outputs,
                                    uint32_t num_outputs) {
  sparse_opt_status status = so_bind_inputs(instance, inputs, num_inputs);
  if (!status)
    status = bind_data(instance);
  if (status)
    return status;
  const so_plan *plan = so_find_plan(instance);
  if (!plan)
    return SPARSE_OPT_WRONG_SHAPE;
  status = bind_wanted(instance, plan, outputs, num_outputs);
  if (status)
    return status;
  int64_t length = plan->dims[instance->num_output_dims];
  uint64_t total, rows;
  status = so_states_prepare(instance, length, &rows);
  if (!status && !(plan = so_find_plan(instance))) /* for the room there is */
    status = SPARSE_OPT_WRONG_SHAPE;
  if (!status)
    status = reserve(instance, plan, &total);
  if (!status && (total | rows)) /* else all is empty: nothing to compute */
    status = call_model(instance);
  if (status)
    return status;
  so_states_commit(instance, length);
  describe_outputs(instance, plan, outputs, num_outputs);
  return SPARSE_OPT_OK;
}

sparse_opt_status so_run(sparse_opt_instance *instance,
                         const sparse_opt_tensor *inputs, uint32_t num_inputs,
                         sparse_opt_tensor *outputs, uint32_t num_outputs) {
  if (!instance)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "instance is NULL");
  if (!outputs && num_outputs)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "outputs is NULL");
  pthread_mutex_lock(&instance->lock);
  sparse_opt_status status =
      run_locked(instance, inputs, num_inputs, outputs, num_outputs);
  pthread_mutex_unlock(&instance->lock);
  return status;
}

sparse_opt_status so_output_shapes(sparse_opt_instance *instance,
                                   const sparse_opt_tensor *inputs,
                                   uint32_t num_inputs, int64_t *dims,
                                   uint32_t capacity) {
  if (!instance)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "instance is NULL");
  uint32_t count = instance->num_output_dims;
  if (count && !dims)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "dims is NULL");
  if (capacity < count)
    return so_fail(SPARSE_OPT_BUFFER_TOO_SMALL,
                   "the outputs have %u dimensions, but dims has room for %u",
                   count, capacity);
  pthread_mutex_lock(&instance->lock);
  sparse_opt_status status = so_bind_inputs(instance, inputs, num_inputs);
  if (!status) {
    const so_plan *plan = so_find_plan(instance);
    if (!plan)
      status = SPARSE_OPT_WRONG_SHAPE;
    else if (count)
      memcpy(dims, plan->dims, count * sizeof(int64_t));
  }
  pthread_mutex_unlock(&instance->lock);
  return status;
}
