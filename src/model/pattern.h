/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_MODEL_PATTERN_H
#define STAGECOACH_MODEL_PATTERN_H
/*
 * pattern - a regular expression in PCRE2's syntax, with limits of time and memory.
 * Patterns run in PCRE2's just-in-time compiler, or in its interpreter where that is forbidden.
 * Character classes follow PCRE2's Unicode version.
 * Private to the tokenizer. Thread: a pattern is read-only after creation; a matcher belongs to one
 * thread.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct pattern;

/* SC_E_UNSUPPORTED: not a pattern; err says where. SC_E_NOMEM. */
must_check enum sc_status pattern_create(const char *text, size_t length,
					 struct pattern **pattern_out, struct error *err);
void pattern_destroy(struct pattern *pattern);

/* PCRE2's memory for matching. */
struct matcher;

/* n_bytes: of the longest text. SC_E_NOMEM. */
must_check enum sc_status matcher_create(size_t n_bytes, struct matcher **matcher_out);
void matcher_destroy(struct matcher *matcher);

/* Finds the first match at or after `from` in the n bytes at text, which must be UTF-8.
 * *begin_out > n if there is none. is_empty_good: whether a match of no bytes counts.
 * SC_E_NOMEM. SC_E_TOO_LARGE: the pattern reached its match limit, which no real text does. */
must_check enum sc_status pattern_find(const struct pattern *pattern, struct matcher *matcher,
				       const char *text, size_t n, size_t from,
				       bool is_empty_good, size_t *begin_out, size_t *end_out,
				       struct error *err);

/* The matches in a text one after the other, as users of Oniguruma find them: a match of no bytes
 * counts unless it is right behind the last match. */
struct pattern_matches {
	const struct pattern *pattern;
	struct matcher *matcher;	/* borrowed */
	const char *text;		/* UTF-8 */
	size_t n;
	size_t at, last_end;
	bool has_last;
};

static inline void pattern_matches_init(struct pattern_matches *matches,
					const struct pattern *pattern, struct matcher *matcher,
					const char *text, size_t n)
{
	*matches = (struct pattern_matches){
		.pattern = pattern, .matcher = matcher, .text = text, .n = n,
	};
}

/* *is_found_out: whether there is one more. Fails as pattern_find. */
must_check enum sc_status pattern_matches_next(struct pattern_matches *matches,
					       bool *is_found_out, size_t *begin_out,
					       size_t *end_out, struct error *err);

#endif
