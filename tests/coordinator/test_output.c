/* SPDX-License-Identifier: Apache-2.0 */
/* How tokens become text: whole characters, held back while they could begin a stop string. */
#include "coordinator/output.h"

#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define MAX_TOKENS 64

static struct buf file = BUF_INIT;
static struct model *model;
static struct tokenizer *tokenizer;

static struct output_writer writer;

static void begin(const char *const *stops, uint32_t n_stops, uint32_t max_tokens)
{
	assert_int_equal(output_writer_init(&writer, tokenizer, false, max_tokens), SC_OK);
	writer.stops = stops;
	writer.n_stops = n_stops;
}

/* A byte is a token. False: the output is over. */
static bool add(int byte)
{
	assert_int_equal(output_writer_add(&writer, (uint8_t)byte, -1.0f, NULL), SC_OK);
	return writer.output.finish == FINISH_NONE;
}

/* How many tokens were taken. */
static size_t add_all(const char *text)
{
	size_t n = 0;

	while (text[n] && add(text[n++]))
		;
	return n;
}

static void shows(const char *text)
{
	assert_string_equal(writer.output.text.data, text);
	assert_int_equal(writer.output.text.length, strlen(text));
}

static void end(void)
{
	output_writer_deinit(&writer);
}

static void text_comes_with_its_tokens(void **state)
{
	(void)state;
	begin(NULL, 0, MAX_TOKENS);
	add_all("abc");
	shows("abc");
	assert_int_equal(writer.output.n_tokens, 3);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(writer.output.tokens[i].id, 'a' + i);
		assert_int_equal(writer.output.tokens[i].text_end, i + 1);
		assert_true(writer.output.tokens[i].logprob == -1.0f);
	}
	end();
}

static void a_character_appears_with_its_last_byte(void **state)
{
	(void)state;
	begin(NULL, 0, MAX_TOKENS);
	add(0xe2);
	shows("");
	add(0x82);
	shows("");
	assert_int_equal(writer.output.tokens[1].text_end, 0);
	add(0xac);
	shows("\xe2\x82\xac");
	assert_int_equal(writer.output.tokens[2].text_end, 3);
	end();
}

static void a_character_that_never_ends_becomes_a_replacement(void **state)
{
	(void)state;
	begin(NULL, 0, MAX_TOKENS);
	add('x');
	add(0xe2);
	output_writer_finish(&writer, FINISH_CANCELLED);
	shows("x\xef\xbf\xbd");
	assert_int_equal(writer.output.tokens[1].text_end, 1);
	end();
}

static void output_ends_before_a_stop_string_over_several_tokens(void **state)
{
	static const char *const stops[] = { "stop" };

	(void)state;
	begin(stops, 1, MAX_TOKENS);
	assert_int_equal(add_all("do not stop here"), 11);
	shows("do not ");
	assert_int_equal(writer.output.finish, FINISH_STOP);
	assert_int_equal(writer.output.n_tokens, 11);
	assert_int_equal(writer.output.tokens[10].text_end, 7);
	end();
}

static void what_could_begin_a_stop_string_is_held_back(void **state)
{
	static const char *const stops[] = { "stop" };

	(void)state;
	begin(stops, 1, MAX_TOKENS);
	add_all("a st");
	shows("a ");
	add('a');
	shows("a sta");
	/* A second beginning inside the first. */
	add_all("sts");
	shows("a stast");
	add_all("top");
	shows("a stast");
	assert_int_equal(writer.output.finish, FINISH_STOP);
	end();
}

static void of_several_stop_strings_the_first_in_the_text_counts(void **state)
{
	static const char *const stops[] = { "yz", "b", "xy" };

	(void)state;
	begin(stops, 3, MAX_TOKENS);
	assert_int_equal(add_all("axyzb"), 3);
	shows("a");
	end();
	begin(stops, 3, MAX_TOKENS);
	assert_int_equal(add_all("aayzb"), 4);
	shows("aa");
	end();
}

static void a_stop_string_of_overlapping_beginnings_is_found(void **state)
{
	static const char *const stops[] = { "aab" };

	(void)state;
	begin(stops, 1, MAX_TOKENS);
	assert_int_equal(add_all("aaaab!"), 5);
	shows("aa");
	end();
}

