/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/serve.h"

#include "base/log.h"
#include "engine/wiring.h"
#include "event/loop.h"

#include <signal.h>
#include <stdio.h>

/* A worker whose launcher has ended waits this long before it tells the coordinator. If both have
 * the same launcher, the coordinator notices by itself, tells the clients and stops the workers.
 * The time is short because mpirun sends the coordinator SIGTERM when it loses an orted. If that
 * signal comes before the worker's word, clients are not told the cause. */
#define ORPHAN_MS 100

struct service {
	struct loop *loop;
	struct worker *worker;
	struct timer *orphan;
	struct error launcher_end;
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

int serve_worker(const struct serve_config *serve)
{
	struct service service = { .loop = serve->loop, .is_lost = true };
	struct signal_watch *terminate = NULL, *interrupt = NULL;
	struct worker_config config;
	enum sc_status status;
	struct error err;

	status = wire_worker_config(serve->config, serve->opened->model, &serve->cluster->allowance,
				    &config, &err);
	config.loop = serve->loop;
	config.fabric = serve->cluster->fabric;
	config.link = coordinator_link(serve->coordinator, 0, serve->cluster->rank);
	config.on_end = on_end;
	config.arg = &service;
	signal(SIGHUP, SIG_IGN);	/* reloading is the coordinator's */
	signal(SIGPIPE, SIG_IGN);	/* the log may have lost its reader: the launcher */
	if (status == SC_OK)
		status = signal_watch_create(serve->loop, SIGTERM, on_signal, &service,
					     &terminate, &err);
	if (status == SC_OK)
		status = signal_watch_create(serve->loop, SIGINT, on_signal, &service, &interrupt,
					     &err);
	if (status == SC_OK)
		status = worker_create(&config, serve->cluster->peers, &service.worker, &err);
	if (status == SC_OK)
		status = watch_launcher(&service, serve->launcher, &err);
	if (status == SC_OK) {
		loop_run(serve->loop);
	} else {
		log_error("%s", err.text);
		service.exit_code = sc_status_exit_code(status);
	}
	serve->cluster->is_lost = service.is_lost;
	launcher_detach(serve->launcher);
	timer_destroy(service.orphan);
	if (worker_destroy(service.worker) != SC_OK)
		serve->cluster->is_lost = true;
	signal_watch_destroy(terminate);
	signal_watch_destroy(interrupt);
	return service.exit_code;
}
