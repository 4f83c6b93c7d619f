/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_COORDINATOR_BREAKERS_H
#define STAGECOACH_COORDINATOR_BREAKERS_H
/*
 * breakers - the texts of a job that end a repetition for the DRY sampler. Stages know no texts, so
 * a step says of each row whether its token contains one of them.
 * Thread: the loop's.
 */
#include "model/tokenizer.h"

struct breakers {
	const struct tokenizer *tokenizer;	/* borrowed */
	const char *const *texts;		/* [n_texts], borrowed */
	uint32_t n_texts;
};

/* Returns true if the token's text contains one of the texts. */
bool breakers_has(const struct breakers *breakers, uint32_t token);

#endif
