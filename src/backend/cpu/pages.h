/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BACKEND_CPU_PAGES_H
#define STAGECOACH_BACKEND_CPU_PAGES_H
/*
 * pages - takes pages of the backend's large blocks from the kernel.
 *
 * Pages are huge, which makes decoding 4 to 10 % faster. Where huge pages are slow to get
 * (page_choice.h), pieces are taken as small pages, and a thread turns them into huge pages once
 * the backend serves (collapser.h). The contents of a piece never change.
 * Where the system does not allow huge pages, all pages are small and nothing is timed.
 */
#include "backend/cpu/collapser.h"
#include "backend/cpu/page_choice.h"
#include "base/error.h"

#define PAGES_HUGE ((size_t)2 << 20)

typedef uint64_t pages_clock_fn(void);

struct pages {
	pages_clock_fn *clock;		/* processor time of the calling thread */
	bool has_huge;			/* the system allows huge pages */
	pthread_mutex_t lock;		/* of choice */
	struct page_choice choice;
	struct collapser collapser;
	uint8_t *spare;			/* [PAGES_HUGE], see collapse() */
};

/* Returns NULL if there is no memory. The caller destroys it. Thread: the backend's, before it is
 * bound to a core. */
struct pages *pages_create(pages_clock_fn *clock);
/* Accepts NULL. */
void pages_destroy(struct pages *pages);
/* The memory that it takes, without the list of small pieces. */
size_t pages_bytes(void);

/* Takes the pages of at .. at + n_bytes, at most PAGES_HUGE; their contents stay, also if other
 * threads write to them meanwhile. Only whole huge pages are chosen and timed. Accepts NULL as
 * pages. Thread: any.
 * SC_E_CAPACITY: the kernel has no memory. SC_E_UNSUPPORTED: the kernel cannot take pages
 * (MADV_POPULATE_WRITE came with Linux 5.14), or `at` is not at the start of a page. */
must_check enum sc_status pages_take(struct pages *pages, uint8_t *at, size_t n_bytes);

/* Starts to turn small pages into huge ones, if any were chosen. Thread: the backend's. */
void pages_settle(struct pages *pages);
/* Interrupts that, before a block is released. Accepts NULL. Thread: the backend's. */
void pages_leave(struct pages *pages);

#endif
