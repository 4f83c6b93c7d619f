/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_STRINGS_H
#define STAGECOACH_JINJA_STRINGS_H
/*
 * strings - what filters and methods do with strings. Every byte keeps its origin.
 */
#include "jinja/codepoint.h"
#include "jinja/render.h"

enum { STRIP_LEFT = 1, STRIP_RIGHT = 2 };
enum { NOT_FOUND = -1 };

/* chars: the characters to strip; NULL: white space. */
const struct str *str_strip(struct render *r, const struct str *str, const struct str *chars,
			    unsigned sides);
const struct str *str_cased(struct render *r, const struct str *str, enum letter_case to);
/* The first letter in upper case, the others in lower case. */
const struct str *str_capitalized(struct render *r, const struct str *str);
/* At most n_max times; negative: all. */
const struct str *str_replaced(struct render *r, const struct str *str, const struct str *old,
			       const struct str *new, int64_t n_max);
/* separator: NULL: white space. */
struct array *str_split(struct render *r, const struct str *str, const struct str *separator,
			int64_t n_max);
struct array *str_split_right(struct render *r, const struct str *str,
			      const struct str *separator, int64_t n_max);
struct array *str_lines(struct render *r, const struct str *str, bool keeps_ends);
const struct str *str_reversed(struct render *r, const struct str *str);
/* With fill up to width characters, part of it in front: 'l', 'r' or 'c' says where str stands. */
const struct str *str_padded(struct render *r, const struct str *str, int64_t width,
			     const struct str *fill, char place);
/* First place of part in bytes [begin, end) of str; NOT_FOUND. */
int64_t str_find(struct render *r, const struct str *str, size_t begin, size_t end,
		 const struct str *part);
int64_t str_find_last(struct render *r, const struct str *str, size_t begin, size_t end,
		      const struct str *part);

#endif
