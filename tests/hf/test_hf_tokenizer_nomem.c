/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a tokenizer.json, making the tokenizer and encoding a text, with allocations failing in
 * turn: a clean error, and nothing is left behind. */
#include "hf/parts.h"
#include "model/tokenizer.h"
#include "tests/hf/json_memory.h"
#include "tests/model/failing_alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DENSE 300	/* the first so many fail one by one, later ones every STEP */
#define STEP 13

static enum sc_status encode(const struct gguf *gguf, struct error *err)
{
	static const char text[] = "<l> A\u030Angstr\u00F6m 12  word\n\xFF <sp> a\u0323\u0301\u0323";
	struct tokenizer *tokenizer;
	struct token_list ids = { 0 };
	enum sc_status status = tokenizer_create(gguf, &tokenizer, err);

	if (status)
		return status;
	status = tokenizer_encode(tokenizer, text, sizeof text - 1, 3, &ids, err);
	token_list_deinit(&ids);
	tokenizer_destroy(tokenizer);
	return status;
}

static enum sc_status read_and_encode(const char *folder, const json_t *config, struct error *err)
{
	struct gguf_head head;
	struct buf bytes = BUF_INIT;
	struct gguf *gguf;
	enum sc_status status;

	gguf_head_init(&head, NULL);
	status = hf_tokenizer_put(folder, config, 0, &head, err);
	if (!status && gguf_head_finish(&head, &bytes))
		status = error_set(err, SC_E_NOMEM, "no memory for the head");
	gguf_head_deinit(&head);
	if (!status)
		status = gguf_open_memory("memory", bytes.data, bytes.length, &gguf, err);
	if (!status) {
		status = encode(gguf, err);
		gguf_close(gguf);
	}
	buf_deinit(&bytes);
	return status;
}

/* Returns true when n allocations were not needed. */
static bool try_once(const char *folder, long n)
{
	json_t *config = json_object();
	const long n_before = failing_alloc_n_live();
	struct error err = { .text = "" };
	enum sc_status status;
	bool has_failed;

	failing_alloc_arm(n);
	status = read_and_encode(folder, config, &err);
	has_failed = failing_alloc_disarm();
	json_decref(config);
	/* What PCRE2 lacks for its compiler to machine code is no failure. */
	if (status && (!has_failed || status != SC_E_NOMEM || err.status != status))
		fail_msg("allocation %ld: %s: %s", n, sc_status_name(status), err.text);
	if (failing_alloc_n_live() != n_before)
		fail_msg("allocation %ld: %ld blocks are left", n,
			 failing_alloc_n_live() - n_before);
	return !has_failed;
}

static void sweep(const char *kind)
{
	const char *source = getenv("SRCDIR");
	char folder[4352];
	long n = 0;

	if (!has_failing_alloc)
		skip();
	snprintf(folder, sizeof folder, "%s/tests/data/tokenizers/%s", source ? source : ".", kind);
	(void)try_once(folder, INT32_MAX);	/* what is made once and stays */
	while (!try_once(folder, n))
		n += n < DENSE ? 1 : STEP;
	assert_true(n > DENSE);
	assert_int_equal(json_memory_n_live(), 0);
}

static void a_byte_level_tokenizer_may_find_no_memory(void **state)
{
	(void)state;
	sweep("added-tokens");
}

static void a_tokenizer_of_characters_may_find_no_memory(void **state)
{
	(void)state;
	sweep("mistral-metaspace");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_byte_level_tokenizer_may_find_no_memory),
		cmocka_unit_test(a_tokenizer_of_characters_may_find_no_memory),
	};

	json_memory_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
