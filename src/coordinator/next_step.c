/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the next step of what runs: segments, their tokens and blocks, and what is awaited. */
#include "coordinator/scheduler_private.h"

#include "base/integers.h"
#include "coordinator/breakers.h"

/* Of the next n_rows rows of a sequence, those whose next token is in its prompt and wants a score.
 * Once a token is drawn all scores are there. */
static uint32_t count_scored(const struct sequence *sequence, uint32_t n_rows)
{
	uint32_t first = sequence->n_issued;
	uint32_t end = first + n_rows;

	if (!sequence->score_from || sequence->n_tokens > sequence->n_prompt)
		return 0;
	if (first < sequence->score_from - 1)
		first = sequence->score_from - 1;
	if (end > sequence->n_prompt - 1)
		end = sequence->n_prompt - 1;
	return first < end ? end - first : 0;
}

/* The likeliest tokens that the answer has for a token drawn after the sequence's last row. */
static uint32_t count_draw_tops(const struct sequence *sequence)
{
	const struct sampling *sampling = &sequence->sampling;

	return sampling->flags & SAMPLING_LOGPROB ? sampling->n_tops : 0;
}

/* The same for the next n_rows rows. */
static uint64_t count_tops(const struct sequence *sequence, uint32_t n_rows)
{
	bool is_drawn = sequence->n_issued + n_rows == sequence->n_tokens;

	return (uint64_t)count_scored(sequence, n_rows) * sequence->sampling.n_tops +
	       (is_drawn ? count_draw_tops(sequence) : 0);
}

/* Of the next n_rows rows of a sequence, those whose likeliest tokens fit into an answer of `most`.
 * A step without rows has room for one. */
static uint32_t fit_tops(const struct scheduler *s, const struct sequence *sequence,
			 uint32_t n_rows, uint32_t most)
{
	while (n_rows && s->n_tops + count_tops(sequence, n_rows) > most)
		n_rows--;
	return n_rows;
}

/* Returns true if the step has room for the sequence's biases and bans, or need not carry them. A
 * step without them has room for those of any sequence. */
static bool has_room_for_extra(const struct scheduler *s, const struct sequence *sequence)
{
	return sequence->is_known || s->n_extra + sampling_extra_words(&sequence->sampling) <=
				     step_max_extra(&s->config.limits);
}

/* What the step's answer has to say of the segment. */
static void await_records(struct scheduler *s, struct sequence *sequence,
			  const struct segment *segment)
{
	struct flight *flight = &s->flights[(s->first_flight + s->n_flights) % s->config.window];

	flight->awaited[flight->n_awaited++] = (struct awaited){
		.sequence = sequence,
		.slot = segment->sequence,
		.position = segment->first_position + segment_first_record(segment) + 1,
		.n_records = segment_n_records(segment),
		.n_score_tops = sequence->sampling.n_tops,
		.n_draw_tops = count_draw_tops(sequence),
		.n_done = segment->first_position + segment->n_rows,
		.is_drawn = segment->flags & SEGMENT_SAMPLE,
	};
}

/* The context may have become shorter since the sequence was made. */
static void add_sampling(struct scheduler *s, const struct sequence *sequence,
			 struct segment *segment)
{
	struct sampling sampling = sequence->sampling;

	sampling.min_tokens = (uint32_t)min_of(sampling.min_tokens, s->config.limits.max_context);
	segment->sampling_at = s->n_sampling;
	sampling_write(&sampling, sequence->biases, sequence->bans, s->sampling + s->n_sampling);
	s->n_sampling += sampling_words(&sampling);
	s->n_extra += sampling_extra_words(&sampling);
}

/* The sequence's next token, as a step has it. */
static uint32_t take_token(struct sequence *sequence)
{
	uint32_t token = sequence->tokens[sequence->n_issued++];

	if (sequence->breakers && breakers_has(sequence->breakers, token))
		token |= STEP_TOKEN_BREAKER;
	return token;
}

/* A step names only the blocks that its own rows are the first to be written to. So the size of a
 * step is bounded by its rows, however long a prompt and however large the pools are. */
static void add_blocks(struct scheduler *s, const struct sequence *sequence,
		       struct segment *segment)
{
	segment->first_block = s->n_step_blocks;
	for (uint32_t g = 0; g < n_groups(s); g++) {
		uint32_t at = blocks_for(s, g, segment->first_position);
		uint32_t end = blocks_for(s, g, segment->first_position + segment->n_rows);

		while (at < end)
			s->step_blocks[s->n_step_blocks++] = sequence->tables[g][at++];
	}
	segment->n_blocks = s->n_step_blocks - segment->first_block;
}

