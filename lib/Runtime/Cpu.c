/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Which instruction sets may be used here, and how many CPUs. An instruction
 * set counts only if the operating system saves its registers (XGETBV); AMX
 * also needs the kernel's permission, asked for when a variant wants it.
 */
#include "Internal.h"
#include <cpuid.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  XCR0_AVX = 0x6,
  XCR0_AVX512 = 0xe6,
  XCR0_AMX = 0x60000,
  ARCH_REQ_XCOMP_PERM_ = 0x1023,
  XFEATURE_XTILEDATA = 18
};

static uint64_t read_xcr0(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t)high << 32 | low;
}

static bool has(uint32_t reg, uint32_t mask) { return (reg & mask) == mask; }

uint64_t so_cpu_features(void) {
  uint32_t a, b1, c1, d1, b7, c7, d7, ext_c, a71, b, c, d;
  const uint32_t leaf1 = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C |
                         bit_MOVBE | bit_POPCNT | bit_SSE4_2 | bit_SSSE3;
  if (!__get_cpuid(1, &a, &b1, &c1, &d1) || !has(c1, leaf1) ||
      !__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) ||
      !__get_cpuid(0x80000001, &a, &b, &ext_c, &d))
    return 0;
  uint64_t state = read_xcr0(), features = 0;
  const uint32_t v3 = bit_AVX2 | bit_BMI | bit_BMI2;
  const uint32_t v4 =
      bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
  if ((state & XCR0_AVX) != XCR0_AVX || !has(b7, v3) || !has(ext_c, bit_LZCNT))
    return 0;
  features |= SO_ISA_X86_64_V3;
  if ((state & XCR0_AVX512) != XCR0_AVX512 || !has(b7, v4))
    return features;
  features |= SO_ISA_X86_64_V4;
  if (__get_cpuid_count(7, 1, &a71, &b, &c, &d) && has(a71, bit_AVX512BF16))
    features |= SO_ISA_AVX512_BF16;
  if ((state & XCR0_AMX) == XCR0_AMX && has(d7, bit_AMXTILE | bit_AMXBF16))
    features |= SO_ISA_AMX_BF16;
  return features;
}

/* Linux lets a process use tile data only after it has asked. */
static bool may_use_amx(void) {
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM_, XFEATURE_XTILEDATA) == 0;
}

static bool usable(const so_variant *variant, uint64_t features) {
  if ((variant->features & features) != variant->features)
    return false;
  return !(variant->features & SO_ISA_AMX_BF16) || may_use_amx();
}

static so_text variant_names(const so_model *model) {
  so_text names = {.length = 0};
  for (uint32_t i = 0; i < model->num_variants; ++i)
    so_append(&names, "%s%s", i ? ", " : "", model->variants[i].isa);
  return names;
}

const so_variant *so_pick_variant(const so_model *model, uint64_t features,
                                  const char *wanted) {
  bool known = false;
  for (uint32_t i = 0; i < model->num_variants; ++i) {
    const so_variant *variant = &model->variants[i];
    if (wanted && strcmp(wanted, variant->isa) != 0)
      continue;
    known = true;
    if (usable(variant, features))
      return variant;
  }
  so_text names = variant_names(model);
  if (!wanted)
    so_fail(SPARSE_OPT_UNSUPPORTED_CPU,
            "this CPU has none of the instruction sets the model was compiled "
            "for (%s)",
            names.data);
  else if (known)
    so_fail(SPARSE_OPT_UNSUPPORTED_CPU,
            "this CPU does not have %s, which SPARSE_OPT_ISA asks for", wanted);
  else
    so_fail(SPARSE_OPT_UNSUPPORTED_CPU,
            "SPARSE_OPT_ISA is \"%s\", but the model was compiled for %s",
            wanted, names.data);
  return NULL;
}

static bool read_file(const char *path, char *text, uint32_t size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return false;
  ssize_t length = read(file, text, size - 1);
  close(file);
  text[length < 0 ? 0 : length] = 0;
  return length > 0;
}

/* "200000 100000" of cgroup v2 for the process's own group or the root, or the
 * two files of v1. "max" and -1 mean no limit. */
static bool read_quota(long long *quota, long long *period) {
  char groups[1024], path[1200], text[64];
  const char *group = "";
  if (read_file("/proc/self/cgroup", groups, sizeof groups)) {
    char *line = strstr(groups, "0::");
    if (line && (line == groups || line[-1] == '\n')) {
      line[strcspn(line, "\n")] = 0;
      group = line + 3;
    }
  }
  snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
  if (read_file(path, text, sizeof text) ||
      read_file("/sys/fs/cgroup/cpu.max", text, sizeof text))
    return sscanf(text, "%lld %lld", quota, period) == 2;
  return read_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", text, sizeof text) &&
         sscanf(text, "%lld", quota) == 1 &&
         read_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", text, sizeof text) &&
         sscanf(text, "%lld", period) == 1;
}

/* CPUs worth of time this process's cgroup may use; 0: no limit known. */
static uint32_t cgroup_limit(void) {
  long long quota, period;
  if (!read_quota(&quota, &period) || quota <= 0 || period <= 0)
    return 0;
  return quota < period ? 1 : (uint32_t)(quota / period);
}

enum { MAX_CPUS = 8192 };
typedef struct cpu_mask {
  cpu_set_t words[MAX_CPUS / CPU_SETSIZE];
} cpu_mask;

static bool read_affinity(cpu_mask *mask) {
  CPU_ZERO_S(sizeof *mask, mask->words);
  return sched_getaffinity(0, sizeof *mask, mask->words) == 0 &&
         CPU_COUNT_S(sizeof *mask, mask->words) > 0;
}

static uint32_t at_most_quota(uint32_t count) {
  uint32_t limit = cgroup_limit();
  return limit && limit < count ? limit : count;
}

uint32_t so_cpu_count(void) {
  cpu_mask mask;
  if (!read_affinity(&mask))
    return 1;
  return at_most_quota((uint32_t)CPU_COUNT_S(sizeof mask, mask.words));
}

/* The lowest CPU of the core that `cpu` belongs to. */
static uint32_t core_of(uint32_t cpu) {
  char path[96], text[64];
  unsigned first;
  snprintf(path, sizeof path,
           "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
  if (read_file(path, text, sizeof text) && sscanf(text, "%u", &first) == 1 &&
      first < MAX_CPUS)
    return first;
  return cpu;
}

uint32_t so_core_count(void) {
  cpu_mask mask, cores;
  if (!read_affinity(&mask))
    return 1;
  CPU_ZERO_S(sizeof cores, cores.words);
  for (uint32_t cpu = 0; cpu < MAX_CPUS; ++cpu)
    if (CPU_ISSET_S(cpu, sizeof mask, mask.words))
      CPU_SET_S(core_of(cpu), sizeof cores, cores.words);
  return at_most_quota((uint32_t)CPU_COUNT_S(sizeof cores, cores.words));
}
