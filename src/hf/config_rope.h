/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_HF_CONFIG_ROPE_H
#define STAGECOACH_HF_CONFIG_ROPE_H
/*
 * config_rope - the rotary positions in config.json: rope_parameters of transformers 5 (of all
 * layers, or by the kind of layer), or rope_theta and rope_scaling of earlier versions.
 * Source of the meanings and defaults: modeling_rope_utils.py of transformers.
 * Private to this folder. Thread: one at a time.
 */
#include "hf/family.h"

enum hf_rope_type {
	HF_ROPE_PLAIN,
	HF_ROPE_LINEAR,
	HF_ROPE_LLAMA3,
	HF_ROPE_YARN,
	HF_ROPE_LONG,
};

struct hf_rope {
	enum hf_rope_type type;
	uint32_t n_rot;			/* rotated elements of a head; even */
	double theta;
	double local_theta;		/* of sliding layers; 0: as theta */
	double factor;			/* of the types other than plain */
	uint32_t n_original;		/* context before it was stretched; llama3, YaRN, long */
	double magnitude;		/* YaRN, long: factor of sines and cosines */
	bool is_magnitude_usual;	/* YaRN: it is 1 + ln(factor) / 10 */
	double beta_fast, beta_slow;	/* YaRN */
	double low_factor, high_factor;	/* llama3 */
	const json_t *long_factors, *short_factors;	/* [n_rot / 2]; borrowed from config */
};

/* SC_E_UNSUPPORTED: a type of scaling that is not supported. SC_E_FORMAT. */
must_check enum sc_status hf_rope_read(const struct hf_family *family,
				       const struct hf_config *config,
				       const struct hf_numbers *numbers, struct hf_rope *rope_out,
				       struct error *err);

/* Writes the keys. prefix: the architecture and a dot. */
must_check enum sc_status hf_rope_put(const struct hf_rope *rope, const char *arch,
				      struct gguf_head *head);

/* llama3: the number by which each of the n_rot / 2 angles is divided. */
void hf_rope_llama3_factors(const struct hf_rope *rope, float *out);

#endif
