/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of a conversation, in memory and in files. */
#include "cli/conversation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static struct conversation talk;
static struct error err;
static char path[64];

static int begin(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/stagecoach-conversation.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	return conversation_init(&talk, &err) == SC_OK ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	conversation_deinit(&talk);
	return unlink(path);
}

static void user(const char *text)
{
	assert_int_equal(conversation_add_user(&talk, text, strlen(text), &err), SC_OK);
}

static void assistant(const char *text)
{
	json_t *message = json_pack("{s:s, s:s}", "role", "assistant", "content", text);

	assert_int_equal(conversation_add(&talk, message, &err), SC_OK);
}

static void expect_messages(const char *json)
{
	json_t *expected = json_loads(json, 0, NULL);
	char *found = json_dumps(talk.messages, JSON_COMPACT);

	assert_non_null(expected);
	if (!json_equal(expected, talk.messages))
		fail_msg("expected %s, found %s", json, found);
	json_decref(expected);
	free(found);
}

static void the_system_message_is_the_first_and_only_one(void **state)
{
	(void)state;
	user("a");
	assert_int_equal(conversation_set_system(&talk, "s", 1, &err), SC_OK);
	assert_int_equal(conversation_set_system(&talk, "t", 1, &err), SC_OK);
	expect_messages("[{\"role\": \"system\", \"content\": \"t\"},"
			" {\"role\": \"user\", \"content\": \"a\"}]");
	conversation_clear(&talk);
	expect_messages("[{\"role\": \"system\", \"content\": \"t\"}]");
	assert_int_equal(conversation_set_system(&talk, "", 0, &err), SC_OK);
	expect_messages("[]");
}

static void a_message_without_answer_is_replaced(void **state)
{
	(void)state;
	user("a");
	user("b");
	expect_messages("[{\"role\": \"user\", \"content\": \"b\"}]");
}

static void an_answer_can_be_dropped(void **state)
{
	(void)state;
	assert_false(conversation_drop_answer(&talk));
	user("a");
	assistant("x");
	assistant("y");
	assert_true(conversation_drop_answer(&talk));
	assert_true(conversation_drop_answer(&talk));
	expect_messages("[{\"role\": \"user\", \"content\": \"a\"}]");
}

static void texts_are_utf8_without_nul(void **state)
{
	(void)state;
	assert_int_equal(conversation_add_user(&talk, "a\xff", 2, &err), SC_E_INVALID);
	assert_int_equal(conversation_add_user(&talk, "a\0b", 3, &err), SC_E_INVALID);
	assert_int_equal(conversation_set_system(&talk, "\xc3", 1, &err), SC_E_INVALID);
	expect_messages("[]");
}

static void what_is_saved_is_loaded(void **state)
{
	json_t *message = json_pack("{s:s, s:n, s:s, s:[{s:s, s:s, s:{s:s, s:s}}]}",
		"role", "assistant", "content", "reasoning_content", "hm", "tool_calls",
		"id", "abc", "type", "function", "function", "name", "f", "arguments", "{}");
	json_t *before;

	(void)state;
	user("\xc3\xa4 \"\n");
	assert_int_equal(conversation_add(&talk, message, &err), SC_OK);
	before = json_deep_copy(talk.messages);
	assert_int_equal(conversation_save(&talk, path, &err), SC_OK);
	conversation_clear(&talk);
	assert_int_equal(conversation_load(&talk, path, &err), SC_OK);
	assert_true(json_equal(before, talk.messages));
	json_decref(before);
}

