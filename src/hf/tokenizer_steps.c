/* SPDX-License-Identifier: Apache-2.0 */
#include "hf/tokenizer_steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 8	/* of Sequence in Sequence */

static enum sc_status refuse(const struct hf_steps *steps, enum sc_status status,
			     const char *section, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
static enum sc_status refuse(const struct hf_steps *steps, enum sc_status status,
			     const char *section, const char *format, ...)
{
	char message[200];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	return error_set(steps->err, status, "%s: %s: %s", steps->json->file.path, section,
			 message);
}

/* --- writing --- */

static enum sc_status add_bytes(struct hf_steps *steps, const char *bytes, size_t n)
{
	enum sc_status status = buf_add(&steps->strings.bytes, bytes, n);

	return status ? status : string_list_end(&steps->strings);
}

static enum sc_status add_string(struct hf_steps *steps, const char *string)
{
	return add_bytes(steps, string, strlen(string));
}

static enum sc_status add_number(struct hf_steps *steps, uint32_t number)
{
	char digits[16];

	snprintf(digits, sizeof digits, "%u", number);
	return add_string(steps, digits);
}

static enum sc_status add_name(struct hf_steps *steps, enum pipeline_kind kind)
{
	return add_string(steps, pipeline_row(kind)->name);
}

static enum sc_status add_json(struct hf_steps *steps, const json_t *string)
{
	return add_bytes(steps, json_string_value(string), json_string_length(string));
}

/* --- reading --- */

static const char *type_of(const json_t *step)
{
	const char *type = json_string_value(json_object_get(step, "type"));

	return type ? type : "a step without a \"type\"";
}

static bool is_type(const json_t *step, const char *type)
{
	return !strcmp(type_of(step), type);
}

/* A flag of a step. SC_E_FORMAT: it is no boolean. */
static enum sc_status get_flag(const struct hf_steps *steps, const char *section,
			       const json_t *step, const char *name, bool fallback,
			       bool *value_out)
{
	const json_t *value = json_object_get(step, name);

	if (value && !json_is_null(value) && !json_is_boolean(value))
		return refuse(steps, SC_E_FORMAT, section, "%s: expected true or false for \"%s\"",
			      type_of(step), name);
	*value_out = json_is_boolean(value) ? json_is_true(value) : fallback;
	return SC_OK;
}

static enum sc_status get_string(const struct hf_steps *steps, const char *section,
				 const json_t *step, const char *name, const json_t **value_out)
{
	*value_out = json_object_get(step, name);
	if (!json_is_string(*value_out))
		return refuse(steps, SC_E_FORMAT, section, "%s: expected a string for \"%s\"",
			      type_of(step), name);
	return SC_OK;
}

/* Adds a step with flags as its arguments, each with its default. */
struct flag {
	const char *name;
	bool fallback;
};

static enum sc_status add_flags(struct hf_steps *steps, const char *section, const json_t *step,
				enum pipeline_kind kind, const struct flag *flags, size_t n)
{
	enum sc_status status = add_name(steps, kind);

	for (size_t i = 0; i < n && !status; i++) {
		bool value;

		status = get_flag(steps, section, step, flags[i].name, flags[i].fallback, &value);
		if (!status)
			status = add_number(steps, value);
	}
	return status;
}

/* A pattern {"String": ...} or {"Regex": ...}: the kind and the text. */
static enum sc_status add_pattern(struct hf_steps *steps, const char *section, const json_t *step,
				  enum pipeline_kind text_kind, enum pipeline_kind regex_kind)
{
	const json_t *pattern = json_object_get(step, "pattern");
	const json_t *string = json_object_get(pattern, "String");
	const json_t *regex = json_object_get(pattern, "Regex");
	const bool is_text = json_is_string(string);
	enum sc_status status;

	if (!is_text && !json_is_string(regex))
		return refuse(steps, SC_E_FORMAT, section,
			      "%s: expected a \"pattern\" with a \"String\" or a \"Regex\"",
			      type_of(step));
	status = add_name(steps, is_text ? text_kind : regex_kind);
	return status ? status : add_json(steps, is_text ? string : regex);
}

typedef enum sc_status add_step(struct hf_steps *steps, const json_t *step);

/* Adds a step, or all steps of a Sequence. null is no step. */
static enum sc_status add_all(struct hf_steps *steps, const char *section, const json_t *step,
			      const char *list_name, add_step *add, unsigned depth)
{
	const json_t *list = json_object_get(step, list_name);
	enum sc_status status = SC_OK;

	if (!step || json_is_null(step))
		return SC_OK;
	if (!json_is_object(step))
		return refuse(steps, SC_E_FORMAT, section, "expected an object");
	if (!is_type(step, "Sequence"))
		return add(steps, step);
	if (!json_is_array(list) || depth == MAX_DEPTH)
		return refuse(steps, SC_E_FORMAT, section, "Sequence: expected a list \"%s\", at "
			      "most %d in each other", list_name, MAX_DEPTH);
	for (size_t i = 0; i < json_array_size(list) && !status; i++)
		status = add_all(steps, section, json_array_get(list, i), list_name, add,
				 depth + 1);
	return status;
}

/* --- normalizers --- */

static enum sc_status add_replace(struct hf_steps *steps, const json_t *step)
{
	const json_t *content;
	enum sc_status status = add_pattern(steps, "normalizer", step, NORMALIZE_REPLACE,
					    NORMALIZE_REPLACE_REGEX);

	if (!status)
		status = get_string(steps, "normalizer", step, "content", &content);
	return status ? status : add_json(steps, content);
}

static enum sc_status add_prepend(struct hf_steps *steps, const json_t *step)
{
	const json_t *text;
	enum sc_status status = get_string(steps, "normalizer", step, "prepend", &text);

	if (!status)
		status = add_name(steps, NORMALIZE_PREPEND);
	if (status)
		return status;
	steps->prepends_space = true;
	return add_json(steps, text);
}

static enum sc_status add_precompiled(struct hf_steps *steps, const json_t *step)
{
	const json_t *map = json_object_get(step, "precompiled_charsmap");

	if (!map || json_is_null(map))
		return SC_OK;
	if (!json_is_string(map) || steps->charsmap)
		return refuse(steps, SC_E_FORMAT, "normalizer",
			      "Precompiled: expected one \"precompiled_charsmap\" in base64");
	steps->charsmap = json_string_value(map);
	return add_name(steps, NORMALIZE_PRECOMPILED);
}

static enum sc_status add_normalizer(struct hf_steps *steps, const json_t *step)
{
	static const struct flag strip[] = { { "strip_left", true }, { "strip_right", true } };
	static const struct {
		const char *type;
		enum pipeline_kind kind;
	} plain[] = {
		{ "NFC", NORMALIZE_NFC }, { "NFD", NORMALIZE_NFD }, { "NFKC", NORMALIZE_NFKC },
		{ "NFKD", NORMALIZE_NFKD }, { "Lowercase", NORMALIZE_LOWERCASE },
		{ "StripAccents", NORMALIZE_STRIP_ACCENTS }, { "Nmt", NORMALIZE_NMT },
	};

	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		if (is_type(step, plain[i].type))
			return add_name(steps, plain[i].kind);
	if (is_type(step, "Strip"))
		return add_flags(steps, "normalizer", step, NORMALIZE_STRIP, strip, 2);
	if (is_type(step, "Replace"))
		return add_replace(steps, step);
	if (is_type(step, "Prepend"))
		return add_prepend(steps, step);
	if (is_type(step, "Precompiled"))
		return add_precompiled(steps, step);
	return refuse(steps, SC_E_UNSUPPORTED, "normalizer", "%s is not supported",
		      type_of(step));
}

/* --- pre-tokenizers --- */

static enum sc_status add_behavior(struct hf_steps *steps, const json_t *step,
				   const char *fallback)
{
	static const char *const names[] = {
		[SPLIT_REMOVED] = "Removed", [SPLIT_ISOLATED] = "Isolated",
		[SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
		[SPLIT_MERGED_WITH_NEXT] = "MergedWithNext", [SPLIT_CONTIGUOUS] = "Contiguous",
	};
	const json_t *value = json_object_get(step, "behavior");
	const char *name = value ? json_string_value(value) : fallback;

	for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			return add_string(steps, split_behavior_name((enum split_behavior)i));
	return refuse(steps, SC_E_FORMAT, "pre_tokenizer", "%s: expected a \"behavior\"",
		      type_of(step));
}

static enum sc_status add_split(struct hf_steps *steps, const json_t *step)
{
	bool is_inverted;
	enum sc_status status = add_pattern(steps, "pre_tokenizer", step, SPLIT_TEXT,
					    SPLIT_REGEX);

	if (!status)
		status = add_behavior(steps, step, NULL);
	if (!status)
		status = get_flag(steps, "pre_tokenizer", step, "invert", false, &is_inverted);
	return status ? status : add_number(steps, is_inverted);
}

/* Metaspace says where a space is put in front; older files only whether. */
static enum sc_status get_scheme(const struct hf_steps *steps, const char *section,
				 const json_t *step, enum prepend_scheme *scheme_out)
{
	const json_t *value = json_object_get(step, "prepend_scheme");
	bool adds;
	enum sc_status status = get_flag(steps, section, step, "add_prefix_space", true, &adds);

	if (status)
		return status;
	*scheme_out = adds ? PREPEND_ALWAYS : PREPEND_NEVER;
	if (!value || json_is_null(value))
		return SC_OK;
	for (unsigned i = PREPEND_ALWAYS; i <= PREPEND_NEVER && json_is_string(value); i++)
		if (!strcmp(json_string_value(value), prepend_scheme_name(i))) {
			*scheme_out = (enum prepend_scheme)i;
			return SC_OK;
		}
	return refuse(steps, SC_E_FORMAT, section, "Metaspace: expected \"prepend_scheme\" to be "
		      "always, first or never");
}

static enum sc_status add_metaspace(struct hf_steps *steps, const char *section,
				    const json_t *step, enum pipeline_kind kind,
				    enum prepend_scheme *scheme_out)
{
	const json_t *replacement;
	enum sc_status status = get_string(steps, section, step, "replacement", &replacement);

	if (!status)
		status = get_scheme(steps, section, step, scheme_out);
	if (!status)
		status = add_name(steps, kind);
	if (!status)
		status = add_json(steps, replacement);
	return status ? status : add_string(steps, prepend_scheme_name(*scheme_out));
}

static enum sc_status add_metaspace_split(struct hf_steps *steps, const json_t *step)
{
	enum prepend_scheme scheme;
	bool splits;
	enum sc_status status = add_metaspace(steps, "pre_tokenizer", step, SPLIT_METASPACE,
					      &scheme);

	if (!status)
		status = get_flag(steps, "pre_tokenizer", step, "split", true, &splits);
	if (status)
		return status;
	steps->prepends_space = steps->prepends_space || scheme != PREPEND_NEVER;
	return add_number(steps, splits);
}

static enum sc_status add_punctuation(struct hf_steps *steps, const json_t *step)
{
	enum sc_status status = add_name(steps, SPLIT_PUNCTUATION);

	return status ? status : add_behavior(steps, step, "Isolated");
}

/* Splits at a character, which is left out. */
static enum sc_status add_delimiter(struct hf_steps *steps, const json_t *step)
{
	const json_t *delimiter;
	enum sc_status status = get_string(steps, "pre_tokenizer", step, "delimiter", &delimiter);

	if (!status)
		status = add_name(steps, SPLIT_TEXT);
	if (!status)
		status = add_json(steps, delimiter);
	if (!status)
		status = add_string(steps, split_behavior_name(SPLIT_REMOVED));
	return status ? status : add_number(steps, false);
}

static enum sc_status add_pre_tokenizer(struct hf_steps *steps, const json_t *step)
{
	static const struct flag byte_level[] = {
		{ "add_prefix_space", true }, { "use_regex", true },
	};
	static const struct flag digits[] = { { "individual_digits", false } };

	if (is_type(step, "Split"))
		return add_split(steps, step);
	if (is_type(step, "Metaspace"))
		return add_metaspace_split(steps, step);
	if (is_type(step, "Punctuation"))
		return add_punctuation(steps, step);
	if (is_type(step, "CharDelimiterSplit"))
		return add_delimiter(steps, step);
	if (is_type(step, "Digits"))
		return add_flags(steps, "pre_tokenizer", step, SPLIT_DIGITS, digits, 1);
	if (is_type(step, "Whitespace"))
		return add_name(steps, SPLIT_WHITESPACE);
	if (is_type(step, "WhitespaceSplit"))
		return add_name(steps, SPLIT_WHITESPACE_ONLY);
	if (is_type(step, "BertPreTokenizer"))
		return add_name(steps, SPLIT_BERT);
	if (is_type(step, "ByteLevel")) {
		steps->is_byte_level = true;
		return add_flags(steps, "pre_tokenizer", step, SPLIT_BYTE_LEVEL, byte_level, 2);
	}
	return refuse(steps, SC_E_UNSUPPORTED, "pre_tokenizer", "%s is not supported",
		      type_of(step));
}

/* --- model --- */

static bool is_empty(const json_t *value)
{
	return !value || json_is_null(value) ||
	       (json_is_string(value) && !json_string_length(value)) ||
	       (json_is_number(value) && json_number_value(value) == 0);
}

static enum sc_status add_bpe(struct hf_steps *steps, const json_t *model)
{
	static const char *const refused[] = {
		"dropout", "continuing_subword_prefix", "end_of_word_suffix",
	};
	static const struct flag flags[] = {
		{ "fuse_unk", false }, { "byte_fallback", false }, { "ignore_merges", false },
	};
	const json_t *unknown = json_object_get(model, "unk_token");
	enum sc_status status = add_name(steps, MODEL_BPE);

	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (!is_empty(json_object_get(model, refused[i])))
			return refuse(steps, SC_E_UNSUPPORTED, "model", "BPE with \"%s\" is not "
				      "supported", refused[i]);
	if (json_is_string(unknown))
		steps->unknown = (struct gguf_string){
			.data = json_string_value(unknown), .length = json_string_length(unknown),
		};
	if (!status)
		status = add_number(steps, steps->unknown.length > 0);
	for (size_t i = 0; i < sizeof flags / sizeof *flags && !status; i++) {
		bool value;

		status = get_flag(steps, "model", model, flags[i].name, flags[i].fallback, &value);
		if (!status)
			status = add_number(steps, value);
		if (!status && i == 1)
			steps->falls_back = value;
		if (!status && i == 2)
			steps->ignores_merges = value;
	}
	steps->model = MODEL_BPE;
	return status;
}

static enum sc_status add_unigram(struct hf_steps *steps, const json_t *model)
{
	const json_t *unknown = json_object_get(model, "unk_id");
	enum sc_status status = add_name(steps, MODEL_UNIGRAM);

	if (json_is_integer(unknown) && json_integer_value(unknown) >= 0 &&
	    (size_t)json_integer_value(unknown) < steps->json->texts.n)
		steps->unknown = string_list_get(&steps->json->texts,
					       (size_t)json_integer_value(unknown));
	if (!status)
		status = get_flag(steps, "model", model, "byte_fallback", false,
				  &steps->falls_back);
	steps->model = MODEL_UNIGRAM;
	return status ? status : add_number(steps, steps->falls_back);
}

/* Old files do not name the type. */
static enum sc_status add_model(struct hf_steps *steps, const json_t *model)
{
	const json_t *type = json_object_get(model, "type");

	if (!json_is_object(model))
		return refuse(steps, SC_E_FORMAT, "model", "expected an object");
	if (type ? is_type(model, "BPE") : steps->json->merges_at != 0)
		return add_bpe(steps, model);
	if (type ? is_type(model, "Unigram") : steps->json->scores != NULL)
		return add_unigram(steps, model);
	return refuse(steps, SC_E_UNSUPPORTED, "model", "%s is not supported; BPE and Unigram are",
		      type ? type_of(model) : "this model");
}

/* --- post-processors --- */

static enum sc_status put_template(struct hf_steps *steps, const uint32_t *before,
				   size_t n_before, const uint32_t *behind, size_t n_behind)
{
	if (steps->n_before + n_before > STEPS_MAX_TEMPLATE ||
	    steps->n_behind + n_behind > STEPS_MAX_TEMPLATE)
		return refuse(steps, SC_E_UNSUPPORTED, "post_processor", "more than %d tokens",
			      STEPS_MAX_TEMPLATE);
	/* What comes later stands further outside. */
	memmove(steps->before + n_before, steps->before,
		steps->n_before * sizeof steps->before[0]);
	memcpy(steps->before, before, n_before * sizeof before[0]);
	memcpy(steps->behind + steps->n_behind, behind, n_behind * sizeof behind[0]);
	steps->n_before += n_before;
	steps->n_behind += n_behind;
	return SC_OK;
}

/* ["TEXT", ID] */
static enum sc_status put_pair(struct hf_steps *steps, const json_t *step)
{
	const json_t *cls = json_array_get(json_object_get(step, "cls"), 1);
	const json_t *sep = json_array_get(json_object_get(step, "sep"), 1);
	uint32_t before, behind;

	if (!json_is_integer(cls) || !json_is_integer(sep))
		return refuse(steps, SC_E_FORMAT, "post_processor",
			      "%s: expected \"cls\" and \"sep\" with ids", type_of(step));
	before = (uint32_t)json_integer_value(cls);
	behind = (uint32_t)json_integer_value(sep);
	return put_template(steps, &before, 1, &behind, 1);
}

/* The ids of a special token of a template. */
static enum sc_status get_ids(const struct hf_steps *steps, const json_t *step,
			      const json_t *part, uint32_t ids[STEPS_MAX_TEMPLATE], size_t *n)
{
	const char *name = json_string_value(json_object_get(part, "id"));
	const json_t *tokens = json_object_get(step, "special_tokens");
	const json_t *list = json_object_get(json_object_get(tokens, name ? name : ""), "ids");
	size_t i;
	const json_t *id;

	if (!json_is_array(list))
		return refuse(steps, SC_E_FORMAT, "post_processor",
			      "TemplateProcessing: expected the ids of \"%s\" in "
			      "\"special_tokens\"", name ? name : "?");
	json_array_foreach(list, i, id) {
		if (!json_is_integer(id) || *n == STEPS_MAX_TEMPLATE)
			return refuse(steps, SC_E_UNSUPPORTED, "post_processor",
				      "TemplateProcessing: expected at most %d ids",
				      STEPS_MAX_TEMPLATE);
		ids[(*n)++] = (uint32_t)json_integer_value(id);
	}
	return SC_OK;
}

static enum sc_status put_single(struct hf_steps *steps, const json_t *step)
{
	const json_t *single = json_object_get(step, "single"), *part;
	uint32_t ids[2][STEPS_MAX_TEMPLATE];
	size_t n[2] = { 0, 0 }, n_texts = 0, i;
	enum sc_status status = SC_OK;

	json_array_foreach(single, i, part) {
		const json_t *special = json_object_get(part, "SpecialToken");

		if (special)
			status = get_ids(steps, step, special, ids[n_texts > 0],
					 &n[n_texts > 0]);
		else
			n_texts++;
		if (status)
			return status;
	}
	if (n_texts != 1)
		return refuse(steps, SC_E_UNSUPPORTED, "post_processor", "TemplateProcessing: "
			      "expected \"single\" with one text, found %zu", n_texts);
	return put_template(steps, ids[0], n[0], ids[1], n[1]);
}

static enum sc_status add_post_processor(struct hf_steps *steps, const json_t *step)
{
	if (is_type(step, "ByteLevel"))
		return SC_OK;
	if (is_type(step, "TemplateProcessing"))
		return put_single(steps, step);
	if (is_type(step, "RobertaProcessing") || is_type(step, "BertProcessing"))
		return put_pair(steps, step);
	return refuse(steps, SC_E_UNSUPPORTED, "post_processor", "%s is not supported",
		      type_of(step));
}

/* --- decoders --- */

static enum sc_status add_decode_replace(struct hf_steps *steps, const json_t *step)
{
	const json_t *pattern = json_object_get(json_object_get(step, "pattern"), "String");
	const json_t *content;
	enum sc_status status = get_string(steps, "decoder", step, "content", &content);

	if (status)
		return status;
	if (!json_is_string(pattern))
		return refuse(steps, SC_E_UNSUPPORTED, "decoder",
			      "Replace: only a \"String\" is supported as a pattern");
	status = add_name(steps, DECODE_REPLACE);
	if (!status)
		status = add_json(steps, pattern);
	return status ? status : add_json(steps, content);
}

static enum sc_status add_decode_strip(struct hf_steps *steps, const json_t *step)
{
	static const char *const names[] = { "start", "stop" };
	const json_t *content;
	enum sc_status status = get_string(steps, "decoder", step, "content", &content);

	if (!status)
		status = add_name(steps, DECODE_STRIP);
	if (!status)
		status = add_json(steps, content);
	for (size_t i = 0; i < 2 && !status; i++) {
		const json_int_t n = json_integer_value(json_object_get(step, names[i]));

		if (n < 0 || n > UINT16_MAX)
			return refuse(steps, SC_E_FORMAT, "decoder",
				      "Strip: expected a count for \"%s\"", names[i]);
		status = add_number(steps, (uint32_t)n);
	}
	return status;
}

static enum sc_status add_decoder(struct hf_steps *steps, const json_t *step)
{
	enum prepend_scheme scheme;

	if (is_type(step, "ByteLevel"))
		return add_name(steps, DECODE_BYTE_LEVEL);
	if (is_type(step, "ByteFallback"))
		return add_name(steps, DECODE_BYTE_FALLBACK);
	if (is_type(step, "Fuse"))
		return add_name(steps, DECODE_FUSE);
	if (is_type(step, "Metaspace"))
		return add_metaspace(steps, "decoder", step, DECODE_METASPACE, &scheme);
	if (is_type(step, "Replace"))
		return add_decode_replace(steps, step);
	if (is_type(step, "Strip"))
		return add_decode_strip(steps, step);
	return refuse(steps, SC_E_UNSUPPORTED, "decoder", "%s is not supported", type_of(step));
}

/* --- all of it --- */

static enum sc_status read_all(struct hf_steps *steps)
{
	const json_t *root = steps->json->root;
	enum sc_status status = add_string(steps, PIPELINE_VERSION);

	if (!status)
		status = add_all(steps, "normalizer", json_object_get(root, "normalizer"),
				 "normalizers", add_normalizer, 0);
	steps->split_begin = steps->strings.n;
	if (!status)
		status = add_all(steps, "pre_tokenizer", json_object_get(root, "pre_tokenizer"),
				 "pretokenizers", add_pre_tokenizer, 0);
	steps->split_end = steps->strings.n;
	if (!status)
		status = add_model(steps, json_object_get(root, "model"));
	if (!status)
		status = add_all(steps, "post_processor", json_object_get(root, "post_processor"),
				 "processors", add_post_processor, 0);
	return status;
}

static enum sc_status note_nomem(const struct hf_steps *steps, enum sc_status status)
{
	return status == SC_E_NOMEM ? error_set(steps->err, status, "%s: no memory",
						steps->json->file.path) : status;
}

enum sc_status hf_steps_read(struct hf_steps *steps, const struct tokenizer_json *json,
			     struct error *err)
{
	*steps = (struct hf_steps){
		.json = json, .err = err, .strings = { .bytes = BUF_INIT },
	};
	return note_nomem(steps, read_all(steps));
}

void hf_steps_deinit(struct hf_steps *steps)
{
	string_list_deinit(&steps->strings);
}

static enum sc_status add_ids(struct hf_steps *steps, enum pipeline_kind kind,
			      const uint32_t *ids, size_t n, size_t n_vocab)
{
	enum sc_status status = SC_OK;

	for (size_t i = 0; i < n && !status; i++) {
		if (ids[i] >= n_vocab)
			return refuse(steps, SC_E_FORMAT, "post_processor", "expected ids below "
				      "%zu, the rows of the embedding, found %u", n_vocab, ids[i]);
		status = add_name(steps, kind);
		if (!status)
			status = add_number(steps, ids[i]);
	}
	return status;
}

enum sc_status hf_steps_end(struct hf_steps *steps, size_t n_vocab)
{
	enum sc_status status = add_ids(steps, TEMPLATE_BEFORE, steps->before, steps->n_before,
					n_vocab);

	if (!status)
		status = add_ids(steps, TEMPLATE_BEHIND, steps->behind, steps->n_behind, n_vocab);
	if (!status)
		status = add_all(steps, "decoder", json_object_get(steps->json->root, "decoder"),
				 "decoders", add_decoder, 0);
	return note_nomem(steps, status);
}

enum sc_status hf_steps_add_token(struct hf_steps *steps, uint32_t id, unsigned flags,
				  const char *content, size_t length)
{
	enum sc_status status = add_name(steps, ADDED_TOKEN);

	if (!status)
		status = add_number(steps, id);
	if (!status)
		status = add_number(steps, flags);
	if (!status)
		status = add_bytes(steps, content, length);
	return note_nomem(steps, status);
}
