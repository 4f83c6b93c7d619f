/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokenizers with the structure of known families against the tokenizers package: every folder of
 * tests/data/tokenizers, or of $TOKENIZER_VECTORS, made by tools/make_tokenizer_vectors.py. Each
 * tokenizer is read from the folder's head, as a file that was converted from the folder has it.
 */
#include "hf/parts.h"
#include "model/tokenizer.h"
#include "tests/hf/vector_file.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_SHOWN 5	/* differences of a kind that are printed */

struct kind {
	struct buf head;
	struct gguf *gguf;
	struct tokenizer *tokenizer;
	unsigned n_lines, n_different;
};

static void open_kind(struct kind *kind, const char *folder)
{
	struct gguf_head head;
	struct error err = { .text = "" };
	json_t *config = json_object();

	*kind = (struct kind){ .head = BUF_INIT };
	gguf_head_init(&head, NULL);
	if (hf_tokenizer_put(folder, config, 0, &head, &err))
		fail_msg("%s", err.text);
	assert_int_equal(gguf_head_finish(&head, &kind->head), SC_OK);
	gguf_head_deinit(&head);
	json_decref(config);
	if (gguf_open_memory(folder, kind->head.data, kind->head.length, &kind->gguf, &err) ||
	    tokenizer_create(kind->gguf, &kind->tokenizer, &err))
		fail_msg("%s", err.text);
}

static void close_kind(struct kind *kind)
{
	tokenizer_destroy(kind->tokenizer);
	gguf_close(kind->gguf);
	buf_deinit(&kind->head);
}

static bool is_ids(const struct token_list *ids, const char *expected)
{
	size_t i = 0;

	for (const char *at = expected; *at && *at != '\t'; i++) {
		char *end;
		const unsigned long id = strtoul(at, &end, 10);

		if (i >= ids->n || ids->ids[i] != id)
			return false;
		at = end + (*end == ' ');
	}
	return i == ids->n;
}

static void show(struct kind *kind, const char *what, const char *line,
		 const struct token_list *ids, const struct buf *decoded)
{
	if (kind->n_different++ >= MAX_SHOWN)
		return;
	printf("  %s differ: %s\n  found    ", what, line);
	for (size_t i = 0; i < ids->n; i++)
		printf(" %u", ids->ids[i]);
	printf("\n           %.*s\n", (int)decoded->length, decoded->data);
}

/* One line: FLAG TAB TEXT TAB IDS TAB DECODED. */
static void check_line(struct kind *kind, const char *line)
{
	const unsigned flags = line[0] == '1' ? TOKENIZE_PARSE_SPECIAL : 0;
	struct buf text = BUF_INIT, expected = BUF_INIT, decoded = BUF_INIT, lossy = BUF_INIT;
	struct token_list ids = { 0 };
	struct error err = { .text = "" };
	const char *columns[4];

	vector_columns(line, columns);
	vector_unescape(columns[1], &text);
	vector_unescape(columns[3], &expected);
	if (tokenizer_encode(kind->tokenizer, text.data, text.length, flags, &ids, &err))
		fail_msg("%s", err.text);
	assert_int_equal(tokenizer_decode(kind->tokenizer, ids.ids, ids.n, false, &decoded), SC_OK);
	vector_lossy(&decoded, &lossy);
	kind->n_lines++;
	if (!is_ids(&ids, columns[2]))
		show(kind, "ids", line, &ids, &lossy);
	else if (lossy.length != expected.length ||
		 memcmp(lossy.data, expected.data, lossy.length) != 0)
		show(kind, "texts", line, &ids, &lossy);
	token_list_deinit(&ids);
	buf_deinit(&text);
	buf_deinit(&expected);
	buf_deinit(&decoded);
	buf_deinit(&lossy);
}

/* "# before: IDS" */
static void check_before(const struct kind *kind, const char *expected)
{
	struct token_list ids = { 0 };

	assert_int_equal(tokenizer_encode(kind->tokenizer, "", 0, TOKENIZE_ADD_BOS, &ids, NULL),
			 SC_OK);
	if (!is_ids(&ids, expected))
		fail_msg("before a text: expected '%s', found %zu ids", expected, ids.n);
	token_list_deinit(&ids);
}

static void check_kind(const char *folder, const char *name)
{
	static const char before[] = "# before: ";
	char path[4352], *line = NULL;
	size_t n_line = 0;
	struct kind kind;
	FILE *file;

	open_kind(&kind, folder);
	snprintf(path, sizeof path, "%s/vectors.txt", folder);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s is missing", path);
	while (getline(&line, &n_line, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, before, strlen(before)))
			check_before(&kind, line + strlen(before));
		else if (line[0] != '#')
			check_line(&kind, line);
	}
	printf("%-28s %8u %8u\n", name, kind.n_lines, kind.n_different);
	assert_true(kind.n_lines > 0);
	free(line);
	fclose(file);
	close_kind(&kind);
	assert_int_equal(kind.n_different, 0);
}

