/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a request into a queued job, and drawn tokens into its output and end. */
#include "coordinator/coordinator_private.h"
#include "coordinator/job_request.h"
#include "coordinator/prompt.h"
#include "coordinator/texts.h"

#include "base/clock.h"
#include "base/integers.h"
#include "base/log.h"

#include <stdlib.h>

enum sc_status coordinator_find_ends(struct coordinator *c)
{
	uint32_t n = (uint32_t)min_of(tokenizer_n_vocab(c->config.tokenizer), c->limits.n_vocab);
	enum sc_status status = SC_OK;

	for (uint32_t i = 0; status == SC_OK && i < n; i++)
		if (tokenizer_is_end(c->config.tokenizer, i))
			status = token_list_add(&c->ends, i);
	return status;
}

enum sc_status job_check_room(struct coordinator *c, uint64_t client, struct error *err)
{
	if (c->phase != COORDINATOR_READY && c->phase != COORDINATOR_RECOVERING) {
		if (c->phase == COORDINATOR_FAILED)
			return error_set(err, SC_E_UNAVAILABLE, "%s", c->error.text);
		return error_set(err, SC_E_UNAVAILABLE, "the coordinator is %s, not ready",
				 coordinator_phase_name(c->phase));
	}
	if (!jobs_has_place(&c->jobs, client, c->config.max_queue + c->config.max_sequences)) {
		limit_refuse(&c->refused, LIMIT_QUEUE);
		return error_set(err, SC_E_OVERLOADED, "%u jobs are queued or running: retry later",
				 c->jobs.n_active);
	}
	return SC_OK;
}

static enum sc_status check_request(struct coordinator *c, const struct job_request *r,
				    struct error *err)
{
	enum sc_status status = job_check_room(c, r->client, err);

	if (status != SC_OK)
		return status;
	return job_request_check(r, c->limits.n_vocab, &c->refused, err);
}

static enum sc_status check_tokens(struct coordinator *c, const struct job_request *r,
				   const struct token_list *prompt, struct error *err)
{
	for (size_t i = 0; i < prompt->n; i++)
		if (prompt->ids[i] >= c->limits.n_vocab)
			return error_set(err, SC_E_INVALID,
					 "prompt: token %zu: expected an id below %u, found %u", i,
					 c->limits.n_vocab, prompt->ids[i]);
	if (!prompt->n)
		return error_set(err, SC_E_INVALID,
				 "prompt: empty, and this model has no BOS token to start with. "
				 "Give a prompt");
	if (prompt_check_tokens(prompt->n, c->limits.max_context, err) != SC_OK) {
		limit_refuse(&c->refused, LIMIT_CONTEXT);
		return SC_E_TOO_LARGE;
	}
	if (r->score_from && r->score_from >= prompt->n)
		return error_set(err, SC_E_INVALID,
				 "score_from: expected less than the prompt's %zu tokens, "
				 "found %u", prompt->n, r->score_from);
	return SC_OK;
}

static enum sc_status tokenize_prompt(struct coordinator *c, const struct job_request *r,
				      struct token_list *prompt, struct error *err)
{
	enum sc_status status = prompt_tokenize(c->config.tokenizer, c->limits.max_context, r,
						prompt, err);

	if (status == SC_E_TOO_LARGE)
		limit_refuse(&c->refused, LIMIT_CONTEXT);
	return status;
}

static bool has_text(const struct tokenizer *tokenizer, const struct token_list *prompt)
{
	for (size_t i = 0; i < prompt->n; i++)
		if (!tokenizer_is_special(tokenizer, prompt->ids[i]))
			return true;
	return false;
}

/* New tokens for which the context has room. */
static uint32_t room_for(const struct coordinator *c, const struct token_list *prompt)
{
	return c->limits.max_context - (uint32_t)prompt->n;
}

/* The most new tokens per sequence. */
static uint32_t max_tokens_of(const struct coordinator *c, const struct job_request *r,
			      const struct token_list *prompt)
{
	uint32_t room = room_for(c, prompt);

	return r->max_tokens < room ? r->max_tokens : room;
}

