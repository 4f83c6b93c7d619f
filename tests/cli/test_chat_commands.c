/* SPDX-License-Identifier: Apache-2.0 */
/* What lines with a slash do. */
#include "cli/chat_commands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct conversation talk;
static struct config config;
static struct chat_totals totals;
static struct error err;
static char *told;
static size_t n_told;
static FILE *out;

static int begin(void **state)
{
	char *argv[] = { (char *)"chat" };

	(void)state;
	out = open_memstream(&told, &n_told);
	totals = (struct chat_totals){ 0 };
	if (!out || config_load(&config, PROGRAM_CHAT, NULL, 1, argv, &err) != SC_OK)
		return -1;
	return conversation_init(&talk, &err) == SC_OK ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	conversation_deinit(&talk);
	config_deinit(&config);
	fclose(out);
	free(told);
	return 0;
}

static enum command_result run(const char *line)
{
	const struct chat_commands commands = {
		.conversation = &talk, .config = &config, .totals = &totals, .out = out,
	};
	const char *text;
	enum command_result result = chat_command_run(&commands, line, &text, &err);

	fflush(out);
	if (result == COMMAND_NONE)
		assert_string_equal(text, line[0] == '/' && line[1] == '/' ? line + 1 : line);
	return result;
}

static void refuse(const char *line, const char *words)
{
	assert_int_equal(run(line), COMMAND_FAILED);
	if (!strstr(err.text, words))
		fail_msg("%s: expected \"%s\", found: %s", line, words, err.text);
}

static void other_lines_are_for_the_model(void **state)
{
	(void)state;
	assert_int_equal(run("hello /quit"), COMMAND_NONE);
	assert_int_equal(run(""), COMMAND_NONE);
	assert_int_equal(run("//usr/bin"), COMMAND_NONE);
	assert_int_equal(run(" /quit"), COMMAND_NONE);
}

static void unknown_commands_are_refused(void **state)
{
	(void)state;
	refuse("/quot", "did you mean /quit?");
	refuse("/frobnicate", "/help lists the commands");
	refuse("/", "no such command");
	refuse("/quitter now", "no such command");
}

static void quit_has_two_names(void **state)
{
	(void)state;
	assert_int_equal(run("/quit"), COMMAND_QUIT);
	assert_int_equal(run("/exit  "), COMMAND_QUIT);
}

static void help_lists_every_command(void **state)
{
	static const char *const names[] = { "/help", "/system TEXT", "/clear", "/regen",
					     "/save FILE", "/load FILE", "/set NAME VALUE",
					     "/stats", "/quit", "/exit" };

	(void)state;
	assert_int_equal(run("/help"), COMMAND_DONE);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!strstr(told, names[i]))
			fail_msg("no %s in: %s", names[i], told);
}

static void system_sets_and_removes_the_system_message(void **state)
{
	(void)state;
	assert_int_equal(run("/system  be brief "), COMMAND_DONE);
	assert_string_equal(json_string_value(json_object_get(json_array_get(talk.messages, 0),
							      "content")), "be brief");
	assert_int_equal(run("/clear"), COMMAND_DONE);
	assert_int_equal(conversation_n_messages(&talk), 1);
	assert_int_equal(run("/system"), COMMAND_DONE);
	assert_int_equal(conversation_n_messages(&talk), 0);
}

static void regen_needs_a_message(void **state)
{
	(void)state;
	refuse("/regen", "/regen: expected");
	assert_int_equal(conversation_add_user(&talk, "a", 1, &err), SC_OK);
	assert_int_equal(conversation_add(&talk, json_pack("{s:s}", "role", "assistant"), &err),
			 SC_OK);
	assert_int_equal(run("/regen"), COMMAND_SEND);
	assert_int_equal(conversation_n_messages(&talk), 1);
}

static void save_and_load_need_a_file(void **state)
{
	(void)state;
	refuse("/save", "/save: expected the name of a file");
	refuse("/load ", "/load: expected the name of a file");
	refuse("/load /nowhere/at/all", "/nowhere/at/all");
	assert_int_equal(run("/save /dev/null"), COMMAND_DONE);
	assert_non_null(strstr(told, "saved 0 messages in /dev/null"));
}

static void set_changes_how_answers_are_drawn(void **state)
{
	(void)state;
	assert_int_equal(run("/set temp 0.25"), COMMAND_DONE);
	assert_true(config.temperature == 0.25);
	assert_int_equal(run("/set top_k=7"), COMMAND_DONE);
	assert_int_equal(config.top_k, 7);
	assert_int_equal(run("/set repetition-penalty 1.5"), COMMAND_DONE);
	assert_true(config.repeat_penalty == 1.5);
	assert_int_equal(run("/set stop two words"), COMMAND_DONE);
	assert_int_equal(run("/set stop other"), COMMAND_DONE);
	assert_int_equal(config.stops.n, 1);
	assert_string_equal(config.stops.texts[0], "other");
	assert_int_equal(run("/set stop"), COMMAND_DONE);
	assert_int_equal(config.stops.n, 0);
}

static void set_refuses_what_is_no_setting_or_no_value(void **state)
{
	(void)state;
	refuse("/set temp hot", "/set: temp: expected a number");
	refuse("/set top-k", "/set: top-k: expected");
	refuse("/set model x", "no such setting: model");
	refuse("/set threads 3", "no such setting: threads");
	refuse("/set socket x", "no such setting");
	assert_true(config.temperature == 0.8);
	assert_int_equal(run("/set"), COMMAND_DONE);
	assert_non_null(strstr(told, "  temp X\n"));
	assert_null(strstr(told, "model"));
}

static void stats_tell_the_last_turn_and_all(void **state)
{
	(void)state;
	assert_int_equal(run("/stats"), COMMAND_DONE);
	assert_non_null(strstr(told, "0 turns"));
	totals = (struct chat_totals){
		.n_turns = 2, .n_prompt = 30, .n_generated = 12,
		.last = { .n_prompt = 20, .n_generated = 5, .n_context = 512,
			  .tokens_per_second = 8.0 },
	};
	assert_int_equal(run("/stats"), COMMAND_DONE);
	assert_non_null(strstr(told, "2 turns, 30 prompt tokens, 12 generated tokens"));
	assert_non_null(strstr(told, "8.0 tokens/s"));
	assert_non_null(strstr(told, "context: 25 of 512 tokens"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(other_lines_are_for_the_model),
		TEST(unknown_commands_are_refused),
		TEST(quit_has_two_names),
		TEST(help_lists_every_command),
		TEST(system_sets_and_removes_the_system_message),
		TEST(regen_needs_a_message),
		TEST(save_and_load_need_a_file),
		TEST(set_changes_how_answers_are_drawn),
		TEST(set_refuses_what_is_no_setting_or_no_value),
		TEST(stats_tell_the_last_turn_and_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
