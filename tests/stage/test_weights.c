/* SPDX-License-Identifier: Apache-2.0 */
/* Weights whose elements are made when they are loaded. */
#include "stage/weights.h"

#include "tests/model/sourced_gguf.h"
#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static struct backend *open_cpu(void)
{
	struct backend_config config = { .isa = CPU_SCALAR, .n_threads = 1, .max_rows = 4 };
	struct backend *backend;
	struct error err;

	config.max_width = 1024;
	if (backend_cpu.open(0, &config, &backend, &err))
		fail_msg("%s", err.text);
	return backend;
}

static struct model *open_sourced(const struct model *of, struct sourced_count *count)
{
	struct model *model;
	struct error err;

	if (model_open_gguf(sourced_gguf_open(of->gguf, count), &model, &err))
		fail_msg("%s", err.text);
	return model;
}

/* Loads all layers. */
static enum sc_status load(struct weights *weights, struct backend *backend,
			   const struct model *model, struct error *err)
{
	const struct weights_range all = { .n_layers = model->hparams.n_layers };

	assert_int_equal(weights_init(weights, backend, model, err), SC_OK);
	return weights_change(weights, &all, err);
}

static void made_weights_are_those_of_the_file(void **state)
{
	struct backend *backend = open_cpu();
	struct buf file = BUF_INIT;
	struct model *plain = tiny_model_open(&tiny_qwen2, &file), *made;
	struct sourced_count count = { 0 };
	struct weights a, b;
	struct error err = { .text = "" };

	(void)state;
	made = open_sourced(plain, &count);
	if (load(&a, backend, plain, &err) || load(&b, backend, made, &err))
		fail_msg("%s", err.text);
	assert_int_equal(a.n_bytes, b.n_bytes);
	for (size_t i = 0; i < gguf_n_tensors(plain->gguf); i++)
		assert_true(model_hash(made, i) && model_hash(made, i) == model_hash(plain, i));
	assert_false(count.is_odd);
	assert_true(count.n_releases > 0);
	assert_int_equal(count.n_checks, 1);
	weights_deinit(&a);
	weights_deinit(&b);
	model_close(made);
	model_close(plain);
	buf_deinit(&file);
	backend->ops->close(backend);
}

static void elements_that_cannot_be_made_fail_the_load(void **state)
{
	struct backend *backend = open_cpu();
	struct buf file = BUF_INIT;
	struct model *plain = tiny_model_open(&tiny_llama, &file), *made;
	struct sourced_count count = { 0 };
	struct weights weights;
	struct error err = { .text = "" };

	(void)state;
	made = open_sourced(plain, &count);
	count.is_changed = true;
	assert_int_equal(load(&weights, backend, made, &err), SC_E_IO);
	assert_non_null(strstr(err.text, "changed"));
	weights_deinit(&weights);
	count.is_changed = false;
	count.fails = true;
	assert_int_equal(load(&weights, backend, made, &err), SC_E_FORMAT);
	assert_non_null(strstr(err.text, "no elements today"));
	weights_deinit(&weights);
	model_close(made);
	model_close(plain);
	buf_deinit(&file);
	backend->ops->close(backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_weights_are_those_of_the_file),
		cmocka_unit_test(elements_that_cannot_be_made_fail_the_load),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
