/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/serve.h"

#include "base/log.h"
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

struct service {
	struct loop *loop;
	struct worker *worker;
	struct channel_dialler *dialler;
	struct timer *lonely;		/* no channel to the coordinator so far */
	struct timer *orphan;
	struct error launcher_end;
	struct error dial_error;	/* of the last attempt */
	struct signal_watch *signals[2];
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

/* The launcher does not start another coordinator. */
static void on_detached(void *arg, enum worker_detachment why, const struct error *err)
{
	struct service *service = arg;

	(void)why;
	log_error("%s", err->text);
	service->exit_code = sc_status_exit_code(err->status);
	loop_stop(service->loop);
}

static void on_up(void *arg, struct channel *channel, const char *key_id)
{
	struct service *service = arg;

	(void)key_id;
	timer_stop(service->lonely);
	worker_attach(service->worker, channel);
}

static void on_failed(void *arg, const struct error *err, unsigned wait_ms)
{
	struct service *service = arg;

	service->dial_error = *err;
	log_debug("%s; the next attempt is in %u ms", err->text, wait_ms);
}

static const struct channel_dialler_events dialler_events = { on_up, on_failed };

static void give_up(void *arg)
{
	struct service *service = arg;

	log_error("the coordinator cannot be reached: %s", *service->dial_error.text ?
		  service->dial_error.text : "no answer");
	service->exit_code = sc_status_exit_code(SC_E_UNAVAILABLE);
	loop_stop(service->loop);
}

static enum sc_status dial(struct service *service, const struct serve_config *serve,
			   struct error *err)
{
	if (timer_create_on(service->loop, give_up, service, &service->lonely) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory");
	timer_start(service->lonely, serve->config->start_ms, 0);
	return cluster_dial(serve->cluster, service->loop, serve->config->deadline_ms,
			    &dialler_events, service, &service->dialler, err);
}

/* --- signals and the launcher --- */

/* A launcher signals every process: the coordinator drains and then stops its workers, so the first
 * signal means nothing here. The second one is for who has no patience. */
static void on_signal(void *arg, int signum)
{
	struct service *service = arg;

	if (!service->n_signals++)
		return;
	service->exit_code = 128 + signum;
	loop_stop(service->loop);
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
	char id[64] = "";
	size_t n;
	enum sc_status status = wire_worker_config(serve->config, serve->opened->model, NULL,
						   &config, err);

	if (status != SC_OK)
		return status;
	gethostname(id, sizeof id - 12);
	n = strlen(id);
	snprintf(id + n, sizeof id - n, ".%u", cluster->rank);
	config.loop = serve->loop;
	config.fabrics = cluster->fabrics;
	config.id = id;
	config.launch_rank = cluster->rank;
	config.resources = &cluster->resources;
	config.on_detached = on_detached;
	config.on_end = on_end;
	config.arg = service;
	return worker_create(&config, &service->worker, err);
}

static enum sc_status start(struct service *service, const struct serve_config *serve,
			    struct error *err)
{
	enum sc_status status;

	signal(SIGHUP, SIG_IGN);	/* reloading is the coordinator's */
	signal(SIGPIPE, SIG_IGN);	/* the log may have lost its reader: the launcher */
	status = signal_watch_create(serve->loop, SIGTERM, on_signal, service,
				     &service->signals[0], err);
	if (status == SC_OK)
		status = signal_watch_create(serve->loop, SIGINT, on_signal, service,
					     &service->signals[1], err);
	if (status == SC_OK)
		status = create_worker(service, serve, err);
	if (status == SC_OK)
		status = watch_launcher(service, serve->launcher, err);
	if (status == SC_OK)
		status = dial(service, serve, err);
	return status;
}

/* The channel's last words are sent by the loop. */
static void flush(struct loop *loop)
{
	for (int i = 0; i < FAREWELL_TURNS; i++)
		loop_turn(loop, false);
}

static void stop(struct service *service, const struct serve_config *serve)
{
	serve->cluster->is_lost = service->is_lost;
	launcher_detach(serve->launcher);
	timer_destroy(service->orphan);
	if (worker_destroy(service->worker) != SC_OK)
		serve->cluster->is_lost = true;
	flush(serve->loop);
	channel_dialler_destroy(service->dialler);
	timer_destroy(service->lonely);
	signal_watch_destroy(service->signals[0]);
	signal_watch_destroy(service->signals[1]);
}

int serve_worker(const struct serve_config *serve)
{
	struct service service = { .loop = serve->loop, .is_lost = true };
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
