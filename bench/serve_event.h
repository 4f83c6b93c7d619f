/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BENCH_SERVE_EVENT_H
#define STAGECOACH_BENCH_SERVE_EVENT_H
/*
 * serve_event - what an event of llama-server's POST /completion says: one JSON object.
 * Only the members that count are read; the rest is skipped with its brackets and strings checked.
 * The text is foreign. Nothing allocates. Thread: any.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct completion_event {
	bool is_last;			/* "stop" */
	uint32_t n_predicted;		/* tokens so far: "tokens_predicted"; 0: not told */
	uint32_t n_evaluated;		/* tokens of the prompt: "tokens_evaluated"; 0: not told */
};

/* SC_E_PROTOCOL: no such object. SC_E_UNAVAILABLE: the object has a member "error", which err
 * quotes. */
must_check enum sc_status completion_event_parse(const char *text, size_t n_bytes,
						 struct completion_event *event_out,
						 struct error *err);

#endif
