/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/coordinator_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "coordinator/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* To the coordinator and both neighbours; credits beside the window, for control messages. */
#define LINKS_PER_WORKER 3
#define CONTROL_CREDITS 8
/* How long workers may take to leave after they were told to. */
#define STOP_MS 3000

/* Prompt rows of a step: many are faster; few leave no stage waiting long for its first step. */
enum { CHUNK_OF_ONE = 256, CHUNK_OF_MANY = 128 };

static const char *const phase_names[] = {
	[COORDINATOR_CONNECTING] = "connecting",
	[COORDINATOR_LOADING] = "loading",
	[COORDINATOR_PROBING] = "probing",
	[COORDINATOR_READY] = "ready",
	[COORDINATOR_DRAINING] = "draining",
	[COORDINATOR_STOPPED] = "stopped",
	[COORDINATOR_FAILED] = "failed",
};

const char *coordinator_phase_name(enum coordinator_phase phase)
{
	return phase_names[phase];
}

static void tell_phase(struct coordinator *c)
{
	c->config.on_phase(c->config.arg, c->phase,
			   c->phase == COORDINATOR_FAILED ? &c->error : NULL);
}

static void set_phase(struct coordinator *c, enum coordinator_phase phase)
{
	assert(phase > c->phase);
	c->phase = phase;
	tell_phase(c);
}

static void end_all_jobs(struct coordinator *c, enum job_state state, const struct error *err)
{
	list_for_each(node, &c->jobs.all) {
		struct job *job = list_entry(node, struct job, node);

		if (!job_is_ended(job))
			coordinator_end_job(c, job, state, err);
	}
	jobs_tell(&c->jobs);
}

static void fail(struct coordinator *c, const struct error *err)
{
	struct error lost;

	if (c->phase >= COORDINATOR_STOPPED)
		return;
	c->error = *err;
	c->phase = COORDINATOR_FAILED;	/* before watchers are told: they may submit again */
	error_set(&lost, SC_E_UNAVAILABLE, "%s", err->text);
	end_all_jobs(c, JOB_FAILED, &lost);
	members_stop(c->members, err->status, err->text);
	tell_phase(c);
}

static void fail_with(struct coordinator *c, enum sc_status status, const char *what)
{
	struct error err;

	error_set(&err, status, "%s", what);
	fail(c, &err);
}

/* --- steps --- */

static void note_activity(struct coordinator *c)
{
	bool is_active = scheduler_counts(c->scheduler).in_flight > 0;
	uint64_t now_ns = loop_now_ns(c->config.loop);

	if (is_active && !c->active_since_ns) {
		c->active_since_ns = now_ns;
	} else if (!is_active && c->active_since_ns) {
		c->active_ns += now_ns - c->active_since_ns;
		c->active_since_ns = 0;
	}
}

/* Jobs whose first rows are in this step are running from now on. */
static void note_started(struct coordinator *c)
{
	uint32_t n_left = c->jobs.n_queued;

	list_for_each(node, &c->jobs.all) {
		struct job *job = list_entry(node, struct job, node);

		/* Most queued jobs are among the newest, which come first. */
		if (!n_left)
			return;
		if (job->state != JOB_QUEUED)
			continue;
		n_left--;
		for (uint32_t i = 0; i < job->n_streams; i++) {
			if (job->streams[i].sequence.state > SEQUENCE_WAITING) {
				c->prompt_tokens += job->n_prompt_tokens;
				job_set_state(job, JOB_RUNNING, NULL);
				break;
			}
		}
	}
}

/* False: no credit, and the frame is kept for later; or all is over. */
static bool send_step(struct coordinator *c, struct frame *frame)
{
	enum sc_status status = members_send_step(c->members, frame);
	struct error err;

	c->unsent = NULL;
	if (status == SC_AGAIN) {
		c->unsent = frame;
		return false;
	}
	if (status == SC_OK)
		return true;
	if (status != SC_E_CLOSED)	/* else the link is down, and will say so */
		error_set(&err, status, "stage 1: a step of %u bytes cannot be sent: %s",
			  frame->n_bytes, sc_status_name(status));
	frame_release(frame);
	if (status != SC_E_CLOSED)
		fail(c, &err);
	return false;
}

/* There is one per step in flight and one more, but a link may let go of one long after its step
 * was answered: then look again soon. */
