/* SPDX-License-Identifier: Apache-2.0 */
#include "model/keys.h"

#include "model/quote.h"

#include <stdio.h>
#include <string.h>

#define KEY_BYTES 128		/* keys of the tables are shorter */

/* The values of a key that do not change the computation. KEY_READ is for keys that every
 * architecture reads. */
enum key_rule {
	KEY_READ,		/* any: hparams.c reads the key and
				 * refuses values it does not support */
	KEY_HARMLESS,		/* any */
	KEY_ZERO,		/* 0 or false: the feature is off */
	KEY_ONE,		/* 1, or 0 for "not set": a factor */
	KEY_EMPTY,		/* an array or a string without elements */
	KEY_SPM,		/* any for SentencePiece's tokenizers, which
				 * read the key; others: empty or false */
};

struct key_row {
	const char *name;
	enum key_rule rule;
};

/* Names after the architecture's prefix. A name that ends in a dot or an underscore matches all
 * keys that start with it. */
static const struct key_row arch_rows[] = {
	{ "block_count", KEY_READ },
	{ "context_length", KEY_READ },
	{ "embedding_length", KEY_READ },
	{ "feed_forward_length", KEY_READ },
	{ "vocab_size", KEY_READ },
	{ "expert_count", KEY_READ },
	{ "attention.head_count", KEY_READ },
	{ "attention.head_count_kv", KEY_READ },
	{ "attention.key_length", KEY_READ },
	{ "attention.value_length", KEY_READ },
	{ "attention.layer_norm_rms_epsilon", KEY_READ },
	{ "attention.layer_norm_epsilon", KEY_READ },
	{ "attention.sliding_window", KEY_READ },
	{ "attention.sliding_window_pattern", KEY_READ },
	{ "attention.causal", KEY_READ },
	{ "rope.dimension_count", KEY_READ },
	{ "rope.freq_base", KEY_READ },
	{ "rope.freq_base_swa", KEY_READ },
	{ "rope.scale_linear", KEY_READ },
	{ "rope.scaling.type", KEY_READ },
	{ "rope.scaling.factor", KEY_READ },
	{ "rope.scaling.attn_factor", KEY_READ },
	{ "rope.scaling.original_context_length", KEY_READ },
	{ "rope.scaling.yarn_beta_fast", KEY_READ },
	{ "rope.scaling.yarn_beta_slow", KEY_READ },
	{ "rope.scaling.yarn_ext_factor", KEY_READ },
	{ "rope.scaling.yarn_log_multiplier", KEY_READ },
	{ "rope.scaling.yarn_attn_factor", KEY_READ },
	{ "rope.scaling.finetuned", KEY_READ },

	/* Origin of the file, and keys that only embedding models use. */
	{ "tensor_data_layout", KEY_HARMLESS },
	{ "pooling_type", KEY_HARMLESS },
	/* hparams.c requires expert_count 0, so there are no experts. */
	{ "expert_", KEY_HARMLESS },
	{ "leading_dense_block_count", KEY_HARMLESS },
	{ "interleave_moe_layer_step", KEY_HARMLESS },
	{ "moe_every_n_layers", KEY_HARMLESS },

	/* Features of other models, switched off. */
	{ "use_parallel_residual", KEY_ZERO },
	{ "nextn_predict_layers", KEY_ZERO },
	{ "attention.scale", KEY_ZERO },
	{ "attention.clamp_kqv", KEY_ZERO },
	{ "attention.max_alibi_bias", KEY_ZERO },
	{ "attention.temperature_scale", KEY_ZERO },
	{ "attn_logit_softcapping", KEY_ZERO },
	{ "final_logit_softcapping", KEY_ZERO },
	{ "router_logit_softcapping", KEY_ZERO },
	{ "rope.scaling.alpha", KEY_ZERO },
	{ "attention.output_scale", KEY_ONE },
	{ "attention.value_scale", KEY_ONE },
	{ "logit_scale", KEY_ONE },
	{ "residual_scale", KEY_ONE },
	{ "embedding_scale", KEY_ONE },
};

