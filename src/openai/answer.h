/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_OPENAI_ANSWER_H
#define STAGECOACH_OPENAI_ANSWER_H
/*
 * answer - the answer to a request for completions: the jobs of its prompts, and the choices that
 * their outputs become, told as one object (answer_whole.c) or as a stream (answer_stream.c).
 * What a choice looks like is the dialect's: of completions, or of chat.
 * Ownership: an answer is the state of its call. It holds the jobs; with the answer go the jobs
 * that still run, because they are attached.
 * Thread: the loop's. Jobs that have ended never change, so a long answer is written on a helper
 * thread.
 */
#include "engine/engine.h"
#include "event/errand.h"
#include "openai/api_error.h"
#include "openai/generation.h"
#include "openai/json_writer.h"
#include "openai/openai.h"
#include "openai/usage.h"

struct answer;
struct chat_message;
struct chat_parser;

/* One output of a job, as the answer tells it. */
struct choice {
	struct answer *answer;
	const struct job *job;
	const struct output *output;
	uint32_t prompt;		/* number of the job */
	uint32_t index;			/* in the answer */
	/* Of streams: */
	uint32_t n_told;		/* tokens */
	size_t n_bytes_told;		/* of the output's text */
	size_t n_chars_told;		/* code points of the answer's text */
	bool has_begun;
	bool has_ended;
	/* Of chat: */
	struct chat_parser *parser;
	struct chat_message *message;
	uint32_t n_scored;		/* tokens whose log-probabilities were told */
};

/* How the choices of an endpoint look. Functions add events to the stream with answer_event_open
 * and answer_event_close, or write an object. */
struct dialect {
	const char *id_prefix;
	const char *object;		/* of a whole answer */
	const char *chunk_object;	/* of a stream's events */
	/* What a choice is while nothing is told, as members: "\"text\":\"\"". */
	const char *nothing;
	/* Frees what the functions below added to the choice. NULL: nothing. */
	void (*deinit)(struct choice *choice);
	/* Events of a stream. begin returns SC_AGAIN while it cannot be told yet. */
	enum sc_status (*begin)(struct choice *choice);
	enum sc_status (*token)(struct choice *choice);	/* the next one */
	/* What comes behind the last token, and the finish reason. */
	enum sc_status (*end)(struct choice *choice);
	/* The object of a whole answer, in answer->writer. Thread: any. */
	enum sc_status (*whole)(struct choice *choice);
	void (*free_body)(void *body);
};

struct answer_job {
	struct answer *answer;
	struct job *job;		/* held */
	struct job_watcher watcher;
};

enum answer_end {
	ANSWER_CHOICES,		/* choices are being told */
	ANSWER_USAGE,
	ANSWER_DONE,		/* "[DONE]" is next */
	ANSWER_OVER,
};

struct answer {
	struct errand errand;		/* writes a long answer */
	bool is_writing;		/* the errand is under way */
	bool is_told;			/* as a whole */
	struct http_call *call;
	struct openai *openai;		/* borrowed */
	const struct dialect *dialect;
	const struct generation *generation;	/* in body */
	void *body;			/* owned; completion_body or chat_body */
	uint64_t created;
	char id[JOB_ID_MAX + 16];

	struct answer_job *jobs;	/* [n_jobs] */
	uint32_t n_jobs;
	struct choice *choices;		/* [n_choices], prompt by prompt */
	uint32_t n_choices;

	struct buf text;		/* a whole answer; or the events to send */
	struct json_writer writer;	/* to text */
	struct api_error error;

	/* Of streams: */
	struct buf head;		/* what all events begin with */
	enum answer_end end;
	uint32_t turn;			/* the choice that tells next */
	struct timer *ping;		/* NULL: none */
	struct timer *progress;		/* NULL: none */
	uint64_t sent_ns;		/* when something was sent last */
	bool is_ping_due;
	bool has_pinged;		/* since the last event */
	bool is_progress_due;
};

/* Submits the jobs and keeps the answer in the call. requests: [n_jobs], read now. Takes body, also
 * on failure: generation is a part of it. Failures are in error. */
must_check enum sc_status answer_start(struct http_call *call, const struct dialect *dialect,
				       void *body, const struct generation *generation,
				       const struct job_request *requests, uint32_t n_jobs,
				       struct api_error *error);

/* For http_call_ops. */
void answer_pull(struct http_call *call);
void answer_close(struct http_call *call);

/* --- for the files of answer --- */

/* answer.c: the first job that failed; NULL: none did. */
const struct error *answer_failure(const struct answer *answer);
struct usage answer_usage(const struct answer *answer);
void answer_destroy(struct answer *answer);

/* answer_whole.c: answers when all jobs have ended. */
void answer_whole_changed(struct answer *answer);

/* answer_stream.c */
must_check enum sc_status answer_stream_open(struct answer *answer);
void answer_stream_pull(struct answer *answer);
void answer_stream_close(struct answer *answer);

/* --- for dialects --- */

/* An event with one choice, in answer->text: open writes everything up to the choice's index; then
 * the dialect writes members of the choice with answer->writer; close writes the rest.
 * is_last: of the choice; timings may be added. */
void answer_event_open(struct choice *choice);
enum sc_status answer_event_close(struct choice *choice, bool is_last);

/* "stop", "length"; calls: the choice called tools. */
const char *answer_finish_reason(const struct choice *choice, bool has_calls);
/* Members "finish_reason" and, with one, vLLM's "stop_reason": the stop string or the stop token,
 * or null. */
void answer_put_finish(struct json_writer *writer, const struct choice *choice,
		       const char *reason);

#endif
