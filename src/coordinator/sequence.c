/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/sequence.h"

#include <stdlib.h>
#include <string.h>

/* This many prompt rows cost at most as much as drawing one token, because a decode step reads all
 * weights for a few rows. */
enum { ROWS_PER_TOKEN = 8 };

/* The most rows that are computed again per token of a turn. */
enum { ROWS_PER_TURN_TOKEN = 4 };

static uint64_t table_blocks(const struct step_limits *limits, uint32_t max_tokens)
{
	uint64_t n = 0;

	for (uint32_t g = 0; g < limits->n_groups; g++)
		n += step_held_blocks(limits, g, max_tokens);
	return n;
}

uint64_t sequence_table_bytes(const struct step_limits *limits, uint32_t max_tokens)
{
	return table_blocks(limits, max_tokens) * sizeof(uint32_t);
}

/* One block of memory for the tables of all groups. */
static enum sc_status init_tables(struct sequence *sequence, const struct step_limits *limits)
{
	uint32_t *table = calloc(table_blocks(limits, sequence->max_tokens), sizeof *table);

	for (uint32_t g = 0; table && g < limits->n_groups; g++) {
		sequence->tables[g] = table;
		table += step_held_blocks(limits, g, sequence->max_tokens);
	}
	return table ? SC_OK : SC_E_NOMEM;
}

enum sc_status sequence_init(struct sequence *sequence, const uint32_t *prompt, uint32_t n_prompt,
			     uint32_t max_tokens, const struct step_limits *limits)
{
	*sequence = (struct sequence){
		.state = SEQUENCE_IDLE,
		.n_tokens = n_prompt,
		.n_prompt = n_prompt,
		.max_tokens = max_tokens,
		.slot = SLOT_NONE,
	};
	list_init(&sequence->node);
	list_init(&sequence->share_node);
	sequence->tokens = calloc(max_tokens, sizeof sequence->tokens[0]);
	if (!sequence->tokens || init_tables(sequence, limits) != SC_OK) {
		sequence_deinit(sequence);
		return SC_E_NOMEM;
	}
	memcpy(sequence->tokens, prompt, n_prompt * sizeof prompt[0]);
	return SC_OK;
}

void sequence_deinit(struct sequence *sequence)
{
	free(sequence->tokens);
	free(sequence->tables[0]);
	sequence->tokens = NULL;
	sequence->tables[0] = NULL;
}

static uint32_t n_new(const struct sequence *sequence)
{
	return sequence->n_tokens - sequence->n_started;
}

void sequence_insert_by_ticket(struct list *list, struct sequence *sequence)
{
	struct list *place = list;

	while (place->prev != list &&
	       list_entry(place->prev, struct sequence, node)->ticket > sequence->ticket)
		place = place->prev;
	list_insert_before(place, &sequence->node);
}

bool sequence_is_settled(const struct sequence *sequence)
{
	return !sequence->is_restarted || n_new(sequence) > sequence->n_started / ROWS_PER_TOKEN;
}

bool sequence_has_had_turn(const struct sequence *sequence)
{
	return n_new(sequence) >= SEQUENCE_TURN &&
	       n_new(sequence) >= sequence->n_started / ROWS_PER_TURN_TOKEN;
}