static bool has_frame(struct coordinator *c)
{
	if (frame_pool_n_free(c->step_pool))
		return true;
	if (scheduler_counts(c->scheduler).in_flight < c->config.window)
		wake_send(c->settle_soon);
	return false;
}

void coordinator_pump(struct coordinator *c)
{
	struct frame *frame;
	struct step step;

	if (!c->scheduler || c->phase < COORDINATOR_PROBING || c->phase > COORDINATOR_DRAINING)
		return;
	if (c->unsent && !send_step(c, c->unsent))
		return;
	while (has_frame(c) && scheduler_next(c->scheduler, &step)) {
		frame = frame_take(c->step_pool, FRAME_STEP);
		frame->epoch = c->epoch;
		frame->n_bytes = (uint32_t)step_bytes(&step);
		step_encode(&step, frame_payload(frame));
		if (step.n_segments)
			note_started(c);
		if (!send_step(c, frame))
			break;
	}
	note_activity(c);
}

static void finish_probe(struct coordinator *c)
{
	c->load_ms = (clock_ns() - c->loading_ns) / NS_PER_MS;
	set_phase(c, COORDINATOR_READY);
}

static bool take_token(void *arg, struct sequence *sequence, const struct token_record *record)
{
	struct coordinator *c = arg;

	if (record->fault)
		coordinator_take_fault(c, sequence, record);
	if (record->fault || sequence == &c->probe)
		return false;
	return coordinator_take_token(c, sequence, record->token, record->logprob);
}

static void stop_when_drained(struct coordinator *c)
{
	if (c->phase != COORDINATOR_DRAINING || c->is_stopping || c->jobs.n_active)
		return;
	c->is_stopping = true;
	c->drain_until_ns = loop_now_ns(c->config.loop) + STOP_MS * NS_PER_MS;
	coordinator_arm_deadline(c);
	members_stop(c->members, SC_OK, "drained");
}

/* After anything that changed jobs: use the room they left, then tell who watches. */
static void settle(void *arg)
{
	struct coordinator *c = arg;

	coordinator_pump(c);
	jobs_tell(&c->jobs);
	stop_when_drained(c);
}

static void on_dirty(void *arg)
{
	struct coordinator *c = arg;

	wake_send(c->settle_soon);
}

static void on_tokens(void *arg, const struct frame *frame)
{
	struct coordinator *c = arg;
	struct tokens tokens;
	struct error err;

	if (!c->scheduler)
		return;
	if (tokens_decode(frame_payload(frame), frame->n_bytes, &c->limits, &tokens, &err) ||
	    scheduler_take(c->scheduler, &tokens, take_token, c, &err) != SC_OK) {
		fail(c, &err);
		return;
	}
	if (c->phase == COORDINATOR_PROBING)
		finish_probe(c);
	settle(c);
}

/* --- bringing the workers up --- */

/* Slots beyond max_sequences, for clients with less than their share: a newcomer with a short job
 * needs none of another client's, which would cost computing that one's tokens again. */
static uint32_t spare_slots(const struct coordinator_config *config)
{
	return config->max_sequences / 8 + 1;
}

/* Checked by step_limits_check when it comes to more than 32 bits. */
static uint32_t blocks_for(const struct step_limits *limits, uint64_t n_positions)
{
	uint64_t n = (n_positions + limits->block_length - 1) / limits->block_length;

	return n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
}

/* The frames that a worker makes, and those that its links receive into. */
static uint64_t worker_frame_bytes(const struct coordinator *c)
{
	const struct fabric *fabric = c->config.fabric;
	size_t link_bytes = fabric->ops->has_buffers ? fabric_link_bytes(&fabric->config) : 0;

	return c->config.window * coordinator_max_payload(&c->config) +
	       LINKS_PER_WORKER * link_bytes;
}

/* Into the limits goes what was left open. */
static enum sc_status make_pool(struct coordinator *c, struct plan_input *input,
				struct error *err)
{
	const struct pool_wish wish = {
		.context = c->limits.max_context,
		.is_context_fixed = c->config.is_context_fixed,
		.n_positions = c->config.kv_positions,
		.n_contexts = c->config.kv_contexts ? c->config.kv_contexts
						    : c->config.max_sequences,
	};
	enum sc_status status = pool_plan(input, &wish, &c->plan, err);
	char why_shorter[POOL_TEXT_BYTES];

	if (status != SC_OK)
		return status;
	if (pool_explain(input, &wish, why_shorter))
		log_warning("%s", why_shorter);
	c->limits.max_context = input->max_context;
	c->limits.max_blocks = input->n_blocks;
	return SC_OK;
}

