/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_GGUF_WRITER_H
#define STAGECOACH_TESTS_MODEL_GGUF_WRITER_H
/*
 * gguf_writer - writes GGUF files in memory, for tests: valid ones, and by its raw functions also
 * broken ones. Aborts when memory runs out.
 */
#include "base/buf.h"
#include "model/gguf.h"

struct gguf_writer {
	uint32_t version;	/* 3; a test may change these three before finish */
	uint32_t alignment;	/* 32; general.alignment is the caller's to add */
	uint64_t n_pairs, n_tensors;
	struct buf pairs, directory, data;
};

void gguf_writer_init(struct gguf_writer *w);
void gguf_writer_deinit(struct gguf_writer *w);

void gguf_writer_u32(struct gguf_writer *w, const char *key, uint32_t value);
void gguf_writer_f32(struct gguf_writer *w, const char *key, float value);
void gguf_writer_bool(struct gguf_writer *w, const char *key, bool value);
void gguf_writer_string(struct gguf_writer *w, const char *key, const char *value);
void gguf_writer_strings(struct gguf_writer *w, const char *key, const char *const *values,
			 size_t n);
/* value: the n elements, packed. */
void gguf_writer_array(struct gguf_writer *w, const char *key, enum gguf_type type,
		       const void *values, size_t n, size_t n_bytes);
/* Any type number, and the value's bytes as they are. */
void gguf_writer_raw(struct gguf_writer *w, const char *key, uint32_t type, const void *value,
		     size_t n_bytes);

/* Data goes to the next aligned offset. */
void gguf_writer_tensor(struct gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
			const uint64_t *dims, const void *data, size_t n_bytes);
/* As above, but the entry says offset whatever is there; adds no data. */
void gguf_writer_entry(struct gguf_writer *w, const char *name, uint32_t type, uint32_t n_dims,
		       const uint64_t *dims, uint64_t offset);
/* A matrix [n_rows][n_columns] or, with n_rows 1, a vector; converted to type. */
void gguf_writer_floats(struct gguf_writer *w, const char *name, enum tensor_type type,
			uint64_t n_columns, uint64_t n_rows, const float *values);

/* Append the whole file to `file`. */
void gguf_writer_finish(const struct gguf_writer *w, struct buf *file);

/* n floats as one row of type: out is resized. Round to nearest. */
void quantize_row(enum tensor_type type, const float *values, size_t n, struct buf *out);

#endif
