/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/request.h"

#include "engine/engine.h"
#include "gateway/grpc_session.h"
#include "gateway/service.h"

#include <stdlib.h>

/* Messages up to this size are handled at once. That takes less than a millisecond, and less than
 * waking a helper thread on a busy machine. */
#define INLINE_BYTES 4096
/* Longer messages are long items of the pool: tokenizing them may take a second. */
#define SHORT_BYTES ((size_t)32 << 10)

enum sc_status request_pool_create(struct loop *loop, size_t max_message,
				   struct work_pool **pool_out)
{
	struct work_limits limits = {
		.max_items = REQUEST_MAX_ITEMS,
		.max_bytes = REQUEST_POOL_BYTES,
	};

	if (limits.max_bytes / REQUEST_POOL_MESSAGES < max_message)
		limits.max_bytes = max_message * REQUEST_POOL_MESSAGES;
	return work_pool_create(loop, &limits, pool_out);
}

enum sc_status request_meets(struct request *request, enum limit limit, enum sc_status status)
{
	request->has_met_limit = true;
	request->met_limit = limit;
	return status;
}

static void init(struct request *request, struct grpc_call *call, const struct request_ops *ops)
{
	const struct service *service = grpc_call_context(call);

	*request = (struct request){
		.ops = ops,
		.call = call,
		.tokenizer = engine_tokenizer(service->engine),
		.chat_format = service->chat_format,
		.max_context = engine_max_context(service->engine),
		.received_ns = grpc_call_now_ns(call),
		.budget = grpc_call_budget(call),
		.error = { .status = SC_OK },
	};
	buf_init(&request->reply);
	buf_init(&request->bytes);
}

static void deinit(struct request *request)
{
	generate_request_deinit(&request->generate);
	proto_request_deinit(&request->unpacked);
	token_list_deinit(&request->tokens);
	buf_deinit(&request->reply);
	buf_deinit(&request->bytes);
	request->budget->n_bytes -= request->n_charged;
}

static enum sc_status unpack_and_prepare(struct request *request, const uint8_t *bytes,
					 size_t n_bytes)
{
	const struct request_ops *ops = request->ops;
	struct error *err = &request->error;
	enum sc_status status;

	status = proto_request_unpack(&request->unpacked, ops->type, bytes, n_bytes, err);
	request->message = request->unpacked.message;
	if (status == SC_OK && ops->prepare)
		status = ops->prepare(request, err);
	return status;
}

/* status: the result so far. Helper threads do not count refusals, so a refusal by prepare is
 * counted here. */
static void finish(struct request *request, enum sc_status status)
{
	if (request->unpacked.is_too_large)
		limit_refuse(grpc_call_limits(request->call), LIMIT_REQUEST_MEMORY);
	else if (request->has_met_limit)
		limit_refuse(grpc_call_limits(request->call), request->met_limit);
	if (status == SC_OK)
		status = request->ops->finish(request, &request->error);
	if (status != SC_OK)
		grpc_call_fail(request->call, status, &request->error);
}

static void destroy(struct errand *errand)
{
	deinit((struct request *)errand);
	free(errand);
}

/* --- long messages --- */

static void run(struct errand *errand)
{
	struct request *request = (struct request *)errand;

	request->status = unpack_and_prepare(request, (const uint8_t *)request->bytes.data,
					     request->bytes.length);
	buf_deinit(&request->bytes);
	buf_init(&request->bytes);
}

static void go_on(void *arg)
{
	struct request *request = arg;

	finish(request, request->status);
}

static uint64_t now_ns(const struct grpc_call *call)
{
	const struct service *service = grpc_call_context(call);

	return loop_now_ns(service->loop);
}

static void answer(struct errand *errand)
{
	struct request *request = (struct request *)errand;

	grpc_call_resume(request->call, now_ns(request->call), go_on, request);
}

/* Called if the call ends first. */
static void on_close(void *arg)
{
	errand_abandon(arg);
}

/* is_slow: however short it is. */
static void start_long(struct grpc_call *call, const struct request_ops *ops, bool is_slow)
{
	struct service *service = grpc_call_context(call);
	struct request *request = malloc(sizeof *request);
	struct error err;

	if (!request) {
		grpc_call_fail(call, SC_E_NOMEM, NULL);
		return;
	}
	init(request, call, ops);
	request->bytes = grpc_call_take_request(call);
	request->n_charged = request->bytes.capacity;
	request->budget->n_bytes += request->n_charged;
	request->errand = (struct errand){
		.work = { .client = grpc_call_client(call), .n_bytes = request->bytes.length,
			  .is_long = is_slow || request->bytes.length > SHORT_BYTES },
		.run = run, .answer = answer, .destroy = destroy,
	};
	if (errand_start(service->pool, &request->errand) != SC_OK) {
		limit_refuse(grpc_call_limits(call), LIMIT_LONG_REQUESTS);
		error_set(&err, SC_E_OVERLOADED,
			  "too many long requests are waiting: retry later");
		grpc_call_fail(call, err.status, &err);
		destroy(&request->errand);
		return;
	}
	grpc_call_suspend(call, on_close, request);
}

static void start_short(struct grpc_call *call, const struct request_ops *ops,
			const uint8_t *bytes, size_t n_bytes)
{
	const struct service *service = grpc_call_context(call);
	struct request request;
	enum sc_status status;

	init(&request, call, ops);
	request.is_brief = service->pool != NULL;
	status = unpack_and_prepare(&request, bytes, n_bytes);
	if (status != SC_AGAIN)
		finish(&request, status);
	deinit(&request);
	if (status == SC_AGAIN)
		start_long(call, ops, true);
}

void request_start(struct grpc_call *call, const struct request_ops *ops, const uint8_t *bytes,
		   size_t n_bytes)
{
	const struct service *service = grpc_call_context(call);
	struct error err = { .status = SC_OK };
	enum sc_status status = ops->check ? ops->check(call, &err) : SC_OK;

	if (status != SC_OK) {
		grpc_call_fail(call, status, &err);
	} else if (n_bytes > INLINE_BYTES && service->pool) {
		start_long(call, ops, false);
	} else {
		start_short(call, ops, bytes, n_bytes);
	}
}
