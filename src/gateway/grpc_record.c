/* SPDX-License-Identifier: Apache-2.0 */
/* What is noted of a gRPC call for logs and metrics. */
#include "gateway/grpc_session_private.h"

#include "base/log.h"
#include "base/random.h"

#include <stdio.h>
#include <string.h>

void call_note_begin(struct grpc_call *call)
{
	struct grpc_record *record = &call->record;

	record->begin_ns = call->session->now_ns;
	if (call->session->config.observer)
		snprintf(record->id, sizeof record->id, "%016llx",
			 (unsigned long long)random_id());
}

void call_note_request_id(struct grpc_call *call, const char *value, size_t n_bytes)
{
	request_id_copy(call->record.id, value, n_bytes);
}

void call_note_traceparent(struct grpc_call *call, const char *value, size_t n_bytes)
{
	char text[128];

	if (n_bytes >= sizeof text)
		return;
	memcpy(text, value, n_bytes);
	text[n_bytes] = '\0';
	trace_id_parse(text, &call->record.trace);
}

void call_enter_service(struct grpc_call *call)
{
	call->is_in_service = true;
	log_set_request(call->record.id, call->record.trace.text);
}

void call_leave_service(struct grpc_call *call)
{
	call->is_in_service = false;
	log_set_request(NULL, NULL);
}

void call_tell_done(const struct grpc_call *call)
{
	const struct grpc_session_config *config = &call->session->config;
	const struct grpc_record *record = &call->record;
	const struct grpc_log log = {
		.path = call->method ? call->method->path : NULL,
		.id = record->id,
		.trace_id = record->trace.text,
		.key_name = gate_pass_name(&call->pass),
		.peer = config->peer ? config->peer : "",
		.status = call->is_ended_by_client ? GRPC_CANCELLED : call->status,
		.n_bytes_in = record->n_bytes_in,
		.n_bytes_out = record->n_bytes_out,
		.begin_ns = record->begin_ns,
		.end_ns = call->session->now_ns,
	};

	if (config->observer)
		config->observer->on_done(config->observer->arg, &log);
}