/* Tokens of a sequence with its prompt. The one behind the prompt is drawn in any case. */
static uint32_t sequence_room(const struct token_list *prompt, uint32_t max_tokens)
{
	return (uint32_t)prompt->n + (max_tokens ? max_tokens : 1);
}

/* Bytes that make_job allocates, for all sequences. */
static uint64_t job_bytes(const struct coordinator *c, const struct job_request *r,
			  const struct token_list *prompt)
{
	uint64_t max_new = max_tokens_of(c, r, prompt);
	uint64_t max_all = sequence_room(prompt, (uint32_t)max_new);
	uint64_t top_bytes = r->n_top_logprobs * sizeof(struct token_top);
	uint64_t n_bytes = sizeof(struct job_stream) +
			   max_all * sizeof(uint32_t) +
			   sequence_table_bytes(&c->limits, (uint32_t)max_all) +
			   max_new * (sizeof(struct output_token) + OUTPUT_TEXT_BYTES_PER_TOKEN +
				      (r->wants_logprobs ? top_bytes : 0));

	return sizeof(struct job) + n_bytes * (r->n_sequences ? r->n_sequences : 1) +
	       (r->score_from ? (prompt->n - r->score_from) * (sizeof(float) + top_bytes) : 0) +
	       job_sampling_bytes(r) + texts_bytes(r->stops, r->n_stops) +
	       (r->annex ? r->annex->n_bytes : 0);
}

static enum sc_status make_room(struct coordinator *c, uint64_t client, uint64_t n_bytes,
				struct error *err)
{
	uint64_t max_bytes = jobs_max_bytes(&c->jobs, client);
	const double mib = 1 << 20;

	if (jobs_make_room(&c->jobs, client, n_bytes))
		return SC_OK;
	limit_refuse(&c->refused, LIMIT_JOB_MEMORY);
	if (n_bytes > max_bytes)
		return error_set(err, SC_E_TOO_LARGE,
				 "the job may need %.1f MiB for its tokens, but the jobs of one "
				 "client get %.1f MiB: ask for fewer sequences or tokens",
				 (double)n_bytes / mib, (double)max_bytes / mib);
	return error_set(err, SC_E_OVERLOADED,
			 "%u jobs are queued or running and may need %.1f of %.1f MiB. Retry later",
			 c->jobs.n_active, (double)c->jobs.n_active_bytes / mib,
			 (double)c->jobs.max_bytes / mib);
}

/* When the output ends, and what its text shows. */
static void set_up_ends(struct output_writer *writer, const struct job *job,
			const struct job_request *r)
{
	writer->stream.with_special = r->special == SPECIAL_NAMES;
	writer->marks_special = r->special == SPECIAL_MARKED;
	writer->ignore_end = job->ignore_end;
	writer->min_tokens = job->sampling.fixed.min_tokens;
	writer->stop_tokens = job->stop_tokens;
	writer->n_stop_tokens = job->n_stop_tokens;
	writer->stops = (const char *const *)job->stops;
	writer->n_stops = job->n_stops;
	writer->scan.hidden_open = job->hidden_open;
	writer->scan.hidden_close = job->hidden_close;
	writer->scan.is_hidden = r->starts_hidden;
}

/* LongRoPE: which rope factors a sequence has follows from how long it may become, so that it has
 * the same ones from its first position on, also when it starts over. */
static bool is_long(const struct coordinator *c, const struct token_list *prompt,
		    uint32_t max_tokens)
{
	uint32_t long_from = c->config.model->hparams.long_from;

	return long_from && (uint64_t)prompt->n + max_tokens > long_from;
}

static enum sc_status set_up_stream(struct coordinator *c, struct job *job, uint32_t i,
				    const struct job_request *r, const struct token_list *prompt)
{
	struct job_stream *stream = &job->streams[i];
	uint32_t max_tokens = max_tokens_of(c, r, prompt);
	enum sc_status status;

	status = sequence_init(&stream->sequence, prompt->ids, (uint32_t)prompt->n,
			       sequence_room(prompt, max_tokens), &c->limits);
	if (status != SC_OK)
		return status;
	stream->sequence.is_long = is_long(c, prompt, max_tokens);
	stream->sequence.job = job;
	stream->sequence.share = &job->share;
	stream->sequence.index = i;
	job_sampling_lend(&job->sampling, i, &stream->sequence);
	status = output_writer_init(&stream->writer, c->config.tokenizer,
				    !has_text(c->config.tokenizer, prompt), max_tokens);
	if (status == SC_OK && r->wants_logprobs)
		status = output_writer_keep_logprobs(&stream->writer, job->sampling.fixed.n_tops);
	if (r->max_tokens > room_for(c, prompt))
		stream->writer.limit = FINISH_CONTEXT;
	set_up_ends(&stream->writer, job, r);
	return status;
}

