/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TRANSPORT_BACKOFF_H
#define STAGECOACH_TRANSPORT_BACKOFF_H
/*
 * backoff - how long to wait before trying again: a random time up to a limit that doubles with
 * each attempt and stops growing at max_ms ("full jitter"). So many workers that lost one
 * coordinator at the same moment do not come back at the same moment.
 * Thread: one.
 */
#include <stdint.h>

struct backoff {
	unsigned min_ms;	/* the limit of the first wait */
	unsigned max_ms;	/* the limit of all waits */
	unsigned n_waits;	/* since the last reset */
	uint64_t random;	/* state of the generator, not 0 */
};

/* seed: any number; different on each worker. */
void backoff_init(struct backoff *backoff, unsigned min_ms, unsigned max_ms, uint64_t seed);
/* The next wait: 0 to the limit, which doubles. */
unsigned backoff_next_ms(struct backoff *backoff);
/* The next limit is min_ms again. */
void backoff_reset(struct backoff *backoff);

#endif
