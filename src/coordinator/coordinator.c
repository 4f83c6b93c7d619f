/* SPDX-License-Identifier: Apache-2.0 */
#include "coordinator/coordinator_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* How long workers may take to leave after Stop. */
#define STOP_MS 3000

static const char *const phase_names[] = {
	[COORDINATOR_CONNECTING] = "connecting",
	[COORDINATOR_LOADING] = "loading",
	[COORDINATOR_PROBING] = "probing",
	[COORDINATOR_READY] = "ready",
	[COORDINATOR_RECOVERING] = "recovering",
	[COORDINATOR_DRAINING] = "draining",
	[COORDINATOR_STOPPED] = "stopped",
	[COORDINATOR_FAILED] = "failed",
};

/* [from][to] */
static const bool is_legal[COORDINATOR_N_PHASES][COORDINATOR_N_PHASES] = {
	[COORDINATOR_CONNECTING] = {
		[COORDINATOR_LOADING] = true,
		[COORDINATOR_DRAINING] = true,
		[COORDINATOR_FAILED] = true,
	},
	[COORDINATOR_LOADING] = {
		[COORDINATOR_PROBING] = true,
		[COORDINATOR_RECOVERING] = true,
		[COORDINATOR_DRAINING] = true,
		[COORDINATOR_FAILED] = true,
	},
	[COORDINATOR_PROBING] = {
		[COORDINATOR_READY] = true,
		[COORDINATOR_RECOVERING] = true,
		[COORDINATOR_DRAINING] = true,
		[COORDINATOR_FAILED] = true,
	},
	[COORDINATOR_READY] = {
		[COORDINATOR_RECOVERING] = true,
		[COORDINATOR_DRAINING] = true,
		[COORDINATOR_FAILED] = true,
	},
	[COORDINATOR_RECOVERING] = {
		[COORDINATOR_READY] = true,
		[COORDINATOR_DRAINING] = true,
		[COORDINATOR_FAILED] = true,
	},
	[COORDINATOR_DRAINING] = {
		[COORDINATOR_STOPPED] = true,
		[COORDINATOR_FAILED] = true,
	},
};

bool coordinator_may_become(enum coordinator_phase from, enum coordinator_phase to)
{
	return is_legal[from][to];
}

const char *coordinator_phase_name(enum coordinator_phase phase)
{
	return phase_names[phase];
}

static void tell_phase(struct coordinator *c)
{
	c->config.on_phase(c->config.arg, c->phase,
			   c->phase == COORDINATOR_FAILED ? &c->error : NULL);
}

static void change_phase(struct coordinator *c, enum coordinator_phase phase)
{
	assert(coordinator_may_become(c->phase, phase));
	c->phase = phase;
}

void coordinator_set_phase(struct coordinator *c, enum coordinator_phase phase)
{
	change_phase(c, phase);
	tell_phase(c);
}

static void end_all_jobs(struct coordinator *c, enum job_state state, const struct error *err)
{
	list_for_each(node, &c->jobs.active)
		coordinator_end_job(c, list_entry(node, struct job, active_node), state, err);
	jobs_tell(&c->jobs);
}

static void fail(struct coordinator *c, const struct error *err)
{
	struct error lost;

	if (c->phase >= COORDINATOR_STOPPED)
		return;
	c->error = *err;
	change_phase(c, COORDINATOR_FAILED);	/* before watchers are called, because they may
						 * submit again */
	error_set(&lost, SC_E_UNAVAILABLE, "%s", err->text);
	end_all_jobs(c, JOB_FAILED, &lost);
	coordinator_stop_watching_loading(c);
	watchdog_reset(&c->watchdog);
	timer_stop(c->seek_timer);
	members_stop(c->members, err->status, err->text);
	tell_phase(c);
	counters_check(&c->counters);
}

/* --- steps --- */

/* Sends a step. Returns false if there is no credit (the frame is kept for later) or the epoch is
 * over. */
static bool send_step(struct coordinator *c, struct frame *frame)
{
	enum sc_status status = ring_send(c->epoch->ring, frame);
	struct error err;

	c->epoch->unsent = NULL;
	if (status == SC_AGAIN) {
		c->epoch->unsent = frame;
		return false;
	}
	if (status == SC_OK)
		return true;
	if (status != SC_E_CLOSED)	/* for SC_E_CLOSED, on_down reports the reason */
		error_set(&err, status, "stage 1: a step of %u bytes cannot be sent: %s",
			  frame->n_bytes, sc_status_name(status));
	frame_release(frame);
	if (status != SC_E_CLOSED)
		coordinator_replace_epoch(c, &err);
	return false;
}

