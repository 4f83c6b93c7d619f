/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/tokenizer_parts.h"
#include "model/tokenizer.h"
#include "model/vocab.h"

#include <string.h>

#define KEY(name) "tokenizer.ggml." name

/* A token is a text, or an object with its text as "content". */
static const char *text_of(const json_t *value)
{
	return json_string_value(json_is_object(value) ? json_object_get(value, "content")
						       : value);
}

/* The id in config.json: a number, or the first of a list. */
static uint32_t id_of(const json_t *config, const char *name)
{
	const json_t *value = json_object_get(config, name);

	if (json_is_array(value))
		value = json_array_get(value, 0);
	return json_is_integer(value) && json_integer_value(value) >= 0 &&
	       json_integer_value(value) < TOKEN_NONE ? (uint32_t)json_integer_value(value)
						      : TOKEN_NONE;
}

enum sc_status hf_special_read(struct hf_special *special, const char *folder,
			       const json_t *config, size_t n_vocab, hf_find_id *find,
			       const void *context, struct error *err)
{
	const struct {
		const char *name, *id_name;
		uint32_t *id;
	} rows[] = {
		{ "bos_token", "bos_token_id", &special->bos },
		{ "eos_token", "eos_token_id", &special->eos },
		{ "unk_token", NULL, &special->unknown },
		{ "pad_token", "pad_token_id", &special->padding },
		{ "sep_token", NULL, &special->separator },
		{ "mask_token", NULL, &special->mask },
	};
	json_t *json, *generation;
	enum sc_status status = json_file_maybe(folder, "tokenizer_config.json", &json, err);

	if (status)
		return status;
	*special = (struct hf_special){ 0 };
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *text = text_of(json_object_get(json, rows[i].name));

		*rows[i].id = text ? find(context, text) : TOKEN_NONE;
		if (*rows[i].id == TOKEN_NONE && rows[i].id_name)
			*rows[i].id = id_of(config, rows[i].id_name);
		if (*rows[i].id >= n_vocab)
			*rows[i].id = TOKEN_NONE;
	}
	special->has_add_bos = json_is_boolean(json_object_get(json, "add_bos_token"));
	special->adds_bos = json_is_true(json_object_get(json, "add_bos_token"));
	special->has_add_eos = json_is_boolean(json_object_get(json, "add_eos_token"));
	special->adds_eos = json_is_true(json_object_get(json, "add_eos_token"));
	json_decref(json);
	status = generation_load(folder, &generation, err);
	if (status)
		return status;
	special->ends.n_vocab = n_vocab;
	end_list_add(&special->ends, special->eos);
	end_list_add_json(&special->ends, json_object_get(generation, "eos_token_id"));
	end_list_add_json(&special->ends, json_object_get(config, "eos_token_id"));
	json_decref(generation);
	return SC_OK;
}

void hf_special_change_template(const struct hf_special *special, struct hf_steps *steps)
{
	if (!special->has_add_bos && !special->has_add_eos)
		return;
	steps->n_before = steps->n_behind = 0;
	if (special->adds_bos && special->bos != TOKEN_NONE)
		steps->before[steps->n_before++] = special->bos;
	if (special->adds_eos && special->eos != TOKEN_NONE)
		steps->behind[steps->n_behind++] = special->eos;
}

/* GGUF has keys for three ends. What is beyond EOS goes to the other two, for llama.cpp, and all
 * go to a key of our own. */
static enum sc_status put_ends(const struct hf_special *special, struct gguf_head *head)
{
	static const char *const keys[] = { KEY("eot_token_id"), KEY("eom_token_id") };
	const struct end_list *ends = &special->ends;
	size_t n_keys = 0;
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < ends->n && !status; i++)
		if (ends->ids[i] != special->eos && n_keys < sizeof keys / sizeof *keys)
			status = gguf_head_add_u32(head, keys[n_keys++], ends->ids[i]);
	if (status || !n_keys)
		return status;
	return gguf_head_add_array(head, KEY_END_IDS, GGUF_U32, ends->ids, ends->n);
}

enum sc_status hf_special_put_ids(const struct hf_special *special, struct gguf_head *head)
{
	const struct {
		const char *key;
		uint32_t id;
	} rows[] = {
		{ KEY("bos_token_id"), special->bos },
		{ KEY("eos_token_id"), special->eos },
		{ KEY("unknown_token_id"), special->unknown },
		{ KEY("padding_token_id"), special->padding },
		{ KEY("seperator_token_id"), special->separator },
		{ KEY("mask_token_id"), special->mask },
	};
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < sizeof rows / sizeof *rows && !status; i++)
		if (rows[i].id != TOKEN_NONE)
			status = gguf_head_add_u32(head, rows[i].key, rows[i].id);
	if (!status)
		status = put_ends(special, head);
	if (!status)
		status = gguf_head_add_bool(head, KEY("add_bos_token"), special->adds_bos);
	if (!status && special->eos != TOKEN_NONE)
		status = gguf_head_add_bool(head, KEY("add_eos_token"), special->adds_eos);
	return status;
}

enum sc_status hf_special_put(const struct hf_special *special, uint32_t unknown,
			      const struct hf_steps *steps, struct gguf_head *head)
{
	struct hf_special put = *special;

	if (steps->n_before && special->bos == TOKEN_NONE)
		put.bos = steps->before[0];
	if (unknown != TOKEN_NONE)
		put.unknown = unknown;
	put.adds_bos = steps->n_before > 0;
	put.adds_eos = steps->n_behind > 0;
	return hf_special_put_ids(&put, head);
}
