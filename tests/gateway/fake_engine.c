/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/gateway/fake_engine.h"

#include "base/clock.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CONTEXT 4096
#define N_STAGES 2
#define MAX_BURST 512
#define BOS 256
#define EOS 257

struct engine {
	struct fake_config config;
	struct timer *timer;
	enum coordinator_phase phase;
	struct list jobs;	/* newest first */
	unsigned n_jobs;
	unsigned n_by_state[8];
	uint64_t n_tokens;
	struct limit_counts refused;
	uint64_t last_client;
	unsigned n_epochs;
	unsigned n_losses;
	char last_loss[64];
	struct list waits;	/* for counters, while these are held back */
	bool holds_counters;
	struct metrics metrics;
};

struct job {
	struct list node;
	struct list watchers;
	struct engine *engine;
	char id[JOB_ID_MAX];
	uint64_t client_id;
	unsigned holds;
	enum job_state state;
	struct error error;
	struct job_times times;
	char prompt[16];
	uint32_t n_prompt_tokens;
	uint32_t n_prompt_done;
	uint32_t max_tokens;
	uint32_t n_outputs;
	uint64_t seed;
	struct job_annex *annex;
	uint64_t deadline_ns;
	bool is_attached;
	bool has_changed;
	struct job_recovery recovery;	/* but for the reason */
	uint64_t waiting_ns;
	struct output outputs[JOB_MAX_SEQUENCES];
	struct output_token *tokens[JOB_MAX_SEQUENCES];
};

/* ---- jobs ---- */

static void end_job(struct job *job, enum job_state state, enum finish_reason reason,
		    enum sc_status status, const char *text)
{
	if (job_is_ended(job))
		return;
	job->state = state;
	job->engine->n_by_state[state]++;
	job->times.ended_ms = clock_unix_ms();
	job->has_changed = true;
	job->recovery.is_under_way = false;
	if (status != SC_OK)
		error_set(&job->error, status, "%s", text);
	for (uint32_t i = 0; i < job->n_outputs; i++)
		if (job->outputs[i].finish == FINISH_NONE)
			job->outputs[i].finish = reason;
}

static void add_token(struct job *job, uint32_t sequence)
{
	struct output *output = &job->outputs[sequence];
	uint32_t i = output->n_tokens;
	struct output_token *tokens = job->tokens[sequence];

	/* At 0, 16, 32, 64, ... it is full. */
	if ((i & (i - 1)) == 0 && (i == 0 || i >= 16))
		tokens = realloc(tokens, (i ? 2 * i : 16) * sizeof *tokens);
	assert(tokens);
	if (i == 0 && strncmp(job->prompt, "nul", 3) == 0)
		(void)!buf_add(&output->text, "a\0b", 3);
	else
		(void)!buf_add_format(&output->text, "w%u ", i);
	tokens[i] = (struct output_token){ 1000 * sequence + i, -0.5f - (float)i,
					   (uint32_t)output->text.length };
	job->tokens[sequence] = tokens;
	output->tokens = tokens;
	output->n_tokens = i + 1;
	job->engine->n_tokens++;
	if (!job->times.first_token_ms)
		job->times.first_token_ms = clock_unix_ms();
	job->has_changed = true;
}

static void step_job(struct job *job)
{
	bool is_burst = strncmp(job->prompt, "burst", 5) == 0;

	if (job->deadline_ns && clock_ns() >= job->deadline_ns)
		end_job(job, JOB_CANCELLED, FINISH_CANCELLED, SC_E_DEADLINE,
			"the job's deadline passed");
	if (job_is_ended(job) || job->recovery.is_under_way)
		return;
	if (job->state == JOB_QUEUED) {
		job->state = JOB_RUNNING;
		job->times.started_ms = clock_unix_ms();
		job->has_changed = true;
	}
	if (strncmp(job->prompt, "stall", 5) == 0) {
		job->n_prompt_done += job->n_prompt_done < job->n_prompt_tokens;
		return;
	}
	do {
		for (uint32_t i = 0; i < job->n_outputs; i++)
			add_token(job, i);
	} while (is_burst && job->outputs[0].n_tokens < job->max_tokens &&
		 job->outputs[0].n_tokens % MAX_BURST);
	if (strncmp(job->prompt, "fail", 4) == 0 && job->outputs[0].n_tokens == 3)
		end_job(job, JOB_FAILED, FINISH_ERROR, SC_E_CLOSED,
			"stage 1: link closed: connection reset");
	else if (strncmp(job->prompt, "lose", 4) == 0 && job->outputs[0].n_tokens == 3)
		fake_lose(job->engine, "stage 2 (worker b): it hung up");
	else if (strncmp(job->prompt, "stop", 4) == 0 && job->outputs[0].n_tokens == 3)
		end_job(job, JOB_DONE, FINISH_STOP, SC_OK, NULL);
	else if (job->outputs[0].n_tokens >= job->max_tokens)
		end_job(job, JOB_DONE, FINISH_LENGTH, SC_OK, NULL);
}

