/* SPDX-License-Identifier: Apache-2.0 */
#include "jinja/strftime.h"

#include <string.h>
#include <time.h>

enum { PIECE_MAX = 64 };

/* The format is made below, from directives that are known: nothing that a compiler could check. */
static size_t (*const print)(char *, size_t, const char *, const struct tm *) = strftime;

/* One directive. */
static void put(struct render *r, char directive, char modifier, const struct tm *tm)
{
	static const char known[] = "aAbBcCdDeFgGhHIjklmMnprRsStTuUVwWxXyY%";
	char format[4] = { '%', directive }, text[PIECE_MAX];
	size_t n;

	if (directive == 'f') {
		text_add_own(r, "000000");
		return;
	}
	/* A time without a zone has none to name. */
	if (directive == 'z' || directive == 'Z')
		return;
	if (modifier) {
		format[1] = modifier;
		format[2] = directive;
	}
	if (!strchr(known, directive)) {
		text_add_own(r, format);
		return;
	}
	n = print(text, sizeof text, format, tm);
	text_add(r, text, n, true);
}

const struct str *time_text(struct render *r, const struct str *format, int64_t unix_s)
{
	size_t begin = text_begin(r);
	time_t seconds = (time_t)unix_s;
	struct tm tm;

	if (!gmtime_r(&seconds, &tm)) {
		render_fail(r, "the time %lld has no date", (long long)unix_s);
		return &str_empty;
	}
	for (size_t at = 0; at < format->n_bytes && render_step(r, 1); at++) {
		char c = at + 1 < format->n_bytes ? format->bytes[at + 1] : '\0';
		char modifier = '\0';

		if (format->bytes[at] != '%' || !c) {
			text_add_part(r, format, at, at + 1);
			continue;
		}
		at++;
		if (strchr("-_0^#EO", c) && at + 1 < format->n_bytes && format->bytes[at + 1]) {
			modifier = c;
			c = format->bytes[++at];
		}
		put(r, c, modifier, &tm);
	}
	return text_end(r, begin);
}
