/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/scheduler_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- states --- */

static bool is_running(enum sequence_state state)
{
	return state > SEQUENCE_WAITING;
}

static void leave_state(struct scheduler *s, struct sequence *sequence)
{
	s->n_by_state[sequence->state]--;
	if (sequence->state == SEQUENCE_WAITING)
		shares_remove_waiting(&s->shares, sequence);
	else if (sequence->state == SEQUENCE_PROMPT)
		prompt_queue_remove(&s->prompts, sequence);
	else
		list_remove(&sequence->node);
}

static void enter_state(struct scheduler *s, struct sequence *sequence)
{
	s->n_by_state[sequence->state]++;
	if (sequence->state == SEQUENCE_WAITING)
		shares_add_waiting(&s->shares, sequence, sequence->is_preempted);
	else if (sequence->state == SEQUENCE_PROMPT)
		prompt_queue_add(&s->prompts, sequence);
	else if (sequence->state == SEQUENCE_DECODE)
		list_append(&s->decodes, &sequence->node);
	else if (sequence->state == SEQUENCE_IN_FLIGHT)
		list_append(&s->in_flight, &sequence->node);
}

void scheduler_move_to(struct scheduler *s, struct sequence *sequence, enum sequence_state state)
{
	bool has_run = is_running(sequence->state);

	leave_state(s, sequence);
	if (has_run && !is_running(state))
		shares_remove_running(&s->shares, sequence);
	sequence->state = state;
	enter_state(s, sequence);
	if (!has_run && is_running(state))
		shares_add_running(&s->shares, sequence);
}

void scheduler_add(struct scheduler *s, struct sequence *sequence)
{
	bool has_run = sequence->is_preempted;

	assert(sequence->state == SEQUENCE_IDLE);
	if (!sequence->ticket)
		sequence->ticket = s->next_ticket;
	if (sequence->ticket >= s->next_ticket)
		s->next_ticket = sequence->ticket + 1;
	/* Its job waits behind those that were added before. */
	sequence->is_preempted = false;
	scheduler_move_to(s, sequence, SEQUENCE_WAITING);
	sequence->is_preempted = has_run;
}

/* Take its slot and blocks away; the stages hear of it with the next step. */
static void strip(struct scheduler *s, struct sequence *sequence)
{
	for (uint32_t g = 0; g < n_groups(s); g++) {
		sequence->share->client->n_blocks[g] -= sequence->n_blocks[g];
		while (sequence->n_blocks[g])
			blocks_give(&s->blocks[g], sequence->tables[g][--sequence->n_blocks[g]]);
	}
	if (sequence->slot != SLOT_NONE) {
		s->free_slots[s->n_free_slots++] = sequence->slot;
		if (sequence->is_known)
			s->frees[s->n_frees++] = sequence->slot;
	}
	sequence->slot = SLOT_NONE;
	sequence->is_known = false;
	sequence->n_issued = 0;
	sequence->n_done = 0;
}

/* Its tokens in flight are not wanted any more. Returns true if a step in flight has rows of it. */
static bool forget_flights(struct scheduler *s, const struct sequence *sequence)
{
	bool is_in_flight = false;

	for (uint32_t i = 0; i < s->n_flights; i++) {
		struct flight *flight = &s->flights[(s->first_flight + i) % s->config.window];

		for (uint32_t k = 0; k < flight->n_awaited; k++)
			if (flight->awaited[k].sequence == sequence) {
				flight->awaited[k].sequence = NULL;
				is_in_flight = true;
			}
	}
	return is_in_flight;
}

void scheduler_remove(struct scheduler *s, struct sequence *sequence)
{
	if (sequence->state == SEQUENCE_IDLE)
		return;
	(void)forget_flights(s, sequence);
	strip(s, sequence);
	scheduler_move_to(s, sequence, SEQUENCE_IDLE);
	sequence->ticket = 0;
	sequence->is_preempted = false;
}

bool scheduler_suspend(struct scheduler *s, struct sequence *sequence)
{
	const uint64_t ticket = sequence->ticket;
	bool has_run = is_running(sequence->state) || sequence->is_preempted;
	bool is_in_flight;

	if (sequence->state == SEQUENCE_IDLE)
		return false;
	is_in_flight = forget_flights(s, sequence);
	scheduler_remove(s, sequence);
	sequence->ticket = ticket;
	sequence->is_preempted = has_run;
	sequence->last_step = 0;	/* the next scheduler counts its steps from 1 */
	return is_in_flight;
}

void scheduler_preempt(struct scheduler *s, struct sequence *sequence)
{
	(void)forget_flights(s, sequence);
	strip(s, sequence);
	sequence->is_preempted = true;
	scheduler_move_to(s, sequence, SEQUENCE_WAITING);
	s->n_preemptions++;
}

/* --- tokens --- */

/* Record i of the awaited ones: the number of its likeliest tokens. */
static uint32_t tops_of_record(const struct awaited *awaited, uint32_t i)
{
	bool is_draw = awaited->is_drawn && i + 1 == awaited->n_records;

	return is_draw ? awaited->n_draw_tops : awaited->n_score_tops;
}

