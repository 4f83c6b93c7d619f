/* SPDX-License-Identifier: Apache-2.0 */
/* What of an answer a person sees, and what the conversation keeps. */
#include "cli/answer_printer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct answer_printer printer;
static char *shown;
static size_t n_shown;
static FILE *file;

static void begin(bool shows_reasoning, bool has_escapes)
{
	struct answer_style style = { .shows_reasoning = shows_reasoning,
				      .has_escapes = has_escapes };

	file = style.file = open_memstream(&shown, &n_shown);
	assert_non_null(file);
	answer_printer_init(&printer, &style);
}

static void add(enum chat_delta_kind kind, const char *text)
{
	const struct chat_delta delta = { .kind = kind, .text = text, .n_bytes = strlen(text),
					  .id = "abc", .name = text };

	assert_int_equal(answer_printer_add(&printer, &delta), SC_OK);
}

/* Checks what was shown and what the message is, and ends the printer. */
static void expect(const char *text, const char *json)
{
	json_t *expected = json_loads(json, 0, NULL), *message;
	char *found;

	assert_int_equal(answer_printer_end(&printer), SC_OK);
	fflush(file);
	assert_string_equal(shown, text);
	message = answer_printer_message(&printer);
	found = json_dumps(message, JSON_COMPACT);
	assert_non_null(expected);
	if (!json_equal(expected, message))
		fail_msg("expected %s, found %s", json, found);
	free(found);
	json_decref(expected);
	json_decref(message);
	answer_printer_deinit(&printer);
	fclose(file);
	free(shown);
}

static void an_answer_ends_with_a_line_feed(void **state)
{
	(void)state;
	begin(true, true);
	add(CHAT_CONTENT, "to ");
	add(CHAT_CONTENT, "be");
	expect("to be\n", "{\"role\": \"assistant\", \"content\": \"to be\"}");
	begin(true, true);
	add(CHAT_CONTENT, "to be\n");
	expect("to be\n", "{\"role\": \"assistant\", \"content\": \"to be\\n\"}");
}

static void an_empty_answer_prints_nothing(void **state)
{
	(void)state;
	begin(true, true);
	assert_true(answer_printer_is_empty(&printer));
	expect("", "{\"role\": \"assistant\", \"content\": \"\"}");
}

static void reasoning_is_dimmed_and_kept_apart(void **state)
{
	const char *json = "{\"role\": \"assistant\", \"content\": \"yes\", "
			   "\"reasoning_content\": \"hm hm\"}";

	(void)state;
	begin(true, true);
	add(CHAT_REASONING, "hm ");
	add(CHAT_REASONING, "hm");
	assert_true(answer_printer_is_empty(&printer));
	add(CHAT_CONTENT, "yes");
	expect("\033[2mhm hm\033[0m\n\nyes\n", json);
	begin(true, false);
	add(CHAT_REASONING, "hm hm");
	add(CHAT_CONTENT, "yes");
	expect("hm hm\n\nyes\n", json);
	begin(false, true);
	add(CHAT_REASONING, "hm hm");
	add(CHAT_CONTENT, "yes");
	expect("yes\n", json);
}

static void reasoning_that_is_cut_leaves_no_dim_terminal(void **state)
{
	(void)state;
	begin(true, true);
	add(CHAT_REASONING, "hm");
	expect("\033[2mhm\033[0m\n", "{\"role\": \"assistant\", \"content\": \"\", "
	       "\"reasoning_content\": \"hm\"}");
}

static void tool_calls_are_shown_and_kept(void **state)
{
	(void)state;
	begin(true, false);
	add(CHAT_CONTENT, "well");
	add(CHAT_TOOL_BEGIN, "look");
	add(CHAT_TOOL_ARGUMENTS, "{\"a\":");
	add(CHAT_TOOL_ARGUMENTS, "1}");
	add(CHAT_TOOL_BEGIN, "go");
	assert_false(answer_printer_is_empty(&printer));
	expect("well\ntool call: look({\"a\":1})\ntool call: go()\n",
	       "{\"role\": \"assistant\", \"content\": \"well\", \"tool_calls\": ["
	       "{\"id\": \"abc\", \"type\": \"function\", \"function\": "
	       "{\"name\": \"look\", \"arguments\": \"{\\\"a\\\":1}\"}}, "
	       "{\"id\": \"abc\", \"type\": \"function\", \"function\": "
	       "{\"name\": \"go\", \"arguments\": \"\"}}]}");
}

static void calls_alone_have_no_content(void **state)
{
	(void)state;
	begin(false, false);
	add(CHAT_TOOL_BEGIN, "go");
	add(CHAT_TOOL_ARGUMENTS, "{}");
	expect("tool call: go({})\n", "{\"role\": \"assistant\", \"content\": null, "
	       "\"tool_calls\": [{\"id\": \"abc\", \"type\": \"function\", \"function\": "
	       "{\"name\": \"go\", \"arguments\": \"{}\"}}]}");
}

static void a_full_disk_is_told(void **state)
{
	struct answer_style style = { .file = fopen("/dev/full", "w") };
	const struct chat_delta delta = { .kind = CHAT_CONTENT, .text = "a", .n_bytes = 1 };

	(void)state;
	if (!style.file)
		skip();
	answer_printer_init(&printer, &style);
	assert_int_equal(answer_printer_add(&printer, &delta), SC_E_IO);
	assert_int_not_equal(printer.write_errno, 0);
	answer_printer_deinit(&printer);
	fclose(style.file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_ends_with_a_line_feed),
		cmocka_unit_test(an_empty_answer_prints_nothing),
		cmocka_unit_test(reasoning_is_dimmed_and_kept_apart),
		cmocka_unit_test(reasoning_that_is_cut_leaves_no_dim_terminal),
		cmocka_unit_test(tool_calls_are_shown_and_kept),
		cmocka_unit_test(calls_alone_have_no_content),
		cmocka_unit_test(a_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