static enum sc_status make_plan(struct coordinator *c, struct error *err)
{
	unsigned n = members_count(c->members);
	uint64_t *memory = calloc(n, sizeof memory[0]);
	uint32_t *n_threads = calloc(n, sizeof n_threads[0]);
	struct plan_input input = {
		.model = c->config.model,
		.n_stages = c->config.n_stages,
		.max_rows = c->limits.max_rows,
		.max_sequences = c->limits.max_sequences,
		.block_length = c->limits.block_length,
		.kv_type = c->config.kv_type,
		.frame_bytes = worker_frame_bytes(c),
		.n_threads = n_threads,
		.memory_bytes = memory,
	};
	enum sc_status status;

	for (unsigned i = 0; memory && n_threads && i < n; i++) {
		memory[i] = members_get(c->members, i)->memory_bytes;
		n_threads[i] = members_get(c->members, i)->n_threads;
	}
	if (memory && n_threads)
		status = make_pool(c, &input, err);
	else
		status = error_set(err, SC_E_NOMEM, "out of memory for a plan");
	free(memory);
	free(n_threads);
	return status;
}

/* The stages after the first get activations as well. */
static size_t first_hop_bytes(const struct step_limits *limits)
{
	struct step_limits first_hop = *limits;

	first_hop.dim = 0;
	return step_bytes_max(&first_hop);
}

static enum sc_status make_scheduler(struct coordinator *c, struct error *err)
{
	struct scheduler_config config = {
		.limits = c->limits,
		.window = c->config.window,
		.n_stages = c->config.n_stages,
		.prompt_chunk = c->config.prompt_chunk,
		.n_spare = spare_slots(&c->config),
	};
	enum sc_status status;

	status = scheduler_create(&config, &c->scheduler, err);
	if (status != SC_OK)
		return status;
	status = frame_pool_create(c->config.window + 1, first_hop_bytes(&c->limits),
				   &c->step_pool);
	if (status != SC_OK)
		return error_set(err, status, "out of memory for steps");
	return SC_OK;
}

static void on_known(void *arg)
{
	struct coordinator *c = arg;
	struct assignment assignment;
	struct error err;

	if (make_plan(c, &err) != SC_OK || make_scheduler(c, &err) != SC_OK) {
		fail(c, &err);
		return;
	}
	if (members_are_mixed(c->members))
		log_warning("stages have different backends, kernel versions or C libraries: "
			    "tokens depend on which stage runs where (--allow-mixed-backends)");
	c->loading_ns = clock_ns();
	assignment = (struct assignment){
		.epoch = c->epoch, .limits = c->limits, .kv_type = c->config.kv_type,
		.window = c->config.window,
	};
	members_assign(c->members, c->plan, &assignment);
	set_phase(c, COORDINATOR_LOADING);	/* last: the owner may drain at once */
}

static void load_progress(const struct coordinator *c, uint64_t *done_out, uint64_t *total_out)
{
	*done_out = *total_out = 0;
	for (unsigned i = 0; i < members_count(c->members); i++) {
		*done_out += members_get(c->members, i)->done_bytes;
		*total_out += members_get(c->members, i)->total_bytes;
	}
}

static void on_progress(void *arg)
{
	struct coordinator *c = arg;
	uint64_t done, total;

	load_progress(c, &done, &total);
	if (c->config.on_progress)
		c->config.on_progress(c->config.arg, done, total);
}

/* Every stage is there: send one token through all of them before saying so. */
static void on_ready(void *arg)
{
	struct coordinator *c = arg;
	uint32_t token = tokenizer_bos(c->config.tokenizer);

	if (c->phase != COORDINATOR_LOADING)
		return;
	coordinator_warn_of_weights(c);
	if (token >= c->limits.n_vocab)
		token = 0;
	if (sequence_init(&c->probe, &token, 1, 2, c->limits.block_length) != SC_OK) {
		fail_with(c, SC_E_NOMEM, "out of memory for the first step");
		return;
	}
	share_client_init(&c->probe_client);
	share_job_init(&c->probe_job, &c->probe_client);
	c->probe.share = &c->probe_job;
	c->probe.sampling.top_p = 1.0f;
	scheduler_add(c->scheduler, &c->probe);
	set_phase(c, COORDINATOR_PROBING);
	coordinator_pump(c);
}

