/* SPDX-License-Identifier: Apache-2.0 */
/* The lists of a request: where its text ends, and what is added to logits. */
#include "openai/generation.h"

#include "base/parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- lists of strings --- */

struct string_list {
	const char *name;
	char **items;		/* [max], NULL where there is none */
	unsigned max;
	size_t max_bytes;	/* of one */
};

static unsigned add_string(struct json_reader *reader, const struct string_list *list, unsigned n,
			   const json_t *value)
{
	const char *text = json_string_value(value);

	if (!json_is_string(value)) {
		json_reader_fail(reader, list->name, SC_E_INVALID,
				 "expected strings, found %s", json_reader_type(value));
	} else if (strlen(text) != json_string_length(value)) {
		json_reader_fail(reader, list->name, SC_E_INVALID, "expected no NUL character");
	} else if (strlen(text) > list->max_bytes) {
		json_reader_fail(reader, list->name, SC_E_INVALID,
				 "string %u has %zu bytes, expected at most %zu", n + 1,
				 strlen(text), list->max_bytes);
	} else if (*text) {
		list->items[n] = strdup(text);
		if (list->items[n])
			return n + 1;
		json_reader_fail(reader, list->name, SC_E_NOMEM, "out of memory");
	}
	return n;
}

/* A string, or an array of them. Returns how many. "" is left out, because clients send it where
 * they mean none. */
static unsigned read_strings(struct json_reader *reader, const struct string_list *list)
{
	const json_t *value = json_read(reader, list->name);
	unsigned n = 0;

	if (!value)
		return 0;
	if (!json_is_array(value))
		return add_string(reader, list, 0, value);
	if (json_array_size(value) > list->max) {
		json_reader_fail(reader, list->name, SC_E_INVALID,
				 "expected at most %u strings, found %zu", list->max,
				 json_array_size(value));
		return 0;
	}
	for (size_t i = 0; i < json_array_size(value) && reader->status == SC_OK; i++)
		n = add_string(reader, list, n, json_array_get(value, i));
	return n;
}

static void read_stops(struct generation *generation, struct json_reader *reader)
{
	struct job_request *job = &generation->job;
	const struct string_list list = {
		"stop", generation->stops, JOB_MAX_STOPS, JOB_MAX_STOP_BYTES,
	};

	job->n_stops = read_strings(reader, &list);
	job->stops = (const char *const *)generation->stops;
}

static void read_breakers(struct generation *generation, struct json_reader *reader)
{
	static const char name[] = "dry_sequence_breakers";
	struct job_request *job = &generation->job;
	const struct string_list list = {
		name, generation->breakers, JOB_MAX_DRY_BREAKERS, JOB_MAX_STOP_BYTES,
	};
	const json_t *value = json_object_get(reader->object, name);
	unsigned n = read_strings(reader, &list);

	if (!value || json_is_null(value))
		return;		/* those of the default */
	job->n_dry_breakers = n;
	job->dry_breakers = (const char *const *)generation->breakers;
}

/* --- lists of tokens --- */

static void read_stop_tokens(struct generation *generation, struct json_reader *reader,
			     uint32_t n_vocab)
{
	const json_t *value = json_read_array(reader, "stop_token_ids");
	struct job_request *job = &generation->job;

	job->stop_tokens = generation->stop_tokens;
	if (!value)
		return;
	if (json_array_size(value) > JOB_MAX_STOP_TOKENS) {
		json_reader_fail(reader, "stop_token_ids", SC_E_INVALID,
				 "expected at most %u ids, found %zu", JOB_MAX_STOP_TOKENS,
				 json_array_size(value));
		return;
	}
	for (size_t i = 0; i < json_array_size(value); i++) {
		const json_t *item = json_array_get(value, i);
		json_int_t id = json_integer_value(item);

		if (!json_is_integer(item) || id < 0 || id >= n_vocab) {
			json_reader_fail(reader, "stop_token_ids", SC_E_INVALID,
					 "id %zu: expected 0 to %u", i, n_vocab - 1);
			return;
		}
		generation->stop_tokens[job->n_stop_tokens++] = (uint32_t)id;
	}
}

struct biases {
	struct generation *generation;
	struct json_reader *reader;
	const struct tokenizer *tokenizer;
};

static void add_bias(const struct biases *biases, uint32_t token, float bias)
{
	struct generation *generation = biases->generation;
	struct job_request *job = &generation->job;

	if (job->n_biases == JOB_MAX_BIASES)
		json_reader_fail(biases->reader, "logit_bias", SC_E_INVALID,
				 "expected at most %u tokens", JOB_MAX_BIASES);
	else
		generation->biases[job->n_biases++] = (struct token_bias){ token, bias };
}

