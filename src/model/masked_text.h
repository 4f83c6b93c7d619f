/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_MASKED_TEXT_H
#define STAGECOACH_MODEL_MASKED_TEXT_H
/*
 * masked_text - bytes and, for each, whether it may be part of a control token. Normalisation makes
 * other bytes of a text; a byte that it makes may be part only if every byte that it was made of
 * may.
 * Thread: none of its own.
 */
#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MASKED_TEXT_MAX ((size_t)INT32_MAX)

/* A part of a text. */
struct masked_text {
	const char *data;
	const char *mask;	/* [n], 0: may not; NULL: all may */
	size_t n;
};

static inline bool masked_text_allows(struct masked_text text, size_t begin, size_t end)
{
	return !text.mask || !memchr(text.mask + begin, 0, end - begin);
}

/* A text that is being made. */
struct masked_buf {
	struct buf data, mask;
	bool has_mask;
};
#define MASKED_BUF_INIT { .data = BUF_INIT, .mask = BUF_INIT }

static inline void masked_buf_deinit(struct masked_buf *out)
{
	buf_deinit(&out->data);
	buf_deinit(&out->mask);
}

static inline void masked_buf_clear(struct masked_buf *out, bool has_mask)
{
	buf_truncate(&out->data, 0);
	buf_truncate(&out->mask, 0);
	out->has_mask = has_mask;
}

static inline struct masked_text masked_buf_text(const struct masked_buf *out)
{
	return (struct masked_text){
		.data = out->data.data, .mask = out->has_mask ? out->mask.data : NULL,
		.n = out->data.length,
	};
}

/* Adds n bytes that were made. SC_E_NOMEM. SC_E_TOO_LARGE: more than MASKED_TEXT_MAX bytes. */
must_check static inline enum sc_status masked_buf_make(struct masked_buf *out, const char *bytes,
							size_t n, bool is_allowed)
{
	enum sc_status status = n > MASKED_TEXT_MAX - out->data.length
			      ? SC_E_TOO_LARGE : buf_add(&out->data, bytes, n);

	if (status || !out->has_mask)
		return status;
	status = buf_reserve(&out->mask, n);
	if (status)
		return status;
	memset(out->mask.data + out->mask.length, is_allowed, n);
	out->mask.length += n;
	out->mask.data[out->mask.length] = '\0';
	return SC_OK;
}

/* Copies [begin, end) of a text. Fails as masked_buf_make. */
must_check static inline enum sc_status masked_buf_copy(struct masked_buf *out,
							struct masked_text text, size_t begin,
							size_t end)
{
	enum sc_status status = end - begin > MASKED_TEXT_MAX - out->data.length
			      ? SC_E_TOO_LARGE
			      : buf_add(&out->data, text.data + begin, end - begin);

	if (status || !out->has_mask)
		return status;
	return buf_add(&out->mask, text.mask + begin, end - begin);
}

#endif
