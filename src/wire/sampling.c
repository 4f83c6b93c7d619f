/* SPDX-License-Identifier: Apache-2.0 */
/* Samplings as steps hold them. */
#include "wire/wire_private.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

_Static_assert(sizeof(struct sampling) == 120, "wire format");
_Static_assert(sizeof(struct sampling_bias) == 8, "wire format");

void sampling_write(const struct sampling *sampling, const struct sampling_bias *biases,
		    const uint32_t *bans, uint64_t *out)
{
	uint8_t *at = (uint8_t *)out;

	out[sampling_words(sampling) - 1] = 0;	/* the padding */
	at = wire_put(at, sampling, sizeof *sampling);
	at = wire_put(at, biases, sampling->n_biases * sizeof biases[0]);
	wire_put(at, bans, sampling->n_bans * sizeof bans[0]);
}


static enum sc_status check_floats(const struct sampling *s, struct error *err)
{
	const struct {
		const char *name;
		float value;
		float least, most;
	} fields[] = {
		{ "temperature", s->temperature, 0, STEP_MAX_TEMPERATURE },
		{ "top_p", s->top_p, 0, 1 },
		{ "min_p", s->min_p, 0, 1 },
		{ "typical_p", s->typical_p, FLT_MIN, 1 },
		{ "top_n_sigma", s->top_n_sigma, 0, STEP_MAX_PENALTY },
		{ "xtc_probability", s->xtc_probability, 0, 1 },
		{ "xtc_threshold", s->xtc_threshold, 0, 1 },
		{ "dynatemp_range", s->dynatemp_range, 0, STEP_MAX_TEMPERATURE },
		{ "dynatemp_exponent", s->dynatemp_exponent, 0, STEP_MAX_PENALTY },
		{ "repetition_penalty", s->repetition_penalty, FLT_MIN, STEP_MAX_PENALTY },
		{ "presence_penalty", s->presence_penalty, -STEP_MAX_PENALTY, STEP_MAX_PENALTY },
		{ "frequency_penalty", s->frequency_penalty, -STEP_MAX_PENALTY, STEP_MAX_PENALTY },
		{ "dry_multiplier", s->dry_multiplier, 0, STEP_MAX_PENALTY },
		{ "dry_base", s->dry_base, 0, STEP_MAX_PENALTY },
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (!(fields[i].value >= fields[i].least && fields[i].value <= fields[i].most))
			return error_set(err, SC_E_PROTOCOL, "%s is %g, expected %g to %g",
					 fields[i].name, (double)fields[i].value,
					 (double)fields[i].least, (double)fields[i].most);
	return SC_OK;
}

static enum sc_status check_counts(const struct sampling *s, const struct step_limits *limits,
				   struct error *err)
{
	const struct {
		const char *name;
		uint32_t value, most;
	} fields[] = {
		{ "sampling.flags", s->flags, SAMPLING_LOGPROB },
		{ "n_prompt", s->n_prompt, limits->max_context },
		{ "min_tokens", s->min_tokens, limits->max_context },
		{ "n_tops", s->n_tops, (uint32_t)min_of(STEP_MAX_TOPS_EACH, limits->n_vocab) },
		{ "n_biases", s->n_biases, STEP_MAX_BIASES },
		{ "n_bans", s->n_bans, STEP_MAX_BANS },
	};

	for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
		if (fields[i].value > fields[i].most)
			return error_set(err, SC_E_PROTOCOL, "%s is %" PRIu32 ", expected at most "
					 "%" PRIu32, fields[i].name, fields[i].value,
					 fields[i].most);
	return SC_OK;
}

/* Each sampler at most once, then zeros. */
static enum sc_status check_order(const struct sampling *s, struct error *err)
{
	uint32_t seen = 0;

	for (size_t i = 0; i < sizeof s->order; i++) {
		uint8_t kind = s->order[i];
		bool is_gap = i && kind && !s->order[i - 1];

		if (kind >= N_SAMPLERS || is_gap || (kind && seen >> kind & 1))
			return error_set(err, SC_E_PROTOCOL, "order[%zu] is %u, expected each "
					 "sampler below %d once, then zeros", i, kind, N_SAMPLERS);
		seen |= UINT32_C(1) << kind;
	}
	return SC_OK;
}

/* Token i of a list, behind the one before. */
static enum sc_status check_token(const char *name, uint32_t i, uint32_t token, uint32_t least,
				  const struct step_limits *limits, struct error *err)
{
	if (token >= least && token < limits->n_vocab)
		return SC_OK;
	return error_set(err, SC_E_PROTOCOL, "%s %" PRIu32 " is for token %" PRIu32 ", expected "
			 "%" PRIu32 " or more and below %" PRIu32, name, i, token, least,
			 limits->n_vocab);
}

static enum sc_status check_lists(const struct sampling *s, const struct step_limits *limits,
				  struct error *err)
{
	const struct sampling_bias *biases = sampling_biases(s);
	const uint32_t *bans = sampling_bans(s);

	for (uint32_t i = 0; i < s->n_biases; i++) {
		float bias = biases[i].bias;

		if (check_token("bias", i, biases[i].token, i ? biases[i - 1].token + 1 : 0,
				limits, err) != SC_OK)
			return SC_E_PROTOCOL;
		if (bias != -INFINITY && !(fabsf(bias) <= STEP_MAX_BIAS))
			return error_set(err, SC_E_PROTOCOL, "bias %" PRIu32 " is %g, expected at "
					 "most %g either way, or -inf", i, (double)bias,
					 (double)STEP_MAX_BIAS);
	}
	for (uint32_t i = 0; i < s->n_bans; i++)
		if (check_token("ban", i, bans[i], i ? bans[i - 1] + 1 : 0, limits, err) != SC_OK)
			return SC_E_PROTOCOL;
	if (s->n_bans % 2 && bans[s->n_bans])
		return error_set(err, SC_E_PROTOCOL, "padding of the bans is 0x%08" PRIx32
				 ", expected 0", bans[s->n_bans]);
	return SC_OK;
}

enum sc_status sampling_check(const uint64_t *words, uint32_t n_words,
			      const struct step_limits *limits, uint32_t *n_words_out,
			      struct error *err)
{
	const struct sampling *sampling = (const struct sampling *)words;

	if (n_words < STEP_SAMPLING_WORDS)
		return error_set(err, SC_E_PROTOCOL, "%" PRIu32 " words of sampling are left, "
				 "expected %zu or more", n_words, STEP_SAMPLING_WORDS);
	if (check_floats(sampling, err) != SC_OK || check_counts(sampling, limits, err) != SC_OK ||
	    check_order(sampling, err) != SC_OK)
		return SC_E_PROTOCOL;
	if (sampling_words(sampling) > n_words)
		return error_set(err, SC_E_PROTOCOL, "%" PRIu32 " words of sampling are left, "
				 "expected %" PRIu32 " or more", n_words, sampling_words(sampling));
	*n_words_out = sampling_words(sampling);
	return check_lists(sampling, limits, err);
}
