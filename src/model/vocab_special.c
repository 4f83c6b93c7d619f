/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Special tokens: begin and end of text, unknown, ends of generation. Files name some of them by
 * id. Others are known only by their text, and many files give them a wrong type. Names and
 * defaults are llama.cpp's, so that generation ends at the same tokens.
 */
#include "model/vocab.h"

#include "model/special_trie.h"
#include "model/spm_normalizer.h"

#include <ctype.h>
#include <string.h>

#define KEY(name) "tokenizer.ggml." name

/* Texts that always end generation. Such a token is a control token whatever the file says, because
 * otherwise a prompt could end the answer by quoting it. */
static const char *const end_names[] = {
	"<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>",
	"<|return|>", "<|call|>", "<|calls|>", "<|flush|>", "<end_of_turn>", "<end_of_utterance>",
	"<turn|>", "<|tool_response>", "[e~[", "<\uFF5Cend\u2581of\u2581sentence\uFF5C>",
	"<|fim_pad|>", "<|fim_repo|>", "<|repo_name|>", "<|file_sep|>",
};

/* Texts that end generation unless the file marks them as normal, because in other vocabularies
 * they are plain text. */
static const char *const ambiguous_end_names[] = {
	"</s>", "<eos>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
	"<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]", "<fim-repo>", "<REPO>", "<reponame>",
};

static const char *const end_keys[] = {
	KEY("eos_token_id"), KEY("eot_token_id"), KEY("eom_token_id"),
	KEY("fim_pad_token_id"), KEY("fim_rep_token_id"), KEY("fim_sep_token_id"),
};

static bool is_text(const struct vocab *vocab, size_t i, const char *text)
{
	return gguf_string_is(gguf_array_string(&vocab->texts, i), text);
}

/* Returns the token with this text, or TOKEN_NONE. */
static uint32_t find_text(const struct vocab *vocab, const char *text)
{
	for (size_t i = 0; i < vocab->n; i++)
		if (is_text(vocab, i, text))
			return (uint32_t)i;
	return TOKEN_NONE;
}

/* Reads an optional id. A missing id becomes fallback, if the vocabulary is large enough; 2^32 - 1
 * means none. */
static enum sc_status get_id(const struct vocab *vocab, const struct gguf *gguf, const char *key,
			     uint32_t fallback, uint32_t *id_out, struct error *err)
{
	uint32_t id = fallback < vocab->n ? fallback : TOKEN_NONE;
	enum sc_status status = SC_OK;

	if (gguf_has(gguf, key))
		status = gguf_get_u32(gguf, key, &id, err);
	if (status)
		return status;
	if (id != TOKEN_NONE && id >= vocab->n)
		return gguf_key_error(gguf, key, SC_E_FORMAT, err,
				      "expected an id below %zu, found %u", vocab->n, id);
	*id_out = id;
	return SC_OK;
}

/* Reads an optional flag. true requires that the token to add exists. */
static enum sc_status get_adds(const struct gguf *gguf, const char *key, const char *id_key,
			       uint32_t id, bool *adds, struct error *err)
{
	enum sc_status status = SC_OK;

	if (gguf_has(gguf, key))
		status = gguf_get_bool(gguf, key, adds, err);
	if (!status && *adds && id == TOKEN_NONE)
		return gguf_key_error(gguf, id_key, SC_E_FORMAT, err,
				      "expected a token's id, as '%s' holds, found none", key);
	return status;
}

static bool is_one_of(const struct vocab *vocab, size_t i, const char *const *names,
		      size_t n_names)
{
	for (size_t k = 0; k < n_names; k++)
		if (is_text(vocab, i, names[k]))
			return true;
	return false;
}

