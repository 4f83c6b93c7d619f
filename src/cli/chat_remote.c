/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/chat_remote.h"

#include "cli/client.h"
#include "cli/client_request.h"
#include "cli/client_signal.h"
#include "cli/message_proto.h"
#include "gateway/grpc_status.h"

#include "stagecoach/v1/stagecoach.pb-c.h"

#include <stdlib.h>
#include <string.h>

#define MODEL_TIMEOUT_MS 10000

struct chat_remote {
	struct client_target target;
	uint32_t n_context;
};

/* A turn under way. */
struct turn {
	const struct turn_sink *sink;
	struct turn_result *result;
	enum sc_status status;		/* of the sink */
	struct error job_error;		/* how the job ended */
};

/* --- events --- */

static enum sc_status add_call(const struct turn_sink *sink,
			       const Stagecoach__V1__ToolCallDelta *call)
{
	const struct chat_delta begin = {
		.kind = CHAT_TOOL_BEGIN, .index = call->index, .id = call->id,
		.name = call->name,
	};
	const struct chat_delta arguments = {
		.kind = CHAT_TOOL_ARGUMENTS, .index = call->index, .text = call->arguments,
		.n_bytes = strlen(call->arguments),
	};
	enum sc_status status = SC_OK;

	if (*call->name)
		status = sink->on_delta(sink->arg, &begin);
	if (status == SC_OK && *call->arguments)
		status = sink->on_delta(sink->arg, &arguments);
	return status;
}

static enum sc_status add_text(const struct turn_sink *sink, enum chat_delta_kind kind,
			       const char *text)
{
	const struct chat_delta delta = { .kind = kind, .text = text, .n_bytes = strlen(text) };

	return delta.n_bytes ? sink->on_delta(sink->arg, &delta) : SC_OK;
}

static enum sc_status take_delta(const struct turn_sink *sink,
				 const Stagecoach__V1__ChatDelta *delta)
{
	switch ((int)delta->delta_case) {
	case STAGECOACH__V1__CHAT_DELTA__DELTA_CONTENT:
		return add_text(sink, CHAT_CONTENT, delta->content);
	case STAGECOACH__V1__CHAT_DELTA__DELTA_REASONING:
		return add_text(sink, CHAT_REASONING, delta->reasoning);
	case STAGECOACH__V1__CHAT_DELTA__DELTA_TOOL_CALL:
		return add_call(sink, delta->tool_call);
	}
	return SC_OK;	/* from a newer server */
}

static enum finish_reason finish_of(Stagecoach__V1__FinishReason reason)
{
	static const enum finish_reason reasons[] = {
		FINISH_NONE, FINISH_STOP, FINISH_LENGTH, FINISH_CANCELLED, FINISH_ERROR,
		FINISH_CONTEXT,
	};

	return (unsigned)reason < sizeof reasons / sizeof reasons[0] ? reasons[reason]
								      : FINISH_NONE;
}

static void take_finished(struct turn *turn, const Stagecoach__V1__Finished *finished)
{
	struct turn_result *result = turn->result;

	if (finished->usage) {
		result->n_prompt = finished->usage->prompt_tokens;
		result->n_generated = finished->usage->generated_tokens;
	}
	if (finished->timings) {
		result->first_token_seconds = finished->timings->first_token_seconds;
		result->total_seconds = finished->timings->total_seconds;
		result->tokens_per_second = finished->timings->tokens_per_second;
	}
	if (finished->n_sequences)
		result->finish = finish_of(finished->sequences[0]->reason);
	if (finished->error)
		error_set(&turn->job_error,
			  grpc_status_to_sc((enum grpc_status)finished->error->code), "%s",
			  finished->error->message);
}

static void take_started(struct turn *turn, const Stagecoach__V1__Started *started)
{
	turn->result->n_prompt = started->n_prompt_tokens;
	for (size_t i = 0; i < started->n_warnings; i++)
		turn->sink->on_note(turn->sink->arg, started->warnings[i]);
}

static enum sc_status take_event(struct turn *turn, const Stagecoach__V1__GenerateResponse *event)
{
	const struct turn_sink *sink = turn->sink;

