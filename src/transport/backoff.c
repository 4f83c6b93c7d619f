/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/backoff.h"

void backoff_init(struct backoff *backoff, unsigned min_ms, unsigned max_ms, uint64_t seed)
{
	*backoff = (struct backoff){
		.min_ms = min_ms,
		.max_ms = max_ms > min_ms ? max_ms : min_ms,
		.random = seed ? seed : 1,
	};
}

/* xorshift64* */
static uint32_t next_random(struct backoff *backoff)
{
	backoff->random ^= backoff->random >> 12;
	backoff->random ^= backoff->random << 25;
	backoff->random ^= backoff->random >> 27;
	return (uint32_t)((backoff->random * UINT64_C(2685821657736338717)) >> 32);
}

unsigned backoff_next_ms(struct backoff *backoff)
{
	uint64_t limit = backoff->min_ms;

	for (unsigned i = 0; i < backoff->n_waits && limit < backoff->max_ms; i++)
		limit *= 2;
	if (limit > backoff->max_ms)
		limit = backoff->max_ms;
	if (limit < backoff->max_ms)
		backoff->n_waits++;
	return (unsigned)(next_random(backoff) * (limit + 1) >> 32);
}

void backoff_reset(struct backoff *backoff)
{
	backoff->n_waits = 0;
}