static enum sc_status check_records(const struct awaited *awaited,
				    const struct token_record *records, uint32_t first,
				    struct error *err)
{
	for (uint32_t i = 0; i < awaited->n_records; i++) {
		if (records[i].sequence != awaited->slot ||
		    records[i].position != awaited->position + i)
			return error_set(err, SC_E_PROTOCOL,
					 "tokens: record %u is for slot %u position %u, "
					 "expected slot %u position %u",
					 first + i, records[i].sequence, records[i].position,
					 awaited->slot, awaited->position + i);
		if (!records[i].fault && records[i].n_tops != tops_of_record(awaited, i))
			return error_set(err, SC_E_PROTOCOL,
					 "tokens: record %u has %u likeliest tokens, expected %u",
					 first + i, records[i].n_tops, tops_of_record(awaited, i));
	}
	return SC_OK;
}

static enum sc_status check_answer(const struct flight *flight, const struct tokens *tokens,
				   struct error *err)
{
	enum sc_status status = SC_OK;
	uint32_t n_records = 0;

	for (uint32_t i = 0; i < flight->n_awaited; i++)
		n_records += flight->awaited[i].n_records;
	if (tokens->step_id != flight->step_id || tokens->n_records != n_records)
		return error_set(err, SC_E_PROTOCOL,
				 "tokens: step %llu with %u records, expected step %llu with %u",
				 (unsigned long long)tokens->step_id, tokens->n_records,
				 (unsigned long long)flight->step_id, n_records);
	n_records = 0;
	for (uint32_t i = 0; status == SC_OK && i < flight->n_awaited; i++) {
		status = check_records(&flight->awaited[i], tokens->records + n_records, n_records,
				       err);
		n_records += flight->awaited[i].n_records;
	}
	return status;
}

static void take_token(struct scheduler *s, struct sequence *sequence,
		       const struct token_record *record, const struct token_top *tops,
		       scheduler_token_fn *fn, void *arg)
{
	assert(sequence->n_tokens < sequence->max_tokens);
	sequence->tokens[sequence->n_tokens++] = record->token;
	scheduler_move_to(s, sequence, SEQUENCE_DECODE);
	if (!fn(arg, sequence, record, tops))
		scheduler_remove(s, sequence);
}

static void take_score(struct sequence *sequence, const struct token_record *record,
		       const struct token_top *tops)
{
	size_t i = record->position - sequence->score_from;

	sequence->scores[i] = record->logprob;
	if (record->n_tops)
		memcpy(sequence->score_tops + i * record->n_tops, tops,
		       record->n_tops * sizeof tops[0]);
}

/* A sequence's records of one step, up to the first with a fault. */
static void take_records(struct scheduler *s, const struct awaited *awaited,
			 const struct token_record *records, const struct token_top *tops,
			 scheduler_token_fn *fn, void *arg)
{
	struct sequence *sequence = awaited->sequence;
	uint32_t n_scores = awaited->n_records - awaited->is_drawn;

	for (uint32_t i = 0; i < awaited->n_records; i++) {
		if (records[i].fault) {
			(void)fn(arg, sequence, &records[i], tops);
			scheduler_remove(s, sequence);
			return;
		}
		if (i < n_scores)
			take_score(sequence, &records[i], tops);
		else
			take_token(s, sequence, &records[i], tops, fn, arg);
		tops += records[i].n_tops;
	}
}

/* What is learnt is the time that a step spends in all stages. A step that was sent into an empty
 * pipeline is answered after just that time. With a step for each stage the pipeline answers one
 * whenever its slowest stage has done one: as many such times as steps were in flight when this one
 * was sent, but no more than there are stages. */
static void note_pace(struct scheduler *s, const struct flight *flight, uint64_t now_ns)
{
	uint64_t since = flight->sent_ns > s->answered_ns ? flight->sent_ns : s->answered_ns;

	s->answered_ns = now_ns;
	if (now_ns > since)
		pace_note(&s->pace, flight->load, (double)(now_ns - since) * flight->n_at_once);
}

enum sc_status scheduler_take(struct scheduler *s, uint64_t now_ns, const struct tokens *tokens,
			      scheduler_token_fn *fn, void *arg, struct error *err)
{
	const struct token_record *records = tokens->records;
	const struct token_top *tops = tokens->tops;
	struct flight *flight = &s->flights[s->first_flight];
	enum sc_status status;

	if (!s->n_flights)
		return error_set(err, SC_E_PROTOCOL, "tokens: no step is in flight");
	status = check_answer(flight, tokens, err);
	if (status != SC_OK)
		return status;
	note_pace(s, flight, now_ns);
	for (uint32_t i = 0; i < flight->n_awaited; i++) {
		const struct awaited *awaited = &flight->awaited[i];

		if (awaited->sequence)
			awaited->sequence->n_done = awaited->n_done;
		if (awaited->sequence)
			take_records(s, awaited, records, tops, fn, arg);
		for (uint32_t k = 0; k < awaited->n_records; k++)
			tops += records[k].n_tops;
		records += awaited->n_records;
	}
	s->n_rows_done += flight->load.n_rows;
	/* Only now: fn may have removed other sequences of this flight. */
	s->first_flight = (s->first_flight + 1) % s->config.window;
	s->n_flights--;
	return SC_OK;
}

