/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/tokenizer_json.h"

#include "base/utf8.h"
#include "hf/folder.h"
#include "hf/json_file.h"
#include "hf/json_pull.h"
#include "model/model.h"
#include "model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define NAME "tokenizer.json"
#define MAX_BYTES ((size_t)256 << 20)
#define MAX_MERGES (8u << 20)

void string_list_deinit(struct string_list *list)
{
	buf_deinit(&list->bytes);
	free(list->starts);
	*list = (struct string_list){ .bytes = BUF_INIT };
}

enum sc_status string_list_end(struct string_list *list)
{
	if (list->n + 1 >= list->n_max) {
		const size_t n_max = list->n_max ? 2 * list->n_max : 1024;
		size_t *starts = realloc(list->starts, n_max * sizeof *starts);

		if (!starts)
			return SC_E_NOMEM;
		starts[0] = 0;
		list->starts = starts;
		list->n_max = n_max;
	}
	list->starts[++list->n] = list->bytes.length;
	return SC_OK;
}

static struct json_pull pull_at(const struct tokenizer_json *json, size_t at, struct error *err)
{
	return (struct json_pull){
		.path = json->file.path, .text = (const char *)json->file.data,
		.n = json->file.n_bytes, .at = at, .err = err,
	};
}

/* --- what is not the vocabulary --- */

/* Where the tree is to have null instead of what the file has. */
struct cut {
	size_t begin, end;
};

/* Reads a member's name. */
static enum sc_status read_key(struct json_pull *pull, struct buf *key)
{
	enum sc_status status;

	buf_truncate(key, 0);
	status = json_pull_string(pull, key);
	return status ? status : json_pull_mark(pull, ':');
}

static bool is_named(const struct buf *key, const char *name)
{
	return key->length == strlen(name) && !memcmp(key->data, name, key->length);
}

/* Finds the values of "vocab" and "merges" in the model. */
static enum sc_status scan_model(struct json_pull *pull, struct buf *key,
				 struct tokenizer_json *json, struct cut cuts[2])
{
	bool is_more;
	enum sc_status status = json_pull_mark(pull, '{');

	for (size_t n = 0; !status; n++) {
		struct cut *cut = NULL;

		status = json_pull_next(pull, n, '}', &is_more);
		if (status || !is_more)
			break;
		status = read_key(pull, key);
		(void)json_pull_peek(pull);
		if (is_named(key, "vocab")) {
			json->vocab_at = pull->at;
			cut = &cuts[0];
		} else if (is_named(key, "merges")) {
			json->merges_at = pull->at;
			cut = &cuts[1];
		}
		if (cut && cut->end)
			return json_pull_error(pull, pull->at, "a second \"%s\"", key->data);
		if (cut)
			cut->begin = pull->at;
		if (!status)
			status = json_pull_skip(pull);
		if (cut)
			cut->end = pull->at;
	}
	return status;
}

static enum sc_status scan(struct tokenizer_json *json, struct cut cuts[2], struct error *err)
{
	struct json_pull pull = pull_at(json, 0, err);
	struct buf key = BUF_INIT;
	bool is_more;
	enum sc_status status = json_pull_mark(&pull, '{');

	for (size_t n = 0; !status; n++) {
		status = json_pull_next(&pull, n, '}', &is_more);
		if (status || !is_more)
			break;
		status = read_key(&pull, &key);
		if (!status && is_named(&key, "model") && json_pull_peek(&pull) == '{')
			status = scan_model(&pull, &key, json, cuts);
		else if (!status)
			status = json_pull_skip(&pull);
	}
	buf_deinit(&key);
	return status;
}

/* Copies the file but for the cuts. Lines stay where they are. */
static enum sc_status copy_without(const struct tokenizer_json *json, const struct cut cuts[2],
				   struct buf *out)
{
	const bool in_order = cuts[0].begin <= cuts[1].begin;
	const char *text = (const char *)json->file.data;
	size_t at = 0;
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < 2 && !status; i++) {
		const struct cut cut = cuts[in_order ? i : 1 - i];

		if (!cut.end)
			continue;
		status = buf_add(out, text + at, cut.begin - at);
		if (!status)
			status = buf_add_string(out, "null");
		for (size_t k = cut.begin; k < cut.end && !status; k++)
			if (text[k] == '\n')
				status = buf_add(out, "\n", 1);
		at = cut.end;
	}
	return status ? status : buf_add(out, text + at, json->file.n_bytes - at);
}

