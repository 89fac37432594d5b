/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Fork-join threads. The caller is thread 0; thread i sleeps on a mailbox of
 * its own and takes the i-th contiguous range. Waiting spins for a while
 * (kernels follow each other within microseconds) and then sleeps on a futex.
 * A second caller that finds the pool busy runs its loop alone instead of
 * waiting or adding threads: results do not depend on the partition.
 */
#include "Internal.h"
#include <immintrin.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Longer than the gap between two kernels of a model, shorter than anything a
 * user would notice on an idle machine. */
static const uint64_t spin_nanoseconds = 200000;

struct pool;
typedef struct worker {
  _Alignas(64) _Atomic uint32_t ticket; /* changes when there is work */
  _Atomic uint32_t asleep;
  uint32_t index;
  struct pool *pool;
  pthread_t thread;
} worker;

typedef struct pool {
  sparse_opt_pool head;
  struct pool *next; /* of `pools` */
  _Atomic pid_t process;
  _Atomic uint32_t busy, stop;
  uint32_t started; /* workers that run; written by whoever is busy */
  uint64_t spin;
  so_body body;
  void *ctx;
  int64_t count, parts;
  _Alignas(64) _Atomic uint32_t pending; /* parts of workers still running */
  _Atomic uint32_t joiner_asleep;
  worker workers[]; /* threads - 1 */
} pool;

/* Every pool of this copy of the runtime, to stop them before it is unloaded.
 */
static pool *pools;
static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;