static void notify(struct job *job)
{
	job->has_changed = false;
	list_for_each(node, &job->watchers) {
		struct job_watcher *watcher = list_entry(node, struct job_watcher, node);

		watcher->on_change(watcher->arg, job);
	}
}

static void on_tick(void *arg)
{
	struct engine *engine = arg;

	list_for_each(node, &engine->jobs) {
		struct job *job = list_entry(node, struct job, node);

		step_job(job);
		if (job->has_changed)
			notify(job);
	}
}

static void begin_waiting(struct job *job)
{
	struct engine *engine = job->engine;

	job->recovery.n_losses++;
	job->recovery.lost_epoch = engine->n_epochs;
	if (!job->recovery.is_under_way)
		job->waiting_ns = clock_ns();
	job->recovery.is_under_way = true;
}

static void tell_phase(struct engine *engine)
{
	list_for_each(node, &engine->jobs) {
		struct job *job = list_entry(node, struct job, node);

		if (!job_is_ended(job))
			notify(job);
	}
	if (engine->config.on_phase)
		engine->config.on_phase(engine->config.arg);
}

void fake_lose(struct engine *engine, const char *reason)
{
	engine->phase = COORDINATOR_RECOVERING;
	engine->n_losses++;
	snprintf(engine->last_loss, sizeof engine->last_loss, "%s", reason);
	list_for_each(node, &engine->jobs) {
		struct job *job = list_entry(node, struct job, node);

		if (!job_is_ended(job))
			begin_waiting(job);
	}
	tell_phase(engine);
}

void fake_recover(struct engine *engine)
{
	engine->phase = COORDINATOR_READY;
	engine->n_epochs++;
	list_for_each(node, &engine->jobs) {
		struct job *job = list_entry(node, struct job, node);

		if (!job->recovery.is_under_way)
			continue;
		job->recovery.is_under_way = false;
		job->recovery.n_overcome = job->recovery.n_losses;
		job->recovery.epoch = engine->n_epochs;
		job->recovery.waited_ns = clock_ns() - job->waiting_ns;
	}
	tell_phase(engine);
}

struct job_recovery job_recovery(const struct job *job)
{
	struct job_recovery recovery = job->recovery;

	recovery.reason = job->engine->last_loss;
	return recovery;
}

static const char *phase_name(enum coordinator_phase phase)
{
	static const char *const names[COORDINATOR_N_PHASES] = {
		"connecting", "loading", "probing", "ready", "recovering", "draining", "stopped",
		"failed",
	};

	return names[phase];
}

static bool accepts_jobs(const struct engine *engine)
{
	return engine->phase == COORDINATOR_READY || engine->phase == COORDINATOR_RECOVERING;
}

static enum sc_status check(struct engine *engine, const struct job_request *r, size_t n_prompt,
			    struct error *err)
{
	if (!accepts_jobs(engine))
		return error_set(err, SC_E_UNAVAILABLE, "not ready: %s",
				 phase_name(engine->phase));
	if (r->n_sequences > JOB_MAX_SEQUENCES)
		return error_set(err, SC_E_INVALID, "n: expected at most %d, found %u",
				 JOB_MAX_SEQUENCES, r->n_sequences);
	if (r->n_stops > JOB_MAX_STOPS) {
		limit_refuse(&engine->refused, LIMIT_STOPS);
		return error_set(err, SC_E_INVALID, "stop: expected at most %d strings, found %u",
				 JOB_MAX_STOPS, r->n_stops);
	}
	if (!(r->temperature >= 0.0f))
		return error_set(err, SC_E_INVALID, "temperature: expected at least 0");
	if (n_prompt >= MAX_CONTEXT)
		return error_set(err, SC_E_TOO_LARGE, "the prompt of %zu tokens leaves no room in "
				 "the context of %d", n_prompt, MAX_CONTEXT);
	if (fake_n_alive(engine) >= engine->config.max_queue)
		return error_set(err, SC_E_OVERLOADED, "%u jobs are waiting: try again later",
				 engine->config.max_queue);
	return SC_OK;
}

