/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BENCH_SERVE_LOAD_H
#define STAGECOACH_BENCH_SERVE_LOAD_H
/*
 * serve_load - sends requests to a server according to a plan and records when tokens arrive.
 * The foreground is measured. It is either a closed loop (streams that ask again when their last
 * request has ended) or an open loop (requests at times that do not depend on the server). A
 * background of streams may decode at the same time over separate connections; the foreground then
 * starts when each background stream has a token.
 * A run ends when n_requests have ended; or after `seconds`, when running requests are cut off; or,
 * as a failure, after timeout_seconds.
 * Thread: one, which sleeps in epoll between events.
 */
#include "base/error.h"
#include "bench/serve_door.h"
#include "bench/serve_tally.h"

#define LOAD_MAX_LANES 4096u

enum load_mode {
	LOAD_CLOSED,
	LOAD_POISSON,	/* open: arrivals at random, `rate` a second on average */
	LOAD_BURST,	/* open: all at once */
};

/* Of every request of a class. No two prompts are equal, as far as the ids allow: they begin with
 * the request's number in up to four tokens. */
struct load_shape {
	uint32_t n_prompt;	/* tokens */
	uint32_t n_tokens;	/* to generate */
};

struct load_plan {
	enum load_mode mode;
	unsigned n_streams;	/* requests at once at most */
	unsigned n_connections;	/* that the streams share */
	uint32_t n_requests;
	double seconds;		/* 0: no limit */
	double rate;
	uint64_t seed;		/* of prompts and arrivals */
	uint32_t first_id, last_id;	/* prompts are made of these tokens */
	struct load_shape shape;
	unsigned n_background;
	struct load_shape background;
	double lead_seconds;	/* a stream waits for so long before each request */
	double tail_seconds;	/* the background goes on for so long at the end */
	double timeout_seconds;
};

struct load_result {
	struct tally tally;
	uint64_t start_ns;	/* when the foreground began to count, lead included */
	uint64_t end_ns;
	double cpu_seconds;	/* of this process, from the first request to the end */
	double run_seconds;	/* of the clock, the same span */
	struct error first_failure;	/* of a request; status SC_OK: none */
};

/* SC_E_UNAVAILABLE: no server. SC_E_DEADLINE: timeout_seconds. SC_E_TOO_LARGE: more events than
 * were reserved. SC_E_NOMEM, SC_E_IO. Requests that fail are counted, and are no failure here.
 * Caller: tally_deinit(&result->tally), also after a failure. */
must_check enum sc_status load_run(const struct load_plan *plan, const struct door_ops *ops,
				   const struct client_target *target,
				   struct load_result *result, struct error *err);

#endif
