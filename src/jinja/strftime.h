/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_JINJA_STRFTIME_H
#define STAGECOACH_JINJA_STRFTIME_H
/*
 * strftime - a time as text, in UTC and in English.
 */
#include "jinja/render.h"

/* All directives of C and of Python; what is none stays as it is. */
const struct str *time_text(struct render *r, const struct str *format, int64_t unix_s);

#endif