static void on_gone(void *arg)
{
	struct coordinator *c = arg;

	if (c->phase == COORDINATOR_DRAINING)
		set_phase(c, COORDINATOR_STOPPED);
}

static void on_lost(void *arg, const struct error *err)
{
	fail(arg, err);
}

static void on_credit(void *arg)
{
	coordinator_pump(arg);
}

/* --- deadlines --- */

static void expire_jobs(struct coordinator *c, uint64_t now_ns)
{
	struct error err;

	error_set(&err, SC_E_DEADLINE, "the deadline passed");
	list_for_each(node, &c->jobs.all) {
		struct job *job = list_entry(node, struct job, node);

		if (!job_is_ended(job) && job->deadline_ns && job->deadline_ns <= now_ns)
			coordinator_end_job(c, job, JOB_CANCELLED, &err);
	}
}

static void on_deadline(void *arg)
{
	struct coordinator *c = arg;
	uint64_t now_ns = loop_now_ns(c->config.loop);
	struct error err;

	expire_jobs(c, now_ns);
	if (c->drain_until_ns && c->drain_until_ns <= now_ns) {
		c->drain_until_ns = 0;
		if (c->is_stopping) {
			on_gone(c);	/* whoever has not gone by now hangs */
			return;
		}
		error_set(&err, SC_E_UNAVAILABLE, "the coordinator is shutting down");
		end_all_jobs(c, JOB_FAILED, &err);
	}
	settle(c);
	coordinator_arm_deadline(c);
}

