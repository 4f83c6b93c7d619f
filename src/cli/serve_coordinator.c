/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/serve.h"

#include "base/log.h"
#include "cli/notify.h"
#include "cli/one_shot.h"
#include "cli/prompt_run.h"
#include "cli/report.h"
#include "cli/serve_http.h"
#include "engine/wiring.h"
#include "event/loop.h"
#include "gateway/gateway.h"
#include "openai/openai.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* How long clients get to read the last words before the process goes. */
#define FAREWELL_MS 300

enum { N_SIGNALS = 3 };

struct server {
	const struct serve_config *serve;
	struct loop *loop;
	struct signal_watch *signals[N_SIGNALS];
	struct timer *watchdog;
	struct timer *farewell;
	struct engine *engine;
	struct gateway *gateway;	/* NULL: there is a prompt */
	struct serve_http http;		/* likewise */
	struct prompt_run text;		/* what becomes of the prompt; it has the exit code, too */
	struct progress progress;	/* of loading, then of the prompt */
	unsigned n_stop_signals;
	bool is_ready;
};

static void leave_loop(void *arg)
{
	struct server *server = arg;

	loop_stop(server->loop);
}

/* --- phases --- */

/* What the service manager shows, apart from READY=1, which a loss does not take back: the service
 * takes jobs all the time. */
static void notify_phase(struct server *server)
{
	struct coordinator_status status;

	engine_status(server->engine, &status);
	if (status.phase == COORDINATOR_RECOVERING)
		notify_status("Recovering: %s",
			      status.last_loss ? status.last_loss : "a worker has come");
	else
		notify_status("Serving");
}

static void on_ready(struct server *server)
{
	const struct config *config = server->serve->config;
	bool was_ready = server->is_ready;

	progress_end(&server->progress);
	server->is_ready = true;
	if (was_ready) {
		notify_phase(server);
		return;
	}
	notify_ready();
	if (!server->gateway)
		return;
	if (*gateway_address(server->gateway))
		log_info("ready: gRPC and HTTP on %s", gateway_address(server->gateway));
	if (*config->socket)
		log_info("ready: gRPC and HTTP on unix:%s", config->socket);
}

/* What it means for the clients. */
static void tell_gateway(struct server *server, enum coordinator_phase phase,
			 const struct error *err)
{
	switch (phase) {
	case COORDINATOR_DRAINING:
		gateway_drain(server->gateway);
		serve_http_drain(&server->http);
		break;
	case COORDINATOR_STOPPED:
		gateway_close(server->gateway);
		timer_start(server->farewell, FAREWELL_MS, 0);
		break;
	case COORDINATOR_FAILED:
		progress_end(&server->progress);
		log_error("%s", err->text);
		server->text.exit_code = sc_status_exit_code(
			report_fault(server->serve->config, err->status));
		timer_start(server->farewell, FAREWELL_MS, 0);
		break;
	default:
		break;
	}
	gateway_phase_changed(server->gateway);
}

static void on_phase(void *arg, enum coordinator_phase phase, const struct error *err)
{
	struct server *server = arg;

	switch (phase) {
	case COORDINATOR_LOADING:
		notify_loading(0);
		if (!server->serve->config->is_quiet)
			report_plan(server->engine);
		break;
	case COORDINATOR_READY:
		on_ready(server);
		break;
	case COORDINATOR_RECOVERING:
		notify_phase(server);
		break;
	case COORDINATOR_DRAINING:
		server->is_ready = false;
		notify_stopping();
		break;
	case COORDINATOR_FAILED:
		notify_status("Failed: %s", err->text);
		break;
	default:
		break;
	}
	if (server->gateway)
		tell_gateway(server, phase, err);
	else
		prompt_run_phase(&server->text, phase, err);
}

