/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The file beside an artefact that holds its weights (--weight-storage=file):
 * one page with this header, then the bytes as code reads them. Private to the
 * compiler, which writes it, and the runtime, which maps it.
 */
#ifndef SPARSE_OPT_RUNTIME_WEIGHTSFILE_H
#define SPARSE_OPT_RUNTIME_WEIGHTSFILE_H
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SO_WEIGHTS_MAGIC "SOWGHT1\n"
enum { SO_WEIGHTS_OFFSET = 4096 }; /* of the bytes in the file */

typedef struct so_weights_header {
  char magic[8];
  uint64_t size;  /* of the weights */
  uint64_t hash;  /* of the weights; the artefact has the same one */
  uint64_t check; /* of the three above */
} so_weights_header;

/* A checksum against accidents, at the speed of memory: eight chains of
 * multiplications, one for each word of a line. */
typedef struct so_hash {
  uint64_t lanes[8], lines;
} so_hash;

static inline uint64_t so_hash_mix(uint64_t value) {
  value = (value ^ (value >> 31)) * 0x9e3779b97f4a7c15u;
  return value ^ (value >> 29);
}

/* Only the last part may be no multiple of 64 bytes: it counts as filled up
 * with zeros. */
static inline void so_hash_add(so_hash *hash, const void *data, uint64_t size) {
  const char *at = (const char *)data;
  for (uint64_t i = 0; i < size; i += 64, at += 64) {
    uint64_t words[8] = {0};
    memcpy(words, at, size - i < 64 ? (size_t)(size - i) : 64);
    for (int lane = 0; lane < 8; ++lane) {
      uint64_t value = (hash->lanes[lane] ^ words[lane]) * 0xff51afd7ed558ccdu;
      hash->lanes[lane] = value ^ (value >> 32);
    }
  }
  hash->lines += (size + 63) / 64;
}

static inline uint64_t so_hash_end(const so_hash *hash) {
  uint64_t result = so_hash_mix(hash->lines + 1);
  for (int lane = 0; lane < 8; ++lane)
    result = so_hash_mix(result ^ hash->lanes[lane]) + (uint64_t)lane;
  return result;
}

static inline uint64_t so_weights_check(const so_weights_header *header) {
  uint64_t magic;
  memcpy(&magic, header->magic, sizeof(magic));
  return so_hash_mix(so_hash_mix(so_hash_mix(magic) ^ header->size) ^
                     header->hash);
}

#ifdef __cplusplus
}
#endif
#endif