struct scheduler_oldest scheduler_oldest(const struct scheduler *s)
{
	const struct flight *flight = &s->flights[s->first_flight];

	if (!s->n_flights)
		return (struct scheduler_oldest){ .step_id = 0 };
	return (struct scheduler_oldest){
		.step_id = flight->step_id,
		.expected_ns = s->pace.n_seen ? pace_predict(&s->pace, flight->load) : 0,
	};
}

struct scheduler_counts scheduler_counts(const struct scheduler *s)
{
	struct scheduler_counts counts = {
		.waiting = s->n_by_state[SEQUENCE_WAITING],
		.running = s->n_by_state[SEQUENCE_PROMPT] + s->n_by_state[SEQUENCE_DECODE] +
			   s->n_by_state[SEQUENCE_IN_FLIGHT],
		.in_flight = s->n_flights,
		.steps = s->n_steps,
		.rows = s->n_rows_done,
		.preemptions = s->n_preemptions,
	};

	for (uint32_t g = 0; g < n_groups(s); g++)
		counts.blocks_free[g] = s->blocks[g].n_free;
	return counts;
}

/* --- life --- */

static enum sc_status allocate_flights(struct scheduler *s)
{
	uint32_t n = s->config.limits.max_sequences;

	s->flights = calloc(s->config.window, sizeof s->flights[0]);
	if (!s->flights)
		return SC_E_NOMEM;
	for (uint32_t i = 0; i < s->config.window; i++) {
		struct flight *flight = &s->flights[i];

		flight->awaited = calloc(n, sizeof flight->awaited[0]);
		if (!flight->awaited)
			return SC_E_NOMEM;
	}
	return SC_OK;
}

static enum sc_status allocate(struct scheduler *s)
{
	const struct step_limits *limits = &s->config.limits;
	uint32_t n = limits->max_sequences;

	s->segments = calloc(n, sizeof s->segments[0]);
	s->sampling = calloc(step_max_sampling(limits), sizeof s->sampling[0]);
	s->step_tokens = calloc(limits->max_rows, sizeof s->step_tokens[0]);
	s->step_blocks = calloc(step_max_blocks(limits), sizeof s->step_blocks[0]);
	s->frees = calloc(n, sizeof s->frees[0]);
	s->free_slots = calloc(n, sizeof s->free_slots[0]);
	if (!s->segments || !s->sampling || !s->step_tokens || !s->step_blocks || !s->frees ||
	    !s->free_slots)
		return SC_E_NOMEM;
	while (s->n_free_slots < n) {
		s->free_slots[s->n_free_slots] = n - 1 - s->n_free_slots;
		s->n_free_slots++;
	}
	for (uint32_t g = 0; g < limits->n_groups; g++)
		if (blocks_init(&s->blocks[g], limits->max_blocks[g]) != SC_OK)
			return SC_E_NOMEM;
	if (shares_init(&s->shares, n) != SC_OK)
		return SC_E_NOMEM;
	return allocate_flights(s);
}

static enum sc_status refuse_pool(const struct step_limits *limits, uint32_t group,
				  struct error *err)
{
	const char *whose = group == step_whole_group(limits) ? ""
							      : " of layers with a sliding window";

	return error_set(err, SC_E_INVALID,
			 "the KV pool of %u blocks of %u positions%s cannot hold one context of %u "
			 "positions: raise --kv-positions or lower --ctx-size",
			 limits->max_blocks[group], limits->block_length, whose,
			 limits->max_context);
}

enum sc_status scheduler_create(const struct scheduler_config *config,
				struct scheduler **scheduler_out, struct error *err)
{
	const struct step_limits *limits = &config->limits;
	struct scheduler *s;

	for (uint32_t g = 0; g < limits->n_groups; g++)
		if (limits->max_blocks[g] < limits->table_blocks[g])
			return refuse_pool(limits, g, err);
	s = calloc(1, sizeof *s);
	if (!s)
		return error_set(err, SC_E_NOMEM, "out of memory for the scheduler");
	s->config = *config;
	s->next_ticket = 1;
	prompt_queue_init(&s->prompts);
	list_init(&s->decodes);
	list_init(&s->in_flight);
	if (allocate(s) != SC_OK) {
		scheduler_destroy(s);
		return error_set(err, SC_E_NOMEM, "out of memory for the scheduler");
	}
	*scheduler_out = s;
	return SC_OK;
}

void scheduler_destroy(struct scheduler *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; s->flights && i < s->config.window; i++)
		free(s->flights[i].awaited);
	free(s->flights);
	for (uint32_t g = 0; g < STEP_MAX_GROUPS; g++)
		blocks_deinit(&s->blocks[g]);
	shares_deinit(&s->shares);
	free(s->free_slots);
	free(s->frees);
	free(s->step_blocks);
	free(s->step_tokens);
	free(s->sampling);
	free(s->segments);
	free(s);
}
