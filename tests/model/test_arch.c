/* SPDX-License-Identifier: Apache-2.0 */
/* The table of families: which tensors and keys its rows accept, and what becomes of them. */
#include "tests/model/any_model.h"

#include "model/tensor_hash.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BIT(slot) (UINT64_C(1) << (slot))

/* Opens the model or fails the test. */
static struct model *open_any(const struct any_model *any, struct buf *file)
{
	struct error err = { .text = "" };
	struct model *model = any_model_open(any, file, &err);

	if (!model)
		fail_msg("%s: %s", any->arch, err.text);
	return model;
}

static void close_any(struct model *model, struct buf *file)
{
	model_close(model);
	buf_deinit(file);
	*file = (struct buf)BUF_INIT;
}

static void expect_refused(const struct any_model *any, enum sc_status status, const char *text)
{
	struct buf file = BUF_INIT;
	struct error err = { .status = SC_OK, .text = "" };
	struct model *model = any_model_open(any, &file, &err);

	if (model || err.status != status || !strstr(err.text, text))
		fail_msg("%s: expected \"%s\", found \"%s\"", any->arch, text,
			 model ? "a model" : err.text);
	buf_deinit(&file);
}

static void every_row_has_a_name_of_its_own_and_opens(void **state)
{
	(void)state;
	for (size_t i = 0; i < arch_count(); i++) {
		const struct arch *arch = arch_at(i), *found;
		struct any_model any = any_model_of(arch->name);
		struct buf file = BUF_INIT;
		struct model *model = open_any(&any, &file);
		struct error err;

		assert_int_equal(arch_find(arch->name, strlen(arch->name), &found, &err), SC_OK);
		assert_ptr_equal(found, arch);
		assert_non_null(arch->families);
		assert_int_equal(arch->layer_required & arch->layer_optional, 0);
		assert_int_equal(arch->outer_required & arch->outer_optional, 0);
		assert_ptr_equal(model->arch, arch);
		assert_ptr_equal(model->outer[OUTER_OUTPUT] == model->outer[OUTER_TOKEN_EMBD],
				 !(arch->outer_required & BIT(OUTER_OUTPUT)));
		close_any(model, &file);
	}
}

static void an_unknown_name_has_a_nearest_or_all_are_listed(void **state)
{
	const struct arch *arch;
	struct error err;

	(void)state;
	assert_int_equal(arch_find("gema3", 5, &arch, &err), SC_E_UNSUPPORTED);
	assert_string_equal(err.text, "architecture 'gema3' is not supported; the nearest that is "
			    "supported is 'gemma3'");
	assert_int_equal(arch_find("mamba", 5, &arch, &err), SC_E_UNSUPPORTED);
	for (size_t i = 0; i < arch_count(); i++)
		assert_non_null(strstr(err.text, arch_at(i)->name));
	/* A name that is longer than any, without an end. */
	assert_int_equal(arch_find("mambamambamambamambamambamambamambamambamambamambamambamamba"
				   "mamba", 60, &arch, &err), SC_E_UNSUPPORTED);
}

/* Without each required tensor of a layer in turn. */
static void each_required_tensor_is_named_when_it_is_missing(void **state)
{
	(void)state;
	for (size_t i = 0; i < arch_count(); i++) {
		struct any_model any = any_model_of(arch_at(i)->name);

		for (unsigned s = 0; s < N_LAYER_SLOTS; s++) {
			any.layer_without = BIT(s);
			if (arch_at(i)->layer_required & BIT(s))
				expect_refused(&any, SC_E_FORMAT, "expected a tensor 'blk.0.");
		}
	}
}

static void optional_tensors_are_found_and_others_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < arch_count(); i++) {
		const struct arch *arch = arch_at(i);
		struct any_model any = any_model_of(arch->name);

		for (unsigned s = 0; s < N_LAYER_SLOTS; s++) {
			const char *name = arch->ffn_norm_name;
			struct buf file = BUF_INIT;
			struct model *model;

			if (arch->layer_required & BIT(s) ||
			    (name && !strcmp(name, layer_slots[s].gguf)))
				continue;
			any.layer_more = BIT(s);
			if (!(arch->layer_optional & BIT(s))) {
				expect_refused(&any, SC_E_UNSUPPORTED,
					       "is not supported for architecture");
				continue;
			}
			model = open_any(&any, &file);
			assert_non_null(model->layers[0].of[s]);
			assert_string_equal(strchr(model->layers[2].of[s]->name + 4, '.') + 1,
					    layer_slots[s].gguf);
			close_any(model, &file);
		}
	}
}

