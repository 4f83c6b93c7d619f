/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_QUANT_MIX_H
#define STAGECOACH_QUANT_MIX_H
/*
 * mix - a named quantisation ("Q4_K_M"): the tensor type of most matrices, and which matrices get
 * another type. Names, file type numbers and choices are those of llama.cpp without an importance
 * matrix. Exception: MXFP4 uses this type for every matrix, not only for those of experts.
 * Thread: any.
 */
#include "base/error.h"
#include "model/gguf.h"

struct gguf_head;

struct quant_mix {
	const char *name;
	uint32_t file_type;		/* general.file_type */
	enum tensor_type type;		/* type of most matrices */
};

/* Finds a mix by name, ignoring case. Q3_K, Q4_K and Q5_K mean their _M variants. Returns NULL if
 * the name is unknown. */
const struct quant_mix *quant_mix_find(const char *name);

/* As quant_mix_find, for a name that somebody typed. SC_E_INVALID: it is unknown; err has all names
 * behind `what`, the argument or setting. SC_E_NOMEM. */
must_check enum sc_status quant_mix_require(const char *name, const char *what,
					    const struct quant_mix **mix_out, struct error *err);

/* Adds the metadata of a model whose tensors get new types by mix; NULL: they keep theirs. It
 * becomes one file. SC_E_NOMEM. */
must_check enum sc_status quant_mix_put_metadata(const struct quant_mix *mix,
						 const struct gguf *from, struct gguf_head *head);

/* The facts of a model that the choices depend on. */
struct quant_facts {
	uint32_t n_layers;
	uint32_t heads_per_kv_head;	/* 1 if the file does not say */
	uint32_t n_experts;
	bool is_tied;			/* the embedding is also the output matrix */
	bool is_llama;
};

struct quant_facts quant_facts_of(const struct gguf *gguf);

/* Returns the new type of a tensor; its old type if it must not be quantised. If a row is not a
 * multiple of the type's block, another type that fits is chosen, and *is_fallback_out is set. */
enum tensor_type quant_mix_type(const struct quant_mix *mix, const struct quant_facts *facts,
				const struct tensor *tensor, bool *is_fallback_out);

#endif