static void on_progress(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	struct server *server = arg;

	report_loading(&server->progress, loop_now_ns(server->loop), done_bytes, total_bytes);
	if (!total_bytes)
		return;
	if (engine_phase(server->engine) == COORDINATOR_RECOVERING)
		notify_status("Recovering: loading %.0f %%",
			      100.0 * (double)done_bytes / (double)total_bytes);
	else if (engine_phase(server->engine) == COORDINATOR_LOADING)
		notify_loading(100.0 * (double)done_bytes / (double)total_bytes);
}

/* --- signals --- */

/* mpirun, when it is told to end, kills its processes after a second. */
static uint32_t drain_time_ms(const struct server *server)
{
	uint32_t patience_ms = launcher_patience_ms(server->serve->launcher);
	uint32_t drain_ms = server->serve->config->drain_ms;

	return patience_ms < drain_ms ? patience_ms : drain_ms;
}

static void tell_drain(const struct server *server, uint32_t drain_ms)
{
	struct coordinator_status status;
	uint32_t n_jobs;

	engine_status(server->engine, &status);
	n_jobs = status.jobs_queued + status.jobs_running;
	if (n_jobs)
		log_info("draining: %u job%s under way, up to %u ms to finish. New jobs are "
			 "refused. A second signal stops the server at once", n_jobs,
			 n_jobs == 1 ? "" : "s", drain_ms);
	else
		log_info("stopping: no jobs are running");
}

static void on_stop_signal(void *arg, int signum)
{
	struct server *server = arg;
	uint32_t drain_ms = drain_time_ms(server);

	if (server->n_stop_signals++) {
		server->text.exit_code = 128 + signum;
		loop_stop(server->loop);
	} else if (!server->gateway) {
		prompt_run_interrupt(&server->text, signum);
	} else {
		tell_drain(server, drain_ms);
		engine_drain(server->engine, drain_ms);
	}
}

static void tell_change(void *arg, const char *name, bool is_applied)
{
	(void)arg;
	if (is_applied)
		log_info("reload: %s changed", name);
	else
		log_warning("reload: %s changed, but takes effect only after a restart", name);
}

static void warn_of_exposure(const struct gateway *gateway)
{
	if (!gateway_is_exposed(gateway))
		return;
	if (!gateway_has_keys(gateway))
		log_warning("%s needs no API key%s: whoever reaches this address can use the "
			    "server. Set --api-key-file%s; stagecoachd(8), SECURITY, tells how",
			    gateway_address(gateway),
			    gateway_has_tls(gateway) ? "" : " and has no TLS",
			    gateway_has_tls(gateway) ? "" : ", --tls-cert and --tls-key");
	else if (!gateway_has_tls(gateway))
		log_warning("%s has no TLS: keys and texts cross the network in the clear. Set "
			    "--tls-cert and --tls-key, or put a proxy in front; stagecoachd(8), "
			    "SECURITY, tells how", gateway_address(gateway));
}

static void reload_access(const struct server *server)
{
	const struct access_settings settings = access_settings_of(server->serve->config);
	struct error err;

	if (!server->gateway)
		return;
	if (gateway_load_access(server->gateway, &settings, &err) != SC_OK)
		log_error("reload: the old API keys and the old TLS stay in use: %s", err.text);
	else
		warn_of_exposure(server->gateway);
}

static void reload_keys(const struct serve_config *serve)
{
	struct error err;

	if (serve->cluster && cluster_reload_keys(serve->cluster, serve->config->cluster_key_file,
						  NULL, &err) != SC_OK)
		log_error("reload: the old cluster keys stay in use: %s", err.text);
}

static void on_reload_signal(void *arg, int signum)
{
	struct server *server = arg;
	const struct serve_config *serve = server->serve;
	struct config fresh;
	struct error err;

	(void)signum;
	if (server->is_ready)
		notify_reloading();
	if (config_load(&fresh, PROGRAM_DAEMON, default_config_file, serve->argc, serve->argv,
			&err) != SC_OK) {
		log_error("reload: no setting changed: %s", err.text);
	} else {
		report_warnings(&fresh);
		config_reload(serve->config, &fresh, tell_change, NULL);
		config_deinit(&fresh);
		log_set_level((enum log_level)config_log_level(serve->config));
		log_set_format(config_logs_json(serve->config) ? LOG_JSON : LOG_TEXT);
		if (server->gateway)
			gateway_log_requests(server->gateway, serve->config->access_log);
		engine_set_limits(server->engine, serve->config->max_queue,
				  serve->config->keep_jobs);
		reload_keys(serve);
		reload_access(server);
	}
	if (server->is_ready) {
		notify_ready();
		notify_phase(server);
	}
}

