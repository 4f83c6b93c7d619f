/* SPDX-License-Identifier: Apache-2.0 */
/* Files whose tokenizer does not fit together: each is refused, and the error names the key. */
#include "model/tokenizer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/model/expect_tokens.h"

static const struct tiny_token one_token[] = { { "ab", 0, T_NORMAL } };
static const char *const one_merge[] = { "a b" };

/* Write a file with exactly one thing wrong. */
typedef void spoiler(struct gguf_writer *w);

static void good_spm(struct gguf_writer *w)
{
	tiny_vocab_spm(w, one_token, 1);
}

static void good_bpe(struct gguf_writer *w)
{
	tiny_vocab_bpe(w, "gpt-2", one_token, 1, one_merge, 1);
}

static void expect_refusal(spoiler *spoil, enum sc_status status, const char *part)
{
	struct gguf_writer w;
	struct tiny_tokenizer tiny;
	struct error err = { .text = "" };
	enum sc_status found;

	gguf_writer_init(&w);
	spoil(&w);
	found = tiny_tokenizer_create(&tiny, &w, &err);
	if (found != status || !strstr(err.text, part))
		fail_msg("expected %s with \"%s\", found %s: %s", sc_status_name(status), part,
			 sc_status_name(found), err.text);
	if (strncmp(err.text, "memory: ", 8))
		fail_msg("expected the file's name in \"%s\"", err.text);
	assert_int_equal(err.status, status);
}

static void nothing_at_all(struct gguf_writer *w)
{
	gguf_writer_string(w, "general.name", "no tokenizer");
}

static void unknown_model(struct gguf_writer *w)
{
	gguf_writer_string(w, "tokenizer.ggml.model", "morse");
}

static void model_is_a_number(struct gguf_writer *w)
{
	gguf_writer_u32(w, "tokenizer.ggml.model", 1);
}

static void unknown_pre(struct gguf_writer *w)
{
	tiny_vocab_bpe(w, "klingon", one_token, 1, one_merge, 1);
}

static void no_tokens(struct gguf_writer *w)
{
	gguf_writer_string(w, "tokenizer.ggml.model", "llama");
}

static void empty_tokens(struct gguf_writer *w)
{
	gguf_writer_string(w, "tokenizer.ggml.model", "llama");
	gguf_writer_strings(w, "tokenizer.ggml.tokens", NULL, 0);
}

static void tokens_are_numbers(struct gguf_writer *w)
{
	uint32_t numbers[2] = { 0 };

	gguf_writer_string(w, "tokenizer.ggml.model", "llama");
	gguf_writer_array(w, "tokenizer.ggml.tokens", GGUF_U32, numbers, 2, sizeof numbers);
}

static const char *const three_texts[] = { "<unk>", "<s>", "</s>" };

static void three_tokens(struct gguf_writer *w)
{
	gguf_writer_string(w, "tokenizer.ggml.model", "llama");
	gguf_writer_strings(w, "tokenizer.ggml.tokens", three_texts, 3);
}

static void no_scores(struct gguf_writer *w)
{
	three_tokens(w);
}

static void too_few_scores(struct gguf_writer *w)
{
	const float scores[2] = { 0 };

	three_tokens(w);
	gguf_writer_array(w, "tokenizer.ggml.scores", GGUF_F32, scores, 2, sizeof scores);
}

static void a_score_is_nan(struct gguf_writer *w)
{
	const float scores[3] = { 0, NAN, 0 };

	three_tokens(w);
	gguf_writer_array(w, "tokenizer.ggml.scores", GGUF_F32, scores, 3, sizeof scores);
}

static void scores_are_strings(struct gguf_writer *w)
{
	three_tokens(w);
	gguf_writer_strings(w, "tokenizer.ggml.scores", three_texts, 3);
}

static void three_scores(struct gguf_writer *w)
{
	const float scores[3] = { 0 };

	three_tokens(w);
	gguf_writer_array(w, "tokenizer.ggml.scores", GGUF_F32, scores, 3, sizeof scores);
}

static void too_many_types(struct gguf_writer *w)
{
	const int32_t types[4] = { 2, 3, 3, 1 };

	three_scores(w);
	gguf_writer_array(w, "tokenizer.ggml.token_type", GGUF_I32, types, 4, sizeof types);
}

static void a_byte_token_is_no_byte(struct gguf_writer *w)
{
	const int32_t types[3] = { 2, 3, 6 };

	three_scores(w);
	gguf_writer_array(w, "tokenizer.ggml.token_type", GGUF_I32, types, 3, sizeof types);
}

static void bos_is_out_of_range(struct gguf_writer *w)
{
	good_spm(w);
	gguf_writer_u32(w, "tokenizer.ggml.bos_token_id", TINY_SPM_FIRST + 1);
}

static void eot_is_out_of_range(struct gguf_writer *w)
{
	good_bpe(w);
	gguf_writer_u32(w, "tokenizer.ggml.eot_token_id", 100000);
}

static void eos_is_a_string(struct gguf_writer *w)
{
	good_spm(w);
	gguf_writer_string(w, "tokenizer.ggml.eos_token_id", "</s>");
}

static void bos_is_wanted_but_none(struct gguf_writer *w)
{
	good_spm(w);
	gguf_writer_u32(w, "tokenizer.ggml.bos_token_id", UINT32_MAX);
}

