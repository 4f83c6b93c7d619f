/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MEASURE_COST_H
#define STAGECOACH_MEASURE_COST_H
/*
 * cost - the least work of a forward pass: bytes that must be read and multiply-adds that must be
 * done. With a machine's speeds it gives upper limits of tokens per second.
 *
 * A step reads all weights once, however many rows it has, and for each row the keys and values of
 * the positions before it, in layers with a window only of those within the window. Multiply-adds are counted by type: quantised matrices in bytes, BF16
 * matrices in BF16 if the machine supports it, everything else in F32. Attention counts as F32, or
 * as bytes if the backend computes it so and that is faster.
 * Computing and reading may overlap, so the limit is the slower of the two.
 * Thread: any.
 */
#include "model/model.h"

#include <stdbool.h>

/* Layers with the same window. */
struct cost_window {
	double window;			/* positions that a row attends to at most */
	double kv_bytes;		/* one position, these layers */
	double attention_macs;		/* as below */
};

struct cost {
	double weight_bytes;		/* layers and head, as stored in the file */
	double kv_bytes;		/* one position, all layers without a window */
	/* Multiply-adds per row in the layers, and per row that gets logits. */
	double layer_int8_macs, layer_bf16_macs, layer_f32_macs;
	double head_int8_macs, head_bf16_macs, head_f32_macs;
	double attention_macs;		/* per row, for each position that the row attends to, in
					 * layers without a window */
	struct cost_window windows[MODEL_MAX_GROUPS];	/* [n_windows] */
	unsigned n_windows;
	bool has_byte_attention;	/* attention may be computed as
					 * two products of bytes each */
};

/* A machine's speed per second. bf16_macs 0: use f32_macs. int8_macs is used for all quantised
 * matrices, but without AVX-512 only 4-bit weights can reach it (backend/cpu/peaks.h); limits for
 * wider weights are then too high. */
struct machine_speed {
	double int8_macs;
	double bf16_macs;
	double f32_macs;
	double read_bytes;
};

/* kv_element_bytes: bytes per element of keys and values in the pipeline's caches. */
struct cost cost_of_model(const struct model *model, double kv_element_bytes,
			  bool has_byte_attention);
/* Elements of keys and values of one position in all layers of the group. */
double cost_kv_elements(const struct kv_group *group);

/* The limit in tokens per second when n_sequences generate together, each with n_positions in its
 * context. */
double cost_decode_limit(const struct cost *cost, const struct machine_speed *speed,
			 double n_sequences, double n_positions);

/* Bytes that such a step reads. */
double cost_step_bytes(const struct cost *cost, double n_sequences, double n_positions);

/* The limit in tokens per second for a prompt of n_tokens after n_positions others, in steps of
 * n_rows. Only its last row gets logits. */
double cost_prompt_limit(const struct cost *cost, const struct machine_speed *speed,
			 double n_tokens, double n_positions, double n_rows);

/* Returns true if the memory's speed does not limit this test, because steps read step_bytes from
 * caches of cache_bytes in total (0: unknown). That is so if the caches hold all of it, or if the
 * measured rate exceeds the limit and the caches hold at least a quarter. */
bool cost_is_in_cache(double rate, double limit, double step_bytes, double cache_bytes);

#endif
