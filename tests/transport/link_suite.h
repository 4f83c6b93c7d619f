/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_LINK_SUITE_H
#define STAGECOACH_TESTS_LINK_SUITE_H
/*
 * link_suite - what transport/link.h promises, as tests that every kind of fabric must pass.
 * Two ranks talk to each other: on one loop, on two loops in two threads, or, with exchange, this
 * process is one of them and its peer runs the same suite elsewhere.
 */
#include "transport/link.h"

struct link_suite {
	const char *name;	/* of the group of tests */
	/* Makes a source of fabrics on this loop. Called before anyone connects; always on the
	 * thread that runs the suite. */
	enum sc_status (*open)(void *arg, struct loop *loop, struct fabric_source *source_out,
			       struct error *err);
	void (*close)(void *arg, const struct fabric_source *source);
	void *arg;
	bool has_two_threads;
	/* Set: this process is `rank`. Gives ours, gets the peer's (borrowed until the next call),
	 * and waits until both have called. Called twice per epoch, the second time with nothing. */
	void (*exchange)(void *arg, const void *data, size_t n_bytes, const void **peer_out,
			 size_t *n_peer_bytes_out);
	unsigned rank;
	/* A hundredth of the longest streams: another suite, like this one, has them in full. */
	bool is_short;
};

/* Runs all tests; returns what main returns. */
int link_suite_run(const struct link_suite *suite);

#endif