static void eos_is_wanted_but_none(struct gguf_writer *w)
{
	good_bpe(w);
	gguf_writer_bool(w, "tokenizer.ggml.add_eos_token", true);
}

static void add_bos_is_a_number(struct gguf_writer *w)
{
	good_spm(w);
	gguf_writer_f32(w, "tokenizer.ggml.add_bos_token", 1.0f);
}

static void merge_without_space(struct gguf_writer *w)
{
	static const char *const merges[] = { "a b", "ab" };

	tiny_vocab_bpe(w, "gpt-2", one_token, 1, merges, 2);
}

static void merge_without_left_half(struct gguf_writer *w)
{
	static const char *const merges[] = { " b" };

	tiny_vocab_bpe(w, "gpt-2", one_token, 1, merges, 1);
}

static void merge_without_right_half(struct gguf_writer *w)
{
	static const char *const merges[] = { "a " };

	tiny_vocab_bpe(w, "gpt-2", one_token, 1, merges, 1);
}

static void merge_of_three(struct gguf_writer *w)
{
	static const char *const merges[] = { "a b c" };

	tiny_vocab_bpe(w, "gpt-2", one_token, 1, merges, 1);
}

static void merges_are_missing(struct gguf_writer *w)
{
	gguf_writer_string(w, "tokenizer.ggml.model", "gpt2");
	gguf_writer_strings(w, "tokenizer.ggml.tokens", three_texts, 3);
}

static void merges_are_numbers(struct gguf_writer *w)
{
	uint32_t numbers[2] = { 0 };

	merges_are_missing(w);
	gguf_writer_array(w, "tokenizer.ggml.merges", GGUF_U32, numbers, 2, sizeof numbers);
}

static void every_misfit_is_refused_by_its_key(void **state)
{
	static const struct {
		spoiler *spoil;
		enum sc_status status;
		const char *part;
	} cases[] = {
		{ nothing_at_all, SC_E_FORMAT, "expected the key 'tokenizer.ggml.model'" },
		{ unknown_model, SC_E_UNSUPPORTED, "key 'tokenizer.ggml.model': expected llama, "
						      "gpt2 or t5, found 'morse'" },
		{ model_is_a_number, SC_E_FORMAT, "tokenizer.ggml.model" },
		{ unknown_pre, SC_E_UNSUPPORTED, "key 'tokenizer.ggml.pre': 'klingon'" },
		{ no_tokens, SC_E_FORMAT, "expected the key 'tokenizer.ggml.tokens'" },
		{ empty_tokens, SC_E_FORMAT, "tokenizer.ggml.tokens" },
		{ tokens_are_numbers, SC_E_FORMAT, "tokenizer.ggml.tokens" },
		{ no_scores, SC_E_FORMAT, "expected the key 'tokenizer.ggml.scores'" },
		{ too_few_scores, SC_E_FORMAT, "key 'tokenizer.ggml.scores': expected 3" },
		{ a_score_is_nan, SC_E_FORMAT, "key 'tokenizer.ggml.scores': token 1" },
		{ scores_are_strings, SC_E_FORMAT, "tokenizer.ggml.scores" },
		{ too_many_types, SC_E_FORMAT, "key 'tokenizer.ggml.token_type': expected 3" },
		{ a_byte_token_is_no_byte, SC_E_FORMAT, "key 'tokenizer.ggml.tokens': token 2" },
		{ bos_is_out_of_range, SC_E_FORMAT, "tokenizer.ggml.bos_token_id" },
		{ eot_is_out_of_range, SC_E_FORMAT, "tokenizer.ggml.eot_token_id" },
		{ eos_is_a_string, SC_E_FORMAT, "tokenizer.ggml.eos_token_id" },
		{ bos_is_wanted_but_none, SC_E_FORMAT, "tokenizer.ggml.bos_token_id" },
		{ eos_is_wanted_but_none, SC_E_FORMAT, "tokenizer.ggml.eos_token_id" },
		{ add_bos_is_a_number, SC_E_FORMAT, "tokenizer.ggml.add_bos_token" },
		{ merge_without_space, SC_E_FORMAT, "key 'tokenizer.ggml.merges': merge 1" },
		{ merge_without_left_half, SC_E_FORMAT, "key 'tokenizer.ggml.merges': merge 0" },
		{ merge_without_right_half, SC_E_FORMAT, "key 'tokenizer.ggml.merges': merge 0" },
		{ merge_of_three, SC_E_FORMAT, "key 'tokenizer.ggml.merges': merge 0" },
		{ merges_are_missing, SC_E_FORMAT, "expected the key 'tokenizer.ggml.merges'" },
		{ merges_are_numbers, SC_E_FORMAT, "tokenizer.ggml.merges" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_refusal(cases[i].spoil, cases[i].status, cases[i].part);
}

static void the_files_that_were_spoilt_are_good(void **state)
{
	spoiler *const makers[] = { good_spm, good_bpe, three_scores };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct gguf_writer w;
		struct tiny_tokenizer tiny;

		gguf_writer_init(&w);
		makers[i](&w);
		tiny = must_create(&w);
		tiny_tokenizer_destroy(&tiny);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_misfit_is_refused_by_its_key),
		cmocka_unit_test(the_files_that_were_spoilt_are_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