static bool has_scales(const struct arch *arch)
{
	return arch->keys & KEYS_SCALES;
}

static bool has_caps(const struct arch *arch)
{
	return arch->keys & KEYS_CAPS;
}

static bool has_attention_scale(const struct arch *arch)
{
	return arch->keys & KEYS_ATTENTION_SCALE;
}

static bool has_clamp(const struct arch *arch)
{
	return arch->keys & KEYS_CLAMP;
}

static bool has_logit_scale(const struct arch *arch)
{
	return arch->logit_scale != LOGITS_UNSCALED;
}

static bool has_parallel_key(const struct arch *arch)
{
	return arch->parallel == PARALLEL_BY_KEY || arch->parallel == PARALLEL_BY_NORM;
}

static bool has_alibi_key(const struct arch *arch)
{
	return arch->alibi == ALIBI_KEY;
}

/* Keys that hparams.c reads for architectures of which is_read returns true. For others the rule in
 * arch_rows applies. */
static const struct {
	const char *name;
	bool (*is_read)(const struct arch *arch);
} read_by_some[] = {
	{ "use_parallel_residual", has_parallel_key },
	{ "attention.scale", has_attention_scale },
	{ "attention.clamp_kqv", has_clamp },
	{ "attention.max_alibi_bias", has_alibi_key },
	{ "attn_logit_softcapping", has_caps },
	{ "final_logit_softcapping", has_caps },
	{ "logit_scale", has_logit_scale },
	{ "residual_scale", has_scales },
	{ "embedding_scale", has_scales },
};

/* Full names. All other tokenizer keys are read by the tokenizer or have no effect here. */
static const struct key_row tokenizer_rows[] = {
	{ "tokenizer.ggml.remove_extra_whitespaces", KEY_SPM },
	{ "tokenizer.ggml.normalizer.lowercase", KEY_ZERO },
	{ "tokenizer.ggml.normalizer.strip_accents", KEY_ZERO },
	{ "tokenizer.ggml.precompiled_charsmap", KEY_SPM },
	{ "tokenizer.ggml.suppress_tokens", KEY_EMPTY },
};

/* The names of refused keys, as many as fit into an error. */
struct refused {
	char names[240];
	size_t n_bytes;
	unsigned n, n_listed;
};

static void refuse(struct refused *refused, struct gguf_string key)
{
	struct quote name = quote(key.data, key.length);
	int n = snprintf(refused->names + refused->n_bytes,
			 sizeof refused->names - refused->n_bytes, "%s%s",
			 refused->n_listed ? "," : "", name.text);

	refused->n++;
	if (refused->n_listed + 1 == refused->n &&
	    (size_t)n < sizeof refused->names - refused->n_bytes) {
		refused->n_bytes += (size_t)n;
		refused->n_listed++;
	}
	refused->names[refused->n_bytes] = '\0';
}

static bool is_number(const struct gguf *gguf, const char *key, float wanted)
{
	float value;
	bool flag;

	if (!gguf_get_f32(gguf, key, &value, NULL))
		return value == wanted;
	return !gguf_get_bool(gguf, key, &flag, NULL) && wanted == 0 && !flag;
}

static bool is_empty(const struct gguf *gguf, const char *key)
{
	struct gguf_array array;
	struct gguf_string string;

	if (!gguf_get_array(gguf, key, &array, NULL))
		return array.n == 0;
	return !gguf_get_string(gguf, key, &string, NULL) && string.length == 0;
}

static bool is_byte_level(const struct gguf *gguf)
{
	struct gguf_string model;

	return !gguf_get_string(gguf, "tokenizer.ggml.model", &model, NULL) &&
	       gguf_string_is(model, "gpt2");
}

