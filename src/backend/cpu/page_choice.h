/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_PAGE_CHOICE_H
#define STAGECOACH_BACKEND_CPU_PAGE_CHOICE_H
/*
 * page_choice - huge or small pages for the next piece of memory, by what pieces cost so far.
 *
 * Reason: the kernel of a virtual machine may hand free huge pages back to its host (free page
 * reporting). The next use of such a page costs 2.2 s/GiB instead of 0.1. Free small pages are not
 * handed back, so they cost 0.2 to 0.4 s/GiB as long as there are any.
 * Huge pages are chosen while they are fast. When they are slow, the cheaper size is chosen, and
 * one piece in a while is a trial of the other size, because costs change.
 * Thread: the caller serialises calls.
 */
#include <stdint.h>

enum page_size { PAGE_HUGE, PAGE_SMALL, PAGE_N_SIZES };

enum {
	PAGE_CHOICE_SLOW_NS = 2000000,	/* per piece of 2 MiB, about 1 s/GiB */
	PAGE_CHOICE_FEW = 4,		/* pieces until the first trial */
	PAGE_CHOICE_MANY = 64,		/* pieces between two trials at most */
};

/* A zeroed struct is valid. */
struct page_choice {
	uint64_t cost_ns[PAGE_N_SIZES];	/* of a piece, a moving average */
	unsigned n_until_trial;		/* pieces */
	unsigned n_between;		/* the same after the last trial */
};

enum page_size page_choice_next(struct page_choice *choice);
/* A piece of 2 MiB took so long. */
void page_choice_note(struct page_choice *choice, enum page_size size, uint64_t ns);

#endif
