/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_PLAIN_TEXT_H
#define STAGECOACH_GATEWAY_PLAIN_TEXT_H
/*
 * plain_text - makes bytes valid for a protobuf string: UTF-8 without NUL, because protobuf-c ends
 * strings at NUL. Other bytes become U+FFFD.
 * Thread: any.
 */
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* Replaces text by the converted bytes. */
must_check enum sc_status plain_text_set(struct buf *text, const char *bytes, size_t n_bytes);

/* The same for the output of a job, which is UTF-8 but for NUL and the marks of SPECIAL_MARKED: the
 * marks are left out, the names between them stay. */
must_check enum sc_status plain_text_set_output(struct buf *text, const char *bytes,
						size_t n_bytes);
/* Output of a job is a valid string as it is. */
bool plain_text_is_plain(const char *bytes, size_t n_bytes);

/* plain_text_set for a string. The result is cut at a whole character if out is too small. */
void plain_text_copy(const char *string, char *out, size_t capacity);

#endif