/* The pool has one frame per step in flight plus one. A link may release a frame long after its
 * step was answered; then try again soon. */
static bool has_frame(struct coordinator *c)
{
	if (frame_pool_n_free(c->epoch->step_pool))
		return true;
	if (scheduler_counts(c->epoch->scheduler).in_flight < c->epoch->window)
		wake_send(c->settle_soon);
	return false;
}

static bool has_steps(const struct coordinator *c)
{
	return c->epoch && c->epoch->state >= EPOCH_PROBING && c->phase < COORDINATOR_STOPPED;
}

void coordinator_pump(struct coordinator *c)
{
	struct frame *frame;
	struct step step;

	if (!has_steps(c) || (c->epoch->unsent && !send_step(c, c->epoch->unsent)))
		return;
	while (has_frame(c) && scheduler_next(c->epoch->scheduler, clock_ns(), &step)) {
		frame = frame_take(c->epoch->step_pool, FRAME_STEP);
		frame->epoch = c->epoch->number;
		frame->n_bytes = (uint32_t)step_bytes(&step);
		step_encode(&step, frame_payload(frame));
		if (!send_step(c, frame))
			break;
	}
	if (c->epoch)
		epoch_note_activity(c->epoch, loop_now_ns(c->config.loop));
	coordinator_watch_steps(c);
}

static void finish_probe(struct coordinator *c)
{
	c->load_ms = (clock_ns() - c->loading_ns) / NS_PER_MS;
	epoch_run(c->epoch);
	coordinator_note_running(c);
	coordinator_resume(c);
	if (c->phase < COORDINATOR_DRAINING)
		coordinator_set_phase(c, COORDINATOR_READY);
}

