/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/model/model_fixture.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

void model_fixture_start(struct model_fixture *f, const struct tiny_model *tiny)
{
	gguf_writer_init(&f->w);
	buf_init(&f->file);
	f->model = NULL;
	tiny_model_compose(tiny, &f->w);
}

void model_fixture_stop(struct model_fixture *f)
{
	model_close(f->model);
	gguf_writer_deinit(&f->w);
	buf_deinit(&f->file);
}

void model_fixture_finish(struct model_fixture *f)
{
	gguf_writer_finish(&f->w, &f->file);
}

enum sc_status model_fixture_open(struct model_fixture *f, const char *name)
{
	struct gguf *gguf;

	if (gguf_open_memory(name, f->file.data, f->file.length, &gguf, &f->err))
		fail_msg("%s", f->err.text);
	return model_open_gguf(gguf, &f->model, &f->err);
}

void expect_model(struct model_fixture *f)
{
	if (model_fixture_open(f, "test.gguf"))
		fail_msg("%s", f->err.text);
}

void expect_model_error(struct model_fixture *f, enum sc_status status, const char *text)
{
	if (model_fixture_open(f, "test.gguf") != status)
		fail_msg("expected \"%s\", found \"%s\"", text, f->model ? "a model" : f->err.text);
	if (strncmp(f->err.text, "test.gguf: ", 11) || !strstr(f->err.text, text))
		fail_msg("expected \"%s\", found \"%s\"", text, f->err.text);
	model_fixture_stop(f);
}

char *find_text(struct model_fixture *f, const char *text)
{
	const uint64_t length = strlen(text);
	struct buf wanted = BUF_INIT;
	char *at;

	assert_int_equal(buf_add(&wanted, &length, 8), SC_OK);
	assert_int_equal(buf_add_string(&wanted, text), SC_OK);
	at = memmem(f->file.data, f->file.length, wanted.data, wanted.length);
	if (!at)
		fail_msg("no '%s' in the file", text);
	buf_deinit(&wanted);
	return at + 8;
}

void rename_away(struct model_fixture *f, const char *text)
{
	find_text(f, text)[0] = '~';
}

void set_u32(struct model_fixture *f, const char *key, uint32_t value)
{
	store_le32(find_text(f, key) + strlen(key) + 4, value);
}

void set_f32(struct model_fixture *f, const char *key, float value)
{
	store_lef32(find_text(f, key) + strlen(key) + 4, value);
}

char *tensor_entry(struct model_fixture *f, const char *name)
{
	return find_text(f, name) + strlen(name);
}
