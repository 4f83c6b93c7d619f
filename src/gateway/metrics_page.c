/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics_page.h"

#include "gateway/connections.h"

#include <stdlib.h>

struct scrape {
	struct http_call *call;
	struct counters_wait wait;
	bool is_starting;
	bool is_current;
	bool is_answered;
};

static void answer(struct http_call *call)
{
	struct metrics_page *page = http_call_context(call);
	struct buf text = BUF_INIT;
	struct error err;

	page->source.n_connections = connections_count(page->connections);
	if (metrics_write(&page->source, &text) == SC_OK)
		http_call_answer(call, 200, EXPOSITION_CONTENT_TYPE, text.data, text.length);
	else
		http_call_fail(call, SC_E_NOMEM,
			       (error_set(&err, SC_E_NOMEM, "out of memory"), &err));
	buf_deinit(&text);
}

static void on_current(void *arg)
{
	struct scrape *scrape = arg;

	scrape->is_current = true;
	if (!scrape->is_starting)
		http_call_wake(scrape->call);
}

static void pull(struct http_call *call)
{
	struct scrape *scrape = http_call_state(call);

	if (!scrape || !scrape->is_current || scrape->is_answered)
		return;
	scrape->is_answered = true;
	answer(call);
}

static void start(struct http_call *call)
{
	struct metrics_page *page = http_call_context(call);
	struct scrape *scrape = calloc(1, sizeof *scrape);
	struct error err;

	if (!scrape) {
		error_set(&err, SC_E_NOMEM, "out of memory");
		http_call_fail(call, SC_E_NOMEM, &err);
		return;
	}
	*scrape = (struct scrape){
		.call = call, .wait = { .on_current = on_current, .arg = scrape },
		.is_starting = true,
	};
	http_call_set_state(call, scrape);
	engine_await_counters(page->source.engine, &scrape->wait);
	scrape->is_starting = false;
	pull(call);
}

static void close_scrape(struct http_call *call)
{
	struct scrape *scrape = http_call_state(call);

	if (scrape)
		counters_forget(&scrape->wait);
	free(scrape);
	http_call_set_state(call, NULL);
}

struct http_routes metrics_page_routes(struct metrics_page *page)
{
	static const struct http_call_ops ops = {
		.start = start, .pull = pull, .close = close_scrape,
	};
	static const struct http_route routes[] = {
		{ .path = "/metrics", .methods = HTTP_GET, .ops = &ops, .is_vital = true },
		{ .path = "/v1/metrics", .methods = HTTP_GET, .ops = &ops, .is_vital = true },
	};

	return (struct http_routes){
		.routes = routes, .n = sizeof routes / sizeof routes[0], .context = page,
	};
}
