/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_BASE_BUDGET_H
#define STAGECOACH_BASE_BUDGET_H
/*
 * budget - a number of bytes that several owners share. Whoever takes memory adds to n_bytes, and
 * subtracts when it is freed; what is done when the budget is spent is the owners' business.
 * Thread: the one that owns it.
 */
#include <stdbool.h>
#include <stddef.h>

struct budget {
	size_t n_bytes;		/* held now */
	size_t max_bytes;
};

static inline bool budget_has(const struct budget *budget, size_t n_bytes)
{
	return budget->n_bytes <= budget->max_bytes &&
	       n_bytes <= budget->max_bytes - budget->n_bytes;
}

#endif
