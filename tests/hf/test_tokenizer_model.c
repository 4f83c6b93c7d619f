/* SPDX-License-Identifier: Apache-2.0 */
/* Folders with a model of SentencePiece: the tokens, what other files add to them, and which ids
 * begin and end a text. */
#include "hf/parts.h"
#include "hf/spm_file.h"
#include "model/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/hf/model_folder.h"
#include "tests/hf/spm_writer.h"
#include "tests/model/expect_tokens.h"

struct opened {
	struct model_folder folder;
	struct buf head;
	struct gguf *gguf;
	struct tokenizer *tokenizer;
};

static enum sc_status try_open(struct opened *opened, const char *config_text, uint32_t n_vocab,
			       struct error *err)
{
	json_t *config = json_loads(config_text, 0, NULL);
	struct gguf_head head;
	enum sc_status status;

	assert_non_null(config);
	opened->head = (struct buf)BUF_INIT;
	opened->gguf = NULL;
	opened->tokenizer = NULL;
	gguf_head_init(&head, NULL);
	status = hf_tokenizer_put(opened->folder.path, config, n_vocab, &head, err);
	if (!status)
		assert_int_equal(gguf_head_finish(&head, &opened->head), SC_OK);
	gguf_head_deinit(&head);
	json_decref(config);
	if (!status)
		status = gguf_open_memory("folder", opened->head.data, opened->head.length,
					  &opened->gguf, err);
	return status ? status : tokenizer_create(opened->gguf, &opened->tokenizer, err);
}

static void must_open(struct opened *opened, const char *config, uint32_t n_vocab)
{
	struct error err = { .text = "" };

	if (try_open(opened, config, n_vocab, &err))
		fail_msg("%s", err.text);
}

static void close_head(struct opened *opened)
{
	tokenizer_destroy(opened->tokenizer);
	gguf_close(opened->gguf);
	buf_deinit(&opened->head);
}

/* Pieces from id 3 on: U+2581, a, b, ab, U+2581 ab, abc (user-defined). */
enum { SPACE = 3, A, B, AB, SPACE_AB, ABC };

static void write_model(const struct opened *opened, unsigned type, bool removes_spaces)
{
	struct buf model = BUF_INIT;

	spm_writer_begin(&model, false);
	spm_writer_piece(&model, "\u2581", -3, 0);
	spm_writer_piece(&model, "a", -4, 0);
	spm_writer_piece(&model, "b", -5, 0);
	spm_writer_piece(&model, "ab", -1, 0);
	spm_writer_piece(&model, "\u2581" "ab", -2, 0);
	spm_writer_piece(&model, "abc", 0, 4);
	spm_writer_trainer(&model, type, false);
	spm_writer_normalizer(&model, true, removes_spaces);
	model_folder_write(&opened->folder, "tokenizer.model", model.data, model.length);
	buf_deinit(&model);
}

static void texts_become_what_sentencepiece_makes_of_them(void **state)
{
	struct opened opened;

	(void)state;
	model_folder_create(&opened.folder);
	write_model(&opened, SPM_BPE, false);
	must_open(&opened, "{}", 0);
	expect_ids(opened.tokenizer, "ab ab", 0, "7 7");
	expect_ids(opened.tokenizer, "ab", TOKENIZE_ADD_BOS, "1 7");
	/* One unknown token, and no space of its own behind a user-defined piece. */
	expect_ids(opened.tokenizer, "abcxyzab", 0, "3 8 0 6");
	close_head(&opened);
	write_model(&opened, SPM_UNIGRAM, true);
	must_open(&opened, "{}", 0);
	expect_ids(opened.tokenizer, "  ab   ab ", TOKENIZE_ADD_BOS, "7 7");
	expect_ids(opened.tokenizer, "abcxyzab", 0, "3 8 0 6");
	close_head(&opened);
	model_folder_remove(&opened.folder);
}

