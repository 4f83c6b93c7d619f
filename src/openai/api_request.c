/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/api_request.h"

#include "base/budget.h"
#include "openai/json_body.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Bodies up to this size are handled at once. That takes about a millisecond, and less than waking
 * a helper thread on a busy machine. */
#define INLINE_BYTES 4096
/* Longer bodies are long items of the pool: tokenizing them may take a second. */
#define SHORT_BYTES ((size_t)32 << 10)

static void init(struct api_request *request, struct http_call *call,
		 const struct api_request_ops *ops)
{
	const struct openai *openai = http_call_context(call);

	*request = (struct api_request){
		.ops = ops,
		.call = call,
		.openai = openai,
		.max_context = engine_max_context(openai->engine),
		.budget = http_call_budget(call),
	};
	api_error_init(&request->error);
	buf_init(&request->reply);
	buf_init(&request->bytes);
}

static void destroy_body(struct api_request *request)
{
	if (request->ops->destroy && request->body)
		request->ops->destroy(request);
	request->body = NULL;
}

static void deinit(struct api_request *request)
{
	destroy_body(request);
	buf_deinit(&request->reply);
	buf_deinit(&request->bytes);
	request->budget->n_bytes -= request->n_charged;
}

enum sc_status api_request_check(struct api_request *request)
{
	if (request->reader.status == SC_OK)
		return SC_OK;
	return api_error_take(&request->error, &request->reader);
}

enum sc_status api_request_fail(struct api_request *request, enum sc_status status,
				const char *param, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	error_set(&request->error.error, status, "%s", text);
	api_error_set(&request->error, status, param);
	return status;
}

/* The parsed values are freed here, too, because that takes time by their number. A body holds
 * references to what it keeps of them, so a body that failed goes here, too. */
static void parse_and_prepare(struct api_request *request, const char *bytes, size_t n_bytes)
{
	json_t *object;
	enum sc_status status = json_body_parse(bytes, n_bytes, &object, &request->error.error);

	if (status == SC_E_TOO_LARGE) {
		request->error.has_met_limit = true;
		request->error.met_limit = LIMIT_REQUEST_MEMORY;
	}
	if (status != SC_OK)
		return;
	request->error.error.status = SC_OK;
	json_reader_init(&request->reader, object);
	request->error.error.status = request->ops->prepare(request);
	if (request->error.error.status != SC_OK)
		destroy_body(request);
	json_decref(object);
}

void api_answer(struct http_call *call, const struct buf *json)
{
	http_call_answer(call, 200, "application/json", json->data, json->length);
}

static void finish(struct api_request *request)
{
	enum sc_status status = request->error.error.status;

	if (status == SC_OK && request->ops->finish)
		status = request->ops->finish(request);
	else if (status == SC_OK)
		api_answer(request->call, &request->reply);
	request->error.error.status = status;
	if (status != SC_OK)
		api_error_answer(request->call, &request->error);
}

/* --- long bodies --- */

static void run(struct errand *errand)
{
	struct api_request *request = (struct api_request *)errand;

	parse_and_prepare(request, request->bytes.data, request->bytes.length);
	buf_deinit(&request->bytes);
	buf_init(&request->bytes);
}

static void go_on(void *arg)
{
	finish(arg);
}

static void answer(struct errand *errand)
{
	struct api_request *request = (struct api_request *)errand;

	http_call_resume(request->call, loop_now_ns(request->openai->loop), go_on, request);
}

static void destroy(struct errand *errand)
{
	struct api_request *request = (struct api_request *)errand;

	deinit(request);
	free(request);
}

static void on_close(void *arg)
{
	errand_abandon(arg);
}

/* is_slow: however short it is. */
static void start_long(struct http_call *call, const struct api_request_ops *ops, bool is_slow)
{
	struct api_request *request = malloc(sizeof *request);

	if (!request) {
		http_call_fail(call, SC_E_NOMEM, NULL);
		return;
	}
	init(request, call, ops);
	request->bytes = http_call_take_body(call);
	request->n_charged = request->bytes.capacity;
	request->budget->n_bytes += request->n_charged;
	request->errand = (struct errand){
		.work = { .client = http_call_client(call), .n_bytes = request->bytes.length,
			  .is_long = is_slow || request->bytes.length > SHORT_BYTES },
		.run = run, .answer = answer, .destroy = destroy,
	};
	if (errand_start(request->openai->pool, &request->errand) == SC_OK) {
		http_call_suspend(call, on_close, request);
		return;
	}
	limit_refuse(http_call_limits(call), LIMIT_LONG_REQUESTS);
	api_request_fail(request, SC_E_OVERLOADED, NULL,
			 "too many long requests are waiting: retry later");
	api_error_answer(call, &request->error);
	destroy(&request->errand);
}

static void start_short(struct http_call *call, const struct api_request_ops *ops)
{
	struct api_request request;
	size_t n_bytes;
	const char *bytes = http_call_body(call, &n_bytes);

	init(&request, call, ops);
	request.is_brief = request.openai->pool != NULL;
	parse_and_prepare(&request, bytes, n_bytes);
	if (request.error.error.status == SC_AGAIN) {
		deinit(&request);
		start_long(call, ops, true);
		return;
	}
	finish(&request);
	deinit(&request);
}

void api_request_start(struct http_call *call, const struct api_request_ops *ops)
{
	const struct openai *openai = http_call_context(call);
	struct api_error error;
	size_t n_bytes;

	(void)http_call_body(call, &n_bytes);
	api_error_init(&error);
	if (ops->check && ops->check(call, &error.error) != SC_OK)
		api_error_answer(call, &error);
	else if (n_bytes > INLINE_BYTES && openai->pool)
		start_long(call, ops, false);
	else
		start_short(call, ops);
}