static void a_stop_string_may_hold_characters_of_several_bytes(void **state)
{
	static const char *const stops[] = { "\xc3\xa9t" };

	(void)state;
	begin(stops, 1, MAX_TOKENS);
	assert_int_equal(add_all("l'\xc3\xa9t\xc3\xa9"), 5);
	shows("l'");
	end();
}

static void held_text_appears_at_the_end(void **state)
{
	static const char *const stops[] = { "stop" };

	(void)state;
	begin(stops, 1, 6);
	assert_int_equal(add_all("to sto"), 6);
	shows("to sto");
	assert_int_equal(writer.output.finish, FINISH_LENGTH);
	assert_int_equal(writer.output.tokens[5].text_end, 6);
	end();
	begin(stops, 1, MAX_TOKENS);
	add_all("to sto");
	shows("to ");
	output_writer_finish(&writer, FINISH_ERROR);
	shows("to sto");
	/* Only the first end counts. */
	output_writer_finish(&writer, FINISH_CANCELLED);
	assert_int_equal(writer.output.finish, FINISH_ERROR);
	end();
}

static void an_end_token_ends_it_and_adds_nothing(void **state)
{
	static const char *const stops[] = { "stop" };

	(void)state;
	begin(stops, 1, MAX_TOKENS);
	add_all("sto");
	assert_int_equal(output_writer_add(&writer, TINY_EOS, -1.0f, NULL), SC_OK);
	assert_int_equal(writer.output.finish, FINISH_STOP);
	assert_int_equal(writer.output.n_tokens, 3);
	shows("sto");
	/* A watcher may have read it before the end came. */
	assert_int_equal(writer.output.tokens[2].text_end, 0);
	end();
}

static void an_end_token_as_the_first_leaves_an_empty_output(void **state)
{
	(void)state;
	begin(NULL, 0, MAX_TOKENS);
	assert_int_equal(output_writer_add(&writer, TINY_EOS, -1.0f, NULL), SC_OK);
	assert_int_equal(writer.output.finish, FINISH_STOP);
	assert_int_equal(writer.output.n_tokens, 0);
	shows("");
	end();
}

static void an_end_token_may_be_ignored(void **state)
{
	(void)state;
	begin(NULL, 0, 3);
	writer.ignore_end = true;
	add('a');
	assert_int_equal(output_writer_add(&writer, TINY_EOS, -1.0f, NULL), SC_OK);
	assert_int_equal(writer.output.finish, FINISH_NONE);
	assert_int_equal(writer.output.n_tokens, 2);
	add('b');
	shows("ab");
	assert_int_equal(writer.output.finish, FINISH_LENGTH);
	end();
}

static uint64_t random_state = 1;

/* n letters out of a and b. */
static void draw_text(char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		random_state = random_state * UINT64_C(6364136223846793005) +
			       UINT64_C(1442695040888963407);
		text[i] = (char)('a' + (random_state >> 40) % 2);
	}
	text[n] = '\0';
}

/* Where output ends: before the earlier of the stops that the shortest text with one has. */
static size_t stop_in(const char *text, const char *const stops[2])
{
	char seen[40];
	size_t n;

	for (n = 1; n <= strlen(text); n++) {
		const char *a, *b;

		snprintf(seen, sizeof seen, "%.*s", (int)n, text);
		a = strstr(seen, stops[0]);
		b = strstr(seen, stops[1]);
		if (a || b)
			return (size_t)((!b || (a && a < b) ? a : b) - seen);
	}
	return n - 1;
}

/* And text that was shown is never taken back. */
static void random_texts_stop_where_a_search_in_the_whole_says(void **state)
{
	(void)state;
	for (size_t round = 0; round < 3000; round++) {
		char text[33], first[5], second[5];
		const char *const stops[] = { first, second };
		size_t expected, n_before = 0;

		draw_text(text, 32);
		draw_text(first, 1 + round % 4);
		draw_text(second, 1 + round / 4 % 4);
		expected = stop_in(text, stops);
		begin(stops, 2, MAX_TOKENS);
		for (size_t i = 0; text[i] && add(text[i]); i++) {
			assert_true(writer.output.text.length >= n_before);
			n_before = writer.output.text.length;
		}
		output_writer_finish(&writer, FINISH_LENGTH);
		assert_int_equal(writer.output.text.length, expected);
		assert_memory_equal(writer.output.text.data, text, expected);
		end();
	}
}

