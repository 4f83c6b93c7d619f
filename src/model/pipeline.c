/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pipeline.h"

#include "model/quote.h"

#include <stdlib.h>
#include <string.h>

static const struct pipeline_row rows[] = {
	[NORMALIZE_NFC] = { "normalize.nfc", "", SECTION_NORMALIZE },
	[NORMALIZE_NFD] = { "normalize.nfd", "", SECTION_NORMALIZE },
	[NORMALIZE_NFKC] = { "normalize.nfkc", "", SECTION_NORMALIZE },
	[NORMALIZE_NFKD] = { "normalize.nfkd", "", SECTION_NORMALIZE },
	[NORMALIZE_LOWERCASE] = { "normalize.lowercase", "", SECTION_NORMALIZE },
	[NORMALIZE_STRIP] = { "normalize.strip", "bb", SECTION_NORMALIZE },
	[NORMALIZE_STRIP_ACCENTS] = { "normalize.strip_accents", "", SECTION_NORMALIZE },
	[NORMALIZE_NMT] = { "normalize.nmt", "", SECTION_NORMALIZE },
	[NORMALIZE_PREPEND] = { "normalize.prepend", "s", SECTION_NORMALIZE },
	[NORMALIZE_REPLACE] = { "normalize.replace", "ss", SECTION_NORMALIZE },
	[NORMALIZE_REPLACE_REGEX] = { "normalize.replace_regex", "ss", SECTION_NORMALIZE },
	[NORMALIZE_PRECOMPILED] = { "normalize.precompiled", "", SECTION_NORMALIZE },

	[SPLIT_TEXT] = { "split.text", "sdb", SECTION_SPLIT },
	[SPLIT_REGEX] = { "split.regex", "sdb", SECTION_SPLIT },
	[SPLIT_BYTE_LEVEL] = { "split.byte_level", "bb", SECTION_SPLIT },
	[SPLIT_DIGITS] = { "split.digits", "b", SECTION_SPLIT },
	[SPLIT_METASPACE] = { "split.metaspace", "spb", SECTION_SPLIT },
	[SPLIT_WHITESPACE] = { "split.whitespace", "", SECTION_SPLIT },
	[SPLIT_WHITESPACE_ONLY] = { "split.whitespace_only", "", SECTION_SPLIT },
	[SPLIT_PUNCTUATION] = { "split.punctuation", "d", SECTION_SPLIT },
	[SPLIT_BERT] = { "split.bert", "", SECTION_SPLIT },

	[MODEL_BPE] = { "model.bpe", "bbbb", SECTION_MODEL },
	[MODEL_UNIGRAM] = { "model.unigram", "b", SECTION_MODEL },

	[TEMPLATE_BEFORE] = { "template.before", "u", SECTION_TEMPLATE },
	[TEMPLATE_BEHIND] = { "template.behind", "u", SECTION_TEMPLATE },

	[DECODE_BYTE_LEVEL] = { "decode.byte_level", "", SECTION_DECODE },
	[DECODE_BYTE_FALLBACK] = { "decode.byte_fallback", "", SECTION_DECODE },
	[DECODE_FUSE] = { "decode.fuse", "", SECTION_DECODE },
	[DECODE_METASPACE] = { "decode.metaspace", "sp", SECTION_DECODE },
	[DECODE_REPLACE] = { "decode.replace", "ss", SECTION_DECODE },
	[DECODE_STRIP] = { "decode.strip", "suu", SECTION_DECODE },

	[ADDED_TOKEN] = { "added", "uus", SECTION_ADDED },
};

#define N_ROWS (sizeof rows / sizeof *rows)

#define MAX_STRINGS 1024	/* without added tokens */
#define ADDED_STRINGS 4		/* strings of an added token */

static const char *const behaviors[] = {
	[SPLIT_REMOVED] = "removed", [SPLIT_ISOLATED] = "isolated",
	[SPLIT_MERGED_WITH_PREVIOUS] = "merged_with_previous",
	[SPLIT_MERGED_WITH_NEXT] = "merged_with_next", [SPLIT_CONTIGUOUS] = "contiguous", NULL,
};

