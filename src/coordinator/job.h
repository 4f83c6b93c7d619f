/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_JOB_H
#define STAGECOACH_COORDINATOR_JOB_H
/*
 * job - what a client asked for: a prompt, and one or more sequences of tokens that continue it.
 * A job keeps all its output. Any number of watchers read the output at their own pace, each from
 * its own place, also after the job's end. A slow watcher delays nobody and costs no memory.
 * Ownership: the coordinator owns jobs. It keeps ended jobs until newer ones replace them, and at
 * least as long as someone watches them.
 * Thread: the loop's thread only. Nothing blocks.
 */
#include "base/buf.h"
#include "base/error.h"
#include "base/list.h"
#include "wire/step.h"

#include <stdbool.h>
#include <stdint.h>

struct coordinator;
struct job;

/* Legal transitions: queued -> running -> done; cancelled and failed from queued and running. */
enum job_state {
	JOB_QUEUED,		/* waiting: no row was in a step yet */
	JOB_RUNNING,		/* has had rows in steps */
	JOB_DONE,
	JOB_CANCELLED,		/* by the client, or at its deadline */
	JOB_FAILED,
	JOB_N_STATES,
};

enum finish_reason {
	FINISH_NONE,		/* not yet */
	FINISH_STOP,		/* output.stop says which token or string */
	FINISH_LENGTH,		/* max_tokens */
	FINISH_CONTEXT,		/* the context is full */
	FINISH_CANCELLED,
	FINISH_ERROR,
};

#define JOB_ID_MAX 32
#define JOB_UNLIMITED UINT32_MAX
#define JOB_MAX_SEQUENCES 64
#define JOB_MAX_STOPS 16
#define JOB_MAX_STOP_BYTES 256	/* also of a DRY breaker, and of hidden_open and hidden_close */
#define JOB_MAX_STOP_TOKENS 64
#define JOB_MAX_BIASES STEP_MAX_BIASES
#define JOB_MAX_TOP_LOGPROBS STEP_MAX_TOPS_EACH
#define JOB_MAX_SAMPLERS (N_SAMPLERS - 1)
#define JOB_MAX_DRY_BREAKERS 16

struct token_bias {
	uint32_t token;
	float bias;		/* -INFINITY: the token is never drawn */
};

/* What generated control tokens print. */
enum special_text {
	SPECIAL_HIDDEN,		/* nothing */
	SPECIAL_NAMES,		/* their names */
	SPECIAL_MARKED,		/* their names, whole, between the bytes SPECIAL_BEGIN and
				 * SPECIAL_END, which no UTF-8 contains */
};

#define SPECIAL_BEGIN '\xff'
#define SPECIAL_END '\xfe'

/* What a door keeps with a job, to read its output by; the first member of a struct of the door's
 * own. It is destroyed with the job. */
struct job_annex {
	size_t n_bytes;		/* memory, counted as the job's */
	void (*destroy)(struct job_annex *annex);
};

