/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * What compiled code and the runtime say to each other. Private: users see
 * Runtime.h. The compiler emits one `so_model` constant per model, and for
 * each ISA variant two functions, `plan` and `run`; the runtime owns memory,
 * threads and errors. Both sides are built from one revision (`abi`).
 */
#ifndef SPARSE_OPT_RUNTIME_MODELABI_H
#define SPARSE_OPT_RUNTIME_MODELABI_H
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SO_MODEL_ABI 3

/* Runs body(ctx, begin, end, thread) over ranges that partition [0, n);
 * 0 <= thread < threads, each thread index in at most one body at a time. */
typedef void (*so_body)(void *ctx, int64_t begin, int64_t end, int64_t thread);

/* What one compressed block has done. */
typedef struct so_block_counts {
  uint64_t rows, whole; /* rows, and those of runs that select nothing */
  uint64_t selected;    /* groups of neurons, over the other rows */
  uint64_t guarded;     /* of those: computed with all neurons all the same */
} so_block_counts;

/* One call of `run`. All pointers stay valid until it returns. */
typedef struct so_call {
  const uint8_t *weights;    /* aligned to 4096 */
  uint8_t *arena;            /* arena_bytes of `plan`, aligned to 64, and
                                64 readable bytes behind its end */
  const void *const *inputs; /* row-major, one per input */
  void *const *outputs;      /* row-major, one per output */
  const int64_t *symbols;    /* value of each symbolic dim */
  int64_t threads;           /* >= 1 */
  /* Ranges of at least `grain` that partition [0, count), on at most `threads`
   * threads; returns when all have run. */
  void (*parallel)(struct so_call *call, so_body body, void *ctx, int64_t count,
                   int64_t grain);
  /* First error of the call; `message` is a string of the model. */
  const char *error_message; /* NULL while there is none */
  int64_t error_value, error_bound;
  int64_t error_is_sizes;  /* the two are sizes that don't fit, not an
                              index and its bound */
  void *runtime;           /* the runtime's own */
  int64_t launch;          /* the number of the launch that calls
                              `parallel`, for profiles */
  void *const *states;     /* row-major, `capacity` long, one per state */
  const float *knobs;      /* one per knob */
  so_block_counts *blocks; /* one per block */
} so_call;

/* Output dims (flattened over outputs), behind them the states' length after
 * the run, and arena size for these symbols. */
typedef void (*so_plan_fn)(const int64_t *symbols, int64_t threads,
                           int64_t *output_dims, int64_t *arena_bytes);
typedef void (*so_run_fn)(so_call *call);

typedef struct so_variant {
  const char *isa;   /* "x86-64-v4": the names of --march */
  uint64_t features; /* SO_ISA_* bits the CPU must have */
  so_plan_fn plan;
  so_run_fn run;
} so_variant;

enum {
  SO_ISA_X86_64_V3 = 1 << 0, /* AVX2, FMA, BMI2, F16C */
  SO_ISA_X86_64_V4 = 1 << 1, /* AVX-512 F, BW, CD, DQ, VL */
  SO_ISA_AVX512_BF16 = 1 << 2,
  SO_ISA_AMX_BF16 = 1 << 3 /* with permission from the kernel */
};

/* dims[i] >= 0: static; dims[i] == -1 - s: symbol s; SO_DIM_PLANNED: an
 * output dim that only `plan` knows. */
#define SO_DIM_PLANNED INT64_MIN
typedef struct so_tensor {
  const char *name;
  int32_t element_type; /* ONNX TensorProto.DataType */
  int32_t rank;
  const int64_t *dims;
  const char *const *dim_names; /* symbol or polynomial; NULL when static */
} so_tensor;

/* A number that callers may set, and what it is before. */
typedef struct so_knob {
  const char *name;
  double value;
} so_knob;

typedef struct so_block {
  const char *name;
  uint64_t groups;  /* of neurons */
  double low, high; /* densities that calibration makes expect; 0, 0: any */
} so_block;

typedef struct so_model {
  uint32_t size, abi;   /* sizeof(so_model), SO_MODEL_ABI */
  const char *manifest; /* JSON: versions, flags, blocks, errors */
  uint32_t num_inputs, num_outputs, num_symbols, num_variants;
  const so_tensor *inputs, *outputs;
  const char *const *symbols; /* names, in the order of `so_call.symbols` */
  const so_variant *variants; /* best first */
  const uint8_t *weights;     /* NULL when there are none, or in a file */
  uint64_t weights_size;
  const char *weights_file; /* its name, beside the artefact; NULL: none */
  uint64_t weights_hash;    /* see WeightsFile.h */
  /* Tensors that runs append to, kept by the instance. Their length is a
   * symbol, and the size of the dimension that it is along; how much room
   * there is along it is a symbol too. No input has to fix either. */
  uint32_t num_states, length_symbol, capacity_symbol, reserved;
  const so_tensor *states;
  const int32_t *state_axes;
  uint32_t num_knobs, num_blocks; /* of compressed blocks */
  const so_knob *knobs;
  const so_block *blocks;
} so_model;

#ifdef __cplusplus
}
#endif
#endif
