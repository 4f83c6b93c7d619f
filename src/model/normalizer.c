/* SPDX-License-Identifier: Apache-2.0 */
#include "model/normalizer.h"

#include "base/utf8.h"
#include "model/charsmap.h"
#include "model/oniguruma.h"
#include "model/unicode_class.h"
#include "model/unicode_form.h"
#include "model/visible_text.h"

#include <stdlib.h>
#include <string.h>

struct normalizer {
	struct pipeline_steps steps;
	struct pattern *patterns[PIPELINE_MAX_STEPS];	/* of NORMALIZE_REPLACE_REGEX, or NULL */
	struct charsmap rules;				/* of NORMALIZE_PRECOMPILED */
};

/* One step on one text. */
struct run {
	const struct pipeline_step *step;
	const struct pattern *pattern;
	const struct charsmap *rules;
	struct masked_text in;
	struct masked_buf *out;
	struct normalizer_scratch *scratch;
	struct error *err;
};

static enum sc_status check_step(const struct pipeline_step *step, struct error *err)
{
	if (step->kind == NORMALIZE_REPLACE && !step->args[0].text.length)
		return error_set(err, SC_E_UNSUPPORTED,
				 "normalizer Replace: an empty pattern is not supported");
	return SC_OK;
}

enum sc_status normalizer_create(struct pipeline_steps steps, const struct gguf *gguf,
				 struct normalizer **normalizer_out, struct error *err)
{
	struct normalizer *normalizer = calloc(1, sizeof *normalizer);
	enum sc_status status = SC_OK;

	if (!normalizer)
		return error_set(err, SC_E_NOMEM, "no memory for a normalizer");
	normalizer->steps = steps;
	for (size_t i = 0; i < steps.n && !status; i++) {
		const struct gguf_string text = steps.steps[i].args[0].text;

		status = check_step(&steps.steps[i], err);
		if (!status && steps.steps[i].kind == NORMALIZE_REPLACE_REGEX)
			status = oniguruma_compile(text.data, text.length,
						   &normalizer->patterns[i], err);
		if (!status && steps.steps[i].kind == NORMALIZE_PRECOMPILED)
			status = charsmap_load(&normalizer->rules, gguf, err);
	}
	if (status) {
		normalizer_destroy(normalizer);
		return status;
	}
	*normalizer_out = normalizer;
	return SC_OK;
}

void normalizer_destroy(struct normalizer *normalizer)
{
	if (!normalizer)
		return;
	for (size_t i = 0; i < normalizer->steps.n; i++)
		pattern_destroy(normalizer->patterns[i]);
	free(normalizer);
}

void normalizer_scratch_deinit(struct normalizer_scratch *scratch)
{
	masked_buf_deinit(&scratch->bufs[0]);
	masked_buf_deinit(&scratch->bufs[1]);
	matcher_destroy(scratch->matcher);
}

/* Appends what becomes of one code point: up to 2 others. Returns how many; the code itself if it
 * stays. */
static unsigned map_code(enum pipeline_kind kind, uint32_t code, uint32_t out[2])
{
	out[0] = code;
	switch (kind) {
	case NORMALIZE_LOWERCASE:
		return unicode_lower(code, out);
	case NORMALIZE_STRIP_ACCENTS:
		return unicode_is_mark(code) ? 0 : 1;
	default:
		return unicode_nmt(code, out);
	}
}

static enum sc_status map_all(const struct run *run)
{
	enum sc_status status = SC_OK;

	for (size_t at = 0; at < run->in.n && !status;) {
		uint32_t code, codes[2];
		const size_t n = unicode_read(run->in.data + at, run->in.n - at, &code);
		unsigned n_codes;

		if (!n) {	/* not UTF-8 */
			status = masked_buf_copy(run->out, run->in, at, at + 1);
			at++;
			continue;
		}
		n_codes = map_code(run->step->kind, code, codes);
		for (unsigned i = 0; i < n_codes && !status; i++) {
			char bytes[UTF8_MAX_BYTES];

			status = masked_buf_make(run->out, bytes, unicode_write(codes[i], bytes),
						 masked_text_allows(run->in, at, at + n));
		}
		at += n;
	}
	return status;
}

static enum sc_status strip(const struct run *run)
{
	size_t begin = 0, end = run->in.n;

	if (run->step->args[0].number)
		begin = unicode_space_at_start(run->in.data, run->in.n);
	if (run->step->args[1].number && begin < end)
		end -= unicode_space_at_end(run->in.data + begin, end - begin);
	return masked_buf_copy(run->out, run->in, begin, end);
}

static enum sc_status prepend(const struct run *run)
{
	const struct gguf_string text = run->step->args[0].text;
	enum sc_status status = SC_OK;

	if (run->in.n)
		status = masked_buf_make(run->out, text.data, text.length, true);
	return status ? status : masked_buf_copy(run->out, run->in, 0, run->in.n);
}

static enum sc_status replace(const struct run *run)
{
	const struct gguf_string text = run->step->args[0].text, by = run->step->args[1].text;
	size_t at = 0;
	enum sc_status status = SC_OK;

