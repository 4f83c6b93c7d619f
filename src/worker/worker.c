/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/worker_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "worker/sizes.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Until the coordinator's Welcome says otherwise. */
#define GREETING_BEAT_MS 1000
#define GREETING_DEADLINE_MS 15000
#define MAX_PERIOD_MS 86400000u
#define HANG_MS 20000	/* a thread that does not end within this time hangs */
/* As in coordinator/members_watch.c. */
enum { POLLS_BEFORE_VERDICT = 2 };

void worker_send(const struct worker *worker, const control_message *message)
{
	/* A channel that takes nothing goes down by itself. */
	if (worker->channel && !worker->is_ended && channel_send(worker->channel, message) != SC_OK)
		return;
}

static void end(struct worker *worker, const struct error *err)
{
	if (worker->is_ended)
		return;
	worker->is_ended = true;
	timer_stop(worker->heartbeat);
	worker->config.on_end(worker->config.arg, err);
}

static void close_channel(struct worker *worker)
{
	timer_stop(worker->heartbeat);
	worker_end_epoch(worker);
	channel_close(worker->channel);
	worker->channel = NULL;
	worker->is_welcome = false;
	worker->n_polls_left = 0;
}

static void detach(struct worker *worker, enum worker_detachment why, const struct error *err)
{
	if (worker->is_ended)
		return;
	close_channel(worker);
	worker->config.on_detached(worker->config.arg, why, err);
}

/* --- the coordinator's messages --- */

static void lose_protocol(struct worker *worker, const char *what)
{
	struct error err;

	error_set(&err, SC_E_PROTOCOL, "coordinator: %s", what);
	detach(worker, WORKER_LOST, &err);
}

/* limits may be NULL, as an incomplete message has them. */
static void say_sizes(struct worker *worker, const Stagecoach__Cluster__V1__StageLimits *limits)
{
	struct worker_sizes sizes;
	struct error err;

	if (worker_sizes_for(&worker->config, worker->best_isa, limits, &sizes, &err) == SC_OK) {
		worker_send(worker, &sizes.message);
		return;
	}
	worker_say_failed(worker, 0, &err);
	detach(worker, WORKER_REFUSED, &err);
}

static void take_welcome(struct worker *worker, const Stagecoach__Cluster__V1__Welcome *welcome)
{
	if (!welcome->heartbeat_ms || welcome->heartbeat_ms > MAX_PERIOD_MS ||
	    welcome->deadline_ms < welcome->heartbeat_ms || welcome->deadline_ms > MAX_PERIOD_MS) {
		lose_protocol(worker, "its Welcome has a heartbeat or a deadline that cannot be: "
			      "expected at least 1 ms, and a deadline of at least one heartbeat");
		return;
	}
	worker->is_welcome = true;
	/* Epochs are counted by one life of a coordinator. */
	if (worker->coordinator != welcome->incarnation)
		worker->last_epoch = 0;
	worker->coordinator = welcome->incarnation;
	worker->heartbeat_ms = welcome->heartbeat_ms;
	worker->deadline_ms = welcome->deadline_ms;
	worker->beat_ns = loop_now_ns(worker->config.loop);
	timer_start(worker->heartbeat, worker->heartbeat_ms, worker->heartbeat_ms);
	say_sizes(worker, welcome->limits);
}

static enum sc_status status_of(uint32_t number)
{
	return number < SC_N_STATUS ? (enum sc_status)number : SC_E_INTERNAL;
}

static void take_refused(struct worker *worker, const Stagecoach__Cluster__V1__Refused *refused)
{
	enum sc_status status = status_of(refused->status);
	struct error err;

	error_set(&err, status == SC_OK ? SC_E_INTERNAL : status, "the coordinator refuses this "
		  "worker: %s", refused->text);
	detach(worker, WORKER_REFUSED, &err);
}

