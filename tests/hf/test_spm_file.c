/* SPDX-License-Identifier: Apache-2.0 */
/* Models of SentencePiece: what is read, and each thing that is refused. */
#include "hf/spm_file.h"

#include "model/tokenizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/hf/spm_writer.h"

static void expect_refusal(struct buf *model, enum sc_status status, const char *part)
{
	struct spm_file file;
	struct error err = { .text = "" };
	enum sc_status found = spm_file_read(&file, "dir/m", model->data, model->length, &err);

	if (found != status || !strstr(err.text, part) || strncmp(err.text, "dir/m: ", 7))
		fail_msg("expected %s with \"%s\", found %s: %s", sc_status_name(status), part,
			 sc_status_name(found), err.text);
	spm_file_deinit(&file);
	buf_deinit(model);
}

static void pieces_and_settings_are_read(void **state)
{
	struct buf model = BUF_INIT, spec = BUF_INIT;
	struct spm_file file;
	struct error err;

	(void)state;
	spm_writer_begin(&model, true);
	spm_writer_piece(&model, "a", -1.5f, 0);
	spm_writer_piece(&model, "b", -2, 4);
	spm_writer_piece(&model, "c", -3, 5);
	spm_writer_trainer(&model, SPM_BPE, true);
	spm_writer_number(&spec, 24, 1);
	spm_writer_bytes(&spec, 47, "<s>", 3);
	spm_writer_bytes(&model, 2, spec.data, spec.length);	/* messages add up */
	spm_writer_normalizer(&model, false, false);
	spm_writer_number(&model, 200, 7);			/* of later versions */
	assert_int_equal(spm_file_read(&file, "m", model.data, model.length, &err), SC_OK);
	assert_int_equal(file.n, 262);
	assert_int_equal(file.model, SPM_BPE);
	assert_memory_equal(file.pieces[259].text.data, "a", 1);
	assert_int_equal(file.pieces[259].type, 1);
	assert_true(file.pieces[259].score < -1.4f && file.pieces[259].score > -1.6f);
	assert_int_equal(file.pieces[260].type, 4);
	assert_int_equal(file.pieces[261].type, 5);
	assert_true(file.falls_back && file.is_suffix && file.escapes);
	assert_false(file.adds_prefix || file.removes_spaces || file.has_output_rules);
	assert_int_equal(file.unknown, 0);
	assert_int_equal(file.bos, 1);
	assert_int_equal(file.eos, 1);
	assert_int_equal(file.padding, TOKEN_NONE);
	spm_file_deinit(&file);
	buf_deinit(&model);
	buf_deinit(&spec);
}

static void what_a_file_leaves_out_has_defaults(void **state)
{
	struct buf model = BUF_INIT;
	struct spm_file file;
	struct error err;

	(void)state;
	spm_writer_begin(&model, false);
	assert_int_equal(spm_file_read(&file, "m", model.data, model.length, &err), SC_OK);
	assert_int_equal(file.model, SPM_UNIGRAM);
	assert_true(file.adds_prefix && file.removes_spaces && file.escapes);
	assert_false(file.falls_back || file.is_suffix);
	assert_int_equal(file.eos, 2);
	spm_file_deinit(&file);
	buf_deinit(&model);
}

