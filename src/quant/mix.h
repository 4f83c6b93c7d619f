/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_MIX_H
#define STAGECOACH_QUANT_MIX_H
/*
 * mix - what people call a quantisation ("Q4_K_M"): a tensor type for most matrices, and which ones
 * get another. Names, file type numbers and choices are those of llama.cpp without an importance
 * matrix, but for MXFP4: there every matrix is of that type, not only those of experts.
 * Thread: any.
 */
#include "base/buf.h"
#include "model/gguf.h"

struct quant_mix {
	const char *name;
	uint32_t file_type;		/* general.file_type */
	enum tensor_type type;		/* of most matrices */
};

/* Case does not matter; Q3_K, Q4_K and Q5_K are their _M. NULL: no such name. */
const struct quant_mix *quant_mix_find(const char *name);

/* All names, with ", " between them. */
must_check enum sc_status quant_mix_names(struct buf *text);

/* What the choices depend on. */
struct quant_facts {
	uint32_t n_layers;
	uint32_t heads_per_kv_head;	/* 1 where the file does not say */
	uint32_t n_experts;
	bool is_tied;			/* the embedding is the output matrix too */
	bool is_llama;
};

struct quant_facts quant_facts_of(const struct gguf *gguf);

/* The type that the tensor gets: its own where it is not a matrix that may be quantised. Rows that
 * are no multiple of the type's block fall back to one that fits, with *is_fallback_out set. */
enum tensor_type quant_mix_type(const struct quant_mix *mix, const struct quant_facts *facts,
				const struct tensor *tensor, bool *is_fallback_out);

#endif