/* key must be in the file and match a row with this rule. */
static bool changes_nothing(const struct gguf *gguf, enum key_rule rule, const char *key)
{
	switch (rule) {
	case KEY_READ: case KEY_HARMLESS:
		return true;
	case KEY_ZERO:
		return is_number(gguf, key, 0);
	case KEY_ONE:
		return is_number(gguf, key, 0) || is_number(gguf, key, 1);
	case KEY_EMPTY:
		return is_empty(gguf, key);
	case KEY_SPM:
		return !is_byte_level(gguf) || is_empty(gguf, key) || is_number(gguf, key, 0);
	}
	return false;
}

/* Returns true if the row matches the key, of which rest is the part after the prefix. */
static bool is_row(const struct key_row *row, struct gguf_string rest)
{
	size_t n = strlen(row->name);
	bool is_prefix = row->name[n - 1] == '.' || row->name[n - 1] == '_';

	return (is_prefix ? rest.length > n : rest.length == n) &&
	       !memcmp(rest.data, row->name, n);
}

static bool is_known(const struct gguf *gguf, const struct key_row *rows, size_t n_rows,
		     struct gguf_string key, size_t prefix_bytes, bool is_unknown_known)
{
	const struct gguf_string rest = {
		.data = key.data + prefix_bytes, .length = key.length - prefix_bytes,
	};
	char name[KEY_BYTES];

	for (size_t i = 0; i < n_rows; i++) {
		if (!is_row(&rows[i], rest))
			continue;
		snprintf(name, sizeof name, "%.*s", (int)key.length, key.data);
		return changes_nothing(gguf, rows[i].rule, name);
	}
	return is_unknown_known;
}

#define N_ROWS(rows) (sizeof(rows) / sizeof(rows)[0])

static bool is_read(const struct arch *arch, const char *rest, size_t length)
{
	for (size_t i = 0; i < N_ROWS(read_by_some); i++)
		if (strlen(read_by_some[i].name) == length &&
		    !memcmp(read_by_some[i].name, rest, length))
			return read_by_some[i].is_read(arch);
	return false;
}

static bool is_fine(const struct gguf *gguf, const struct arch *arch, struct gguf_string key)
{
	size_t n = strlen(arch->name);

	if (key.length > n && !memcmp(key.data, arch->name, n) && key.data[n] == '.')
		return is_read(arch, key.data + n + 1, key.length - n - 1) ||
		       is_known(gguf, arch_rows, N_ROWS(arch_rows), key, n + 1, false);
	return is_known(gguf, tokenizer_rows, N_ROWS(tokenizer_rows), key, 0, true);
}

enum sc_status keys_check_kind(const struct gguf *gguf, struct error *err)
{
	static const char key[] = "general.type";
	struct gguf_string kind;
	enum sc_status status;

	if (!gguf_has(gguf, key))
		return SC_OK;
	status = gguf_get_string(gguf, key, &kind, err);
	if (status || gguf_string_is(kind, "model"))
		return status;
	return gguf_key_error(gguf, key, SC_E_UNSUPPORTED, err,
			      "expected model, found '%s': the file is not a complete language "
			      "model", quote(kind.data, kind.length).text);
}

enum sc_status keys_check(const struct gguf *gguf, const struct arch *arch, struct error *err)
{
	struct refused refused = { .n = 0 };
	char more[32] = "";

	for (size_t i = 0; i < gguf_n_keys(gguf); i++) {
		struct gguf_string key = gguf_key(gguf, i);

		if (!is_fine(gguf, arch, key))
			refuse(&refused, key);
	}
	if (!refused.n)
		return SC_OK;
	if (refused.n > refused.n_listed)
		snprintf(more, sizeof more, " and %u more", refused.n - refused.n_listed);
	return error_set(err, SC_E_UNSUPPORTED,
			 "%s: these metadata keys may change what the model computes, and are not "
			 "supported: %s%s. To open it as if it had no such keys, list them in "
			 "--ignore-key, with commas between them", gguf_path(gguf), refused.names,
			 more);
}
