/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokenizing costs time in proportion to the text. Counts work instead of measuring time: the items
 * that PCRE2 tries, for every pre-tokenizer, and the symbols that are joined, for every vocabulary
 * in $SHARED_DIR/vocabs (none if it is not there) and one of our own.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/utf8.h"
#include "model/bpe.h"
#include "model/pretokenizer.h"
#include "model/spm.h"

#include <inttypes.h>
#include <pcre2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/model/hard_texts.h"
#include "tests/model/public_vocabs.h"
#include "tests/model/tiny_vocab.h"

/* Patterns that count what the matcher tries. */
struct counting {
	pcre2_code *codes[PRE_MAX_PATTERNS];
	size_t n_patterns;
	pcre2_match_context *context;
	pcre2_match_data *match;
	uint64_t n_items;
};

static int count_item(pcre2_callout_block *block, void *data)
{
	struct counting *counting = data;

	(void)block;
	counting->n_items++;
	return 0;
}

static void counting_init(struct counting *counting, const struct pretokenizer_row *row)
{
	*counting = (struct counting){
		.context = pcre2_match_context_create(NULL),
		.match = pcre2_match_data_create(1, NULL),
	};
	pcre2_set_callout(counting->context, count_item, counting);
	for (; row->patterns[counting->n_patterns]; counting->n_patterns++) {
		int number;
		size_t offset;
		pcre2_code *code = pcre2_compile(
			(PCRE2_SPTR)row->patterns[counting->n_patterns], PCRE2_ZERO_TERMINATED,
			PCRE2_UTF | PCRE2_UCP | PCRE2_AUTO_CALLOUT, &number, &offset, NULL);

		assert_non_null(code);
		(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
		counting->codes[counting->n_patterns] = code;
	}
}

static void counting_deinit(struct counting *counting)
{
	for (size_t i = 0; i < counting->n_patterns; i++)
		pcre2_code_free(counting->codes[i]);
	pcre2_match_data_free(counting->match);
	pcre2_match_context_free(counting->context);
}

/* As pretokenizer_split does it. */
static void split(struct counting *counting, size_t level, const char *text, size_t n)
{
	const size_t *offsets = pcre2_get_ovector_pointer(counting->match);

	for (size_t at = 0; level < counting->n_patterns && at < n;) {
		int found = pcre2_match(counting->codes[level], (PCRE2_SPTR)text, n, at,
					PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, counting->match,
					counting->context);
		size_t begin = found > 0 ? offsets[0] : n;
		size_t end = found > 0 ? offsets[1] : n;

		assert_true(found > 0 || found == PCRE2_ERROR_NOMATCH);
		if (begin > at)
			split(counting, level + 1, text + at, begin - at);
		if (end > begin)
			split(counting, level + 1, text + begin, end - begin);
		at = end;
	}
}

static uint64_t count_items(struct counting *counting, const struct hard_text *kind, size_t n)
{
	char *text = malloc(n);

	assert_non_null(text);
	hard_text_fill(kind, text, n);
	/* A byte that is not UTF-8 looks like this to the patterns. */
	for (size_t at = 0; at < n;) {
		at += utf8_valid_length(text + at, n - at);
		if (at < n)
			text[at++] = 0x1A;
	}
	counting->n_items = 0;
	split(counting, 0, text, n);
	free(text);
	return counting->n_items;
}

static void patterns_try_items_in_proportion_to_the_text(void **state)
{
	enum { N = 8192 };

	(void)state;
	for (const struct pretokenizer_row *row = pretokenizer_rows; row->names; row++) {
		struct counting counting;

		counting_init(&counting, row);
		for (const struct hard_text *kind = hard_texts; kind->name; kind++) {
			uint64_t n_short = count_items(&counting, kind, N);
			uint64_t n_long = count_items(&counting, kind, 4 * N);

			if (n_long > 4 * n_short + n_short / 4 + 1000)
				fail_msg("%.*s: %s: %" PRIu64 " items for %d bytes, but %" PRIu64
					 " for %d", (int)strcspn(row->names, " "), row->names,
					 kind->name, n_short, N, n_long, 4 * N);
		}
		counting_deinit(&counting);
	}
}

/* A vocabulary with the merger's counts in reach. */
struct opened {
	struct gguf *gguf;
	struct vocab vocab;
	struct bpe *bpe;	/* NULL: SentencePiece-style */
};

static bool open_vocab(struct opened *opened)
{
	struct gguf_string model, name;
	struct pretokenizer *pre;
	struct error err;
	enum sc_status status;
	bool is_bpe;

	if (gguf_get_string(opened->gguf, "tokenizer.ggml.model", &model, NULL))
		return false;
	is_bpe = model.length == 4 && !memcmp(model.data, "gpt2", 4);
	if (!is_bpe && !(model.length == 5 && !memcmp(model.data, "llama", 5)))
		return false;
	status = vocab_load(&opened->vocab, is_bpe ? VOCAB_BPE : VOCAB_SPM, false, NULL,
			    opened->gguf, &err);
	if (!status && is_bpe)
		status = gguf_get_string(opened->gguf, "tokenizer.ggml.pre", &name, &err);
	if (!status && is_bpe)
		status = pretokenizer_create(name.data, name.length, &pre, &err);
	if (!status && is_bpe)
		status = bpe_create(&opened->vocab, pre,
				    pretokenizer_flags(pre) & PRE_IGNORES_MERGES,
				    opened->gguf, &opened->bpe, &err);
	if (status)
		fail_msg("%s", err.text);
	return true;
}

static void close_vocab(struct opened *opened)
{
	bpe_destroy(opened->bpe);
	vocab_deinit(&opened->vocab);
	gguf_close(opened->gguf);
}

static void encode(const struct opened *opened, const char *text, size_t n, struct merger *merger)
{
	struct token_list ids = { 0 };
	struct buf escaped = BUF_INIT;
	struct error err;

	if (opened->bpe)
		assert_int_equal(bpe_encode(opened->bpe, text, n, merger, &ids, &err), SC_OK);
	else
		assert_int_equal(spm_encode(&opened->vocab, text, n, true, merger, &escaped, &ids),
				 SC_OK);
	buf_deinit(&escaped);
	token_list_deinit(&ids);
}

static void expect_proportion(const struct opened *opened, const char *name)
{
	enum { N = 1 << 16 };
	static char text[N];
	struct merger merger = MERGER_INIT;

	for (const struct hard_text *kind = hard_texts; kind->name; kind++) {
		merger.n_read = 0;
		hard_text_fill(kind, text, N);
		encode(opened, text, N, &merger);
		/* A window costs at most so much, and the windows overlap by at most a third. */
		if (merger.n_whole || merger.n_read > N + N / 3)
			fail_msg("%s: %s: %" PRIu64 " symbols read for %d bytes, %" PRIu64
				 " words in one run", name, kind->name, merger.n_read, N,
				 merger.n_whole);
		assert_true(merger.n_symbols_max <= merge_window(opened->vocab.max_key_bytes));
	}
	merger_deinit(&merger);
}

static void a_small_vocabulary_joins_in_proportion_to_the_text(void **state)
{
	static const struct tiny_token tokens[] = {
		{ "aa", -1, T_NORMAL }, { "aaaa", -2, T_NORMAL }, { "a", -9, T_NORMAL },
		{ "\u2581", -8, T_NORMAL }, { "\u2581\u2581", -3, T_NORMAL },
		{ "ab", -4, T_NORMAL }, { "b", -9, T_NORMAL }, { "ba", -5, T_NORMAL },
		{ "00", -6, T_NORMAL }, { "0", -9, T_NORMAL },
	};
	struct opened opened = { .bpe = NULL };
	struct buf file = BUF_INIT;
	struct gguf_writer w;

	(void)state;
	gguf_writer_init(&w);
	tiny_vocab_spm(&w, tokens, sizeof tokens / sizeof *tokens);
	gguf_writer_finish(&w, &file);
	gguf_writer_deinit(&w);
	assert_int_equal(gguf_open_memory("memory", file.data, file.length, &opened.gguf, NULL),
			 SC_OK);
	assert_true(open_vocab(&opened));
	expect_proportion(&opened, "small vocabulary");
	close_vocab(&opened);
	buf_deinit(&file);
}

static unsigned n_vocabs;

static void check_vocab(const char *path)
{
	struct opened opened = { .bpe = NULL };

	assert_int_equal(gguf_open(path, &opened.gguf, NULL), SC_OK);
	if (open_vocab(&opened)) {
		expect_proportion(&opened, path);
		n_vocabs++;
	}
	close_vocab(&opened);
}

static void public_vocabularies_join_in_proportion_to_the_text(void **state)
{
	(void)state;
	if (!public_vocabs_each(check_vocab))
		skip();
	assert_true(n_vocabs > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_try_items_in_proportion_to_the_text),
		cmocka_unit_test(a_small_vocabulary_joins_in_proportion_to_the_text),
		cmocka_unit_test(public_vocabularies_join_in_proportion_to_the_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
