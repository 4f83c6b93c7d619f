/* SPDX-License-Identifier: Apache-2.0 */
#include "quant/quantize.h"
#include "quant/rounded.h"

#include "tests/model/sourced_gguf.h"
#include "tests/model/tiny_model.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct fixture {
	char directory[32];
	char from[64], to[64];
	struct gguf *input, *output;
	struct quantize_options options;
	struct quantize_result result;
	struct error err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	strcpy(f->directory, "/tmp/stagecoach-test-XXXXXX");
	if (!mkdtemp(f->directory))
		return -1;
	snprintf(f->from, sizeof f->from, "%s/from.gguf", f->directory);
	snprintf(f->to, sizeof f->to, "%s/to.gguf", f->directory);
	f->options = (struct quantize_options){
		.to = f->to, .mix = quant_mix_find("Q4_K_M"),
		.kernels = quant_kernels(cpu_isa_best()),
		.n_threads = 2,
	};
	*state = f;
	return 0;
}

/* Calls visit, if any, for each name in the directory, and counts them. */
static unsigned each_file(const struct fixture *f, void (*visit)(const char *path))
{
	DIR *directory = opendir(f->directory);
	struct dirent *entry;
	char path[400];
	unsigned n = 0;

	while ((entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", f->directory, entry->d_name);
		if (visit)
			visit(path);
		n++;
	}
	closedir(directory);
	return n;
}

static void remove_file(const char *path)
{
	unlink(path);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	gguf_close(f->input);
	gguf_close(f->output);
	each_file(f, remove_file);
	rmdir(f->directory);
	free(f);
	return 0;
}

static void save(const struct gguf_writer *w, const char *path)
{
	struct buf bytes = BUF_INIT;
	FILE *file = fopen(path, "wb");

	gguf_writer_finish(w, &bytes);
	assert_non_null(file);
	assert_int_equal(fwrite(bytes.data, 1, bytes.length, file), bytes.length);
	fclose(file);
	buf_deinit(&bytes);
}

static void open_input(struct fixture *f)
{
	if (gguf_open(f->from, &f->input, &f->err))
		fail_msg("%s", f->err.text);
}

static void open_output(struct fixture *f)
{
	if (gguf_open(f->to, &f->output, &f->err))
		fail_msg("%s", f->err.text);
}

static void save_tiny(struct fixture *f, const struct tiny_model *tiny)
{
	tiny_model_save(tiny, f->from);
	open_input(f);
}

static struct tiny_model wide_model(void)
{
	struct tiny_model tiny = tiny_llama;

	tiny.dim = 256;
	tiny.ffn_dim = 512;
	tiny.head_dim = 64;
	tiny.n_layers = 3;
	return tiny;
}

static void expect_done(struct fixture *f)
{
	if (quantize(f->input, &f->options, &f->result, &f->err))
		fail_msg("%s", f->err.text);
	open_output(f);
}

/* It fails as it should, and nothing is left behind but the input. */
static void expect_failure(struct fixture *f, enum sc_status status, const char *text)
{
	const unsigned n_files = each_file(f, NULL);
	const enum sc_status found = quantize(f->input, &f->options, &f->result, &f->err);

	if (found != status || !strstr(f->err.text, text))
		fail_msg("expected '%s', found '%s'", text, found ? f->err.text : "success");
	assert_int_equal(each_file(f, NULL), n_files);
}

static enum tensor_type type_of(const struct gguf *gguf, const char *name)
{
	const struct tensor *tensor = gguf_find_tensor(gguf, name);

	assert_non_null(tensor);
	return tensor->type;
}

static double error_of(const struct gguf *from, const struct gguf *to, const char *name)
{
	const struct tensor *a = gguf_find_tensor(from, name), *b = gguf_find_tensor(to, name);
	float *x = malloc(a->dims[0] * sizeof *x), *y = malloc(a->dims[0] * sizeof *y);
	double error = 0.0, energy = 0.0;

	assert_int_equal(a->dims[0], b->dims[0]);
	assert_int_equal(a->dims[1], b->dims[1]);
	for (uint64_t row = 0; row < a->dims[1]; row++) {
		tensor_row_f32(a, row, x);
		tensor_row_f32(b, row, y);
		for (uint64_t i = 0; i < a->dims[0]; i++) {
			error += pow((double)x[i] - (double)y[i], 2);
			energy += pow((double)x[i], 2);
		}
	}
	free(x);
	free(y);
	return sqrt(error / energy);
}

static void every_mix_makes_a_model_that_opens_and_is_close(void **state)
{
	static const struct { const char *name; enum tensor_type type; double error; } rows[] = {
		{ "F16", TENSOR_F16, 3e-4 }, { "BF16", TENSOR_BF16, 2e-3 },
		{ "Q8_0", TENSOR_Q8_0, 6e-3 }, { "Q6_K", TENSOR_Q6_K, 0.02 },
		{ "Q5_K_M", TENSOR_Q5_K, 0.04 }, { "Q5_K_S", TENSOR_Q5_K, 0.04 },
		{ "Q5_1", TENSOR_Q5_1, 0.04 }, { "Q5_0", TENSOR_Q5_0, 0.05 },
		{ "Q4_K_M", TENSOR_Q4_K, 0.08 }, { "Q4_K_S", TENSOR_Q4_K, 0.08 },
		{ "Q4_1", TENSOR_Q4_1, 0.08 }, { "Q4_0", TENSOR_Q4_0, 0.1 },
		{ "IQ4_NL", TENSOR_IQ4_NL, 0.1 }, { "IQ4_XS", TENSOR_IQ4_XS, 0.1 },
		{ "MXFP4", TENSOR_MXFP4, 0.15 }, { "Q3_K_L", TENSOR_Q3_K, 0.2 },
		{ "Q3_K_M", TENSOR_Q3_K, 0.2 }, { "Q3_K_S", TENSOR_Q3_K, 0.2 },
		{ "Q2_K", TENSOR_Q2_K, 0.3 },
	};
	const struct tiny_model tiny = wide_model();
	struct fixture *f = *state;
	struct model *model;
	uint32_t value;

	save_tiny(f, &tiny);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		f->options.mix = quant_mix_find(rows[i].name);
		expect_done(f);
		assert_int_equal(type_of(f->output, "blk.1.ffn_up.weight"), rows[i].type);
		assert_true(error_of(f->input, f->output, "blk.1.ffn_up.weight") < rows[i].error);
		assert_true(error_of(f->input, f->output, "blk.2.ffn_norm.weight") == 0.0);
		assert_int_equal(type_of(f->output, "output_norm.weight"), TENSOR_F32);
		assert_int_equal(gguf_get_u32(f->output, "general.file_type", &value, NULL), SC_OK);
		assert_int_equal(value, f->options.mix->file_type);
		assert_int_equal(gguf_get_u32(f->output, "general.quantization_version", &value,
					      NULL), SC_OK);
		assert_int_equal(value, 2);
		assert_int_equal(f->result.file_bytes, gguf_n_bytes(f->output));
		assert_int_equal(f->result.n_fallbacks, 0);
		if (model_open_gguf(f->output, &model, &f->err))
			fail_msg("%s", f->err.text);
		f->output = NULL;
		model_close(model);
	}
}

