/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/recipe_rows.h"

#include <inttypes.h>

/* Rows behind each other. */
static struct hf_rows straight(uint64_t first, uint64_t n)
{
	return (struct hf_rows){
		.n = n, .first = first, .n_digits = 1, .size = { n }, .stride = { 1 },
	};
}

/* Heads whose halves become pairs: row (head, i, half) is stored as (head, half, i). */
static struct hf_rows paired(uint64_t first, uint64_t n_heads, uint64_t head_dim)
{
	return (struct hf_rows){
		.n = n_heads * head_dim, .first = first, .n_digits = 3,
		.size = { n_heads, head_dim / 2, 2 },
		.stride = { head_dim, 1, head_dim / 2 },
	};
}

/* n blocks of `length` rows, stored `stride` apart. */
static struct hf_rows blocks(uint64_t first, uint64_t n, uint64_t stride, uint64_t length)
{
	return (struct hf_rows){
		.n = n * length, .first = first, .n_digits = 2,
		.size = { n, length }, .stride = { stride, 1 },
	};
}

/* As blocks of `heads` heads, whose halves become pairs. */
static struct hf_rows paired_blocks(uint64_t first, uint64_t n, uint64_t stride, uint64_t heads,
				    uint64_t head_dim)
{
	return (struct hf_rows){
		.n = n * heads * head_dim, .first = first, .n_digits = 4,
		.size = { n, heads, head_dim / 2, 2 },
		.stride = { stride, head_dim, 1, head_dim / 2 },
	};
}

static void add_piece(struct hf_recipe *recipe, struct hf_rows piece)
{
	recipe->pieces[recipe->n_pieces++] = piece;
	recipe->n_rows += piece.n;
}

/* Groups of query heads that share a head of keys and one of values. */
static void plan_groups(struct hf_recipe *recipe, enum hf_operation op,
			const struct hf_numbers *n)
{
	const uint64_t heads = n->n_heads / n->n_kv_heads, dim = n->head_dim;
	const uint64_t stride = (heads + 2) * dim, kv = n->n_kv_heads;

	switch (op) {
	case HF_GROUPS_TO_QKV:
		add_piece(recipe, blocks(0, kv, stride, heads * dim));
		add_piece(recipe, blocks(heads * dim, kv, stride, dim));
		add_piece(recipe, blocks((heads + 1) * dim, kv, stride, dim));
		return;
	case HF_GROUPS_Q_PERMUTED:
		add_piece(recipe, paired_blocks(0, kv, stride, heads, dim));
		return;
	case HF_GROUPS_K_PERMUTED:
		add_piece(recipe, paired_blocks(heads * dim, kv, stride, 1, dim));
		return;
	default:
		add_piece(recipe, blocks((heads + 1) * dim, kv, stride, dim));
	}
}

static void plan_parts(struct hf_recipe *recipe, enum hf_operation op, const struct hf_numbers *n)
{
	const uint64_t dim = n->head_dim, q = n->n_heads * dim, k = n->n_kv_heads * dim;

	switch (op) {
	case HF_PART_Q: add_piece(recipe, straight(0, q)); return;
	case HF_PART_K: add_piece(recipe, straight(q, k)); return;
	case HF_PART_Q_PERMUTED: add_piece(recipe, paired(0, n->n_heads, dim)); return;
	case HF_PART_K_PERMUTED: add_piece(recipe, paired(q, n->n_kv_heads, dim)); return;
	default: add_piece(recipe, straight(q + k, k));
	}
}

static void plan_heads(struct hf_recipe *recipe, const struct hf_numbers *n)
{
	const uint64_t dim = n->head_dim;

	for (uint64_t part = 0; part < 3; part++)
		add_piece(recipe, blocks(part * dim, n->n_heads, 3 * dim, dim));
}