static void expect_same_elements(const struct tensor *a, const struct tensor *b)
{
	assert_int_equal(a->dims[0], b->dims[0]);
	assert_int_equal(a->dims[1], b->dims[1]);
	assert_int_equal(a->n_bytes, b->n_bytes);
	assert_memory_equal(a->data, b->data, a->n_bytes);
}

/* All slots of a model with fused tensors and of the same without. */
static void fused_tensors_are_seen_as_their_parts(void **state)
{
	static const char *const names[] = { "phi3", "glm4", "gpt2", "qwen2" };

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct any_model any = any_model_of(names[i]);
		struct buf files[2] = { BUF_INIT, BUF_INIT };
		struct model *plain = open_any(&any, &files[0]), *fused;

		any.is_fused = true;
		fused = open_any(&any, &files[1]);
		assert_true(gguf_n_tensors(fused->gguf) < gguf_n_tensors(plain->gguf));
		for (unsigned s = 0; s < N_LAYER_SLOTS; s++) {
			const struct tensor *part = fused->layers[1].of[s];

			assert_int_equal(!part, !plain->layers[1].of[s]);
			if (part)
				expect_same_elements(part, plain->layers[1].of[s]);
		}
		assert_int_equal(model_layer_bytes(fused, 2), model_layer_bytes(plain, 2));
		assert_int_equal(model_layer_macs(fused, 2), model_layer_macs(plain, 2));
		assert_int_equal(fused->n_params, plain->n_params);
		close_any(fused, &files[1]);
		close_any(plain, &files[0]);
	}
}

static void parts_have_numbers_and_hashes_of_their_own(void **state)
{
	struct any_model any = any_model_of("phi3");
	struct buf file = BUF_INIT;
	struct model *model;
	size_t n, n_seen = 0;

	(void)state;
	any.is_fused = true;
	model = open_any(&any, &file);
	n = gguf_n_tensors(model->gguf);
	assert_int_equal(model_n_tensors(model), n + 3 * 5);	/* q, k, v, gate, up */
	for (size_t i = 0; i < model_n_tensors(model); i++) {
		const struct tensor *tensor = model_tensor(model, i);

		assert_int_equal(model_tensor_number(model, tensor), i);
		assert_int_equal(model_hash(model, i), 0);
		model_note_hash(model, tensor, i + 1);
	}
	for (size_t i = 0; i < model_n_tensors(model); i++)
		assert_int_equal(model_hash(model, i), i + 1);
	for (unsigned s = 0; s < N_LAYER_SLOTS; s++)
		n_seen += model->layers[0].of[s] &&
			  model_tensor_number(model, model->layers[0].of[s]) >= n;
	assert_int_equal(n_seen, 5);
	assert_string_equal(model->layers[0].of[LAYER_ATTN_K]->name, "blk.0.attn_qkv.weight");
	close_any(model, &file);
}

/* ffn_up has twice the rows only where a gate is missing. */
static void a_fused_tensor_of_another_size_is_refused(void **state)
{
	struct any_model any = any_model_of("phi3");

	(void)state;
	any.layer_without = BIT(LAYER_FFN_GATE);
	expect_refused(&any, SC_E_FORMAT, "expected a tensor 'blk.0.ffn_gate.weight', found none");
	any = any_model_of("gpt2");
	any.layer_without = BIT(LAYER_ATTN_V) | BIT(LAYER_ATTN_V_BIAS);
	expect_refused(&any, SC_E_FORMAT, "expected a tensor 'blk.0.attn_v.weight', found none");
}

