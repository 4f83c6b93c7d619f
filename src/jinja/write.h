/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_WRITE_H
#define STAGECOACH_JINJA_WRITE_H
/*
 * write - values as text: str(), repr() and json.dumps() of Python.
 */
#include "jinja/render.h"

struct json_style {
	bool is_ascii;			/* \u escapes for everything else */
	bool is_sorted;			/* by keys */
	const struct str *indent;	/* of one level; NULL: all on one line */
	const struct str *item_separator;
	const struct str *key_separator;
};

void write_value(struct render *r, struct value value);
void write_repr(struct render *r, struct value value);
void write_integer(struct render *r, int64_t integer);
void write_json(struct render *r, struct value value, const struct json_style *style);

#endif
