/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Where a model's weights are: a section of the artefact, or a file beside it
 * that is mapped while there are instances. Sizes and the header are checked
 * each time, the bytes only when asked (SPARSE_OPT_CHECK_WEIGHTS=1): that
 * reads all of them.
 */
#include "Internal.h"
#include "sparse-opt/Runtime/WeightsFile.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* One model, one copy of the runtime: one mapping, counted by instances. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t *mapped;
static uint64_t mapped_users;

/* The file that `model` was loaded from: what a process has mapped is listed
 * by absolute path, whatever name it was opened by. */
static bool find_artefact(const so_model *model, char *path, size_t capacity) {
  FILE *maps = fopen("/proc/self/maps", "re");
  if (!maps)
    return false;
  bool found = false;
  char *line = NULL;
  size_t room = 0;
  while (!found && getline(&line, &room, maps) > 0) {
    uintptr_t begin, end;
    int name = 0;
    if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &begin, &end, &name) < 2 ||
        (uintptr_t)model < begin || (uintptr_t)model >= end)
      continue;
    line[strcspn(line, "\n")] = 0;
    found = name && line[name] == '/' && strlen(line + name) < capacity;
    if (found)
      memcpy(path, line + name, strlen(line + name) + 1);
    break;
  }
  free(line);
  fclose(maps);
  return found;
}

/* $SPARSE_OPT_WEIGHTS, or the file of the model's name beside the artefact. */
static sparse_opt_status find_file(const so_model *model, char *path,
                                   size_t capacity) {
  const char *given = getenv("SPARSE_OPT_WEIGHTS");
  if (given && *given) {
    if (strlen(given) >= capacity)
      return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                     "SPARSE_OPT_WEIGHTS is longer than a path can be");
    memcpy(path, given, strlen(given) + 1);
    return SPARSE_OPT_OK;
  }
  char *slash =
      find_artefact(model, path, capacity) ? strrchr(path, '/') : NULL;
  if (!slash)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "where the model was loaded from can't be found out; set "
                   "SPARSE_OPT_WEIGHTS to the path of \"%s\"",
                   model->weights_file);
  size_t room = capacity - (size_t)(slash + 1 - path);
  if (strlen(model->weights_file) >= room)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "the path of the weights file \"%s\" is too long",
                   model->weights_file);
  memcpy(slash + 1, model->weights_file, strlen(model->weights_file) + 1);
  return SPARSE_OPT_OK;
}

static sparse_opt_status check_header(const so_model *model, const char *path,
                                      int file) {
  so_weights_header header = {.size = 0};
  struct stat about;
  if (fstat(file, &about) != 0)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "the weights file \"%s\" can't be read: %s", path,
                   strerror(errno));
  if (pread(file, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
      memcmp(header.magic, SO_WEIGHTS_MAGIC, sizeof(header.magic)) != 0 ||
      header.check != so_weights_check(&header))
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "\"%s\" is no weights file, or its header is damaged", path);
  if (header.hash != model->weights_hash || header.size != model->weights_size)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "the weights file \"%s\" belongs to another model", path);
  if ((uint64_t)about.st_size != SO_WEIGHTS_OFFSET + header.size)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "the weights file \"%s\" has %llu bytes instead of %llu",
                   path, (unsigned long long)about.st_size,
                   (unsigned long long)(SO_WEIGHTS_OFFSET + header.size));
  return SPARSE_OPT_OK;
}

static sparse_opt_status check_bytes(const so_model *model, const char *path,
                                     const uint8_t *data) {
  const char *wanted = getenv("SPARSE_OPT_CHECK_WEIGHTS");
  if (!wanted || strcmp(wanted, "1") != 0)
    return SPARSE_OPT_OK;
  so_hash hash = {.lines = 0};
  so_hash_add(&hash, data, model->weights_size);
  if (so_hash_end(&hash) != model->weights_hash)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "the weights file \"%s\" was altered: its checksum is not "
                   "the model's",
                   path);
  return SPARSE_OPT_OK;
}

/* What is read from the disk from now on comes in pages of 2 MiB: a wish, which
 * systems without such pages of files refuse. */
static void ask_for_large_pages(const uint8_t *data, uint64_t size) {
  const uint64_t page = 4096, large = 2 << 20;
  uint64_t inside = size / page * page;
  if (inside >= large && (uintptr_t)data % page == 0)
    madvise((void *)(uintptr_t)data, inside, MADV_HUGEPAGE);
}

static sparse_opt_status map_file(const so_model *model) {
  char path[PATH_MAX];
  sparse_opt_status status = find_file(model, path, sizeof(path));
  if (status)
    return status;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return so_fail(SPARSE_OPT_INVALID_ARGUMENT,
                   "the weights file \"%s\" can't be read: %s", path,
                   strerror(errno));
  status = check_header(model, path, file);
  void *data = MAP_FAILED;
  if (!status) {
    data = mmap(NULL, model->weights_size, PROT_READ, MAP_SHARED, file,
                SO_WEIGHTS_OFFSET);
    if (data == MAP_FAILED)
      status = so_fail(SPARSE_OPT_OUT_OF_MEMORY,
                       "the weights file \"%s\" can't be mapped: %s", path,
                       strerror(errno));
  }
  close(file);
  if (!status)
    ask_for_large_pages(data, model->weights_size);
  if (!status)
    status = check_bytes(model, path, data);
  if (!status)
    mapped = data;
  else if (data != MAP_FAILED)
    munmap(data, model->weights_size);
  return status;
}

sparse_opt_status so_weights_open(const so_model *model,
                                  const uint8_t **weights) {
  *weights = model->weights;
  if (!model->weights_file) {
    if (model->weights)
      ask_for_large_pages(model->weights, model->weights_size);
    return SPARSE_OPT_OK;
  }
  pthread_mutex_lock(&lock);
  sparse_opt_status status = mapped_users ? SPARSE_OPT_OK : map_file(model);
  if (!status) {
    ++mapped_users;
    *weights = mapped;
  }
  pthread_mutex_unlock(&lock);
  return status;
}

void so_weights_close(const so_model *model, const uint8_t *weights) {
  if (!model->weights_file || !weights)
    return;
  pthread_mutex_lock(&lock);
  if (--mapped_users == 0)
    munmap(mapped, model->weights_size);
  pthread_mutex_unlock(&lock);
}
