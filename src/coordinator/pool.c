/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/pool.h"

#include "base/integers.h"
#include "wire/step.h"

#include <stdio.h>

/* A pool of automatic size takes one of this many parts of what weights and work memory leave. */
enum { PARTS = 2 };

/* A pool of automatic size has at least this many bytes as its limit, or the bytes of the weights
 * if they are more. */
#define QUICK_BYTES (UINT64_C(512) << 20)

/* Used if the workers' memory is unknown. */
enum { UNKNOWN_CONTEXTS = 4 };

static uint32_t blocks_for(const struct plan_input *input, uint64_t n_positions)
{
	return (uint32_t)min_of(div_up(n_positions, input->block_length), STEP_MAX_BLOCKS);
}

static bool is_memory_known(const struct plan_input *input)
{
	for (unsigned i = 0; i < input->n_stages; i++)
		if (!input->memory_bytes || !input->memory_bytes[i])
			return false;
	return true;
}

/* Makes a plan for a pool of given size, or an error that says how many positions would fit. */
static enum sc_status plan_exactly(const struct plan_input *input, struct plan **plan_out,
				   struct error *err)
{
	enum sc_status status = plan_make(input, plan_out, err);
	struct error why;
	uint32_t most;

	if (status != SC_E_CAPACITY || !err ||
	    plan_most_blocks(input, input->n_blocks, &most) != SC_OK)
		return status;
	why = *err;
	if (!most)
		return error_set(err, status, "%s; no context fits at all", why.text);
	return error_set(err, status, "%s; at most %llu positions fit", why.text,
			 (unsigned long long)most * input->block_length);
}

/* Blocks of one context: the wanted one or, if that does not fit, the longest that fits. */
static enum sc_status choose_context(struct plan_input *input, const struct pool_wish *wish,
				     uint32_t *n_blocks_out)
{
	uint32_t wanted = blocks_for(input, wish->context), most;
	uint32_t least = blocks_for(input, min_of(wish->context, POOL_LEAST_CONTEXT));
	enum sc_status status = plan_most_blocks(input, wanted, &most);

	if (status == SC_OK && most < wanted && !wish->is_context_fixed) {
		input->kv_parts = PARTS;
		status = plan_most_blocks(input, wanted, &most);
		input->kv_parts = 1;
		wanted = most > least ? most : least;
	}
	if (status == SC_OK)
		*n_blocks_out = wanted;
	return status;
}

/* The bytes that can be taken in about the time that loading the weights takes. */
static uint64_t quick_bytes(const struct plan *plan)
{
	uint64_t weight_bytes = 0;

	for (unsigned i = 0; i < plan->n_stages; i++)
		weight_bytes += plan->stages[i].weight_bytes;
	return max_of(weight_bytes, QUICK_BYTES);
}

/* Chooses n_sequences for a plan whose pools have the least size. */
static void widen_windows(struct plan_input *input, const struct pool_wish *wish,
			  const struct plan *plan)
{
	input->kv_parts = PARTS;
	input->n_sequences = plan_room_for_windows(plan, input, wish->n_sequences,
						   quick_bytes(plan));
	input->kv_parts = 1;
}

/* Chooses n_blocks and n_sequences that fit into the stages of the plan: at least as many as they
 * were planned for. */
static void choose_pool(struct plan_input *input, const struct pool_wish *wish,
			const struct plan *plan)
{
	uint64_t n_contexts = is_memory_known(input) ? wish->n_contexts
						     : min_of(wish->n_contexts, UNKNOWN_CONTEXTS);
	uint32_t wanted = blocks_for(input, n_contexts * input->max_context), room;

	input->kv_parts = PARTS;
	input->n_sequences = wish->n_sequences;
	room = plan_room(plan, input, wanted, quick_bytes(plan));
	input->kv_parts = 1;
	if (room >= input->n_blocks)
		input->n_blocks = room;
	else
		widen_windows(input, wish, plan);
}

/* The plan for an explicit pool. */
static enum sc_status plan_given(struct plan_input *input, const struct pool_wish *wish,
				 struct plan **plan_out, struct error *err)
{
	struct plan *plan;
	enum sc_status status;

	if (!wish->is_context_fixed && wish->context > wish->n_positions)
		input->max_context = wish->n_positions;
	input->n_blocks = blocks_for(input, wish->n_positions);
	status = plan_exactly(input, &plan, err);
	if (status != SC_OK)
		return status;
	widen_windows(input, wish, plan);
	plan_destroy(plan);
	return plan_make(input, plan_out, err);
}

enum sc_status pool_plan(struct plan_input *input, const struct pool_wish *wish,
			 struct plan **plan_out, struct error *err)
{
	struct plan *plan = NULL;
	uint64_t n_positions;
	enum sc_status status;

	input->max_context = wish->context;
	input->n_sequences = 1;
	if (wish->n_positions)
		return plan_given(input, wish, plan_out, err);
	status = choose_context(input, wish, &input->n_blocks);
	if (status != SC_OK)
		return error_set(err, status, "out of memory for a plan");
	n_positions = (uint64_t)input->n_blocks * input->block_length;
	input->max_context = (uint32_t)min_of(wish->context, n_positions);
	status = plan_exactly(input, &plan, err);
	if (status != SC_OK)
		return status;
	choose_pool(input, wish, plan);
	plan_destroy(plan);
	return plan_make(input, plan_out, err);
}

bool pool_explain(const struct plan_input *input, const struct pool_wish *wish,
		  char text_out[POOL_TEXT_BYTES])
{
	if (input->max_context >= wish->context)
		return false;
	if (wish->n_positions)
		snprintf(text_out, POOL_TEXT_BYTES, "context: %u positions instead of %u, because "
			 "--kv-positions is %u; raise it, or set --ctx-size",
			 input->max_context, wish->context, wish->n_positions);
	else
		snprintf(text_out, POOL_TEXT_BYTES, "context: %u positions instead of %u, because "
			 "memory holds no more; set --ctx-size, or raise --memory",
			 input->max_context, wish->context);
	return true;
}
