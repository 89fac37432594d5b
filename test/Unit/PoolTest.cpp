// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The thread pool: each index once, ranges and thread numbers as promised, and
// no hang when it is shared, forked, oversubscribed or destroyed.
#include "lib/Runtime/Internal.h"
#include "gtest/gtest.h"
#include <atomic>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <sched.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

struct Range {
  int64_t begin, end, thread;
};

/// Records who ran what.
struct Record {
  explicit Record(int64_t count, int64_t threads)
      : hits(count), running(threads) {}
  std::vector<std::atomic<int>> hits;
  std::vector<std::atomic<int>> running; // bodies of a thread index
  std::atomic<bool> twice = false;       // one index in two bodies at a time
  std::mutex lock;
  std::vector<Range> ranges;

  static void body(void *ctx, int64_t begin, int64_t end, int64_t thread) {
    auto *record = static_cast<Record *>(ctx);
    if (record->running.at(thread)++)
      record->twice = true;
    for (int64_t i = begin; i < end; ++i)
      ++record->hits[i];
    {
      std::lock_guard<std::mutex> guard(record->lock);
      record->ranges.push_back({begin, end, thread});
    }
    --record->running[thread];
  }
};

class Pool {
public:
  explicit Pool(uint32_t threads) {
    EXPECT_EQ(so_pool_create(threads, &pool), SPARSE_OPT_OK);
  }
  ~Pool() {
    if (pool)
      pool->destroy(pool);
  }
  void run(Record &record, int64_t grain = 1) {
    pool->prepare(pool);
    pool->parallel(pool, pool->threads, Record::body, &record,
                   record.hits.size(), grain);
  }
  void abandon() { pool = nullptr; }
  sparse_opt_pool *pool = nullptr;
};

void expectOnce(const Record &record) {
  for (const std::atomic<int> &hit : record.hits)
    ASSERT_EQ(hit.load(), 1);
  EXPECT_FALSE(record.twice);
}

TEST(PoolTest, RunsEachIndexOnce) {
  for (uint32_t threads : {1, 2, 3, 7}) {
    Pool pool(threads);
    for (int64_t count : {0, 1, 2, 3, 6, 7, 8, 100}) {
      Record record(count, threads);
      pool.run(record);
      expectOnce(record);
    }
  }
}

TEST(PoolTest, GrainLimitsTheRanges) {
  Pool pool(4);
  for (int64_t count : {10, 57, 100}) {
    Record record(count, 4);
    pool.run(record, /*grain=*/4);
    expectOnce(record);
    for (const Range &range : record.ranges)
      EXPECT_GE(range.end - range.begin, 4);
  }
  Record small(10, 4);
  pool.run(small, /*grain=*/100);
  ASSERT_EQ(small.ranges.size(), 1u);
  EXPECT_EQ(small.ranges[0].end, 10);
  EXPECT_EQ(small.ranges[0].thread, 0);
}

/// Index 0 waits until another thread has run index 3 of the same share.
struct Stuck {
  std::atomic<bool> helped = false;

  static void body(void *ctx, int64_t begin, int64_t end, int64_t) {
    auto *stuck = static_cast<Stuck *>(ctx);
    if (begin <= 3 && 3 < end)
      stuck->helped = true;
    for (int i = 0; begin == 0 && !stuck->helped && i < 10000; ++i)
      usleep(1000);
  }
};

TEST(PoolTest, ThreadsFinishTheShareOfASlowOne) {
  Pool pool(2);
  Stuck stuck;
  pool.pool->prepare(pool.pool);
  auto start = std::chrono::steady_clock::now();
  pool.pool->parallel(pool.pool, 2, Stuck::body, &stuck, 8, 1);
  EXPECT_TRUE(stuck.helped);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(9));
}

TEST(PoolTest, ManyShortLoopsAllComplete) {
  Pool pool(4); // more than this machine may have
  for (int i = 0; i < 5000; ++i) {
    Record record(1 + i % 6, 4);
    pool.run(record);
    expectOnce(record);
  }
}

TEST(PoolTest, WakesWorkersThatFellAsleep) {
  Pool pool(2);
  for (int i = 0; i < 5; ++i) {
    Record record(2, 2);
    pool.run(record);
    expectOnce(record);
    usleep(2000); // longer than workers spin
  }
}

