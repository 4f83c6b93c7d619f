/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_METRICS_H
#define STAGECOACH_COORDINATOR_METRICS_H
/*
 * metrics - counters and histograms of all jobs, whatever door they came through.
 * They are observed where sequences and steps change state. Every sequence counts as one request,
 * as in vLLM, whose names, units and bucket bounds these are: a job with n = 4 counts as four.
 * Nothing is ever reset. Observing allocates nothing; the time is the caller's.
 * Thread: the loop's.
 */
#include "coordinator/histogram.h"
#include "coordinator/job.h"

#include <stdbool.h>
#include <stdint.h>

enum metric {
	/* seconds */
	METRIC_FIRST_TOKEN,	/* from submission to the first token */
	METRIC_INTER_TOKEN,	/* from one token of a sequence to the next */
	/* seconds, of each sequence that ended by itself */
	METRIC_TIME_PER_TOKEN,	/* mean of the gaps between its tokens */
	METRIC_LATENCY,		/* from submission to the end */
	METRIC_QUEUE,		/* from submission to its first row in a step */
	METRIC_PREFILL,		/* from there to its first token */
	METRIC_DECODE,		/* from there to its last token */
	METRIC_INFERENCE,	/* prefill and decode */
	/* tokens, of each sequence that ended by itself */
	METRIC_PROMPT_TOKENS,
	METRIC_COMPUTED_TOKENS,	/* of the prompt, without those that were cached */
	METRIC_OUTPUT_TOKENS,	/* drawn, the end token included */
	METRIC_MAX_TOKENS,	/* that it might have had */
	/* of each job that is done */
	METRIC_MOST_TOKENS,	/* of its longest sequence */
	METRIC_N,		/* number of its sequences */
	/* of each answered step */
	METRIC_STEP_ROWS,
	N_METRICS,
};

enum { METRIC_N_FINISHES = FINISH_ERROR + 1 };

struct metrics {
	struct histogram histograms[N_METRICS];
	uint64_t prompt_tokens;		/* of all sequences that have drawn a token */
	uint64_t output_tokens;
	uint64_t by_finish[METRIC_N_FINISHES];	/* sequences that have ended */
	uint64_t n_submitted;		/* sequences */
	uint64_t n_ended;
	uint64_t n_steps;
	uint64_t most_positions;	/* tokens of the longest sequence that ended by itself,
					 * prompt included */
};

/* What is measured of one sequence. All zeros at its submission. */
struct metrics_times {
	uint64_t started_ns;	/* its first row was in a step; 0: none yet */
	uint64_t first_ns;	/* the first and the last token; 0: none yet */
	uint64_t last_ns;
	uint32_t n_tokens;	/* of its output, the end token included */
	bool has_ended;
};

/* What a sequence was submitted with. */
struct metrics_request {
	uint64_t submitted_ns;
	uint32_t n_prompt;
	uint32_t max_tokens;	/* 0: only its prompt counts; the token behind it is no output */
};

/* max_context: the most positions of a sequence, for the bounds of buckets. */
void metrics_init(struct metrics *metrics, uint32_t max_context);

void metrics_note_submitted(struct metrics *metrics, uint32_t n_sequences);
/* The sequence has rows in a step. Only the first time counts. */
void metrics_note_started(struct metrics_times *times, uint64_t now_ns);
/* A token was drawn. */
void metrics_note_token(struct metrics *metrics, struct metrics_times *times,
			const struct metrics_request *request, uint64_t now_ns);
/* The sequence is over. Only the first time counts. */
void metrics_note_end(struct metrics *metrics, struct metrics_times *times,
		      const struct metrics_request *request, enum finish_reason reason,
		      uint64_t now_ns);
/* A job is done. */
void metrics_note_done(struct metrics *metrics, uint32_t n_sequences, uint32_t most_tokens);
/* A step of n_rows was answered. */
void metrics_note_step(struct metrics *metrics, uint64_t n_rows);

#endif