static void other_files_add_tokens(void **state)
{
	struct opened opened;

	(void)state;
	model_folder_create(&opened.folder);
	write_model(&opened, SPM_BPE, false);
	model_folder_write_text(&opened.folder, "added_tokens.json",
				"{\"<one>\": 9, \"<two>\": 10, \"<far>\": 40}");
	model_folder_write_text(&opened.folder, "tokenizer_config.json",
		"{\"added_tokens_decoder\": {"
		"\"0\": {\"content\": \"<unk>\", \"special\": true},"
		"\"10\": {\"content\": \"<two>\", \"special\": true},"
		"\"11\": {\"content\": \"<end>\", \"special\": true}},"
		"\"eos_token\": {\"content\": \"<end>\"}, \"add_bos_token\": false}");
	must_open(&opened, "{\"eos_token_id\": 2}", 16);
	assert_int_equal(tokenizer_n_vocab(opened.tokenizer), 16);
	expect_ids(opened.tokenizer, "ab<one>ab<two>", TOKENIZE_ADD_BOS, "7 9 6 0");
	expect_ids(opened.tokenizer, "ab<one><two>", TOKENIZE_PARSE_SPECIAL, "7 9 10");
	expect_ids(opened.tokenizer, "x", 0, "3 0");
	assert_int_equal(tokenizer_eos(opened.tokenizer), 11);
	/* The tokenizer's end, and the model's. */
	assert_true(tokenizer_is_end(opened.tokenizer, 11));
	assert_true(tokenizer_is_end(opened.tokenizer, 2));
	assert_false(tokenizer_is_end(opened.tokenizer, 10));
	close_head(&opened);
	model_folder_remove(&opened.folder);
}

static void all_ends_of_all_files_end_a_text(void **state)
{
	uint32_t id;
	float temperature;
	struct opened opened;

	(void)state;
	model_folder_create(&opened.folder);
	write_model(&opened, SPM_BPE, false);
	model_folder_write_text(&opened.folder, "generation_config.json",
				"{\"eos_token_id\": [4, 5, 6, 7, 4000000, -1, \"x\"], "
				"\"temperature\": 0.5, \"top_k\": 20, \"top_p\": null}");
	must_open(&opened, "{\"eos_token_id\": [5, 8]}", 0);
	assert_int_equal(tokenizer_eos(opened.tokenizer), 5);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(tokenizer_is_end(opened.tokenizer, i), i >= 4 || i == 2);
	assert_int_equal(gguf_get_u32(opened.gguf, "tokenizer.ggml.eot_token_id", &id, NULL), SC_OK);
	assert_int_equal(id, 4);
	assert_int_equal(gguf_get_u32(opened.gguf, "tokenizer.ggml.eom_token_id", &id, NULL), SC_OK);
	assert_int_equal(id, 6);
	assert_int_equal(gguf_get_u32(opened.gguf, "general.sampling.top_k", &id, NULL), SC_OK);
	assert_int_equal(id, 20);
	assert_int_equal(gguf_get_f32(opened.gguf, "general.sampling.temp", &temperature, NULL),
			 SC_OK);
	assert_true(temperature == 0.5f);
	assert_false(gguf_has(opened.gguf, "general.sampling.top_p"));
	close_head(&opened);
	model_folder_remove(&opened.folder);
}

static void expect_error(struct opened *opened, uint32_t n_vocab, enum sc_status status,
			 const char *part)
{
	struct error err = { .text = "" };
	enum sc_status found = try_open(opened, "{}", n_vocab, &err);

	if (found != status || !strstr(err.text, part) || !strstr(err.text, opened->folder.path))
		fail_msg("expected %s with \"%s\", found %s: %s", sc_status_name(status), part,
			 sc_status_name(found), err.text);
	close_head(opened);
}

static void misfits_are_refused(void **state)
{
	struct opened opened;

	(void)state;
	model_folder_create(&opened.folder);
	expect_error(&opened, 0, SC_E_NOT_FOUND, "expected tokenizer.json or tokenizer.model");
	model_folder_write_text(&opened.folder, "tokenizer.model", "hello");
	expect_error(&opened, 0, SC_E_FORMAT, "tokenizer.model: offset 2: ");
	write_model(&opened, SPM_WORD, false);
	expect_error(&opened, 0, SC_E_UNSUPPORTED, "a model of words");
	write_model(&opened, SPM_BPE, false);
	expect_error(&opened, 8, SC_E_FORMAT, "expected at most 8 pieces");
	model_folder_write_text(&opened.folder, "added_tokens.json", "{\"<a>\": -1}");
	expect_error(&opened, 0, SC_E_FORMAT, "added_tokens.json: added token '<a>'");
	model_folder_write_text(&opened.folder, "added_tokens.json", "{}");
	model_folder_write_text(&opened.folder, "tokenizer_config.json",
				"{\"added_tokens_decoder\": {\"9x\": {\"content\": \"<a>\"}}}");
	expect_error(&opened, 0, SC_E_FORMAT, "tokenizer_config.json: added token '9x'");
	model_folder_remove(&opened.folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_become_what_sentencepiece_makes_of_them),
		cmocka_unit_test(other_files_add_tokens),
		cmocka_unit_test(all_ends_of_all_files_end_a_text),
		cmocka_unit_test(misfits_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
