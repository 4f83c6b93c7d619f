/* SPDX-License-Identifier: Apache-2.0 */
#include "base/bell.h"

#include "base/spin.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The waiter sets the word and looks for news; who rings has brought news and looks at the word:
 * in either order one of them sees the other. */
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