static void write_file(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void load(const char *text)
{
	write_file(text);
	if (conversation_load(&talk, path, &err) != SC_OK)
		fail_msg("%s: %s", text, err.text);
}

static void refuse(const char *text, enum sc_status status, const char *words)
{
	write_file(text);
	assert_int_equal(conversation_load(&talk, path, &err), status);
	if (!strstr(err.text, words) || !strstr(err.text, path))
		fail_msg("expected \"%s\", found: %s", words, err.text);
	assert_int_equal(conversation_n_messages(&talk), 1);
}

static void files_of_other_programs_are_read(void **state)
{
	(void)state;
	load("{\"model\": \"m\", \"messages\": [{\"role\": \"user\", \"x\": 1, \"content\": "
	     "[{\"type\": \"text\", \"text\": \"a\"}, {\"type\": \"text\", \"text\": \"b\"}]}, "
	     "{\"role\": \"assistant\", \"tool_calls\": [{\"function\": {\"name\": \"f\", "
	     "\"arguments\": {\"a\": 1}}}]}, "
	     "{\"role\": \"tool\", \"content\": \"c\", \"tool_call_id\": \"i\", \"name\": null}]}");
	expect_messages("[{\"role\": \"user\", \"content\": \"ab\"}, "
			"{\"role\": \"assistant\", \"content\": null, \"tool_calls\": [{\"id\": \"\", "
			"\"type\": \"function\", \"function\": {\"name\": \"f\", "
			"\"arguments\": \"{\\\"a\\\":1}\"}}]}, "
			"{\"role\": \"tool\", \"content\": \"c\", \"tool_call_id\": \"i\"}]");
}

static void a_faulty_file_changes_nothing(void **state)
{
	(void)state;
	user("a");
	refuse("[", SC_E_FORMAT, ":1:");
	refuse("", SC_E_FORMAT, "expected JSON");
	refuse("{}", SC_E_FORMAT, "an array of messages, found nothing");
	refuse("[1]", SC_E_FORMAT, "message 1: expected an object, found a number");
	refuse("[{\"role\": \"user\", \"content\": \"x\"}, {\"role\": \"bot\"}]", SC_E_FORMAT,
	       "message 2: role: expected system, developer, user, assistant or tool, found 'bot'");
	refuse("[{\"role\": \"user\"}]", SC_E_FORMAT, "content: expected a text");
	refuse("[{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]",
	       SC_E_UNSUPPORTED, "image_url");
	refuse("[{\"role\": \"user\", \"content\": [{\"type\": \"text\"}]}]", SC_E_FORMAT,
	       "parts with a text");
	refuse("[{\"role\": \"user\", \"content\": \"x\", \"name\": 1}]", SC_E_FORMAT,
	       "name: expected a text, found a number");
	refuse("[{\"role\": \"assistant\", \"content\": \"x\", \"tool_calls\": {}}]", SC_E_FORMAT,
	       "tool_calls: expected an array, found an object");
	refuse("[{\"role\": \"assistant\", \"tool_calls\": [{}]}]", SC_E_FORMAT, "a function");
	refuse("[{\"role\": \"user\", \"content\": \"\\u0000\"}]", SC_E_FORMAT, "JSON");
}

static void files_have_limits(void **state)
{
	FILE *file = fopen(path, "w");

	(void)state;
	assert_non_null(file);
	fputc('[', file);
	for (int i = 0; i <= CONVERSATION_MAX_MESSAGES; i++)
		fprintf(file, "%s{\"role\":\"user\",\"content\":\"\"}", i ? "," : "");
	fputc(']', file);
	fclose(file);
	assert_int_equal(conversation_load(&talk, path, &err), SC_E_TOO_LARGE);
	assert_int_equal(truncate(path, CONVERSATION_MAX_BYTES + 1), 0);
	assert_int_equal(conversation_load(&talk, path, &err), SC_E_TOO_LARGE);
	assert_int_equal(conversation_load(&talk, "/nowhere/at/all", &err), SC_E_NOT_FOUND);
	assert_int_equal(conversation_save(&talk, "/nowhere/at/all", &err), SC_E_IO);
	assert_int_equal(conversation_load(&talk, "/", &err), SC_E_IO);
}

static void a_full_disk_is_told(void **state)
{
	(void)state;
	if (access("/dev/full", W_OK) != 0)
		skip();
	user("a");
	assert_int_equal(conversation_save(&talk, "/dev/full", &err), SC_E_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_system_message_is_the_first_and_only_one,
						begin, end),
		cmocka_unit_test_setup_teardown(a_message_without_answer_is_replaced, begin, end),
		cmocka_unit_test_setup_teardown(an_answer_can_be_dropped, begin, end),
		cmocka_unit_test_setup_teardown(texts_are_utf8_without_nul, begin, end),
		cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, begin, end),
		cmocka_unit_test_setup_teardown(files_of_other_programs_are_read, begin, end),
		cmocka_unit_test_setup_teardown(a_faulty_file_changes_nothing, begin, end),
		cmocka_unit_test_setup_teardown(files_have_limits, begin, end),
		cmocka_unit_test_setup_teardown(a_full_disk_is_told, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