static int open_model(void **state)
{
	(void)state;
	model = tiny_model_open(&tiny_llama, &file);
	return tokenizer_create(model->gguf, &tokenizer, NULL) != SC_OK;
}

static int close_model(void **state)
{
	(void)state;
	tokenizer_destroy(tokenizer);
	model_close(model);
	buf_deinit(&file);
	return 0;
}

/* The names of control tokens as the tiny model writes them. */
static void add_token(uint32_t token)
{
	assert_int_equal(output_writer_add(&writer, token, -1.0f, NULL), SC_OK);
}

static const char *bos_name(void)
{
	static char name[32];
	size_t n_bytes;
	const char *piece = tokenizer_piece(tokenizer, TINY_BOS, &n_bytes);

	snprintf(name, sizeof name, "%.*s", (int)n_bytes, piece);
	return name;
}

static void a_stop_string_matches_a_control_token_that_is_not_printed(void **state)
{
	const char *const stops[] = { bos_name() };

	(void)state;
	begin(stops, 1, MAX_TOKENS);
	add_all("ab");
	add_token(TINY_BOS);
	shows("ab");
	assert_int_equal(writer.output.finish, FINISH_STOP);
	end();
}

static void a_stop_string_may_begin_or_end_within_a_control_token(void **state)
{
	char around[64], before[64];
	const char *const stops[] = { around, before };

	(void)state;
	snprintf(around, sizeof around, "b%s\n", bos_name());
	snprintf(before, sizeof before, "%sxyz", bos_name());
	begin(stops, 2, MAX_TOKENS);
	add_all("ab");
	shows("a");
	add_token(TINY_BOS);
	shows("a");
	add('\n');
	shows("a");
	assert_int_equal(writer.output.finish, FINISH_STOP);
	end();
}

static void control_tokens_leave_no_trace_without_a_match(void **state)
{
	char stop[64];
	const char *const stops[] = { stop };

	(void)state;
	snprintf(stop, sizeof stop, "b%sc", bos_name());
	begin(stops, 1, MAX_TOKENS);
	add('b');
	add_token(TINY_BOS);
	add('b');
	shows("b");
	add_token(TINY_BOS);
	add_token(TINY_BOS);
	add_all("d");
	shows("bbd");
	assert_int_equal(writer.output.finish, FINISH_NONE);
	end();
}

static void a_marked_name_is_printed_whole_or_not_at_all(void **state)
{
	char inside[64], text[64];
	const char *const stops[] = { inside };

	(void)state;
	snprintf(text, sizeof text, "a\xff%s\xfe" "b", bos_name());
	begin(NULL, 0, MAX_TOKENS);
	writer.marks_special = true;
	add('a');
	add_token(TINY_BOS);
	shows("a\xff<|begin|>\xfe");
	add('b');
	shows(text);
	end();
	/* A stop string that may begin inside the name, and does not. */
	snprintf(inside, sizeof inside, "%c!", bos_name()[strlen(bos_name()) - 1]);
	begin(stops, 1, MAX_TOKENS);
	writer.marks_special = true;
	add('a');
	add_token(TINY_BOS);
	shows("a");
	add('b');
	shows(text);
	/* And one that does. */
	add_token(TINY_BOS);
	add('!');
	shows(text);
	assert_int_equal(writer.output.finish, FINISH_STOP);
	end();
}

static void an_unfinished_character_does_not_go_on_behind_a_marked_name(void **state)
{
	(void)state;
	begin(NULL, 0, MAX_TOKENS);
	writer.marks_special = true;
	add(0xe2);
	add_token(TINY_BOS);
	add(0x82);
	output_writer_finish(&writer, FINISH_LENGTH);
	shows("\xef\xbf\xbd\xff<|begin|>\xfe\xef\xbf\xbd");
	end();
}