static enum sc_status load_tree(struct tokenizer_json *json, struct error *err)
{
	struct cut cuts[2] = { { 0, 0 }, { 0, 0 } };
	struct buf text = BUF_INIT;
	enum sc_status status = scan(json, cuts, err);

	if (status)
		return status;
	status = copy_without(json, cuts, &text);
	if (status)
		error_set(err, status, "%s: no memory", json->file.path);
	if (!status)
		status = json_file_parse(json->file.path, text.data, text.length, DIALECT_PYTHON,
					 &json->root, err);
	buf_deinit(&text);
	return status;
}

/* --- the vocabulary --- */

/* Makes room for one more token. */
static enum sc_status grow(struct tokenizer_json *json, bool has_scores)
{
	const size_t n = json->texts.n;

	/* Powers of two: at 1, 2, 4, ... */
	if (n & (n - 1))
		return SC_OK;
	{
		const size_t n_max = n ? 2 * n : 1;
		uint32_t *ids = realloc(json->ids, n_max * sizeof *ids);
		double *scores = json->scores;

		if (!ids)
			return SC_E_NOMEM;
		json->ids = ids;
		if (!has_scores)
			return SC_OK;
		scores = realloc(json->scores, n_max * sizeof *scores);
		if (!scores)
			return SC_E_NOMEM;
		json->scores = scores;
	}
	return SC_OK;
}

/* Reads one token: "TEXT": ID, or ["TEXT", SCORE]. */
static enum sc_status read_token(struct json_pull *pull, struct tokenizer_json *json,
				 bool is_array)
{
	const size_t n = json->texts.n;
	enum sc_status status = grow(json, is_array);

	if (status)
		return status;
	if (is_array)
		status = json_pull_mark(pull, '[');
	if (!status)
		status = json_pull_string(pull, &json->texts.bytes);
	if (!status)
		status = json_pull_mark(pull, is_array ? ',' : ':');
	json->ids[n] = (uint32_t)n;
	if (!status)
		status = is_array ? json_pull_number(pull, &json->scores[n])
				  : json_pull_u32(pull, &json->ids[n]);
	if (!status && is_array)
		status = json_pull_mark(pull, ']');
	if (status)
		return status;
	if (json->ids[n] >= MODEL_MAX_VOCAB)
		return json_pull_error(pull, pull->at, "expected an id below %u, found %u",
				       MODEL_MAX_VOCAB, json->ids[n]);
	if (json->ids[n] >= json->n_ids)
		json->n_ids = (size_t)json->ids[n] + 1;
	return string_list_end(&json->texts);
}

static enum sc_status read_vocab(struct tokenizer_json *json, struct error *err)
{
	struct json_pull pull = pull_at(json, json->vocab_at, err);
	const bool is_array = json_pull_peek(&pull) == '[';
	enum sc_status status = json_pull_mark(&pull, is_array ? '[' : '{');

	while (!status) {
		bool is_more;

		status = json_pull_next(&pull, json->texts.n, is_array ? ']' : '}', &is_more);
		if (status || !is_more)
			break;
		status = read_token(&pull, json, is_array);
		if (!status && json->texts.n > MODEL_MAX_VOCAB)
			status = json_pull_error(&pull, pull.at, "expected at most %u tokens",
						 MODEL_MAX_VOCAB);
	}
	return status;
}

static enum sc_status index_texts(struct tokenizer_json *json)
{
	enum sc_status status = strmap_create(json->texts.n, &json->by_text);

	for (size_t i = 0; i < json->texts.n && !status; i++) {
		const struct gguf_string text = string_list_get(&json->texts, i);

		status = strmap_add(json->by_text, text.data, text.length, (uint32_t)i);
		if (status == SC_E_EXISTS)
			status = SC_OK;
	}
	return status;
}

