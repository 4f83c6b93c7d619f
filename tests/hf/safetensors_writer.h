/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_HF_SAFETENSORS_WRITER_H
#define STAGECOACH_TESTS_HF_SAFETENSORS_WRITER_H
/*
 * safetensors_writer - writes files of safetensors in memory, for tests: valid ones, and broken
 * ones. Aborts when memory runs out.
 */
#include "base/buf.h"
#include "base/error.h"

#include <stdint.h>

struct safetensors_writer {
	unsigned n_blanks;	/* at the end of the header, beyond those that align the data to 8
				 * bytes */
	struct buf header, data;
};

void safetensors_writer_init(struct safetensors_writer *w);
void safetensors_writer_deinit(struct safetensors_writer *w);
/* dtype: as the file says it. shape: "2, 3". */
void safetensors_writer_add(struct safetensors_writer *w, const char *name, const char *dtype,
			    const char *shape, const void *data, size_t n_bytes);
/* A matrix [n_rows][n_columns] or, with n_rows 0, a vector; converted to F32, F16 or BF16. */
void safetensors_writer_floats(struct safetensors_writer *w, const char *name, const char *dtype,
			       uint64_t n_rows, uint64_t n_columns, const float *values);
/* Appends the whole file to `file`. */
void safetensors_writer_finish(const struct safetensors_writer *w, struct buf *file);

/* A file with this header and n_data bytes behind it; header_bytes 0: the header's own length. */
void safetensors_write_raw(const char *header, uint64_t header_bytes, size_t n_data,
			   struct buf *file);

/* Files that must not open. */
struct broken_safetensors {
	const char *header;
	uint64_t header_bytes;		/* 0: the header's own */
	size_t n_data;
	enum sc_status status;
	const char *expected;		/* in the error */
};

extern const struct broken_safetensors broken_safetensors[];
extern const unsigned n_broken_safetensors;

#endif
