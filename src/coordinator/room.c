/* SPDX-License-Identifier: Apache-2.0 */
/* How many rows the next step takes: of decoding sequences, and of prompts. */
#include "coordinator/scheduler_private.h"

#include "base/integers.h"

#include <math.h>

/* Rows that every step must still have before decoding is spread over more of them than stages. */
enum { GROUP_ROWS = 5 };

/* What a step costs beside its prompt rows, in rows, and the least that is worth a step: chosen by
 * trying, with the CPU backend (bench/RESULTS.md, "Two stages of one thread"). */
enum { STEP_ROWS = 4, MIN_CHUNK = 32 };

/* Beside decoding sequences: prompt rows of a step at least, and the shortest gap between their
 * tokens that is chosen by itself. Nobody reads faster than a hundred tokens a second. */
enum { MIN_PROMPT_ROWS = 8 };
#define MIN_GAP_NS 10e6

/* With more prompts than these the gap that is chosen by itself does not grow further. */
enum { MAX_GAP_PROMPTS = 16 };

static uint32_t count_decoding(const struct scheduler *s)
{
	return s->n_by_state[SEQUENCE_DECODE] + s->n_by_state[SEQUENCE_IN_FLIGHT];
}

/* Prompts run, or start with the next step. */
static bool has_prompts(const struct scheduler *s)
{
	return s->n_by_state[SEQUENCE_PROMPT] || scheduler_find_startable(s);
}

/* Sequences decode beside prompts: the time between their tokens is bounded. */
static bool is_paced(const struct scheduler *s)
{
	return s->pace.n_seen && count_decoding(s) && has_prompts(s);
}

/* The steps that decoding sequences are spread over. */
static uint32_t count_groups(const struct scheduler *s, uint32_t n_decoding)
{
	uint32_t most = s->config.n_stages == 1 ? 1 : s->config.window;
	uint32_t n = n_decoding / GROUP_ROWS;

	return (uint32_t)min_of(max_of(n, s->config.n_stages), most);
}

/* How many decoding sequences the next step takes: an equal part for each group, give or take one.
 * Decoding sequences of one group may be out of phase (they started at different times). Without
 * prompts they wait until the whole group can run in one step, because a decode-only step reads all
 * weights however few rows it has. When prompt rows run anyway, an extra decode row costs little,
 * so sequences do not wait. */
static uint32_t group_rows(const struct scheduler *s)
{
	uint32_t n = count_decoding(s);
	uint32_t n_groups = count_groups(s, n), n_flights = 0;
	uint64_t turn = s->n_steps % n_groups;
	uint64_t quota = (turn + 1) * n / n_groups - turn * n / n_groups;

	for (uint32_t i = 0; i < s->n_flights; i++)
		n_flights += s->flights[(s->first_flight + i) % s->config.window].has_decodes;
	if (n_flights >= n_groups && !has_prompts(s))
		return 0;
	return quota ? (uint32_t)quota : 1;
}

/* Paced steps take every decoding sequence. But decode rows never fill a step that prompts wait
 * for; steps of one row go to prompts and to decoding sequences by turns. */
uint32_t room_decode_rows(const struct scheduler *s)
{
	uint32_t most = s->config.limits.max_rows;
	uint32_t n_rows = is_paced(s) ? most : group_rows(s);

	/* Steps of decode rows alone must not fill every place in flight, or prompts starve. */
	if (is_paced(s) && s->n_flights >= s->config.n_stages)
		return 0;
	if (has_prompts(s))
		most -= most == 1 ? s->n_steps % 2 : (uint32_t)min_of(MIN_PROMPT_ROWS, most - 1);
	return (uint32_t)min_of(n_rows, most);
}

/* As decode rows do not fill a step that prompts wait for, their likeliest tokens do not fill its
 * answer. */
uint32_t room_decode_tops(const struct scheduler *s)
{
	uint32_t most = STEP_MAX_TOPS - MIN_PROMPT_ROWS * STEP_MAX_TOPS_EACH;

	if (!has_prompts(s))
		most = STEP_MAX_TOPS;
	return (uint32_t)min_of(most, step_max_tops(&s->config.limits));
}

/* While a pipeline fills and drains each further stage idles for one step. So rows in steps of c
 * take as long as rows + (stages - 1) c do, and STEP_ROWS / c of that more: least at
 * c^2 = STEP_ROWS rows / (stages - 1), and for one stage with the largest steps. */
