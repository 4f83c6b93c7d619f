/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_METRICS_PAGE_H
#define STAGECOACH_GATEWAY_METRICS_PAGE_H
/*
 * metrics_page - GET /metrics: waits for current counters of the stages, and writes metrics_text.
 * A stage that hangs delays the answer by a second at most.
 * Thread: the loop's thread only.
 */
#include "gateway/metrics_text.h"
#include "http/http_call.h"

struct connections;

struct metrics_page {
	struct metrics_source source;
	const struct connections *connections;	/* borrowed */
};

/* The route of a page, which is borrowed. It needs a key if there are keys. */
struct http_routes metrics_page_routes(struct metrics_page *page);

#endif
