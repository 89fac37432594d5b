/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What the runtime's files share. The runtime is C, so that a model needs
 * libc alone; every symbol here is hidden, and a model's copy of the runtime
 * serves that model only (pools excepted, see sparse_opt_pool).
 */
#ifndef SPARSE_OPT_LIB_RUNTIME_INTERNAL_H
#define SPARSE_OPT_LIB_RUNTIME_INTERNAL_H
#include "sparse-opt/Runtime/ModelAbi.h"
#include "sparse-opt/Runtime/Runtime.h"
#include <pthread.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Error.c */

/* Records the calling thread's message and returns `status`. */
sparse_opt_status so_fail(sparse_opt_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const char *so_last_error(void);

/* A bounded string under construction; what doesn't fit ends in "...". */
typedef struct so_text {
  char data[400];
  uint32_t length;
} so_text;
void so_append(so_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Cpu.c */

/* SO_ISA_* bits that both the CPU and the operating system offer. */
uint64_t so_cpu_features(void);
/* CPUs this process may use: affinity and cgroup quota. */
uint32_t so_cpu_count(void);
/* The same with a core's hyperthreads counted once: they share its FMA units,
 * so a second spinning thread there only takes time from the first. */
uint32_t so_core_count(void);
/* The first variant whose needs are in `features`, or, with `wanted`, the one
 * of that name. NULL after so_fail. */
const so_variant *so_pick_variant(const so_model *model, uint64_t features,
                                  const char *wanted);

/* Buffer.c */

/* Memory that only grows, aligned to 64 and with 64 readable bytes behind it;
 * large ones ask for 2 MiB pages. Growing does not keep the contents. */
typedef struct so_buffer {
  uint8_t *data;
  uint64_t bytes;
  uint64_t mapped; /* size of the mapping at `data`; 0: from malloc */
} so_buffer;
bool so_buffer_reserve(so_buffer *buffer, uint64_t bytes);
void so_buffer_release(so_buffer *buffer);
/* Bytes that are not needed any more, before the buffer is released. */
void so_buffer_forget(so_buffer *buffer, uint64_t begin, uint64_t end);

/* Pool.c */

/* The start of every pool. Models call through it, so that one may use a pool
 * that another model's copy of the runtime made. */
struct sparse_opt_pool {
  uint32_t abi; /* SO_MODEL_ABI */
  uint32_t threads;
  /* Before a run: notices that this process is a fork of the pool's. */
  void (*prepare)(sparse_opt_pool *pool);
  void (*parallel)(sparse_opt_pool *pool, uint32_t threads, so_body body,
                   void *ctx, int64_t count, int64_t grain);
  void (*destroy)(sparse_opt_pool *pool);
};
sparse_opt_status so_pool_create(uint32_t threads, sparse_opt_pool **pool);

/* Instance.c */

/* The plan of one tuple of symbol values. */
typedef struct so_plan {
  bool valid;
  int64_t *symbols, *dims;
  int64_t arena_bytes;
} so_plan;
enum { SO_MAX_PLANS = 16 };
#define SO_BOUND_BY_STATES UINT32_MAX

/* Times of a run, for instances that are asked for them. */
typedef struct so_profile {
  bool enabled, incomplete;
  uint64_t total;     /* nanoseconds of the compiled function */
  uint64_t *launches; /* and of the launches of each number */
  uint32_t count, capacity;
} so_profile;

/* The caches of an instance. */
typedef struct so_states {
  so_buffer memory; /* of all states: large, so that it gets large pages */
  void **data;      /* in it, per state, for `capacity` rows */
  int64_t *held;    /* values of the symbols when `length` rows came in */
  int64_t length, capacity;
  int64_t limit; /* that the user gave, or 0 */
} so_states;

struct sparse_opt_instance {
  const so_model *model;
  const uint8_t *weights;
  const so_variant *variant;
  sparse_opt_pool *pool;
  uint32_t *pool_users; /* instances that share a pool of their own, or NULL */
  uint32_t threads;
  pthread_mutex_t lock; /* runs take turns */
  /* Scratch of the call in progress, sized by the model. */
  const sparse_opt_tensor **given; /* per input of the model */
  const void **inputs;
  void **outputs;
  int64_t *symbols;
  uint32_t *bound_by; /* per symbol: 1 + input that fixed it, 0 for none yet,
                         SO_BOUND_BY_STATES */
  uint32_t *bound_dim;
  so_plan plans[SO_MAX_PLANS];
  uint32_t next_plan;
  uint32_t num_output_dims;
  so_states states;
  so_buffer arena;
  so_buffer *owned; /* outputs the caller gave no buffer for */
  so_profile profile;
  float *knobs;            /* one per knob of the model */
  so_block_counts *blocks; /* one per compressed block */
  so_block_counts *seen;   /* the same, when the last window began */
  sparse_opt_drift_callback drift;
  void *drift_user;
};
sparse_opt_status so_instance_create(const so_model *model,
                                     const sparse_opt_options *options,
                                     sparse_opt_instance **instance);
void so_instance_destroy(sparse_opt_instance *instance);
sparse_opt_status so_instance_fork(sparse_opt_instance *instance,
                                   sparse_opt_instance **copy);

/* Knobs.c */

bool so_knobs_allocate(sparse_opt_instance *instance);
/* Begins a new window of every block that has seen enough rows, and tells who
 * wants to know of densities outside a band. */
void so_check_drift(sparse_opt_instance *instance);
sparse_opt_status so_on_drift(sparse_opt_instance *instance,
                              sparse_opt_drift_callback callback, void *user);
void so_knobs_release(sparse_opt_instance *instance);
sparse_opt_status so_knobs_set_all(sparse_opt_instance *instance,
                                   const sparse_opt_knob *knobs,
                                   uint32_t count);
sparse_opt_status so_knob_get(sparse_opt_instance *instance, const char *name,
                              double *value);
sparse_opt_status so_knob_set(sparse_opt_instance *instance, const char *name,
                              double value);
sparse_opt_status so_telemetry(sparse_opt_instance *instance,
                               sparse_opt_block_stats *stats, uint32_t capacity,
                               uint32_t *count);

/* Weights.c */

/* The model's weights, which stay until so_weights_close. */
sparse_opt_status so_weights_open(const so_model *model,
                                  const uint8_t **weights);
void so_weights_close(const so_model *model, const uint8_t *weights);

/* Shapes.c */

/* Size of an element type in bytes; 0: cannot be passed. */
uint64_t so_element_size(int32_t type);
const char *so_element_name(int32_t type);
/* Bytes of a tensor; false when that overflows. */
bool so_tensor_bytes(int32_t type, int32_t rank, const int64_t *dims,
                     uint64_t *bytes);
void so_append_shape(so_text *text, int32_t rank, const int64_t *dims);
/* Matches `inputs` with the model's, fills instance->given and ->symbols. */
sparse_opt_status so_bind_inputs(sparse_opt_instance *instance,
                                 const sparse_opt_tensor *inputs,
                                 uint32_t num_inputs);
/* The plan for instance->symbols; NULL after so_fail. */
const so_plan *so_find_plan(sparse_opt_instance *instance);

/* State.c */

bool so_states_allocate(sparse_opt_instance *instance);
void so_states_release(sparse_opt_instance *instance);
/* Before inputs are bound: the symbols that states fix. */
void so_states_bind(sparse_opt_instance *instance);
/* After a plan: room for the rows of the run, or an error that changes
 * nothing. `*bytes` gets the bytes of the new rows. */
sparse_opt_status so_states_prepare(sparse_opt_instance *instance,
                                    int64_t length, uint64_t *bytes);
/* After a run without an error. */
void so_states_commit(sparse_opt_instance *instance, int64_t length);
/* Into an instance that was just made. */
sparse_opt_status so_states_copy(sparse_opt_instance *to,
                                 const sparse_opt_instance *from);
sparse_opt_status so_state_length(sparse_opt_instance *instance,
                                  uint64_t *length, uint64_t *capacity);
sparse_opt_status so_state_truncate(sparse_opt_instance *instance,
                                    uint64_t length);
sparse_opt_status so_state_select(sparse_opt_instance *instance,
                                  const uint32_t *rows, uint32_t count);

/* Profile.c */

sparse_opt_status so_profile_enable(sparse_opt_instance *instance,
                                    int32_t enabled);
sparse_opt_status so_profile_read(sparse_opt_instance *instance,
                                  uint64_t *total, uint64_t *launches,
                                  uint32_t capacity, uint32_t *count);
/* The compiled function with every launch timed. */
void so_profile_run(sparse_opt_instance *instance, so_call *call);

/* Run.c */

/* so_call.parallel */
void so_parallel(so_call *call, so_body body, void *ctx, int64_t count,
                 int64_t grain);
sparse_opt_status so_output_shapes(sparse_opt_instance *instance,
                                   const sparse_opt_tensor *inputs,
                                   uint32_t num_inputs, int64_t *dims,
                                   uint32_t capacity);
sparse_opt_status so_run(sparse_opt_instance *instance,
                         const sparse_opt_tensor *inputs, uint32_t num_inputs,
                         sparse_opt_tensor *outputs, uint32_t num_outputs);

/* Api.c */

/* Fills `storage`, which belongs to the model, once, and returns it. Called by
 * the entry function the compiler emits; NULL when the model is not of this
 * runtime's ABI. */
const sparse_opt_api *so_runtime_bind(const so_model *model,
                                      sparse_opt_api *storage);

#ifdef __cplusplus
}
#endif
#endif