static void read_output(const struct fixture *f, struct buf *bytes)
{
	FILE *file = fopen(f->to, "rb");
	char part[4096];
	size_t n;

	assert_non_null(file);
	while ((n = fread(part, 1, sizeof part, file)))
		assert_int_equal(buf_add(bytes, part, n), SC_OK);
	fclose(file);
}

static void bytes_depend_on_nothing_but_the_input(void **state)
{
	const struct tiny_model tiny = wide_model();
	struct buf first = BUF_INIT;
	struct fixture *f = *state;

	save_tiny(f, &tiny);
	expect_done(f);
	read_output(f, &first);
	for (unsigned n_threads = 1; n_threads <= 5; n_threads += 4) {
		struct buf again = BUF_INIT;

		f->options.n_threads = n_threads;
		f->options.kernels = quant_kernels(CPU_SCALAR);
		gguf_close(f->output);
		expect_done(f);
		read_output(f, &again);
		assert_int_equal(again.length, first.length);
		assert_memory_equal(again.data, first.data, first.length);
		buf_deinit(&again);
	}
	buf_deinit(&first);
}

static void rows_of_no_whole_super_block_fall_back_and_are_counted(void **state)
{
	struct fixture *f = *state;

	save_tiny(f, &tiny_llama);
	expect_done(f);
	assert_int_equal(type_of(f->output, "blk.1.ffn_up.weight"), TENSOR_Q5_0);
	assert_int_equal(type_of(f->output, "output.weight"), TENSOR_Q8_0);
	assert_true(f->result.n_fallbacks > 4 * 6);
}