static void check_folder(void **state)
{
	check_kind(((const char **)*state)[0], ((const char **)*state)[1]);
}

/* Texts for which the translated patterns took quadratic time, or gave up. */
static void long_texts_are_encoded(const char *directory)
{
	static const struct {
		const char *kind;
		char c;
	} rows[] = {
		{ "exaone-moe", 'a' }, { "kimi-k2", 'a' }, { "tiny_aya", '1' },
		{ "jais-2", ' ' }, { "gemma", '\n' },
	};
	const size_t n = 1 << 20;
	char *text = malloc(n);

	assert_non_null(text);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char folder[4352];
		struct kind kind;
		struct token_list ids = { 0 };
		struct error err = { .text = "" };

		snprintf(folder, sizeof folder, "%s/%s", directory, rows[i].kind);
		open_kind(&kind, folder);
		memset(text, rows[i].c, n);
		text[n - 1] = 'b';
		if (tokenizer_encode(kind.tokenizer, text, n, 0, &ids, &err))
			fail_msg("%s: %s", rows[i].kind, err.text);
		token_list_deinit(&ids);
		close_kind(&kind);
	}
	free(text);
}

static void check_long_texts(void **state)
{
	long_texts_are_encoded(*state);
}

/* The name that llama.cpp knows the pre-tokenizer by; NULL: it knows none. */
static void check_names(void **state)
{
	static const char *const rows[][2] = {
		{ "gpt-2", "gpt-2" }, { "gpt-neox", "gpt-2" }, { "starcoder", "starcoder" },
		{ "command-r", "starcoder" }, { "falcon", "falcon" }, { "llama-3", "llama-bpe" },
		{ "qwen2", "qwen2" }, { "qwen35", "qwen35" }, { "minicpm5", "minicpm5" },
		{ "seed-coder", "seed-coder" }, { "bailingmoe", "bailingmoe" },
		{ "exaone-moe", "exaone-moe" }, { "deepseek-v3", "deepseek-v3" },
		{ "gpt-4o", "gpt-4o" }, { "tiny_aya", "tiny_aya" }, { "tekken", "tekken" },
		{ "kimi-k2", "kimi-k2" }, { "bloom", "bloom" }, { "gemma", "default" },
		{ "words", NULL }, { "roberta", NULL }, { "split-removed", NULL },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char folder[4352];
		struct kind kind;
		struct gguf_string found = { .data = "" };

		snprintf(folder, sizeof folder, "%s/%s", (const char *)*state, rows[i][0]);
		open_kind(&kind, folder);
		if (gguf_has(kind.gguf, "tokenizer.ggml.pre"))
			assert_int_equal(gguf_get_string(kind.gguf, "tokenizer.ggml.pre", &found,
							 NULL), SC_OK);
		if (found.length != (rows[i][1] ? strlen(rows[i][1]) : 0) ||
		    memcmp(found.data, rows[i][1] ? rows[i][1] : "", found.length) != 0)
			fail_msg("%s: expected %s, found '%.*s'", rows[i][0],
				 rows[i][1] ? rows[i][1] : "none", (int)found.length, found.data);
		close_kind(&kind);
	}
}

static int is_folder(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && !strstr(entry->d_name, "Makefile");
}

int main(void)
{
	const char *given = getenv("TOKENIZER_VECTORS"), *source = getenv("SRCDIR");
	char directory[4096];
	struct dirent **entries;
	int n, n_failed = 0;

	snprintf(directory, sizeof directory, "%s%s", given ? given : source ? source : ".",
		 given ? "" : "/tests/data/tokenizers");
	if (!given) {
		const struct CMUnitTest tests[] = {
			cmocka_unit_test_prestate(check_long_texts, directory),
			cmocka_unit_test_prestate(check_names, directory),
		};

		n_failed += cmocka_run_group_tests_name("long texts and names", tests, NULL, NULL);
	}
	n = scandir(directory, &entries, is_folder, alphasort);
	if (n <= 0) {
		printf("%s: no tokenizers\n", directory);
		return 1;
	}
	printf("%-28s %8s %8s\n", "kind", "strings", "differ");
	for (int i = 0; i < n; i++) {
		char folder[4352];
		const char *names[] = { folder, entries[i]->d_name };
		const struct CMUnitTest tests[] = {
			cmocka_unit_test_prestate(check_folder, names),
		};

		snprintf(folder, sizeof folder, "%s/%s", directory, entries[i]->d_name);
		n_failed += cmocka_run_group_tests_name(entries[i]->d_name, tests, NULL, NULL);
		free(entries[i]);
	}
	free(entries);
	return n_failed != 0;
}
