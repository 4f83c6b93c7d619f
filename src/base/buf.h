/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_BUF_H
#define STAGECOACH_BASE_BUF_H
/*
 * buf - a growing run of bytes, always followed by a NUL that does not count.
 * A buf initialised with BUF_INIT needs no memory until something is added.
 * A failed addition leaves the buf as it was.
 */
#include "base/status.h"

#include <stddef.h>

struct buf {
	char *data;		/* "" until the first addition, never NULL */
	size_t length;
	size_t capacity;	/* bytes allocated, 0 while data is static */
};

extern char buf_empty[1];
#define BUF_INIT { .data = buf_empty }

void buf_init(struct buf *buf);
void buf_deinit(struct buf *buf);

/* The functions below return SC_E_NOMEM if memory runs out. buf_reserve makes room for n_bytes
 * more. */
must_check enum sc_status buf_reserve(struct buf *buf, size_t n_bytes);
must_check enum sc_status buf_add(struct buf *buf, const void *bytes, size_t n_bytes);
must_check enum sc_status buf_add_string(struct buf *buf, const char *string);
must_check enum sc_status buf_add_format(struct buf *buf, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Drops the first n_bytes (or all bytes, if there are fewer). */
void buf_consume(struct buf *buf, size_t n_bytes);

/* Drops the bytes behind length. Keeps the memory. */
void buf_truncate(struct buf *buf, size_t length);

/* Shrinks the allocation to the bytes in use. Does nothing if that fails. */
void buf_trim(struct buf *buf);

#endif
