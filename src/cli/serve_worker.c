/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/serve.h"

#include "base/clock.h"
#include "base/log.h"
#include "cli/dial_in.h"
#include "cli/notify.h"
#include "engine/wiring.h"
#include "event/loop.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A worker whose launcher has ended waits this long before it tells the coordinator. If both have
 * the same launcher, the coordinator notices by itself, tells the clients and stops the workers.
 * The time is short because mpirun sends the coordinator SIGTERM when it loses an orted. If that
 * signal comes before the worker's word, clients are not told the cause. */
#define ORPHAN_MS 100
/* Turns of the loop that a closed channel gets for its last message. */
enum { FAREWELL_TURNS = 16 };

/* A worker that is refused dials again after this time. Somebody may have changed the coordinator. */
#define REFUSED_MS 30000
/* The same reason for a failed attempt to dial is logged once in this time. */
#define REPEAT_MS 60000

struct service {
	struct loop *loop;
	const struct serve_config *serve;
	bool is_launched;	/* by a launcher, which starts no other coordinator */
	struct worker *worker;	/* NULL at the end, while the loop still runs */
	struct channel_dialler *dialler;
	struct timer *lonely;	/* no channel to the coordinator for too long */
	struct timer *again;	/* time to dial again, after a refusal */
	struct timer *orphan;
	struct timer *watchdog;
	struct error launcher_end;
	struct error dial_error;	/* of the last attempt that was logged */
	uint64_t logged_ns;
	struct signal_watch *signals[3];
	int id_claim;		/* descriptor; -1: none */
	unsigned n_signals;
	bool is_lost;		/* the end is not in good order */
	int exit_code;
};

static void on_end(void *arg, const struct error *err)
{
	struct service *service = arg;

	service->is_lost = err->status != SC_OK;
	if (service->is_lost) {
		/* What ended elsewhere is told by the coordinator. */
		if (!worker_is_stopped(service->worker))
			log_error("%s", err->text);
		service->exit_code = sc_status_exit_code(err->status);
	}
	loop_stop(service->loop);
}

/* --- the coordinator --- */

static void end(struct service *service, const struct error *err)
{
	log_error("%s", err->text);
	service->exit_code = sc_status_exit_code(err->status);
	loop_stop(service->loop);
}

/* Links over MPI do not survive a loss, so there is nothing to come back to. */
static bool may_come_back(const struct service *service, enum worker_detachment why)
{
	if (!service->is_launched)
		return true;
	return why == WORKER_LOST && service->serve->cluster->fabrics.survives_losses;
}

static void dial_again(void *arg)
{
	struct service *service = arg;

	channel_dialler_again(service->dialler);
}

/* The weights stay in memory for a while: the coordinator may start again. */
static void on_detached(void *arg, enum worker_detachment why, const struct error *err)
{
	struct service *service = arg;

	if (!may_come_back(service, why)) {
		end(service, err);
		return;
	}
	timer_start(service->lonely, service->serve->config->rejoin_ms, 0);
	notify_status("Looking for the coordinator: %s", err->text);
	if (why == WORKER_REFUSED) {
		log_error("%s; the next attempt is in %d s", err->text, REFUSED_MS / 1000);
		timer_start(service->again, REFUSED_MS, 0);
	} else {
		log_warning("%s; looking for the coordinator", err->text);
		dial_again(service);
	}
}

static void on_up(void *arg, struct channel *channel, const char *key_id)
{
	struct service *service = arg;

	if (!service->worker) {
		channel_close(channel);
		return;
	}
	timer_stop(service->lonely);
	log_info("connected to the coordinator at %s, with key %s", channel_peer(channel), key_id);
	notify_status("Connected to the coordinator");
	service->dial_error.text[0] = '\0';
	worker_attach(service->worker, channel);
}

/* A launcher does not start another coordinator: where nobody listens any more, it has ended. */
static void on_failed(void *arg, const struct error *err, unsigned wait_ms)
{
	struct service *service = arg;
	uint64_t now_ns = loop_now_ns(service->loop);
	struct error ended;

	if (!service->worker)
		return;
	if (service->is_launched && err->status == SC_E_CLOSED) {
		error_set(&ended, SC_E_UNAVAILABLE, "the coordinator has ended: %s", err->text);
		end(service, &ended);
		return;
	}
	if (!strcmp(service->dial_error.text, err->text) &&
	    now_ns - service->logged_ns < REPEAT_MS * NS_PER_MS) {
		log_debug("%s; the next attempt is in %u ms", err->text, wait_ms);
		return;
	}
	service->dial_error = *err;
	service->logged_ns = now_ns;
	if (!service->is_launched)
		log_warning("%s; will try again", err->text);
}

static const struct channel_dialler_events dialler_events = { on_up, on_failed };

/* No coordinator has come for too long. */
static void on_lonely(void *arg)
{
	struct service *service = arg;
	struct error err;

	if (service->is_launched) {
		error_set(&err, SC_E_UNAVAILABLE, "the coordinator cannot be reached: %s",
			  *service->dial_error.text ? service->dial_error.text : "no answer");
		end(service, &err);
		return;
	}
	log_info("no coordinator for %u ms: the weights are dropped",
		 service->serve->config->rejoin_ms);
	worker_drop_weights(service->worker);
}

