/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_MODEL_FAILING_ALLOC_H
#define STAGECOACH_TESTS_MODEL_FAILING_ALLOC_H
/*
 * failing_alloc - a program that links it has an allocator that counts, and that fails where it is
 * told to: for sweeps that fail each allocation in turn. Sanitizers bring their own allocator, and
 * other C libraries other ways: then has_failing_alloc is false and nothing ever fails.
 * Thread: one.
 */
#include <stdbool.h>

extern const bool has_failing_alloc;

/* Let the allocation after n more fail, once. */
void failing_alloc_arm(long n);
/* No allocation fails any more; true: one did since it was armed. */
bool failing_alloc_disarm(void);

/* Blocks that are not freed yet. */
long failing_alloc_n_live(void);

#endif
