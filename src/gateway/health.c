/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1. For "" and the services of this server, SERVING means that a job submitted now
 * would run, rather than wait for a model to load or for a stage that was lost. For "liveness", it
 * means that a restart would be of no use: the server comes up, serves, recovers or drains. */
#include "gateway/service.h"

#include "engine/engine.h"
#include "gateway/proto_message.h"
#include "gateway/request.h"

#include "grpc/health/v1/health.pb-c.h"

#include <stdlib.h>
#include <string.h>

typedef Grpc__Health__V1__HealthCheckResponse__ServingStatus serving_status;
#define LIVENESS "liveness"
#define UNKNOWN_SERVICE GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN
#define SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
#define NOT_SERVING GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING

struct health_watch {
	struct list node;	/* in service->health_watchers */
	struct grpc_call *call;
	bool is_known;		/* the watched service is known */
	bool is_liveness;
	int sent;		/* the last status sent, -1: none */
};

static bool is_known_service(const char *name)
{
	return strcmp(name, "") == 0 || strcmp(name, LIVENESS) == 0 ||
	       strcmp(name, "stagecoach.v1.Stagecoach") == 0 ||
	       strcmp(name, "grpc.health.v1.Health") == 0;
}

static serving_status current(const struct service *service, bool is_liveness)
{
	enum coordinator_phase phase = engine_phase(service->engine);
	bool is_ready = !service->is_draining && phase == COORDINATOR_READY;
	bool is_alive = phase != COORDINATOR_STOPPED && phase != COORDINATOR_FAILED;

	return (is_liveness ? is_alive : is_ready) ? SERVING : NOT_SERVING;
}

static const char *service_of(const struct request *request)
{
	return ((const Grpc__Health__V1__HealthCheckRequest *)request->message)->service;
}

static enum sc_status check_health(struct request *request, struct error *err)
{
	Grpc__Health__V1__HealthCheckResponse response =
		GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

	if (!is_known_service(service_of(request)))
		return error_set(err, SC_E_NOT_FOUND, "no such service: expected \"\", "
				 "stagecoach.v1.Stagecoach, grpc.health.v1.Health or " LIVENESS);
	response.status = current(grpc_call_context(request->call),
				  strcmp(service_of(request), LIVENESS) == 0);
	proto_reply(request->call, &response.base);
	return SC_OK;
}

static enum sc_status watch_health(struct request *request, struct error *err)
{
	struct service *service = grpc_call_context(request->call);
	struct health_watch *watch = calloc(1, sizeof *watch);

	if (!watch)
		return error_set(err, SC_E_NOMEM, "no memory for a watcher");
	watch->call = request->call;
	watch->sent = -1;
	watch->is_known = is_known_service(service_of(request));
	watch->is_liveness = strcmp(service_of(request), LIVENESS) == 0;
	list_append(&service->health_watchers, &watch->node);
	grpc_call_set_state(request->call, watch);
	return SC_OK;
}

static void check_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	static const struct request_ops ops = {
		.type = &grpc__health__v1__health_check_request__descriptor,
		.finish = check_health,
	};

	request_start(call, &ops, bytes, n_bytes);
}

static void watch_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	static const struct request_ops ops = {
		.type = &grpc__health__v1__health_check_request__descriptor,
		.finish = watch_health,
	};

	request_start(call, &ops, bytes, n_bytes);
}

static void watch_pull(struct grpc_call *call)
{
	struct health_watch *watch = grpc_call_state(call);
	Grpc__Health__V1__HealthCheckResponse response =
		GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	struct error err = { .status = SC_OK };
	enum sc_status status;

	response.status = UNKNOWN_SERVICE;
	if (watch->is_known)
		response.status = current(grpc_call_context(call), watch->is_liveness);
	if ((int)response.status == watch->sent)
		return;
	watch->sent = (int)response.status;
	status = proto_send(call, &response.base, &err);
	if (status != SC_OK)
		grpc_call_fail(call, status, &err);
}

static void watch_close(struct grpc_call *call)
{
	struct health_watch *watch = grpc_call_state(call);

	if (watch)
		list_remove(&watch->node);
	free(watch);
}

void service_health_changed(struct service *service)
{
	list_for_each(node, &service->health_watchers)
		grpc_call_wake(list_entry(node, struct health_watch, node)->call);
}

const struct grpc_call_ops service_health_check = {
	.start = check_start, .is_vital = true, .is_public = true,
};
const struct grpc_call_ops service_health_watch = {
	.start = watch_start, .pull = watch_pull, .close = watch_close, .is_vital = true,
	.is_background = true, .is_public = true,
};
