/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_PLAIN_TEXT_H
#define STAGECOACH_GATEWAY_PLAIN_TEXT_H
/*
 * plain_text - bytes as a protobuf string field takes them: UTF-8 without NUL, since protobuf-c
 * ends strings there. What is neither becomes U+FFFD.
 * Thread: any.
 */
#include "base/buf.h"

#include <stddef.h>

/* Replace text by the bytes. */
must_check enum sc_status plain_text_set(struct buf *text, const char *bytes, size_t n_bytes);

/* The same for a string, cut at a whole character where out ends. */
void plain_text_copy(const char *string, char *out, size_t capacity);

#endif