static void mark_ends_by_name(struct vocab *vocab, bool has_types)
{
	for (size_t i = 0; i < vocab->n; i++) {
		struct gguf_string text = gguf_array_string(&vocab->texts, i);
		bool is_certain;

		/* All names are at most 32 bytes long and start with one of these. */
		if (!text.length || text.length > 32 || !memchr("<[_", text.data[0], 3))
			continue;
		is_certain = is_one_of(vocab, i, end_names, sizeof end_names / sizeof *end_names);
		if (!is_certain && ((has_types && vocab->types[i] == VOCAB_NORMAL) ||
				    !is_one_of(vocab, i, ambiguous_end_names,
					       sizeof ambiguous_end_names /
					       sizeof *ambiguous_end_names)))
			continue;
		vocab->flags[i] |= VOCAB_IS_END;
		vocab->types[i] = VOCAB_CONTROL;
	}
}

static bool has_end(const struct vocab *vocab, const char *text)
{
	return find_text(vocab, text) != TOKEN_NONE;
}

/* Handles two families in which a name of the list means something else. */
static void unmark_exceptions(struct vocab *vocab)
{
	uint32_t end = find_text(vocab, "<|end|>");
	uint32_t slash = find_text(vocab, "</s>");
	bool has_call = has_end(vocab, "<|call|>") || has_end(vocab, "<|calls|>");

	/* Harmony: <|end|> closes only one message of an answer. */
	if (end != TOKEN_NONE && has_call &&
	    (has_end(vocab, "<|return|>") || has_end(vocab, "<|flush|>")))
		vocab->flags[end] &= (uint8_t)~VOCAB_IS_END;
	/* Gemma 4: </s> is an HTML tag. */
	if (slash != TOKEN_NONE && has_end(vocab, "<|tool_response>")) {
		vocab->flags[slash] &= (uint8_t)~VOCAB_IS_END;
		vocab->types[slash] = VOCAB_NORMAL;
	}
}

/* Phi-3's special tokens swallow the white space after them. The file does not say so; only the
 * model's name tells. */
static void mark_space_eaters(struct vocab *vocab, const struct gguf *gguf)
{
	static const char *const others[] = { "<unk>", "<s>", "<|endoftext|>" };
	struct gguf_string name;
	char lower[64] = "";

	if (!gguf_has(gguf, "general.name") ||
	    gguf_get_string(gguf, "general.name", &name, NULL))
		return;
	for (size_t i = 0; i < name.length && i < sizeof lower - 1; i++)
		lower[i] = (char)tolower((unsigned char)name.data[i]);
	if (!strstr(lower, "phi-3") && !strstr(lower, "phi3"))
		return;
	for (size_t i = 0; i < vocab->n; i++) {
		if (!is_one_of(vocab, i, others, sizeof others / sizeof *others) &&
		    vocab->types[i] >= VOCAB_UNKNOWN &&
		    vocab->types[i] <= VOCAB_USER_DEFINED)
			vocab->flags[i] |= VOCAB_EATS_SPACE;
	}
}

static enum sc_status mark_listed_ends(struct vocab *vocab, const struct gguf *gguf,
				       struct error *err)
{
	struct gguf_array ids = { .n = 0 };
	enum sc_status status = SC_OK;

	if (gguf_has(gguf, KEY_END_IDS))
		status = gguf_get_array(gguf, KEY_END_IDS, &ids, err);
	if (status)
		return status;
	if (ids.type != GGUF_U32 && ids.n)
		return gguf_key_error(gguf, KEY_END_IDS, SC_E_FORMAT, err,
				      "expected numbers of type u32");
	for (size_t i = 0; i < ids.n; i++) {
		double id = gguf_array_number(&ids, i);

		if (id >= (double)vocab->n)
			return gguf_key_error(gguf, KEY_END_IDS, SC_E_FORMAT, err,
					      "expected ids below %zu, found %.0f", vocab->n, id);
		vocab->flags[(size_t)id] |= VOCAB_IS_END;
	}
	return SC_OK;
}

