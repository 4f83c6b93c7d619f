/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bell.h"

#include "base/spin.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* No ring is lost: the waiter sets is_asleep and then checks for news; the ringing thread publishes
 * its news and then checks is_asleep. All four accesses are sequentially consistent, so at least
 * one of the two threads sees what the other wrote. */
void bell_wait(struct bell *bell, uint64_t spin_ns, bell_news_fn *has_news, void *arg)
{
	struct spin spin;

	spin_begin(&spin, spin_ns);
	do {
		if (has_news(arg))
			return;
	} while (spin_goes_on(&spin));
	for (;;) {
		atomic_store(&bell->is_asleep, 1);
		if (has_news(arg))
			break;
		syscall(SYS_futex, &bell->is_asleep, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
	}
	atomic_store(&bell->is_asleep, 0);
}

void bell_ring(struct bell *bell)
{
	if (atomic_load(&bell->is_asleep) && atomic_exchange(&bell->is_asleep, 0))
		syscall(SYS_futex, &bell->is_asleep, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