	switch ((int)event->event_case) {
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_STARTED:
		take_started(turn, event->started);
		break;
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_TOKEN:
		turn->result->n_generated++;
		break;
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_CHAT_DELTA:
		return take_delta(sink, event->chat_delta);
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_PROMPT_PROGRESS:
		sink->on_prompt(sink->arg, event->prompt_progress->done_tokens,
				event->prompt_progress->total_tokens);
		break;
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_RECOVERING:
		sink->on_note(sink->arg, event->recovering->reason);
		break;
	case STAGECOACH__V1__GENERATE_RESPONSE__EVENT_FINISHED:
		take_finished(turn, event->finished);
		break;
	}
	return SC_OK;
}

static bool on_event(void *arg, ProtobufCMessage *message)
{
	struct turn *turn = arg;

	turn->status = take_event(turn, (const Stagecoach__V1__GenerateResponse *)message);
	protobuf_c_message_free_unpacked(message, NULL);
	return turn->status == SC_OK;
}

/* --- a turn --- */

/* gRPC has one status for everything that is wrong about a request. */
static enum sc_status sharpen(enum sc_status status, struct error *err)
{
	if (status == SC_E_INVALID && strstr(err->text, "the context holds"))
		return err->status = SC_E_TOO_LARGE;
	return status;
}

static enum sc_status ask(struct turn *turn, struct client *client,
			  const struct client_request *request, struct error *err)
{
	const struct client_call call = {
		.method = "Generate",
		.request = &request->message.base,
		.response = &stagecoach__v1__generate_response__descriptor,
		.on_message = on_event,
		.arg = turn,
	};
	enum sc_status status = client_run(client, &call, err);

	if (turn->status != SC_OK)
		return error_set(err, turn->status, "%s", sc_status_name(turn->status));
	if (status == SC_OK && turn->job_error.status != SC_OK) {
		*err = turn->job_error;
		status = err->status;
	}
	return sharpen(status, err);
}

static enum sc_status remote_send(void *self, const json_t *messages, const struct config *config,
				  const struct turn_sink *sink, struct turn_result *result_out,
				  struct error *err)
{
	struct chat_remote *remote = self;
	struct turn turn = { .sink = sink, .result = result_out };
	struct client_request request;
	struct message_proto chat;
	struct client *client = NULL;
	enum sc_status status;

	*result_out = (struct turn_result){ .n_context = remote->n_context };
	status = client_request_init(&request, config, err);
	if (status != SC_OK)
		return status;
	status = message_proto_init(&chat, messages, err);
	if (status == SC_OK)
		status = client_open(&remote->target, &client, err);
	if (status == SC_OK) {
		request.message.prompt_case = STAGECOACH__V1__GENERATE_REQUEST__PROMPT_CHAT;
		request.message.chat = &chat.chat;
		status = ask(&turn, client, &request, err);
	}
	client_close(client);
	message_proto_deinit(&chat);
	return status;
}

static int remote_take_signal(void *self)
{
	(void)self;
	return client_signal_take();
}

static void remote_destroy(void *self)
{
	free(self);
}

static const struct talker_ops ops = {
	.send = remote_send, .take_signal = remote_take_signal, .destroy = remote_destroy,
};

/* --- the server --- */

static enum sc_status ask_model(struct chat_remote *remote, struct error *err)
{
	const Stagecoach__V1__GetModelRequest request = STAGECOACH__V1__GET_MODEL_REQUEST__INIT;
	struct client *client = NULL;
	ProtobufCMessage *answer;
	enum sc_status status = client_open(&remote->target, &client, err);

	if (status == SC_OK)
		status = client_ask(client, "GetModel", &request.base, MODEL_TIMEOUT_MS,
				    &stagecoach__v1__model__descriptor, &answer, err);
	if (status == SC_OK) {
		remote->n_context = ((const Stagecoach__V1__Model *)answer)->max_context;
		protobuf_c_message_free_unpacked(answer, NULL);
	}
	client_close(client);
	return status;
}

enum sc_status chat_remote_open(const struct config *config, struct talker *talker_out,
				struct error *err)
{
	struct chat_remote *remote = calloc(1, sizeof *remote);
	enum sc_status status;

	if (!remote)
		return error_set(err, SC_E_NOMEM, "out of memory");
	client_target_init(&remote->target, config);
	status = client_target_choose(&remote->target, err);
	if (status == SC_OK) {
		client_signal_catch();
		status = ask_model(remote, err);
	}
	if (status != SC_OK) {
		free(remote);
		return status;
	}
	*talker_out = (struct talker){ .ops = &ops, .self = remote };
	return SC_OK;
}