static enum sc_status load(struct tokenizer_json *json, struct error *err)
{
	enum sc_status status;

	if (json->file.n_bytes > MAX_BYTES)
		return error_set(err, SC_E_FORMAT, "%s: expected at most %zu MiB, found %zu bytes",
				 json->file.path, MAX_BYTES >> 20, json->file.n_bytes);
	if (utf8_valid_length(json->file.data, json->file.n_bytes) < json->file.n_bytes)
		return error_set(err, SC_E_FORMAT, "%s: byte %zu: expected UTF-8: download the "
				 "file again", json->file.path,
				 utf8_valid_length(json->file.data, json->file.n_bytes));
	status = load_tree(json, err);
	if (!status && !json->vocab_at)
		status = error_set(err, SC_E_FORMAT, "%s: expected a \"model\" with a \"vocab\"",
				   json->file.path);
	if (!status)
		status = read_vocab(json, err);
	if (!status)
		status = index_texts(json);
	return status;
}

enum sc_status tokenizer_json_open(const char *folder, struct tokenizer_json *json_out,
				   struct error *err)
{
	enum sc_status status;

	*json_out = (struct tokenizer_json){ .texts = { .bytes = BUF_INIT } };
	status = folder_map_name(folder, NAME, "a tokenizer", &json_out->file, err);
	if (!status)
		status = load(json_out, err);
	if (status == SC_E_NOMEM)
		error_set(err, status, "%s/" NAME ": no memory", folder);
	return status;
}

void tokenizer_json_close(struct tokenizer_json *json)
{
	mapped_file_close(&json->file);
	json_decref(json->root);
	string_list_deinit(&json->texts);
	free(json->ids);
	free(json->scores);
	strmap_destroy(json->by_text);
}

uint32_t tokenizer_json_find(const struct tokenizer_json *json, const char *text, size_t length)
{
	uint32_t at;

	return strmap_find(json->by_text, text, length, &at) ? json->ids[at] : TOKEN_NONE;
}

/* --- merges --- */

/* A part of a pair, which in the head is not to hold the space that separates the two. */
static enum sc_status read_part(struct json_pull *pull, struct buf *out)
{
	const size_t begin = out->length, at = pull->at;
	enum sc_status status = json_pull_string(pull, out);

	if (!status && memchr(out->data + begin, ' ', out->length - begin)) {
		json_pull_error(pull, at, "a merge with a space in one of its parts is not "
				"supported");
		return SC_E_UNSUPPORTED;
	}
	return status;
}

/* "LEFT RIGHT", or ["LEFT", "RIGHT"]. */
static enum sc_status read_merge(struct json_pull *pull, struct buf *out)
{
	enum sc_status status;

	if (json_pull_peek(pull) == '"')
		return json_pull_string(pull, out);
	status = json_pull_mark(pull, '[');
	if (!status)
		status = read_part(pull, out);
	if (!status)
		status = json_pull_mark(pull, ',');
	if (!status)
		status = buf_add(out, " ", 1);
	if (!status)
		status = read_part(pull, out);
	return status ? status : json_pull_mark(pull, ']');
}

enum sc_status tokenizer_json_merges(const struct tokenizer_json *json,
				     struct string_list *merges_out, struct error *err)
{
	struct json_pull pull = pull_at(json, json->merges_at, err);
	struct string_list merges = { .bytes = BUF_INIT };
	enum sc_status status = SC_OK;

	if (!json->merges_at)
		return error_set(err, SC_E_FORMAT, "%s: expected a \"model\" with \"merges\"",
				 json->file.path);
	status = json_pull_mark(&pull, '[');
	for (size_t n = 0; !status; n++) {
		bool is_more;

		status = json_pull_next(&pull, n, ']', &is_more);
		if (status || !is_more)
			break;
		status = n < MAX_MERGES ? read_merge(&pull, &merges.bytes)
					: json_pull_error(&pull, pull.at, "expected at most %u "
							  "merges", MAX_MERGES);
		if (!status)
			status = string_list_end(&merges);
	}
	if (status) {
		string_list_deinit(&merges);
		return status;
	}
	*merges_out = merges;
	return SC_OK;
}
