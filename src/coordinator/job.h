/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_JOB_H
#define STAGECOACH_COORDINATOR_JOB_H
/*
 * job - what a client asked for: one prompt, one or more sequences of tokens that continue it.
 * A job keeps all its output, so that any number of watchers read it at their own pace, each from
 * its own place, also after the end; a slow watcher holds nobody up and costs no memory.
 * The coordinator owns jobs. Finished ones are kept until they are pushed out by newer ones, and
 * at least as long as someone watches them.
 * Thread: the loop's thread alone.
 */
#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct coordinator;
struct job;

/* Legal transitions: queued -> running -> done; cancelled and failed from queued and running. */
enum job_state {
	JOB_QUEUED,		/* on the coordinator's waiting list */
	JOB_RUNNING,		/* has rows in steps, or waits for its turn among those that have */
	JOB_DONE,
	JOB_CANCELLED,		/* by the client, or its deadline passed */
	JOB_FAILED,
	JOB_N_STATES,
};

enum finish_reason {
	FINISH_NONE,		/* not yet */
	FINISH_STOP,		/* an end token or a stop string */
	FINISH_LENGTH,		/* max_tokens, or the context is full */
	FINISH_CANCELLED,
	FINISH_ERROR,
};

#define JOB_ID_MAX 32
#define JOB_MAX_SEQUENCES 64
#define JOB_MAX_STOPS 16
#define JOB_MAX_STOP_BYTES 256

struct job_request {
	uint64_t client;		/* whose job it is: the jobs of a client share its turns.
					 * 0: this process itself */
	const char *prompt;		/* text, or NULL when tokens are given; any bytes */
	size_t prompt_bytes;
	const uint32_t *prompt_tokens;	/* taken as they are: nothing is added */
	size_t n_prompt_tokens;
	bool parse_special;		/* control tokens written out in the prompt count */
	uint32_t n_sequences;		/* 0 means 1 */
	uint32_t max_tokens;		/* per sequence; 0: until the context is full */
	bool ignore_end;		/* go on after an end token */
	uint32_t score_from;		/* also score the prompt's tokens from this one; 0: none */
	float temperature;		/* 0: greedy */
	uint32_t top_k;			/* 0: off */
	float top_p;			/* 1: off */
	float min_p;			/* 0: off */
	bool wants_logprobs;		/* of the tokens that are generated */
	uint64_t seed;
	const char *const *stops;	/* NUL-terminated; output ends before the first in it */
	uint32_t n_stops;
	uint64_t deadline_ms;		/* from now; 0: none */
	bool is_attached;		/* cancelled when its last watcher leaves */
};

/* One generated token; text_end: bytes of the output's text that are final after it. Never changes,
 * so text that appears with the output's end may lie behind the last token's. */
struct output_token {
	uint32_t id;
	float logprob;		/* 0 unless the output has them */
	uint32_t text_end;
};

/* What one sequence has produced so far. Grows only at its ends. */
struct output {
	const struct output_token *tokens;	/* [n_tokens]; moves when it grows */
	uint32_t n_tokens;
	bool has_logprobs;			/* the request wanted them */
	struct buf text;			/* valid UTF-8, never part of a character */
	enum finish_reason finish;
};

/* Before anything is spent on a request: would the client's next job be taken? SC_E_OVERLOADED,
 * SC_E_UNAVAILABLE. */
must_check enum sc_status job_check_room(struct coordinator *coordinator, uint64_t client,
					 struct error *err);

/* Tokenizes, checks and queues. A long text takes long: use prompt_tokenize (coordinator/prompt.h)
 * on another thread first, and give the tokens here. The job comes back held, see job_release.
 * SC_E_INVALID: err names the field. SC_E_TOO_LARGE: the prompt leaves no room in the context, or
 * the job is larger than the memory for all jobs. SC_E_OVERLOADED: the queue or that memory is
 * full. SC_E_UNAVAILABLE: loading, draining or a stage is lost. */
must_check enum sc_status job_submit(struct coordinator *coordinator,
				     const struct job_request *request, struct job **job_out,
				     struct error *err);

/* Held; SC_E_NOT_FOUND. */
must_check enum sc_status job_find(struct coordinator *coordinator, const char *id,
				   struct job **job_out, struct error *err);

/* Those whose state's bit (1 << state) is in states; newest first, borrowed until the next call
 * into the coordinator: n <= max are written. */
unsigned job_list(struct coordinator *coordinator, unsigned states, struct job **jobs_out,
		  unsigned max);

/* A held job stays in memory; it may still change. */
void job_hold(struct job *job);
void job_release(struct job *job);

/* No effect on a job that has ended. */
void job_cancel(struct job *job);

/* on_change comes from the loop after something changed: tokens, state, or both; several changes
 * may become one call. A watcher holds the job. unwatch may be called inside on_change. */
struct job_watcher {
	struct list node;
	void (*on_change)(void *arg, struct job *job);
	void *arg;
};
void job_watch(struct job *job, struct job_watcher *watcher);
void job_unwatch(struct job *job, struct job_watcher *watcher);

const char *job_id(const struct job *job);
enum job_state job_state(const struct job *job);
bool job_is_ended(const struct job *job);
const char *job_state_name(enum job_state state);
const struct error *job_error(const struct job *job);	/* SC_OK unless cancelled or failed */
uint32_t job_n_prompt_tokens(const struct job *job);
/* Natural logarithms of the probabilities that the model gives prompt tokens score_from .. behind
 * those before them: [*n_out], all there once the first output has a token or has ended well.
 * Borrowed as long as the job is held. */
const float *job_prompt_scores(const struct job *job, uint32_t *n_out);
uint64_t job_seed(const struct job *job);	/* of the request: repeats the job's output */
uint32_t job_n_outputs(const struct job *job);
const struct output *job_output(const struct job *job, uint32_t i);

/* Unix time in milliseconds; 0: not yet. */
struct job_times {
	uint64_t submitted_ms;
	uint64_t started_ms;
	uint64_t first_token_ms;
	uint64_t ended_ms;
};
struct job_times job_times(const struct job *job);

#endif
