/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_WIRE_GREEDY_SAMPLING_H
#define STAGECOACH_TESTS_WIRE_GREEDY_SAMPLING_H
/* The sampling of a step that is made by hand and has at most one new sequence. */
#include "wire/step.h"

static const union {
	struct sampling sampling;
	uint64_t words[STEP_SAMPLING_WORDS];
} greedy_sampling = { { .top_p = 1, SAMPLING_OFF } };

#endif
