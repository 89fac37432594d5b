/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Times of single launches. An instance that isn't profiled pays nothing: its
 * calls have another `parallel`.
 */
#include "Internal.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* More than any model has: a larger number is damage. */
enum { MAX_LAUNCHES = 1 << 20 };

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Room for launches up to this number. */
static bool grow(so_profile *profile, int64_t launch) {
  if (launch < 0 || launch >= MAX_LAUNCHES)
    return false;
  if (launch < profile->capacity)
    return true;
  uint32_t capacity = 2 * (uint32_t)launch + 64;
  uint64_t *grown = realloc(profile->launches, capacity * sizeof(uint64_t));
  if (!grown)
    return false;
  profile->launches = grown;
  profile->capacity = capacity;
  return true;
}

/* A launch in a loop adds up. */
static void note(so_profile *profile, int64_t launch, uint64_t time) {
  if (!grow(profile, launch)) {
    profile->incomplete = true;
    return;
  }
  for (; profile->count <= launch; ++profile->count)
    profile->launches[profile->count] = 0;
  profile->launches[launch] += time;
}

static void timed_parallel(so_call *call, so_body body, void *ctx,
                           int64_t count, int64_t grain) {
  sparse_opt_instance *instance = call->runtime;
  int64_t launch = call->launch;
  uint64_t start = now();
  so_parallel(call, body, ctx, count, grain);
  note(&instance->profile, launch, now() - start);
}

void so_profile_run(sparse_opt_instance *instance, so_call *call) {
  so_profile *profile = &instance->profile;
  profile->count = 0;
  profile->incomplete = false;
  call->parallel = timed_parallel;
  uint64_t start = now();
  instance->variant->run(call);
  profile->total = now() - start;
}

sparse_opt_status so_profile_enable(sparse_opt_instance *instance,
                                    int32_t enabled) {
  if (!instance)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "instance is NULL");
  pthread_mutex_lock(&instance->lock);
  instance->profile.enabled = enabled != 0;
  pthread_mutex_unlock(&instance->lock);
  return SPARSE_OPT_OK;
}

sparse_opt_status so_profile_read(sparse_opt_instance *instance,
                                  uint64_t *total, uint64_t *launches,
                                  uint32_t capacity, uint32_t *count) {
  if (!instance || !total || !count || (capacity && !launches))
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "%s is NULL",
                   !instance ? "instance"
                   : !total  ? "total"
                   : !count  ? "count"
                             : "launches");
  pthread_mutex_lock(&instance->lock);
  const so_profile *profile = &instance->profile;
  bool incomplete = profile->incomplete;
  uint32_t copied = profile->count < capacity ? profile->count : capacity;
  *total = profile->total;
  *count = profile->count;
  if (copied)
    memcpy(launches, profile->launches, copied * sizeof(uint64_t));
  pthread_mutex_unlock(&instance->lock);
  if (incomplete)
    return so_fail(SPARSE_OPT_OUT_OF_MEMORY, "no memory for the profile");
  return SPARSE_OPT_OK;
}
