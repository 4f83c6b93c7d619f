/* SPDX-License-Identifier: Apache-2.0 */
/* ListWorkers: who computes, who is spare, who is gone. */
#include "gateway/service.h"

#include "engine/engine.h"
#include "gateway/proto_message.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <stdlib.h>

static Stagecoach__V1__WorkerState state_message(const struct worker_status *status)
{
	static const Stagecoach__V1__WorkerState states[] = {
		[MEMBER_GONE] = STAGECOACH__V1__WORKER_STATE__WORKER_STATE_GONE,
		[MEMBER_GREETED] = STAGECOACH__V1__WORKER_STATE__WORKER_STATE_JOINING,
		[MEMBER_SPARE] = STAGECOACH__V1__WORKER_STATE__WORKER_STATE_SPARE,
		[MEMBER_OPENING] = STAGECOACH__V1__WORKER_STATE__WORKER_STATE_LOADING,
		[MEMBER_LOADING] = STAGECOACH__V1__WORKER_STATE__WORKER_STATE_LOADING,
		[MEMBER_READY] = STAGECOACH__V1__WORKER_STATE__WORKER_STATE_READY,
		[MEMBER_STOPPED] = STAGECOACH__V1__WORKER_STATE__WORKER_STATE_STOPPED,
	};

	if (status->state == MEMBER_SPARE && status->is_quarantined)
		return STAGECOACH__V1__WORKER_STATE__WORKER_STATE_QUARANTINED;
	return states[status->state];
}

static void set_worker(Stagecoach__V1__Worker *message, const struct worker_status *status)
{
	stagecoach__v1__worker__init(message);
	message->id = proto_borrow(status->id);
	message->state = state_message(status);
	message->host = proto_borrow(status->host);
	message->pid = status->pid;
	message->backend = proto_borrow(status->backend);
	message->stage = status->stage == MEMBER_NO_STAGE ? 0 : status->stage + 1;
	message->first_layer = status->first_layer;
	message->n_layers = status->n_layers;
	message->state_seconds = (double)status->state_ms * 1e-3;
	message->heard_seconds_ago = (double)status->heard_ms_ago * 1e-3;
	message->losses = status->n_losses;
	message->quarantine_seconds = (double)status->quarantine_ms * 1e-3;
	message->memory_bytes = status->memory_bytes;
}

static void set_epoch(Stagecoach__V1__ListWorkersResponse *message, const struct engine *engine)
{
	struct coordinator_status status;

	engine_status(engine, &status);
	message->epoch = status.epoch;
	message->recoveries = status.recoveries;
	message->last_loss = proto_borrow(status.last_loss);
	message->last_loss_seconds_ago = (double)status.lost_ms_ago * 1e-3;
}

static void list_workers_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	const struct service *service = grpc_call_context(call);
	unsigned n = engine_n_workers(service->engine);
	Stagecoach__V1__ListWorkersResponse message =
		STAGECOACH__V1__LIST_WORKERS_RESPONSE__INIT;
	Stagecoach__V1__Worker *workers = calloc(n + 1, sizeof workers[0]);
	Stagecoach__V1__Worker **list = calloc(n + 1, sizeof list[0]);
	struct worker_status status;

	(void)bytes;	/* ListWorkersRequest has no fields */
	(void)n_bytes;
	if (!workers || !list) {
		grpc_call_fail(call, SC_E_NOMEM, NULL);
	} else {
		for (unsigned i = 0; i < n; i++) {
			engine_worker_status(service->engine, i, &status);
			set_worker(&workers[i], &status);
			list[i] = &workers[i];
		}
		message.workers = list;
		message.n_workers = n;
		set_epoch(&message, service->engine);
		proto_reply(call, &message.base);
	}
	free(workers);
	free(list);
}

const struct grpc_call_ops service_list_workers = {
	.start = list_workers_start, .is_vital = true, .is_light = true,
};
