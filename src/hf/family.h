/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_FAMILY_H
#define STAGECOACH_HF_FAMILY_H
/*
 * family - the families of models in folders of Hugging Face, as a table: how the names and values
 * of config.json and of the stored tensors become those of GGUF. Where data cannot say it, a row
 * has a small function. What a family computes is the business of model/arch.h, under the row's
 * GGUF architecture.
 * Private to this folder. Sources: the configuration classes of transformers, and the keys and
 * names that llama.cpp's converter writes.
 * Thread: any; the table is constant.
 */
#include "hf/config_value.h"
#include "model/gguf_head.h"

/* The sizes that keys and tensors need. */
struct hf_numbers {
	uint32_t n_layers;
	uint32_t n_context;
	uint32_t dim;
	uint32_t ffn_dim;
	uint32_t n_heads;
	uint32_t n_kv_heads;
	uint32_t head_dim;
};

/* A number of config.json that becomes a key. */
struct hf_key {
	const char *gguf;	/* after "ARCHITECTURE." */
	const char *json;	/* names, as hf_config_get takes them */
	enum { HF_KEY_F32, HF_KEY_BOOL } type;
	double fallback;	/* if config.json does not have it, as in transformers;
				 * HF_REQUIRED: an error; HF_NO_KEY: no key is written */
};
#define HF_REQUIRED (-HUGE_VAL)
#define HF_NO_KEY HUGE_VAL
#define HF_AS_THETA (-1.0)

/* A key of config.json that must have one of these values if it is there: JSON texts with '|'
 * between them. Other values change the computation in a way that is not supported. */
struct hf_check {
	const char *json;
	const char *values;
};

/* How a tensor of GGUF is made of a stored one. "Rows" are outputs of a matrix; a bias has one
 * element per row. */
enum hf_operation {
	HF_AS_IS,
	HF_PERMUTE_Q,		/* the rows of each head from halves to pairs */
	HF_PERMUTE_K,
	HF_TRANSPOSE,		/* stored as [in][out] */
	HF_STACK_Q,		/* one vector per head, stored one by one: '@' in the name is the
				 * head's number */
	HF_STACK_K,
	HF_HEADS_TO_QKV,	/* [head][q, k, v] to [q, k, v][head] */
	HF_GROUPS_TO_QKV,	/* [kv head][its q..., k, v] to [q, k, v] */
	HF_GROUPS_Q_PERMUTED,	/* the q, k or v of [kv head][its q..., k, v] */
	HF_GROUPS_K_PERMUTED,
	HF_GROUPS_V,
	HF_PART_Q,		/* the q, k or v rows of [q, k, v] */
	HF_PART_K,
	HF_PART_V,
	HF_PART_Q_PERMUTED,
	HF_PART_K_PERMUTED,
	HF_FIRST_HALF,		/* of the rows */
	HF_SECOND_HALF,
	HF_UNIT_ROWS,		/* each row divided by its length */
};

/* Names without ".weight" and ".bias"; '#' is the layer's number. */
struct hf_tensor_name {
	const char *gguf;
	const char *hf;		/* NULL: the family does not have the tensor */
	enum hf_operation op;
};

/* A stored number of each layer that becomes an element of a key with an array. */
struct hf_scalar {
	const char *gguf;	/* the whole key */
	const char *hf;
};

enum hf_windows {
	HF_WINDOWS_NONE,	/* sliding_window is not read */
	HF_WINDOWS_ALL,		/* all layers slide if sliding_window is set */
	HF_WINDOWS_FLAG,	/* if use_sliding_window: from layer max_window_layers on */
	HF_WINDOWS_PERIOD,	/* all but every n-th */
};

struct hf_family {
	const char *name;		/* for lists and messages */
	const char *classes[5];		/* names in "architectures" */
	const char *types[4];		/* values of "model_type" */
	const char *arch;		/* general.architecture */

	/* Names of sizes that differ from the usual ones; NULL: the usual. A fallback is the value
	 * without such a key; 0: an error. */
	struct {
		const char *n_context, *ffn_dim, *n_kv_heads;
	} json;
	struct hf_numbers fallbacks;
	uint32_t ffn_per_dim;		/* ffn_dim is so many dim without a key */
	bool keeps_kv_heads_out;	/* no head_count_kv: as many as heads */

	const struct hf_key *keys;	/* ends with a NULL name */
	const struct hf_check *checks;	/* likewise */
	const char *harmless;		/* further keys that change nothing, with '|' between */

	struct {
		bool is_absent;
		double theta;		/* without a key; 0: 10000 */
		double local_theta;	/* of sliding layers; 0: as all layers; HF_AS_THETA: the
					 * same theta, but no scaling */
		double partial;		/* rotated part of a head without a key; 0: all */
		bool has_no_rope_layers;	/* the architecture leaves out every fourth layer */
		bool has_alpha;		/* "dynamic" with alpha is a larger theta */
		bool must_be_given;	/* transformers scales positions of configurations that
					 * say nothing about it; here they are refused */
	} rope;
	enum hf_windows windows;
	uint32_t period;		/* of HF_WINDOWS_PERIOD, without a key */
	bool is_period_implied;		/* the architecture knows the fallback: no key for it */
	uint32_t window;		/* without a key; 0: none */
	bool has_window_key;		/* the key is 0 if there is none */

	const struct hf_tensor_name *tensors;	/* in place of the usual names, which model/slots.h
						 * has; ends with a NULL name */
	bool has_only_own_tensors;		/* the usual names do not apply */
	bool permutes_qk;			/* of the usual names */
	bool adds_one_to_norms;
	uint32_t unit_head_vocab;		/* models with so many tokens divide each row of the
						 * head by its length; 0: none does */
	const struct hf_scalar *scalars;	/* ends with a NULL name */
	bool is_tied;			/* without tie_word_embeddings */
	const char *skipped;		/* stored tensors that nothing needs: parts of their names,
					 * with '|' between */

	/* Corrects sizes. */
	enum sc_status (*fix_numbers)(const struct hf_config *config, struct hf_numbers *numbers,
				      struct error *err);
	/* Writes keys that are no plain numbers. */
	enum sc_status (*put_more)(const struct hf_config *config,
				   const struct hf_numbers *numbers, struct gguf_head *head,
				   struct error *err);
};

/* family_table.c */
extern const struct hf_family hf_families[];
extern const size_t hf_n_families;

/* The sizes in config.json, checked. SC_E_FORMAT. */
must_check enum sc_status hf_numbers_read(const struct hf_family *family,
					  const struct hf_config *config,
					  struct hf_numbers *numbers_out, struct error *err);

#endif
