/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/pages.h"

#include "backend/cpu/memory.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23	/* Linux 5.14 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25	/* Linux 6.1 */
#endif

/* While steps run, the collapser uses at most a tenth of a processor. A piece takes 0.5 ms, or 5 ms
 * where the host must provide the huge page. */
enum { LEAST_PAUSE_MS = 2, PAUSE_FACTOR = 9 };

/* MADV_COLLAPSE makes huge pages even where the administrator allows none. */
static bool are_huge_pages_allowed(void)
{
	char text[128] = "";
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, sizeof text - 1);
		close(fd);
	}
	return n > 0 && !strstr(text, "[never]") && prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) != 1;
}

/* The kernel has provided the first page of the piece. */
static bool is_begun(void *piece)
{
	unsigned char is_there = 0;

	return !mincore(piece, 1, &is_there) && is_there & 1;
}

/* While a piece is copied into a huge page, the kernel keeps all threads of the process from it. A
 * huge page that the machine's host must provide first would take ten times as long to fill. So a
 * spare page is touched and given back just before: the kernel uses that one next.
 * A piece that has no pages was released since. */
static bool collapse(void *arg, void *piece)
{
	const struct pages *pages = arg;

	if (!is_begun(piece))
		return true;
	*(volatile uint8_t *)pages->spare = 1;
	cpu_memory_give_back(pages->spare, PAGES_HUGE);
	return !madvise(piece, PAGES_HUGE, MADV_COLLAPSE);
}

struct pages *pages_create(pages_clock_fn *clock)
{
	struct pages *pages = calloc(1, sizeof *pages);
	const struct collapser_config config = {
		.fn = collapse,
		.arg = pages,
		.least_pause_ns = LEAST_PAUSE_MS * NS_PER_MS,
		.pause_factor = PAUSE_FACTOR,
	};

	if (!pages)
		return NULL;
	pages->spare = cpu_memory_untouched(PAGES_HUGE);
	if (!pages->spare) {
		free(pages);
		return NULL;
	}
	pages->clock = clock;
	pages->has_huge = are_huge_pages_allowed();
	pthread_mutex_init(&pages->lock, NULL);
	collapser_init(&pages->collapser, &config);
	return pages;
}

void pages_destroy(struct pages *pages)
{
	if (!pages)
		return;
	collapser_deinit(&pages->collapser);
	pthread_mutex_destroy(&pages->lock);
	cpu_memory_free(pages->spare);
	free(pages);
}

size_t pages_bytes(void)
{
	return sizeof(struct pages) + cpu_memory_bytes(PAGES_HUGE);
}

/* --- taking --- */

static enum sc_status populate(uint8_t *at, size_t n_bytes)
{
	if (!madvise(at, n_bytes, MADV_POPULATE_WRITE))
		return SC_OK;
	/* Some sandboxes do not support the request either. */
	return errno == EINVAL || errno == ENOSYS || errno == EPERM ? SC_E_UNSUPPORTED :
								      SC_E_CAPACITY;
}

static enum page_size choose(struct pages *pages)
{
	enum page_size size;

	pthread_mutex_lock(&pages->lock);
	size = page_choice_next(&pages->choice);
	pthread_mutex_unlock(&pages->lock);
	return size;
}

static void note(struct pages *pages, enum page_size size, uint64_t ns)
{
	pthread_mutex_lock(&pages->lock);
	page_choice_note(&pages->choice, size, ns);
	pthread_mutex_unlock(&pages->lock);
}

/* If another thread has begun to take the piece, there is nothing to choose.
 * Processor time is measured, because other programs do not change it. It includes what the host of
 * a virtual machine does for a page. */
enum sc_status pages_take(struct pages *pages, uint8_t *at, size_t n_bytes)
{
	enum page_size size;
	enum sc_status status;
	uint64_t start_ns;

	if (!pages || !pages->has_huge || n_bytes != PAGES_HUGE || (uintptr_t)at % PAGES_HUGE ||
	    is_begun(at))
		return populate(at, n_bytes);
	size = choose(pages);
	if (size == PAGE_SMALL)
		(void)madvise(at, n_bytes, MADV_NOHUGEPAGE);
	start_ns = pages->clock();
	status = populate(at, n_bytes);
	note(pages, size, pages->clock() - start_ns);
	if (size == PAGE_SMALL) {
		(void)madvise(at, n_bytes, MADV_HUGEPAGE);
		collapser_add(&pages->collapser, at);
	}
	return status;
}

/* --- settling --- */

void pages_settle(struct pages *pages)
{
	collapser_start(&pages->collapser);
}

void pages_leave(struct pages *pages)
{
	if (pages)
		collapser_stop(&pages->collapser);
}
