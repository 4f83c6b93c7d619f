/* SPDX-License-Identifier: Apache-2.0 */
#include "backend/cpu/page_choice.h"

#include "base/integers.h"

#include <stdbool.h>

static bool is_slow(const struct page_choice *choice)
{
	return choice->cost_ns[PAGE_HUGE] >= PAGE_CHOICE_SLOW_NS;
}

static enum page_size preferred(const struct page_choice *choice)
{
	if (is_slow(choice) && choice->cost_ns[PAGE_SMALL] < choice->cost_ns[PAGE_HUGE])
		return PAGE_SMALL;
	return PAGE_HUGE;
}

enum page_size page_choice_next(struct page_choice *choice)
{
	enum page_size size = preferred(choice);

	if (!is_slow(choice))
		return size;
	if (!choice->n_between)
		choice->n_between = choice->n_until_trial = PAGE_CHOICE_FEW;
	if (--choice->n_until_trial)
		return size;
	choice->n_until_trial = choice->n_between;
	return size == PAGE_HUGE ? PAGE_SMALL : PAGE_HUGE;
}

/* After a good trial the next one follows at once, after a bad one it takes twice as long. */
static void note_trial(struct page_choice *choice, bool is_good)
{
	unsigned n = (unsigned)min_of(2 * choice->n_between, PAGE_CHOICE_MANY);

	choice->n_between = is_good ? PAGE_CHOICE_FEW : n;
	choice->n_until_trial = is_good ? 1 : n;
}

/* One slow piece changes nothing, nor does one good trial; two good trials do. */
void page_choice_note(struct page_choice *choice, enum page_size size, uint64_t ns)
{
	enum page_size usual = preferred(choice);
	uint64_t *cost = &choice->cost_ns[size];

	if (size == usual) {
		*cost = *cost - *cost / 4 + ns / 4;
		return;
	}
	note_trial(choice, ns < choice->cost_ns[usual]);
	*cost = *cost / 2 + ns / 2;
}
