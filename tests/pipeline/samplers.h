/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_TESTS_PIPELINE_SAMPLERS_H
#define STAGECOACH_TESTS_PIPELINE_SAMPLERS_H
/* samplers - requests that use every sampler, for tests in which it must not matter where and with
 * whom a job runs. */
#include "coordinator/job.h"

/* Sets some or all samplers, biases, min_tokens and likeliest tokens of the request, by i: eight
 * kinds, of which one changes nothing. What it adds is static. */
void samplers_choose(struct job_request *request, unsigned i);

/* Returns true if both arrays of n tops have the same bits. */
bool samplers_same_tops(const struct token_top *a, const struct token_top *b, size_t n);

#endif
