/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "model/pattern.h"

#include "model/quote.h"

#include <pcre2.h>
#include <stdlib.h>

#define MATCH_LIMIT 10000000u		/* backtracking steps per match, and 16 more per byte */
#define HEAP_LIMIT_KIB (256u << 10)	/* the interpreter's memory for backtracking */
#define JIT_STACK_MIN (32u << 10)
#define JIT_STACK_MAX (1u << 20)

struct matcher {
	pcre2_match_context *limits;
	pcre2_match_data *match;
	pcre2_jit_stack *stack;
};

/* struct pattern is pcre2_code under another name, so that headers need not know PCRE2. */
static pcre2_code *code_of(struct pattern *pattern)
{
	return (pcre2_code *)pattern;
}

enum sc_status pattern_create(const char *text, size_t length, struct pattern **pattern_out,
			      struct error *err)
{
	int number;
	size_t offset;
	char message[120];
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)text, length,
					 PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C,
					 &number, &offset, NULL);

	if (!code && number == PCRE2_ERROR_HEAP_FAILED)
		return error_set(err, SC_E_NOMEM, "no memory for a pattern");
	if (!code) {
		pcre2_get_error_message(number, (PCRE2_UCHAR *)message, sizeof message);
		return error_set(err, SC_E_UNSUPPORTED, "pattern '%s': offset %zu: %s",
				 quote(text, length).text, offset, message);
	}
	/* Fails where executable memory is forbidden. Matching then uses the interpreter. */
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	*pattern_out = (struct pattern *)code;
	return SC_OK;
}

void pattern_destroy(struct pattern *pattern)
{
	pcre2_code_free(code_of(pattern));
}

enum sc_status matcher_create(size_t n_bytes, struct matcher **matcher_out)
{
	struct matcher *matcher = calloc(1, sizeof *matcher);

	if (!matcher)
		return SC_E_NOMEM;
	matcher->limits = pcre2_match_context_create(NULL);
	matcher->match = pcre2_match_data_create(1, NULL);
	matcher->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
	if (!matcher->limits || !matcher->match) {
		matcher_destroy(matcher);
		return SC_E_NOMEM;
	}
	pcre2_set_match_limit(matcher->limits, n_bytes > (UINT32_MAX - MATCH_LIMIT) / 16
			      ? UINT32_MAX : MATCH_LIMIT + 16 * (uint32_t)n_bytes);
	pcre2_set_heap_limit(matcher->limits, HEAP_LIMIT_KIB);
	/* Without a stack the matcher uses 32 KiB of the thread's stack. */
	if (matcher->stack)
		pcre2_jit_stack_assign(matcher->limits, NULL, matcher->stack);
	*matcher_out = matcher;
	return SC_OK;
}

void matcher_destroy(struct matcher *matcher)
{
	if (!matcher)
		return;
	pcre2_jit_stack_free(matcher->stack);
	pcre2_match_data_free(matcher->match);
	pcre2_match_context_free(matcher->limits);
	free(matcher);
}

enum sc_status pattern_find(const struct pattern *pattern, struct matcher *matcher,
			    const char *text, size_t n, size_t from, bool is_empty_good,
			    size_t *begin_out, size_t *end_out, struct error *err)
{
	const pcre2_code *code = (const pcre2_code *)pattern;
	const uint32_t options = PCRE2_NO_UTF_CHECK | (is_empty_good ? 0 : PCRE2_NOTEMPTY);
	const size_t *offsets = pcre2_get_ovector_pointer(matcher->match);
	int found = pcre2_match(code, (PCRE2_SPTR)text, n, from, options, matcher->match,
				matcher->limits);

	if (found == PCRE2_ERROR_JIT_STACKLIMIT)
		found = pcre2_match(code, (PCRE2_SPTR)text, n, from, options | PCRE2_NO_JIT,
				    matcher->match, matcher->limits);
	if (found == PCRE2_ERROR_NOMATCH) {
		*begin_out = *end_out = n + 1;
		return SC_OK;
	}
	if (found == PCRE2_ERROR_NOMEMORY)
		return error_set(err, SC_E_NOMEM, "no memory to match %zu bytes", n);
	if (found < 0)
		return error_set(err, SC_E_TOO_LARGE, "gave up on %zu bytes (PCRE2 %d)", n, found);
	*begin_out = offsets[0];
	*end_out = offsets[1];
	return SC_OK;
}

enum sc_status pattern_matches_next(struct pattern_matches *matches, bool *is_found_out,
				    size_t *begin_out, size_t *end_out, struct error *err)
{
	while (matches->at <= matches->n) {
		size_t begin, end;
		enum sc_status status = pattern_find(matches->pattern, matches->matcher,
						     matches->text, matches->n, matches->at, true,
						     &begin, &end, err);

		if (status)
			return status;
		if (begin > matches->n)
			break;
		if (begin == end && matches->has_last && matches->last_end == end) {
			/* To the next character, also from the last one. */
			do
				matches->at++;
			while (matches->at < matches->n &&
			       ((uint8_t)matches->text[matches->at] & 0xC0) == 0x80);
			continue;
		}
		matches->at = matches->last_end = *end_out = end;
		matches->has_last = true;
		*begin_out = begin;
		*is_found_out = true;
		return SC_OK;
	}
	matches->at = matches->n + 1;
	*is_found_out = false;
	return SC_OK;
}
