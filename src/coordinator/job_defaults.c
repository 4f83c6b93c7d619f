/* SPDX-License-Identifier: Apache-2.0 */
/* The defaults of a job_request, and llama.cpp's names of samplers. */
#include "coordinator/job.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

struct job_request job_request_default(void)
{
	static const char *const breakers[] = { "\n", ":", "\"", "*" };

	return (struct job_request){
		.n_sequences = 1,
		.max_tokens = JOB_UNLIMITED,
		.temperature = 0.8f,
		.top_k = 40,
		.top_p = 0.95f,
		.min_p = 0.05f,
		.typical_p = 1,
		.xtc_threshold = 0.1f,
		.dynatemp_exponent = 1,
		.repetition_penalty = 1,
		.penalty_last_n = 64,
		.dry_base = 1.75f,
		.dry_allowed_length = 2,
		.dry_last_n = 64,
		.dry_breakers = breakers,
		.n_dry_breakers = sizeof breakers / sizeof breakers[0],
	};
}

uint64_t job_random_seed(void)
{
	uint32_t seed;

	if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
		seed = (uint32_t)(clock_ns() ^ clock_unix_ms());
	return seed;
}

/* The first name of a sampler is the usual one. */
static const struct {
	enum sampler_kind kind;
	char letter;
	const char *names[5];
} samplers[] = {
	{ SAMPLER_PENALTIES, 'e', { "penalties" } },
	{ SAMPLER_DRY, 'd', { "dry" } },
	{ SAMPLER_TOP_N_SIGMA, 's', { "top_n_sigma" } },
	{ SAMPLER_TOP_K, 'k', { "top_k" } },
	{ SAMPLER_TYPICAL, 'y', { "typ_p", "typical", "typical_p", "typ" } },
	{ SAMPLER_TOP_P, 'p', { "top_p", "nucleus" } },
	{ SAMPLER_MIN_P, 'm', { "min_p" } },
	{ SAMPLER_XTC, 'x', { "xtc" } },
	{ SAMPLER_TEMPERATURE, 't', { "temperature", "temp" } },
};
enum { N_NAMED = sizeof samplers / sizeof samplers[0] };

static bool is_name(const char *name, const char *text, size_t n_bytes)
{
	if (strlen(name) != n_bytes)
		return false;
	for (size_t i = 0; i < n_bytes; i++)
		if (name[i] != (text[i] == '-' ? '_' : text[i]))
			return false;
	return true;
}

static enum sampler_kind find_name(const char *text, size_t n_bytes)
{
	for (size_t i = 0; i < N_NAMED; i++)
		for (const char *const *name = samplers[i].names; *name; name++)
			if (is_name(*name, text, n_bytes))
				return samplers[i].kind;
	return SAMPLER_NONE;
}

const char *job_sampler_name(uint8_t kind)
{
	for (size_t i = 0; i < N_NAMED; i++)
		if (samplers[i].kind == kind)
			return samplers[i].names[0];
	return "";
}

static enum sampler_kind find_letter(char letter)
{
	for (size_t i = 0; i < N_NAMED; i++)
		if (samplers[i].letter == letter)
			return samplers[i].kind;
	return SAMPLER_NONE;
}

/* Appends the sampler that text[n_bytes] names. */
static enum sc_status append(enum sampler_kind kind, const char *text, size_t n_bytes,
			     uint8_t list[JOB_MAX_SAMPLERS], uint32_t *n, struct error *err)
{
	int n_shown = n_bytes < 40 ? (int)n_bytes : 40;

	if (kind == SAMPLER_NONE)
		return error_set(err, SC_E_INVALID, "samplers: expected penalties (e), dry (d), "
				 "top_n_sigma (s), top_k (k), typ_p (y), top_p (p), min_p (m), "
				 "xtc (x) and temperature (t), found '%.*s'", n_shown, text);
	if (memchr(list, kind, *n))
		return error_set(err, SC_E_INVALID, "samplers: expected each sampler once, found "
				 "'%.*s' again", n_shown, text);
	list[(*n)++] = (uint8_t)kind;
	return SC_OK;
}

static void hand_out(const uint8_t list[JOB_MAX_SAMPLERS], uint32_t n,
		     uint8_t samplers_out[JOB_MAX_SAMPLERS], uint32_t *n_out)
{
	memcpy(samplers_out, list, JOB_MAX_SAMPLERS);
	*n_out = n;
}

enum sc_status job_samplers_read(const char *names, uint8_t samplers_out[JOB_MAX_SAMPLERS],
				 uint32_t *n_out, struct error *err)
{
	static const char between[] = ";, \t\n";
	uint8_t list[JOB_MAX_SAMPLERS] = { 0 };
	uint32_t n = 0;

	for (const char *at = names + strspn(names, between); *at; at += strspn(at, between)) {
		size_t n_bytes = strcspn(at, between);
		enum sc_status status = append(find_name(at, n_bytes), at, n_bytes, list, &n, err);

		if (status != SC_OK)
			return status;
		at += n_bytes;
	}
	hand_out(list, n, samplers_out, n_out);
	return SC_OK;
}

enum sc_status job_samplers_read_letters(const char *letters,
					 uint8_t samplers_out[JOB_MAX_SAMPLERS], uint32_t *n_out,
					 struct error *err)
{
	uint8_t list[JOB_MAX_SAMPLERS] = { 0 };
	uint32_t n = 0;

	for (const char *at = letters; *at; at++) {
		enum sc_status status = append(find_letter(*at), at, 1, list, &n, err);

		if (status != SC_OK)
			return status;
	}
	hand_out(list, n, samplers_out, n_out);
	return SC_OK;
}
