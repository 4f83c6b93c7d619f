/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_SEQUENCES_H
#define STAGECOACH_JINJA_SEQUENCES_H
/*
 * sequences - cycler() and joiner(): functions that remember how often they were called.
 */
#include "jinja/render.h"

struct cycler {
	struct value *values;
	size_t n;
	size_t at;
};

struct joiner {
	const struct str *separator;
	bool is_used;
};

/* "" at first, then the separator. */
struct value joiner_next(struct joiner *joiner);

#endif