void coordinator_arm_deadline(struct coordinator *c)
{
	uint64_t next = jobs_next_deadline(&c->jobs);
	uint64_t now_ns = loop_now_ns(c->config.loop);

	if (c->drain_until_ns && (!next || c->drain_until_ns < next))
		next = c->drain_until_ns;
	if (!next)
		timer_stop(c->deadline_timer);
	else
		timer_start(c->deadline_timer,
			    next > now_ns ? (next - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0, 0);
}

static void on_unwatched(void *arg, struct job *job)
{
	(void)arg;
	job_cancel(job);
}

/* --- life --- */

/* What bounds steps before the workers' memory is known: context and blocks may come out
 * smaller. */
static struct step_limits widest_limits(const struct coordinator_config *config)
{
	const struct hparams *h = &config->model->hparams;
	uint32_t context = config->max_context ? config->max_context : h->n_context;
	struct step_limits limits = {
		.max_rows = config->max_rows,
		.max_sequences = config->max_sequences + spare_slots(config),
		.block_length = config->block_length,
		.max_context = context,
		.n_vocab = h->n_vocab,
		.dim = h->dim,
	};

	limits.max_blocks = config->kv_positions ? blocks_for(&limits, config->kv_positions)
						 : STEP_MAX_BLOCKS;
	return limits;
}

size_t coordinator_max_payload(const struct coordinator_config *config)
{
	struct step_limits limits = widest_limits(config);
	size_t step = step_bytes_max(&limits);
	size_t tokens = tokens_bytes(limits.max_rows);

	return step > tokens ? step : tokens;
}

static uint32_t window_of(const struct coordinator_config *config)
{
	return config->window ? config->window : config->n_stages + 1;
}

unsigned coordinator_credits(const struct coordinator_config *config)
{
	return window_of(config) + CONTROL_CREDITS;
}

uint64_t coordinator_bytes(const struct coordinator_config *config, size_t link_bytes)
{
	struct step_limits limits = widest_limits(config);

	return (window_of(config) + 1) * first_hop_bytes(&limits) +
	       (uint64_t)config->n_stages * link_bytes + config->max_job_bytes;
}

uint32_t coordinator_prompt_chunk(const struct coordinator_config *config)
{
	uint32_t chunk = config->prompt_chunk;

	if (!chunk)
		chunk = config->n_stages > 1 ? CHUNK_OF_MANY : CHUNK_OF_ONE;
	return chunk < config->max_rows ? chunk : config->max_rows;
}

static void set_defaults(struct coordinator *c)
{
	struct coordinator_config *config = &c->config;

	config->window = window_of(config);
	config->prompt_chunk = coordinator_prompt_chunk(config);
	c->limits = widest_limits(config);
}

static void note_limits(struct coordinator *c)
{
	limit_set(&c->refused, LIMIT_QUEUE, c->config.max_queue);
	limit_set(&c->refused, LIMIT_JOB_MEMORY, c->config.max_job_bytes);
	limit_set(&c->refused, LIMIT_CONTEXT, c->limits.max_context);
	limit_set(&c->refused, LIMIT_SEQUENCES, JOB_MAX_SEQUENCES);
	limit_set(&c->refused, LIMIT_STOPS, JOB_MAX_STOPS);
	limit_set(&c->refused, LIMIT_STOP_BYTES, JOB_MAX_STOP_BYTES);
	limit_set(&c->refused, LIMIT_KEPT_JOBS, c->jobs.keep_ended);
}

static enum sc_status create_members(struct coordinator *c, struct error *err)
{
	struct members_config config = {
		.loop = c->config.loop,
		.fabric = c->config.fabric,
		.n_members = c->config.n_stages,
		.model_fingerprint = c->config.model->fingerprint,
		.heartbeat_ms = c->config.heartbeat_ms,
		.deadline_ms = c->config.deadline_ms,
		.start_ms = c->config.start_ms,
		.allows_mixed_backends = c->config.allows_mixed_backends,
		.on_known = on_known,
		.on_progress = on_progress,
		.on_ready = on_ready,
		.on_gone = on_gone,
		.on_lost = on_lost,
		.on_tokens = on_tokens,
		.on_credit = on_credit,
		.arg = c,
	};

	return members_create(&config, &c->members, err);
}

enum sc_status coordinator_create(const struct coordinator_config *config,
				  struct coordinator **coordinator_out, struct error *err)
{
	uint32_t n_layers = config->model->hparams.n_layers;
	struct coordinator *c;
	enum sc_status status;

	if (!config->n_stages || config->n_stages > n_layers)
		return error_set(err, SC_E_INVALID,
				 "%u stages for a model with %u layers: use 1 to %u",
				 config->n_stages, n_layers, n_layers);
	c = calloc(1, sizeof *c);
	if (!c)
		return error_set(err, SC_E_NOMEM, "out of memory for the coordinator");
	c->config = *config;
	c->epoch = 1;
	c->started_ns = loop_now_ns(config->loop);
	jobs_init(&c->jobs, config->keep_jobs);
	c->jobs.max_bytes = config->max_job_bytes;
	c->jobs.refused = &c->refused;
	c->jobs.on_unwatched = on_unwatched;
	c->jobs.on_dirty = on_dirty;
	c->jobs.arg = c;
	set_defaults(c);
	note_limits(c);
	status = step_limits_check(&c->limits, err);
	if (status == SC_OK)
		status = create_members(c, err);
	if (status == SC_OK &&
	    (timer_create_on(config->loop, on_deadline, c, &c->deadline_timer) != SC_OK ||
	     wake_create(config->loop, settle, c, &c->settle_soon) != SC_OK))
		status = error_set(err, SC_E_NOMEM, "out of memory for the coordinator");
	if (status != SC_OK) {
		coordinator_destroy(c);
		return status;
	}
	*coordinator_out = c;
	return SC_OK;
}

void coordinator_destroy(struct coordinator *c)
{
	struct error err;

	if (!c)
		return;
	c->phase = COORDINATOR_STOPPED;	/* nobody submits any more */
	error_set(&err, SC_E_UNAVAILABLE, "the coordinator is shutting down");
	end_all_jobs(c, JOB_FAILED, &err);
	jobs_deinit(&c->jobs);
	if (c->scheduler)
		scheduler_remove(c->scheduler, &c->probe);
	members_destroy(c->members);
	if (c->unsent)
		frame_release(c->unsent);
	wake_destroy(c->settle_soon);
	timer_destroy(c->deadline_timer);
	scheduler_destroy(c->scheduler);
	sequence_deinit(&c->probe);
	frame_pool_destroy(c->step_pool);
	plan_destroy(c->plan);
	free(c);
}

enum sc_status coordinator_connect(struct coordinator *c, unsigned rank, const void *address,
				   size_t n_bytes, struct error *err)
{
	return members_connect(c->members, rank, address, n_bytes, err);
}

void coordinator_drain(struct coordinator *c, uint32_t timeout_ms)
{
	if (c->phase >= COORDINATOR_DRAINING)
		return;
	c->drain_until_ns = loop_now_ns(c->config.loop) + timeout_ms * NS_PER_MS;
	set_phase(c, COORDINATOR_DRAINING);
	coordinator_arm_deadline(c);
	stop_when_drained(c);
}

void coordinator_abort(struct coordinator *c, const struct error *err)
{
	fail(c, err);
}

void coordinator_set_limits(struct coordinator *c, uint32_t max_queue, uint32_t keep_jobs)
{
	c->config.max_queue = max_queue;
	c->jobs.keep_ended = keep_jobs;
	note_limits(c);
}

/* --- what it knows --- */

enum coordinator_phase coordinator_phase(const struct coordinator *c)
{
	return c->phase;
}

const struct model *coordinator_model(const struct coordinator *c)
{
	return c->config.model;
}

const struct tokenizer *coordinator_tokenizer(const struct coordinator *c)
{
	return c->config.tokenizer;
}

uint32_t coordinator_max_context(const struct coordinator *c)
{
	return c->limits.max_context;
}

struct limit_counts *coordinator_limits(struct coordinator *c)
{
	return &c->refused;
}

enum tensor_type coordinator_kv_type(const struct coordinator *c)
{
	return c->config.kv_type;
}

const struct plan *coordinator_plan(const struct coordinator *c)
{
	return c->plan;
}

static void count_jobs(const struct coordinator *c, struct coordinator_status *out)
{
	list_for_each(node, &c->jobs.all) {
		const struct job *job = list_entry(node, struct job, node);

		out->jobs_queued += job->state == JOB_QUEUED;
		out->jobs_running += job->state == JOB_RUNNING;
	}
	memcpy(out->jobs_by_state, c->jobs.ended_by_state, sizeof c->jobs.ended_by_state);
}

void coordinator_status(const struct coordinator *c, struct coordinator_status *out)
{
	struct scheduler_counts counts = { 0 };

	if (c->scheduler)
		counts = scheduler_counts(c->scheduler);
	*out = (struct coordinator_status){
		.phase = c->phase,
		.uptime_ms = (loop_now_ns(c->config.loop) - c->started_ns) / NS_PER_MS,
		.load_ms = c->load_ms,
		.n_stages = c->config.n_stages,
		.window = c->config.window,
		.max_rows = c->limits.max_rows,
		.max_context = c->limits.max_context,
		.steps_in_flight = counts.in_flight,
		.steps = counts.steps,
		.rows = counts.rows,
		.n_blocks = c->plan ? c->limits.max_blocks : 0,
		.n_blocks_free = counts.blocks_free,
		.block_length = c->limits.block_length,
		.prompt_tokens = c->prompt_tokens,
		.generated_tokens = c->generated_tokens,
		.preemptions = counts.preemptions,
		.longest_turn_ns = loop_longest_turn_ns(c->config.loop),
	};
	load_progress(c, &out->load_done_bytes, &out->load_total_bytes);
	count_jobs(c, out);
}

static double bubble_ratio(const struct coordinator *c, const struct member *member)
{
	uint64_t active_ns = c->active_ns;
	double ratio;

	if (c->active_since_ns)
		active_ns += loop_now_ns(c->config.loop) - c->active_since_ns;
	if (!active_ns || !member->steps)
		return 0.0;
	ratio = 1.0 - (double)member->busy_ns / (double)active_ns;
	return ratio < 0.0 ? 0.0 : ratio;
}

void coordinator_stage_status(const struct coordinator *c, unsigned stage,
			      struct stage_status *out)
{
	const struct member *member = members_get(c->members, stage);
	bool has_isa = c->plan && member->kernels.best_isa != CPU_AUTO;

	*out = (struct stage_status){
		.rank = member->rank,
		.pid = member->pid,
		.host = member->host,
		.backend = member->backend,
		.instruction_set = has_isa ? cpu_isa_name(members_common_isa(c->members)) : "",
		.best_instruction_set = has_isa ? cpu_isa_name(member->kernels.best_isa) : "",
		.first_layer = c->plan ? c->plan->stages[stage].first_layer : 0,
		.n_layers = c->plan ? c->plan->stages[stage].n_layers : 0,
		.weight_bytes = member->weight_bytes,
		.kv_bytes = member->kv_bytes,
		.steps = member->steps,
		.rows = member->rows,
		.busy_seconds = clock_seconds(member->busy_ns),
		.waiting_seconds = clock_seconds(member->waiting_ns),
		.sending_seconds = clock_seconds(member->sending_ns),
		.bubble_ratio = bubble_ratio(c, member),
		.heard_ms_ago = (loop_now_ns(c->config.loop) - member->heard_ns) / NS_PER_MS,
		.kv_saturated = member->kv_saturated,
	};
}
