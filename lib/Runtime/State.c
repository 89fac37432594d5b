/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The caches of an instance: room for the rows of a run, found before it, and
 * their length, which only a run without an error moves. A cache is stored
 * row-major with `capacity` rows along its axis, of which the first `length`
 * mean something; what is behind them may hold anything.
 */
#include "Internal.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MIN_ROWS = 64 };

/* A cache as blocks of rows: one block per index of the dimensions before the
 * axis, `row` bytes for each index along it. */
typedef struct so_blocks {
  uint64_t count, row;
} so_blocks;

static int64_t dim_of(const so_tensor *state, int32_t d,
                      const int64_t *symbols) {
  return state->dims[d] < 0 ? symbols[-1 - state->dims[d]] : state->dims[d];
}

/* Product of the dims in [begin, end) times *product; false: it overflows. */
static bool multiply(const so_tensor *state, int32_t begin, int32_t end,
                     const int64_t *symbols, uint64_t *product) {
  for (int32_t d = begin; d < end; ++d)
    if (__builtin_mul_overflow(*product, (uint64_t)dim_of(state, d, symbols),
                               product))
      return false;
  return true;
}

static bool blocks_of(const so_model *model, uint32_t i, const int64_t *symbols,
                      so_blocks *blocks) {
  const so_tensor *state = &model->states[i];
  int32_t axis = model->state_axes[i];
  blocks->count = 1;
  blocks->row = so_element_size(state->element_type);
  return multiply(state, 0, axis, symbols, &blocks->count) &&
         multiply(state, axis + 1, state->rank, symbols, &blocks->row);
}

bool so_states_allocate(sparse_opt_instance *instance) {
  const so_model *model = instance->model;
  so_states *states = &instance->states;
  states->data = calloc(model->num_states + 1u, sizeof(void *));
  states->held = calloc(model->num_symbols + 1u, sizeof(int64_t));
  return states->data && states->held;
}

void so_states_release(sparse_opt_instance *instance) {
  so_states *states = &instance->states;
  so_buffer_release(&states->memory);
  free(states->data);
  free(states->held);
}

void so_states_bind(sparse_opt_instance *instance) {
  const so_model *model = instance->model;
  if (!model->num_states)
    return;
  instance->symbols[model->length_symbol] = instance->states.length;
  instance->symbols[model->capacity_symbol] = instance->states.capacity;
  instance->bound_by[model->length_symbol] = SO_BOUND_BY_STATES;
  instance->bound_by[model->capacity_symbol] = SO_BOUND_BY_STATES;
}

/* What rows there are must fit the rows to come in every other dimension. */
static sparse_opt_status check_dims(const sparse_opt_instance *instance) {
  const so_model *model = instance->model;
  const so_states *states = &instance->states;
  for (uint32_t i = 0; i < model->num_states && states->length; ++i)
    for (int32_t d = 0; d < model->states[i].rank; ++d) {
      int64_t s = -1 - model->states[i].dims[d];
      if (d == model->state_axes[i] || s < 0 ||
          instance->symbols[s] == states->held[s])
        continue;
      return so_fail(SPARSE_OPT_WRONG_SHAPE,
                     "\"%s\" is %" PRId64 " in input \"%s\" (dimension %u), "
                     "but %" PRId64 " in the caches that the instance keeps",
                     model->symbols[s], instance->symbols[s],
                     model->inputs[instance->bound_by[s] - 1].name,
                     instance->bound_dim[s], states->held[s]);
    }
  return SPARSE_OPT_OK;
}

static sparse_opt_status no_memory(int64_t rows) {
  return so_fail(SPARSE_OPT_OUT_OF_MEMORY,
                 "no memory for caches of %" PRId64 " rows", rows);
}

