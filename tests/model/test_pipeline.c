/* SPDX-License-Identifier: Apache-2.0 */
/* Files with a pipeline: mistakes in the key, masks, bytes that are not UTF-8, patterns. What
 * families make of texts is in tests/hf/test_hf_tokenizer.c. */
#include "model/oniguruma.h"
#include "model/pipeline.h"
#include "model/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/model/tiny_vocab.h"

enum { AB = TINY_BPE_FIRST, END, WORD };

static enum sc_status create(struct tiny_tokenizer *tiny, const char *const *steps,
			     struct error *err)
{
	static const struct tiny_token tokens[] = {
		{ "ab", 0, T_NORMAL }, { "<end>", 0, T_CONTROL }, { "word", 0, T_USER_DEFINED },
	};
	static const char *const merges[] = { "a b" };
	struct gguf_writer w;
	size_t n = 0;

	while (steps[n])
		n++;
	gguf_writer_init(&w);
	tiny_vocab_bpe(&w, NULL, tokens, 3, merges, 1);
	gguf_writer_strings(&w, PIPELINE_KEY, steps, n);
	return tiny_tokenizer_create(tiny, &w, err);
}

#define STEPS(...) ((const char *const[]){ "1", __VA_ARGS__, NULL })
#define BYTES "split.byte_level", "0", "1"
#define MODEL "model.bpe", "0", "0", "0", "0"