static void add_segment(struct scheduler *s, struct sequence *sequence, uint32_t n_rows)
{
	struct segment *segment = &s->segments[s->n_segments++];

	*segment = (struct segment){
		.sequence = sequence->slot,
		.first_position = sequence->n_issued,
		.n_rows = n_rows,
		.n_scored = count_scored(sequence, n_rows),
	};
	if (!sequence->is_known) {
		segment->flags |= SEGMENT_NEW | (sequence->is_long ? SEGMENT_LONG : 0);
		add_sampling(s, sequence, segment);
		sequence->is_known = true;
		if (s->config.on_started)
			s->config.on_started(s->config.arg, sequence);
	}
	add_blocks(s, sequence, segment);
	sequence->last_step = s->n_steps + 1;
	s->n_tops += (uint32_t)count_tops(sequence, n_rows);
	s->load.n_positions += pace_positions(sequence->n_issued, n_rows);
	for (uint32_t i = 0; i < n_rows; i++)
		s->step_tokens[s->load.n_rows++] = take_token(sequence);
	if (sequence->n_issued == sequence->n_tokens)
		segment->flags |= SEGMENT_SAMPLE;
	else if (segment->n_scored)
		segment->next_token = sequence->tokens[sequence->n_issued];
	await_records(s, sequence, segment);
	if (segment->flags & SEGMENT_SAMPLE)
		scheduler_move_to(s, sequence, SEQUENCE_IN_FLIGHT);
}

static void add_decodes(struct scheduler *s)
{
	uint32_t quota = room_decode_rows(s), max_tops = room_decode_tops(s), n = 0;

	/* Preemption may take any sequence off the list, so start from its head each time. */
	while (n < quota && !list_is_empty(&s->decodes)) {
		struct sequence *sequence = list_entry(s->decodes.next, struct sequence, node);

		if (!fit_tops(s, sequence, 1, max_tops))
			return;
		if (!scheduler_grow(s, sequence)) {
			if (sequence->state == SEQUENCE_DECODE)
				return;
			continue;
		}
		add_segment(s, sequence, 1);
		n++;
	}
}

static void add_prompts(struct scheduler *s)
{
	uint32_t n_rows;
	struct sequence *sequence;
	struct room room = room_prompts(s);

	while ((sequence = prompt_queue_first(&s->prompts)) &&
	       (n_rows = room_prompt_rows(s, sequence, &room))) {
		n_rows = fit_tops(s, sequence, n_rows, step_max_tops(&s->config.limits));
		if (!n_rows || !has_room_for_extra(s, sequence))
			return;
		add_segment(s, sequence, n_rows);
		/* Else it has left the queue, and its turn is over. */
		if (sequence->state == SEQUENCE_PROMPT)
			prompt_queue_note_rows(&s->prompts, n_rows);
		room.n_rows -= n_rows;
		room.n_taken += n_rows;
	}
}

bool scheduler_next(struct scheduler *s, uint64_t now_ns, struct step *step_out)
{
	struct flight *flight = &s->flights[(s->first_flight + s->n_flights) % s->config.window];
	uint32_t n_decodes;

	if (s->n_flights == s->config.window)
		return false;
	s->n_segments = s->n_step_blocks = 0;
	s->n_sampling = s->n_extra = s->n_tops = 0;
	s->load = (struct pace_load){ 0 };
	flight->n_awaited = 0;
	scheduler_claim_shares(s);
	add_decodes(s);
	if (!s->n_by_state[SEQUENCE_PROMPT])
		s->chunk = 0;
	scheduler_admit(s);
	n_decodes = s->n_segments;
	add_prompts(s);
	if (!s->load.n_rows)
		return false;
	flight->step_id = ++s->n_steps;
	flight->has_decodes = n_decodes;
	flight->has_prompts = s->n_segments > n_decodes;
	flight->load = s->load;
	flight->sent_ns = now_ns;
	s->n_flights++;
	flight->n_at_once = (uint32_t)min_of(s->n_flights, s->config.n_stages);
	*step_out = (struct step){
		.id = flight->step_id,
		.n_rows = s->load.n_rows,
		.n_segments = s->n_segments,
		.n_blocks = s->n_step_blocks,
		.n_frees = s->n_frees,
		.n_sampling = s->n_sampling,
		.segments = s->segments,
		.sampling = s->sampling,
		.tokens = s->step_tokens,
		.blocks = s->step_blocks,
		.frees = s->frees,
	};
	s->n_frees = 0;
	return true;
}