	while (at < run->in.n && !status) {
		const char *found = memmem(run->in.data + at, run->in.n - at, text.data,
					   text.length);
		const size_t begin = found ? (size_t)(found - run->in.data) : run->in.n;
		const size_t end = found ? begin + text.length : begin;

		status = masked_buf_copy(run->out, run->in, at, begin);
		if (!status && found)
			status = masked_buf_make(run->out, by.data, by.length,
						 masked_text_allows(run->in, begin, end));
		at = end;
	}
	return status;
}

static enum sc_status reserve_matcher(struct normalizer_scratch *scratch, size_t n)
{
	if (scratch->matcher && n <= scratch->n_matcher)
		return SC_OK;
	matcher_destroy(scratch->matcher);
	scratch->matcher = NULL;
	scratch->n_matcher = n;
	return matcher_create(n, &scratch->matcher);
}

/* The matches of a pattern one after the other, as Oniguruma's users find them: an empty match
 * right behind the last match does not count. */
static enum sc_status replace_regex(const struct run *run)
{
	const struct gguf_string by = run->step->args[1].text;
	struct visible_text visible = { .copy = NULL };
	struct pattern_matches matches;
	size_t at = 0, begin, end;
	bool is_found = true;
	enum sc_status status = visible_text_init(&visible, run->in.data, run->in.n);

	if (!status)
		status = reserve_matcher(run->scratch, run->in.n);
	if (!status)
		pattern_matches_init(&matches, run->pattern, run->scratch->matcher, visible.data,
				     run->in.n);
	while (!status && is_found) {
		status = pattern_matches_next(&matches, &is_found, &begin, &end, run->err);
		if (status || !is_found)
			break;
		status = masked_buf_copy(run->out, run->in, at, begin);
		if (!status)
			status = masked_buf_make(run->out, by.data, by.length,
						 masked_text_allows(run->in, begin, end));
		at = end;
	}
	if (!status)
		status = masked_buf_copy(run->out, run->in, at, run->in.n);
	visible_text_deinit(&visible);
	return status;
}

static enum sc_status run_step(const struct run *run)
{
	switch (run->step->kind) {
	case NORMALIZE_NFC:
		return unicode_form_add(FORM_NFC, run->in, run->out);
	case NORMALIZE_NFD:
		return unicode_form_add(FORM_NFD, run->in, run->out);
	case NORMALIZE_NFKC:
		return unicode_form_add(FORM_NFKC, run->in, run->out);
	case NORMALIZE_NFKD:
		return unicode_form_add(FORM_NFKD, run->in, run->out);
	case NORMALIZE_STRIP:
		return strip(run);
	case NORMALIZE_PREPEND:
		return prepend(run);
	case NORMALIZE_REPLACE:
		return replace(run);
	case NORMALIZE_REPLACE_REGEX:
		return replace_regex(run);
	case NORMALIZE_PRECOMPILED:
		return charsmap_add_clusters(run->rules, run->in, run->out);
	default:
		return map_all(run);
	}
}

enum sc_status normalizer_run(const struct normalizer *normalizer, struct masked_text text,
			      struct normalizer_scratch *scratch, struct masked_text *text_out,
			      struct error *err)
{
	for (size_t i = 0; i < normalizer->steps.n; i++) {
		struct masked_buf *out = &scratch->bufs[i % 2];
		const struct run run = {
			.step = &normalizer->steps.steps[i], .pattern = normalizer->patterns[i],
			.rules = &normalizer->rules, .in = text, .out = out,
			.scratch = scratch, .err = err,
		};
		enum sc_status status;

		masked_buf_clear(out, text.mask != NULL);
		status = run_step(&run);
		if (status == SC_E_TOO_LARGE && run.step->kind != NORMALIZE_REPLACE_REGEX)
			error_set(err, status, "text: expected at most %zu bytes after it is "
				  "normalised", MASKED_TEXT_MAX);
		if (status)
			return status;
		text = masked_buf_text(out);
	}
	*text_out = text;
	return SC_OK;
}

static size_t step_shrinks(const struct pipeline_step *step)
{
	switch (step->kind) {
	/* A code point of four bytes can become a letter, with a mark of two bytes. */
	case NORMALIZE_NFC:
	case NORMALIZE_NFD:
	case NORMALIZE_NFKC:
	case NORMALIZE_NFKD:
	case NORMALIZE_LOWERCASE:
		return 4;
	case NORMALIZE_PREPEND:
		return 1;
	case NORMALIZE_REPLACE:
		return !step->args[1].text.length ? 0
		     : (step->args[0].text.length + step->args[1].text.length - 1) /
		       step->args[1].text.length;
	default:
		return 0;
	}
}

size_t normalizer_shrinks(const struct normalizer *normalizer)
{
	size_t factor = 1;

	for (size_t i = 0; i < normalizer->steps.n; i++) {
		factor *= step_shrinks(&normalizer->steps.steps[i]);
		if (factor > UINT16_MAX)
			return 0;
	}
	return factor;
}
