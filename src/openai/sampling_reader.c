/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of samplers, by the names of OpenAI, vLLM and llama.cpp. Where two names mean one
 * thing, the later one of the list wins. */
#include "openai/generation.h"

#include <stdio.h>
#include <string.h>

#define MOST 1000.0	/* where mathematics sets no bound */

static void read_filters(struct json_reader *reader, struct job_request *job)
{
	int64_t top_k = job->top_k;

	json_read_float(reader, "temperature", 0.0, 100.0, &job->temperature);
	json_read_i64(reader, "top_k", -1, UINT32_MAX, &top_k);
	job->top_k = top_k > 0 ? (uint32_t)top_k : 0;
	json_read_float(reader, "top_p", 0.0, 1.0, &job->top_p);
	if (job->top_p < 1e-6f)		/* 0 is the likeliest token alone */
		job->top_p = 1e-6f;
	json_read_float(reader, "min_p", 0.0, 1.0, &job->min_p);
	json_read_float(reader, "typ_p", 0.0, 1.0, &job->typical_p);
	json_read_float(reader, "typical_p", 0.0, 1.0, &job->typical_p);
	json_read_float(reader, "top_nsigma", -1.0, MOST, &job->top_n_sigma);
	json_read_float(reader, "top_n_sigma", -1.0, MOST, &job->top_n_sigma);
	if (job->top_n_sigma < 0.0f)	/* llama.cpp: below 0 is off */
		job->top_n_sigma = 0.0f;
	json_read_float(reader, "xtc_probability", 0.0, 1.0, &job->xtc_probability);
	json_read_float(reader, "xtc_threshold", 0.0, 1.0, &job->xtc_threshold);
	json_read_float(reader, "dynatemp_range", 0.0, 100.0, &job->dynatemp_range);
	json_read_float(reader, "dynatemp_exponent", 0.0, MOST, &job->dynatemp_exponent);
}

/* A window of llama.cpp: -1 is the whole context, and 0 turns its samplers off. Returns false for
 * the latter. */
static bool read_window(struct json_reader *reader, const char *name, int64_t standard,
			uint32_t *window_out)
{
	int64_t window = standard;

	json_read_i64(reader, name, -1, UINT32_MAX, &window);
	*window_out = window > 0 ? (uint32_t)window : 0;
	return window != 0;
}

static void read_penalties(struct json_reader *reader, struct job_request *job)
{
	float repeat = 0.0f;
	int64_t window = -1;

	json_read_float(reader, "repeat_penalty", 0.0, 100.0, &repeat);
	/* llama.cpp counts repetitions in the last 64 tokens, vLLM in all. */
	if (repeat > 0.0f) {
		job->repetition_penalty = repeat;
		window = 64;
	}
	json_read_float(reader, "repetition_penalty", 0.0, 100.0, &job->repetition_penalty);
	json_read_float(reader, "presence_penalty", -100.0, 100.0, &job->presence_penalty);
	json_read_float(reader, "frequency_penalty", -100.0, 100.0, &job->frequency_penalty);
	if (!read_window(reader, "repeat_last_n", window, &job->penalty_last_n)) {
		job->repetition_penalty = 1.0f;
		job->presence_penalty = 0.0f;
		job->frequency_penalty = 0.0f;
	}
	if (job->repetition_penalty == 0.0f)
		json_reader_fail(reader, "repetition_penalty", SC_E_INVALID,
				 "expected above 0, found 0");
}

static void read_dry(struct json_reader *reader, struct job_request *job)
{
	json_read_float(reader, "dry_multiplier", 0.0, 100.0, &job->dry_multiplier);
	json_read_float(reader, "dry_base", 0.0, MOST, &job->dry_base);
	json_read_u32(reader, "dry_allowed_length", 0, UINT32_MAX, &job->dry_allowed_length);
	if (!read_window(reader, "dry_penalty_last_n", -1, &job->dry_last_n))
		job->dry_multiplier = 0.0f;
}

static void read_seed(struct json_reader *reader, struct job_request *job)
{
	int64_t seed = -1;	/* llama.cpp: a random one, as without the field */

	json_read_i64(reader, "seed", INT64_MIN, INT64_MAX, &seed);
	if (seed != -1)
		job->seed = (uint64_t)seed;
}

/* --- the order --- */

/* Names in an array, as one text. */
static void join_names(struct json_reader *reader, const json_t *array, char *text, size_t capacity)
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < json_array_size(array); i++) {
		const char *name = json_string_value(json_array_get(array, i));

		if (!name || n + strlen(name) + 2 > capacity) {
			json_reader_fail(reader, "samplers", SC_E_INVALID,
					 "item %zu: expected the name of a sampler", i);
			return;
		}
		n += (size_t)snprintf(text + n, capacity - n, "%s;", name);
	}
}

/* llama.cpp's forms: an array of names, or one text of letters. */
static void read_order(struct json_reader *reader, struct job_request *job)
{
	const json_t *value = json_read(reader, "samplers");
	char names[256];
	struct error err;
	enum sc_status status = SC_OK;

	if (!value)
		return;
	if (json_is_string(value)) {
		status = job_samplers_read_letters(json_string_value(value), job->samplers,
						   &job->n_samplers, &err);
	} else if (json_is_array(value)) {
		join_names(reader, value, names, sizeof names);
		if (reader->status == SC_OK)
			status = job_samplers_read(names, job->samplers, &job->n_samplers, &err);
	} else {
		json_reader_fail(reader, "samplers", SC_E_INVALID,
				 "expected an array of names or a string, found %s",
				 json_reader_type(value));
	}
	if (status != SC_OK)
		json_reader_fail(reader, "samplers", status, "%s",
				 strncmp(err.text, "samplers: ", 10) == 0 ? err.text + 10
									   : err.text);
}

void sampling_read(struct generation *generation, struct json_reader *reader)
{
	struct job_request *job = &generation->job;

	read_filters(reader, job);
	read_penalties(reader, job);
	read_dry(reader, job);
	read_seed(reader, job);
	read_order(reader, job);
}