/* All outputs have the same prompt, so only that of the first is scored. */
static enum sc_status set_up_scores(struct job *job, uint32_t score_from)
{
	struct sequence *sequence = &job->streams[0].sequence;

	if (!score_from)
		return SC_OK;
	job->n_scores = job->n_prompt_tokens - score_from;
	job->n_score_tops = job->sampling.fixed.n_tops;
	job->scores = calloc(job->n_scores, sizeof job->scores[0]);
	if (job->n_score_tops)
		job->score_tops = calloc((size_t)job->n_scores * job->n_score_tops,
					 sizeof job->score_tops[0]);
	if (!job->scores || (job->n_score_tops && !job->score_tops))
		return SC_E_NOMEM;
	sequence->score_from = score_from;
	sequence->scores = job->scores;
	sequence->score_tops = job->score_tops;
	return SC_OK;
}

static const char *warning_of(const struct coordinator *c, const struct token_list *prompt)
{
	const uint32_t bos = tokenizer_bos(c->config.tokenizer);

	if (bos == TOKEN_NONE || prompt->n < 2 || prompt->ids[0] != bos || prompt->ids[1] != bos)
		return NULL;
	return "the prompt begins with two BOS tokens, and models are trained with one: leave one "
	       "out";
}

static enum sc_status set_up_sampling(const struct coordinator *c, struct job *job,
				      const struct job_request *r,
				      const struct token_list *prompt, struct error *err)
{
	const struct job_sampling_context context = {
		.tokenizer = c->config.tokenizer,
		.ends = &c->ends,
		.n_vocab = c->limits.n_vocab,
		.n_prompt = (uint32_t)prompt->n,
		.max_tokens = max_tokens_of(c, r, prompt),
	};

	return job_sampling_init(&job->sampling, r, &context, err);
}

static enum sc_status make_job(struct coordinator *c, const struct job_request *request,
			       const struct token_list *prompt, struct job **job_out,
			       struct error *err)
{
	enum sc_status status;
	struct job *job;

	status = job_create(&c->jobs, request, loop_now_ns(c->config.loop), &job);
	if (status != SC_OK)
		return error_set(err, status, "out of memory for a job");
	job->n_prompt_tokens = (uint32_t)prompt->n;
	job->warning = warning_of(c, prompt);
	status = set_up_sampling(c, job, request, prompt, err);
	if (status != SC_OK) {
		job_destroy(job);
		return status;
	}
	for (uint32_t i = 0; status == SC_OK && i < job->n_streams; i++)
		status = set_up_stream(c, job, i, request, prompt);
	if (status == SC_OK)
		status = set_up_scores(job, request->score_from);
	if (status != SC_OK) {
		job_destroy(job);
		return error_set(err, status, "out of memory for a job");
	}
	*job_out = job;
	return SC_OK;
}

enum sc_status job_submit(struct coordinator *c, const struct job_request *request,
			  struct job **job_out, struct error *err)
{
	struct token_list prompt = { 0 };
	struct job *job = NULL;
	enum sc_status status;
	uint64_t n_bytes = 0;

	status = check_request(c, request, err);
	if (status == SC_OK)
		status = tokenize_prompt(c, request, &prompt, err);
	if (status == SC_OK)
		status = check_tokens(c, request, &prompt, err);
	if (status == SC_OK) {
		n_bytes = job_bytes(c, request, &prompt);
		status = make_room(c, request->client, n_bytes, err);
	}
	if (status == SC_OK)
		status = make_job(c, request, &prompt, &job, err);
	token_list_deinit(&prompt);
	if (status != SC_OK)
		return status;
	job->annex = request->annex;
	jobs_add(&c->jobs, job, n_bytes);
	metrics_note_submitted(&c->metrics, job->n_streams);
	coordinator_add_job(c, job);
	log_debug("%s: %u prompt tokens, %u sequences", job->id, job->n_prompt_tokens,
		  job->n_streams);
	*job_out = job;
	coordinator_arm_deadline(c);
	coordinator_pump(c);
	return SC_OK;
}