static enum sc_status dial(struct service *service, const struct serve_config *serve,
			   struct error *err)
{
	if (timer_create_on(service->loop, on_lonely, service, &service->lonely) != SC_OK ||
	    timer_create_on(service->loop, dial_again, service, &service->again) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory");
	if (service->is_launched)
		timer_start(service->lonely, serve->config->start_ms, 0);
	return cluster_dial(serve->cluster, service->loop, serve->config->deadline_ms,
			    &dialler_events, service, &service->dialler, err);
}

/* --- signals and the launcher --- */

/* A launcher signals every process: the coordinator drains and then stops its workers, so the first
 * signal means nothing here. The second one is for who has no patience. Without a launcher the
 * signal is for this worker alone. */
static void on_signal(void *arg, int signum)
{
	struct service *service = arg;

	if (!service->n_signals++) {
		if (!service->is_launched) {
			notify_stopping();
			worker_leave(service->worker, "it was told to end");
		}
		return;
	}
	service->exit_code = 128 + signum;
	loop_stop(service->loop);
}

/* Of a worker, only the keys can change. Under a launcher reloading is the coordinator's. */
static void on_reload(void *arg, int signum)
{
	struct service *service = arg;
	const struct serve_config *serve = service->serve;
	struct error err;

	(void)signum;
	if (service->is_launched || !service->dialler)
		return;
	if (cluster_reload_keys(serve->cluster, serve->config->cluster_key_file, service->dialler,
				&err) != SC_OK)
		log_error("reload: the old cluster keys stay in use: %s", err.text);
	else
		log_info("reload: the cluster keys were read again");
}

static void on_launcher_gone(void *arg, const struct error *err)
{
	struct service *service = arg;

	service->launcher_end = *err;
	timer_start(service->orphan, ORPHAN_MS, 0);
}

static void leave(void *arg)
{
	struct service *service = arg;

	worker_abort(service->worker, &service->launcher_end);
}

static enum sc_status watch_launcher(struct service *service, struct launcher *launcher,
				     struct error *err)
{
	if (timer_create_on(service->loop, leave, service, &service->orphan) != SC_OK ||
	    launcher_attach(launcher, service->loop, on_launcher_gone, service) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory");
	return SC_OK;
}

static enum sc_status create_worker(struct service *service, const struct serve_config *serve,
				    struct error *err)
{
	const struct cluster *cluster = serve->cluster;
	struct worker_config config;
	char id[CLUSTER_ID_MAX];
	enum sc_status status = wire_worker_config(serve->config, serve->opened->model, NULL,
						   &config, err);

	if (status == SC_OK)
		status = dial_in_claim_id(serve->config, cluster->rank, id, &service->id_claim,
					  err);
	if (status != SC_OK)
		return status;
	config.loop = serve->loop;
	config.fabrics = cluster->fabrics;
	config.id = id;
	config.launch_rank = cluster->rank;
	config.resources = &cluster->resources;
	config.outlives_stop = !service->is_launched;
	config.on_detached = on_detached;
	config.on_end = on_end;
	config.arg = service;
	return worker_create(&config, &service->worker, err);
}

static enum sc_status start(struct service *service, const struct serve_config *serve,
			    struct error *err)
{
	enum sc_status status;

	signal(SIGPIPE, SIG_IGN);	/* the log may have lost its reader: the launcher */
	status = signal_watch_create(serve->loop, SIGTERM, on_signal, service,
				     &service->signals[0], err);
	if (status == SC_OK)
		status = signal_watch_create(serve->loop, SIGINT, on_signal, service,
					     &service->signals[1], err);
	if (status == SC_OK)
		status = signal_watch_create(serve->loop, SIGHUP, on_reload, service,
					     &service->signals[2], err);
	if (status == SC_OK)
		status = create_worker(service, serve, err);
	if (status == SC_OK && service->is_launched)
		status = watch_launcher(service, serve->launcher, err);
	if (status == SC_OK)
		status = dial(service, serve, err);
	if (status == SC_OK && !service->is_launched) {
		/* The coordinator may come up later than this worker. */
		service->watchdog = notify_watchdog_start(service->loop);
		notify_ready();
	}
	return status;
}

/* The channel's last words are sent by the loop. */
static void flush(struct loop *loop)
{
	for (int i = 0; i < FAREWELL_TURNS; i++)
		loop_turn(loop, false);
}

/* Nothing calls the worker any more, except the dialler, whose channels have last words to send. */
static void leave_loop(struct service *service)
{
	timer_destroy(service->orphan);
	timer_destroy(service->lonely);
	timer_destroy(service->again);
	for (int i = 0; i < 3; i++)
		signal_watch_destroy(service->signals[i]);
}

static void stop(struct service *service, const struct serve_config *serve)
{
	serve->cluster->is_lost = service->is_lost;
	launcher_detach(serve->launcher);
	leave_loop(service);
	if (worker_destroy(service->worker) != SC_OK) {
		serve->cluster->is_lost = true;
		serve->cluster->must_exit = true;
	}
	service->worker = NULL;
	flush(serve->loop);
	channel_dialler_destroy(service->dialler);
	timer_destroy(service->watchdog);
	if (service->id_claim >= 0)
		close(service->id_claim);
}

int serve_worker(const struct serve_config *serve)
{
	struct service service = {
		.loop = serve->loop, .serve = serve, .is_launched = serve->cluster->rank > 0,
		.id_claim = -1, .is_lost = true,
	};
	struct error err;
	enum sc_status status = start(&service, serve, &err);

	if (status == SC_OK) {
		loop_run(serve->loop);
	} else {
		log_error("%s", err.text);
		service.exit_code = sc_status_exit_code(status);
	}
	stop(&service, serve);
	return service.exit_code;
}