static void marks_stand_around_every_name(void **state)
{
	static const char *const stops[] = { "never" };

	(void)state;
	for (uint32_t n_stops = 0; n_stops < 2; n_stops++) {
		begin(stops, n_stops, MAX_TOKENS);
		writer.marks_special = true;
		add_token(TINY_BOS);
		add_token(TINY_BOS);
		shows("\xff<|begin|>\xfe\xff<|begin|>\xfe");
		end();
	}
}

static void what_is_hidden_holds_no_stop_string(void **state)
{
	static const char *const stops[] = { "\n" };

	(void)state;
	begin(stops, 1, MAX_TOKENS);
	writer.scan.hidden_open = "<t>";
	writer.scan.hidden_close = "</t>";
	add_all("<t>a\nb</t>c\nd");
	shows("<t>a\nb</t>c");
	assert_int_equal(writer.output.stop_cause, STOP_STRING);
	end();
	/* The name of a control token, which is shown between marks. */
	begin(stops, 1, MAX_TOKENS);
	writer.marks_special = true;
	writer.scan.hidden_open = "<|begin|>";
	writer.scan.hidden_close = "</t>";
	add_token(TINY_BOS);
	add_all("a\nb</t>c\nd");
	shows("\xff<|begin|>\xfe" "a\nb</t>c");
	end();
	/* An opening that was not one. */
	begin(stops, 1, MAX_TOKENS);
	writer.scan.hidden_open = "<t>";
	writer.scan.hidden_close = "</t>";
	add_all("a<");
	shows("a");
	add('\n');
	shows("a<");
	assert_int_equal(writer.output.finish, FINISH_STOP);
	end();
}

static void a_stop_string_that_only_the_end_makes_certain_counts(void **state)
{
	static const char *const stops[] = { "<" };

	(void)state;
	begin(stops, 1, 2);
	writer.scan.hidden_open = "<t>";
	writer.scan.hidden_close = "</t>";
	add_all("a<");
	shows("a");
	assert_int_equal(writer.output.finish, FINISH_STOP);
	assert_int_equal(writer.output.stop_cause, STOP_STRING);
	end();
	begin(stops, 1, 10);
	writer.scan.hidden_open = "<t>";
	writer.scan.hidden_close = "</t>";
	add_all("a<");
	output_writer_finish(&writer, FINISH_CANCELLED);
	shows("a");
	assert_int_equal(writer.output.finish, FINISH_CANCELLED);
	assert_int_equal(writer.output.stop_cause, STOP_NONE);
	end();
}

static void an_output_says_why_it_stopped(void **state)
{
	static const char *const stops[] = { "x", "stop" };
	static const uint32_t tokens[] = { 'q', 'z', TINY_EOS };

	(void)state;
	begin(stops, 2, MAX_TOKENS);
	add_all("a stop");
	assert_int_equal(writer.output.stop_cause, STOP_STRING);
	assert_int_equal(writer.output.stop, 1);
	end();
	begin(stops, 2, MAX_TOKENS);
	writer.stop_tokens = tokens;
	writer.n_stop_tokens = 3;
	add_all("abz");
	shows("ab");
	assert_int_equal(writer.output.n_tokens, 2);
	assert_int_equal(writer.output.finish, FINISH_STOP);
	assert_int_equal(writer.output.stop_cause, STOP_TOKEN);
	assert_int_equal(writer.output.stop, 'z');
	end();
	/* An end token counts as such, unless it is ignored. */
	for (int ignores = 0; ignores < 2; ignores++) {
		begin(stops, 2, MAX_TOKENS);
		writer.ignore_end = ignores;
		writer.stop_tokens = tokens;
		writer.n_stop_tokens = 3;
		add_token(TINY_EOS);
		assert_int_equal(writer.output.finish, FINISH_STOP);
		assert_int_equal(writer.output.stop_cause, ignores ? STOP_TOKEN : STOP_END);
		assert_int_equal(writer.output.stop, TINY_EOS);
		end();
	}
	begin(stops, 2, 1);
	add('a');
	assert_int_equal(writer.output.finish, FINISH_LENGTH);
	assert_int_equal(writer.output.stop_cause, STOP_NONE);
	end();
}

