/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_GGUF_HEAD_H
#define STAGECOACH_MODEL_GGUF_HEAD_H
/*
 * gguf_head - builds the head of a GGUF file of version 3: metadata and tensor directory. Tensors
 * are placed in the data section in the order in which they are added.
 * Additions fail only with SC_E_NOMEM; the caller must then give up the head.
 * Thread: one at a time.
 */
#include "base/buf.h"
#include "model/gguf.h"

struct gguf_head {
	size_t alignment;
	uint64_t n_pairs, n_tensors;
	uint64_t data_bytes;	/* bytes of the tensors so far, each with its padding */
	struct buf pairs, directory;
};

/* Starts an empty head with the alignment of `from`; NULL: the format's default. */
void gguf_head_init(struct gguf_head *head, const struct gguf *from);
void gguf_head_deinit(struct gguf_head *head);

/* Copies all pairs of the first file of `from`, except the keys in the NULL-terminated list. */
must_check enum sc_status gguf_head_copy_pairs(struct gguf_head *head, const struct gguf *from,
					       const char *const *except);
must_check enum sc_status gguf_head_add_u32(struct gguf_head *head, const char *key,
					    uint32_t value);
must_check enum sc_status gguf_head_add_f32(struct gguf_head *head, const char *key, float value);
must_check enum sc_status gguf_head_add_bool(struct gguf_head *head, const char *key, bool value);
must_check enum sc_status gguf_head_add_string(struct gguf_head *head, const char *key,
					       const char *data, size_t length);
/* An array of n numbers or bools, packed, in this machine's byte order. */
must_check enum sc_status gguf_head_add_array(struct gguf_head *head, const char *key,
					      enum gguf_type type, const void *data, size_t n);
must_check enum sc_status gguf_head_add_strings(struct gguf_head *head, const char *key,
						const struct gguf_string *strings, size_t n);

/* Adds a tensor by its name, type and dims; does not read its data. *offset_out: where its bytes
 * must be written, relative to the end of the head. */
must_check enum sc_status gguf_head_add_tensor(struct gguf_head *head, const struct tensor *tensor,
					       uint64_t *offset_out);

/* Writes the head's bytes, padded to the start of the data section. */
must_check enum sc_status gguf_head_finish(const struct gguf_head *head, struct buf *bytes_out);

#endif
