/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/stage/family.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "hf/hf.h"

#include <glob.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <jansson.h>

enum { MAX_NAME = 256, MAX_DIMS = 4 };

static void data_path(const char *file, char path_out[FAMILY_PATH])
{
	const char *source = getenv("SRCDIR");

	assert_in_range(snprintf(path_out, FAMILY_PATH, "%s/tests/data/families/%s",
				 source ? source : ".", file), 1, FAMILY_PATH - 1);
}

/* Does the list have the name, or a beginning of it? */
static bool is_listed(const char *list, const char *name)
{
	for (const char *at = list; *at; at += *at == ',') {
		size_t n = strcspn(at, ",");

		if (n && !strncmp(name, at, n))
			return true;
		at += n;
	}
	return false;
}

static void each_match(const char *pattern, void (*fn)(const char *name, void *arg), void *arg)
{
	const char *list = getenv("STAGECOACH_FAMILIES");
	unsigned n_called = 0;
	glob_t found;

	if (glob(pattern, 0, NULL, &found))
		fail_msg("no %s", pattern);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *path = found.gl_pathv[i], *slash = strrchr(path, '/');

		/* NAME.json, or NAME/config.json */
		if (!strcmp(slash, "/config.json"))
			*slash = '\0';
		else
			slash[strlen(slash) - strlen(".json")] = '\0';
		path = strrchr(path, '/') + 1;
		if (list && !is_listed(list, path))
			continue;
		fn(path, arg);
		n_called++;
	}
	globfree(&found);
	assert_true(n_called > 0);
}

void family_each(const char *folders, void (*fn)(const char *name, void *arg), void *arg)
{
	char pattern[FAMILY_PATH];

	if (folders)
		snprintf(pattern, sizeof pattern, "%s/*/config.json", folders);
	else
		data_path("*.json", pattern);
	each_match(pattern, fn, arg);
}

void family_reference_path(const char *name, char path_out[FAMILY_PATH])
{
	char file[MAX_NAME];

	snprintf(file, sizeof file, "%s.ref", name);
	data_path(file, path_out);
}

static uint64_t fnv1a64(const char *text)
{
	uint64_t value = UINT64_C(0xCBF29CE484222325);

	for (; *text; text++)
		value = (value ^ (uint8_t)*text) * UINT64_C(0x100000001B3);
	return value;
}

static uint64_t splitmix64(uint64_t x)
{
	x += UINT64_C(0x9E3779B97F4A7C15);
	x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
	return x ^ (x >> 31);
}

/* Appends the elements of a tensor. */
static void add_weights(struct buf *out, const char *name, uint64_t n, double offset, double scale)
{
	uint64_t state = fnv1a64(name);

	for (uint64_t i = 0; i < n; i++) {
		uint64_t x = splitmix64(state + i * UINT64_C(0x9E3779B97F4A7C15));
		double unit = (double)(x >> 40) / 8388608.0 - 1.0;
		uint8_t bytes[4];

		store_lef32(bytes, (float)(offset + scale * unit));
		assert_int_equal(buf_add(out, bytes, sizeof bytes), SC_OK);
	}
}

/* One tensor into header and data. row: [name, shape, offset, scale]. */
static void add_tensor(json_t *header, struct buf *data, const char *name, const json_t *row)
{
	json_t *shape = json_array_get(row, 1), *dim;
	uint64_t n = 1, start = data->length;
	size_t i;

	json_array_foreach(shape, i, dim)
		n *= (uint64_t)json_integer_value(dim);
	add_weights(data, name, n, json_number_value(json_array_get(row, 2)),
		    json_number_value(json_array_get(row, 3)));
	assert_int_equal(json_object_set_new(header, name, json_pack(
		"{s:s, s:O, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets",
		(json_int_t)start, (json_int_t)data->length)), 0);
}

/* A row whose name has {} stands for a tensor of each layer. */
static void add_row(json_t *header, struct buf *data, const json_t *row, json_int_t n_layers)
{
	const char *name = json_string_value(json_array_get(row, 0));
	const char *layer = strstr(name, "{}");
	char full[MAX_NAME];

	if (!layer) {
		add_tensor(header, data, name, row);
		return;
	}
	for (json_int_t i = 0; i < n_layers; i++) {
		snprintf(full, sizeof full, "%.*s%" JSON_INTEGER_FORMAT "%s", (int)(layer - name),
			 name, i, layer + 2);
		add_tensor(header, data, full, row);
	}
}

static void write_file(const char *folder, const char *name, const void *bytes, size_t n)
{
	char path[FAMILY_PATH + 64];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

static void write_json(const char *folder, const char *name, const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);

	assert_non_null(text);
	write_file(folder, name, text, strlen(text));
	free(text);
}