static void no_stop_string_counts_before_the_least_number_of_tokens(void **state)
{
	static const char *const stops[] = { "x" };

	(void)state;
	begin(stops, 1, MAX_TOKENS);
	writer.min_tokens = 3;
	assert_int_equal(add_all("xxxax"), 5);
	shows("xxxa");
	assert_int_equal(writer.output.n_tokens, 5);
	end();
}

static void an_output_keeps_the_likeliest_tokens_of_each_place(void **state)
{
	const struct token_top tops[][2] = { { { 'a', -1 }, { 'b', -2 } },
					     { { 'c', -3 }, { 'd', -4 } } };

	(void)state;
	begin(NULL, 0, MAX_TOKENS);
	assert_int_equal(output_writer_keep_logprobs(&writer, 2), SC_OK);
	assert_true(writer.output.has_logprobs);
	for (int i = 0; i < 2; i++)
		assert_int_equal(output_writer_add(&writer, 'a', -1, tops[i]), SC_OK);
	assert_int_equal(writer.output.n_tops, 2);
	assert_memory_equal(writer.output.tops, tops, sizeof tops);
	output_writer_finish(&writer, FINISH_LENGTH);
	output_writer_trim(&writer);
	assert_memory_equal(writer.output.tops, tops, sizeof tops);
	end();
}

static void control_tokens_are_printed_where_asked_for(void **state)
{
	char text[64];

	(void)state;
	snprintf(text, sizeof text, "a%sb", bos_name());
	begin(NULL, 0, MAX_TOKENS);
	writer.stream.with_special = true;
	add('a');
	add_token(TINY_BOS);
	add('b');
	shows(text);
	end();
}

static void a_limit_of_no_tokens_takes_none(void **state)
{
	(void)state;
	begin(NULL, 0, 0);
	assert_false(add('a'));
	shows("");
	assert_int_equal(writer.output.n_tokens, 0);
	assert_int_equal(writer.output.finish, FINISH_LENGTH);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_comes_with_its_tokens),
		cmocka_unit_test(a_character_appears_with_its_last_byte),
		cmocka_unit_test(a_character_that_never_ends_becomes_a_replacement),
		cmocka_unit_test(output_ends_before_a_stop_string_over_several_tokens),
		cmocka_unit_test(what_could_begin_a_stop_string_is_held_back),
		cmocka_unit_test(of_several_stop_strings_the_first_in_the_text_counts),
		cmocka_unit_test(a_stop_string_of_overlapping_beginnings_is_found),
		cmocka_unit_test(a_stop_string_may_hold_characters_of_several_bytes),
		cmocka_unit_test(held_text_appears_at_the_end),
		cmocka_unit_test(an_end_token_ends_it_and_adds_nothing),
		cmocka_unit_test(an_end_token_as_the_first_leaves_an_empty_output),
		cmocka_unit_test(an_end_token_may_be_ignored),
		cmocka_unit_test(a_stop_string_matches_a_control_token_that_is_not_printed),
		cmocka_unit_test(a_stop_string_may_begin_or_end_within_a_control_token),
		cmocka_unit_test(control_tokens_leave_no_trace_without_a_match),
		cmocka_unit_test(control_tokens_are_printed_where_asked_for),
		cmocka_unit_test(a_marked_name_is_printed_whole_or_not_at_all),
		cmocka_unit_test(an_unfinished_character_does_not_go_on_behind_a_marked_name),
		cmocka_unit_test(marks_stand_around_every_name),
		cmocka_unit_test(what_is_hidden_holds_no_stop_string),
		cmocka_unit_test(a_stop_string_that_only_the_end_makes_certain_counts),
		cmocka_unit_test(an_output_says_why_it_stopped),
		cmocka_unit_test(no_stop_string_counts_before_the_least_number_of_tokens),
		cmocka_unit_test(an_output_keeps_the_likeliest_tokens_of_each_place),
		cmocka_unit_test(a_limit_of_no_tokens_takes_none),
		cmocka_unit_test(random_texts_stop_where_a_search_in_the_whole_says),
	};

	return cmocka_run_group_tests(tests, open_model, close_model);
}
