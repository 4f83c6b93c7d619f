/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/plan_memory.h"

#include "base/integers.h"

/* Upper bounds of what backends use. Each number has its name in src/backend/cpu or src/stage. */
enum {
	LANES = 16,			/* floats of a vector; rows are padded to whole ones */
	LINE = 64,			/* bytes that records are padded to */
	LOGIT_ROWS = 64,		/* FORWARD_MAX_LOGIT_ROWS */
	LOGIT_BLOCK = 128,		/* BACKEND_LOGIT_BLOCK */
	LOGIT_BLOCK_BYTES = 12,		/* its maximum and sum */
	LOGIT_ROW_BYTES = 17 << 10,	/* what drawing a token needs: struct filter_scratch */
	ROPE_FLOATS = 512,		/* cosines and sines of a row */
	QUANT_BLOCK = 32,		/* inputs that share a scale */
	QUAD = 4,			/* bytes that are multiplied together */
	ROW_BYTES = 64,			/* bookkeeping per row */
	SEQUENCE_BYTES = 112,		/* bookkeeping per slot */
	BLOCK_BYTES = 16,		/* bookkeeping per block of the pool */
	TILE_QUERIES = 96,		/* queries that a thread processes at once in attention */
	QUERY_GROUP = 12,		/* queries that share a load of keys */
	CHUNK_POSITIONS = 128,		/* positions that a thread processes at once */
	PART_POSITIONS = 512,		/* positions of a part of attention */
	PART_QUERIES = 16,
	PARTS_OF_THREAD = 8,
	MAX_PART_FLOATS = 1 << 22,
	THREAD_BYTES = 256 << 10,	/* stack, and tiles of products */
	STAGE_BYTES = 1 << 20,		/* queues, control messages, what is not counted */
};

/* Elements of the keys or values of a record of `length` positions, plus one scale per 32 elements
 * of a position for types with scales. backend/cpu/kv.h describes the layout. */
static uint64_t part_of_record(const struct plan_input *input, uint64_t length,
			       uint64_t n_elements, uint64_t dim)
{
	uint64_t n_positions = round_up(length, LANES);

	if (input->kv_type != TENSOR_Q8_0)
		return n_elements * tensor_type_bytes(input->kv_type, 1);
	return n_elements + (dim + QUANT_BLOCK - 1) / QUANT_BLOCK * n_positions * sizeof(uint16_t);
}

/* Keys are padded to whole vectors of positions, values are not. */
static uint64_t record_bytes(const struct plan_input *input, uint64_t length)
{
	const struct hparams *h = &input->model->hparams;
	uint64_t together = input->kv_type == TENSOR_Q8_0 ? QUAD : 1;
	uint64_t keys = round_up(h->head_dim, together) * round_up(length, LANES);
	uint64_t values = round_up(length, together) * round_up(h->value_dim, LANES);

	return round_up(part_of_record(input, length, keys, h->head_dim) +
			part_of_record(input, length, values, h->value_dim), LINE);
}

uint64_t plan_kv_bytes(const struct plan_input *input, uint32_t n_layers)
{
	return record_bytes(input, input->block_length) * input->model->hparams.n_kv_heads *
	       n_layers * input->n_blocks;
}

/* Products read their inputs as floats, halves and bytes: 7.5 bytes per input. */
static uint64_t row_bytes(const struct hparams *h)
{
	uint64_t q = (uint64_t)h->n_heads * (h->head_dim + h->value_dim);
	uint64_t kv = (uint64_t)h->n_kv_heads * (h->head_dim + h->value_dim);
	uint64_t widest = max_of(max_of((uint64_t)h->n_heads * max_of(h->head_dim, h->value_dim),
					h->ffn_dim), h->dim);
	uint64_t n_floats = 2 * (uint64_t)h->dim + q + kv + h->ffn_dim +
			    2 * (widest + QUANT_BLOCK) + ROPE_FLOATS;

	return n_floats * sizeof(float) + ROW_BYTES;
}

static uint64_t logit_bytes(const struct plan_input *input)
{
	uint64_t n_rows = min_of(input->max_rows, LOGIT_ROWS);
	uint64_t n_vocab = input->model->hparams.n_vocab;

	return n_rows * (n_vocab * sizeof(float) + LOGIT_ROW_BYTES +
			 div_up(n_vocab, LOGIT_BLOCK) * LOGIT_BLOCK_BYTES);
}

/* Block tables of all slots, and the owner of each block. */
static uint64_t table_bytes(const struct plan_input *input)
{
	uint64_t n_blocks = div_up(input->max_context, input->block_length);

	return input->max_sequences * (n_blocks * sizeof(uint32_t) + SEQUENCE_BYTES) +
	       (uint64_t)input->n_blocks * BLOCK_BYTES;
}

/* Queries, scores and results of a thread, and a chunk of keys and values as floats. Blocks that do
 * not fill vectors and chunks are copied into one record of a chunk. */
static uint64_t thread_bytes(const struct plan_input *input)
{
	const struct hparams *h = &input->model->hparams;
	bool is_gathered = input->block_length % LANES || CHUNK_POSITIONS % input->block_length;
	uint64_t key = round_up(h->head_dim, QUANT_BLOCK), value = round_up(h->value_dim, LANES);
	uint64_t n_floats = TILE_QUERIES * (key + CHUNK_POSITIONS + 2 * (value + 2)) +
			    CHUNK_POSITIONS * (QUERY_GROUP + key + value);

	return n_floats * sizeof(float) + THREAD_BYTES +
	       (is_gathered ? record_bytes(input, CHUNK_POSITIONS) : 0);
}

/* Memory in which threads exchange results of one sequence. A single thread needs none. */
static uint64_t part_bytes(const struct plan_input *input, uint64_t n_threads)
{
	const struct hparams *h = &input->model->hparams;
	uint64_t n_parts = (uint64_t)input->n_blocks * input->block_length / PART_POSITIONS +
			   PARTS_OF_THREAD * n_threads;
	uint64_t n = min_of(n_parts, MAX_PART_FLOATS) * h->n_kv_heads * PART_QUERIES *
		     (round_up(h->value_dim, LANES) + 2);

	return n_threads > 1 ? min_of(n, MAX_PART_FLOATS) * sizeof(float) : 0;
}

uint64_t plan_work_bytes(const struct plan_input *input, unsigned stage)
{
	uint64_t n_threads = input->n_threads ? max_of(input->n_threads[stage], 1) : 1;
	bool has_head = stage == input->n_stages - 1;

	return row_bytes(&input->model->hparams) * input->max_rows +
	       (has_head ? logit_bytes(input) : 0) + table_bytes(input) +
	       n_threads * thread_bytes(input) + part_bytes(input, n_threads) +
	       input->frame_bytes + STAGE_BYTES;
}
