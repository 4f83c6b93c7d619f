/* SPDX-License-Identifier: Apache-2.0 */
#include "openai/prompt_forms.h"

#include "engine/engine.h"

#include <string.h>

struct form_reader {
	struct prompt_forms *forms;
	struct json_reader *reader;
	const char *name;
	const struct prompt_options *options;
};

void prompt_forms_deinit(struct prompt_forms *forms)
{
	for (uint32_t i = 0; i < forms->n; i++) {
		token_list_deinit(&forms->prompts[i].tokens);
		buf_deinit(&forms->prompts[i].text);
	}
	forms->n = 0;
}

/* Returns NULL after a fault. */
static struct prompt_form *add_form(const struct form_reader *r)
{
	struct prompt_forms *forms = r->forms;
	struct prompt_form *form;

	if (forms->n == PROMPT_FORMS_MAX) {
		json_reader_fail(r->reader, r->name, SC_E_INVALID, "expected at most %u prompts",
				 PROMPT_FORMS_MAX);
		return NULL;
	}
	form = &forms->prompts[forms->n++];
	*form = (struct prompt_form){ 0 };
	buf_init(&form->text);
	return form;
}

static void fail(const struct form_reader *r, enum sc_status status, const struct error *err)
{
	/* The text has the field's name in front already. */
	json_reader_fail(r->reader, r->name, status, "%s", strncmp(err->text, "prompt: ", 8) == 0
			 ? err->text + 8 : err->text);
}

static void read_text(const struct form_reader *r, const json_t *value)
{
	const struct prompt_options *options = r->options;
	const struct job_request job = {
		.prompt = json_string_value(value),
		.prompt_bytes = json_string_length(value),
	};
	struct prompt_form *form = add_form(r);
	struct error err;
	enum sc_status status;

	if (!form)
		return;
	status = prompt_check_length(options->tokenizer, options->max_context, &job, &err);
	if (status == SC_OK)
		status = tokenizer_encode(options->tokenizer, job.prompt, job.prompt_bytes,
					  (options->adds_bos ? TOKENIZE_ADD_BOS : 0) |
					  (options->parses_special ? TOKENIZE_PARSE_SPECIAL : 0),
					  &form->tokens, &err);
	if (status == SC_OK)
		status = prompt_check_tokens(form->tokens.n, options->max_context, &err);
	if (status == SC_OK && options->keeps_text &&
	    buf_add(&form->text, job.prompt, job.prompt_bytes) != SC_OK)
		status = error_set(&err, SC_E_NOMEM, "out of memory");
	if (status != SC_OK)
		fail(r, status, &err);
}

static enum sc_status add_id(const struct form_reader *r, struct prompt_form *form, size_t i,
			     const json_t *item, struct error *err)
{
	uint32_t n_vocab = tokenizer_n_vocab(r->options->tokenizer);
	json_int_t id = json_integer_value(item);

	if (!json_is_integer(item))
		return error_set(err, SC_E_INVALID, "item %zu: expected a token id, found %s", i,
				 json_reader_type(item));
	if (id < 0 || id >= n_vocab)
		return error_set(err, SC_E_INVALID, "token %zu: expected an id below %u, found "
				 "%lld", i, n_vocab, (long long)id);
	if (token_list_add(&form->tokens, (uint32_t)id) != SC_OK)
		return error_set(err, SC_E_NOMEM, "out of memory");
	return SC_OK;
}

static void read_ids(const struct form_reader *r, const json_t *array)
{
	const struct prompt_options *options = r->options;
	struct prompt_form *form = add_form(r);
	size_t n = json_array_size(array);
	struct error err;
	enum sc_status status;

	if (!form)
		return;
	status = prompt_check_tokens(n, options->max_context, &err);
	for (size_t i = 0; status == SC_OK && i < n; i++)
		status = add_id(r, form, i, json_array_get(array, i), &err);
	if (status == SC_OK && options->keeps_text &&
	    tokenizer_decode(options->tokenizer, form->tokens.ids, form->tokens.n, false,
			     &form->text) != SC_OK)
		status = error_set(&err, SC_E_NOMEM, "out of memory");
	if (status != SC_OK)
		fail(r, status, &err);
}

static void read_item(const struct form_reader *r, const json_t *item)
{
	if (json_is_string(item))
		read_text(r, item);
	else if (json_is_array(item))
		read_ids(r, item);
	else
		json_reader_fail(r->reader, r->name, SC_E_INVALID,
				 "expected texts or arrays of token ids, found %s",
				 json_reader_type(item));
}

void prompt_forms_read(struct prompt_forms *forms, struct json_reader *reader, const char *name,
		       const struct prompt_options *options)
{
	const struct form_reader r = { forms, reader, name, options };
	const json_t *value = json_read(reader, name);

	forms->n = 0;
	if (reader->status != SC_OK)
		return;
	if (!value)
		json_reader_fail(reader, name, SC_E_INVALID,
				 "missing: expected a text, token ids, or an array of those");
	else if (json_is_array(value) && !json_array_size(value))
		json_reader_fail(reader, name, SC_E_INVALID, "the array is empty");
	else if (json_is_array(value) && json_is_number(json_array_get(value, 0)))
		read_ids(&r, value);
	else if (json_is_array(value))
		for (size_t i = 0; i < json_array_size(value) && reader->status == SC_OK; i++)
			read_item(&r, json_array_get(value, i));
	else
		read_item(&r, value);
}
