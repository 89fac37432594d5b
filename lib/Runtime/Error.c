/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The last message of each thread. A pthread key rather than thread-local
 * storage: TLS of a loaded library would need the dynamic loader's symbols,
 * and the key's destructor is libc's `free`, which outlives us.
 */
#include "Internal.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MESSAGE_SIZE = 1024 };
static pthread_key_t key;
static bool have_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_key(void) { have_key = !pthread_key_create(&key, free); }

__attribute__((destructor)) static void delete_key(void) {
  if (!have_key)
    return;
  free(pthread_getspecific(key));
  pthread_key_delete(key);
  have_key = false;
}

static char *thread_message(bool create) {
  pthread_once(&once, make_key);
  if (!have_key)
    return NULL;
  char *message = pthread_getspecific(key);
  if (message || !create)
    return message;
  message = calloc(1, MESSAGE_SIZE);
  if (message && pthread_setspecific(key, message)) {
    free(message);
    message = NULL;
  }
  return message;
}

sparse_opt_status so_fail(sparse_opt_status status, const char *format, ...) {
  char *message = thread_message(true);
  if (!message)
    return status;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, MESSAGE_SIZE, format, arguments);
  va_end(arguments);
  return status;
}

const char *so_last_error(void) {
  const char *message = thread_message(false);
  return message ? message : "";
}

void so_append(so_text *text, const char *format, ...) {
  uint32_t room = sizeof(text->data) - text->length;
  va_list arguments;
  va_start(arguments, format);
  int wanted = vsnprintf(text->data + text->length, room, format, arguments);
  va_end(arguments);
  if (wanted < 0)
    return;
  if ((uint32_t)wanted < room) {
    text->length += (uint32_t)wanted;
    return;
  }
  text->length = sizeof(text->data) - 1;
  snprintf(text->data + text->length - 3, 4, "...");
}