struct job_request {
	uint64_t client;		/* the client: jobs of one client share
					 * its turns. 0: this process itself */
	const char *prompt;		/* text of any bytes, or NULL if tokens are given */
	size_t prompt_bytes;
	const uint32_t *prompt_tokens;	/* used unchanged; nothing is added */
	size_t n_prompt_tokens;
	bool parse_special;		/* control tokens written in the prompt become tokens */
	uint32_t n_sequences;		/* 0 means 1 */
	uint32_t max_tokens;		/* per sequence; JOB_UNLIMITED: until the context is full.
					 * 0: none, but the prompt is read */
	bool ignore_end;		/* continue after an end token */
	uint32_t score_from;		/* score the prompt's tokens from this index on; 0: none */
	/* How tokens are drawn. What a filter keeps and in which order they run: stage/sampler.h. */
	float temperature;		/* 0: greedy */
	uint32_t top_k;			/* 0: off */
	float top_p;			/* 1: off */
	float min_p;			/* 0: off */
	float typical_p;		/* 0 or 1: off */
	float top_n_sigma;		/* 0: off */
	float xtc_probability;		/* 0: off */
	float xtc_threshold;		/* above 0.5: off */
	float dynatemp_range;		/* 0: off */
	float dynatemp_exponent;	/* 0 or more */
	/* Penalties. repetition: tokens of prompt and output; divides positive logits, multiplies
	 * negative ones. presence and frequency: tokens of the output; subtracted once, or once per
	 * occurrence. Of the last penalty_last_n tokens only, if that is not 0. */
	float repetition_penalty;	/* 0 or 1: off */
	float presence_penalty;		/* 0: off */
	float frequency_penalty;	/* 0: off */
	uint32_t penalty_last_n;	/* 0: all tokens */
	float dry_multiplier;		/* 0: off */
	float dry_base;			/* 1 or more, with a multiplier */
	uint32_t dry_allowed_length;
	uint32_t dry_last_n;		/* 0: all tokens */
	const char *const *dry_breakers;	/* a token whose text contains one of these ends a
						 * repetition */
	uint32_t n_dry_breakers;
	const struct token_bias *biases;	/* added to the logits before everything else */
	uint32_t n_biases;
	uint8_t samplers[JOB_MAX_SAMPLERS];	/* enum sampler_kind, in their order, each at most
						 * once; what is missing is off */
	uint32_t n_samplers;		/* 0: the default order */
	uint64_t seed;
	/* When a sequence ends, and what is told of it. */
	uint32_t min_tokens;		/* no end token and no stop token is drawn, and no stop
					 * string looked for, before so many; at most max_tokens */
	const uint32_t *stop_tokens;	/* output ends at the first of these, like at an end token */
	uint32_t n_stop_tokens;
	bool wants_logprobs;		/* log-probabilities of generated tokens */
	uint32_t n_top_logprobs;	/* the likeliest tokens, too: of generated tokens with
					 * wants_logprobs, of prompt tokens with score_from */
	enum special_text special;	/* what generated control tokens print */
	/* Stop strings are not looked for in these texts and between them, because the client does
	 * not see what is there. Names of control tokens match as they do in stops. NULL: nowhere.
	 * starts_hidden: the prompt ended after hidden_open. */
	const char *hidden_open;
	const char *hidden_close;
	bool starts_hidden;
	const char *const *stops;	/* NUL-terminated; output ends before the first match. The
					 * name of a control token matches even if unprinted */
	uint32_t n_stops;
	uint64_t deadline_ms;		/* counted from now; 0: none */
	bool is_attached;		/* cancelled when its last watcher leaves */
	struct job_annex *annex;	/* the job takes it on SC_OK; NULL: none */
};

/* One generated token. text_end: number of bytes of the output's text that are final after this
 * token; it never changes. Text that appears at the output's end may therefore lie beyond the last
 * token's text_end. */
struct output_token {
	uint32_t id;
	float logprob;		/* 0 unless the output has them */
	uint32_t text_end;
};

/* Why an output with FINISH_STOP is over. */
enum stop_cause {
	STOP_NONE,		/* it is not */
	STOP_END,		/* one of the model's end tokens */
	STOP_TOKEN,		/* one of the request's stop tokens, which is no end token */
	STOP_STRING,
};

/* The output of one sequence so far. Arrays and text only grow at their ends. */
struct output {
	const struct output_token *tokens;	/* [n_tokens]; moves when it grows */
	uint32_t n_tokens;
	bool has_logprobs;			/* the request wanted them */
	/* [n_tokens][n_tops] the likeliest tokens in each token's place, best first, with their
	 * log-probabilities; moves when it grows. NULL if n_tops is 0. */
	const struct token_top *tops;
	uint32_t n_tops;
	struct buf text;			/* valid UTF-8, never part of a character; with
						 * SPECIAL_MARKED also the two marks */
	enum finish_reason finish;
	enum stop_cause stop_cause;
	uint32_t stop;				/* the token, or the index of the stop string */
};

/* llama.cpp's defaults, because people's prompts are tuned for them: a request without prompt,
 * client and seed. */
struct job_request job_request_default(void);
/* 32 random bits, because people read a seed from a screen and type it again. */
uint64_t job_random_seed(void);

/* Reads llama.cpp's names of samplers ("penalties;dry;top_k;temperature"), in which commas and
 * spaces may stand for semicolons, and dashes for underscores. SC_E_INVALID: err names the one that
 * is unknown or too many. */
must_check enum sc_status job_samplers_read(const char *names,
					    uint8_t samplers_out[JOB_MAX_SAMPLERS],
					    uint32_t *n_out, struct error *err);
/* The same for a sequence of letters, as in llama.cpp's --sampler-seq: "edskypmxt". */
must_check enum sc_status job_samplers_read_letters(const char *letters,
						    uint8_t samplers_out[JOB_MAX_SAMPLERS],
						    uint32_t *n_out, struct error *err);

/* The usual name of a sampler (enum sampler_kind), static. */
const char *job_sampler_name(uint8_t kind);

/* Checks whether the client's next job would be accepted, before any work is spent on the request.
 * SC_E_OVERLOADED, SC_E_UNAVAILABLE. */
must_check enum sc_status job_check_room(struct coordinator *coordinator, uint64_t client,
					 struct error *err);