static void what_sentencepiece_refuses_is_refused(void **state)
{
	struct buf model = BUF_INIT;

	(void)state;
	expect_refusal(&model, SC_E_FORMAT, "expected an unknown piece, found none among 0");
	spm_writer_begin(&model, false);
	spm_writer_piece(&model, "<oov>", 0, 2);
	expect_refusal(&model, SC_E_FORMAT, "piece 3 '<oov>': expected one unknown piece");
	spm_writer_begin(&model, true);
	expect_refusal(&model, SC_E_FORMAT, "'<0x00>': expected no byte piece");
	spm_writer_begin(&model, false);
	spm_writer_trainer(&model, SPM_BPE, true);
	expect_refusal(&model, SC_E_FORMAT, "expected 256 byte pieces, as byte_fallback is true, "
		       "found 0");
	spm_writer_begin(&model, false);
	spm_writer_piece(&model, "a", 0, 6);
	spm_writer_trainer(&model, SPM_BPE, true);
	expect_refusal(&model, SC_E_FORMAT, "piece 3 'a': expected <0xNN>");
	spm_writer_begin(&model, false);
	spm_writer_piece(&model, "a", 0, 1);
	spm_writer_piece(&model, "a", 0, 5);
	expect_refusal(&model, SC_E_FORMAT, "piece 4 'a': expected each piece once");
	spm_writer_begin(&model, false);
	spm_writer_piece(&model, "", 0, 1);
	expect_refusal(&model, SC_E_FORMAT, "piece 3: expected a text");
	spm_writer_begin(&model, false);
	spm_writer_piece(&model, "a", NAN, 1);
	expect_refusal(&model, SC_E_FORMAT, "found NaN");
	spm_writer_begin(&model, false);
	spm_writer_piece(&model, "a", 0, 7);
	expect_refusal(&model, SC_E_FORMAT, "type: expected 1 to 6, found 7");
	spm_writer_begin(&model, false);
	spm_writer_trainer(&model, SPM_WORD, false);
	expect_refusal(&model, SC_E_UNSUPPORTED, "a model of words");
	spm_writer_begin(&model, false);
	spm_writer_trainer(&model, 9, false);
	expect_refusal(&model, SC_E_FORMAT, "model_type: expected 1 to 4, found 9");
}

static void malformed_messages_are_refused_by_their_offset(void **state)
{
	struct buf model = BUF_INIT;

	(void)state;
	assert_int_equal(buf_add(&model, "\x0A\x05" "ab", 4), SC_OK);
	expect_refusal(&model, SC_E_FORMAT, "offset 0: field 1: expected at most 2 bytes, found 5");
	assert_int_equal(buf_add(&model, "\x0A", 1), SC_OK);
	expect_refusal(&model, SC_E_FORMAT, "offset 1: expected a number, found the end");
	assert_int_equal(buf_add(&model, "\x0B", 1), SC_OK);
	expect_refusal(&model, SC_E_FORMAT, "field 1: expected the wire type 0, 1, 2 or 5, found 3");
	assert_int_equal(buf_add(&model, "\x02\x00", 2), SC_OK);
	expect_refusal(&model, SC_E_FORMAT, "offset 0: expected a field, found the tag 2");
	assert_int_equal(buf_add(&model, "\x08\x01", 2), SC_OK);
	expect_refusal(&model, SC_E_FORMAT, "pieces: expected the wire type 2, found 0");
	assert_int_equal(buf_add(&model, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11), SC_OK);
	expect_refusal(&model, SC_E_FORMAT, "a number of at most 10 bytes");
	assert_int_equal(buf_add(&model, "\x15\x01\x02", 3), SC_OK);
	expect_refusal(&model, SC_E_FORMAT, "offset 0: field 2: expected a number");
}

static void every_cut_is_refused_or_read_whole(void **state)
{
	struct buf model = BUF_INIT;

	(void)state;
	spm_writer_begin(&model, false);
	spm_writer_trainer(&model, SPM_UNIGRAM, false);
	spm_writer_normalizer(&model, true, true);
	for (size_t n = 0; n < model.length; n++) {
		struct spm_file file;
		struct error err;
		char *copy = malloc(n + 1);

		assert_non_null(copy);
		memcpy(copy, model.data, n);
		(void)!spm_file_read(&file, "m", copy, n, &err);
		spm_file_deinit(&file);
		free(copy);
	}
	buf_deinit(&model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_and_settings_are_read),
		cmocka_unit_test(what_a_file_leaves_out_has_defaults),
		cmocka_unit_test(what_sentencepiece_refuses_is_refused),
		cmocka_unit_test(malformed_messages_are_refused_by_their_offset),
		cmocka_unit_test(every_cut_is_refused_or_read_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
