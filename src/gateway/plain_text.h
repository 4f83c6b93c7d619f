/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_PLAIN_TEXT_H
#define STAGECOACH_GATEWAY_PLAIN_TEXT_H
/*
 * plain_text - makes bytes valid for a protobuf string: UTF-8 without NUL, because protobuf-c ends
 * strings at NUL. Other bytes become U+FFFD.
 * Thread: any.
 */
#include "base/buf.h"

#include <stddef.h>

/* Replaces text by the converted bytes. */
must_check enum sc_status plain_text_set(struct buf *text, const char *bytes, size_t n_bytes);

/* The same for a string. The result is cut at a whole character if out is too small. */
void plain_text_copy(const char *string, char *out, size_t capacity);

#endif