static void quantised_tensors_are_taken_only_when_that_is_allowed(void **state)
{
	struct tiny_model tiny = wide_model();
	struct fixture *f = *state;

	tiny.type = TENSOR_Q8_0;
	save_tiny(f, &tiny);
	expect_failure(f, SC_E_UNSUPPORTED, "is Q8_0 already");
	f->options.mix = quant_mix_find("Q8_0");
	expect_done(f);		/* nothing to convert */
	assert_true(error_of(f->input, f->output, "token_embd.weight") == 0.0);
	gguf_close(f->output);
	f->options.mix = quant_mix_find("Q5_K_S");
	f->options.allows_requantize = true;
	expect_done(f);
	assert_int_equal(type_of(f->output, "blk.0.attn_q.weight"), TENSOR_Q5_K);
	assert_true(error_of(f->input, f->output, "blk.0.attn_q.weight") < 0.05);
}

/* Two shards become one file, of which nothing says that it was split. */
static void split_files_become_one(void **state)
{
	struct fixture *f = *state;
	float values[256 * 2];

	for (int i = 0; i < 512; i++)
		values[i] = sinf((float)i);
	for (unsigned i = 0; i < 2; i++) {
		struct gguf_writer w;
		char name[32];
		uint16_t no = (uint16_t)i, count = 2;
		int32_t n_tensors = 2;

		gguf_writer_init(&w);
		if (i == 0)
			gguf_writer_string(&w, "general.name", "kept");
		gguf_writer_raw(&w, "split.no", GGUF_U16, &no, sizeof no);
		gguf_writer_raw(&w, "split.count", GGUF_U16, &count, sizeof count);
		gguf_writer_raw(&w, "split.tensors.count", GGUF_I32, &n_tensors, sizeof n_tensors);
		snprintf(name, sizeof name, "blk.%u.ffn_up.weight", i);
		gguf_writer_floats(&w, name, TENSOR_F16, 256, 2, values);
		snprintf(f->from, sizeof f->from, "%s/m-%05u-of-00002.gguf", f->directory, i + 1);
		save(&w, f->from);
		gguf_writer_deinit(&w);
	}
	snprintf(f->from, sizeof f->from, "%s/m-00001-of-00002.gguf", f->directory);
	open_input(f);
	snprintf(f->from, sizeof f->from, "%s/m-00002-of-00002.gguf", f->directory);
	f->options.to = f->from;
	expect_failure(f, SC_E_INVALID, "another file than the input");
	f->options.to = f->to;
	expect_done(f);
	assert_int_equal(gguf_n_tensors(f->output), 2);
	assert_true(gguf_has(f->output, "general.name"));
	assert_false(gguf_has(f->output, "split.count"));
	assert_false(gguf_has(f->output, "split.no"));
	assert_true(error_of(f->input, f->output, "blk.1.ffn_up.weight") < 0.1);
}

static void save_value(struct fixture *f, float value)
{
	float values[256 * 3] = { 0 };
	struct gguf_writer w;

	values[700] = value;
	gguf_writer_init(&w);
	gguf_writer_floats(&w, "blk.0.ffn_up.weight", TENSOR_F32, 256, 3, values);
	save(&w, f->from);
	gguf_writer_deinit(&w);
	gguf_close(f->input);
	open_input(f);
}

static void weights_that_are_no_numbers_or_too_large_are_refused(void **state)
{
	struct fixture *f = *state;

	save_value(f, NAN);
	expect_failure(f, SC_E_FORMAT, "tensor 'blk.0.ffn_up.weight' has the value nan in row 2, "
		       "column 188: expected a finite number");
	f->options.mix = quant_mix_find("BF16");
	save_value(f, -INFINITY);
	expect_failure(f, SC_E_FORMAT, "has the value -inf in row 2");
	save_value(f, 1e5f);
	expect_done(f);
	gguf_close(f->output);
	f->output = NULL;
	f->options.mix = quant_mix_find("F16");
	expect_failure(f, SC_E_FORMAT, "has the value 100000 in row 2, column 188: too large for "
		       "F16: choose a TYPE that holds more, such as BF16");
}

static void a_value_that_the_type_holds_is_taken(void **state)
{
	static const char *const mixes[] = { "Q8_0", "MXFP4", "Q6_K", "Q4_K_S", "IQ4_XS" };
	struct fixture *f = *state;
	float row[256];

	save_value(f, 1e6f);
	for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++) {
		f->options.mix = quant_mix_find(mixes[i]);
		expect_done(f);
		tensor_row_f32(gguf_find_tensor(f->output, "blk.0.ffn_up.weight"), 2, row);
		if (fabsf(row[188] - 1e6f) > 0.05e6f)
			fail_msg("%s: found %g", mixes[i], (double)row[188]);
		gguf_close(f->output);
		f->output = NULL;
	}
}

