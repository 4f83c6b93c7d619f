/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/added_list.h"
#include "hf/folder.h"
#include "hf/parts.h"
#include "hf/tokenizer_json.h"
#include "hf/tokenizer_model.h"
#include "hf/tokenizer_parts.h"
#include "hf/tokenizer_steps.h"
#include "hf/tokenizer_table.h"

#include "model/unigram.h"

#include <stdlib.h>
#include <string.h>

#define KEY(name) "tokenizer.ggml." name

/* What hf_tokenizer_put makes a head of. */
struct source {
	const char *folder;
	struct tokenizer_json json;
	struct hf_steps steps;
	struct added_list added;
	struct token_table table;
	struct string_list merges;	/* MODEL_BPE */
	size_t n;			/* tokens of the head */
	struct error *err;
};

static enum sc_status nomem(const struct source *source)
{
	return error_set(source->err, SC_E_NOMEM, "%s: no memory for its tokenizer",
			 source->folder);
}

/* --- tokens --- */

/* Rows of the embedding, or what the tokenizer needs where that is not known. */
static enum sc_status count(struct source *source, uint32_t n_vocab)
{
	const size_t n_model = source->json.n_ids;

	if (!source->json.texts.n)
		return error_set(source->err, SC_E_FORMAT, "%s: model: expected a vocabulary, "
				 "found none", source->json.file.path);
	if (n_vocab && n_model > n_vocab)
		return error_set(source->err, SC_E_FORMAT, "%s: model: expected ids below %u, the "
				 "rows of the embedding, found %zu: are the tokenizer and the "
				 "weights of one model?", source->json.file.path, n_vocab,
				 n_model - 1);
	source->n = n_vocab ? n_vocab : source->added.n_ids;
	return SC_OK;
}

static enum sc_status set_model_tokens(struct source *source)
{
	const struct tokenizer_json *json = &source->json;

	for (size_t i = 0; i < json->texts.n; i++) {
		const struct gguf_string text = string_list_get(&json->texts, i);
		const uint32_t id = json->ids[i];
		enum vocab_type type = VOCAB_NORMAL;

		if (source->table.types[id] != VOCAB_UNUSED)
			return error_set(source->err, SC_E_FORMAT, "%s: model: expected one text "
					 "for each id, found two for %u", json->file.path, id);
		if (source->steps.falls_back && vocab_byte_of_text(text) >= 0)
			type = VOCAB_BYTE;
		if (source->steps.model == MODEL_UNIGRAM && gguf_string_equals(text, source->steps.unknown))
			type = VOCAB_UNKNOWN;
		token_table_set(&source->table, id, text, type);
		if (json->scores)
			source->table.scores[id] = (float)json->scores[i];
	}
	return SC_OK;
}

/* Tokens beyond the embedding cannot be computed with, and are left out. */
static enum sc_status set_added_tokens(struct source *source)
{
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < source->added.n && !status; i++) {
		const struct added_token *token = &source->added.tokens[i];
		const bool is_unknown = gguf_string_equals(token->content, source->steps.unknown);

		if (token->id >= source->n)
			continue;
		token_table_set(&source->table, token->id, token->content,
				!(token->flags & ADDED_SPECIAL) ? VOCAB_USER_DEFINED
				: is_unknown ? VOCAB_UNKNOWN : VOCAB_CONTROL);
		status = hf_steps_add_token(&source->steps, token->id, token->flags,
					    token->content.data, token->content.length);
	}
	return status;
}

/* For llama.cpp, which joins what has the highest score: a token that is made by an earlier merge
 * has a higher one, and one that no merge makes the lowest. */
static void set_scores(struct source *source)
{
	for (size_t i = 0; i < source->n; i++)
		source->table.scores[i] = -(float)source->merges.n - (float)i;
	for (size_t i = source->merges.n; i-- > 0;) {
		const struct gguf_string merge = string_list_get(&source->merges, i);
		const char *space = memchr(merge.data, ' ', merge.length);
		char joined[256];
		size_t n_left;
		uint32_t id;

		if (!space || merge.length > sizeof joined)
			continue;
		n_left = (size_t)(space - merge.data);
		memcpy(joined, merge.data, n_left);
		memcpy(joined + n_left, space + 1, merge.length - n_left - 1);
		id = tokenizer_json_find(&source->json, joined, merge.length - 1);
		if (id < source->n)
			source->table.scores[id] = -(float)i;
	}
}

/* llama.cpp wants the spaces of user-defined tokens plain. */
static enum sc_status add_table(struct source *source, struct gguf_head *head)
{
	const bool has_scores = !source->steps.is_byte_level;

	if (has_scores && source->steps.model == MODEL_BPE)
		set_scores(source);
	return token_table_put(&source->table, has_scores, head);
}

/* --- keys --- */

static enum sc_status add_texts(struct gguf_head *head, const char *key,
				const struct string_list *list)
{
	struct gguf_string *strings = calloc(list->n + 1, sizeof *strings);
	enum sc_status status = SC_E_NOMEM;

	if (!strings)
		return status;
	for (size_t i = 0; i < list->n; i++)
		strings[i] = string_list_get(list, i);
	status = gguf_head_add_strings(head, key, strings, list->n);
	free(strings);
	return status;
}

static enum sc_status add_string(struct gguf_head *head, const char *key, const char *value)
{
	return gguf_head_add_string(head, key, value, strlen(value));
}

