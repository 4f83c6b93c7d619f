/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/pipeline/chaos.h"

#include "base/clock.h"

#include "tests/pipeline/chaos_computing.h"
#include "tests/pipeline/rig.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HANG_NS (30 * NS_PER_SECOND)
#define REFUSED_TICKS 80	/* until a worker that was refused dials again */
#define TWIN_TICKS 200

/* --- workers --- */

static void on_end(void *arg, const struct error *err)
{
	struct node *node = arg;

	chaos_log("worker %s: ends: %s", node->id, err->status == SC_OK ? "stopped" : err->text);
	node->is_over = true;
}

static void on_detached(void *arg, enum worker_detachment why, const struct error *err)
{
	struct node *node = arg;
	struct chaos *chaos = node->chaos;

	chaos_log("worker %s: detached: %s", node->id, err->text);
	if (node->is_twin)
		node->dies_at = chaos->ticks + 1;
	else
		node->dial_at = chaos->ticks + 1 +
				(why == WORKER_REFUSED ? REFUSED_TICKS
						       : chaos_draw(&chaos->random, 12));
}

void node_start(struct node *node)
{
	struct chaos *chaos = node->chaos;
	struct worker_config config = {
		.loop = chaos->loop, .id = node->id, .fabrics = net_source(&node->port),
		.model = rig_model()->model, .backend = backend_find("cpu"), .n_threads = 1,
		.on_end = on_end, .on_detached = on_detached, .arg = node,
	};
	struct error err;

	if (worker_create(&config, &node->worker, &err) != SC_OK)
		chaos_fail("%s", err.text);
	node->n_lives++;
	node->is_over = false;
	node->back_at = 0;
	node_dial(node);
	if (node->is_twin)
		node->dies_at = chaos->ticks + TWIN_TICKS;
}

void node_kill(struct node *node)
{
	if (worker_destroy(node->worker) != SC_OK)
		chaos_fail("worker %s: its thread hangs", node->id);
	node->worker = NULL;
	node->dial_at = node->dies_at = 0;
}

void node_dial(struct node *node)
{
	struct channel *ends[2];

	net_dial(node->chaos->net, node->port.host, ends);
	coordinator_accept(node->chaos->coordinator, ends[0]);
	worker_attach(node->worker, ends[1]);
	node->dial_at = 0;
}

static void keep(struct node *node)
{
	const uint64_t ticks = node->chaos->ticks;

	if (node->worker && node->dies_at && node->dies_at <= ticks) {
		chaos_log("twin of %s: dies", node->id);
		node_kill(node);
	} else if (node->worker && node->dial_at && node->dial_at <= ticks && !node->is_over) {
		chaos_log("worker %s: dials", node->id);
		node_dial(node);
	} else if (!node->worker && node->back_at && node->back_at <= ticks) {
		chaos_log("worker %s: life %u", node->id, node->n_lives + 1);
		node_start(node);
	}
}

void cluster_keep(struct chaos *chaos)
{
	for (unsigned i = 0; i < chaos->n_nodes; i++)
		keep(&chaos->nodes[i]);
}

/* --- computing --- */

bool cluster_is_computing(const struct chaos *chaos)
{
	for (unsigned i = 0; i < chaos->n_nodes; i++) {
		const struct node *node = &chaos->nodes[i];

		if (node->worker &&
		    worker_is_computing(node->worker, net_traffic(chaos->net, node->port.host)))
			return true;
	}
	return false;
}

void cluster_settle(struct chaos *chaos)
{
	const struct timespec pause = { .tv_nsec = 20000 };
	const uint64_t until_ns = clock_ns() + HANG_NS;

	manual_clock_settle(chaos->clock);
	while (chaos->scenario.is_strict && cluster_is_computing(chaos)) {
		if (clock_ns() > until_ns)
			chaos_fail("a compute thread hangs");
		nanosleep(&pause, NULL);
		manual_clock_settle(chaos->clock);
	}
}

/* --- jobs --- */

