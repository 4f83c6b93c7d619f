/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_GGUF_HEAD_H
#define STAGECOACH_MODEL_GGUF_HEAD_H
/*
 * gguf_head - builds what stands before the data of a GGUF file of version 3: metadata and tensor
 * directory. Tensors get their places in the data section in the order in which they are added.
 * Additions fail with SC_E_NOMEM only, and are then to be given up together with the head.
 */
#include "base/buf.h"
#include "model/gguf.h"

struct gguf_head {
	size_t alignment;
	uint64_t n_pairs, n_tensors;
	uint64_t data_bytes;	/* of the tensors so far, with the padding behind each */
	struct buf pairs, directory;
};

/* With the alignment that `from` has. */
void gguf_head_init(struct gguf_head *head, const struct gguf *from);
void gguf_head_deinit(struct gguf_head *head);

/* All pairs of the first file of `from`, unless the NULL-terminated list names the key. */
must_check enum sc_status gguf_head_copy_pairs(struct gguf_head *head, const struct gguf *from,
					       const char *const *except);
must_check enum sc_status gguf_head_add_u32(struct gguf_head *head, const char *key,
					    uint32_t value);

/* Name, type and dims are taken, data is not looked at. *offset_out: where its bytes belong,
 * behind the head. */
must_check enum sc_status gguf_head_add_tensor(struct gguf_head *head, const struct tensor *tensor,
					       uint64_t *offset_out);

/* The head's bytes, padded: the data section follows. */
must_check enum sc_status gguf_head_finish(const struct gguf_head *head, struct buf *bytes_out);

#endif
