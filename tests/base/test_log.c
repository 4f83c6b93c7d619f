/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "tests/base/hung_console.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

static FILE *captured;
static int real_stderr;

/* From here on standard error is a file. */
static int capture(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	captured = tmpfile();
	real_stderr = dup(STDERR_FILENO);
	return !captured || real_stderr < 0 || dup2(fileno(captured), STDERR_FILENO) < 0;
}

static int restore(void **state)
{
	(void)state;
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	return fclose(captured);
}

/* What was logged so far. */
static const char *logged(void)
{
	static char text[8192];
	size_t n;

	rewind(captured);
	n = fread(text, 1, sizeof text - 1, captured);
	text[n] = '\0';
	return text;
}

static void lines_below_the_level_are_left_out(void **state)
{
	(void)state;
	log_init(LOG_LEVEL_WARNING, "stage 2");
	log_error("one %d", 1);
	log_warning("two");
	log_info("three");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("four");
	assert_non_null(strstr(logged(), " error: stage 2: one 1\n"));
	assert_non_null(strstr(logged(), " warning: stage 2: two\n"));
	assert_null(strstr(logged(), "three"));
	assert_non_null(strstr(logged(), " debug: stage 2: four\n"));
}

/* By the clock that the log reads. time() may be some milliseconds behind it. */
static time_t seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

static void a_line_begins_with_the_time_or_the_journals_priority(void **state)
{
	char stream[64];
	struct stat st;
	unsigned year, month, day, hour, minute, second, ms;
	int end = 0;
	time_t before, found;
	struct tm tm;

	(void)state;
	setenv("TZ", "XST-05:30", 1);
	tzset();
	before = seconds_now();
	log_init(LOG_LEVEL_INFO, "");
	log_info("hello");
	assert_int_equal(sscanf(logged(), "%4u-%2u-%2uT%2u:%2u:%2u.%3u+05:30 info: hello\n%n",
				&year, &month, &day, &hour, &minute, &second, &ms, &end), 7);
	assert_int_equal(end, strlen(logged()));
	tm = (struct tm){
		.tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)day,
		.tm_hour = (int)hour, .tm_min = (int)minute, .tm_sec = (int)second,
	};
	found = mktime(&tm);
	assert_true(found >= before && found <= seconds_now());
	/* Inherited from a parent whose stderr was another: still no journal. */
	setenv("JOURNAL_STREAM", "1:2", 1);
	log_init(LOG_LEVEL_INFO, "");
	log_info("again");
	assert_non_null(strstr(logged(), " info: again\n"));
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_init(LOG_LEVEL_INFO, "worker");
	log_warning("low");
	assert_non_null(strstr(logged(), "\n<4>worker: low\n"));
}

static void a_long_line_is_cut_and_still_ends(void **state)
{
	char text[5000];

	(void)state;
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_init(LOG_LEVEL_INFO, "");
	log_info("%s", text);
	log_info("next");
	assert_in_range(strcspn(logged(), "\n"), 1000, 2047);
	assert_non_null(strstr(logged(), "xxx\n"));
	assert_non_null(strstr(logged(), " info: next\n"));
}

enum { ENDED = 7 };

static void last_words_wait_for_no_thread_that_hangs(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid) {
		alarm(60);
		hang_console();
		log_last_words(100, "the end");
		_exit(ENDED);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ENDED);
}

static void last_words_are_written_before_the_return(void **state)
{
	(void)state;
	log_init(LOG_LEVEL_ERROR, "stage 2");
	log_last_words(60000, "code %d", 69);
	assert_non_null(strstr(logged(), " error: stage 2: code 69\n"));
}

/* The last line that was logged. */
static const char *last_line(void)
{
	const char *text = logged();
	const char *at = text + strlen(text) - 1;

	while (at > text && at[-1] != '\n')
		at--;
	return at;
}

static void expect_line(const char *end)
{
	const char *line = last_line();

	if (strlen(line) < strlen(end) || strcmp(line + strlen(line) - strlen(end), end))
		fail_msg("%s does not end in %s", line, end);
}

static void a_line_as_json_is_one_object(void **state)
{
	const struct log_field fields[] = {
		{ .name = "path", .text = "/v1/\"x\\" },
		{ .name = "status", .number = 200 },
		{ .name = "seconds", .number = 0.125 },
	};

	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_init(LOG_LEVEL_INFO, "stage 2");
	log_set_format(LOG_JSON);
	log_info("one\ttwo \xff \xc3\xa9 \xed\xa0\x80 \"");
	assert_memory_equal(last_line(), "{\"time\":\"20", 11);
	expect_line(",\"level\":\"info\",\"process\":\"stage 2\",\"message\":\"one\\u0009two \\ufffd "
		    "\xc3\xa9 \\ufffd\\ufffd\\ufffd \\\"\"}\n");
	log_set_request("req-1", "0af7");
	log_write_fields(LOG_LEVEL_INFO, fields, 3, "GET");
	expect_line(",\"path\":\"/v1/\\\"x\\\\\",\"status\":200,\"seconds\":0.125,\"request_id\":\"req-1\","
		    "\"trace_id\":\"0af7\",\"message\":\"GET\"}\n");
	log_set_request(NULL, NULL);
	log_info("done");
	assert_null(strstr(last_line(), "req-1"));
	log_set_format(LOG_TEXT);
}

static void an_object_is_whole_however_long_its_texts_are(void **state)
{
	char text[5000];
	const struct log_field fields[] = {
		{ .name = "long", .text = text },
		{ .name = "short", .text = "yes" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof text - 1; i++)
		text[i] = i % 2 ? '"' : '\n';
	text[sizeof text - 1] = '\0';
	log_set_format(LOG_JSON);
	log_write_fields(LOG_LEVEL_INFO, fields, 2, "%s", text);
	assert_null(strstr(last_line(), "\"long\""));
	assert_non_null(strstr(last_line(), ",\"short\":\"yes\",\"message\":\"\\u000a\\\"\\u000a"));
	expect_line("\"}\n");
	assert_in_range(strlen(last_line()), 1500, 2048);
	log_set_format(LOG_TEXT);
}

static void fields_of_a_text_line_are_pairs(void **state)
{
	const struct log_field fields[] = {
		{ .name = "path", .text = "/v1/a b" },
		{ .name = "key", .text = "" },
		{ .name = "peer", .text = "127.0.0.1:80" },
		{ .name = "status", .number = 404 },
	};

	(void)state;
	log_init(LOG_LEVEL_INFO, "stage 2");
	log_set_request("r1", NULL);
	log_write_fields(LOG_LEVEL_INFO, fields, 4, "GET");
	expect_line(" info: stage 2: GET path=\"/v1/a b\" key=\"\" peer=127.0.0.1:80 status=404 "
		    "request_id=r1\n");
	log_set_request(NULL, NULL);
}

int main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, capture, restore)
	const struct CMUnitTest tests[] = {
		LOG_TEST(lines_below_the_level_are_left_out),
		LOG_TEST(a_line_begins_with_the_time_or_the_journals_priority),
		LOG_TEST(a_long_line_is_cut_and_still_ends),
		LOG_TEST(a_line_as_json_is_one_object),
		LOG_TEST(an_object_is_whole_however_long_its_texts_are),
		LOG_TEST(fields_of_a_text_line_are_pairs),
		LOG_TEST(last_words_wait_for_no_thread_that_hangs),
		LOG_TEST(last_words_are_written_before_the_return),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