/* What the prompt begins with: of its text, or of tokens that are bytes. */
static void set_prompt(struct job *job, const struct job_request *request)
{
	const uint32_t *ids = request->prompt_tokens;
	size_t n_ids = request->n_prompt_tokens;

	if (request->prompt) {
		snprintf(job->prompt, sizeof job->prompt, "%.*s", (int)request->prompt_bytes,
			 request->prompt);
		return;
	}
	if (n_ids && ids[0] == BOS) {
		ids++;
		n_ids--;
	}
	for (size_t i = 0; i < n_ids && i < sizeof job->prompt - 1; i++)
		job->prompt[i] = (char)ids[i];
}

enum sc_status engine_submit(struct engine *engine, const struct job_request *request,
			  struct job **job_out, struct error *err)
{
	size_t n_prompt = request->prompt ? request->prompt_bytes + 1 : request->n_prompt_tokens;
	enum sc_status status = check(engine, request, n_prompt, err);
	struct job *job;

	if (status != SC_OK)
		return status;
	job = calloc(1, sizeof *job);
	if (!job)
		return SC_E_NOMEM;
	engine->last_client = request->client;
	job->engine = engine;
	job->client_id = request->client;
	job->holds = 2;		/* the engine's and the caller's */
	snprintf(job->id, sizeof job->id, "fake-%u", ++engine->n_jobs);
	set_prompt(job, request);
	job->n_prompt_tokens = (uint32_t)n_prompt;
	job->max_tokens = request->max_tokens == JOB_UNLIMITED ? MAX_CONTEXT
								: request->max_tokens;
	job->n_outputs = request->n_sequences ? request->n_sequences : 1;
	job->seed = request->seed;
	job->annex = request->annex;
	job->is_attached = request->is_attached;
	job->times.submitted_ms = clock_unix_ms();
	if (request->deadline_ms)
		job->deadline_ns = clock_ns() + request->deadline_ms * NS_PER_MS;
	list_init(&job->watchers);
	for (uint32_t i = 0; i < job->n_outputs; i++) {
		job->outputs[i].has_logprobs = request->wants_logprobs;
		buf_init(&job->outputs[i].text);
	}
	list_prepend(&engine->jobs, &job->node);
	if (engine->phase == COORDINATOR_RECOVERING)
		begin_waiting(job);
	*job_out = job;
	return SC_OK;
}

uint64_t fake_last_client(const struct engine *engine)
{
	return engine->last_client;
}

enum sc_status engine_check_room(struct engine *engine, uint64_t client, struct error *err)
{
	(void)client;
	if (!accepts_jobs(engine))
		return error_set(err, SC_E_UNAVAILABLE, "not ready: %s",
				 phase_name(engine->phase));
	if (fake_n_alive(engine) >= engine->config.max_queue)
		return error_set(err, SC_E_OVERLOADED, "%u jobs are waiting: try again later",
				 engine->config.max_queue);
	return SC_OK;
}

enum sc_status engine_find(struct engine *engine, const char *id, struct job **job_out,
			struct error *err)
{
	list_for_each(node, &engine->jobs) {
		struct job *job = list_entry(node, struct job, node);

		if (strcmp(job->id, id) != 0)
			continue;
		job_hold(job);
		*job_out = job;
		return SC_OK;
	}
	return error_set(err, SC_E_NOT_FOUND, "no job %s", id);
}

unsigned engine_list(struct engine *engine, unsigned states, struct job **jobs_out,
		  unsigned max)
{
	unsigned n = 0;

	list_for_each(node, &engine->jobs) {
		struct job *job = list_entry(node, struct job, node);

		if (n < max && states & 1u << job_state(job))
			jobs_out[n++] = job;
	}
	return n;
}

void job_hold(struct job *job)
{
	job->holds++;
}

