/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The C interface of a model compiled by sparse-opt. A model exports one
 * function, `sparse_opt_model_v1` (or the name given to --entry), which
 * returns the table of functions below. New functions are appended, never
 * changed: compare `size` before calling one that your header has and an older
 * model may lack.
 *
 *   const sparse_opt_api *api = sparse_opt_model_v1();
 *   sparse_opt_instance *instance;
 *   if (api->instance_create(api->model, NULL, &instance) != SPARSE_OPT_OK)
 *     die(api->last_error());
 *
 * Functions that can fail return a status; `last_error` then holds one
 * sentence for the calling thread. Everything may be called from any thread.
 * Runs of one instance take turns; for concurrent runs create several
 * instances (they share the weights, and a pool if given one).
 */
#ifndef SPARSE_OPT_RUNTIME_RUNTIME_H
#define SPARSE_OPT_RUNTIME_RUNTIME_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SPARSE_OPT_API_VERSION 1

typedef int32_t sparse_opt_status;
enum {
  SPARSE_OPT_OK = 0,
  SPARSE_OPT_INVALID_ARGUMENT = 1, /* null pointer, wrong count or size */
  SPARSE_OPT_UNKNOWN_NAME = 2,     /* no such input, output or knob */
  SPARSE_OPT_WRONG_TYPE = 3,       /* element type is not the model's */
  SPARSE_OPT_WRONG_SHAPE = 4,      /* rank, size, or sizes that disagree */
  SPARSE_OPT_BUFFER_TOO_SMALL = 5,
  SPARSE_OPT_OUT_OF_RANGE = 6, /* an index in the data is outside its table */
  SPARSE_OPT_UNSUPPORTED_CPU = 7,
  SPARSE_OPT_OUT_OF_MEMORY = 8,
  SPARSE_OPT_INTERNAL = 9,      /* the artefact is damaged, or our bug */
  SPARSE_OPT_OVER_CAPACITY = 10 /* more rows than the caches may hold */
};

/* Element types have the numbers of ONNX's TensorProto.DataType. */
enum {
  SPARSE_OPT_FLOAT = 1,
  SPARSE_OPT_UINT8 = 2,
  SPARSE_OPT_INT8 = 3,
  SPARSE_OPT_UINT16 = 4,
  SPARSE_OPT_INT16 = 5,
  SPARSE_OPT_INT32 = 6,
  SPARSE_OPT_INT64 = 7,
  SPARSE_OPT_BOOL = 9, /* one byte, 0 or 1 */
  SPARSE_OPT_FLOAT16 = 10,
  SPARSE_OPT_DOUBLE = 11,
  SPARSE_OPT_UINT32 = 12,
  SPARSE_OPT_UINT64 = 13,
  SPARSE_OPT_BFLOAT16 = 16
};

typedef struct sparse_opt_model sparse_opt_model;
typedef struct sparse_opt_instance sparse_opt_instance;
typedef struct sparse_opt_pool sparse_opt_pool;

/* An input or output as the model declares it. */
typedef struct sparse_opt_tensor_info {
  const char *name;
  int32_t element_type;
  int32_t rank;
  const int64_t *dims;          /* negative: dynamic, see dim_names */
  const char *const *dim_names; /* "batch"; NULL for a static dim */
} sparse_opt_tensor_info;

/* An input or output of a run: dense, row-major. */
typedef struct sparse_opt_tensor {
  const char *name;
  int32_t element_type;
  int32_t rank;
  const int64_t *dims;
  void *data;     /* inputs are only read */
  uint64_t bytes; /* size of `data` */
} sparse_opt_tensor;

/* A value that can be changed at run time, such as a block's threshold. */
typedef struct sparse_opt_knob {
  const char *name;
  double value;
} sparse_opt_knob;

/* What one sparse block has seen since the instance was created: rows, those
 * of them that took all neurons (many rows at a time do, and those above the
 * block's crossover), and the share of the neurons that were selected where
 * any were (0 when there were no such rows; of rows computed together what any
 * of them needs). A block that skips columns of its input too has a second
 * entry, "<block>.inputs", where these are what neurons are in the first. */
typedef struct sparse_opt_block_stats {
  const char *block;
  uint64_t rows, fallbacks;
  double density;
} sparse_opt_block_stats;

/* Called by a run, on its thread, after the density of a block, or of its
 * "<block>.inputs", over the last rows lay outside the band [low, high] that
 * calibration makes expect: the inputs are of another kind, so errors and times
 * may be other than what was measured. It may not call the instance. */
typedef void (*sparse_opt_drift_callback)(void *user, const char *block,
                                          double density, double low,
                                          double high);

typedef struct sparse_opt_options {
  uint32_t size;         /* sizeof(sparse_opt_options) */
  uint32_t threads;      /* 0: one per core this process may use */
  sparse_opt_pool *pool; /* NULL: a pool of the instance's own */
  const sparse_opt_knob *knobs;
  uint32_t num_knobs;
  /* For models that keep caches: rows they may hold, allocated by the first
   * run. 0: they grow as needed, to twice the room each time. */
  uint64_t capacity;
} sparse_opt_options;