/* Memory for all states with `rows` rows each, and where in it they are. */
static bool reserve_all(const so_model *model, so_buffer *memory, void **data,
                        const int64_t *symbols, int64_t rows) {
  enum { ALIGNMENT = 64 };
  uint64_t total = 0;
  for (uint32_t i = 0; i < model->num_states; ++i) {
    so_blocks blocks;
    uint64_t bytes = 0;
    if (!blocks_of(model, i, symbols, &blocks) ||
        __builtin_mul_overflow(blocks.row, blocks.count, &bytes) ||
        __builtin_mul_overflow(bytes, (uint64_t)rows, &bytes) ||
        bytes > INT64_MAX / 2 - total - ALIGNMENT)
      return false;
    data[i] = (void *)(uintptr_t)total; /* an offset until there is a base */
    total += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }
  if (!so_buffer_reserve(memory, total))
    return false;
  for (uint32_t i = 0; i < model->num_states; ++i)
    data[i] = memory->data + (uintptr_t)data[i];
  return true;
}

static void copy_blocks(so_blocks blocks, uint8_t *to, int64_t to_rows,
                        const uint8_t *from, int64_t from_rows,
                        int64_t length) {
  for (uint64_t b = 0; length && b < blocks.count; ++b)
    memcpy(to + b * (uint64_t)to_rows * blocks.row,
           from + b * (uint64_t)from_rows * blocks.row,
           (uint64_t)length * blocks.row);
}

typedef struct so_room {
  so_buffer memory;
  void **data;
} so_room;

static bool make_room(const so_model *model, so_room *room,
                      const int64_t *symbols, int64_t rows) {
  room->memory = (so_buffer){NULL, 0, 0};
  room->data = calloc(model->num_states, sizeof(void *));
  if (room->data &&
      reserve_all(model, &room->memory, room->data, symbols, rows))
    return true;
  free(room->data);
  return false;
}

/* The old memory goes, the new one comes. */
static void adopt_room(sparse_opt_instance *instance, so_room *room) {
  so_states *states = &instance->states;
  so_buffer_release(&states->memory);
  states->memory = room->memory;
  memcpy(states->data, room->data,
         instance->model->num_states * sizeof(void *));
  free(room->data);
}

/* State `i` was copied to where it moves. */
static void forget(so_states *states, uint32_t i, so_blocks blocks) {
  uint64_t begin = (uint64_t)((uint8_t *)states->data[i] - states->memory.data);
  so_buffer_forget(&states->memory, begin,
                   begin +
                       blocks.count * blocks.row * (uint64_t)states->capacity);
}

static sparse_opt_status grow(sparse_opt_instance *instance, int64_t rows) {
  const so_model *model = instance->model;
  so_states *states = &instance->states;
  if (!states->length) {
    /* Nothing to move, and the batch may be another. */
    states->capacity = 0;
    if (!reserve_all(model, &states->memory, states->data, instance->symbols,
                     rows))
      return no_memory(rows);
    states->capacity = rows;
    return SPARSE_OPT_OK;
  }
  so_room room;
  if (!make_room(model, &room, states->held, rows))
    return no_memory(rows);
  for (uint32_t i = 0; i < model->num_states; ++i) {
    so_blocks blocks;
    blocks_of(model, i, states->held, &blocks);
    copy_blocks(blocks, room.data[i], rows, states->data[i], states->capacity,
                states->length);
    forget(states, i, blocks);
  }
  adopt_room(instance, &room);
  states->capacity = rows;
  return SPARSE_OPT_OK;
}

/* Room for `length` rows: all that may be, or twice as much as before. */
static int64_t rows_for(const so_states *states, int64_t length) {
  if (states->limit)
    return states->limit;
  if (length <= states->capacity)
    return states->capacity;
  int64_t rows = states->capacity > INT64_MAX / 4 ? 0 : 2 * states->capacity;
  if (rows < length && length < INT64_MAX / 4)
    rows = (length + MIN_ROWS - 1) / MIN_ROWS * MIN_ROWS;
  return rows < length ? length : rows;
}