/* The rows that must be stored; 0: any. */
static uint64_t rows_needed(enum hf_operation op, const struct hf_numbers *n)
{
	const uint64_t dim = n->head_dim;

	switch (op) {
	case HF_PERMUTE_Q: return n->n_heads * dim;
	case HF_PERMUTE_K: return n->n_kv_heads * dim;
	case HF_HEADS_TO_QKV: return 3 * n->n_heads * dim;
	case HF_GROUPS_TO_QKV: case HF_GROUPS_Q_PERMUTED: case HF_GROUPS_K_PERMUTED:
	case HF_GROUPS_V: case HF_PART_Q: case HF_PART_K: case HF_PART_V:
	case HF_PART_Q_PERMUTED: case HF_PART_K_PERMUTED:
		return (n->n_heads + 2 * (uint64_t)n->n_kv_heads) * dim;
	case HF_FIRST_HALF: case HF_SECOND_HALF: return 2 * (uint64_t)n->ffn_dim;
	case HF_AS_IS: case HF_TRANSPOSE: case HF_STACK_Q: case HF_STACK_K: case HF_UNIT_ROWS:
		return 0;
	}
	return 0;
}

enum sc_status hf_rows_plan(struct hf_recipe *recipe, enum hf_operation op,
			    const struct hf_numbers *numbers, struct error *err)
{
	const struct hf_numbers *n = numbers;
	const uint64_t stored = recipe->stored->dims[0], needed = rows_needed(op, numbers);

	if (needed && stored != needed)
		return hf_stored_error(recipe->stored, SC_E_FORMAT, err,
				       "expected %" PRIu64 " rows for %u heads of %u elements, %u "
				       "key-value heads and %u elements of the feed-forward part, "
				       "found %" PRIu64, needed, n->n_heads, n->head_dim,
				       n->n_kv_heads, n->ffn_dim, stored);
	if (needed && numbers->head_dim % 2)
		return hf_stored_error(recipe->stored, SC_E_UNSUPPORTED, err,
				       "heads of %u elements, an odd number, are not supported",
				       numbers->head_dim);
	recipe->n_rows = 0;
	recipe->n_pieces = 0;
	switch (op) {
	case HF_PERMUTE_Q: add_piece(recipe, paired(0, n->n_heads, n->head_dim)); break;
	case HF_PERMUTE_K: add_piece(recipe, paired(0, n->n_kv_heads, n->head_dim)); break;
	case HF_HEADS_TO_QKV: plan_heads(recipe, n); break;
	case HF_GROUPS_TO_QKV: case HF_GROUPS_Q_PERMUTED: case HF_GROUPS_K_PERMUTED:
	case HF_GROUPS_V: plan_groups(recipe, op, n); break;
	case HF_PART_Q: case HF_PART_K: case HF_PART_V: case HF_PART_Q_PERMUTED:
	case HF_PART_K_PERMUTED: plan_parts(recipe, op, n); break;
	case HF_FIRST_HALF: add_piece(recipe, straight(0, stored / 2)); break;
	case HF_SECOND_HALF: add_piece(recipe, straight(stored / 2, stored / 2)); break;
	default: add_piece(recipe, straight(0, stored));
	}
	return SC_OK;
}

uint64_t hf_rows_find(const struct hf_recipe *recipe, uint64_t row, uint64_t max,
		      uint64_t *n_run_out)
{
	const struct hf_rows *piece = recipe->pieces;
	unsigned last;
	uint64_t stored, digit;

	while (row >= piece->n)
		row -= piece++->n;
	last = piece->n_digits - 1;
	stored = piece->first;
	*n_run_out = piece->stride[last] == 1 ? piece->size[last] - row % piece->size[last] : 1;
	if (*n_run_out > max)
		*n_run_out = max;
	for (unsigned i = piece->n_digits; i-- > 0; row /= piece->size[i]) {
		digit = row % piece->size[i];
		stored += digit * piece->stride[i];
	}
	return stored;
}
