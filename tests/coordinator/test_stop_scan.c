/* SPDX-License-Identifier: Apache-2.0 */
/* Stop strings and hidden parts of texts, however the texts are cut into pieces. */
#include "coordinator/stop_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* What became of a text: how much of it came out, and the stop string behind that. */
struct result {
	size_t n_shown;
	uint32_t stop;
};

/* Gives text in pieces, the first of sizes[0] bytes; a size of 0 is the rest. */
static struct result run(struct stop_scan scan, const char *text, const size_t *sizes)
{
	struct result result = { 0, STOP_SCAN_NONE };
	size_t n = strlen(text), given = 0;

	do {
		size_t size = sizes && *sizes && *sizes < n - given ? *sizes++ : n - given;

		given += size;
		result.n_shown += stop_scan_next(&scan, text + result.n_shown,
						 given - result.n_shown, given == n, &result.stop);
		assert_true(result.n_shown <= given);
	} while (result.stop == STOP_SCAN_NONE && given < n);
	return result;
}

static void expect(struct stop_scan scan, const char *text, size_t n_shown, uint32_t stop)
{
	static const size_t by_bytes[64] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
					     1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	struct result whole = run(scan, text, NULL), bytes = run(scan, text, by_bytes);

	assert_int_equal(whole.n_shown, n_shown);
	assert_int_equal(whole.stop, stop);
	assert_int_equal(bytes.n_shown, n_shown);
	assert_int_equal(bytes.stop, stop);
}

static void the_stop_string_that_is_complete_first_counts(void **state)
{
	static const char *const stops[] = { "abcd", "bc", "c" };
	struct stop_scan scan = { .stops = stops, .n_stops = 3 };

	(void)state;
	expect(scan, "xabcdy", 2, 1);
	expect(scan, "xacdy", 2, 2);
	expect(scan, "xay", 3, STOP_SCAN_NONE);
	expect(scan, "", 0, STOP_SCAN_NONE);
}

static void nothing_stops_in_a_hidden_part(void **state)
{
	static const char *const stops[] = { "stop", "k>", "<t" };
	struct stop_scan scan = { .stops = stops, .n_stops = 3, .hidden_open = "<think>",
				  .hidden_close = "</think>" };

	(void)state;
	expect(scan, "<think>stop k></think>go", 24, STOP_SCAN_NONE);
	expect(scan, "<think>stop</think>stop", 19, 0);
	expect(scan, "<think>stop</think><think>stop</think>ok>", 39, 1);
	/* It never ends. */
	expect(scan, "<think>stop</thin", 17, STOP_SCAN_NONE);
	/* It never begins. */
	expect(scan, "<thin stop", 0, 2);
	expect(scan, "<thin", 0, 2);
}

static void a_stop_string_that_begins_before_a_hidden_part_counts(void **state)
{
	static const char *const stops[] = { "x<t>y", "t" };
	struct stop_scan scan = { .stops = stops, .n_stops = 2, .hidden_open = "<t>",
				  .hidden_close = "." };

	(void)state;
	expect(scan, "ax<t>y", 1, 0);
	expect(scan, "ax<t>z.t", 7, 1);
	expect(scan, "ax<t>", 5, STOP_SCAN_NONE);
}

static void a_text_may_begin_hidden(void **state)
{
	static const char *const stops[] = { "stop" };
	struct stop_scan scan = { .stops = stops, .n_stops = 1, .hidden_close = "</think>",
				  .is_hidden = true };

	(void)state;
	expect(scan, "stop</think>a stop", 14, 0);
	expect(scan, "stop", 4, STOP_SCAN_NONE);
}

/* --- random texts --- */

static uint64_t random_state = 1;

static uint32_t draw(uint32_t n)
{
	random_state = random_state * UINT64_C(6364136223846793005) +
		       UINT64_C(1442695040888963407);
	return (uint32_t)(random_state >> 40) % n;
}

static void draw_text(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		text[i] = (char)('a' + draw(2));
	text[n] = '\0';
}

static bool begins_at(const char *text, size_t at, const char *pattern)
{
	return strncmp(text + at, pattern, strlen(pattern)) == 0;
}

static size_t find_from(const char *text, size_t at, const char *pattern)
{
	while (text[at] && !begins_at(text, at, pattern))
		at++;
	return at;
}

/* The stop string that ends first of those that begin in text[from .. to). */
static struct result first_stop(const struct stop_scan *scan, const char *text, size_t from,
				size_t to)
{
	for (size_t end = from; end <= strlen(text); end++)
		for (size_t at = from; at < to && at < end; at++)
			for (uint32_t i = 0; i < scan->n_stops; i++)
				if (begins_at(text, at, scan->stops[i]) &&
				    at + strlen(scan->stops[i]) == end)
					return (struct result){ at, i };
	return (struct result){ strlen(text), STOP_SCAN_NONE };
}

/* What a reader of the whole text says. */
static struct result expected_of(const struct stop_scan *scan, const char *text)
{
	size_t n = strlen(text), at = 0, open;
	struct result stop;

	if (scan->is_hidden)
		at = find_from(text, 0, scan->hidden_close) + strlen(scan->hidden_close);
	while (at < n) {
		open = scan->hidden_open ? find_from(text, at, scan->hidden_open) : n;
		stop = first_stop(scan, text, at, open);
		if (stop.stop != STOP_SCAN_NONE || open == n)
			return stop;
		at = find_from(text, open + strlen(scan->hidden_open), scan->hidden_close) +
		     strlen(scan->hidden_close);
	}
	return (struct result){ n, STOP_SCAN_NONE };
}

static void random_texts_give_the_same_however_they_are_cut(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 20000; round++) {
		char text[33], first[6], second[6], open[5], close[4];
		const char *const stops[] = { first, second };
		struct stop_scan scan = { .stops = stops, .n_stops = 2, .hidden_close = close,
					  .hidden_open = draw(4) ? open : NULL,
					  .is_hidden = draw(2) };
		struct result expected, found;
		size_t sizes[33];

		draw_text(text, 1 + draw(32));
		draw_text(first, 1 + draw(5));
		draw_text(second, 1 + draw(5));
		draw_text(open, 1 + draw(4));
		draw_text(close, 1 + draw(3));
		for (size_t i = 0; i < 33; i++)
			sizes[i] = 1 + draw(6);
		expected = expected_of(&scan, text);
		found = run(scan, text, sizes);
		if (found.n_shown != expected.n_shown ||
		    (found.stop == STOP_SCAN_NONE) != (expected.stop == STOP_SCAN_NONE) ||
		    (found.stop != STOP_SCAN_NONE &&
		     strcmp(stops[found.stop], stops[expected.stop])))
			fail_msg("text %s, stops %s and %s, hidden %s to %s%s: shows %zu and stops "
				 "at %d, expected %zu and %d", text, first, second,
				 scan.hidden_open ? open : "never", close,
				 scan.is_hidden ? " from the start" : "", found.n_shown,
				 (int)found.stop, expected.n_shown, (int)expected.stop);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_stop_string_that_is_complete_first_counts),
		cmocka_unit_test(nothing_stops_in_a_hidden_part),
		cmocka_unit_test(a_stop_string_that_begins_before_a_hidden_part_counts),
		cmocka_unit_test(a_text_may_begin_hidden),
		cmocka_unit_test(random_texts_give_the_same_however_they_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