static enum sc_status watch_signals(struct server *server, struct error *err)
{
	static const struct {
		int signum;
		signal_fn *fn;
	} wanted[N_SIGNALS] = {
		{ SIGTERM, on_stop_signal },
		{ SIGINT, on_stop_signal },
		{ SIGHUP, on_reload_signal },
	};
	enum sc_status status = SC_OK;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; status == SC_OK && i < N_SIGNALS; i++)
		status = signal_watch_create(server->loop, wanted[i].signum, wanted[i].fn, server,
					     &server->signals[i], err);
	launcher_note_sender();
	return status;
}

static void on_launcher_gone(void *arg, const struct error *err)
{
	struct server *server = arg;

	engine_abort(server->engine, err);
}

/* --- start and end --- */

/* A setting that memory does not allow is not cut in silence. */
static void tell_job_memory(const struct server *server)
{
	const uint64_t wanted = server->serve->config->job_memory;
	const uint64_t n_bytes = engine_limits(server->engine)->value[LIMIT_JOB_MEMORY];
	const double mib = 1 << 20;

	if (n_bytes < wanted)
		log_info("job-memory: %.0f MiB instead of %.0f: an eighth of the free memory",
			 (double)n_bytes / mib, (double)wanted / mib);
}

/* A worker has dialled in. */
static void on_accept(void *arg, struct channel *channel)
{
	struct server *server = arg;

	engine_accept(server->engine, channel);
}

/* What the engine must know of a cluster. */
static void describe_cluster(struct server *server, struct engine_cluster *out)
{
	const struct serve_config *serve = server->serve;

	*out = (struct engine_cluster){
		.coordinator = serve->coordinator,
		.fabrics = serve->cluster->fabrics,
		.has_fixed_workers = serve->cluster->n_ranks > 1,
		.resources = &serve->cluster->resources,
		.own_bytes = wire_coordinator_bytes(serve->coordinator, true, serve->client_bytes),
	};
	serve->cluster->on_accept = on_accept;
	serve->cluster->arg = server;
}

static enum sc_status start_engine(struct server *server, struct error *err)
{
	const struct serve_config *serve = server->serve;
	struct engine_cluster cluster;
	const struct engine_config engine = {
		.loop = server->loop,
		.settings = serve->config,
		.model = serve->opened,
		.cluster = serve->cluster ? &cluster : NULL,
		.client_bytes = serve->client_bytes,
		.on_phase = on_phase,
		.on_progress = on_progress,
		.arg = server,
	};
	enum sc_status status;

	if (serve->cluster)
		describe_cluster(server, &cluster);
	status = engine_create(&engine, &server->engine, err);
	if (status != SC_OK)
		return status;
	server->text.engine = server->engine;
	report_length(serve->opened, engine_max_context(server->engine));
	tell_job_memory(server);
	return SC_OK;
}

static enum sc_status start_gateway(struct server *server, struct error *err)
{
	const struct config *config = server->serve->config;
	const struct access_settings access = access_settings_of(config);
	char listen[256];
	struct gateway_config gateway = {
		.loop = server->loop,
		.engine = server->engine,
		.listen = listen,
		.socket_path = config->socket,
		.max_connections = config->max_connections,
		.max_peer_connections = config->max_peer_connections,
		.idle_ms = config->idle_ms,
		.max_streams = config->max_streams,
		.max_message = config->max_message,
		.request_ms = config->request_ms,
		.stall_ms = config->stall_ms,
		.access = &access,
		.logs_requests = config->access_log,
		.max_bytes = server->serve->client_bytes,
	};
	enum sc_status status;

