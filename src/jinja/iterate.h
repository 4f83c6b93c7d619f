/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_ITERATE_H
#define STAGECOACH_JINJA_ITERATE_H
/*
 * iterate - the items of a value, one after the other.
 */
#include "jinja/render.h"

struct iteration {
	struct render *r;
	struct value of;
	size_t at;	/* items that came; of strings: bytes */
};

bool value_is_iterable(struct value value);
/* Fails if value has no items. */
bool iterate(struct render *r, struct value value, struct iteration *iteration);
/* False: there are no more, or the rendering has failed. Counts a step. */
bool iterate_next(struct iteration *iteration, struct value *value_out);

/* All items, in a new array. */
struct array *value_items(struct render *r, struct value value);
/* Python's len; fails if value has none. */
int64_t value_length(struct render *r, struct value value);
bool value_has_length(struct value value);
/* Item i of a list, tuple or range. */
struct value value_item(struct value value, size_t i);

#endif