void job_release(struct job *job)
{
	if (--job->holds)
		return;
	for (uint32_t i = 0; i < job->n_outputs; i++) {
		buf_deinit(&job->outputs[i].text);
		free(job->tokens[i]);
	}
	if (job->annex)
		job->annex->destroy(job->annex);
	free(job);
}

void job_cancel(struct job *job)
{
	end_job(job, JOB_CANCELLED, FINISH_CANCELLED, SC_E_CANCELLED, "the job was cancelled");
}

void job_watch(struct job *job, struct job_watcher *watcher)
{
	list_append(&job->watchers, &watcher->node);
	job_hold(job);
}

void job_unwatch(struct job *job, struct job_watcher *watcher)
{
	list_remove(&watcher->node);
	if (job->is_attached && list_is_empty(&job->watchers))
		job_cancel(job);
	job_release(job);
}

const char *job_id(const struct job *job) { return job->id; }
uint64_t job_client_id(const struct job *job) { return job->client_id; }
enum job_state job_state(const struct job *job) { return job->state; }
bool job_is_ended(const struct job *job) { return job->state >= JOB_DONE; }
const struct error *job_error(const struct job *job) { return &job->error; }
uint64_t job_prompt_done(const struct job *job)
{
	return job->n_prompt_done;
}

uint32_t job_n_prompt_tokens(const struct job *job) { return job->n_prompt_tokens; }
const char *job_warning(const struct job *job)
{
	(void)job;
	return NULL;
}
const struct job_annex *job_annex(const struct job *job) { return job->annex; }
uint64_t job_seed(const struct job *job) { return job->seed; }
uint32_t job_n_outputs(const struct job *job) { return job->n_outputs; }
const struct output *job_output(const struct job *job, uint32_t i) { return &job->outputs[i]; }
struct job_times job_times(const struct job *job) { return job->times; }

const char *job_state_name(enum job_state state)
{
	static const char *const names[] = { "queued", "running", "done", "cancelled", "failed" };

	return names[state];
}

/* ---- the engine ---- */

struct engine *fake_create(const struct fake_config *config)
{
	struct engine *engine = calloc(1, sizeof *engine);

	assert(engine);
	engine->config = *config;
	engine->phase = COORDINATOR_READY;
	engine->n_epochs = 1;
	list_init(&engine->jobs);
	list_init(&engine->waits);
	if (timer_create_on(config->loop, on_tick, engine, &engine->timer) != SC_OK)
		abort();
	timer_start(engine->timer, config->token_ms, config->token_ms);
	return engine;
}

void fake_destroy(struct engine *engine)
{
	timer_destroy(engine->timer);
	list_for_each(node, &engine->jobs) {
		struct job *job = list_entry(node, struct job, node);

		/* Whoever still holds it forgot to let go. */
		assert(job->holds == 1);
		job_release(job);
	}
	free(engine);
}

void fake_set_phase(struct engine *engine, enum coordinator_phase phase)
{
	engine->phase = phase;
}

void fake_tick(struct engine *engine)
{
	on_tick(engine);
}

unsigned fake_n_alive(const struct engine *engine)
{
	unsigned n = 0;

	list_for_each(node, &engine->jobs)
		n += !job_is_ended(list_entry(node, struct job, node));
	return n;
}

enum coordinator_phase engine_phase(const struct engine *engine) { return engine->phase; }

const char *coordinator_phase_name(enum coordinator_phase phase)
{
	static const char *const names[COORDINATOR_N_PHASES] = {
		"connecting", "loading", "probing", "ready", "recovering", "draining", "stopped",
		"failed",
	};

	return names[phase];
}

const struct metrics *engine_metrics(const struct engine *engine)
{
	return &engine->metrics;
}

struct metrics *fake_metrics(struct engine *engine)
{
	return &engine->metrics;
}

struct limit_counts *engine_limits(struct engine *engine)
{
	return &engine->refused;
}

uint32_t engine_max_context(const struct engine *engine)
{
	(void)engine;
	return MAX_CONTEXT;
}

const struct plan *engine_plan(const struct engine *engine)
{
	static struct plan_stage stages[N_STAGES] = {
		{ .n_layers = 4, .has_embedding = true, .weight_bytes = 2000000 },
		{ .first_layer = 4, .n_layers = 4, .has_head = true, .weight_bytes = 2100000 },
	};
	static const struct plan plan = { .n_stages = N_STAGES, .stages = stages };

	return engine->phase == COORDINATOR_CONNECTING ? NULL : &plan;
}

