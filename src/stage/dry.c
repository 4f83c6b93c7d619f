/* SPDX-License-Identifier: Apache-2.0 */
#include "stage/penalties.h"

#include "base/portable_math.h"

#include <float.h>
#include <math.h>

/* The logarithm of the largest float, as llama.cpp has it. */
#define LOG_LARGEST 88.7228391f

/* The window, from its last token backwards. */
struct window {
	const uint32_t *last;
	uint32_t n;
};

static inline uint32_t token_at(const struct window *w, uint32_t i)
{
	return *(w->last - i);
}

/* The longest repetition that no breaker ends. */
static uint32_t longest_allowed(const struct window *w)
{
	uint32_t i = 0;

	while (i < w->n && !(token_at(w, i) & STEP_TOKEN_BREAKER))
		i++;
	return i;
}

static uint32_t match_on(const struct window *w, uint32_t k, uint32_t n)
{
	while (k + n < w->n && token_at(w, n) == token_at(w, k + n))
		n++;
	return n;
}

/* lengths[k] = how many tokens equal the last ones if both are read backwards, from token k and
 * from token 0; at most `most`. This is the Z function of the window: tokens start .. end - 1 are
 * known to equal tokens 0 .. end - start - 1, so each token is compared at most twice. */
static void find_lengths(const struct window *w, uint32_t most, uint32_t *lengths)
{
	uint32_t start = 0, end = 0;

	for (uint32_t k = 1; k < w->n; k++) {
		uint32_t n = k < end ? lengths[k - start] : 0;

		if (k + n >= end) {
			n = match_on(w, k, k < end ? end - k : 0);
			start = k;
			end = k + n;
		}
		lengths[k] = (uint32_t)min_of(n, most);
	}
}

static double power(double base, uint32_t exponent)
{
	double result = 1;

	for (; exponent; exponent >>= 1, base *= base)
		if (exponent & 1)
			result *= base;
	return result;
}

/* mark: the length of the repetition, plus 1. */
static float discouraged(float value, const struct sampling *s, uint32_t mark)
{
	uint32_t exponent = mark - 1 - s->dry_allowed_length;
	uint32_t most = UINT32_MAX;

	if (s->dry_base > 1.000001f)
		most = (uint32_t)((double)LOG_LARGEST / portable_log((double)s->dry_base));
	exponent = (uint32_t)min_of(exponent, most ? most : UINT32_MAX);
	return value - (float)((double)s->dry_multiplier *
			       power((double)s->dry_base, exponent));
}

static void mark_followers(const struct window *w, const struct sampling *s,
			   const uint32_t *lengths, uint32_t *marks)
{
	for (uint32_t k = 1; k < w->n; k++) {
		uint32_t follower = token_at(w, k - 1);

		if (lengths[k] >= s->dry_allowed_length && !(follower & STEP_TOKEN_BREAKER))
			marks[follower] = (uint32_t)max_of(marks[follower], lengths[k] + 1);
	}
}

void dry_apply(struct candidates *c, const struct sampling *s, const struct past_tokens *past,
	       uint32_t *marks, uint32_t *lengths)
{
	uint32_t last_n = s->dry_last_n ? s->dry_last_n : UINT32_MAX;
	const struct window w = {
		.last = past->tokens + past->n - 1, .n = (uint32_t)min_of(past->n, last_n),
	};
	uint32_t most;

	if (w.n <= s->dry_allowed_length)
		return;
	most = longest_allowed(&w);
	if (most < s->dry_allowed_length)
		return;
	find_lengths(&w, most, lengths);
	mark_followers(&w, s, lengths, marks);
	for (uint32_t i = 0; !c->is_whole && i < c->n; i++)
		if (marks[c->tokens[i]])
			candidates_set(c, i, discouraged(c->values[i], s, marks[c->tokens[i]]));
	for (uint32_t k = 1; k < w.n; k++) {
		uint32_t token = step_token(token_at(&w, k - 1));

		if (c->is_whole && marks[token])
			candidates_set(c, token, discouraged(c->values[token], s, marks[token]));
		marks[token] = 0;
	}
}