sparse_opt_status so_states_prepare(sparse_opt_instance *instance,
                                    int64_t length, uint64_t *bytes) {
  const so_model *model = instance->model;
  so_states *states = &instance->states;
  *bytes = 0;
  if (!model->num_states)
    return SPARSE_OPT_OK;
  sparse_opt_status status = check_dims(instance);
  if (status)
    return status;
  if (length < states->length)
    return so_fail(SPARSE_OPT_WRONG_SHAPE,
                   "these inputs append %" PRId64 " rows to the caches",
                   length - states->length);
  if (states->limit && length > states->limit)
    return so_fail(SPARSE_OPT_OVER_CAPACITY,
                   "the caches hold %" PRId64 " rows of at most %" PRId64
                   ", and these inputs append %" PRId64,
                   states->length, states->limit, length - states->length);
  int64_t rows = rows_for(states, length);
  if (!states->length || rows > states->capacity)
    status = grow(instance, rows);
  if (status)
    return status;
  for (uint32_t i = 0; i < model->num_states; ++i) {
    so_blocks blocks;
    blocks_of(model, i, instance->symbols, &blocks);
    *bytes += blocks.count * blocks.row * (uint64_t)(length - states->length);
  }
  instance->symbols[model->capacity_symbol] = states->capacity;
  return SPARSE_OPT_OK;
}

void so_states_commit(sparse_opt_instance *instance, int64_t length) {
  const so_model *model = instance->model;
  if (!model->num_states)
    return;
  instance->states.length = length;
  memcpy(instance->states.held, instance->symbols,
         model->num_symbols * sizeof(int64_t));
}

sparse_opt_status so_states_copy(sparse_opt_instance *to,
                                 const sparse_opt_instance *from) {
  const so_model *model = from->model;
  so_states *states = &to->states;
  if (!from->states.length)
    return SPARSE_OPT_OK;
  if (!reserve_all(model, &states->memory, states->data, from->states.held,
                   from->states.capacity))
    return no_memory(from->states.capacity);
  for (uint32_t i = 0; i < model->num_states; ++i) {
    so_blocks blocks;
    blocks_of(model, i, from->states.held, &blocks);
    copy_blocks(blocks, states->data[i], from->states.capacity,
                from->states.data[i], from->states.capacity,
                from->states.length);
  }
  memcpy(states->held, from->states.held, model->num_symbols * sizeof(int64_t));
  states->length = from->states.length;
  states->capacity = from->states.capacity;
  return SPARSE_OPT_OK;
}

static sparse_opt_status check_instance(const sparse_opt_instance *instance) {
  if (!instance)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "instance is NULL");
  if (!instance->model->num_states)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "the model keeps no caches: it was not compiled with "
                   "--kv-cache=in-place");
  return SPARSE_OPT_OK;
}

sparse_opt_status so_state_length(sparse_opt_instance *instance,
                                  uint64_t *length, uint64_t *capacity) {
  sparse_opt_status status = check_instance(instance);
  if (status)
    return status;
  if (!length)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "length is NULL");
  pthread_mutex_lock(&instance->lock);
  *length = (uint64_t)instance->states.length;
  if (capacity)
    *capacity = (uint64_t)instance->states.capacity;
  pthread_mutex_unlock(&instance->lock);
  return SPARSE_OPT_OK;
}

sparse_opt_status so_state_truncate(sparse_opt_instance *instance,
                                    uint64_t length) {
  sparse_opt_status status = check_instance(instance);
  if (status)
    return status;
  pthread_mutex_lock(&instance->lock);
  if (length > (uint64_t)instance->states.length)
    status = so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                     "the caches hold %" PRId64
                     " rows, so they can't be cut to %" PRIu64,
                     instance->states.length, length);
  else
    instance->states.length = (int64_t)length;
  pthread_mutex_unlock(&instance->lock);
  return status;
}

