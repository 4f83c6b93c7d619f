/* SPDX-License-Identifier: Apache-2.0 */
/* The numbers of samplers, by the names of OpenAI, vLLM and llama.cpp. Where two names mean one
 * thing, the later one of the list wins. */
#include "openai/generation.h"

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

struct sampler_name {
	const char *name;
	char letter;		/* of llama.cpp's sampling sequence */
	uint8_t kind;		/* enum sampler_kind */
};

static const struct sampler_name samplers[] = {
	{ "penalties", 'e', SAMPLER_PENALTIES },
	{ "dry", 'd', SAMPLER_DRY },
	{ "top_n_sigma", 's', SAMPLER_TOP_N_SIGMA },
	{ "top_k", 'k', SAMPLER_TOP_K },
	{ "typ_p", 'y', SAMPLER_TYPICAL },
	{ "typical_p", 'y', SAMPLER_TYPICAL },
	{ "top_p", 'p', SAMPLER_TOP_P },
	{ "min_p", 'm', SAMPLER_MIN_P },
	{ "xtc", 'x', SAMPLER_XTC },
	{ "temperature", 't', SAMPLER_TEMPERATURE },
};

static uint8_t find_name(const char *name)
{
	for (size_t i = 0; i < sizeof samplers / sizeof samplers[0]; i++)
		if (strcmp(samplers[i].name, name) == 0)
			return samplers[i].kind;
	return SAMPLER_NONE;
}

static uint8_t find_letter(char letter)
{
	for (size_t i = 0; i < sizeof samplers / sizeof samplers[0]; i++)
		if (samplers[i].letter == letter)
			return samplers[i].kind;
	return SAMPLER_NONE;
}

static void add_sampler(struct json_reader *reader, struct job_request *job, uint8_t kind,
			size_t at)
{
	if (kind == SAMPLER_NONE)
		json_reader_fail(reader, "samplers", SC_E_INVALID,
				 "item %zu is unknown: expected penalties, dry, top_n_sigma, top_k, "
				 "typ_p, top_p, min_p, xtc or temperature", at);
	else if (job->n_samplers == JOB_MAX_SAMPLERS || memchr(job->samplers, kind,
							       job->n_samplers))
		json_reader_fail(reader, "samplers", SC_E_INVALID,
				 "item %zu is there twice: expected each sampler once", at);
	else
		job->samplers[job->n_samplers++] = kind;
}

static void read_order(struct json_reader *reader, struct job_request *job)
{
	const json_t *value = json_read(reader, "samplers");
	const json_t *item;
	size_t i;

	if (json_is_string(value)) {
		for (i = 0; i < json_string_length(value) && reader->status == SC_OK; i++)
			add_sampler(reader, job, find_letter(json_string_value(value)[i]), i);
	} else if (json_is_array(value)) {
		for (i = 0; i < json_array_size(value) && reader->status == SC_OK; i++) {
			item = json_array_get(value, i);
			add_sampler(reader, job, json_is_string(item)
				    ? find_name(json_string_value(item)) : SAMPLER_NONE, i);
		}
	} else if (value) {
		json_reader_fail(reader, "samplers", SC_E_INVALID,
				 "expected an array of names or a string, found %s",
				 json_reader_type(value));
	}
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
