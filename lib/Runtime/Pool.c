/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Fork-join threads. The caller is thread 0; each thread begins with a share
 * of its own, in ever smaller ranges, and goes on with what is left of others'.
 * Who comes too late finds nothing to do and is not waited for. Waiting spins
 * for a while (kernels follow each other within microseconds) and then sleeps
 * on a futex; nobody spins on the CPU of the thread that it waits for. A second
 * caller that finds the pool busy runs its loop alone instead of waiting or
 * adding threads: results do not depend on the partition.
 */
#include "Internal.h"
#include <immintrin.h>
#include <linux/futex.h>
#include <sched.h>
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

/* What is left of a thread's indices. */
typedef struct share {
  _Alignas(64) _Atomic int64_t begin;
  int64_t end;
} share;

struct pool;
/* A worker's `state`; 0: nothing to do. */
enum { offered = 1, stopped = 2 };

typedef struct worker {
  share share;
  _Alignas(64) _Atomic uint32_t
      state; /* a worker that clears `offered` takes part */
  _Atomic uint32_t asleep;
  _Atomic int cpu; /* where it last took part */
  uint32_t index;
  uint32_t missed; /* loops in a row that it came too late for */
  struct pool *pool;
  pthread_t thread;
} worker;

typedef struct pool {
  sparse_opt_pool head;
  struct pool *next; /* of `pools` */
  _Atomic pid_t process;
  _Atomic uint32_t busy, stop;
  _Atomic int cpu;  /* of the caller, at the last loop */
  uint32_t started; /* workers that run; written by whoever is busy */
  uint64_t spin;
  so_body body;
  void *ctx;
  int64_t parts, grain;
  share share;                           /* the caller's */
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

/* Is a thread that `self` (NULL: the caller) waits for kept from this CPU by
 * our spinning? */
static bool in_the_way(pool *pool, const worker *self) {
  int here = sched_getcpu();
  if (self)
    return atomic_load_explicit(&pool->cpu, memory_order_relaxed) == here;
  for (int64_t i = 0; i < pool->parts - 1; ++i)
    if (atomic_load_explicit(&pool->workers[i].cpu, memory_order_relaxed) ==
        here)
      return true;
  return false;
}

/* Waits until `*word` is zero, or is not; the other side wakes us when it
 * finds `*asleep` set. */
static void wait_word(pool *pool, worker *self, _Atomic uint32_t *word,
                      bool until_zero, _Atomic uint32_t *asleep) {
  uint64_t deadline = 0;
  bool spin = pool->spin != 0;
  for (uint32_t step = 1;; ++step) {
    uint32_t value = atomic_load_explicit(word, memory_order_acquire);
    if ((value == 0) == until_zero)
      return;
    if (spin && step % 64 != 0) {
      _mm_pause();
      continue;
    }
    if (spin) {
      uint64_t time = now();
      if (!deadline)
        deadline = time + pool->spin;
      spin = time < deadline && !in_the_way(pool, self);
      continue;
    }
    /* Sequentially consistent on both sides: either we see the new value or
     * the other side sees that we sleep. */
    atomic_store(asleep, 1);
    value = atomic_load(word);
    if ((value == 0) != until_zero)
      futex_wait(word, value);
    atomic_store(asleep, 0);
  }
}

static share *share_of(pool *pool, int64_t index) {
  return index ? &pool->workers[index - 1].share : &pool->share;
}

/* Contiguous shares whose sizes differ by at most 1. */
static void divide(pool *pool, int64_t count) {
  int64_t size = count / pool->parts, more = count % pool->parts, begin = 0;
  for (int64_t i = 0; i < pool->parts; ++i) {
    share *share = share_of(pool, i);
    atomic_store_explicit(&share->begin, begin, memory_order_relaxed);
    begin += size + (i < more);
    share->end = begin;
  }
}

/* Ranges are halves of what is left: few when all threads are equally fast,
 * and small at the end when they are not. */
static int64_t range_size(int64_t left, int64_t grain) {
  int64_t size = (left + 1) / 2;
  if (size < grain)
    size = grain;
  return left - size < grain ? left : size;
}

static void run_share(pool *pool, share *share, int64_t thread) {
  int64_t begin = atomic_load_explicit(&share->begin, memory_order_relaxed);
  while (begin < share->end) {
    int64_t end = begin + range_size(share->end - begin, pool->grain);
    if (!atomic_compare_exchange_weak(&share->begin, &begin, end))
      continue;
    pool->body(pool->ctx, begin, end, thread);
    begin = atomic_load_explicit(&share->begin, memory_order_relaxed);
  }
}

static void take_part(pool *pool, int64_t thread) {
  for (int64_t i = 0; i < pool->parts; ++i)
    run_share(pool, share_of(pool, (thread + i) % pool->parts), thread);
}

static bool take(worker *worker) {
  return atomic_fetch_and(&worker->state, ~(uint32_t)offered) & offered;
}

/* The scheduler may wake a worker on the caller's CPU, and leave it there,
 * although others have less to do. */
static void move_away(pthread_t thread, int cpu) {
  cpu_set_t allowed, others;
  if (pthread_getaffinity_np(thread, sizeof(allowed), &allowed))
    return;
  others = allowed;
  CPU_CLR(cpu, &others);
  if (CPU_COUNT(&others) &&
      !pthread_setaffinity_np(thread, sizeof(others), &others))
    pthread_setaffinity_np(thread, sizeof(allowed), &allowed);
}

static void *work(void *argument) {
  worker *self = argument;
  pool *pool = self->pool;
  _mm_setcsr(0x1f80); /* as so_run does for the caller */
  for (;;) {
    wait_word(pool, self, &self->state, false, &self->asleep);
    if (atomic_load(&self->state) & stopped)
      return NULL;
    if (!take(self))
      continue;
    int cpu = sched_getcpu();
    if (pool->spin && cpu == atomic_load(&pool->cpu)) {
      move_away(pthread_self(), cpu);
      cpu = sched_getcpu();
    }
    atomic_store_explicit(&self->cpu, cpu, memory_order_relaxed);
    take_part(pool, self->index);
    if (atomic_fetch_sub(&pool->pending, 1) == 1 &&
        atomic_load(&pool->joiner_asleep))
      futex_wake(&pool->pending);
  }
}

static void send(worker *worker, uint32_t what) {
  atomic_fetch_or(&worker->state, what);
  if (atomic_load(&worker->asleep))
    futex_wake(&worker->state);
}

/* Starts workers until there are `wanted`; signals are the program's, not
 * theirs. Returns how many there are: fewer when the system refuses. */
static uint32_t start_workers(pool *pool, uint32_t wanted) {
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  while (pool->started < wanted) {
    worker *worker = &pool->workers[pool->started];
    *worker =
        (struct worker){.index = pool->started + 1, .pool = pool, .cpu = -1};
    if (pthread_create(&worker->thread, NULL, work, worker))
      break;
    pthread_setname_np(worker->thread, "sparse-opt");
    ++pool->started;
  }
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return pool->started;
}

/* Nothing is left to do: a worker that has not begun need not. */
static void take_back(pool *pool, worker *worker) {
  if (!take(worker)) {
    worker->missed = 0;
    return;
  }
  atomic_fetch_sub(&pool->pending, 1);
  /* Twice in a row isn't chance; a scheduler may put it back, so that it is
   * tried again, less often: it costs two system calls. */
  uint32_t missed = ++worker->missed;
  if ((missed == 2 || missed % 8 == 0) && pool->spin)
    move_away(worker->thread, sched_getcpu());
}

static void run_split(pool *pool, int64_t count, int64_t parts) {
  if (pool->started < (uint32_t)parts - 1)
    parts = 1 + (int64_t)start_workers(pool, (uint32_t)parts - 1);
  pool->parts = parts;
  divide(pool, count);
  atomic_store_explicit(&pool->cpu, sched_getcpu(), memory_order_relaxed);
  atomic_store(&pool->pending, (uint32_t)parts - 1);
  for (int64_t i = 0; i < parts - 1; ++i)
    send(&pool->workers[i], offered);
  take_part(pool, 0);
  for (int64_t i = parts - 2; i >= 0; --i)
    take_back(pool, &pool->workers[i]);
  wait_word(pool, NULL, &pool->pending, true, &pool->joiner_asleep);
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
  pool->grain = grain > 1 ? grain : 1;
  run_split(pool, count, parts);
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
    send(&pool->workers[i], stopped);
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