static void note_output(struct chaos_job *seen, const struct job *job, uint32_t i,
			uint32_t n_new_losses)
{
	const uint32_t n_tokens = job_output(job, i)->n_tokens;

	if (n_tokens < seen->n_tokens[i])
		chaos_fail("%s: output %u has %u tokens after %u", job_id(job), i, n_tokens,
			   seen->n_tokens[i]);
	if (n_tokens > seen->n_tokens[i] && !n_new_losses)
		seen->n_in_a_row[i] = 0;
	seen->n_in_a_row[i] += n_new_losses;
	seen->chaos->n_tokens += n_tokens - seen->n_tokens[i];
	seen->n_tokens[i] = n_tokens;
}

/* A client sees each token once, and in order. */
static void on_change(void *arg, struct job *job)
{
	struct chaos_job *seen = arg;
	const uint32_t n_losses = job_recovery(job).n_losses;
	char why[200];

	if (n_losses < seen->n_losses)
		chaos_fail("%s: %u losses after %u", job_id(job), n_losses, seen->n_losses);
	if (!chaos_kind_check(&seen->chaos->kinds[seen->kind], job, why))
		chaos_fail("%s (kind %u): %s", job_id(job), seen->kind, why);
	for (uint32_t i = 0; i < job_n_outputs(job); i++)
		note_output(seen, job, i, n_losses - seen->n_losses);
	seen->n_losses = n_losses;
}

static bool may_refuse(const struct chaos *chaos)
{
	return chaos->phase != COORDINATOR_READY && chaos->phase != COORDINATOR_RECOVERING;
}

struct chaos_job *cluster_submit(struct chaos *chaos, unsigned kind)
{
	struct chaos_job *job = &chaos->jobs[chaos->n_jobs];
	struct error err;

	if (chaos->n_jobs == CHAOS_MAX_RUN_JOBS)
		return NULL;
	*job = (struct chaos_job){ .chaos = chaos, .kind = kind };
	if (job_submit(chaos->coordinator, &chaos->kinds[kind].request, &job->job, &err) != SC_OK) {
		if (!may_refuse(chaos) || err.status != SC_E_UNAVAILABLE)
			chaos_fail("refused while %s: %s", coordinator_phase_name(chaos->phase),
				   err.text);
		return NULL;
	}
	if (may_refuse(chaos))
		chaos_fail("accepted while %s", coordinator_phase_name(chaos->phase));
	job->watcher = (struct job_watcher){ .on_change = on_change, .arg = job };
	job_watch(job->job, &job->watcher);
	chaos_log("%s: kind %u", job_id(job->job), kind);
	chaos->n_jobs++;
	return job;
}

bool cluster_has_jobs(const struct chaos *chaos)
{
	for (unsigned i = 0; i < chaos->n_jobs; i++)
		if (!job_is_ended(chaos->jobs[i].job))
			return true;
	return false;
}

/* The error that a sequence may get that was in flight at three losses in a row. */
static bool is_suspect(const struct chaos_job *seen)
{
	const struct error *err = job_error(seen->job);

	if (err->status != SC_E_INTERNAL ||
	    !strstr(err->text, "was in flight at 3 losses in a row"))
		return false;
	for (uint32_t i = 0; i < job_n_outputs(seen->job); i++)
		if (seen->n_in_a_row[i] >= 3)
			return true;
	return false;
}

static void check_job(struct chaos *chaos, const struct chaos_job *seen)
{
	const struct job *job = seen->job;
	char why[200];

	if (!chaos_kind_check(&chaos->kinds[seen->kind], job, why))
		chaos_fail("%s (kind %u): %s", job_id(job), seen->kind, why);
	if (job_state(job) == JOB_DONE) {
		chaos->stats->n_done++;
	} else if (job_state(job) == JOB_CANCELLED && seen->is_cancelled) {
		chaos->stats->n_cancelled++;
	} else if (job_state(job) == JOB_FAILED && seen->may_be_lost &&
		   job_error(job)->status == SC_E_UNAVAILABLE) {
		chaos->stats->n_lost++;
	} else if (job_state(job) == JOB_FAILED && is_suspect(seen)) {
		chaos->stats->n_suspects++;
	} else {
		chaos_fail("%s (kind %u) is %s: %s", job_id(job), seen->kind,
			   job_state_name(job_state(job)), job_error(job)->text);
	}
}

