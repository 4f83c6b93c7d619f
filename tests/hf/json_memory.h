/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_HF_JSON_MEMORY_H
#define STAGECOACH_TESTS_HF_JSON_MEMORY_H
/*
 * json_memory - memory for the Jansson library that does not run out, for tests where allocations
 * fail: version 2.14 loses keys, and writes behind strings, when it gets no memory.
 * Thread: one.
 */

/* From now on Jansson has a megabyte of its own. Call it before Jansson is used. */
void json_memory_start(void);
/* Allocations that are not freed yet. */
unsigned json_memory_n_live(void);

#endif