static void each_mistake_in_the_key_is_named(void **state)
{
	const struct {
		const char *const *steps;
		enum sc_status status;
		const char *text;
	} rows[] = {
		{ (const char *const[]){ "2", MODEL, NULL }, SC_E_UNSUPPORTED,
		  "string 0: expected version 1, found '2'" },
		{ STEPS("normalize.upper", MODEL), SC_E_UNSUPPORTED,
		  "string 1: expected the name of a step, found 'normalize.upper'" },
		{ STEPS(BYTES), SC_E_FORMAT, "string 4: expected a model, found the end" },
		{ STEPS(BYTES, MODEL, MODEL), SC_E_FORMAT, "string 9: expected one model" },
		{ STEPS(MODEL, BYTES), SC_E_FORMAT, "in the order of their sections" },
		{ STEPS("split.byte_level", "0", "2", MODEL), SC_E_FORMAT,
		  "string 3: expected 0 or 1, found '2'" },
		{ STEPS("split.text", "a", "sideways", "0", MODEL), SC_E_FORMAT,
		  "string 3: expected a split behavior" },
		{ STEPS("split.metaspace", "_", "often", "0", MODEL), SC_E_FORMAT,
		  "string 3: expected a prepend scheme" },
		{ STEPS(BYTES, MODEL, "template.before", "259"), SC_E_FORMAT,
		  "string 10: expected an id of the vocabulary, found '259'" },
		{ STEPS(BYTES, MODEL, "template.before", "007"), SC_E_FORMAT,
		  "expected a number, found '007'" },
		{ STEPS(BYTES, MODEL, "added", "258", "64", "word"), SC_E_FORMAT,
		  "string 11: expected flags of an added token" },
		{ STEPS(BYTES, MODEL, "added", "258", "0", ""), SC_E_FORMAT,
		  "string 12: expected the text of an added token" },
		{ STEPS(BYTES, MODEL, "added", "258", "0"), SC_E_FORMAT,
		  "string 12: expected an argument, found the end of the list" },
		{ STEPS(BYTES, BYTES, MODEL), SC_E_UNSUPPORTED, "a second ByteLevel" },
		{ STEPS("split.regex", "(", "isolated", "0", BYTES, MODEL), SC_E_UNSUPPORTED,
		  "pattern '(': offset 1: an unfinished group is not supported" },
		{ STEPS(BYTES, MODEL, "decode.fuse", "decode.replace", "a", "b"), SC_E_UNSUPPORTED,
		  "decoder: Replace in this place" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct tiny_tokenizer tiny;
		struct error err = { .text = "" };
		const enum sc_status status = create(&tiny, rows[i].steps, &err);

		if (!status)
			tiny_tokenizer_destroy(&tiny);
		if (status != rows[i].status || !strstr(err.text, rows[i].text) ||
		    !strstr(err.text, PIPELINE_KEY))
			fail_msg("row %zu: expected %s: %s\nfound %s: %s", i,
				 sc_status_name(rows[i].status), rows[i].text,
				 sc_status_name(status), err.text);
	}
}

/* mask: t where control tokens may be; NULL: everywhere. expected: ids, 0 at the end. */
static void expect_ids(const char *const *steps, const char *text, const char *mask,
		       unsigned flags, const uint32_t *expected)
{
	struct tiny_tokenizer tiny;
	struct token_list ids = { 0 };
	struct error err = { .text = "" };
	char bits[64];
	size_t n = 0;

	if (create(&tiny, steps, &err))
		fail_msg("%s", err.text);
	for (size_t i = 0; mask && text[i]; i++)
		bits[i] = mask[i] == 't';
	assert_int_equal(tokenizer_encode_masked(tiny.tokenizer, text, mask ? bits : NULL,
						 strlen(text), flags, &ids, &err), SC_OK);
	while (expected[n])
		n++;
	assert_int_equal(ids.n, n);
	assert_memory_equal(ids.ids, expected, n * sizeof expected[0]);
	token_list_deinit(&ids);
	tiny_tokenizer_destroy(&tiny);
}

#define IDS(...) ((const uint32_t[]){ __VA_ARGS__, 0 })
#define ADDED "added", "257", "1", "<end>", "added", "258", "16", "word"

static void control_tokens_need_leave(void **state)
{
	const char *const *steps = STEPS(BYTES, MODEL, ADDED);

	(void)state;
	expect_ids(steps, "ab<end>", NULL, TOKENIZE_PARSE_SPECIAL, IDS(AB, END));
	expect_ids(steps, "ab<end>", NULL, 0, IDS(AB, '<', 'e', 'n', 'd', '>'));
	expect_ids(steps, "<end><end>", "tttttttttt", TOKENIZE_PARSE_SPECIAL, IDS(END, END));
	expect_ids(steps, "<end><end>", "ssssstttttt", TOKENIZE_PARSE_SPECIAL,
		   IDS('<', 'e', 'n', 'd', '>', END));
	/* A stranger completes none, and hides none that comes behind. */
	expect_ids(steps, "<end>", "tttts", TOKENIZE_PARSE_SPECIAL, IDS('<', 'e', 'n', 'd', '>'));
	expect_ids(steps, "<en<end>", "ssstttttt", TOKENIZE_PARSE_SPECIAL,
		   IDS('<', 'e', 'n', END));
}

static void masks_survive_normalizers(void **state)
{
	const char *const *steps = STEPS("normalize.nfc", "normalize.lowercase",
					 "normalize.replace", "x", "<", BYTES, MODEL,
					 "added", "257", "3", "<end>");

	(void)state;
	expect_ids(steps, "xEND>ab", "tttttss", TOKENIZE_PARSE_SPECIAL, IDS(END, AB));
	expect_ids(steps, "xEND>ab", "stttttt", TOKENIZE_PARSE_SPECIAL,
		   IDS('<', 'e', 'n', 'd', '>', AB));
	/* e and U+0301 become one character, which is half a stranger's. */
	expect_ids(steps, "<end>a\xCC\x81", "tttttsss", TOKENIZE_PARSE_SPECIAL,
		   IDS(END, 0xC3, 0xA1));
}

static void single_words_are_words(void **state)
{
	const char *const *steps = STEPS(BYTES, MODEL, ADDED);

	(void)state;
	expect_ids(steps, "word", NULL, 0, IDS(WORD));
	expect_ids(steps, "-word-", NULL, 0, IDS('-', WORD, '-'));
	expect_ids(steps, "words", NULL, 0, IDS('w', 'o', 'r', 'd', 's'));
}

static void other_bytes_come_back(void **state)
{
	static const char text[] = "a\xFF\xC3 \xE4\xB8 ab\xF0\x9F";
	const char *const *steps = STEPS("normalize.nfkc", "normalize.lowercase",
					 "normalize.replace_regex", " {2,}", " ",
					 "split.regex", "\\p{L}+|\\s", "isolated", "0", BYTES,
					 MODEL, "decode.byte_level");
	struct tiny_tokenizer tiny;
	struct token_list ids = { 0 };
	struct buf back = BUF_INIT;
	struct error err = { .text = "" };

	(void)state;
	if (create(&tiny, steps, &err))
		fail_msg("%s", err.text);
	assert_int_equal(tokenizer_encode(tiny.tokenizer, text, sizeof text - 1, 0, &ids, &err),
			 SC_OK);
	assert_int_equal(tokenizer_decode(tiny.tokenizer, ids.ids, ids.n, true, &back), SC_OK);
	assert_int_equal(back.length, sizeof text - 1);
	assert_memory_equal(back.data, text, sizeof text - 1);
	buf_deinit(&back);
	token_list_deinit(&ids);
	tiny_tokenizer_destroy(&tiny);
}

static void templates_stand_in_front(void **state)
{
	static const char *const key[] = { "1", BYTES, MODEL, "template.before", "257",
					   "template.before", "258", "template.behind", "257",
					   NULL };
	struct gguf_writer w;
	struct tiny_tokenizer tiny;
	struct token_list ids = { 0 };
	struct error err = { .text = "" };
	static const struct tiny_token tokens[] = {
		{ "ab", 0, T_NORMAL }, { "<end>", 0, T_CONTROL }, { "word", 0, T_USER_DEFINED },
	};
	static const char *const merges[] = { "a b" };

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_bpe(&w, NULL, tokens, 3, merges, 1);
	gguf_writer_strings(&w, PIPELINE_KEY, key, sizeof key / sizeof *key - 1);
	gguf_writer_bool(&w, "tokenizer.ggml.add_bos_token", true);
	gguf_writer_u32(&w, "tokenizer.ggml.bos_token_id", 257);
	if (tiny_tokenizer_create(&tiny, &w, &err))
		fail_msg("%s", err.text);
	assert_int_equal(tokenizer_encode(tiny.tokenizer, "ab", 2, TOKENIZE_ADD_BOS, &ids, &err),
			 SC_OK);
	assert_int_equal(ids.n, 3);
	assert_int_equal(ids.ids[0], END);
	assert_int_equal(ids.ids[1], WORD);
	assert_int_equal(ids.ids[2], AB);
	token_list_deinit(&ids);
	tiny_tokenizer_destroy(&tiny);
}

static void patterns_are_translated(void **state)
{
	static const char *const rows[][2] = {
		{ "a{2}+", "(?:a{2})+" }, { "a{,3}", "a{0,3}" }, { "a{x", "a\\x{7B}x" },
		{ "a++b*+c??", "a++b*+c??" }, { "a(?i)b|c", "a(?i:b|c)" },
		{ "(?<name>a)", "(?:a)" }, { ".", "[^\\n]" }, { "(?m:.)", "(?-i:(?s:.))" },
		{ "\\h", "[0-9a-fA-F]" }, { "[ab&&[^b]]", "(?:(?=[ab])(?:(?!)|[^b]))" },
		{ "\\u4E2D\\x{41}", "\u4E2DA" }, { "\\p{^L}\\P{Lu}", "[^\\p{L}][^\\p{Lu}]" },
		{ "[\\p{Han}a]", "[\\p{sc:han}a]" }, { "[]a]", "[\\]a]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = BUF_INIT;
		struct error err = { .text = "" };

		if (oniguruma_translate(rows[i][0], strlen(rows[i][0]), &out, &err))
			fail_msg("%s", err.text);
		assert_string_equal(out.data, rows[i][1]);
		buf_deinit(&out);
	}
}

static void other_patterns_are_refused(void **state)
{
	static const char *const rows[][2] = {
		{ "(?~a)", "this kind of group" }, { "(?#x)", "a comment" },
		{ "(a", "an unfinished group" }, { "a)", "a ) without (" },
		{ "*a", "a repeat of nothing" }, { "a{3,2}", "this interval" },
		{ "a{2}?", "{n}?" }, { "a{99999}", "this interval" }, { "\\1", "this escape" },
		{ "\\K", "this escape" }, { "\\xE3", "this character" },
		{ "\\uD800", "this character" }, { "[b-a]", "a range in falling order" },
		{ "[a", "an unfinished class" }, { "[\\d-z]\\pL", "a property without { }" },
		{ "[a-\\d]", "this range" }, { "[[:graph:]]", "this bracket" },
		{ "(*FAIL)", "a callout" },
	};
	struct pattern *pattern;
	struct error err = { .text = "" };

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(oniguruma_compile(rows[i][0], strlen(rows[i][0]), &pattern, &err),
				 SC_E_UNSUPPORTED);
		if (!strstr(err.text, rows[i][1]))
			fail_msg("%s: expected %s, found %s", rows[i][0], rows[i][1], err.text);
	}
	assert_int_equal(oniguruma_compile("\\p{Klingon}", 11, &pattern, &err), SC_E_UNSUPPORTED);
	assert_int_equal(oniguruma_compile("\xFF", 1, &pattern, &err), SC_E_FORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mistake_in_the_key_is_named),
		cmocka_unit_test(control_tokens_need_leave),
		cmocka_unit_test(masks_survive_normalizers),
		cmocka_unit_test(single_words_are_words),
		cmocka_unit_test(other_bytes_come_back),
		cmocka_unit_test(templates_stand_in_front),
		cmocka_unit_test(patterns_are_translated),
		cmocka_unit_test(other_patterns_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