/* A text means each of its tokens, as in llama.cpp. */
static void add_text_bias(const struct biases *biases, const char *text, size_t n_bytes, float bias)
{
	struct token_list ids = { 0 };
	struct error err;

	if (n_bytes > JOB_MAX_STOP_BYTES)
		json_reader_fail(biases->reader, "logit_bias", SC_E_INVALID,
				 "a text has %zu bytes, expected at most %u", n_bytes,
				 JOB_MAX_STOP_BYTES);
	else if (tokenizer_encode(biases->tokenizer, text, n_bytes, TOKENIZE_PARSE_SPECIAL, &ids,
				  &err) != SC_OK)
		json_reader_fail(biases->reader, "logit_bias", err.status, "%s", err.text);
	for (size_t i = 0; i < ids.n; i++)
		add_bias(biases, ids.ids[i], bias);
	token_list_deinit(&ids);
}

/* A number; in llama.cpp's form false means never. */
static bool get_bias(const struct biases *biases, const json_t *value, float *bias_out)
{
	double bias = json_number_value(value);

	if (json_is_false(value)) {
		*bias_out = -INFINITY;
		return true;
	}
	if (json_is_number(value) && bias >= -100.0 && bias <= 100.0) {
		*bias_out = (float)bias;
		return true;
	}
	json_reader_fail(biases->reader, "logit_bias", SC_E_INVALID,
			 "expected numbers from -100 to 100, or false");
	return false;
}

static bool is_token(const struct biases *biases, int64_t id)
{
	if (id >= 0 && id < (int64_t)tokenizer_n_vocab(biases->tokenizer))
		return true;
	json_reader_fail(biases->reader, "logit_bias", SC_E_INVALID,
			 "token %lld: expected 0 to %u", (long long)id,
			 tokenizer_n_vocab(biases->tokenizer) - 1);
	return false;
}

/* {"15": -100}, OpenAI's form. A key that is no number is a text. */
static void add_member(const struct biases *biases, const char *key, const json_t *value)
{
	int64_t id;
	float bias;

	if (!get_bias(biases, value, &bias))
		return;
	if (!parse_i64(key, &id))
		add_text_bias(biases, key, strlen(key), bias);
	else if (is_token(biases, id))
		add_bias(biases, (uint32_t)id, bias);
}

/* [[15, -100], ["text", false]], llama.cpp's form. */
static void add_pair(const struct biases *biases, const json_t *pair)
{
	const json_t *token = json_array_get(pair, 0);
	float bias;

	if (json_array_size(pair) != 2 || !(json_is_integer(token) || json_is_string(token)))
		json_reader_fail(biases->reader, "logit_bias", SC_E_INVALID,
				 "expected an object, or an array of pairs [token, bias]");
	else if (!get_bias(biases, json_array_get(pair, 1), &bias))
		return;
	else if (json_is_string(token))
		add_text_bias(biases, json_string_value(token), json_string_length(token), bias);
	else if (is_token(biases, json_integer_value(token)))
		add_bias(biases, (uint32_t)json_integer_value(token), bias);
}

static void read_biases(const struct biases *biases)
{
	struct json_reader *reader = biases->reader;
	const json_t *value = json_read(reader, "logit_bias");
	json_t *object = (json_t *)(uintptr_t)value;	/* iterators take no const */
	const char *key;
	json_t *item;
	size_t i;

	biases->generation->job.biases = biases->generation->biases;
	if (json_is_object(value)) {
		json_object_foreach(object, key, item) {
			if (reader->status != SC_OK)
				break;
			add_member(biases, key, item);
		}
	} else if (json_is_array(value)) {
		for (i = 0; i < json_array_size(value) && reader->status == SC_OK; i++)
			add_pair(biases, json_array_get(value, i));
	} else if (value) {
		json_reader_fail(reader, "logit_bias", SC_E_INVALID,
				 "expected an object or an array, found %s",
				 json_reader_type(value));
	}
}

void sampling_lists_read(struct generation *generation, struct json_reader *reader,
			 const struct tokenizer *tokenizer)
{
	const struct biases biases = { generation, reader, tokenizer };

	read_stops(generation, reader);
	read_stop_tokens(generation, reader, tokenizer_n_vocab(tokenizer));
	read_biases(&biases);
	read_breakers(generation, reader);
}
