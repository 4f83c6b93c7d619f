/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_SELECT_H
#define STAGECOACH_JINJA_SELECT_H
/*
 * select - what filters look at in each item: an attribute, perhaps in lower case.
 */
#include "jinja/functions.h"

/* path: an integer, or names and numbers with dots between. Each undefined part is replaced by
 * otherwise, if that is given. */
struct value attribute_path(struct render *r, struct value item, struct value path,
			    struct value otherwise);
/* As case-insensitive filters compare: strings in lower case. */
struct value folded(struct render *r, struct value value, bool is_sensitive);
/* item, or its attribute (none or missing: item itself), folded. */
struct value key_of(struct render *r, struct value item, struct value path, bool is_sensitive);

#endif