static bool take_token(void *arg, struct sequence *sequence, const struct token_record *record,
		       const struct token_top *tops)
{
	struct coordinator *c = arg;

	if (record->fault)
		coordinator_take_fault(c, sequence, record);
	if (record->fault || sequence == &c->epoch->probe)
		return false;
	coordinator_measure_token(c, sequence);
	return coordinator_take_token(c, sequence, record, tops);
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

/* Called after jobs changed: uses the room that they left, then calls the watchers. */
static void settle(void *arg)
{
	struct coordinator *c = arg;

	if (c->jobs.is_recovering && !c->suspect && c->epoch && c->epoch->state == EPOCH_RUNNING)
		coordinator_resume(c);
	coordinator_pump(c);
	jobs_tell(&c->jobs);
	stop_when_drained(c);
	coordinator_grow_if_idle(c);
}

static void on_dirty(void *arg)
{
	struct coordinator *c = arg;

	wake_send(c->settle_soon);
}

/* The last stage sent what is no answer. */
static void blame_last_stage(struct coordinator *c, const struct error *err)
{
	struct member *last = members_of_stage(c->members, c->epoch->plan->n_stages - 1);

	if (last)
		members_lose(c->members, last, err->status, err->text);
	else
		fail(c, err);
}

static void take_tokens(struct coordinator *c, const struct frame *frame)
{
	struct tokens tokens;
	struct error err;
	uint64_t n_rows;

	if (!has_steps(c) || frame->epoch != c->epoch->number)
		return;
	n_rows = scheduler_counts(c->epoch->scheduler).rows;
	if (tokens_decode(frame_payload(frame), frame->n_bytes, &c->epoch->limits, &tokens, &err) ||
	    scheduler_take(c->epoch->scheduler, clock_ns(), &tokens, take_token, c,
			   &err) != SC_OK) {
		blame_last_stage(c, &err);
		return;
	}
	if (c->epoch->state == EPOCH_RUNNING)
		metrics_note_step(&c->metrics,
				  scheduler_counts(c->epoch->scheduler).rows - n_rows);
	watchdog_note_answer(&c->watchdog);
	coordinator_watch_steps(c);
	counters_note_step(&c->counters, tokens.step_id);
	if (c->epoch->state == EPOCH_PROBING)
		finish_probe(c);
	settle(c);
}

void coordinator_on_tokens(void *arg, struct frame *frame)
{
	take_tokens(arg, frame);
	frame_release(frame);
}

void coordinator_on_credit(void *arg)
{
	coordinator_pump(arg);
}

void coordinator_on_link_down(void *arg, unsigned peer, enum sc_status status, const char *why)
{
	struct coordinator *c = arg;
	struct member *member = members_of_stage(c->members, peer - 1);

	if (status == SC_E_PROTOCOL && member)
		members_lose(c->members, member, status, why);
	else
		members_suspect_link(c->members, 0, peer, why);
}

/* --- workers --- */

static void on_joined(void *arg, struct member *member)
{
	struct coordinator *c = arg;
	char name[256];

	hello_name(&member->hello, name, sizeof name);
	if (c->config.has_fixed_workers)
		log_debug("%s is here", name);
	else
		log_info("%s is here", name);
	if (c->config.warms_spares && c->epoch && c->epoch->state == EPOCH_RUNNING)
		coordinator_warm_spares(c);
	/* If it is in quarantine, members_await does not count it, but it may be the last resort. */
	if (c->seek_until_ns)
		coordinator_seek(c);
}

static void on_refused(void *arg, const struct error *err)
{
	struct coordinator *c = arg;

	if (c->config.has_fixed_workers && c->phase == COORDINATOR_CONNECTING)
		fail(c, err);
	else
		log_warning("refused: %s", err->text);
}

static void on_counters(void *arg)
{
	struct coordinator *c = arg;

	coordinator_note_bubbles(c);
	counters_check(&c->counters);
}

static void on_gone(void *arg)
{
	struct coordinator *c = arg;

	if (c->phase == COORDINATOR_DRAINING)
		coordinator_set_phase(c, COORDINATOR_STOPPED);
}

static void replace_lost(struct coordinator *c, const struct member *member,
			 const struct error *err)
{
	snprintf(c->lost_worker, sizeof c->lost_worker, "%s", member->hello.worker_id);
	coordinator_replace_epoch(c, err);
}

/* Before the first epoch runs, nobody takes the place of a worker that a launcher started. One that
 * dies while it loads has none either, but the others may be able to hold the model. Other weights
 * are a mistake that somebody has to mend. */
static bool ends_start(const struct coordinator *c, const struct member *member)
{
	return c->config.has_fixed_workers &&
	       (c->phase == COORDINATOR_CONNECTING ||
		(c->phase < COORDINATOR_READY && member_is_barred(member)));
}

static void on_lost(void *arg, struct member *member, const struct error *err)
{
	struct coordinator *c = arg;

	if (ends_start(c, member))
		fail(c, err);
	else if (c->epoch && member->stage != MEMBER_NO_STAGE)
		replace_lost(c, member, err);
	else
		log_warning("%s", err->text);
	/* One worker less is here: the number that is awaited has changed. */
	if (c->seek_until_ns)
		coordinator_seek(c);
}

static void on_broken_pair(void *arg, const struct link_fault *fault)
{
	struct coordinator *c = arg;
	const char *ids[2] = { "", "" };
	struct error err;

	for (int i = 0; i < 2; i++) {
		struct member *member = fault->peers[i] ?
					members_of_stage(c->members, fault->peers[i] - 1) : NULL;

		if (member)
			ids[i] = member->hello.worker_id;
	}
	if (link_faults_note(&c->link_faults, ids[0], ids[1], loop_now_ns(c->config.loop)))
		log_warning("workers %s and %s: their data link broke again, so they are kept apart",
			    *ids[0] ? ids[0] : "coordinator", *ids[1] ? ids[1] : "coordinator");
	error_set(&err, SC_E_CLOSED, "%s", fault->text);
	coordinator_replace_epoch(c, &err);
}

/* --- deadlines --- */

static void expire_jobs(struct coordinator *c, uint64_t now_ns)
{
	struct error err;

	list_for_each(node, &c->jobs.active) {
		struct job *job = list_entry(node, struct job, active_node);

		if (!job->deadline_ns || job->deadline_ns > now_ns)
			continue;
		error_set(&err, SC_E_DEADLINE, "cancelled: the time limit of %.10g s expired",
			  (double)job->deadline_ms / 1e3);
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
			on_gone(c);	/* workers that are still there hang */
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

static void note_limits(struct coordinator *c)
{
	limit_set(&c->refused, LIMIT_QUEUE, c->config.max_queue);
	limit_set(&c->refused, LIMIT_JOB_MEMORY, c->config.max_job_bytes);
	limit_set(&c->refused, LIMIT_CONTEXT, c->limits.max_context);
	limit_set(&c->refused, LIMIT_SEQUENCES, JOB_MAX_SEQUENCES);
	limit_set(&c->refused, LIMIT_STOPS, JOB_MAX_STOPS);
	limit_set(&c->refused, LIMIT_STOP_BYTES, JOB_MAX_STOP_BYTES);
	limit_set(&c->refused, LIMIT_STOP_TOKENS, JOB_MAX_STOP_TOKENS);
	limit_set(&c->refused, LIMIT_BIASES, JOB_MAX_BIASES);
	limit_set(&c->refused, LIMIT_TOP_LOGPROBS, JOB_MAX_TOP_LOGPROBS);
	limit_set(&c->refused, LIMIT_BREAKERS, JOB_MAX_DRY_BREAKERS);
	limit_set(&c->refused, LIMIT_KEPT_JOBS, c->jobs.keep_ended);
}

static enum sc_status create_members(struct coordinator *c, struct error *err)
{
	const struct coordinator_config *own = &c->config;
	struct members_config config = {
		.loop = own->loop,
		.incarnation = random_id(),
		.hashes = c->hashes,
		.wish = { own->model->fingerprint, own->model->samples, own->fabrics.name },
		.limits = coordinator_stage_limits(own),
		.n_groups = own->model->n_groups,
		.heartbeat_ms = own->heartbeat_ms,
		.deadline_ms = own->deadline_ms,
		.allows_mixed_backends = own->allows_mixed_backends,
		.resources = own->resources,
		.own_bytes = own->own_bytes,
		.on_joined = on_joined,
		.on_refused = on_refused,
		.on_lost = on_lost,
		.on_opened = coordinator_on_opened,
		.on_progress = coordinator_on_progress,
		.on_ready = coordinator_on_ready,
		.on_counters = on_counters,
		.on_link_down = on_broken_pair,
		.on_enough = coordinator_on_enough,
		.on_short = coordinator_on_short,
		.on_gone = on_gone,
		.arg = c,
	};
	enum sc_status status = members_create(&config, &c->members, err);

	if (status != SC_OK)
		return status;
	members_await(c->members, own->n_stages, own->start_ms);
	if (counters_init(&c->counters, own->loop, c->members) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory for the coordinator");
	return SC_OK;
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
	c->started_ns = loop_now_ns(config->loop);
	jobs_init(&c->jobs, config->keep_jobs);
	c->jobs.max_bytes = config->max_job_bytes;
	c->jobs.refused = &c->refused;
	c->jobs.on_unwatched = on_unwatched;
	c->jobs.on_dirty = on_dirty;
	c->jobs.arg = c;
	c->limits = coordinator_widest_limits(config);
	metrics_init(&c->metrics, c->limits.max_context);
	note_limits(c);
	status = step_limits_check(&c->limits, err);
	if (status == SC_OK &&
	    (tensor_hashes_create(config->model, &c->hashes) != SC_OK ||
	     coordinator_find_ends(c) != SC_OK))
		status = error_set(err, SC_E_NOMEM, "out of memory for the coordinator");
	if (status == SC_OK)
		status = create_members(c, err);
	if (status == SC_OK &&
	    (timer_create_on(config->loop, on_deadline, c, &c->deadline_timer) != SC_OK ||
	     timer_create_on(config->loop, coordinator_seek, c, &c->seek_timer) != SC_OK ||
	     wake_create(config->loop, settle, c, &c->settle_soon) != SC_OK ||
	     coordinator_init_watch(c) != SC_OK))
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
	c->phase = COORDINATOR_STOPPED;	/* so that watchers cannot submit any more */
	error_set(&err, SC_E_UNAVAILABLE, "the coordinator is shutting down");
	end_all_jobs(c, JOB_FAILED, &err);
	jobs_deinit(&c->jobs);
	counters_deinit(&c->counters);
	epoch_destroy(c->epoch);
	members_destroy(c->members);
	tensor_hashes_destroy(c->hashes);
	token_list_deinit(&c->ends);
	wake_destroy(c->settle_soon);
	timer_destroy(c->deadline_timer);
	timer_destroy(c->seek_timer);
	coordinator_deinit_watch(c);
	plan_destroy(c->last_plan);
	plan_change_deinit(&c->change);
	free(c);
}

void coordinator_accept(struct coordinator *c, struct channel *channel)
{
	members_accept(c->members, channel);
}

void coordinator_drain(struct coordinator *c, uint32_t timeout_ms)
{
	if (c->phase >= COORDINATOR_DRAINING)
		return;
	c->drain_until_ns = loop_now_ns(c->config.loop) + timeout_ms * NS_PER_MS;
	coordinator_set_phase(c, COORDINATOR_DRAINING);
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
