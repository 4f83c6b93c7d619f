/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_SORT_H
#define STAGECOACH_JINJA_SORT_H
/*
 * sort - Python's stable sort.
 */
#include "jinja/render.h"

/* pairs: of a key and anything. Sorts them by their keys, upwards or downwards. */
void sort_pairs(struct render *r, struct array *pairs, bool is_reverse);

#endif
