/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pre-tokenizers against vectors of an independent implementation, in
 * $SRCDIR/tests/data/pretokenizers or $PRETOKENIZER_VECTORS; see
 * tools/make_pretokenizer_vectors.py for their format.
 */
#include "model/pretokenizer.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* One file for each set of patterns. */
static const char *const files[] = {
	"bailingmoe", "bloom", "chameleon", "deepseek-coder", "deepseek-llm", "deepseek-v3",
	"default", "exaone-moe", "falcon", "gpt-2", "gpt-4o", "jais-2", "kimi-k2", "laguna",
	"llama-bpe", "minicpm5", "qwen2", "qwen35", "seed-coder", "spark2_5", "starcoder", "tekken",
	"tiny_aya", "ufakzeka", "viking", "youtu",
};
#define N_FILES (sizeof files / sizeof *files)

static struct pretokenizer *create(const char *name)
{
	struct pretokenizer *pre;
	struct error err;

	if (pretokenizer_create(name, strlen(name), &pre, &err))
		fail_msg("%s", err.text);
	return pre;
}

/* Words as a vector's line has them: "|" between words, "\xNN" for what is not printable. */
static enum sc_status append_word(void *context, const char *word, size_t n_bytes)
{
	struct buf *line = context;

	assert_true(n_bytes > 0);
	if (line->length)
		assert_int_equal(buf_add(line, "|", 1), SC_OK);
	for (size_t i = 0; i < n_bytes; i++) {
		uint8_t byte = (uint8_t)word[i];
		bool is_plain = byte >= 0x20 && byte < 0x7F && !strchr("\\|#", byte);

		assert_int_equal(buf_add_format(line, is_plain ? "%c" : "\\x%02x", byte), SC_OK);
	}
	return SC_OK;
}

static void split(const struct pretokenizer *pre, const char *text, size_t n_bytes,
		  struct buf *line)
{
	struct error err;

	buf_truncate(line, 0);
	if (pretokenizer_split(pre, text, n_bytes, append_word, line, &err))
		fail_msg("%s", err.text);
}

static void unescape(const char *line, struct buf *text)
{
	buf_truncate(text, 0);
	for (; *line; line++) {
		unsigned byte = (uint8_t)*line;
		char c;

		if (*line == '|')
			continue;
		if (*line == '\\') {
			assert_int_equal(sscanf(line, "\\x%2x", &byte), 1);
			line += 3;
		}
		c = (char)byte;
		assert_int_equal(buf_add(text, &c, 1), SC_OK);
	}
}

static unsigned check_lines(const struct pretokenizer *pre, const char *name, FILE *file)
{
	char *line = NULL;
	size_t capacity = 0;
	struct buf text = BUF_INIT, found = BUF_INIT;
	unsigned n_lines = 0;

	while (getline(&line, &capacity, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#')
			continue;
		unescape(line, &text);
		split(pre, text.data, text.length, &found);
		if (strcmp(found.data, line))
			fail_msg("%s:\n  expected %s\n  found    %s", name, line, found.data);
		n_lines++;
	}
	free(line);
	buf_deinit(&text);
	buf_deinit(&found);
	return n_lines;
}

static FILE *open_vectors(const char *name)
{
	const char *directory = getenv("PRETOKENIZER_VECTORS");
	const char *source = getenv("SRCDIR");
	struct buf path = BUF_INIT;
	FILE *file;

	if (directory)
		assert_int_equal(buf_add_format(&path, "%s/%s.txt", directory, name), SC_OK);
	else
		assert_int_equal(buf_add_format(&path, "%s/tests/data/pretokenizers/%s.txt",
						source ? source : ".", name), SC_OK);
	file = fopen(path.data, "r");
	if (!file)
		fail_msg("%s: not there", path.data);
	buf_deinit(&path);
	return file;
}

static void every_pattern_cuts_as_its_reference_does(void **state)
{
	unsigned n_lines = 0;

	(void)state;
	for (size_t i = 0; i < N_FILES; i++) {
		struct pretokenizer *pre = create(files[i]);
		FILE *file = open_vectors(files[i]);
		unsigned n = check_lines(pre, files[i], file);

		assert_true(n >= 100);
		n_lines += n;
		fclose(file);
		pretokenizer_destroy(pre);
	}
	print_message("%u texts in %zu files\n", n_lines, N_FILES);
}

static bool has_same_patterns(const struct pretokenizer_row *a, const struct pretokenizer_row *b)
{
	size_t i = 0;

	while (a->patterns[i] && b->patterns[i] && !strcmp(a->patterns[i], b->patterns[i]))
		i++;
	return !a->patterns[i] && !b->patterns[i];
}

static void every_name_has_a_reference_with_its_patterns(void **state)
{
	size_t n_rows = 0;
	bool is_covered[64] = { false };

	(void)state;
	for (size_t i = 0; i < N_FILES; i++) {
		char *line = NULL;
		size_t capacity = 0;
		FILE *file = open_vectors(files[i]);
		const struct pretokenizer_row *first;

		first = pretokenizer_find(files[i], strlen(files[i]));
		assert_non_null(first);
		assert_true(getline(&line, &capacity, file) > 2);
		for (char *rest = line + 1, *name; (name = strtok_r(rest, " \n", &rest));) {
			const struct pretokenizer_row *row = pretokenizer_find(name, strlen(name));

			if (!row || !has_same_patterns(row, first))
				fail_msg("%s does not cut as %s", name, files[i]);
			is_covered[row - pretokenizer_rows] = true;
		}
		free(line);
		fclose(file);
	}
	while (pretokenizer_rows[n_rows].names)
		assert_true(is_covered[n_rows++]);
}

static void every_row_compiles_and_every_name_finds_its_own(void **state)
{
	(void)state;
	for (const struct pretokenizer_row *row = pretokenizer_rows; row->names; row++) {
		char names[256];
		size_t n_patterns = 0;

		while (row->patterns[n_patterns])
			n_patterns++;
		assert_true(n_patterns >= 1 && n_patterns <= PRE_MAX_PATTERNS);
		snprintf(names, sizeof names, "%s", row->names);
		for (char *rest = names, *name; (name = strtok_r(rest, " ", &rest));) {
			struct pretokenizer *pre = create(name);

			assert_ptr_equal(pretokenizer_find(name, strlen(name)), row);
			assert_int_equal(pretokenizer_flags(pre), row->flags);
			pretokenizer_destroy(pre);
		}
	}
}

static void an_unknown_name_is_refused_with_the_known_ones(void **state)
{
	static const char odd[] = "\xFF\xFEname";
	struct pretokenizer *pre = NULL;
	struct error err;

	(void)state;
	assert_int_equal(pretokenizer_create("klingon", 7, &pre, &err), SC_E_UNSUPPORTED);
	assert_non_null(strstr(err.text, "'klingon'"));
	assert_non_null(strstr(err.text, " gpt-2 "));
	/* The last one is there too: the list was not cut. */
	assert_non_null(strstr(err.text, " chameleon"));
	assert_int_equal(pretokenizer_create("gpt-", 4, &pre, &err), SC_E_UNSUPPORTED);
	assert_int_equal(pretokenizer_create("gpt-2 gpt2", 10, &pre, &err), SC_E_UNSUPPORTED);
	assert_int_equal(pretokenizer_create("", 0, &pre, &err), SC_E_UNSUPPORTED);
	assert_int_equal(pretokenizer_create(odd, sizeof odd - 1, &pre, &err), SC_E_UNSUPPORTED);
	assert_null(strchr(err.text, '\xFF'));
	assert_null(pre);
}

static void bytes_that_are_not_utf8_stay_in_the_words(void **state)
{
	static const char text[] = "abc\xFF\xC3 d\xE2\x82" "ef\xF0\x9F\x98\x81\xED\xA0\x80";
	struct buf line = BUF_INIT, back = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < N_FILES; i++) {
		struct pretokenizer *pre = create(files[i]);

		split(pre, text, sizeof text - 1, &line);
		unescape(line.data, &back);
		assert_int_equal(back.length, sizeof text - 1);
		assert_memory_equal(back.data, text, back.length);
		pretokenizer_destroy(pre);
	}
	buf_deinit(&line);
	buf_deinit(&back);
}

