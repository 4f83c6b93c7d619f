/* SPDX-License-Identifier: Apache-2.0 */
/* Joining in windows: always the result of one run over the whole word, at a cost in proportion. */
#include "model/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/model/expect_tokens.h"

#define N_BASE 4
#define N_MAX 40

/* A vocabulary of N_BASE letters and random pairs of what is there already. Some texts can be made
 * in several ways, and priorities are in any order. */
struct pairs {
	uint32_t n;
	char texts[N_MAX][16];
	uint32_t left[N_MAX], right[N_MAX], priority[N_MAX];
};

static void make_pairs(struct pairs *pairs, uint64_t *random)
{
	*pairs = (struct pairs){ .n = N_BASE };
	for (uint32_t i = 0; i < N_BASE; i++)
		pairs->texts[i][0] = (char)('a' + i);
	while (pairs->n < N_MAX) {
		uint32_t i = pairs->n++;
		size_t n_left;

		do {
			pairs->left[i] = next_random(random) % i;
			pairs->right[i] = next_random(random) % i;
		} while (strlen(pairs->texts[pairs->left[i]]) +
			 strlen(pairs->texts[pairs->right[i]]) > 12);
		n_left = strlen(pairs->texts[pairs->left[i]]);
		memcpy(pairs->texts[i], pairs->texts[pairs->left[i]], n_left);
		memcpy(pairs->texts[i] + n_left, pairs->texts[pairs->right[i]],
		       strlen(pairs->texts[pairs->right[i]]));
		pairs->priority[i] = next_random(random) % 2 ? i : next_random(random) % N_MAX;
	}
}

static uint32_t read_letter(const void *context, const char *text, size_t n_bytes,
			    uint32_t *token_out)
{
	(void)context;
	assert_true(n_bytes > 0);
	*token_out = (uint32_t)(*text - 'a');
	return 1;
}

static bool find_pair(const void *context, const char *text, const struct merge_symbol *left,
		      const struct merge_symbol *right, struct merge_rule *rule_out)
{
	const struct pairs *pairs = context;

	(void)text;
	for (uint32_t i = N_BASE; i < pairs->n; i++) {
		if (pairs->left[i] != left->token || pairs->right[i] != right->token)
			continue;
		*rule_out = (struct merge_rule){ .priority = pairs->priority[i], .token = i };
		return true;
	}
	return false;
}

static enum sc_status emit(const void *context, const char *text, size_t n_bytes, uint32_t token,
			   struct token_list *ids)
{
	const struct pairs *pairs = context;

	assert_int_equal(strlen(pairs->texts[token]), n_bytes);
	assert_memory_equal(pairs->texts[token], text, n_bytes);
	return token_list_add(ids, token);
}

/* Random letters in runs, so that cascades get a chance. */
static void make_word(char *word, size_t n, uint64_t *random)
{
	unsigned n_letters = 1 + next_random(random) % N_BASE;
	size_t period = 1 + next_random(random) % 7;
	bool is_periodic = next_random(random) % 2;

	for (size_t i = 0; i < n; i++)
		word[i] = is_periodic && i >= period && next_random(random) % 32
			? word[i - period] : (char)('a' + next_random(random) % n_letters);
}

static void join(struct merger *merger, const struct pairs *pairs, size_t n_window,
		 const char *word, size_t n, struct token_list *ids)
{
	const struct merge_rules rules = {
		.context = pairs, .n_window = n_window, .read = read_letter, .find = find_pair,
		.emit = emit,
	};

	ids->n = 0;
	assert_int_equal(merger_join(merger, &rules, word, n, ids), SC_OK);
}

static void windows_give_what_one_run_gives(void **state)
{
	struct merger whole = MERGER_INIT, windows = MERGER_INIT;
	struct token_list expected = { 0 }, found = { 0 };
	uint64_t random = 1;
	unsigned n_windowed = 0;

	(void)state;
	for (unsigned round = 0; round < 4000; round++) {
		struct pairs pairs;
		char word[600];
		size_t n = 1 + next_random(&random) % sizeof word;
		size_t n_window = 3 + next_random(&random) % 60;
		uint64_t n_whole = windows.n_whole;

		make_pairs(&pairs, &random);
		make_word(word, n, &random);
		join(&whole, &pairs, SIZE_MAX, word, n, &expected);
		join(&windows, &pairs, n_window, word, n, &found);
		n_windowed += n > n_window && windows.n_whole == n_whole;
		assert_int_equal(found.n, expected.n);
		assert_memory_equal(found.ids, expected.ids, found.n * sizeof found.ids[0]);
	}
	/* Both ways were taken, and the windows did not fall back to one run as a rule. */
	assert_true(windows.n_whole > 0);
	assert_true(n_windowed > 1000);
	assert_int_equal(whole.n_whole, 0);
	token_list_deinit(&expected);
	token_list_deinit(&found);
	merger_deinit(&whole);
	merger_deinit(&windows);
}

static void the_work_grows_in_proportion_to_the_word(void **state)
{
	enum { N_BYTES = 1 << 16, N_WINDOW = 1024 };
	static char word[N_BYTES];
	struct merger merger = MERGER_INIT;
	struct token_list ids = { 0 };
	uint64_t random = 1;

	(void)state;
	for (unsigned round = 0; round < 20; round++) {
		struct pairs pairs;
		uint64_t n_before = merger.n_read;

		make_pairs(&pairs, &random);
		make_word(word, N_BYTES, &random);
		join(&merger, &pairs, N_WINDOW, word, N_BYTES, &ids);
		assert_true(merger.n_read - n_before < N_BYTES + N_BYTES / 4);
		/* Scratch memory stays that of a window. */
		assert_true(merger.n_symbols_max <= N_WINDOW);
	}
	assert_int_equal(merger.n_whole, 0);
	token_list_deinit(&ids);
	merger_deinit(&merger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(windows_give_what_one_run_gives),
		cmocka_unit_test(the_work_grows_in_proportion_to_the_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
