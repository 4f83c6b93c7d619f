/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include "base/clock.h"
#include "engine/engine.h"
#include "gateway/admission.h"
#include "gateway/connections.h"
#include "gateway/frame_meter.h"
#include "gateway/gate_http.h"
#include "gateway/metrics_page.h"
#include "net/listener.h"
#include "gateway/proto_message.h"
#include "gateway/request.h"
#include "gateway/root_page.h"
#include "gateway/service.h"
#include "gateway/tls_filter.h"
#include "gateway/traffic.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Memory of a helper thread per byte of the longest message, in addition to the message and its
 * answer: its tokens, and temporary copies. Measured with hard texts: 7 to 10. */
#define HELPER_BYTES_PER_BYTE 10

struct gateway {
	struct access access;
	struct http_gate http_gate;
	struct service service;
	struct work_pool *pool;
	struct budget budget;
	struct connections *connections;
	struct listener *tcp;
	struct listener *unix_socket;
	char address[512];	/* of TCP; kept after closing */
	char socket_path[128];
	struct root_page root;
	struct http_routes routes[GATEWAY_MAX_ROUTES + 2];
	struct metrics_page metrics;
	struct traffic traffic;
	const struct http_observer *owner;	/* of the gateway; NULL: none */
	struct http_observer http_observer;
	struct grpc_observer grpc_observer;
};

static void on_client(void *arg, int fd, bool is_unix)
{
	struct gateway *gateway = arg;

	connections_accept(gateway->connections, fd, is_unix);
}

static enum sc_status open_listeners(struct gateway *gateway, const struct gateway_config *config,
				     struct error *err)
{
	uv_loop_t *uv = loop_uv(config->loop);
	enum sc_status status = SC_OK;

	if (config->listen && config->listen[0])
		status = listener_open_tcp(uv, config->listen, on_client, gateway, &gateway->tcp,
					   err);
	if (status == SC_OK && config->socket_path && config->socket_path[0])
		status = listener_open_unix(uv, config->socket_path, on_client, gateway,
					    &gateway->unix_socket, err);
	gate_check_hosts(gateway->access.gate,
			 gateway->tcp && !listener_is_exposed(gateway->tcp));
	if (status == SC_OK && gateway->tcp)
		snprintf(gateway->address, sizeof gateway->address, "%s",
			 listener_address(gateway->tcp));
	return status;
}

enum sc_status gateway_check_addresses(const char *listen, const char *socket_path,
				       struct error *err)
{
	enum sc_status status = SC_OK;

	if (listen && listen[0])
		status = listener_check_tcp(listen, err);
	if (status == SC_OK && socket_path && socket_path[0])
		status = listener_check_unix(socket_path, err);
	return status;
}

static unsigned peer_share(const struct gateway_config *config)
{
	unsigned half = (config->max_connections + 1) / 2;

	return config->max_peer_connections ? config->max_peer_connections : half;
}

/* Sets the values of the gateway's limits, next to those of the engine. */
static struct limit_counts *note_limits(const struct gateway *gateway,
					const struct gateway_config *config)
{
	struct limit_counts *limits = engine_limits(config->engine);

	limit_set(limits, LIMIT_CONNECTIONS, config->max_connections);
	limit_set(limits, LIMIT_PEER_CONNECTIONS, peer_share(config));
	limit_set(limits, LIMIT_RESERVE, ADMISSION_RESERVE);
	limit_set(limits, LIMIT_IDLE, config->idle_ms);
	limit_set(limits, LIMIT_PREFACE, GATEWAY_PREFACE_MS);
	limit_set(limits, LIMIT_HEADER_LIST, GRPC_MAX_HEADER_BYTES);
	limit_set(limits, LIMIT_FRAMES, FRAME_METER_PER_SECOND);
	limit_set(limits, LIMIT_TLS, TLS_FILTER_MAX_HANDSHAKE);
	limit_set(limits, LIMIT_QUEUED_FRAMES, GRPC_FRAMES_BESIDES +
		  GRPC_FRAMES_PER_STREAM * (uint64_t)config->max_streams);
	limit_set(limits, LIMIT_STREAMS, config->max_streams);
	limit_set(limits, LIMIT_REQUEST_TIME, config->request_ms);
	limit_set(limits, LIMIT_STALL, config->stall_ms);
	limit_set(limits, LIMIT_MESSAGE, config->max_message);
	limit_set(limits, LIMIT_REQUEST_BYTES, GRPC_REQUESTS_AT_ONCE * config->max_message);
	limit_set(limits, LIMIT_REQUEST_MEMORY,
		  PROTO_MEMORY_EXTRA + PROTO_MEMORY_FACTOR * config->max_message);
	limit_set(limits, LIMIT_LONG_REQUESTS, REQUEST_MAX_ITEMS);
	limit_set(limits, LIMIT_BUDGET, gateway->budget.max_bytes);
	limit_set(limits, LIMIT_REPLY, PROTO_MAX_REPLY);
	limit_set(limits, LIMIT_LIST, SERVICE_MAX_LIST);
	return limits;
}

