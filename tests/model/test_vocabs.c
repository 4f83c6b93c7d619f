/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real vocabularies against the ids that their public test strings must give: every NAME.gguf in
 * $SHARED_DIR/vocabs (or the directory in argv[1]) that has NAME.gguf.inp and NAME.gguf.out.
 * Prints a table; skipped (77) without the directory.
 */
#include "model/gguf.h"
#include "model/tokenizer.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEPARATOR "\n__ggml_vocab_test__\n"

struct totals {
	unsigned n_vocabs;
	unsigned n_strings;
	unsigned n_passed;
};

static bool read_file(const char *path, struct buf *out)
{
	FILE *file = fopen(path, "rb");
	char block[4096];
	size_t n;
	bool is_good = true;

	if (!file)
		return false;
	while (is_good && (n = fread(block, 1, sizeof block, file)))
		is_good = buf_add(out, block, n) == SC_OK;
	fclose(file);
	return is_good;
}

/* Compare with one line of numbers; moves *line behind it. False at the first difference. */
static bool is_line(const struct token_list *ids, const char **line)
{
	const char *end = *line + strcspn(*line, "\n");
	size_t i = 0;
	bool is_same = true;

	for (const char *at = *line; at < end;) {
		char *next;
		unsigned long id = strtoul(at, &next, 10);

		if (next == at || next > end)
			break;
		is_same = is_same && i < ids->n && ids->ids[i] == id;
		i++;
		at = next;
	}
	*line = *end ? end + 1 : end;
	return is_same && i == ids->n;
}

static void print_difference(const char *text, size_t n_bytes, const char *expected,
			     const struct token_list *ids)
{
	printf("  string \"%.*s\"\n    expected %.*s\n    found   ", (int)n_bytes, text,
	       (int)strcspn(expected, "\n"), expected);
	for (size_t i = 0; i < ids->n; i++)
		printf(" %" PRIu32, ids->ids[i]);
	printf("\n");
}

/* The text comes back from its ids, unless a vocabulary cannot express all of it. */
static bool is_round_trip(const struct tokenizer *tokenizer, const char *text, size_t n_bytes,
			  const struct token_list *ids)
{
	struct buf back = BUF_INIT;
	bool is_same = tokenizer_decode(tokenizer, ids->ids, ids->n, false, &back) == SC_OK &&
		       back.length == n_bytes && !memcmp(back.data, text, n_bytes);

	buf_deinit(&back);
	return is_same;
}

static bool check_string(const struct tokenizer *tokenizer, const char *text, size_t n_bytes,
			 const char **expected)
{
	const char *line = *expected;
	struct token_list ids = { 0 };
	struct error err = { .text = "" };
	bool is_good = tokenizer_encode(tokenizer, text, n_bytes, 0, &ids, &err) == SC_OK;

	if (!is_good)
		printf("  %s\n", err.text);
	if (!is_line(&ids, expected)) {
		print_difference(text, n_bytes, line, &ids);
		is_good = false;
	}
	if (is_good && !is_round_trip(tokenizer, text, n_bytes, &ids)) {
		printf("  string \"%.*s\" does not come back\n", (int)n_bytes, text);
		is_good = false;
	}
	token_list_deinit(&ids);
	return is_good;
}

static void check_strings(const char *name, const struct tokenizer *tokenizer,
			  const struct buf *strings, const struct buf *expected,
			  struct totals *totals)
{
	const char *text = strings->data, *end;
	const char *line = expected->data;
	unsigned n = 0, n_passed = 0;

	/* The last separator ends the last string. */
	for (; (end = strstr(text, SEPARATOR)); text = end + strlen(SEPARATOR)) {
		n++;
		n_passed += check_string(tokenizer, text, (size_t)(end - text), &line);
	}
	printf("%-20s %7u %7u\n", name, n, n_passed);
	totals->n_vocabs++;
	totals->n_strings += n;
	totals->n_passed += n_passed;
}

static void check_vocab(const char *directory, const char *file_name, struct totals *totals)
{
	char path[4400];
	struct buf strings = BUF_INIT, expected = BUF_INIT;
	struct gguf *gguf = NULL;
	struct tokenizer *tokenizer = NULL;
	struct error err = { .text = "" };

	snprintf(path, sizeof path, "%s/%s.inp", directory, file_name);
	if (!read_file(path, &strings))
		goto out;
	snprintf(path, sizeof path, "%s/%s.out", directory, file_name);
	if (!read_file(path, &expected))
		goto out;
	snprintf(path, sizeof path, "%s/%s", directory, file_name);
	if (gguf_open(path, &gguf, &err) || tokenizer_create(gguf, &tokenizer, &err)) {
		printf("%-20s %s\n", file_name, err.text);
		totals->n_strings += err.status != SC_E_UNSUPPORTED;
		goto out;
	}
	check_strings(file_name, tokenizer, &strings, &expected, totals);
out:
	tokenizer_destroy(tokenizer);
	gguf_close(gguf);
	buf_deinit(&strings);
	buf_deinit(&expected);
}

static int is_vocab(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length > 5 && !strcmp(entry->d_name + length - 5, ".gguf");
}

int main(int argc, char **argv)
{
	const char *shared = getenv("SHARED_DIR");
	char directory[4096];
	struct dirent **entries;
	struct totals totals = { 0 };
	int n;

	snprintf(directory, sizeof directory, "%s/vocabs", shared ? shared : "../shared");
	if (argc > 1)
		snprintf(directory, sizeof directory, "%s", argv[1]);
	n = scandir(directory, &entries, is_vocab, alphasort);
	if (n < 0) {
		printf("%s is not there: skipped\n", directory);
		return 77;
	}
	printf("%-20s %7s %7s\n", "vocabulary", "strings", "passed");
	for (int i = 0; i < n; i++) {
		check_vocab(directory, entries[i]->d_name, &totals);
		free(entries[i]);
	}
	free(entries);
	printf("%u vocabularies, %u of %u strings passed\n", totals.n_vocabs, totals.n_passed,
	       totals.n_strings);
	return totals.n_vocabs < 5 || totals.n_passed < totals.n_strings;
}
