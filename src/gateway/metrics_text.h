/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_GATEWAY_METRICS_TEXT_H
#define STAGECOACH_GATEWAY_METRICS_TEXT_H
/*
 * metrics_text - what GET /metrics says, as Prometheus reads it:
 *	vllm:		names, labels and bounds of vLLM, older names of its included
 *	llamacpp:	names of llama-server
 *	stagecoach_	what only this server has: stages, workers, refusals (metrics_own.c)
 *	http_, grpc_, process_	names that many servers have
 * The manual page stagecoachd(8), METRICS, lists them.
 * Thread: the loop's thread only. Nothing blocks.
 */
#include "engine/engine.h"
#include "gateway/exposition.h"

struct traffic;

/* All that is shown; borrowed for the call. */
struct metrics_source {
	const char *model_name;		/* for the label of that name */
	struct engine *engine;
	const struct traffic *traffic;	/* NULL: none is shown */
	unsigned n_connections;
	unsigned max_connections;
};

/* SC_E_NOMEM. */
must_check enum sc_status metrics_write(const struct metrics_source *source, struct buf *out);

/* A part, in metrics_own.c. */
void metrics_write_own(const struct metrics_source *source,
		       const struct coordinator_status *status, struct exposition *e);

#endif