static void a_file_without_tensors_is_said_to_have_none(void **state)
{
	struct fixture *f = *state;
	struct gguf_writer w;

	gguf_writer_init(&w);
	gguf_writer_string(&w, "general.architecture", "llama");
	save(&w, f->from);
	gguf_writer_deinit(&w);
	open_input(f);
	expect_failure(f, SC_E_FORMAT, "found a file without tensors");
}

static bool stop(void *arg, uint64_t done_bytes, uint64_t total_bytes)
{
	unsigned *n_calls = arg;

	assert_true(done_bytes <= total_bytes);
	++*n_calls;
	return false;
}

static void an_interruption_or_a_failure_leaves_what_was_there(void **state)
{
	const struct tiny_model tiny = wide_model();
	struct fixture *f = *state;
	unsigned n_calls = 0;
	struct stat st;
	FILE *file;

	save_tiny(f, &tiny);
	file = fopen(f->to, "wb");
	fputs("before", file);
	fclose(file);
	f->options.on_progress = stop;
	f->options.arg = &n_calls;
	expect_failure(f, SC_E_CANCELLED, "interrupted");
	assert_int_equal(n_calls, 1);
	assert_int_equal(stat(f->to, &st), 0);
	assert_int_equal(st.st_size, 6);
	f->options.on_progress = NULL;
	expect_done(f);		/* and a success replaces it */
	assert_int_equal(each_file(f, NULL), 2);
}

static void places_that_cannot_be_written_are_refused(void **state)
{
	struct fixture *f = *state;
	char path[128];

	save_tiny(f, &tiny_llama);
	f->options.to = f->from;
	expect_failure(f, SC_E_INVALID, "another file than the input");
	snprintf(path, sizeof path, "%s/../%s/from.gguf", f->directory, strrchr(f->directory, '/'));
	f->options.to = path;
	expect_failure(f, SC_E_INVALID, "another file than the input");
	snprintf(path, sizeof path, "%s/link.gguf", f->directory);
	assert_int_equal(symlink("from.gguf", path), 0);
	expect_failure(f, SC_E_INVALID, "another file than the input");
	f->options.to = f->directory;
	expect_failure(f, SC_E_IO, "found a directory");
	f->options.to = "/dev/null";
	expect_failure(f, SC_E_IO, "expected a regular file or a new name, found a device");
	snprintf(path, sizeof path, "%s/missing/to.gguf", f->directory);
	f->options.to = path;
	expect_failure(f, SC_E_IO, "No such file or directory");
}

/* Quantises the input, then the same tensors with elements that are made, and compares the files. */
static void check_made_elements(struct fixture *f)
{
	struct buf of_file = BUF_INIT, of_made = BUF_INIT;
	struct sourced_count count = { 0 };
	struct gguf *file = f->input;

	if (quantize(file, &f->options, &f->result, &f->err))
		fail_msg("%s", f->err.text);
	read_output(f, &of_file);
	f->input = sourced_gguf_open(file, &count);
	if (quantize(f->input, &f->options, &f->result, &f->err))
		fail_msg("%s", f->err.text);
	read_output(f, &of_made);
	assert_int_equal(of_made.length, of_file.length);
	assert_memory_equal(of_made.data, of_file.data, of_file.length);
	assert_false(count.is_odd);
	gguf_close(f->input);
	f->input = file;
	buf_deinit(&of_file);
	buf_deinit(&of_made);
}

static void elements_that_are_made_are_quantised_alike(void **state)
{
	static const enum tensor_type from[] = { TENSOR_F32, TENSOR_F16, TENSOR_BF16 };
	static const char *const mixes[] = { "Q4_K_M", "BF16", "F16" };
	struct tiny_model tiny = wide_model();
	struct fixture *f = *state;

	tiny.ffn_dim = 1280;	/* rows that do not divide a work item */
	for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
		tiny.type = from[i];
		gguf_close(f->input);
		save_tiny(f, &tiny);
		for (size_t k = 0; k < sizeof mixes / sizeof mixes[0]; k++) {
			f->options.mix = quant_mix_find(mixes[k]);
			assert_non_null(f->options.mix);
			check_made_elements(f);
		}
	}
}

static void elements_that_cannot_be_made_leave_no_file(void **state)
{
	const struct tiny_model tiny = wide_model();
	struct sourced_count count = { .fails = true };
	struct fixture *f = *state;
	struct gguf *file;

	save_tiny(f, &tiny);
	file = f->input;
	f->input = sourced_gguf_open(file, &count);
	expect_failure(f, SC_E_FORMAT, "no elements today");
	gguf_close(f->input);
	f->input = file;
}