static enum sc_status count_bytes(void *context, const char *word, size_t n_bytes)
{
	(void)word;
	*(size_t *)context += n_bytes;
	return SC_OK;
}

/* A pattern that takes quadratic time on one of these would run into the test's time limit, or
 * into its match limit. */
static void no_pattern_gives_up_on_a_long_run_of_anything(void **state)
{
	static const char *const units[] = {
		"a", "A", " ", "\n", "1", "!", "aB", "'", " a", "\xE4\xB8\xAD", "e\xCC\x81", "\x01",
		"\xFF", "\xF0\x9F\x98\x81", " \n", "\xE0\xA4\xA8\xE0\xA4\xBF",
	};
	enum { N_BYTES = 1 << 18 };
	char *text = malloc(N_BYTES);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < N_FILES; i++) {
		struct pretokenizer *pre = create(files[i]);

		for (size_t k = 0; k < sizeof units / sizeof *units; k++) {
			size_t n_unit = strlen(units[k]), n_seen = 0;
			struct error err;

			for (size_t at = 0; at < N_BYTES; at++)
				text[at] = units[k][at % n_unit];
			memcpy(text + N_BYTES - 3, k % 2 ? "x3x" : "3xx", 3);
			if (pretokenizer_split(pre, text, N_BYTES, count_bytes, &n_seen, &err))
				fail_msg("%s, \"%s\": %s", files[i], units[k], err.text);
			assert_int_equal(n_seen, N_BYTES);
		}
		pretokenizer_destroy(pre);
	}
	free(text);
}

static enum sc_status stop_at_third(void *context, const char *word, size_t n_bytes)
{
	(void)word;
	(void)n_bytes;
	return ++*(unsigned *)context == 3 ? SC_E_NOMEM : SC_OK;
}

static void a_failing_callback_ends_the_split(void **state)
{
	struct pretokenizer *pre = create("deepseek-coder");
	unsigned n_words = 0;
	struct error err;

	(void)state;
	assert_int_equal(pretokenizer_split(pre, "a b c d e", 9, stop_at_third, &n_words, &err),
			 SC_E_NOMEM);
	assert_int_equal(n_words, 3);
	pretokenizer_destroy(pre);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pattern_cuts_as_its_reference_does),
		cmocka_unit_test(every_name_has_a_reference_with_its_patterns),
		cmocka_unit_test(every_row_compiles_and_every_name_finds_its_own),
		cmocka_unit_test(an_unknown_name_is_refused_with_the_known_ones),
		cmocka_unit_test(bytes_that_are_not_utf8_stay_in_the_words),
		cmocka_unit_test(no_pattern_gives_up_on_a_long_run_of_anything),
		cmocka_unit_test(a_failing_callback_ends_the_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
