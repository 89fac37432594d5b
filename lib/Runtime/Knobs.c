/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What callers may set and ask of a compressed model: thresholds, and how many
 * rows each block has seen and how many of its neurons they took.
 */
#include "Internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool so_knobs_allocate(sparse_opt_instance *instance) {
  const so_model *model = instance->model;
  instance->knobs = calloc(model->num_knobs + 1u, sizeof(float));
  instance->blocks = calloc(model->num_blocks + 1u, sizeof(so_block_counts));
  instance->seen = calloc(model->num_blocks + 1u, sizeof(so_block_counts));
  if (!instance->knobs || !instance->blocks || !instance->seen)
    return false;
  for (uint32_t i = 0; i < model->num_knobs; ++i)
    instance->knobs[i] = (float)model->knobs[i].value;
  return true;
}

void so_knobs_release(sparse_opt_instance *instance) {
  free(instance->knobs);
  free(instance->blocks);
  free(instance->seen);
}

/* The knob of this name, or NULL after so_fail. */
static float *find(sparse_opt_instance *instance, const char *name) {
  const so_model *model = instance->model;
  for (uint32_t i = 0; i < model->num_knobs; ++i)
    if (!strcmp(model->knobs[i].name, name))
      return &instance->knobs[i];
  if (model->num_knobs)
    so_fail(SPARSE_OPT_UNKNOWN_NAME,
            "the model has no knob \"%s\"; the first of its %u is \"%s\"", name,
            model->num_knobs, model->knobs[0].name);
  else
    so_fail(SPARSE_OPT_UNKNOWN_NAME, "the model has no knob \"%s\"", name);
  return NULL;
}

static sparse_opt_status set(sparse_opt_instance *instance, const char *name,
                             double value) {
  float *knob = find(instance, name);
  if (!knob)
    return SPARSE_OPT_UNKNOWN_NAME;
  if (isnan(value))
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "knob \"%s\" can't be NaN",
                   name);
  *knob = (float)value;
  return SPARSE_OPT_OK;
}

sparse_opt_status so_knobs_set_all(sparse_opt_instance *instance,
                                   const sparse_opt_knob *knobs,
                                   uint32_t count) {
  sparse_opt_status status = SPARSE_OPT_OK;
  for (uint32_t i = 0; !status && i < count; ++i) {
    if (!knobs || !knobs[i].name)
      return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                     "options.knobs has no names for its %u knobs", count);
    status = set(instance, knobs[i].name, knobs[i].value);
  }
  return status;
}

static sparse_opt_status null_argument(const char *name) {
  return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "%s is NULL", name);
}

sparse_opt_status so_knob_get(sparse_opt_instance *instance, const char *name,
                              double *value) {
  if (!instance || !name || !value)
    return null_argument(!instance ? "instance" : !name ? "name" : "value");
  pthread_mutex_lock(&instance->lock);
  const float *knob = find(instance, name);
  if (knob)
    *value = *knob;
  pthread_mutex_unlock(&instance->lock);
  return knob ? SPARSE_OPT_OK : SPARSE_OPT_UNKNOWN_NAME;
}

sparse_opt_status so_knob_set(sparse_opt_instance *instance, const char *name,
                              double value) {
  if (!instance || !name)
    return null_argument(instance ? "name" : "instance");
  pthread_mutex_lock(&instance->lock);
  sparse_opt_status status = set(instance, name, value);
  pthread_mutex_unlock(&instance->lock);
  return status;
}

sparse_opt_status so_telemetry(sparse_opt_instance *instance,
                               sparse_opt_block_stats *stats, uint32_t capacity,
                               uint32_t *count) {
  if (!instance || !count || (capacity && !stats))
    return null_argument(!instance ? "instance" : !count ? "count" : "stats");
  const so_model *model = instance->model;
  *count = model->num_blocks;
  pthread_mutex_lock(&instance->lock);
  for (uint32_t i = 0; i < model->num_blocks && i < capacity; ++i) {
    const so_block_counts *counts = &instance->blocks[i];
    uint64_t sparse = counts->rows - counts->whole;
    double most = (double)sparse * (double)model->blocks[i].groups;
    stats[i] = (sparse_opt_block_stats){
        .block = model->blocks[i].name,
        .rows = counts->rows,
        .fallbacks = counts->whole + counts->guarded,
        .density = sparse ? (double)counts->selected / most : 0};
  }
  pthread_mutex_unlock(&instance->lock);
  return SPARSE_OPT_OK;
}

void so_check_drift(sparse_opt_instance *instance) {
  const so_model *model = instance->model;
  for (uint32_t i = 0; i < model->num_blocks; ++i) {
    const so_block *block = &model->blocks[i];
    const so_block_counts *now = &instance->blocks[i];
    so_block_counts *seen = &instance->seen[i];
    uint64_t rows = (now->rows - now->whole) - (seen->rows - seen->whole);
    if (rows < SPARSE_OPT_DRIFT_ROWS)
      continue;
    double density = (double)(now->selected - seen->selected) /
                     ((double)rows * (double)block->groups);
    *seen = *now;
    bool has_band = block->low < block->high;
    if (has_band && (density < block->low || density > block->high))
      instance->drift(instance->drift_user, block->name, density, block->low,
                      block->high);
  }
}

sparse_opt_status so_on_drift(sparse_opt_instance *instance,
                              sparse_opt_drift_callback callback, void *user) {
  if (!instance)
    return null_argument("instance");
  pthread_mutex_lock(&instance->lock);
  instance->drift = callback;
  instance->drift_user = user;
  memcpy(instance->seen, instance->blocks,
         instance->model->num_blocks * sizeof(so_block_counts));
  pthread_mutex_unlock(&instance->lock);
  return SPARSE_OPT_OK;
}