static const char *const schemes[] = {
	[PREPEND_ALWAYS] = "always", [PREPEND_FIRST] = "first", [PREPEND_NEVER] = "never", NULL,
};

const struct pipeline_row *pipeline_row(enum pipeline_kind kind)
{
	return &rows[kind];
}

const char *split_behavior_name(enum split_behavior behavior)
{
	return behaviors[behavior];
}

const char *prepend_scheme_name(enum prepend_scheme scheme)
{
	return schemes[scheme];
}

bool pipeline_is_in(const struct gguf *gguf)
{
	return gguf_has(gguf, PIPELINE_KEY);
}

/* The strings of the key, and where the reader is. */
struct reader {
	const struct gguf *gguf;
	struct gguf_array strings;
	size_t at;
	size_t n_vocab;
	struct error *err;
};

static enum sc_status refuse(const struct reader *reader, size_t at, enum sc_status status,
			     const char *expected)
{
	struct gguf_string found = { .data = "" };

	if (at >= reader->strings.n)
		return gguf_key_error(reader->gguf, PIPELINE_KEY, status, reader->err,
				      "string %zu: expected %s, found the end of the list", at,
				      expected);
	found = gguf_array_string(&reader->strings, at);
	return gguf_key_error(reader->gguf, PIPELINE_KEY, status, reader->err,
			      "string %zu: expected %s, found '%s'", at, expected,
			      quote(found.data, found.length).text);
}

/* One word of a NULL-terminated list. */
static bool read_word(struct gguf_string text, const char *const *words, uint32_t *number_out)
{
	for (uint32_t i = 0; words[i]; i++)
		if (gguf_string_is(text, words[i])) {
			*number_out = i;
			return true;
		}
	return false;
}

static bool read_number(struct gguf_string text, uint32_t *number_out)
{
	uint32_t number = 0;

	if (!text.length || text.length > 9 || (text.length > 1 && text.data[0] == '0'))
		return false;
	for (size_t i = 0; i < text.length; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		number = number * 10 + (uint32_t)(text.data[i] - '0');
	}
	*number_out = number;
	return true;
}

static enum sc_status read_arg(struct reader *reader, char letter, struct pipeline_arg *arg)
{
	const size_t at = reader->at;
	const char *expected = "an argument";
	bool is_good = true;

	if (at >= reader->strings.n)
		return refuse(reader, at, SC_E_FORMAT, expected);
	arg->text = gguf_array_string(&reader->strings, at);
	reader->at++;
	switch (letter) {
	case 'b':
		is_good = read_number(arg->text, &arg->number) && arg->number <= 1;
		expected = "0 or 1";
		break;
	case 'u':
		is_good = read_number(arg->text, &arg->number);
		expected = "a number";
		break;
	case 'd':
		is_good = read_word(arg->text, behaviors, &arg->number);
		expected = "a split behavior";
		break;
	case 'p':
		is_good = read_word(arg->text, schemes, &arg->number);
		expected = "a prepend scheme";
		break;
	default:
		break;
	}
	return is_good ? SC_OK : refuse(reader, at, SC_E_FORMAT, expected);
}

/* What the letters of the arguments do not say. at: of the step's name. */
static enum sc_status check_step(const struct reader *reader, size_t at,
				 const struct pipeline_step *step)
{
	switch (step->kind) {
	case TEMPLATE_BEFORE:
	case TEMPLATE_BEHIND:
	case ADDED_TOKEN:
		if (step->args[0].number >= reader->n_vocab)
			return refuse(reader, at + 1, SC_E_FORMAT, "an id of the vocabulary");
		if (step->kind == ADDED_TOKEN && step->args[1].number > ADDED_ALL_FLAGS)
			return refuse(reader, at + 2, SC_E_FORMAT, "flags of an added token");
		if (step->kind == ADDED_TOKEN && !step->args[2].text.length)
			return refuse(reader, at + 3, SC_E_FORMAT, "the text of an added token");
		return SC_OK;
	default:
		return SC_OK;
	}
}

