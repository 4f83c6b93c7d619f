/* SPDX-License-Identifier: Apache-2.0 */
#include "model/summary.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 128

/* A key of the file whose name is ARCH.name; empty when that is too long. */
struct key {
	char text[KEY_BYTES];
};

static struct key arch_key(const struct summary *summary, const char *name)
{
	struct key key;
	int n = snprintf(key.text, sizeof key.text, "%.*s.%s", (int)summary->arch.length,
			 summary->arch.data ? summary->arch.data : "", name);

	if (n < 0 || (size_t)n >= sizeof key.text || memchr(summary->arch.data ? summary->arch.data
							     : "", 0, summary->arch.length))
		key.text[0] = '\0';
	return key;
}

/* --- shape --- */

static bool is_range_unset(struct summary_range range)
{
	return !range.max;
}

static void widen(struct summary_range *range, struct gguf_number number)
{
	uint32_t value;

	if (number.is_float || number.is_negative || number.magnitude > UINT32_MAX)
		return;
	value = (uint32_t)number.magnitude;
	if (is_range_unset(*range) || value < range->min)
		range->min = value;
	if (value > range->max)
		range->max = value;
}

/* One number, or one for each layer. What is neither counts as not said. */
static struct summary_range read_range(const struct gguf *gguf, const struct summary *summary,
				       const char *name)
{
	const struct key key = arch_key(summary, name);
	struct summary_range range = { 0 };
	struct gguf_array array;
	uint32_t value;

	if (gguf_get_u32(gguf, key.text, &value, NULL) == SC_OK)
		return (struct summary_range){ value, value };
	if (gguf_get_array(gguf, key.text, &array, NULL) != SC_OK || array.type == GGUF_STRING ||
	    array.type == GGUF_ARRAY)
		return range;
	for (size_t i = 0; i < array.n; i++)
		widen(&range, gguf_array_exact(&array, i));
	return range;
}

static double read_real(const struct gguf *gguf, const struct summary *summary, const char *name,
			double fallback)
{
	const struct key key = arch_key(summary, name);
	float value;

	return gguf_get_f32(gguf, key.text, &value, NULL) == SC_OK && isfinite(value) && value > 0
		     ? (double)value : fallback;
}

/* What the residual stream gives each head where the file does not say. */
static struct summary_range share_of_head(const struct summary_shape *shape)
{
	const uint32_t dim = shape->dim.max, n_heads = shape->n_heads.max;

	if (!n_heads || shape->n_heads.min != n_heads || dim % n_heads)
		return (struct summary_range){ 0 };
	return (struct summary_range){ dim / n_heads, dim / n_heads };
}

static void read_rope(const struct gguf *gguf, struct summary *summary)
{
	struct summary_shape *shape = &summary->shape;
	struct gguf_string type = { .data = "linear", .length = 6 };
	bool has_type = gguf_get_string(gguf, arch_key(summary, "rope.scaling.type").text, &type,
					NULL) == SC_OK;

	shape->rope_dim = read_range(gguf, summary, "rope.dimension_count");
	if (is_range_unset(shape->rope_dim))
		shape->rope_dim = shape->head_dim;
	shape->rope_base = read_real(gguf, summary, "rope.freq_base", 10000);
	shape->rope_factor = read_real(gguf, summary, "rope.scaling.factor",
				       read_real(gguf, summary, "rope.scale_linear", 1));
	if (!has_type && shape->rope_factor == 1.0)
		type = (struct gguf_string){ .data = "none", .length = 4 };
	if (has_type && gguf_string_is(type, "none"))
		shape->rope_factor = 1;
	shape->rope_scaling = quote(type.data, type.length);
}

static struct summary_range read_vocab(const struct gguf *gguf, const struct summary *summary)
{
	const struct tensor *embedding = gguf_find_tensor(gguf, "token_embd.weight");
	struct summary_range range = { 0 };
	struct gguf_array tokens;

	if (embedding)
		widen(&range, (struct gguf_number){ .magnitude = embedding->dims[1] });
	else if (gguf_get_array(gguf, "tokenizer.ggml.tokens", &tokens, NULL) == SC_OK)
		widen(&range, (struct gguf_number){ .magnitude = tokens.n });
	return is_range_unset(range) ? read_range(gguf, summary, "vocab_size") : range;
}

