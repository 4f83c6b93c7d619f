/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BENCH_SERVE_EVENT_H
#define STAGECOACH_BENCH_SERVE_EVENT_H
/*
 * serve_event - what an event of a stream of tokens says: one JSON object, of llama-server's
 * POST /completion or of OpenAI's POST /v1/completions with usage at the end.
 * Only the members that count are read; the rest is skipped with its brackets and strings checked.
 * The text is foreign. Nothing allocates. Thread: any.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct completion_event {
	bool is_last;			/* "stop"; or there is "usage" */
	bool has_token;			/* "choices" has one that has not ended */
	uint32_t n_predicted;		/* tokens so far: "tokens_predicted", or "completion_tokens"
					 * of "usage"; 0: not told */
	uint32_t n_evaluated;		/* tokens of the prompt: "tokens_evaluated", or
					 * "prompt_tokens"; 0: not told */
};

/* SC_E_PROTOCOL: no such object. SC_E_UNAVAILABLE: the object has a member "error", which err
 * quotes. */
must_check enum sc_status completion_event_parse(const char *text, size_t n_bytes,
						 struct completion_event *event_out,
						 struct error *err);

#endif