/* Tokenizes the prompt, checks the request and queues the job. Tokenizing a long text takes long:
 * call prompt_tokenize (coordinator/prompt.h) on another thread first and pass the tokens. *job_out
 * is held for the caller, who calls job_release.
 * SC_E_INVALID: err names the field. SC_E_TOO_LARGE: the prompt leaves no room in the context, or
 * the job exceeds the memory for all jobs. SC_E_OVERLOADED: the queue or this memory is full.
 * SC_E_UNAVAILABLE: loading, draining or a stage is lost. */
must_check enum sc_status job_submit(struct coordinator *coordinator,
				     const struct job_request *request, struct job **job_out,
				     struct error *err);

/* Finds a job by its id. *job_out is held for the caller. SC_E_NOT_FOUND. */
must_check enum sc_status job_find(struct coordinator *coordinator, const char *id,
				   struct job **job_out, struct error *err);

/* Lists jobs whose state's bit (1 << state) is in states, newest first. Writes n <= max jobs and
 * returns n. They are borrowed until the next call of the coordinator. */
unsigned job_list(struct coordinator *coordinator, unsigned states, struct job **jobs_out,
		  unsigned max);

/* Holding a job keeps it in memory. A held job may still change. */
void job_hold(struct job *job);
void job_release(struct job *job);

/* Cancels a job. Does nothing if the job has ended. */
void job_cancel(struct job *job);

/* on_change is called from the loop after the job's tokens, state or recovery changed. Several
 * changes may lead to a single call. A watcher holds the job. job_unwatch may be called inside
 * on_change. */
struct job_watcher {
	struct list node;
	void (*on_change)(void *arg, struct job *job);
	void *arg;
};
void job_watch(struct job *job, struct job_watcher *watcher);
void job_unwatch(struct job *job, struct job_watcher *watcher);

/* Stages that were lost while the job was active. It goes on with the same tokens, later. A watcher
 * compares n_losses and n_overcome with what it has told its client, because several changes may
 * lead to a single call of on_change. Losses count from 1. */
struct job_recovery {
	uint32_t n_losses;
	uint32_t n_overcome;	/* the job has gone on after so many of them */
	bool is_under_way;	/* the job waits until its sequences can go on */
	const char *reason;	/* of the last loss: which stage was lost, and why; "" without one.
				 * Borrowed until the next turn of the loop */
	uint32_t lost_epoch;	/* the epoch that ended at the last loss; 0 without one */
	uint32_t epoch;		/* in which the job last went on; 0: it did not have to */
	uint64_t waited_ns;	/* how long it had waited then */
};
struct job_recovery job_recovery(const struct job *job);

const char *job_id(const struct job *job);
/* Whose it is: as job_request.client. */
uint64_t job_client_id(const struct job *job);
enum job_state job_state(const struct job *job);
bool job_is_ended(const struct job *job);
const char *job_state_name(enum job_state state);
const struct error *job_error(const struct job *job);	/* status SC_OK unless
							 * cancelled or failed */
uint32_t job_n_prompt_tokens(const struct job *job);
/* Prompt tokens computed so far, summed over all sequences: each computes the whole prompt. A
 * preempted sequence starts over, so the number may fall. */
uint64_t job_prompt_done(const struct job *job);
/* What the client should know about its request; NULL: nothing. */
const char *job_warning(const struct job *job);
/* Natural logarithms of the model's probabilities for prompt tokens score_from and later, each
 * given the tokens before it: [*n_out]. Complete once the first output has a token or has ended
 * well. Borrowed while the job is held. */
const float *job_prompt_scores(const struct job *job, uint32_t *n_out);
/* The likeliest tokens in the places of job_prompt_scores, best first: [n_scores][*n_tops_out]. NULL
 * if *n_tops_out is 0. Complete and borrowed as those. */
const struct token_top *job_prompt_tops(const struct job *job, uint32_t *n_tops_out);
/* The request's stop string of this index, for output.stop. Borrowed while the job is held. */
const char *job_stop_string(const struct job *job, uint32_t i);
/* The request's annex, or NULL. Borrowed while the job is held. */
const struct job_annex *job_annex(const struct job *job);
uint64_t job_seed(const struct job *job);	/* the request's seed: repeats the job's output */
uint32_t job_n_outputs(const struct job *job);
const struct output *job_output(const struct job *job, uint32_t i);

/* Unix times in milliseconds. 0: not reached yet. */
struct job_times {
	uint64_t submitted_ms;
	uint64_t started_ms;
	uint64_t first_token_ms;
	uint64_t ended_ms;
};
struct job_times job_times(const struct job *job);

#endif
