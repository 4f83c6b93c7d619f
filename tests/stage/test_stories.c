/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trained model: stories260K, and the text that another program generates with it. Both lie
 * outside the source tree; without them the test is skipped.
 */
#include "model/tokenizer.h"
#include "tests/stage/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define N_TOKENS 200

static struct model *open_stories(void)
{
	const char *shared = getenv("SHARED_DIR");
	struct error err = { .text = "" };
	struct model *model = NULL;
	char path[4096];

	snprintf(path, sizeof path, "%s/models/stories260K.gguf", shared ? shared : "../shared");
	if (access(path, R_OK)) {
		print_message("%s is not there\n", path);
		skip();
	}
	if (model_open(path, &model, &err))
		fail_msg("%s", err.text);
	return model;
}

static size_t read_expected(char *text, size_t max)
{
	const char *shared = getenv("SHARED_DIR");
	char path[4096];
	size_t n;
	FILE *file;

	snprintf(path, sizeof path, "%s/models/stories260K.greedy.txt",
		 shared ? shared : "../shared");
	file = fopen(path, "rb");
	assert_non_null(file);
	n = fread(text, 1, max, file);
	fclose(file);
	assert_in_range(n, 1, max - 1);
	return n;
}

/* Ends after N_TOKENS, or where the model begins another text. */
static void generate(struct chain *chain, const struct tokenizer *tokenizer, struct buf *text)
{
	const struct sampling greedy = { .top_p = 1, SAMPLING_OFF };
	uint32_t tokens[N_TOKENS + 1] = { tokenizer_bos(tokenizer) };
	uint32_t n = 0, n_records;

	while (n < N_TOKENS) {
		const struct chain_segment segment = {
			.sampling = n ? NULL : &greedy, .tokens = &tokens[n], .n_rows = 1,
			.is_sampling = true,
		};

		tokens[n + 1] = chain_step(chain, &segment, 1, NULL, 0, &n_records)->token;
		if (tokens[n + 1] == tokenizer_bos(tokenizer))
			break;
		n++;
	}
	assert_int_equal(tokenizer_decode(tokenizer, tokens + 1, n, false, text), SC_OK);
}

static void greedy_text_is_the_known_one_on_any_number_of_stages(void **state)
{
	struct model *model = open_stories();
	struct tokenizer *tokenizer;
	struct error err = { .text = "" };
	char expected[4096];
	size_t n_expected = read_expected(expected, sizeof expected);

	(void)state;
	if (tokenizer_create(model->gguf, &tokenizer, &err))
		fail_msg("%s", err.text);
	for (unsigned n_stages = 1; n_stages <= model->hparams.n_layers; n_stages++) {
		const struct chain_config config = {
			.model = model, .n_stages = n_stages, .n_threads = 1, .max_rows = 1,
			.max_context = N_TOKENS,
		};
		struct chain *chain = chain_create(&config);
		struct buf text = BUF_INIT;

		generate(chain, tokenizer, &text);
		assert_int_equal(text.length, n_expected);
		assert_memory_equal(text.data, expected, n_expected);
		buf_deinit(&text);
		chain_destroy(chain);
	}
	tokenizer_destroy(tokenizer);
	model_close(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greedy_text_is_the_known_one_on_any_number_of_stages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