/* The dimension of state `i` that `symbol` sizes; -1: none. */
static int32_t dim_of_symbol(const so_model *model, uint32_t i,
                             int64_t symbol) {
  for (int32_t d = 0; d < model->states[i].rank; ++d)
    if (d != model->state_axes[i] && model->states[i].dims[d] == -1 - symbol)
      return d;
  return -1;
}

/* The symbol that sizes all caches besides their length: their batch; -1: there
 * is no such. */
static int64_t batch_symbol(const so_model *model) {
  for (int64_t s = 0; s < model->num_symbols; ++s) {
    uint32_t found = 0;
    while (found < model->num_states && dim_of_symbol(model, found, s) >= 0)
      ++found;
    if (found == model->num_states)
      return s;
  }
  return -1;
}

/* to[.., i, ..] = from[.., rows[i], ..] in dimension `d` of a state. */
static void select_items(const sparse_opt_instance *instance, uint32_t state,
                         int32_t d, uint8_t *to, const uint32_t *rows,
                         uint32_t count) {
  const so_model *model = instance->model;
  const so_states *states = &instance->states;
  const so_tensor *tensor = &model->states[state];
  const uint8_t *from = states->data[state];
  int32_t axis = model->state_axes[state];
  /* Dims before d, behind it up to where bytes are contiguous, those bytes. */
  uint64_t before = 1, between = 1,
           bytes = so_element_size(tensor->element_type);
  uint64_t room = (uint64_t)states->capacity, item;
  uint64_t old = (uint64_t)dim_of(tensor, d, states->held);
  if (d < axis) {
    multiply(tensor, 0, d, states->held, &before);
    multiply(tensor, d + 1, axis, states->held, &between);
    multiply(tensor, axis + 1, tensor->rank, states->held, &bytes);
    item = room * bytes;
    bytes *= (uint64_t)states->length;
  } else {
    multiply(tensor, 0, axis, states->held, &before);
    before *= room; /* rows past the length are copied too */
    multiply(tensor, axis + 1, d, states->held, &before);
    multiply(tensor, d + 1, tensor->rank, states->held, &bytes);
    item = bytes;
  }
  for (uint64_t b = 0; b < before; ++b)
    for (uint32_t i = 0; i < count; ++i)
      for (uint64_t m = 0; m < between; ++m)
        memcpy(to + ((b * count + i) * between + m) * item,
               from + ((b * old + rows[i]) * between + m) * item, bytes);
}

static sparse_opt_status select_locked(sparse_opt_instance *instance,
                                       const uint32_t *rows, uint32_t count) {
  const so_model *model = instance->model;
  so_states *states = &instance->states;
  int64_t symbol = batch_symbol(model);
  if (symbol < 0)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "the caches have no batch to select from");
  if (!states->length)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "the caches are empty");
  int64_t batch = states->held[symbol];
  for (uint32_t i = 0; i < count; ++i)
    if (rows[i] >= batch)
      return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                     "item %u is asked of caches with a batch of %" PRId64,
                     rows[i], batch);
  so_room room;
  states->held[symbol] = count;
  bool enough = make_room(model, &room, states->held, states->capacity);
  states->held[symbol] = batch;
  if (!enough)
    return no_memory(states->capacity);
  for (uint32_t i = 0; i < model->num_states; ++i)
    select_items(instance, i, dim_of_symbol(model, i, symbol), room.data[i],
                 rows, count);
  adopt_room(instance, &room);
  states->held[symbol] = count;
  return SPARSE_OPT_OK;
}

sparse_opt_status so_state_select(sparse_opt_instance *instance,
                                  const uint32_t *rows, uint32_t count) {
  sparse_opt_status status = check_instance(instance);
  if (status)
    return status;
  if (!rows || !count)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT, "no items are selected");
  pthread_mutex_lock(&instance->lock);
  status = select_locked(instance, rows, count);
  pthread_mutex_unlock(&instance->lock);
  return status;
}
