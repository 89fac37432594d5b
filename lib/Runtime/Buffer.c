/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Memory of an instance: its arena and the outputs it owns. Once warm a run
 * asks the system for nothing.
 */
#include "Internal.h"
#include <stdlib.h>
#include <sys/mman.h>

enum { SLACK = 64, ALIGNMENT = 64 };
static const uint64_t huge_page = 2 << 20;

static uint64_t round_up(uint64_t bytes, uint64_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

/* A mapping aligned to 2 MiB, with its unaligned ends given back. */
static bool map_large(so_buffer *buffer, uint64_t bytes) {
  uint64_t size = round_up(bytes, huge_page);
  uint8_t *map = mmap(NULL, size + huge_page, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (map == MAP_FAILED)
    return false;
  uint64_t head = round_up((uintptr_t)map, huge_page) - (uintptr_t)map;
  if (head)
    munmap(map, head);
  if (head < huge_page)
    munmap(map + head + size, huge_page - head);
  madvise(map + head, size, MADV_HUGEPAGE); /* a wish: may fail */
  buffer->data = map + head;
  buffer->mapped = size;
  return true;
}

bool so_buffer_reserve(so_buffer *buffer, uint64_t bytes) {
  if (buffer->data && bytes <= buffer->bytes)
    return true;
  if (bytes > INT64_MAX / 2)
    return false;
  so_buffer_release(buffer);
  uint64_t padded = round_up(bytes, ALIGNMENT) + SLACK;
  if (padded >= huge_page) {
    if (!map_large(buffer, padded))
      return false;
  } else {
    buffer->data = aligned_alloc(ALIGNMENT, padded);
    if (!buffer->data)
      return false;
  }
  buffer->bytes = bytes;
  return true;
}

void so_buffer_forget(so_buffer *buffer, uint64_t begin, uint64_t end) {
  enum { PAGE = 4096 };
  begin = round_up(begin, PAGE);
  end = end / PAGE * PAGE;
  if (buffer->mapped && begin < end)
    madvise(buffer->data + begin, end - begin, MADV_DONTNEED);
}

void so_buffer_release(so_buffer *buffer) {
  if (buffer->mapped)
    munmap(buffer->data, buffer->mapped);
  else
    free(buffer->data);
  *buffer = (so_buffer){NULL, 0, 0};
}