static void read_shape(const struct gguf *gguf, struct summary *summary)
{
	struct summary_shape *shape = &summary->shape;

	shape->n_layers = read_range(gguf, summary, "block_count");
	shape->n_context = read_range(gguf, summary, "context_length");
	shape->dim = read_range(gguf, summary, "embedding_length");
	shape->ffn_dim = read_range(gguf, summary, "feed_forward_length");
	shape->n_heads = read_range(gguf, summary, "attention.head_count");
	shape->n_kv_heads = read_range(gguf, summary, "attention.head_count_kv");
	if (is_range_unset(shape->n_kv_heads))
		shape->n_kv_heads = shape->n_heads;
	shape->head_dim = read_range(gguf, summary, "attention.key_length");
	if (is_range_unset(shape->head_dim))
		shape->head_dim = share_of_head(shape);
	shape->value_dim = read_range(gguf, summary, "attention.value_length");
	if (is_range_unset(shape->value_dim))
		shape->value_dim = share_of_head(shape);
	shape->n_experts = read_range(gguf, summary, "expert_count");
	shape->n_used_experts = read_range(gguf, summary, "expert_used_count");
	shape->n_vocab = read_vocab(gguf, summary);
	read_rope(gguf, summary);
}

/* --- tensor types --- */

static uint64_t n_elements(const struct tensor *tensor)
{
	return tensor->dims[0] * tensor->dims[1] * tensor->dims[2] * tensor->dims[3];
}

static int compare_types(const void *a, const void *b)
{
	const struct tensor *const *left = a, *const *right = b;
	const uint32_t x = (*left)->type, y = (*right)->type;

	return (x > y) - (x < y);
}

static int compare_bytes(const void *a, const void *b)
{
	const struct summary_type *left = a, *right = b;

	return (left->n_bytes < right->n_bytes) - (left->n_bytes > right->n_bytes);
}

/* The tensor belongs to the last type, or to a new one. */
static void count_tensor(struct summary *summary, const struct tensor *tensor)
{
	const struct tensor_type_info *info = tensor_type_info(tensor->type);
	struct summary_type *type = summary->types + summary->n_types;

	if (summary->n_types && type[-1].type == (uint32_t)tensor->type) {
		type--;
	} else {
		*type = (struct summary_type){
			.type = tensor->type, .is_supported = info && info->is_supported,
		};
		summary->n_types++;
	}
	type->n_tensors++;
	type->n_elements += n_elements(tensor);
	type->n_bytes += tensor->n_bytes;
}

static enum sc_status read_types(const struct gguf *gguf, struct summary *summary)
{
	const size_t n = gguf_n_tensors(gguf);
	const struct tensor **tensors = calloc(n + 1, sizeof tensors[0]);

	summary->types = calloc(n + 1, sizeof summary->types[0]);
	if (!tensors || !summary->types) {
		free(tensors);
		return SC_E_NOMEM;
	}
	for (size_t i = 0; i < n; i++)
		tensors[i] = gguf_tensor(gguf, i);
	qsort(tensors, n, sizeof tensors[0], compare_types);
	for (size_t i = 0; i < n; i++)
		count_tensor(summary, tensors[i]);
	free(tensors);
	for (size_t i = 0; i < summary->n_types; i++) {
		summary->n_elements += summary->types[i].n_elements;
		summary->tensor_bytes += summary->types[i].n_bytes;
	}
	qsort(summary->types, summary->n_types, sizeof summary->types[0], compare_bytes);
	return SC_OK;
}

/* --- tokenizer --- */

/* PREFIX MIDDLE SUFFIX, with something in the middle. */
static bool has_middle(struct gguf_string key, const char *prefix, const char *suffix,
		       struct gguf_string *middle_out)
{
	const size_t before = strlen(prefix), behind = strlen(suffix);