static void take_stop(struct worker *worker, const Stagecoach__Cluster__V1__Stop *stop)
{
	struct error err;

	log_debug("stop: %s", stop->reason);
	error_set(&err, status_of(stop->status), "%s", stop->reason);
	if (worker->epoch.number)
		worker_say_heartbeat(worker, 0);	/* sends the final counters */
	if (worker->config.outlives_stop) {
		error_set(&err, SC_E_CLOSED, "the coordinator has stopped: %s", stop->reason);
		detach(worker, WORKER_LOST, &err);
		return;
	}
	worker->is_stopped = true;
	end(worker, &err);
}

static void take_message(struct worker *worker, const control_message *message)
{
	switch (message->body_case) {
	case CONTROL_BODY(ASSIGN): worker_take_assign(worker, message->assign); break;
	case CONTROL_BODY(CONNECT): worker_take_connect(worker, message->connect); break;
	case CONTROL_BODY(RELEASE): worker_take_release(worker, message->release); break;
	case CONTROL_BODY(REFUSED): take_refused(worker, message->refused); break;
	case CONTROL_BODY(PRELOAD): worker_take_preload(worker, message->preload); break;
	case CONTROL_BODY(HEARTBEAT):
		if (message->heartbeat->wants_counters)
			worker_say_heartbeat(worker, message->heartbeat->question);
		break;
	default: break;		/* for coordinators */
	}
}

static void on_message(void *arg, struct channel *channel, const control_message *message)
{
	struct worker *worker = arg;

	(void)channel;
	if (worker->is_ended)
		return;
	worker->heard_ns = loop_now_ns(worker->config.loop);
	if (message->body_case == CONTROL_BODY(STOP))
		take_stop(worker, message->stop);
	else if (worker->is_welcome)
		take_message(worker, message);
	else if (message->body_case == CONTROL_BODY(WELCOME))
		take_welcome(worker, message->welcome);
	else if (message->body_case == CONTROL_BODY(REFUSED))
		take_refused(worker, message->refused);
	else
		lose_protocol(worker, "its first message is neither Welcome nor Refused");
}

static void on_down(void *arg, struct channel *channel, enum sc_status status, const char *why)
{
	struct error err;

	(void)channel;
	error_set(&err, status, "coordinator lost: %s", why);
	detach(arg, WORKER_LOST, &err);
}

static const struct channel_events channel_events = { on_message, on_down };

/* --- silence --- */

static bool is_silent(const struct worker *worker)
{
	return worker->channel && !worker->is_ended &&
	       (loop_now_ns(worker->config.loop) - worker->heard_ns) / NS_PER_MS >
	       worker->deadline_ms;
}

static void judge_silence(struct worker *worker)
{
	uint64_t silent_ms = (loop_now_ns(worker->config.loop) - worker->heard_ns) / NS_PER_MS;
	struct error err;

	if (!is_silent(worker))
		return;
	error_set(&err, SC_E_TIMEOUT, "coordinator: silent for %llu ms, expected a message within "
		  "%u ms", (unsigned long long)silent_ms, worker->deadline_ms);
	detach(worker, WORKER_LOST, &err);
}

/* The deadline has passed. A timer may fire before the loop has looked at the socket that holds the
 * awaited message. Two turns of the loop look at all of them. */
static void poll_again(void *arg)
{
	struct worker *worker = arg;

	if (!worker->n_polls_left)
		return;
	if (--worker->n_polls_left)
		wake_send(worker->judge);
	else
		judge_silence(worker);
}

/* While this process was suspended, the coordinator's messages were not read, so do not count that
 * time as silence. */
static void forgive(struct worker *worker)
{
	uint64_t now_ns = loop_now_ns(worker->config.loop);
	uint64_t late_ms = (now_ns - worker->beat_ns) / NS_PER_MS;

	worker->beat_ns = now_ns;
	if (late_ms > worker->heartbeat_ms + worker->deadline_ms / 2)
		worker->heard_ns = now_ns;
}

