/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_COMPARE_H
#define STAGECOACH_JINJA_COMPARE_H
/*
 * compare - equality and order of values, as Python has them.
 */
#include "jinja/render.h"

bool value_equals(struct render *r, struct value a, struct value b);
/* Of values that can be keys of a dict: needs no limits. */
bool value_equals_flat(struct value a, struct value b);

/* < 0, 0, > 0; COMPARE_NOT_ORDERED: one is not a number (nan). Fails if there is no order between
 * such values: operator is what the error names. */
enum { COMPARE_NOT_ORDERED = 2 };
int value_compare(struct render *r, struct value a, struct value b, const char *operator);

/* Whether container has element: Python's `in`. */
bool value_contains(struct render *r, struct value container, struct value element);

#endif