	config_listen_address(config, listen, sizeof listen);
	status = serve_http_open(&server->http, server->serve, server->engine, err);
	gateway.routes = &server->http.routes;
	gateway.n_routes = 1;
	if (status == SC_OK) {
		gateway.chat_format = server->http.chat;
		gateway.model_name = openai_model_name(server->http.openai);
		status = gateway_create(&gateway, &server->gateway, err);
	}
	if (status != SC_OK)
		return status;
	serve_http_use_pool(&server->http, gateway_pool(server->gateway));
	warn_of_exposure(server->gateway);
	return status;
}

static void say_in_log(const char *line)
{
	log_info("%s", line);
}

/* The log takes the lines. Standard error of a rank is a pipe to its launcher, which may pass it on
 * to a terminal. */
static void init_progress(struct server *server)
{
	struct progress *progress = &server->progress;

	progress_init(progress, server->serve->config->is_quiet);
	progress->say = say_in_log;
	if (progress->kind == PROGRESS_LINES && launcher_shows_terminal(server->serve->launcher))
		progress->kind = PROGRESS_TERMINAL;
}

static enum sc_status start(struct server *server, struct error *err)
{
	const struct serve_config *serve = server->serve;
	const bool has_prompt = config_has_prompt(serve->config);
	enum sc_status status = SC_OK;

	init_progress(server);
	if (has_prompt)
		status = one_shot_read_prompt(serve->config, serve->opened, &server->text.prompt,
					      err);
	if (status == SC_OK)
		status = watch_signals(server, err);
	if (status == SC_OK && timer_create_on(server->loop, leave_loop, server,
					       &server->farewell) != SC_OK)
		status = error_set(err, SC_E_NOMEM, "out of memory");
	if (status != SC_OK)
		return status;
	server->watchdog = notify_watchdog_start(server->loop);
	status = start_engine(server, err);
	if (status == SC_OK && !has_prompt)
		status = start_gateway(server, err);
	if (status == SC_OK && serve->launcher &&
	    launcher_attach(serve->launcher, server->loop, on_launcher_gone, server) != SC_OK)
		status = error_set(err, SC_E_NOMEM, "out of memory");
	return status;
}

/* mpirun may wait for ever for the host of a worker that was lost. */
static bool has_lost_worker(const struct engine *engine)
{
	struct worker_status worker;

	for (unsigned i = 0; i < engine_n_workers(engine); i++) {
		engine_worker_status(engine, i, &worker);
		if (worker.n_losses)
			return true;
	}
	return false;
}

static void stop(struct server *server)
{
	const struct engine *engine = server->engine;

	if (server->serve->cluster)
		server->serve->cluster->is_lost =
			!engine || engine_phase(engine) != COORDINATOR_STOPPED ||
			has_lost_worker(engine);
	launcher_detach(server->serve->launcher);
	prompt_run_deinit(&server->text);
	gateway_destroy(server->gateway);
	serve_http_close(&server->http);
	engine_destroy(server->engine);
	timer_destroy(server->farewell);
	timer_destroy(server->watchdog);
	for (int i = 0; i < N_SIGNALS; i++)
		signal_watch_destroy(server->signals[i]);
}

/* Workers of a coordinator that could not start would otherwise wait, and then complain too. */
static void dismiss_workers(struct server *server)
{
	if (!server->engine || !server->serve->cluster)
		return;
	engine_drain(server->engine, 0);
	loop_run(server->loop);
}

int serve_coordinator(const struct serve_config *serve)
{
	struct server server = {
		.serve = serve, .loop = serve->loop,
		.text = { .loop = serve->loop, .config = serve->config,
			  .progress = &server.progress },
	};
	struct error err;

	if (start(&server, &err) == SC_OK) {
		loop_run(server.loop);
	} else {
		log_error("%s", err.text);
		server.text.exit_code = sc_status_exit_code(report_fault(serve->config, err.status));
		dismiss_workers(&server);
	}
	stop(&server);
	return server.text.exit_code;
}