typedef struct sparse_opt_api {
  uint32_t size;    /* sizeof(sparse_opt_api) of the model's runtime */
  uint32_t version; /* SPARSE_OPT_API_VERSION */
  const sparse_opt_model *model; /* the first argument of what follows */

  /* The last failure in the calling thread, "" before the first. Valid until
   * the thread's next failing call. */
  const char *(*last_error)(void);
  /* JSON: versions, targets, flags, blocks. */
  const char *(*manifest)(const sparse_opt_model *model);
  const sparse_opt_tensor_info *(*inputs)(const sparse_opt_model *model,
                                          uint32_t *count);
  const sparse_opt_tensor_info *(*outputs)(const sparse_opt_model *model,
                                           uint32_t *count);

  /* Threads that several instances, of any models, may share. The calling
   * thread is one of `threads`; the others start when first needed. A pool
   * outlives its instances, and its model stays loaded as long. */
  sparse_opt_status (*pool_create)(const sparse_opt_model *model,
                                   uint32_t threads, sparse_opt_pool **pool);
  void (*pool_destroy)(sparse_opt_pool *pool);

  /* `options` may be NULL. Fails with UNSUPPORTED_CPU when this CPU has none
   * of the model's instruction sets. */
  sparse_opt_status (*instance_create)(const sparse_opt_model *model,
                                       const sparse_opt_options *options,
                                       sparse_opt_instance **instance);
  void (*instance_destroy)(sparse_opt_instance *instance);
  /* Name of the instruction set in use, as --march spells it. */
  const char *(*instance_target)(const sparse_opt_instance *instance);
  uint32_t (*instance_threads)(const sparse_opt_instance *instance);

  /* Dims of all outputs, in the order of `outputs`, one after the other, for
   * inputs of these dims (data, bytes and element_type are not looked at).
   * `capacity` is the size of `dims`; the sum of the outputs' ranks is enough.
   */
  sparse_opt_status (*output_shapes)(sparse_opt_instance *instance,
                                     const sparse_opt_tensor *inputs,
                                     uint32_t num_inputs, int64_t *dims,
                                     uint32_t capacity);

  /* Every input must be given, in any order; outputs are those wanted. An
   * output with data gets its result there (`bytes` must suffice; it may not
   * overlap an input); one with NULL data gets a buffer of the instance's.
   * Both get element_type, rank, dims and bytes filled in; dims and buffers of
   * the instance stay valid until its next run. */
  sparse_opt_status (*run)(sparse_opt_instance *instance,
                           const sparse_opt_tensor *inputs, uint32_t num_inputs,
                           sparse_opt_tensor *outputs, uint32_t num_outputs);

  sparse_opt_status (*knob_get)(sparse_opt_instance *instance, const char *name,
                                double *value);
  sparse_opt_status (*knob_set)(sparse_opt_instance *instance, const char *name,
                                double value);
  /* Fills at most `capacity` of `stats`; `count` gets the number of sparse
   * blocks of the model. */
  sparse_opt_status (*telemetry)(sparse_opt_instance *instance,
                                 sparse_opt_block_stats *stats,
                                 uint32_t capacity, uint32_t *count);

  /* From the next run on, times every kernel, or none when `enabled` is 0. */
  sparse_opt_status (*profile_enable)(sparse_opt_instance *instance,
                                      int32_t enabled);
  /* Nanoseconds of the last run that was timed: of the compiled code in
   * `total`, and of the launches of kernels in it, in the order of the
   * manifest's "kernels", in at most `capacity` of `launches`. `count` gets the
   * number of launches. The rest of the total went by between them. */
  sparse_opt_status (*profile)(sparse_opt_instance *instance, uint64_t *total,
                               uint64_t *launches, uint32_t capacity,
                               uint32_t *count);

  /* Caches that instances keep (compiled with --kv-cache=in-place), named like
   * the inputs they were; none in most models. A run appends its rows to all
   * of them, and reads those there were before as their length; one that
   * fails leaves them as they were. */
  const sparse_opt_tensor_info *(*states)(const sparse_opt_model *model,
                                          uint32_t *count);
  /* Rows in the caches, and how many there is memory for; `capacity` may be
   * NULL. */
  sparse_opt_status (*state_length)(sparse_opt_instance *instance,
                                    uint64_t *length, uint64_t *capacity);
  /* Forgets all rows but the first `length`; with 0 the next run may have
   * another batch. Memory stays. */
  sparse_opt_status (*state_truncate)(sparse_opt_instance *instance,
                                      uint64_t length);
  /* Batch item i of the caches becomes what item rows[i] was; `count` is their
   * batch from then on. For beam search. */
  sparse_opt_status (*state_select)(sparse_opt_instance *instance,
                                    const uint32_t *rows, uint32_t count);
  /* A second instance with a copy of the caches, the same options, weights and
   * pool (a pool of the first instance's own lives until both are gone). */
  sparse_opt_status (*instance_fork)(sparse_opt_instance *instance,
                                     sparse_opt_instance **copy);

  /* From the next run on `callback` (NULL: nobody) is told of every
   * SPARSE_OPT_DRIFT_ROWS rows of a block whose density is outside its band. */
  sparse_opt_status (*on_drift)(sparse_opt_instance *instance,
                                sparse_opt_drift_callback callback, void *user);
} sparse_opt_api;

#define SPARSE_OPT_DRIFT_ROWS 256

/* The entry of a model linked into the program; with dlopen look it up. */
const sparse_opt_api *sparse_opt_model_v1(void);
typedef const sparse_opt_api *(*sparse_opt_entry)(void);

#ifdef __cplusplus
}
#endif
#endif
