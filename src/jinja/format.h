/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_FORMAT_H
#define STAGECOACH_JINJA_FORMAT_H
/*
 * format - "..." % values and "...".format(values) of Python; escapes of HTML.
 */
#include "jinja/functions.h"

/* A wider or more precise layout is refused. */
enum { FORMAT_WIDTH_MAX = 1 << 20 };

/* How a value is laid out: [[fill]align][sign][#][0][width][,][.precision][type]. */
struct layout {
	uint32_t fill;
	bool fill_is_foreign;	/* a variable wrote it */
	char align;		/* < > ^ =, or NUL */
	char sign;		/* + - or space, or NUL */
	bool has_alternate;
	bool has_zeros;
	bool has_commas;
	int width;
	int precision;		/* -1: none */
	char type;		/* or NUL */
};

/* A number; layout->type is one of its kind. */
void format_number(struct render *r, const struct layout *layout, struct value number);
/* str with white space up to the width. */
void format_text(struct render *r, const struct layout *layout, const struct str *str);

struct value format_percent(struct render *r, const struct str *format, struct value values);
struct value format_braces(struct render *r, const struct str *format,
			   const struct arguments *args);

/* With &amp; for & and so on. */
const struct str *str_escaped(struct render *r, const struct str *str);
/* A copy that counts as escaped. */
const struct str *str_safe(struct render *r, const struct str *str);

#endif