static void norms_of_queries_have_the_shape_of_their_kind(void **state)
{
	static const struct {
		const char *arch;
		uint64_t q[2], k[2];
	} cases[] = {
		{ "qwen3", { 12, 1 }, { 12, 1 } },
		{ "olmo2", { 48, 1 }, { 24, 1 } },
		{ "command-r", { 12, 4 }, { 12, 2 } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct any_model any = any_model_of(cases[i].arch);
		struct buf file = BUF_INIT;
		struct model *model;

		any.layer_more = BIT(LAYER_ATTN_Q_NORM) | BIT(LAYER_ATTN_K_NORM);
		model = open_any(&any, &file);
		assert_memory_equal(model->layers[0].of[LAYER_ATTN_Q_NORM]->dims, cases[i].q,
				    sizeof cases[i].q);
		assert_memory_equal(model->layers[0].of[LAYER_ATTN_K_NORM]->dims, cases[i].k,
				    sizeof cases[i].k);
		close_any(model, &file);
	}
}

static const struct hparams *hparams_of(const char *arch, uint32_t n_layers,
					void (*add_keys)(struct gguf_writer *w))
{
	static struct hparams hparams;
	struct any_model any = any_model_of(arch);
	struct buf file = BUF_INIT;
	struct model *model;

	any.n_layers = n_layers;
	any.add_keys = add_keys;
	model = open_any(&any, &file);
	hparams = model->hparams;
	close_any(model, &file);
	return &hparams;
}

static bool is_near(float a, double b)
{
	return fabs((double)a - b) <= 1e-6 * fabs(b);
}

static void minicpm_keys(struct gguf_writer *w)
{
	gguf_writer_f32(w, "minicpm.embedding_scale", 10);
	gguf_writer_f32(w, "minicpm.residual_scale", 0.25f);
	gguf_writer_f32(w, "minicpm.logit_scale", 8);
}

static void command_r_keys(struct gguf_writer *w)
{
	gguf_writer_f32(w, "command-r.logit_scale", 0.0625f);
}

static void no_scale(struct gguf_writer *w)
{
	gguf_writer_f32(w, "llama.attention.scale", 0);
}

static void granite_keys(struct gguf_writer *w)
{
	gguf_writer_f32(w, "granite.attention.scale", 0.0078125f);
	gguf_writer_f32(w, "granite.embedding_scale", 12);
	gguf_writer_f32(w, "granite.residual_scale", 0.22f);
}

static void scales_are_those_of_the_family(void **state)
{
	const struct hparams *h;

	(void)state;
	h = hparams_of("llama", 3, NULL);
	assert_true(h->embedding_scale == 1 && h->residual_scale == 1 && h->logit_scale == 1);
	assert_true(is_near(h->attention_scale, 1 / sqrt(12)));
	assert_true(is_near(hparams_of("llama", 3, no_scale)->attention_scale, 1 / sqrt(12)));
	h = hparams_of("gemma", 3, NULL);
	assert_true(is_near(h->embedding_scale, sqrt(48)));
	h = hparams_of("minicpm", 4, NULL);
	assert_true(h->embedding_scale == 12 && is_near(h->residual_scale, 0.7));
	assert_true(is_near(h->logit_scale, 256.0 / 48));
	h = hparams_of("minicpm", 4, minicpm_keys);
	assert_true(h->embedding_scale == 10 && h->residual_scale == 0.25f);
	assert_true(is_near(h->logit_scale, 1.0 / 8));
	assert_true(hparams_of("command-r", 3, command_r_keys)->logit_scale == 0.0625f);
	h = hparams_of("granite", 3, granite_keys);
	assert_true(is_near(h->logit_scale, 0.25) && h->attention_scale == 0.0078125f);
	assert_true(h->embedding_scale == 12 && h->residual_scale == 0.22f);
}

/* The 27 B models scale scores by the width per head, which is not their heads' size. */
static void gemmas_scale_scores_by_the_size_of_the_model(void **state)
{
	struct any_model any = any_model_of("gemma2");
	static const struct {
		const char *arch;
		uint32_t n_layers;
		bool is_large;
	} cases[] = {
		{ "gemma2", 45, false }, { "gemma2", 46, true }, { "gemma3", 46, false },
		{ "gemma3", 62, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct buf file = BUF_INIT;
		struct model *model;

		any.arch = cases[i].arch;
		any.n_layers = cases[i].n_layers;
		any.head_dim = 10;
		any.dim = 50;	/* no multiple of the heads */
		model = open_any(&any, &file);
		assert_true(is_near(model->hparams.attention_scale,
				    1 / sqrt(cases[i].is_large ? 12.5 : 10)));
		close_any(model, &file);
	}
}

static void gemma2_keys(struct gguf_writer *w)
{
	gguf_writer_f32(w, "gemma2.attn_logit_softcapping", 0);
	gguf_writer_f32(w, "gemma2.final_logit_softcapping", 12);
}

static void caps_have_defaults_in_gemma2_alone(void **state)
{
	const struct hparams *h;

	(void)state;
	h = hparams_of("gemma2", 3, NULL);
	assert_true(h->attention_cap == 50 && h->logit_cap == 30);
	h = hparams_of("gemma2", 3, gemma2_keys);
	assert_true(h->attention_cap == 0 && h->logit_cap == 12);
	h = hparams_of("gemma3", 3, NULL);
	assert_true(h->attention_cap == 0 && h->logit_cap == 0);
}

static void mpt_keys(struct gguf_writer *w)
{
	gguf_writer_f32(w, "mpt.attention.max_alibi_bias", 16);
	gguf_writer_f32(w, "mpt.attention.clamp_kqv", 6);
}

static void alibi_is_in_the_place_of_rotary_positions(void **state)
{
	struct any_model any = any_model_of("baichuan");

	(void)state;
	assert_true(hparams_of("bloom", 3, NULL)->alibi_bias == 8);
	assert_true(hparams_of("mpt", 3, NULL)->alibi_bias == 0);
	assert_true(hparams_of("mpt", 3, mpt_keys)->alibi_bias == 16);
	assert_true(hparams_of("mpt", 3, mpt_keys)->qkv_limit == 6);
	for (uint32_t n_layers = 39; n_layers <= 40; n_layers++) {
		struct buf file = BUF_INIT;
		struct model *model;

		any.n_layers = n_layers;
		model = open_any(&any, &file);
		assert_int_equal(model->shapes[0].has_rope, n_layers == 39);
		assert_true(model->hparams.alibi_bias == (n_layers == 40 ? 8 : 0));
		close_any(model, &file);
	}
}

static void serial_keys(struct gguf_writer *w)
{
	gguf_writer_bool(w, "gptneox.use_parallel_residual", false);
}

static void blocks_are_parallel_by_family_key_or_norm(void **state)
{
	struct any_model any = any_model_of("stablelm");
	struct buf file = BUF_INIT;
	struct model *model;

	(void)state;
	assert_false(hparams_of("llama", 3, NULL)->is_parallel);
	assert_true(hparams_of("falcon", 3, NULL)->is_parallel);
	assert_true(hparams_of("gptneox", 3, NULL)->is_parallel);
	assert_false(hparams_of("gptneox", 3, serial_keys)->is_parallel);
	assert_true(hparams_of("stablelm", 3, NULL)->is_parallel);
	any.layer_more = BIT(LAYER_FFN_NORM) | BIT(LAYER_FFN_NORM_BIAS);
	model = open_any(&any, &file);
	assert_false(model->hparams.is_parallel);
	close_any(model, &file);
}

static void xielu_of_layers(struct gguf_writer *w)
{
	const float values[] = { 0.1f, 0.2f, 0.3f };

	gguf_writer_array(w, "xielu.alpha_q", GGUF_F32, values, 3, sizeof values);
}

static void xielu_has_numbers_for_each_layer(void **state)
{
	struct any_model any = any_model_of("apertus");
	struct buf file = BUF_INIT;
	struct model *model;
	struct error err;
	struct gguf *gguf;
	char *key;

	(void)state;
	any.add_keys = xielu_of_layers;
	model = open_any(&any, &file);
	assert_true(model->shapes[2].xielu.alpha_p == 0.6f && model->shapes[2].xielu.eps == -1e-6f);
	model_close(model);
	/* The array takes the place of the number. */
	key = memmem(file.data, file.length, "xielu.alpha_p", 13);
	key[12] = 'x';
	key = memmem(file.data, file.length, "xielu.alpha_q", 13);
	key[12] = 'p';
	assert_int_equal(gguf_open_memory("any", file.data, file.length, &gguf, &err), SC_OK);
	assert_int_equal(model_open_gguf(gguf, &model, &err), SC_OK);
	assert_true(model->shapes[0].xielu.alpha_p == 0.1f);
	assert_true(model->shapes[2].xielu.alpha_p == 0.3f);
	close_any(model, &file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_has_a_name_of_its_own_and_opens),
		cmocka_unit_test(an_unknown_name_has_a_nearest_or_all_are_listed),
		cmocka_unit_test(each_required_tensor_is_named_when_it_is_missing),
		cmocka_unit_test(optional_tensors_are_found_and_others_are_refused),
		cmocka_unit_test(fused_tensors_are_seen_as_their_parts),
		cmocka_unit_test(parts_have_numbers_and_hashes_of_their_own),
		cmocka_unit_test(a_fused_tensor_of_another_size_is_refused),
		cmocka_unit_test(norms_of_queries_have_the_shape_of_their_kind),
		cmocka_unit_test(scales_are_those_of_the_family),
		cmocka_unit_test(gemmas_scale_scores_by_the_size_of_the_model),
		cmocka_unit_test(caps_have_defaults_in_gemma2_alone),
		cmocka_unit_test(alibi_is_in_the_place_of_rotary_positions),
		cmocka_unit_test(blocks_are_parallel_by_family_key_or_norm),
		cmocka_unit_test(xielu_has_numbers_for_each_layer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