/// Restricts all of the process' threads to one CPU while it lives.
class OneCpu {
public:
  OneCpu() {
    sched_getaffinity(0, sizeof(old), &old);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    set(one);
  }
  ~OneCpu() { set(old); }

private:
  static void set(const cpu_set_t &cpus) {
    for (const auto &entry :
         std::filesystem::directory_iterator("/proc/self/task"))
      sched_setaffinity(std::stoi(entry.path().filename()), sizeof(cpus),
                        &cpus);
  }
  cpu_set_t old;
};

double processSeconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return time.tv_sec + 1e-9 * time.tv_nsec;
}

TEST(PoolTest, NobodySpinsWhereTheOtherThreadHasToRun) {
  Pool pool(2);
  Record first(2, 2);
  pool.run(first);
  OneCpu here;
  double start = processSeconds();
  for (int i = 0; i < 1000; ++i) {
    Record record(2, 2);
    pool.run(record);
    expectOnce(record);
  }
  EXPECT_LT(processSeconds() - start, 0.15)
      << "spinning to the end of the wait takes over 0.2 s";
}

TEST(PoolTest, BusyPoolLetsASecondCallerRunAlone) {
  Pool pool(2);
  std::vector<std::thread> callers;
  for (int t = 0; t < 3; ++t)
    callers.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        Record record(5, 2);
        pool.run(record);
        expectOnce(record);
      }
    });
  for (std::thread &caller : callers)
    caller.join();
}

TEST(PoolTest, DestroysWithIdleSleepingAndNoWorkers) {
  {
    Pool never(8);
  }
  for (int i = 0; i < 50; ++i) {
    Pool pool(3);
    Record record(3, 3);
    pool.run(record);
  }
}

TEST(PoolTest, WorksAfterFork) {
  Pool pool(2);
  Record before(4, 2);
  pool.run(before);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(20); // a hang ends the child, and fails the test
    Record record(4, 2);
    pool.run(record);
    bool good = record.hits[0] == 1 && record.hits[3] == 1;
    pool.pool->destroy(pool.pool);
    _exit(good ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  Record after(4, 2);
  pool.run(after);
  expectOnce(after);
}

TEST(PoolTest, ExitWithLivePoolsDoesNotHang) {
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(20);
    Pool pool(3);
    Record record(6, 3);
    pool.run(record);
    pool.abandon();
    std::exit(0); // runs the destructor that stops the workers
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST(PoolTest, DefaultsToTheCoresThisThreadMayUse) {
  cpu_set_t old, one;
  ASSERT_EQ(sched_getaffinity(0, sizeof(old), &old), 0);
  EXPECT_LE(so_core_count(), so_cpu_count());
  EXPECT_LE(so_cpu_count(), uint32_t(CPU_COUNT(&old)));
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &old))
      CPU_SET(cpu, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  {
    Pool pool(0);
    EXPECT_EQ(pool.pool->threads, 1u);
  }
  sched_setaffinity(0, sizeof(old), &old);
}

TEST(BufferTest, IsAlignedWithReadableSlack) {
  so_buffer buffer = {};
  for (uint64_t bytes : {uint64_t(0), uint64_t(1), uint64_t(4097),
                         uint64_t(2 << 20), uint64_t(5 << 20)}) {
    ASSERT_TRUE(so_buffer_reserve(&buffer, bytes));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data) % 64, 0u);
    if (bytes >= 2 << 20) {
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data) % (2 << 20), 0u);
    }
    buffer.data[bytes + 63] = 1;
  }
  uint8_t *large = buffer.data;
  ASSERT_TRUE(so_buffer_reserve(&buffer, 100));
  EXPECT_EQ(buffer.data, large) << "a buffer never shrinks";
  EXPECT_FALSE(so_buffer_reserve(&buffer, ~uint64_t(0)));
  so_buffer_release(&buffer);
}

TEST(TextTest, CutsLongTextWithDots) {
  so_text text = {};
  for (int i = 0; i < 200; ++i)
    so_append(&text, "\"input_%d\", ", i);
  EXPECT_EQ(text.length, sizeof(text.data) - 1);
  EXPECT_STREQ(text.data + text.length - 3, "...");
}

} // namespace