	if (key.length <= before + behind || memcmp(key.data, prefix, before) ||
	    memcmp(key.data + key.length - behind, suffix, behind))
		return false;
	*middle_out = (struct gguf_string){ key.data + before, key.length - before - behind };
	return true;
}

/* The text of a token, as the file writes it. */
static bool find_text(const struct gguf *gguf, uint32_t id, struct gguf_string *text_out)
{
	struct gguf_array tokens;

	if (gguf_get_array(gguf, "tokenizer.ggml.tokens", &tokens, NULL) != SC_OK ||
	    tokens.type != GGUF_STRING || id >= tokens.n)
		return false;
	*text_out = gguf_array_string(&tokens, id);
	return true;
}

static void add_token(const struct gguf *gguf, struct summary *summary, struct gguf_string name,
		      const struct gguf_array *value)
{
	struct summary_token token = { .name = name };
	struct gguf_number id;

	if (value->type == GGUF_STRING || value->type == GGUF_ARRAY)
		return;
	id = gguf_array_exact(value, 0);
	if (id.is_float || id.is_negative || id.magnitude >= UINT32_MAX)
		return;
	token.id = (uint32_t)id.magnitude;
	token.has_text = find_text(gguf, token.id, &token.text);
	summary->tokens[summary->n_tokens++] = token;
}

static void add_template(struct summary *summary, struct gguf_string name,
			 const struct gguf_array *value)
{
	if (value->type == GGUF_STRING)
		summary->templates[summary->n_templates++] = (struct summary_template){
			.name = name, .text = gguf_array_string(value, 0),
		};
}

static void read_key(const struct gguf *gguf, struct summary *summary, size_t i)
{
	const struct gguf_string key = gguf_key(gguf, i);
	struct gguf_string middle = { .data = "" };
	struct gguf_array value;
	bool is_array;

	value = gguf_value(gguf, i, &is_array);
	if (is_array)
		return;
	if (has_middle(key, "tokenizer.ggml.", "_token_id", &middle))
		add_token(gguf, summary, middle, &value);
	else if (gguf_string_is(key, "tokenizer.chat_template") ||
		 has_middle(key, "tokenizer.chat_template.", "", &middle))
		add_template(summary, middle, &value);
}

static enum sc_status read_tokenizer(const struct gguf *gguf, struct summary *summary)
{
	const size_t n = gguf_n_keys(gguf);

	summary->tokens = calloc(n + 1, sizeof summary->tokens[0]);
	summary->templates = calloc(n + 1, sizeof summary->templates[0]);
	if (!summary->tokens || !summary->templates)
		return SC_E_NOMEM;
	for (size_t i = 0; i < n; i++)
		read_key(gguf, summary, i);
	(void)!gguf_get_string(gguf, "tokenizer.ggml.model", &summary->tokenizer, NULL);
	(void)!gguf_get_string(gguf, "tokenizer.ggml.pre", &summary->pre, NULL);
	return SC_OK;
}

enum sc_status summary_read(const struct gguf *gguf, struct summary *summary, struct error *err)
{
	enum sc_status status;

	*summary = (struct summary){ .n_types = 0 };
	model_name(gguf, summary->name);
	(void)!gguf_get_string(gguf, "general.architecture", &summary->arch, NULL);
	read_shape(gguf, summary);
	status = read_types(gguf, summary);
	if (status == SC_OK)
		status = read_tokenizer(gguf, summary);
	if (status != SC_OK)
		return error_set(err, status, "%s: out of memory", gguf_path(gguf));
	return SC_OK;
}

void summary_deinit(struct summary *summary)
{
	free(summary->types);
	free(summary->tokens);
	free(summary->templates);
	*summary = (struct summary){ .n_types = 0 };
}

double summary_bits_per_weight(const struct summary *summary)
{
	return summary->n_elements
	     ? 8.0 * (double)summary->tensor_bytes / (double)summary->n_elements : 0;
}

struct quote summary_type_name(uint32_t type)
{
	const struct tensor_type_info *info = tensor_type_info(type);
	struct quote name;

	if (info)
		snprintf(name.text, sizeof name.text, "%s", info->name);
	else
		snprintf(name.text, sizeof name.text, "type %" PRIu32, type);
	return name;
}