/* Both have the same tensors, byte for byte. */
static void expect_same_tensors(const struct gguf *a, const struct gguf *b)
{
	struct error err = { .text = "" };

	assert_int_equal(gguf_n_tensors(a), gguf_n_tensors(b));
	for (size_t i = 0; i < gguf_n_tensors(a); i++) {
		const struct tensor *x = gguf_tensor(a, i), *y = gguf_find_tensor(b, x->name);
		struct tensor_bytes of_x, of_y;

		assert_non_null(y);
		assert_int_equal(x->type, y->type);
		if (tensor_bytes_get(x, &of_x, &err) || tensor_bytes_get(y, &of_y, &err))
			fail_msg("%s", err.text);
		assert_int_equal(x->n_bytes, y->n_bytes);
		assert_memory_equal(of_x.tensor.data, of_y.tensor.data, x->n_bytes);
		tensor_bytes_put(&of_x);
		tensor_bytes_put(&of_y);
	}
}

static void without_a_mix_every_tensor_keeps_its_type(void **state)
{
	const struct tiny_model tiny = wide_model();
	struct fixture *f = *state;

	save_tiny(f, &tiny);
	f->options.mix = NULL;
	expect_done(f);
	expect_same_tensors(f->output, f->input);
	assert_int_equal(gguf_has(f->output, "general.file_type"),
			 gguf_has(f->input, "general.file_type"));
}

static void a_rounded_model_is_the_file_that_would_be_written(void **state)
{
	static const char *const mixes[] = { "Q4_K_M", "Q8_0", "IQ4_XS", "BF16" };
	const struct tiny_model tiny = wide_model();
	struct fixture *f = *state;

	save_tiny(f, &tiny);
	for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++) {
		struct gguf *rounded;

		f->options.mix = quant_mix_find(mixes[i]);
		expect_done(f);
		if (quant_round(f->input, f->options.mix, f->options.kernels, &rounded, &f->err))
			fail_msg("%s", f->err.text);
		expect_same_tensors(rounded, f->output);
		assert_int_equal(gguf_fingerprint(rounded), gguf_fingerprint(f->output));
		gguf_close(rounded);
		gguf_close(f->output);
		f->output = NULL;
		open_input(f);
	}
}

static void rounding_refuses_what_is_quantised_and_what_does_not_fit(void **state)
{
	struct fixture *f = *state;
	struct tensor_bytes bytes;
	struct gguf *rounded;

	save_value(f, 1e30f);
	if (quant_round(f->input, quant_mix_find("Q8_0"), f->options.kernels, &rounded, &f->err))
		fail_msg("%s", f->err.text);
	f->input = NULL;
	assert_int_equal(tensor_bytes_get(gguf_find_tensor(rounded, "blk.0.ffn_up.weight"), &bytes, &f->err),
			 SC_E_FORMAT);
	assert_non_null(strstr(f->err.text, "tensor 'blk.0.ffn_up.weight': the value 1e+30 in row 2, "
			       "column 188 does not fit into Q8_0"));
	gguf_close(rounded);
	open_input(f);
	f->options.mix = quant_mix_find("Q8_0");
	save_value(f, 1);
	expect_done(f);
	if (quant_round(f->output, quant_mix_find("Q4_0"), f->options.kernels, &rounded,
			&f->err) != SC_E_UNSUPPORTED)
		fail_msg("expected Q8_0 to be refused");
	f->output = NULL;
	assert_non_null(strstr(f->err.text, "is Q8_0 already"));
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FIXTURE(every_mix_makes_a_model_that_opens_and_is_close),
		WITH_FIXTURE(bytes_depend_on_nothing_but_the_input),
		WITH_FIXTURE(rows_of_no_whole_super_block_fall_back_and_are_counted),
		WITH_FIXTURE(quantised_tensors_are_taken_only_when_that_is_allowed),
		WITH_FIXTURE(split_files_become_one),
		WITH_FIXTURE(weights_that_are_no_numbers_or_too_large_are_refused),
		WITH_FIXTURE(a_value_that_the_type_holds_is_taken),
		WITH_FIXTURE(a_file_without_tensors_is_said_to_have_none),
		WITH_FIXTURE(an_interruption_or_a_failure_leaves_what_was_there),
		WITH_FIXTURE(places_that_cannot_be_written_are_refused),
		WITH_FIXTURE(elements_that_are_made_are_quantised_alike),
		WITH_FIXTURE(elements_that_cannot_be_made_leave_no_file),
		WITH_FIXTURE(without_a_mix_every_tensor_keeps_its_type),
		WITH_FIXTURE(a_rounded_model_is_the_file_that_would_be_written),
		WITH_FIXTURE(rounding_refuses_what_is_quantised_and_what_does_not_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
