/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BENCH_SERVE_TALLY_H
#define STAGECOACH_BENCH_SERVE_TALLY_H
/*
 * serve_tally - records the events of a run, and computes numbers from them afterwards.
 * During a run each event takes 16 bytes of reserved memory. Everything else is computed at the
 * end, from the events only.
 *
 * Definitions:
 *   time to first token  from the time when the request was due (closed loop: sent) to the arrival
 *                        of its first token
 *   arrival              the tokens of one request that one read of the socket delivered
 *   gap                  the time between two arrivals of a request divided by the number of tokens
 *                        in the second arrival, counted once for each of them. Tokens that arrive
 *                        together with the first token have no gap.
 *   wait                 the time between two arrivals, not divided
 *   pN                   the smallest value that is at least as large as N % of all values (nearest
 *                        rank)
 * Thread: one.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum tally_kind {
	TALLY_DUE,	/* at_ns: when the request was due */
	TALLY_TOKENS,
	TALLY_DONE,
	TALLY_CUT,	/* still running when the run ended */
	TALLY_FAILED,
};

struct tally_event {
	uint64_t at_ns;
	uint32_t request;	/* foreground and background are numbered together, from 0 */
	uint32_t n_tokens : 24;
	uint32_t kind : 7;
	uint32_t is_background : 1;
};

struct tally {
	struct tally_event *events;
	size_t n_events;
	size_t capacity;
};

/* SC_E_NOMEM. capacity events at most. */
must_check enum sc_status tally_init(struct tally *tally, size_t capacity, struct error *err);
void tally_deinit(struct tally *tally);
/* false: full. */
bool tally_add(struct tally *tally, struct tally_event event);

struct percentiles {
	size_t n;
	double p50, p90, p99, most;	/* 0 when n is 0 */
};

/* One class of requests. Times in milliseconds. */
struct class_numbers {
	uint32_t n_requests, n_done, n_cut, n_failed;
	uint64_t n_tokens;
	struct percentiles first;	/* time to first token */
	struct percentiles gap;
	struct percentiles whole;	/* from due to done */
	double longest_wait;
};

/* Gaps of the background: before the first foreground request was due; while one was due and had
 * no token; after that. A gap that a window's edge falls into belongs to "during". */
enum window { WINDOW_BEFORE, WINDOW_DURING, WINDOW_AFTER, N_WINDOWS };

struct window_numbers {
	struct percentiles gap;
	double longest_wait;
	double seconds;
	uint64_t n_tokens;
};

struct numbers {
	struct class_numbers foreground, background;
	struct window_numbers windows[N_WINDOWS];
	double seconds;		/* from start_ns to end_ns */
};

/* start_ns: since when tokens per second count, and windows; end_ns: until when. */
must_check enum sc_status tally_numbers(const struct tally *tally, uint64_t start_ns,
					uint64_t end_ns, struct numbers *numbers_out,
					struct error *err);

/* seconds since start_ns, class, request, event, tokens */
void tally_print_csv(const struct tally *tally, uint64_t start_ns, FILE *file);

#endif
