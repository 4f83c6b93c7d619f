/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server reflection: what the methods and messages look like. Requests wait in the call until the
 * client has taken the earlier answers.
 * v1 and v1alpha have the same messages, so the types of v1 serve both.
 */
#include "gateway/service.h"

#include "gateway/proto_message.h"
#include "gateway/symbols.h"

#include "grpc/reflection/v1/reflection.pb-c.h"

#include <stdlib.h>
#include <string.h>

/* Of requests that wait, each with its length in front. */
#define MAX_WAITING_BYTES 8192

/* The call's state. */
struct reflection {
	struct symbols *symbols;
	struct buf waiting;
	bool is_ended;		/* the client sends no more requests */
};

typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;

/* --- answers --- */

static enum sc_status send(struct grpc_call *call, const reflection_request *request,
			   reflection_response *response, struct error *err)
{
	response->valid_host = request->host;
	response->original_request = (reflection_request *)(uintptr_t)request;
	return proto_send(call, &response->base, err);
}

static enum sc_status send_error(struct grpc_call *call, const reflection_request *request,
				 enum grpc_status code, const char *text, struct error *err)
{
	reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
	Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;

	error.error_code = code;
	error.error_message = (char *)(uintptr_t)text;
	response.message_response_case =
		GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
	response.error_response = &error;
	return send(call, request, &response, err);
}

static enum sc_status send_file(struct grpc_call *call, const reflection_request *request,
				const ProtobufCBinaryData *file, struct error *err)
{
	reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
	Grpc__Reflection__V1__FileDescriptorResponse files =
		GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
	ProtobufCBinaryData bytes;

	if (!file)
		return send_error(call, request, GRPC_NOT_FOUND, "no such file or symbol", err);
	bytes = *file;
	files.file_descriptor_proto = &bytes;
	files.n_file_descriptor_proto = 1;
	response.message_response_case = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
	response.file_descriptor_response = &files;
	return send(call, request, &response, err);
}

static enum sc_status send_services(struct grpc_call *call, const reflection_request *request,
				    const struct symbols *symbols, struct error *err)
{
	reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
	Grpc__Reflection__V1__ListServiceResponse list =
		GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
	Grpc__Reflection__V1__ServiceResponse services[SYMBOLS_MAX_SERVICES];
	Grpc__Reflection__V1__ServiceResponse *rows[SYMBOLS_MAX_SERVICES];
	const char *names[SYMBOLS_MAX_SERVICES];

	list.n_service = symbols_services(symbols, names, SYMBOLS_MAX_SERVICES);
	list.service = rows;
	for (size_t i = 0; i < list.n_service; i++) {
		grpc__reflection__v1__service_response__init(&services[i]);
		services[i].name = (char *)(uintptr_t)names[i];
		rows[i] = &services[i];
	}
	response.message_response_case = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
	response.list_services_response = &list;
	return send(call, request, &response, err);
}

/* Our messages have no extensions. */
static enum sc_status send_extensions(struct grpc_call *call, const reflection_request *request,
				      const struct symbols *symbols, struct error *err)
{
	reflection_response response = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
	Grpc__Reflection__V1__ExtensionNumberResponse numbers =
		GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;

	if (!symbols_has_message(symbols, request->all_extension_numbers_of_type))
		return send_error(call, request, GRPC_NOT_FOUND, "no such message", err);
	numbers.base_type_name = request->all_extension_numbers_of_type;
	response.message_response_case = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
	response.all_extension_numbers_response = &numbers;
	return send(call, request, &response, err);
}

static enum sc_status answer(struct grpc_call *call, const struct symbols *symbols,
			     const reflection_request *request, struct error *err)
{
	switch ((int)request->message_request_case) {
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
		return send_file(call, request, symbols_file(symbols, request->file_by_filename),
				 err);
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
		return send_file(call, request,
				 symbols_file_of(symbols, request->file_containing_symbol), err);
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
		return send_error(call, request, GRPC_NOT_FOUND, "no message has extensions", err);
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
		return send_extensions(call, request, symbols, err);
	case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
		return send_services(call, request, symbols, err);
	}
	return send_error(call, request, GRPC_INVALID_ARGUMENT, "message_request: expected one of "
			  "its fields", err);
}

/* --- the call --- */

static enum sc_status answer_first(struct grpc_call *call, struct reflection *state,
				   struct error *err)
{
	struct proto_request request = { 0 };
	uint32_t n_bytes;
	enum sc_status status;

	memcpy(&n_bytes, state->waiting.data, sizeof n_bytes);
	status = proto_request_unpack(&request,
				      &grpc__reflection__v1__server_reflection_request__descriptor,
				      (const uint8_t *)state->waiting.data + sizeof n_bytes,
				      n_bytes, err);
	if (status == SC_OK)
		status = answer(call, state->symbols, (reflection_request *)request.message, err);
	proto_request_deinit(&request);
	buf_consume(&state->waiting, sizeof n_bytes + n_bytes);
	return status;
}

static void pull(struct grpc_call *call)
{
	struct reflection *state = grpc_call_state(call);
	struct error err = { .status = SC_OK };
	enum sc_status status = SC_OK;

	while (state && status == SC_OK && state->waiting.length && grpc_call_has_room(call))
		status = answer_first(call, state, &err);
	if (status != SC_OK)
		grpc_call_fail(call, status, &err);
	else if (state && state->is_ended && !state->waiting.length)
		grpc_call_finish(call, GRPC_OK, NULL);
}

static struct reflection *open_state(struct grpc_call *call)
{
	struct reflection *state = grpc_call_state(call);

	if (state)
		return state;
	state = calloc(1, sizeof *state);
	if (!state)
		return NULL;
	buf_init(&state->waiting);
	grpc_call_set_state(call, state);
	return symbols_create(&state->symbols) == SC_OK ? state : NULL;
}

static void message(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	struct reflection *state = open_state(call);
	const uint32_t n = (uint32_t)n_bytes;
	struct error err;

	if (state && state->waiting.length + n_bytes > MAX_WAITING_BYTES) {
		limit_refuse(grpc_call_limits(call), LIMIT_REQUEST_BYTES);
		error_set(&err, SC_E_OVERLOADED, "too many requests of this call wait: take the "
			  "answers to earlier ones first");
		grpc_call_fail(call, err.status, &err);
	} else if (!state || buf_add(&state->waiting, &n, sizeof n) != SC_OK ||
		   buf_add(&state->waiting, bytes, n_bytes) != SC_OK) {
		grpc_call_fail(call, SC_E_NOMEM, NULL);
	}
}

static void end(struct grpc_call *call)
{
	struct reflection *state = grpc_call_state(call);

	if (state)
		state->is_ended = true;
	else
		grpc_call_finish(call, GRPC_OK, NULL);
}

static void close_call(struct grpc_call *call)
{
	struct reflection *state = grpc_call_state(call);

	if (!state)
		return;
	symbols_destroy(state->symbols);
	buf_deinit(&state->waiting);
	free(state);
	grpc_call_set_state(call, NULL);
}

const struct grpc_call_ops service_reflection = {
	.message = message, .end = end, .pull = pull, .close = close_call,
	.is_background = true, .is_light = true,
};