static void write_safetensors(const char *folder, const json_t *entry)
{
	json_int_t n_layers = json_integer_value(json_object_get(entry, "layers"));
	json_t *header = json_object(), *rows = json_object_get(entry, "tensors"), *row;
	struct buf data = BUF_INIT, file = BUF_INIT;
	uint8_t length[8];
	char *text;
	size_t i;

	json_array_foreach(rows, i, row)
		add_row(header, &data, row, n_layers);
	text = json_dumps(header, JSON_COMPACT);
	assert_non_null(text);
	store_le64(length, strlen(text));
	assert_int_equal(buf_add(&file, length, sizeof length), SC_OK);
	assert_int_equal(buf_add(&file, text, strlen(text)), SC_OK);
	assert_int_equal(buf_add(&file, data.data, data.length), SC_OK);
	write_file(folder, "model.safetensors", file.data, file.length);
	free(text);
	json_decref(header);
	buf_deinit(&data);
	buf_deinit(&file);
}

/* The character by which byte-level BPE writes a byte. */
static json_t *byte_character(unsigned byte)
{
	bool is_itself = (byte >= 0x21 && byte < 0x7f) || (byte >= 0xa1 && byte != 0xad);
	unsigned n_before = 0, c;
	char utf8[3] = { 0 };

	for (unsigned b = 0; b < byte; b++)
		n_before += !((b >= 0x21 && b < 0x7f) || (b >= 0xa1 && b != 0xad));
	c = is_itself ? byte : 256 + n_before;
	if (c < 0x80) {
		utf8[0] = (char)c;
	} else {
		utf8[0] = (char)(0xc0 | c >> 6);
		utf8[1] = (char)(0x80 | (c & 0x3f));
	}
	return json_string(utf8);
}

/* 256 bytes and two special tokens; what the embedding has beyond them is unused. */
static void write_tokenizer(const char *folder)
{
	static const char *const special[] = { "<|begin|>", "<|end|>" };
	json_t *vocab = json_object(), *added = json_array(), *tokenizer;
	json_t *byte_level = json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel",
				       "add_prefix_space", 0, "trim_offsets", 1, "use_regex", 1);

	for (unsigned b = 0; b < 256; b++) {
		json_t *piece = byte_character(b);

		json_object_set_new(vocab, json_string_value(piece), json_integer(b));
		json_decref(piece);
	}
	for (int i = 0; i < 2; i++)
		json_array_append_new(added, json_pack(
			"{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", 256 + i, "content", special[i],
			"single_word", 0, "lstrip", 0, "rstrip", 0, "normalized", 0, "special", 1));
	tokenizer = json_pack(
		"{s:s, s:n, s:n, s:o, s:n, s:O, s:n, s:o, s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, "
		"s:b, s:o, s:[]}}", "version", "1.0", "truncation", "padding", "added_tokens",
		added, "normalizer", "pre_tokenizer", byte_level, "post_processor", "decoder",
		byte_level, "model", "type", "BPE", "dropout", "unk_token",
		"continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", 0, "byte_fallback",
		0, "ignore_merges", 0, "vocab", vocab, "merges");
	assert_non_null(tokenizer);
	write_json(folder, "tokenizer.json", tokenizer);
	json_decref(tokenizer);
}

void family_folder_make(const char *name, char path_out[FAMILY_PATH])
{
	const char *tmp = getenv("TMPDIR");
	char file[MAX_NAME], path[FAMILY_PATH];
	json_error_t json_err;
	json_t *entry;

	snprintf(file, sizeof file, "%s.json", name);
	data_path(file, path);
	entry = json_load_file(path, 0, &json_err);
	if (!entry)
		fail_msg("%s: line %d: %s", path, json_err.line, json_err.text);
	snprintf(path_out, FAMILY_PATH, "%s/stagecoach-family-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(path_out));
	write_json(path_out, "config.json", json_object_get(entry, "config"));
	write_safetensors(path_out, entry);
	write_tokenizer(path_out);
	json_decref(entry);
}

void family_folder_remove(const char *path)
{
	static const char *const files[] = { "config.json", "model.safetensors",
					     "tokenizer.json" };
	char file[FAMILY_PATH + 64];

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		snprintf(file, sizeof file, "%s/%s", path, files[i]);
		assert_int_equal(unlink(file), 0);
	}
	assert_int_equal(rmdir(path), 0);
}

struct model *family_open(const char *path)
{
	struct error err = { .text = "" };
	struct model *model = NULL;
	struct gguf *gguf = NULL;

	if (!hf_is_folder(path) ? model_open(path, &model, &err) :
	    hf_open(path, &gguf, &err) || model_open_gguf(gguf, &model, &err))
		fail_msg("%s", err.text);
	return model;
}