/* Reserved from the start, so that all clients together stay within the budget. */
static size_t helper_bytes(const struct gateway_config *config, const struct budget *budget)
{
	size_t most = budget->max_bytes / 2;

	return config->max_message < most / HELPER_BYTES_PER_BYTE
		       ? config->max_message * HELPER_BYTES_PER_BYTE
		       : most;
}

/* The owner's routes, and after them the gateway's. Returns their number. */
static size_t set_routes(struct gateway *gateway, const struct gateway_config *config)
{
	assert(config->n_routes <= GATEWAY_MAX_ROUTES);
	for (size_t i = 0; i < config->n_routes; i++)
		gateway->routes[i] = config->routes[i];
	gateway->root.address = gateway->address;
	gateway->root.socket_path = gateway->socket_path;
	if (config->socket_path)
		snprintf(gateway->socket_path, sizeof gateway->socket_path, "%s",
			 config->socket_path);
	gateway->routes[config->n_routes] = root_page_routes(&gateway->root);
	if (config->engine)
		gateway->routes[config->n_routes + 1] = metrics_page_routes(&gateway->metrics);
	return config->n_routes + 1 + !!config->engine;
}

/* --- what is over --- */

static void on_http_done(void *arg, const struct http_log *record)
{
	struct gateway *gateway = arg;

	traffic_note_http(&gateway->traffic, record);
	if (gateway->owner)
		gateway->owner->on_done(gateway->owner->arg, record);
}

static void on_grpc_done(void *arg, const struct grpc_log *record)
{
	struct gateway *gateway = arg;

	traffic_note_grpc(&gateway->traffic, record);
}

static void init_metrics(struct gateway *gateway, const struct gateway_config *config)
{
	gateway->traffic.is_logged = config->logs_requests;
	gateway->owner = config->observer;
	gateway->http_observer = (struct http_observer){ on_http_done, gateway };
	gateway->grpc_observer = (struct grpc_observer){ on_grpc_done, gateway };
	gateway->metrics.source = (struct metrics_source){
		.model_name = config->model_name,
		.engine = config->engine,
		.traffic = &gateway->traffic,
		.max_connections = config->max_connections,
	};
	if (config->engine && !config->model_name)
		gateway->metrics.source.model_name = engine_model(config->engine)->name;
}

static void init_budget(struct budget *budget, const struct gateway_config *config)
{
	budget->max_bytes = config->max_bytes;
	if (budget->max_bytes / GATEWAY_BUDGET_MESSAGES < config->max_message)
		budget->max_bytes = config->max_message * GATEWAY_BUDGET_MESSAGES;
	budget->n_bytes = helper_bytes(config, budget);
}

/* What the sessions of both protocols borrow from the gateway. limits may be NULL. */
static struct connections_config connections_config_of(struct gateway *gateway,
						       const struct gateway_config *config,
						       struct limit_counts *limits)
{
	return (struct connections_config){
		.loop = config->loop,
		.limits = limits,
		.grpc = {
			.methods = service_methods,
			.n_methods = service_n_methods,
			.context = &gateway->service,
			.gate = gateway->access.gate,
			.observer = &gateway->grpc_observer,
			.budget = &gateway->budget,
			.limits = limits,
			.max_streams = config->max_streams,
			.max_message = config->max_message,
			.request_ns = config->request_ms * NS_PER_MS,
			.stall_ns = config->stall_ms * NS_PER_MS,
		},
		.http = {
			.routes = gateway->routes,
			.n_routes = set_routes(gateway, config),
			.gate = &gateway->http_gate,
			.observer = &gateway->http_observer,
			.budget = &gateway->budget,
			.limits = limits,
			.max_message = config->max_message,
			.request_ns = config->request_ms * NS_PER_MS,
		},
		.stall_ns = config->stall_ms * NS_PER_MS,
		.max = config->max_connections,
		.max_per_peer = peer_share(config),
		.preface_ms = GATEWAY_PREFACE_MS,
		.idle_ms = config->idle_ms,
	};
}