void engine_await_counters(struct engine *engine, struct counters_wait *wait)
{
	if (engine->holds_counters)
		list_append(&engine->waits, &wait->node);
	else
		wait->on_current(wait->arg);
}

void counters_forget(struct counters_wait *wait)
{
	if (wait->node.next)
		list_remove(&wait->node);
}

void fake_hold_counters(struct engine *engine)
{
	engine->holds_counters = true;
}

void fake_release_counters(struct engine *engine)
{
	engine->holds_counters = false;
	list_for_each(node, &engine->waits) {
		struct counters_wait *wait = list_entry(node, struct counters_wait, node);

		list_remove(node);
		wait->on_current(wait->arg);
	}
}

bool fake_is_awaited(const struct engine *engine)
{
	return !list_is_empty(&engine->waits);
}

void engine_status(const struct engine *engine, struct coordinator_status *out)
{
	unsigned n_alive = fake_n_alive(engine);

	*out = (struct coordinator_status){
		.phase = engine->phase, .uptime_ms = 12345, .load_ms = 678,
		.load_done_bytes = engine->phase == COORDINATOR_LOADING ? 1640000 : 4100000,
		.load_total_bytes = 4100000, .n_stages = N_STAGES, .window = 3, .max_rows = 64,
		.max_context = MAX_CONTEXT, .steps_in_flight = n_alive ? 1 : 0, .steps = 77,
		.n_blocks = 256, .n_blocks_free = 200, .block_length = 16, .kv_type = "F16",
		.n_groups = 2, .groups = { { 2, 0, 256, 200 }, { 6, 512, 64, 8 } },
		.jobs_running = n_alive, .generated_tokens = engine->n_tokens,
		.longest_turn_ns = 12300000, .epoch = engine->n_epochs,
		.recoveries = engine->n_losses, .lost_ms_ago = 2500,
		.last_loss = engine->n_losses ? engine->last_loss : NULL,
	};
	for (int i = 0; i < JOB_N_STATES; i++)
		out->jobs_by_state[i] = engine->n_by_state[i];
}

void engine_stage_status(const struct engine *engine, unsigned stage, struct stage_status *out)
{
	(void)engine;
	*out = (struct stage_status){
		.rank = stage + 1, .worker = "fake", .pid = 4000 + stage,
		.host = "localhost", .backend = "fake",
		.first_layer = 4 * stage, .n_layers = 4, .weight_bytes = 2000000 + 100000 * stage,
		.kv_bytes = 1 << 20, .steps = 77, .rows = 777, .busy_seconds = 1.5,
		.waiting_seconds = 2.5, .sending_seconds = 0.25, .bubble_ratio = 0.125,
		.heard_ms_ago = 42,
	};
}

unsigned engine_n_workers(const struct engine *engine)
{
	(void)engine;
	return 3;
}

/* One with a stage, a spare one in quarantine, and one that is gone. */
void engine_worker_status(const struct engine *engine, unsigned i, struct worker_status *out)
{
	static const struct worker_status workers[] = {
		{ .id = "node-a", .host = "a", .backend = "fake", .pid = 4000,
		  .state = MEMBER_READY, .stage = 0, .n_layers = 4, .state_ms = 61000,
		  .heard_ms_ago = 42, .memory_bytes = 1 << 30 },
		{ .id = "node-b", .host = "b", .backend = "fake", .pid = 4001,
		  .state = MEMBER_SPARE, .is_quarantined = true, .stage = MEMBER_NO_STAGE,
		  .n_losses = 3, .quarantine_ms = 200000 },
		{ .id = "node-c", .host = "c", .backend = "fake", .pid = 4002,
		  .state = MEMBER_GONE, .stage = MEMBER_NO_STAGE, .n_losses = 1 },
	};

	(void)engine;
	*out = workers[i];
}

/* ---- the model ---- */

const struct model *engine_model(const struct engine *engine)
{
	static const struct arch arch = { .name = "llama" };
	static const struct model model = {
		.arch = &arch, .name = "fake model", .fingerprint = 0x1234, .n_params = 3500000,
		.hparams = { .n_layers = 8, .n_context = MAX_CONTEXT, .n_vocab = 258, .dim = 256,
			     .ffn_dim = 512, .n_heads = 8, .n_kv_heads = 4, .head_dim = 32 },
	};

	(void)engine;
	return &model;
}