void cluster_check_jobs(struct chaos *chaos)
{
	for (unsigned i = 0; i < chaos->n_jobs; i++)
		check_job(chaos, &chaos->jobs[i]);
}

void cluster_release_jobs(struct chaos *chaos)
{
	for (unsigned i = 0; i < chaos->n_jobs; i++) {
		job_unwatch(chaos->jobs[i].job, &chaos->jobs[i].watcher);
		job_release(chaos->jobs[i].job);
	}
	chaos->n_jobs = 0;
}

/* --- life --- */

static void on_phase(void *arg, enum coordinator_phase phase, const struct error *err)
{
	struct chaos *chaos = arg;

	chaos_log("coordinator: %s%s%s", coordinator_phase_name(phase), err ? ": " : "",
		  err ? err->text : "");
	chaos->phase = phase;
	if (err)
		chaos->error = *err;
}

void cluster_start_coordinator(struct chaos *chaos)
{
	const struct opened_model *model = rig_model();
	struct coordinator_config config = {
		.loop = chaos->loop, .fabrics = net_source(&chaos->port),
		.model = model->model, .tokenizer = model->tokenizer,
		.n_stages = chaos->scenario.n_stages, .survives_losses = true,
		.warms_spares = chaos->scenario.warms_spares,
		.max_rows = 32, .prompt_chunk = 24,
		/* Steps do not depend on the time that others took. */
		.max_gap_ms = 1000000,
		.max_sequences = 4, .max_queue = CHAOS_MAX_RUN_JOBS,
		.kv_positions = chaos->scenario.kv_positions, .block_length = 8,
		.heartbeat_ms = CHAOS_HEARTBEAT_MS, .deadline_ms = CHAOS_DEADLINE_MS,
		.start_ms = 30000, .keep_jobs = CHAOS_MAX_RUN_JOBS,
		.on_phase = on_phase, .arg = chaos,
	};
	struct error err;

	chaos->phase = COORDINATOR_CONNECTING;
	if (coordinator_create(&config, &chaos->coordinator, &err) != SC_OK)
		chaos_fail("%s", err.text);
}

void cluster_open(struct chaos *chaos)
{
	if (manual_clock_create(&chaos->clock) != SC_OK ||
	    loop_create_on(chaos->clock, &chaos->loop) != SC_OK)
		chaos_fail("out of memory");
	chaos->net = net_create(chaos->loop);
	chaos->port = (struct net_port){ chaos->net, 0 };
	cluster_start_coordinator(chaos);
	chaos->n_nodes = chaos->scenario.n_workers;
	for (unsigned i = 0; i < CHAOS_MAX_NODES; i++) {
		struct node *node = &chaos->nodes[i];

		node->chaos = chaos;
		node->port = (struct net_port){ chaos->net, i + 1 };
		snprintf(node->id, sizeof node->id, "w%u", i + 1);
		if (i < chaos->n_nodes)
			node_start(node);
	}
}

void cluster_close(struct chaos *chaos)
{
	const bool is_coordinator_first = chaos_draw(&chaos->random, 2);

	cluster_release_jobs(chaos);
	if (is_coordinator_first)
		coordinator_destroy(chaos->coordinator);
	for (unsigned i = 0; i < chaos->n_nodes; i++)
		if (chaos->nodes[i].worker)
			node_kill(&chaos->nodes[i]);
	if (!is_coordinator_first)
		coordinator_destroy(chaos->coordinator);
	manual_clock_settle(chaos->clock);
	net_destroy(chaos->net);
	loop_destroy(chaos->loop);
	manual_clock_destroy(chaos->clock);
}
