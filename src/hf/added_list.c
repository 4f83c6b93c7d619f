/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/added_list.h"

#include "model/model.h"
#include "model/pipeline.h"
#include "model/tokenizer.h"

#include <stdlib.h>
#include <string.h>

static enum sc_status read_token(const struct tokenizer_json *json, const json_t *value, size_t i,
				 struct added_token *token, struct error *err)
{
	static const struct {
		const char *name;
		unsigned flag;
	} flags[] = {
		{ "special", ADDED_SPECIAL }, { "normalized", ADDED_NORMALIZED },
		{ "lstrip", ADDED_LSTRIP }, { "rstrip", ADDED_RSTRIP },
		{ "single_word", ADDED_SINGLE_WORD },
	};
	const json_t *content = json_object_get(value, "content");

	if (!json_is_string(content))
		return error_set(err, SC_E_FORMAT, "%s: added_tokens: %zu: expected an object "
				 "with a \"content\"", json->file.path, i);
	*token = (struct added_token){ .content = {
		.data = json_string_value(content), .length = json_string_length(content),
	} };
	for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
		if (json_is_true(json_object_get(value, flags[k].name)))
			token->flags |= flags[k].flag;
	return SC_OK;
}

/* Adds a token, or changes the flags of one with the same text. */
static enum sc_status place(struct added_list *list, const struct tokenizer_json *json,
			    struct strmap *by_text, struct added_token token, uint32_t *next_id,
			    struct error *err)
{
	const uint32_t id = tokenizer_json_find(json, token.content.data, token.content.length);
	uint32_t at;

	if (!token.content.length)
		return SC_OK;
	if (strmap_find(by_text, token.content.data, token.content.length, &at)) {
		list->tokens[at].flags = token.flags |
					 (list->tokens[at].flags & ADDED_IN_MODEL);
		return SC_OK;
	}
	token.id = id != TOKEN_NONE ? id : (*next_id)++;
	if (id != TOKEN_NONE)
		token.flags |= ADDED_IN_MODEL;
	if (token.id >= MODEL_MAX_VOCAB)
		return error_set(err, SC_E_FORMAT, "%s: added_tokens: expected fewer than %u "
				 "tokens in all", json->file.path, MODEL_MAX_VOCAB);
	if (token.id >= list->n_ids)
		list->n_ids = (size_t)token.id + 1;
	list->tokens[list->n] = token;
	return strmap_add(by_text, token.content.data, token.content.length,
			  (uint32_t)list->n++);
}

static enum sc_status place_all(struct added_list *list, const struct tokenizer_json *json,
				const json_t *tokens, struct strmap *by_text, struct error *err)
{
	/* As the package counts: entries of the model, whatever its highest id. */
	uint32_t next_id = (uint32_t)json->texts.n;
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < json_array_size(tokens) && !status; i++) {
		struct added_token token = { .id = 0 };

		status = read_token(json, json_array_get(tokens, i), i, &token, err);
		if (!status)
			status = place(list, json, by_text, token, &next_id, err);
	}
	return status;
}

enum sc_status added_list_read(struct added_list *list, const struct tokenizer_json *json,
			       struct error *err)
{
	const json_t *tokens = json_object_get(json->root, "added_tokens");
	const size_t n = json_array_size(tokens);
	struct strmap *by_text = NULL;
	enum sc_status status = SC_OK;

	*list = (struct added_list){ .n_ids = json->n_ids };
	if (tokens && !json_is_null(tokens) && !json_is_array(tokens))
		return error_set(err, SC_E_FORMAT, "%s: added_tokens: expected a list",
				 json->file.path);
	list->tokens = calloc(n + 1, sizeof list->tokens[0]);
	if (!list->tokens || strmap_create(n + 1, &by_text))
		status = SC_E_NOMEM;
	if (!status)
		status = place_all(list, json, tokens, by_text, err);
	strmap_destroy(by_text);
	return status == SC_E_NOMEM ? error_set(err, status, "%s: no memory", json->file.path)
				    : status;
}

void added_list_deinit(struct added_list *list)
{
	free(list->tokens);
}

const struct added_token *added_list_find(const struct added_list *list, const char *text,
					  size_t length)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->tokens[i].content.length == length &&
		    !memcmp(list->tokens[i].content.data, text, length))
			return &list->tokens[i];
	return NULL;
}