static void beat(void *arg)
{
	struct worker *worker = arg;

	forgive(worker);
	if (is_silent(worker) && !worker->n_polls_left) {
		worker->n_polls_left = POLLS_BEFORE_VERDICT;
		wake_send(worker->judge);
	}
	if (worker->is_welcome) {
		worker_say_heartbeat(worker, 0);
		worker_take_news(worker);
	}
}

static void on_news(void *arg)
{
	worker_take_news(arg);
}

/* --- channels --- */

void worker_attach(struct worker *worker, struct channel *channel)
{
	uint64_t now_ns = loop_now_ns(worker->config.loop);

	if (worker->is_ended) {
		channel_close(channel);
		return;
	}
	close_channel(worker);
	worker->channel = channel;
	worker->heard_ns = worker->beat_ns = now_ns;
	worker->heartbeat_ms = GREETING_BEAT_MS;
	worker->deadline_ms = GREETING_DEADLINE_MS;
	channel_watch(channel, &channel_events, worker);
	timer_start(worker->heartbeat, worker->heartbeat_ms, worker->heartbeat_ms);
	worker_say_hello(worker);
}

bool worker_is_attached(const struct worker *worker)
{
	return worker->channel;
}

void worker_drop_weights(struct worker *worker)
{
	struct error err;

	if (worker->channel || !worker->compute)
		return;
	if (compute_drop_weights(worker->compute, &err) != SC_OK)
		log_warning("weights stay in memory: %s", err.text);
}

void worker_abort(struct worker *worker, const struct error *err)
{
	if (worker->is_ended)
		return;
	worker_say_failed(worker, 0, err);
	end(worker, err);
}

void worker_leave(struct worker *worker, const char *reason)
{
	struct error err;

	if (worker->is_ended)
		return;
	worker_say_bye(worker, reason);
	error_set(&err, SC_OK, "%s", reason);
	end(worker, &err);
}

bool worker_is_stopped(const struct worker *worker)
{
	return worker->is_stopped;
}

/* --- life --- */

static enum sc_status set_up(struct worker *worker, struct error *err)
{
	const struct worker_config *config = &worker->config;

	if (wake_create(config->loop, on_news, worker, &worker->wake) != SC_OK ||
	    wake_create(config->loop, poll_again, worker, &worker->judge) != SC_OK ||
	    timer_create_on(config->loop, beat, worker, &worker->heartbeat) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory for a worker");
	loop_spin(config->loop, config->spin_us);
	return config->backend->has_isa ? cpu_isa_select(config->isa, &worker->best_isa, err)
					: SC_OK;
}

enum sc_status worker_create(const struct worker_config *config, struct worker **worker_out,
			     struct error *err)
{
	struct worker *worker = calloc(1, sizeof *worker);
	enum sc_status status;

	assert(*config->id && strlen(config->id) < sizeof worker->id);
	if (!worker)
		return error_set(err, SC_E_NOMEM, "out of memory for a worker");
	worker->config = *config;
	snprintf(worker->id, sizeof worker->id, "%s", config->id);
	worker->config.id = worker->id;
	if (config->resources)
		worker->resources = *config->resources;
	worker->incarnation = random_id();
	status = set_up(worker, err);
	if (status != SC_OK) {
		(void)worker_destroy(worker);
		return status;
	}
	*worker_out = worker;
	return SC_OK;
}

enum sc_status worker_destroy(struct worker *worker)
{
	enum sc_status status;
	struct error err;

	if (!worker)
		return SC_OK;
	worker->is_ended = true;
	worker_end_epoch(worker);
	status = compute_destroy(worker->compute, HANG_MS, &err);
	if (status != SC_OK)
		log_error("%s", err.text);
	channel_close(worker->channel);
	timer_destroy(worker->heartbeat);
	wake_destroy(worker->judge);
	wake_destroy(worker->wake);
	free(worker);
	return status;
}