const char *gguf_path(const struct gguf *gguf)
{
	(void)gguf;
	return "/models/fake.gguf";
}

uint64_t gguf_n_bytes(const struct gguf *gguf)
{
	(void)gguf;
	return 4200000;
}

const struct tokenizer *engine_tokenizer(const struct engine *engine)
{
	(void)engine;
	return NULL;	/* the functions below need none */
}

uint32_t tokenizer_n_vocab(const struct tokenizer *t) { (void)t; return 258; }
uint32_t tokenizer_bos(const struct tokenizer *t) { (void)t; return BOS; }
uint32_t tokenizer_eos(const struct tokenizer *t) { (void)t; return EOS; }
bool tokenizer_adds_bos(const struct tokenizer *t) { (void)t; return true; }

void token_list_deinit(struct token_list *list)
{
	free(list->ids);
	*list = (struct token_list){ 0 };
}

enum sc_status token_list_add(struct token_list *list, uint32_t id)
{
	uint32_t *ids = realloc(list->ids, (list->n + 1) * sizeof *ids);

	if (!ids)
		return SC_E_NOMEM;
	ids[list->n++] = id;
	list->ids = ids;
	return SC_OK;
}

size_t tokenizer_longest_token_bytes(const struct tokenizer *t)
{
	(void)t;
	return 1;
}

static struct {
	pthread_mutex_t lock;
	pthread_cond_t news;
	bool is_held;
	bool is_reached;
} hold = { .lock = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER };

void fake_hold_tokenizer(void)
{
	pthread_mutex_lock(&hold.lock);
	hold.is_held = true;
	hold.is_reached = false;
	pthread_mutex_unlock(&hold.lock);
}

bool fake_is_tokenizer_reached(void)
{
	bool is_reached;

	pthread_mutex_lock(&hold.lock);
	is_reached = hold.is_reached;
	pthread_mutex_unlock(&hold.lock);
	return is_reached;
}

void fake_release_tokenizer(void)
{
	pthread_mutex_lock(&hold.lock);
	hold.is_held = false;
	pthread_cond_broadcast(&hold.news);
	pthread_mutex_unlock(&hold.lock);
}

static void wait_while_held(void)
{
	pthread_mutex_lock(&hold.lock);
	hold.is_reached = true;
	while (hold.is_held)
		pthread_cond_wait(&hold.news, &hold.lock);
	pthread_mutex_unlock(&hold.lock);
}

enum sc_status tokenizer_encode(const struct tokenizer *t, const char *text, size_t n_bytes,
				unsigned flags, struct token_list *ids, struct error *err)
{
	(void)t;
	(void)err;
	if (n_bytes >= 4 && memcmp(text, "hold", 4) == 0)
		wait_while_held();
	ids->ids = malloc((n_bytes + 1) * sizeof *ids->ids);
	if (!ids->ids)
		return SC_E_NOMEM;
	if (flags & TOKENIZE_ADD_BOS)
		ids->ids[ids->n++] = BOS;
	for (size_t i = 0; i < n_bytes; i++)
		ids->ids[ids->n++] = (uint8_t)text[i];
	return SC_OK;
}

enum sc_status tokenizer_decode_within(const struct tokenizer *t, const uint32_t *ids, size_t n_ids,
				       bool with_special, size_t max_bytes, struct buf *text)
{
	enum sc_status status = SC_OK;

	(void)t;
	for (size_t i = 0; i < n_ids && status == SC_OK; i++) {
		char byte = (char)ids[i];

		if (ids[i] > EOS)
			status = SC_E_INVALID;
		else if (text->length >= max_bytes)
			status = SC_E_TOO_LARGE;
		else if (ids[i] < BOS)
			status = buf_add(text, &byte, 1);
		else if (with_special)
			status = ids[i] == BOS ? buf_add_string(text, "<s>")
					       : buf_add_format(text, "%*s", FAKE_EOS_BYTES, "");
	}
	return status;
}

enum sc_status tokenizer_decode(const struct tokenizer *t, const uint32_t *ids, size_t n_ids,
				bool with_special, struct buf *text)
{
	return tokenizer_decode_within(t, ids, n_ids, with_special, SIZE_MAX, text);
}