enum sc_status job_find(struct coordinator *c, const char *id, struct job **job_out,
			struct error *err)
{
	struct job *job = jobs_find(&c->jobs, id);

	if (!job)
		return error_set(err, SC_E_NOT_FOUND, "no job %.*s", JOB_ID_MAX, id);
	job_hold(job);
	*job_out = job;
	return SC_OK;
}

unsigned job_list(struct coordinator *c, unsigned states, struct job **jobs_out, unsigned max)
{
	unsigned n = 0;

	list_for_each(node, &c->jobs.all) {
		struct job *job = list_entry(node, struct job, node);

		if (n == max)
			break;
		if (states & 1u << job->state)
			jobs_out[n++] = job;
	}
	return n;
}

void coordinator_end_job(struct coordinator *c, struct job *job, enum job_state state,
			 const struct error *err)
{
	enum finish_reason reason = state == JOB_CANCELLED ? FINISH_CANCELLED : FINISH_ERROR;

	for (uint32_t i = 0; i < job->n_streams; i++) {
		coordinator_clear(c, &job->streams[i].sequence);
		if (c->epoch)
			scheduler_remove(c->epoch->scheduler, &job->streams[i].sequence);
		output_writer_finish(&job->streams[i].writer, reason);
		coordinator_measure_end(c, job, i);
		sequence_deinit(&job->streams[i].sequence);	/* the output is stored
								 * separately */
		output_writer_trim(&job->streams[i].writer);
	}
	job_sampling_deinit(&job->sampling);	/* the sequences borrowed it */
	job->n_running = 0;
	if (state == JOB_DONE)
		coordinator_measure_done(c, job);
	log_debug("%s: %s%s%s", job->id, job_state_name(state), err ? ": " : "",
		  err ? err->text : "");
	job_set_state(job, state, err);
}

void job_cancel(struct job *job)
{
	struct coordinator *c;
	struct error err;

	if (job_is_ended(job))
		return;
	c = job->jobs->arg;
	error_set(&err, SC_E_CANCELLED, "cancelled by the client");
	coordinator_end_job(c, job, JOB_CANCELLED, &err);
	wake_send(c->settle_soon);
}

void coordinator_on_started(void *arg, struct sequence *sequence)
{
	struct coordinator *c = arg;
	struct job *job = sequence->job;

	if (job)
		coordinator_measure_start(c, sequence);
	if (!job || job->state != JOB_QUEUED)	/* the probe; another of its sequences, or again */
		return;
	c->prompt_tokens += job->n_prompt_tokens;
	job_set_state(job, JOB_RUNNING, NULL);
}

bool coordinator_take_token(struct coordinator *c, struct sequence *sequence,
			    const struct token_record *record, const struct token_top *tops)
{
	struct job *job = sequence->job;
	struct output_writer *writer = &job->streams[sequence->index].writer;
	struct error err;

	if (output_writer_add(writer, record->token, record->logprob, tops) != SC_OK) {
		error_set(&err, SC_E_NOMEM, "out of memory for the output");
		coordinator_end_job(c, job, JOB_FAILED, &err);
		return false;
	}
	coordinator_clear(c, sequence);
	c->generated_tokens += writer->max_tokens > 0;
	if (!job->times.first_token_ms)
		job->times.first_token_ms = clock_unix_ms();
	job_touch(job);
	if (writer->output.finish == FINISH_NONE) {
		if (coordinator_has_room(c, sequence, &err))
			return true;
		coordinator_end_job(c, job, JOB_FAILED, &err);
		return false;
	}
	coordinator_measure_end(c, job, sequence->index);
	if (!--job->n_running)
		coordinator_end_job(c, job, JOB_DONE, NULL);
	return false;
}
