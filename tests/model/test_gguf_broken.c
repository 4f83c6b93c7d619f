/* SPDX-License-Identifier: Apache-2.0 */
/* Broken files: each is refused with an error that says what is wrong, and nothing is read that is
 * not there (run under -fsanitize=address to see the latter). */
#include "tests/model/broken_gguf.h"
#include "tests/model/read_gguf.h"
#include "tests/model/tiny_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static void every_broken_file_is_refused_and_says_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_broken_ggufs; i++) {
		const struct broken_gguf *broken = &broken_ggufs[i];
		struct error err = { .status = SC_OK };
		struct buf file = BUF_INIT;
		enum sc_status status;

		broken->make(&file);
		status = read_gguf(file.data, file.length, NULL, &err);
		if (status != broken->status || err.status != status)
			fail_msg("%s: expected status \"%s\", found \"%s\": %s", broken->name,
				 sc_status_name(broken->status), sc_status_name(status), err.text);
		if (!strstr(err.text, broken->error))
			fail_msg("%s: expected \"%s\", found \"%s\"", broken->name, broken->error,
				 err.text);
		if (strncmp(err.text, "memory: ", 8))
			fail_msg("%s: expected the file's name in \"%s\"", broken->name, err.text);
		buf_deinit(&file);
	}
	assert_true(n_broken_ggufs > 60);
}

/* A whole model of some 14 KiB. */
static void make_small_model(struct buf *file)
{
	struct tiny_model tiny = tiny_llama;

	tiny.type = TENSOR_Q4_0;
	tiny.n_layers = 1;
	tiny.n_vocab = 264;
	tiny.dim = 32;
	tiny.ffn_dim = 32;
	tiny.n_heads = 2;
	tiny.n_kv_heads = 1;
	tiny.is_tied = true;
	tiny.has_rope_factors = true;
	tiny_model_write(&tiny, file);
}

static void every_beginning_of_a_file_is_called_truncated(void **state)
{
	struct buf file = BUF_INIT;
	enum sc_status model_status;
	struct error err;

	(void)state;
	make_small_model(&file);
	assert_int_equal(read_gguf(file.data, file.length, &model_status, &err), SC_OK);
	assert_int_equal(model_status, SC_OK);
	for (size_t n = 1; n < file.length; n++) {
		const enum sc_status status = read_gguf(file.data, n, NULL, &err);

		if (status != SC_E_FORMAT || !strstr(err.text, "truncated?"))
			fail_msg("%zu bytes: expected an error of truncation, found \"%s\": %s", n,
				 sc_status_name(status), status ? err.text : "");
	}
	buf_deinit(&file);
}

/* Whatever a flipped bit makes of the file, reading it is harmless. The weights are left out: any
 * bits are weights. */
static void flipped_bits_are_harmless(void **state)
{
	unsigned n_refused = 0, n_read = 0;
	struct buf file = BUF_INIT;
	struct error err;

	(void)state;
	make_small_model(&file);
	for (size_t i = 0; i < file.length - 6000; i++) {
		for (unsigned bit = 0; bit < 8; bit += i < 1024 || i > 7000 ? 1 : 7) {
			file.data[i] ^= (char)(1u << bit);
			if (read_gguf(file.data, file.length, NULL, &err))
				n_refused++;
			else
				n_read++;
			file.data[i] ^= (char)(1u << bit);
		}
	}
	assert_true(n_refused > 1000);
	assert_true(n_read > 1000);
	buf_deinit(&file);
}

static void expect_open_error(const char *path, enum sc_status expected, const char *text)
{
	struct gguf *gguf;
	struct error err;

	assert_int_equal(gguf_open(path, &gguf, &err), expected);
	if (!strstr(err.text, path) || !strstr(err.text, text))
		fail_msg("expected \"%s\" of %s, found \"%s\"", text, path, err.text);
}

static void what_is_no_file_of_a_model_is_named(void **state)
{
	char directory[] = "/tmp/stagecoach-test-XXXXXX";
	char path[64];
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(directory));
	expect_open_error(directory, SC_E_FORMAT, "found a directory");
	snprintf(path, sizeof path, "%s/model.gguf", directory);
	expect_open_error(path, SC_E_NOT_FOUND, "cannot open: No such file");
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_open_error(path, SC_E_FORMAT, "found a pipe");
	assert_int_equal(unlink(path), 0);
	file = fopen(path, "wb");
	assert_non_null(file);
	expect_open_error(path, SC_E_FORMAT, "found an empty file");
	assert_int_equal(fwrite("{}", 1, 2, file), 2);
	assert_int_equal(fclose(file), 0);
	expect_open_error(path, SC_E_FORMAT, "found JSON text");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(directory), 0);
	expect_open_error("/dev/null", SC_E_FORMAT, "found a device");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_broken_file_is_refused_and_says_why),
		cmocka_unit_test(every_beginning_of_a_file_is_called_truncated),
		cmocka_unit_test(flipped_bits_are_harmless),
		cmocka_unit_test(what_is_no_file_of_a_model_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
