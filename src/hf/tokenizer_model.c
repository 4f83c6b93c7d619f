/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/tokenizer_model.h"

#include "hf/folder.h"
#include "hf/spm_file.h"
#include "hf/tokenizer_parts.h"
#include "hf/tokenizer_table.h"
#include "model/charsmap.h"
#include "model/model.h"
#include "model/spm_normalizer.h"
#include "model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#define KEY(name) "tokenizer.ggml." name

/* Scores of llama.cpp's converter. */
static const float added_score = -1000, padding_score = -10000;

/* What hf_tokenizer_model_put makes a head of. */
struct source {
	const char *folder;
	struct mapped_file file;
	struct spm_file spm;
	json_t *added;		/* added_tokens.json: text to id; NULL: none */
	json_t *config;		/* tokenizer_config.json; NULL: none */
	struct token_table table;
	struct error *err;
};

const char *hf_tokenizer_model_name(const char *folder)
{
	static const char *const names[] = { "tokenizer.model", "spiece.model" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (folder_has(folder, names[i]))
			return names[i];
	return NULL;
}

static enum sc_status open_spm(struct source *source, const char *name)
{
	enum sc_status status = folder_map_name(source->folder, name, "a tokenizer", &source->file,
						source->err);

	if (!status)
		status = spm_file_read(&source->spm, source->file.path, source->file.data,
				       source->file.n_bytes, source->err);
	if (!status && source->spm.has_output_rules)
		status = error_set(source->err, SC_E_UNSUPPORTED, "%s: denormalizer_spec: rules "
				   "that change decoded text are not supported",
				   source->file.path);
	return status;
}

/* --- tokens --- */

/* Called for each added token. */
typedef enum sc_status on_added(struct source *source, uint32_t id, struct gguf_string text,
				bool is_special, void *arg);

static enum sc_status bad_added(const struct source *source, const char *file, const char *text)
{
	return error_set(source->err, SC_E_FORMAT, "%s/%s: added token '%s': expected an id from 0 "
			 "to %u and a text", source->folder, file, text, MODEL_MAX_VOCAB - 1);
}

static struct gguf_string string_of(const json_t *value)
{
	return (struct gguf_string){ json_string_value(value), json_string_length(value) };
}

static enum sc_status walk_added_tokens(struct source *source, on_added *on_token, void *arg)
{
	const char *text;
	size_t length;
	json_t *value;

	json_object_keylen_foreach(source->added, text, length, value) {
		json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
		enum sc_status status;

		if (id < 0 || id >= MODEL_MAX_VOCAB || !length)
			return bad_added(source, "added_tokens.json", text);
		status = on_token(source, (uint32_t)id, (struct gguf_string){ text, length }, false,
				  arg);
		if (status)
			return status;
	}
	return SC_OK;
}

static enum sc_status walk_decoder(struct source *source, on_added *on_token, void *arg)
{
	const char *name;
	json_t *value;

	json_object_foreach(json_object_get(source->config, "added_tokens_decoder"), name, value) {
		const json_t *content = json_object_get(value, "content");
		char *end;
		unsigned long id = strtoul(name, &end, 10);
		enum sc_status status;

		if (*name < '0' || *name > '9' || *end || id >= MODEL_MAX_VOCAB ||
		    !json_string_length(content))
			return bad_added(source, "tokenizer_config.json", name);
		status = on_token(source, (uint32_t)id, string_of(content),
				  json_is_true(json_object_get(value, "special")), arg);
		if (status)
			return status;
	}
	return SC_OK;
}

static enum sc_status walk_added(struct source *source, on_added *on_token, void *arg)
{
	enum sc_status status = walk_added_tokens(source, on_token, arg);

	return status ? status : walk_decoder(source, on_token, arg);
}

static enum sc_status count_id(struct source *source, uint32_t id, struct gguf_string text,
			       bool is_special, void *arg)
{
	size_t *n = arg;

	(void)source;
	(void)text;
	(void)is_special;
	if (id >= *n)
		*n = (size_t)id + 1;
	return SC_OK;
}

/* Tokens beyond the embedding cannot be computed with, and are left out. A piece that is named
 * again keeps its score, and stays unknown or a byte. */
static enum sc_status set_added(struct source *source, uint32_t id, struct gguf_string text,
				bool is_special, void *arg)
{
	struct token_table *table = &source->table;
	const enum vocab_type type = is_special ? VOCAB_CONTROL : VOCAB_USER_DEFINED;

	(void)arg;
	if (id >= table->n)
		return SC_OK;
	if (!gguf_string_equals(table->texts[id], text)) {
		token_table_set(table, id, text, type);
		table->scores[id] = added_score;
	} else if (table->types[id] != VOCAB_UNKNOWN && table->types[id] != VOCAB_BYTE) {
		table->types[id] = type;
	}
	return SC_OK;
}

static enum sc_status fill_table(struct source *source, uint32_t n_vocab)
{
	const struct spm_file *spm = &source->spm;
	size_t n = spm->n;
	enum sc_status status = walk_added(source, count_id, &n);

	if (status)
		return status;
	if (n_vocab && spm->n > n_vocab)
		return error_set(source->err, SC_E_FORMAT, "%s: expected at most %u pieces, the "
				 "rows of the embedding, found %zu: are the tokenizer and the "
				 "weights of one model?", source->file.path, n_vocab, spm->n);
	if (token_table_init(&source->table, n_vocab ? n_vocab : n))
		return error_set(source->err, SC_E_NOMEM, "%s: no memory for its tokenizer",
				 source->folder);
	for (size_t i = 0; i < source->table.n; i++)
		source->table.scores[i] = padding_score;
	for (size_t i = 0; i < spm->n; i++) {
		token_table_set(&source->table, i, spm->pieces[i].text,
				(enum vocab_type)spm->pieces[i].type);
		source->table.scores[i] = spm->pieces[i].score;
	}
	return walk_added(source, set_added, NULL);
}

/* --- keys --- */

static enum sc_status add_bool(struct gguf_head *head, const char *key, bool value, bool is_needed)
{
	return is_needed ? gguf_head_add_bool(head, key, value) : SC_OK;
}

static enum sc_status put_spaces(const struct spm_file *spm, struct gguf_head *head)
{
	enum sc_status status = gguf_head_add_bool(head, KEY("add_space_prefix"),
						   spm->adds_prefix);

	if (!status)
		status = gguf_head_add_bool(head, KEY("remove_extra_whitespaces"),
					    spm->removes_spaces);
	if (!status && spm->rules.length)
		status = gguf_head_add_array(head, KEY_CHARSMAP, GGUF_U8, spm->rules.data,
					     spm->rules.length);
	if (!status)
		status = gguf_head_add_bool(head, KEY_SPM_EXACT, true);
	if (!status)
		status = add_bool(head, KEY_SPM_SUFFIX, true, spm->is_suffix);
	return status ? status : add_bool(head, KEY_SPM_KEEPS, true, !spm->escapes);
}

/* The id of a text, or TOKEN_NONE. */
static uint32_t find_id(const void *context, const char *text)
{
	const struct source *source = context;

	for (size_t i = 0; i < source->table.n; i++)
		if (gguf_string_is(source->table.texts[i], text))
			return (uint32_t)i;
	return TOKEN_NONE;
}

static uint32_t or_else(uint32_t id, uint32_t other)
{
	return id != TOKEN_NONE ? id : other;
}

/* What no file names, the model's own pieces are. Llama's tokenizers add BOS unless a file says
 * otherwise; Unigram models are mostly encoders, which do not. */
static enum sc_status put_special(const struct source *source, const json_t *config,
				  struct gguf_head *head)
{
	const struct spm_file *spm = &source->spm;
	struct hf_special special;
	enum sc_status status = hf_special_read(&special, source->folder, config, source->table.n,
						find_id, source, source->err);

	if (status)
		return status;
	special.bos = or_else(special.bos, spm->bos);
	special.eos = or_else(special.eos, spm->eos);
	special.padding = or_else(special.padding, spm->padding);
	special.unknown = spm->unknown;
	if (!special.has_add_bos)
		special.adds_bos = spm->model == SPM_BPE;
	special.adds_bos = special.adds_bos && special.bos != TOKEN_NONE;
	return hf_special_put_ids(&special, head);
}

static enum sc_status put_keys(const struct source *source, const json_t *config,
			       struct gguf_head *head)
{
	const char *model = source->spm.model == SPM_UNIGRAM ? "t5" : "llama";
	enum sc_status status = gguf_head_add_string(head, KEY("model"), model, strlen(model));

	if (!status)
		status = gguf_head_add_string(head, KEY("pre"), "default", strlen("default"));
	if (!status)
		status = token_table_put(&source->table, true, head);
	if (!status)
		status = put_spaces(&source->spm, head);
	return status ? status : put_special(source, config, head);
}

enum sc_status hf_tokenizer_model_put(const char *folder, const char *name, const json_t *config,
				      uint32_t n_vocab, struct gguf_head *head, struct error *err)
{
	struct source source = { .folder = folder, .err = err };
	enum sc_status status = open_spm(&source, name);

	if (!status)
		status = json_file_maybe(folder, "added_tokens.json", &source.added, err);
	if (!status)
		status = json_file_maybe(folder, "tokenizer_config.json", &source.config, err);
	if (!status)
		status = fill_table(&source, n_vocab);
	if (!status)
		status = put_keys(&source, config, head);
	if (status == SC_E_NOMEM)
		error_set(err, status, "%s: no memory for its tokenizer", folder);
	token_table_deinit(&source.table);
	json_decref(source.config);
	json_decref(source.added);
	spm_file_deinit(&source.spm);
	mapped_file_close(&source.file);
	return status;
}