static enum sc_status read_step(struct reader *reader, struct pipeline_step *step)
{
	const size_t at = reader->at++;
	const struct gguf_string name = gguf_array_string(&reader->strings, at);
	enum sc_status status = SC_OK;
	size_t kind = 0;

	while (kind < N_ROWS && !gguf_string_is(name, rows[kind].name))
		kind++;
	if (kind == N_ROWS)
		return refuse(reader, at, SC_E_UNSUPPORTED, "the name of a step");
	step->kind = (enum pipeline_kind)kind;
	for (size_t i = 0; rows[kind].args[i] && !status; i++)
		status = read_arg(reader, rows[kind].args[i], &step->args[i]);
	return status ? status : check_step(reader, at, step);
}

/* Adds a step to its section. Sections must come in order, with exactly one model. */
static enum sc_status place_step(const struct reader *reader, size_t at, struct pipeline *pipeline,
				 const struct pipeline_step *step,
				 enum pipeline_section *section)
{
	const enum pipeline_section own = rows[step->kind].section;
	struct pipeline_steps *steps = &pipeline->sections[own];

	if (own < *section || (own > SECTION_MODEL && !pipeline->sections[SECTION_MODEL].n))
		return refuse(reader, at, SC_E_FORMAT, "steps in the order of their sections");
	if (own == SECTION_MODEL && steps->n)
		return refuse(reader, at, SC_E_FORMAT, "one model");
	if (own != SECTION_ADDED && steps->n == PIPELINE_MAX_STEPS)
		return refuse(reader, at, SC_E_FORMAT, "fewer steps of this section");
	if (!steps->n)
		steps->steps = step;
	steps->n++;
	*section = own;
	return SC_OK;
}

static enum sc_status read_steps(struct reader *reader, struct pipeline *pipeline)
{
	enum pipeline_section section = SECTION_NORMALIZE;
	struct pipeline_step *step = pipeline->steps;

	while (reader->at < reader->strings.n) {
		const size_t at = reader->at;
		enum sc_status status = read_step(reader, step);

		if (!status)
			status = place_step(reader, at, pipeline, step, &section);
		if (status)
			return status;
		step++;
	}
	if (!pipeline->sections[SECTION_MODEL].n)
		return refuse(reader, reader->at, SC_E_FORMAT, "a model");
	return SC_OK;
}

enum sc_status pipeline_read(struct pipeline *pipeline, const struct gguf *gguf, size_t n_vocab,
			     struct error *err)
{
	struct reader reader = { .gguf = gguf, .at = 1, .n_vocab = n_vocab, .err = err };
	enum sc_status status;

	*pipeline = (struct pipeline){ .steps = NULL };
	status = gguf_get_array(gguf, PIPELINE_KEY, &reader.strings, err);
	if (status)
		return status;
	if (reader.strings.type != GGUF_STRING)
		return gguf_key_error(gguf, PIPELINE_KEY, SC_E_FORMAT, err,
				      "expected an array of strings");
	if (!reader.strings.n || !gguf_string_is(gguf_array_string(&reader.strings, 0), PIPELINE_VERSION))
		return refuse(&reader, 0, SC_E_UNSUPPORTED, "version " PIPELINE_VERSION);
	if (reader.strings.n > MAX_STRINGS + ADDED_STRINGS * n_vocab)
		return refuse(&reader, MAX_STRINGS + ADDED_STRINGS * n_vocab, SC_E_FORMAT,
			      "fewer steps");
	/* Every step has at least one string. */
	pipeline->steps = calloc(reader.strings.n, sizeof pipeline->steps[0]);
	if (!pipeline->steps)
		return error_set(err, SC_E_NOMEM, "no memory for a tokenizer");
	return read_steps(&reader, pipeline);
}

void pipeline_deinit(struct pipeline *pipeline)
{
	free(pipeline->steps);
	*pipeline = (struct pipeline){ .steps = NULL };
}
