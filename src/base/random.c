/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"

#include "base/clock.h"

#include <sys/random.h>
#include <unistd.h>

uint64_t random_id(void)
{
	uint64_t id;

	if (getrandom(&id, sizeof id, GRND_NONBLOCK) != (ssize_t)sizeof id)
		id = (clock_ns() ^ (uint64_t)getpid() << 48) * UINT64_C(0x9E3779B97F4A7C15);
	return id ? id : 1;
}
