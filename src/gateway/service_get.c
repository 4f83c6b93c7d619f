/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Get: a job and its outputs in one answer.
 * The answer is made when the client takes it, and only if there is room for it. A large answer is
 * made on a helper thread if the job has ended, because its outputs never change. The answer for a
 * running job is made at once.
 */
#include "gateway/service.h"

#include "gateway/job_message.h"
#include "gateway/proto_message.h"
#include "gateway/request.h"

#include <stdlib.h>

/* Answers up to this size are made at once, in a fraction of a millisecond. */
#define INLINE_BYTES 65536

/* The call's state. */
struct get {
	struct errand errand;
	struct grpc_call *call;
	struct job *job;	/* held */
	bool is_working;	/* the errand is under way */
	struct buf packed;
	enum sc_status status;
	struct error error;
};

static void free_get(struct get *get)
{
	job_release(get->job);
	buf_deinit(&get->packed);
	free(get);
}

/* Thread: any, for a job that has ended. */
static enum sc_status pack(const struct job *job, bool with_outputs, struct buf *packed,
			   struct error *err)
{
	struct job_message message;
	enum sc_status status = job_message_init(&message, job, with_outputs);

	if (status == SC_OK)
		status = proto_pack(&message.job.base, packed, err);
	job_message_deinit(&message);
	return status;
}

static void reply(struct get *get, enum sc_status status)
{
	if (status == SC_OK) {
		proto_reply_packed(get->call, &get->packed);
		return;
	}
	if (status == SC_E_OVERLOADED)
		limit_refuse(grpc_call_limits(get->call), LIMIT_REPLY);
	grpc_call_fail(get->call, status, &get->error);
}

static void run(struct errand *errand)
{
	struct get *get = (struct get *)errand;

	get->status = pack(get->job, true, &get->packed, &get->error);
}

/* destroy comes next, so the call forgets its state. */
static void answer(struct errand *errand)
{
	struct get *get = (struct get *)errand;

	grpc_call_set_state(get->call, NULL);
	reply(get, get->status);
}

static void destroy(struct errand *errand)
{
	free_get((struct get *)errand);
}

/* The least number of bytes that text and tokens take in a message. */
static size_t least_bytes(const struct job *job)
{
	size_t n_bytes = 0;

	for (uint32_t i = 0; i < job_n_outputs(job); i++) {
		const struct output *output = job_output(job, i);

		n_bytes += output->text.length + output->n_tokens * (1 + sizeof(float));
	}
	return n_bytes;
}

static void start_work(struct get *get, struct work_pool *pool, size_t n_bytes)
{
	struct error err;

	get->errand = (struct errand){
		.work = { .client = grpc_call_client(get->call), .n_bytes = n_bytes },
		.run = run, .answer = answer, .destroy = destroy,
	};
	get->is_working = errand_start(pool, &get->errand) == SC_OK;
	if (get->is_working)
		return;
	limit_refuse(grpc_call_limits(get->call), LIMIT_LONG_REQUESTS);
	error_set(&err, SC_E_OVERLOADED, "too many large answers are waiting: retry later");
	grpc_call_fail(get->call, err.status, &err);
}

static void get_pull(struct grpc_call *call)
{
	const struct service *service = grpc_call_context(call);
	struct get *get = grpc_call_state(call);
	size_t n_bytes;

	if (!get || get->is_working)
		return;
	n_bytes = least_bytes(get->job);
	get->status = proto_check_room(call, n_bytes, &get->error);
	if (get->status != SC_OK) {
		grpc_call_fail(call, get->status, &get->error);
	} else if (n_bytes > INLINE_BYTES && job_is_ended(get->job) && service->pool) {
		start_work(get, service->pool, n_bytes);
	} else {
		reply(get, pack(get->job, true, &get->packed, &get->error));
	}
}

static void get_close(struct grpc_call *call)
{
	struct get *get = grpc_call_state(call);

	if (!get)
		return;
	if (get->is_working)
		errand_abandon(&get->errand);
	else
		free_get(get);
}

static enum sc_status get(struct request *request, struct error *err)
{
	const Stagecoach__V1__GetRequest *message =
		(const Stagecoach__V1__GetRequest *)request->message;
	struct get *state = calloc(1, sizeof *state);
	enum sc_status status;

	if (!state)
		return SC_E_NOMEM;
	status = service_find_job(request->call, message->id, &state->job, err);
	if (status != SC_OK) {
		free(state);
		return status;
	}
	buf_init(&state->packed);
	state->error.status = SC_OK;
	state->call = request->call;
	grpc_call_set_state(request->call, state);
	if (message->without_outputs)
		reply(state, pack(state->job, false, &state->packed, &state->error));
	return SC_OK;
}

static void get_start(struct grpc_call *call, const uint8_t *bytes, size_t n_bytes)
{
	static const struct request_ops ops = {
		.type = &stagecoach__v1__get_request__descriptor,
		.finish = get,
	};

	request_start(call, &ops, bytes, n_bytes);
}

const struct grpc_call_ops service_get = {
	.start = get_start, .pull = get_pull, .close = get_close, .is_light = true,
};