static uint32_t chunk_for(const struct scheduler *s, uint64_t n_rows)
{
	const uint32_t n_further = s->config.n_stages - 1;
	uint32_t chunk = MIN_CHUNK;

	while (chunk < s->config.prompt_chunk &&
	       (uint64_t)chunk * chunk * n_further < n_rows * STEP_ROWS)
		chunk += MIN_CHUNK;
	return (uint32_t)min_of(chunk, s->config.prompt_chunk);
}

/* For the prompts that there are. It never shrinks while there are any: their last rows need no
 * smaller steps than their first. */
static void update_chunk(struct scheduler *s)
{
	uint32_t chunk;

	if (!s->n_by_state[SEQUENCE_PROMPT] || s->chunk == s->config.prompt_chunk)
		return;
	chunk = chunk_for(s, prompt_queue_count_rows(&s->prompts) + s->shares.n_waiting_tokens);
	if (chunk > s->chunk)
		s->chunk = chunk;
}

static uint64_t count_positions(const struct list *sequences)
{
	uint64_t n = 0;

	list_for_each(node, sequences)
		n += list_entry(node, struct sequence, node)->n_tokens;
	return n;
}

/* The time between two tokens of the decoding sequences if there were no prompts. */
static double decode_gap(const struct scheduler *s)
{
	uint32_t n = count_decoding(s);
	uint32_t n_groups = (uint32_t)min_of(n, s->config.n_stages);
	uint64_t n_positions = count_positions(&s->decodes) + count_positions(&s->in_flight);
	const struct pace_load load = {
		.n_rows = (uint32_t)div_up(n, n_groups), .n_positions = n_positions / n_groups,
	};

	return pace_predict(&s->pace, load);
}

/* Chosen by itself the gap is wider while several prompts run. Every step repeats the decode rows,
 * so shorter gaps delay all prompts. With W prompts the sum of what prompts and streams wait is
 * least at a gap in proportion to sqrt(W). The factor is bounded, so that a client with many
 * prompts cannot hold up the streams of others. */
static double max_gap(const struct scheduler *s)
{
	if (s->config.max_gap_ns)
		return (double)s->config.max_gap_ns;
	return fmax(SCHEDULER_GAP_STEPS * decode_gap(s), MIN_GAP_NS) *
	       sqrt((double)min_of(s->n_by_state[SEQUENCE_PROMPT], MAX_GAP_PROMPTS));
}

/* With as many steps in flight as stages each of them takes as long as the gap may be, see
 * note_pace. More steps would only wait for each other. */
struct room room_prompts(struct scheduler *s)
{
	struct room room = { .is_paced = is_paced(s) };

	update_chunk(s);
	room.n_rows = (uint32_t)min_of(s->config.limits.max_rows - s->load.n_rows, s->chunk);
	if (!room.is_paced)
		return room;
	if (s->n_flights >= s->config.n_stages)
		room.n_rows = 0;
	room.gap_ns = max_gap(s);
	return room;
}

static bool has_prompts_in_flight(const struct scheduler *s)
{
	for (uint32_t i = 0; i < s->n_flights; i++)
		if (s->flights[(s->first_flight + i) % s->config.window].has_prompts)
			return true;
	return false;
}

/* However short the time, a step has MIN_PROMPT_ROWS, so that prompts come to their end. Not while
 * another has prompt rows: with several stages that is one without decode rows. */
static uint32_t rows_in_time(const struct scheduler *s, const struct sequence *sequence,
			     const struct room *room)
{
	uint32_t least = has_prompts_in_flight(s) ? 0 : MIN_PROMPT_ROWS;
	uint32_t n = pace_rows_within(&s->pace, s->load, room->gap_ns, sequence->n_issued);

	return (uint32_t)max_of(n, least > room->n_taken ? least - room->n_taken : 0);
}

uint32_t room_prompt_rows(const struct scheduler *s, const struct sequence *sequence,
			  const struct room *room)
{
	uint64_t n_rows = sequence->n_tokens - sequence->n_issued;

	/* Turns may come round within a step, but a sequence has one segment in it. */
	if (sequence->last_step > s->n_steps)
		return 0;
	n_rows = min_of(n_rows, prompt_queue_turn_left(&s->prompts));
	if (room->is_paced)
		n_rows = min_of(n_rows, rows_in_time(s, sequence, room));
	return (uint32_t)min_of(n_rows, room->n_rows);
}