/* The names by which llama.cpp knows the tokenizer. */
static enum sc_status add_names(const struct source *source, struct gguf_head *head)
{
	const struct hf_steps *steps = &source->steps;
	const char *pre = hf_pre_name(steps);
	enum sc_status status = add_string(head, KEY("model"), steps->is_byte_level ? "gpt2"
					   : steps->model == MODEL_UNIGRAM ? "t5" : "llama");

	if (!status && pre)
		status = add_string(head, KEY("pre"), pre);
	if (!status && !steps->is_byte_level)
		status = gguf_head_add_bool(head, KEY("add_space_prefix"), steps->prepends_space);
	return status;
}

static enum sc_status add_charsmap(const struct source *source, struct gguf_head *head)
{
	struct buf map = BUF_INIT;
	enum sc_status status;

	if (!source->steps.charsmap)
		return SC_OK;
	status = hf_base64(source->steps.charsmap, &map);
	if (status == SC_E_FORMAT)
		return error_set(source->err, status, "%s: normalizer: Precompiled: expected "
				 "base64", source->json.file.path);
	if (!status)
		status = gguf_head_add_array(head, KEY("precompiled_charsmap"), GGUF_U8, map.data,
					     map.length);
	buf_deinit(&map);
	return status;
}

static enum sc_status put_keys(struct source *source, struct gguf_head *head)
{
	enum sc_status status = add_names(source, head);

	if (!status)
		status = add_table(source, head);
	if (!status && source->steps.model == MODEL_BPE)
		status = add_texts(head, KEY("merges"), &source->merges);
	if (!status && source->steps.model == MODEL_UNIGRAM)
		status = gguf_head_add_array(head, KEY_UNIGRAM_SCORES, GGUF_F64,
					     source->json.scores, source->json.texts.n);
	if (!status)
		status = add_charsmap(source, head);
	if (!status)
		status = add_texts(head, PIPELINE_KEY, &source->steps.strings);
	return status;
}

/* --- all of it --- */

static uint32_t find_text(const struct source *source, struct gguf_string text)
{
	const struct added_token *added = added_list_find(&source->added, text.data, text.length);
	const uint32_t id = added ? added->id
				  : tokenizer_json_find(&source->json, text.data, text.length);

	return id < source->n ? id : TOKEN_NONE;
}

static uint32_t find_id(const void *context, const char *text)
{
	return find_text(context, (struct gguf_string){ text, strlen(text) });
}

static enum sc_status put_json(struct source *source, const json_t *config, uint32_t n_vocab,
			       struct gguf_head *head)
{
	struct hf_special special;
	enum sc_status status = hf_steps_read(&source->steps, &source->json, source->err);

	if (!status)
		status = added_list_read(&source->added, &source->json, source->err);
	if (!status)
		status = count(source, n_vocab);
	if (!status)
		status = hf_special_read(&special, source->folder, config, source->n, find_id,
					 source, source->err);
	if (status)
		return status;
	hf_special_change_template(&special, &source->steps);
	status = hf_steps_end(&source->steps, source->n);
	if (!status && token_table_init(&source->table, source->n))
		status = nomem(source);
	if (!status)
		status = set_model_tokens(source);
	if (!status)
		status = set_added_tokens(source);
	if (!status && source->steps.model == MODEL_BPE)
		status = tokenizer_json_merges(&source->json, &source->merges, source->err);
	if (!status)
		status = put_keys(source, head);
	if (!status)
		status = hf_special_put(&special, source->steps.unknown.length
					? find_text(source, source->steps.unknown) : TOKEN_NONE,
					&source->steps, head);
	return status;
}

static enum sc_status put_tokenizer_json(const char *folder, const json_t *config,
					 uint32_t n_vocab, struct gguf_head *head,
					 struct error *err)
{
	struct source source = {
		.folder = folder, .steps = { .strings = { .bytes = BUF_INIT } },
		.merges = { .bytes = BUF_INIT }, .err = err,
	};
	enum sc_status status = tokenizer_json_open(folder, &source.json, err);

	if (!status)
		status = put_json(&source, config, n_vocab, head);
	if (status == SC_E_NOMEM)
		nomem(&source);
	string_list_deinit(&source.merges);
	token_table_deinit(&source.table);
	added_list_deinit(&source.added);
	hf_steps_deinit(&source.steps);
	tokenizer_json_close(&source.json);
	return status;
}

static enum sc_status put_sampling(const char *folder, struct gguf_head *head, struct error *err)
{
	json_t *json;
	enum sc_status status = generation_load(folder, &json, err);

	if (!status && generation_put_sampling(json, head))
		status = error_set(err, SC_E_NOMEM, "%s: no memory for its keys", folder);
	json_decref(json);
	return status;
}

enum sc_status hf_tokenizer_put(const char *folder, const json_t *config, uint32_t n_vocab,
				struct gguf_head *head, struct error *err)
{
	const char *model = hf_tokenizer_model_name(folder);
	enum sc_status status;

	if (folder_has(folder, "tokenizer.json"))
		status = put_tokenizer_json(folder, config, n_vocab, head, err);
	else if (model)
		status = hf_tokenizer_model_put(folder, model, config, n_vocab, head, err);
	else
		status = error_set(err, SC_E_NOT_FOUND, "%s: expected tokenizer.json or "
				   "tokenizer.model, found no tokenizer: download it into the "
				   "folder", folder);
	if (!status)
		status = put_sampling(folder, head, err);
	if (!status)
		status = hf_chat_template_put(folder, head, err);
	return status == SC_E_NOMEM ? error_set(err, status, "%s: no memory for its tokenizer",
						folder) : status;
}
