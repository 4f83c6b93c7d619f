/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MEASURE_COST_H
#define STAGECOACH_MEASURE_COST_H
/*
 * cost - what a forward pass cannot do without: bytes that must be read and multiply-adds that must
 * be done, and with a machine's speeds the rates that nothing can beat.
 *
 * A step reads all weights once, however many rows it has, and for each row the keys and values of
 * the positions before it. Multiply-adds of quantised matrices are done on bytes, those of BF16
 * matrices on BF16 where the machine can, everything else in F32. So is attention, unless the
 * backend does it as products of bytes, and those are faster.
 * Arithmetic and reading may overlap: the limit is the slower of the two.
 * Thread: any.
 */
#include "model/model.h"

#include <stdbool.h>

struct cost {
	double weight_bytes;		/* of layers and head, as the file stores them */
	double kv_bytes;		/* of one position, all layers */
	/* Multiply-adds of a row in the layers, and of a row that gets logits. */
	double layer_int8_macs, layer_bf16_macs, layer_f32_macs;
	double head_int8_macs, head_bf16_macs, head_f32_macs;
	double attention_macs;		/* of a row, for each position that it sees */
	bool has_byte_attention;	/* it may be done as two products of bytes each */
};

/* What a machine does in a second; bf16_macs 0: as f32. int8_macs counts for all quantised
 * matrices, but without AVX-512 only weights of four bits can reach it (backend/cpu/peaks.h): the
 * limits of models with wider ones are higher than they could be. */
struct machine_speed {
	double int8_macs;
	double bf16_macs;
	double f32_macs;
	double read_bytes;
};

/* kv_bytes: what the pipeline's cache takes for a position. */
struct cost cost_of_model(const struct model *model, double kv_bytes, bool has_byte_attention);

/* Tokens per second that n_sequences can generate together, each with so many positions in its
 * context. */
double cost_decode_limit(const struct cost *cost, const struct machine_speed *speed,
			 double n_sequences, double n_positions);

/* Bytes that such a step reads. */
double cost_step_bytes(const struct cost *cost, double n_sequences, double n_positions);

/* Tokens per second of a prompt of n_tokens behind n_positions others, in steps of n_rows; its last
 * row gets logits. */
double cost_prompt_limit(const struct cost *cost, const struct machine_speed *speed,
			 double n_tokens, double n_positions, double n_rows);

/* Does a limit that the speed of memory sets not apply, because steps read step_bytes from caches of
 * cache_bytes in all (0: not known)? So it is where the caches hold all of it, and where the rate is
 * beyond the limit and they hold at least a quarter. */
bool cost_is_in_cache(double rate, double limit, double step_bytes, double cache_bytes);

#endif
