/* SPDX-License-Identifier: Apache-2.0 */
/* What a person who waits is told, and when: the clock is the test's. */
#include "cli/progress.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static char told[4096];		/* "[line]" for each that was shown, "(line)" for each said,
				 * "_line_" for each shown below */
static uint64_t now_ns;
static struct progress progress;

static void rewrite(const char *line)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof told - n, "[%s]", line ? line : "");
}

static void rewrite_below(const char *line)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof told - n, "_%s_", line);
}

static void say(const char *line)
{
	size_t n = strlen(told);

	snprintf(told + n, sizeof told - n, "(%s)", line);
}

static void use(enum progress_kind kind)
{
	progress_init(&progress, kind == PROGRESS_NONE);
	progress.kind = kind;
	progress.rewrite = rewrite;
	progress.rewrite_below = rewrite_below;
	progress.say = say;
	told[0] = '\0';
	now_ns = 1000 * NS_PER_SECOND;
}

/* Shows how many milliseconds have passed, each step_ms of ms. */
static void wait_for(unsigned ms, unsigned step_ms)
{
	for (unsigned i = step_ms; i <= ms; i += step_ms) {
		now_ns += step_ms * NS_PER_MS;
		progress_show(&progress, now_ns, "%u",
			      (unsigned)(now_ns / NS_PER_MS % 1000000));
	}
}

static void expect(const char *expected)
{
	assert_string_equal(told, expected);
	told[0] = '\0';
}

static void a_terminal_has_one_line_that_is_rewritten_ten_times_a_second(void **state)
{
	(void)state;
	use(PROGRESS_TERMINAL);
	progress_show(&progress, now_ns, "none");
	expect("[none]");
	wait_for(299, 1);
	expect("[100][200]");
	progress_end(&progress);
	expect("[]");
	progress_end(&progress);
	expect("");
}

static void a_note_is_told_at_once_wherever_the_cursor_is(void **state)
{
	(void)state;
	use(PROGRESS_TERMINAL);
	progress_begin(&progress, now_ns, PROGRESS_PROMPT_MS);
	progress_note(&progress, false, "a stage was %s", "lost");
	expect("[a stage was lost]");
	progress_note(&progress, true, "another");
	expect("_another_");
	progress_hide(&progress);
	expect("[]");
	progress.width = 8;
	progress_note(&progress, true, "0123456789");
	expect("_0123456_");
	use(PROGRESS_LINES);
	progress_begin(&progress, now_ns, PROGRESS_PROMPT_MS);
	progress_note(&progress, true, "a stage was lost");
	expect("(a stage was lost)");
	use(PROGRESS_NONE);
	progress_note(&progress, true, "a stage was lost");
	expect("");
}

static void elsewhere_there_is_a_line_every_few_seconds(void **state)
{
	(void)state;
	use(PROGRESS_LINES);
	wait_for(13000, 10);
	expect("(2010)(7010)(12010)");
	progress_end(&progress);
	expect("");
}

static void whoever_does_not_wait_long_is_told_nothing(void **state)
{
	(void)state;
	use(PROGRESS_TERMINAL);
	progress_begin(&progress, now_ns, 2000);
	wait_for(1999, 1);
	assert_false(progress_is_due(&progress, now_ns));
	progress_end(&progress);
	expect("");
	progress_begin(&progress, now_ns, 2000);
	assert_true(progress_is_due(&progress, now_ns + 2000 * NS_PER_MS));
	wait_for(2000, 1);
	expect("[3999]");
	use(PROGRESS_LINES);
	progress_begin(&progress, now_ns, 0);
	wait_for(1999, 1);
	expect("");
}

static void quiet_is_quiet(void **state)
{
	(void)state;
	use(PROGRESS_NONE);
	progress_begin(&progress, now_ns, 0);
	assert_false(progress_is_due(&progress, now_ns + NS_PER_SECOND));
	wait_for(60000, 100);
	progress_end(&progress);
	expect("");
}

static void a_line_is_cut_before_it_breaks(void **state)
{
	(void)state;
	use(PROGRESS_TERMINAL);
	progress.width = 5;
	progress_show(&progress, now_ns, "123456789");
	expect("[1234]");
	use(PROGRESS_LINES);
	progress.width = 5;
	progress_begin(&progress, now_ns, 0);
	progress_show(&progress, now_ns + 2 * NS_PER_SECOND, "123456789");
	expect("(123456789)");
}

static void a_line_that_was_hidden_comes_back_in_its_time(void **state)
{
	(void)state;
	use(PROGRESS_TERMINAL);
	progress_begin(&progress, now_ns, 2000);
	progress_hide(&progress);
	wait_for(2050, 50);
	expect("[2000]");
	progress_hide(&progress);
	progress_hide(&progress);
	wait_for(50, 50);
	expect("[][2100]");
}

static void after_its_end_waiting_begins_anew(void **state)
{
	(void)state;
	use(PROGRESS_TERMINAL);
	wait_for(100, 100);
	progress_end(&progress);
	wait_for(100, 100);
	expect("[100][][200]");
	use(PROGRESS_LINES);
	wait_for(4000, 1000);
	progress_end(&progress);
	wait_for(3000, 1000);
	expect("(3000)(7000)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_terminal_has_one_line_that_is_rewritten_ten_times_a_second),
		cmocka_unit_test(elsewhere_there_is_a_line_every_few_seconds),
		cmocka_unit_test(a_note_is_told_at_once_wherever_the_cursor_is),
		cmocka_unit_test(whoever_does_not_wait_long_is_told_nothing),
		cmocka_unit_test(quiet_is_quiet),
		cmocka_unit_test(a_line_is_cut_before_it_breaks),
		cmocka_unit_test(a_line_that_was_hidden_comes_back_in_its_time),
		cmocka_unit_test(after_its_end_waiting_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
