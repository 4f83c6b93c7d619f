/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_TEXTS_H
#define STAGECOACH_COORDINATOR_TEXTS_H
/* texts - a list of NUL-terminated texts in one block of memory. Thread: any. */
#include <stddef.h>
#include <stdint.h>

/* Copies texts[n], n at least 1. The caller frees the result. NULL: out of memory. */
char **texts_copy(const char *const *texts, uint32_t n);
/* Bytes of such a copy. */
size_t texts_bytes(const char *const *texts, uint32_t n);

#endif