static void futex_wait(_Atomic uint32_t *word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static uint64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Waits until `*word` differs from `seen` (or, with `until_zero`, is 0); the
 * other side wakes us when it finds `*asleep` set. */
static void wait_word(_Atomic uint32_t *word, uint32_t seen, bool until_zero,
                      _Atomic uint32_t *asleep, uint64_t spin) {
  uint64_t deadline = 0;
  for (uint32_t step = 1;; ++step) {
    uint32_t value = atomic_load_explicit(word, memory_order_acquire);
    if (until_zero ? value == 0 : value != seen)
      return;
    if (spin && step % 64 != 0) {
      _mm_pause();
      continue;
    }
    uint64_t time = spin ? now() : 0;
    if (spin && (!deadline || time < deadline)) {
      if (!deadline)
        deadline = time + spin;
      continue;
    }
    /* Sequentially consistent on both sides: either we see the new value or
     * the other side sees that we sleep. */
    atomic_store(asleep, 1);
    value = atomic_load(word);
    if (until_zero ? value != 0 : value == seen)
      futex_wait(word, value);
    atomic_store(asleep, 0);
  }
}

/* The index-th of `parts` contiguous ranges whose sizes differ by at most 1. */
static void run_part(const pool *pool, int64_t index) {
  int64_t size = pool->count / pool->parts, more = pool->count % pool->parts;
  int64_t begin = index * size + (index < more ? index : more);
  pool->body(pool->ctx, begin, begin + size + (index < more), index);
}

static void *work(void *argument) {
  worker *self = argument;
  pool *pool = self->pool;
  uint32_t seen = 0;
  _mm_setcsr(0x1f80); /* as so_run does for the caller */
  for (;;) {
    wait_word(&self->ticket, seen, false, &self->asleep, pool->spin);
    if (atomic_load(&pool->stop))
      return NULL;
    ++seen;
    run_part(pool, self->index);
    if (atomic_fetch_sub(&pool->pending, 1) == 1 &&
        atomic_load(&pool->joiner_asleep))
      futex_wake(&pool->pending);
  }
}

static void send(worker *worker) {
  atomic_fetch_add(&worker->ticket, 1);
  if (atomic_load(&worker->asleep))
    futex_wake(&worker->ticket);
}

/* Starts workers until there are `wanted`; signals are the program's, not
 * theirs. Returns how many there are: fewer when the system refuses. */
static uint32_t start_workers(pool *pool, uint32_t wanted) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  while (pool->started < wanted) {
    worker *worker = &pool->workers[pool->started];
    *worker = (struct worker){.index = pool->started + 1, .pool = pool};
    if (pthread_create(&worker->thread, NULL, work, worker))
      break;
    pthread_setname_np(worker->thread, "sparse-opt");
    ++pool->started;
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return pool->started;
}

static void run_split(pool *pool, int64_t parts) {
  if (pool->started < (uint32_t)parts - 1)
    parts = 1 + (int64_t)start_workers(pool, (uint32_t)parts - 1);
  pool->parts = parts;
  atomic_store(&pool->pending, (uint32_t)parts - 1);
  for (int64_t i = 0; i < parts - 1; ++i)
    send(&pool->workers[i]);
  run_part(pool, 0);
  wait_word(&pool->pending, 0, true, &pool->joiner_asleep, pool->spin);
}

static void parallel(sparse_opt_pool *head, uint32_t threads, so_body body,
                     void *ctx, int64_t count, int64_t grain) {
  pool *pool = (struct pool *)head;
  int64_t parts = count / (grain > 1 ? grain : 1);
  if (parts > threads)
    parts = threads;
  if (count <= 0)
    return;
  if (parts <= 1 || atomic_load(&pool->stop) ||
      atomic_exchange(&pool->busy, 1)) {
    body(ctx, 0, count, 0);
    return;
  }
  pool->body = body;
  pool->ctx = ctx;
  pool->count = count;
  run_split(pool, parts);
  atomic_store(&pool->busy, 0);
}

/* A forked child has the pool's memory but none of its threads. The first
 * call there forgets them; others wait for it (process is -1 meanwhile). */
static void prepare(sparse_opt_pool *head) {
  pool *pool = (struct pool *)head;
  pid_t self = getpid(), owner = atomic_load(&pool->process);
  while (owner != self) {
    if (owner != -1 &&
        atomic_compare_exchange_strong(&pool->process, &owner, -1)) {
      pool->started = 0;
      atomic_store(&pool->busy, 0);
      atomic_store(&pool->joiner_asleep, 0);
      atomic_store(&pool->process, self);
      return;
    }
    _mm_pause();
    owner = atomic_load(&pool->process);
  }
}

static void stop_workers(pool *pool) {
  if (atomic_load(&pool->process) != getpid())
    return; /* they stayed in the parent */
  atomic_store(&pool->stop, 1);
  for (uint32_t i = 0; i < pool->started; ++i)
    send(&pool->workers[i]);
  for (uint32_t i = 0; i < pool->started; ++i)
    pthread_join(pool->workers[i].thread, NULL);
  pool->started = 0;
}

static void destroy(sparse_opt_pool *head) {
  pool *pool = (struct pool *)head;
  pthread_mutex_lock(&pools_lock);
  struct pool **link = &pools;
  while (*link && *link != pool)
    link = &(*link)->next;
  if (*link)
    *link = pool->next;
  pthread_mutex_unlock(&pools_lock);
  stop_workers(pool);
  free(pool);
}

/* At exit or dlclose no thread may stay behind in code that goes away. The
 * pools themselves stay: another thread may still be about to look at one. */
__attribute__((destructor)) static void stop_all(void) {
  if (pthread_mutex_trylock(&pools_lock))
    return; /* forked while another thread held it */
  for (pool *pool = pools; pool; pool = pool->next)
    stop_workers(pool);
  pthread_mutex_unlock(&pools_lock);
}

sparse_opt_status so_pool_create(uint32_t threads, sparse_opt_pool **result) {
  if (threads == 0)
    threads = so_core_count();
  if (threads > 1024)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "a pool has at most 1024 threads, not %u", threads);
  uint64_t bytes = sizeof(pool) + (threads - 1) * sizeof(worker);
  pool *pool = aligned_alloc(64, (bytes + 63) / 64 * 64);
  if (!pool)
    return so_fail(SPARSE_OPT_OUT_OF_MEMORY, "no memory for a thread pool");
  memset(pool, 0, bytes);
  pool->head =
      (sparse_opt_pool){SO_MODEL_ABI, threads, prepare, parallel, destroy};
  atomic_store(&pool->process, getpid());
  pool->spin = threads <= so_cpu_count() ? spin_nanoseconds : 0;
  pthread_mutex_lock(&pools_lock);
  pool->next = pools;
  pools = pool;
  pthread_mutex_unlock(&pools_lock);
  *result = &pool->head;
  return SPARSE_OPT_OK;
}