/* All but the addresses. Errors as of gateway_create. */
static enum sc_status set_up(struct gateway *gateway, const struct gateway_config *config,
			     struct error *err)
{
	struct connections_config connections;
	struct limit_counts *limits = NULL;
	enum sc_status status;

	service_init(&gateway->service, config->engine);
	gateway->service.chat_format = config->chat_format;
	init_metrics(gateway, config);
	init_budget(&gateway->budget, config);
	if (config->engine)
		limits = note_limits(gateway, config);
	status = access_init(&gateway->access, limits);
	gateway->http_gate = gate_http(gateway->access.gate);
	if (status == SC_OK)
		status = request_pool_create(config->loop, config->max_message, &gateway->pool);
	gateway->service.pool = gateway->pool;
	gateway->service.loop = config->loop;
	connections = connections_config_of(gateway, config, limits);
	if (status == SC_OK)
		status = connections_create(&connections, &gateway->connections);
	gateway->metrics.connections = gateway->connections;
	if (status != SC_OK)
		return error_set(err, status, "gateway: out of memory");
	return config->access ? gateway_load_access(gateway, config->access, err) : SC_OK;
}

enum sc_status gateway_create(const struct gateway_config *config, struct gateway **gateway_out,
			      struct error *err)
{
	struct gateway *gateway = calloc(1, sizeof *gateway);
	enum sc_status status;

	if (!gateway)
		return error_set(err, SC_E_NOMEM, "gateway: out of memory");
	/* Writing to a client that has left must be an error of write, not a signal. */
	signal(SIGPIPE, SIG_IGN);
	status = set_up(gateway, config, err);
	if (status == SC_OK)
		status = open_listeners(gateway, config, err);
	if (status != SC_OK)
		goto fail;
	*gateway_out = gateway;
	return SC_OK;
fail:
	gateway_destroy(gateway);
	return status;
}

static void close_listeners(struct gateway *gateway)
{
	listener_close(gateway->tcp);
	listener_close(gateway->unix_socket);
	gateway->tcp = NULL;
	gateway->unix_socket = NULL;
}

void gateway_destroy(struct gateway *gateway)
{
	if (!gateway)
		return;
	close_listeners(gateway);
	connections_destroy(gateway->connections);
	access_deinit(&gateway->access);
	work_pool_destroy(gateway->pool);	/* the pool's items hold memory of the budget */
	free(gateway);
}

enum sc_status gateway_load_access(struct gateway *gateway, const struct access_settings *settings,
				   struct error *err)
{
	enum sc_status status = access_load(&gateway->access, settings, err);

	if (status == SC_OK)
		connections_set_tls(gateway->connections, gateway->access.credentials);
	return status;
}

struct work_pool *gateway_pool(const struct gateway *gateway)
{
	return gateway->pool;
}

void gateway_log_requests(struct gateway *gateway, bool is_wanted)
{
	gateway->traffic.is_logged = is_wanted;
}

void gateway_drain(struct gateway *gateway)
{
	gateway->service.is_draining = true;
	service_health_changed(&gateway->service);
}

void gateway_close(struct gateway *gateway)
{
	gateway_drain(gateway);
	/* First, because a client that reconnects would start new calls. Those that are connected
	 * already are told so, too. */
	if (gateway->tcp)
		listener_take_waiting(gateway->tcp);
	if (gateway->unix_socket)
		listener_take_waiting(gateway->unix_socket);
	close_listeners(gateway);
	connections_drain(gateway->connections);
}

void gateway_phase_changed(struct gateway *gateway)
{
	service_health_changed(&gateway->service);
}

const char *gateway_address(const struct gateway *gateway)
{
	return gateway->address;
}

bool gateway_has_keys(const struct gateway *gateway)
{
	return gate_has_keys(gateway->access.gate);
}

bool gateway_has_tls(const struct gateway *gateway)
{
	return gateway->access.credentials;
}

bool gateway_is_exposed(const struct gateway *gateway)
{
	return gateway->tcp && listener_is_exposed(gateway->tcp);
}