static enum sc_status mark_ends_by_id(struct vocab *vocab, const struct gguf *gguf,
				      struct error *err)
{
	for (size_t k = 0; k < sizeof end_keys / sizeof *end_keys; k++) {
		uint32_t id = TOKEN_NONE;
		enum sc_status status = get_id(vocab, gguf, end_keys[k], TOKEN_NONE, &id, err);

		if (status)
			return status;
		if (id != TOKEN_NONE)
			vocab->flags[id] |= VOCAB_IS_END;
	}
	if (vocab->eos != TOKEN_NONE)
		vocab->flags[vocab->eos] |= VOCAB_IS_END;
	return mark_listed_ends(vocab, gguf, err);
}

bool vocab_needs_leave(const struct vocab *vocab, uint32_t token)
{
	return vocab->flags[token] & VOCAB_IS_END ||
	       special_looks_like_control(gguf_array_string(&vocab->texts, token));
}

bool vocab_is_symbol(const struct vocab *vocab, uint32_t token)
{
	return vocab->has_symbols && vocab->types[token] == VOCAB_USER_DEFINED &&
	       !vocab_needs_leave(vocab, token);
}

/* Reads how spaces are treated. SentencePiece's unigram files say so; "llama" files add a space in
 * front unless they say otherwise. */
static enum sc_status load_spaces(struct vocab *vocab, const struct gguf *gguf, struct error *err)
{
	enum sc_status status = SC_OK;

	if (vocab->family == VOCAB_BPE || vocab->family == VOCAB_TEXT)
		return SC_OK;
	vocab->adds_space_prefix = vocab->family == VOCAB_SPM;
	vocab->has_symbols = vocab->family == VOCAB_UNIGRAM || spm_normalizer_is_needed(gguf);
	if (gguf_has(gguf, KEY("add_space_prefix")))
		status = gguf_get_bool(gguf, KEY("add_space_prefix"), &vocab->adds_space_prefix,
				       err);
	if (!status && gguf_has(gguf, KEY("remove_extra_whitespaces")))
		status = gguf_get_bool(gguf, KEY("remove_extra_whitespaces"),
				       &vocab->drops_spaces, err);
	return status;
}

/* The ids of "llama" and "t5" files that name none. Byte-level vocabularies have no common
 * defaults. */
static const struct {
	uint32_t bos, eos, unknown;
} default_ids[] = {
	[VOCAB_SPM] = { 1, 2, 0 },
	[VOCAB_BPE] = { TOKEN_NONE, TOKEN_NONE, TOKEN_NONE },
	[VOCAB_TEXT] = { TOKEN_NONE, TOKEN_NONE, TOKEN_NONE },
	[VOCAB_UNIGRAM] = { TOKEN_NONE, 1, 2 },
};

enum sc_status vocab_load_special(struct vocab *vocab, bool adds_bos, const struct gguf *gguf,
				  struct error *err)
{
	const uint32_t bos = default_ids[vocab->family].bos;
	const uint32_t eos = default_ids[vocab->family].eos;
	const uint32_t unknown = default_ids[vocab->family].unknown;
	enum sc_status status;
	bool adds_eos = false;

	vocab->adds_bos = adds_bos;
	status = get_id(vocab, gguf, KEY("bos_token_id"), bos, &vocab->bos, err);
	if (!status)
		status = get_id(vocab, gguf, KEY("eos_token_id"), eos, &vocab->eos, err);
	if (!status)
		status = get_id(vocab, gguf, KEY("unknown_token_id"), unknown, &vocab->unknown,
				err);
	if (!status)
		status = get_adds(gguf, KEY("add_bos_token"), KEY("bos_token_id"), vocab->bos,
				  &vocab->adds_bos, err);
	if (!status)
		status = get_adds(gguf, KEY("add_eos_token"), KEY("eos_token_id"), vocab->eos,
				  &adds_eos, err);	/* checked, not followed */
	if (!status)
		status = load_spaces(vocab, gguf, err);
	if (status)
		return status;
	mark_ends_by_name(vocab, gguf_has(gguf, KEY("token_type")));
	unmark_exceptions(vocab);
	mark_space_eaters(vocab, gguf);
	return mark_ends_by_id(vocab, gguf, err);
}
