/* SPDX-License-Identifier: Apache-2.0 */
/* An inspection as one object of JSON. What the file does not say is left out. */
#include "cli/inspection.h"

#include "cli/json_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MAX_ELEMENTS 16		/* of an array of metadata */

/* Whether an addition failed, which only happens when memory runs out. */
struct writer {
	bool has_failed;
};

/* Takes value, which may be NULL for want of memory. */
static void put(struct writer *w, json_t *object, const char *key, json_t *value)
{
	w->has_failed |= json_object_set_new(object, key, value) != 0;
}

static void append(struct writer *w, json_t *array, json_t *value)
{
	w->has_failed |= json_array_append_new(array, value) != 0;
}

static json_t *put_object(struct writer *w, json_t *object, const char *key)
{
	json_t *inner = json_object();

	put(w, object, key, inner);
	return inner;
}

static json_t *put_array(struct writer *w, json_t *object, const char *key)
{
	json_t *inner = json_array();

	put(w, object, key, inner);
	return inner;
}

static json_t *append_object(struct writer *w, json_t *array)
{
	json_t *inner = json_object();

	append(w, array, inner);
	return inner;
}

static json_t *text_of(const char *string)
{
	return json_text(string, strlen(string));
}

static json_t *string_of(struct gguf_string string)
{
	return json_text(string.data, string.length);
}

/* Integers of JSON here reach to 2^63; beyond that, and for what is no number, a string. */
static json_t *unsigned_of(uint64_t value)
{
	char text[24];

	if (value <= INT64_MAX)
		return json_integer((json_int_t)value);
	snprintf(text, sizeof text, "%" PRIu64, value);
	return json_string(text);
}

static json_t *real_of(double value)
{
	return isnan(value) ? json_string("nan")
	     : isinf(value) ? json_string(value < 0 ? "-inf" : "inf") : json_real(value);
}

static json_t *number_of(enum gguf_type type, struct gguf_number number)
{
	if (type == GGUF_BOOL)
		return json_boolean(number.magnitude);
	if (number.is_float)
		return real_of(number.real);
	if (!number.is_negative)
		return unsigned_of(number.magnitude);
	return json_integer((json_int_t)(0 - number.magnitude));
}

static json_t *element_of(const struct gguf_array *value, size_t i)
{
	return value->type == GGUF_STRING ? string_of(gguf_array_string(value, i))
					  : number_of(value->type, gguf_array_exact(value, i));
}

/* --- what the file says --- */

/* One number, or least and most. */
static void put_range(struct writer *w, json_t *object, const char *key,
		      struct summary_range range)
{
	json_t *array;

	if (!range.max)
		return;
	if (range.min == range.max) {
		put(w, object, key, json_integer(range.max));
		return;
	}
	array = put_array(w, object, key);
	append(w, array, json_integer(range.min));
	append(w, array, json_integer(range.max));
}

static void put_shape(struct writer *w, json_t *out, const struct summary_shape *shape)
{
	json_t *rope;

	put_range(w, out, "n_layers", shape->n_layers);
	put_range(w, out, "width", shape->dim);
	put_range(w, out, "ffn_width", shape->ffn_dim);
	put_range(w, out, "n_heads", shape->n_heads);
	put_range(w, out, "n_kv_heads", shape->n_kv_heads);
	put_range(w, out, "head_size", shape->head_dim);
	put_range(w, out, "value_size", shape->value_dim);
	put_range(w, out, "n_experts", shape->n_experts);
	put_range(w, out, "n_used_experts", shape->n_used_experts);
	put_range(w, out, "n_vocab", shape->n_vocab);
	put_range(w, out, "n_context", shape->n_context);
	rope = put_object(w, out, "rope");
	put(w, rope, "base", json_real(shape->rope_base));
	put_range(w, rope, "dimensions", shape->rope_dim);
	put(w, rope, "scaling", json_string(shape->rope_scaling.text));
	put(w, rope, "factor", json_real(shape->rope_factor));
}

static void put_types(struct writer *w, json_t *out, const struct summary *summary)
{
	json_t *types = put_array(w, out, "types");

	for (size_t i = 0; i < summary->n_types; i++) {
		const struct summary_type *type = &summary->types[i];
		json_t *object = append_object(w, types);

		put(w, object, "type", json_string(summary_type_name(type->type).text));
		put(w, object, "n_tensors", unsigned_of(type->n_tensors));
		put(w, object, "n_elements", unsigned_of(type->n_elements));
		put(w, object, "bytes", unsigned_of(type->n_bytes));
		put(w, object, "is_supported", json_boolean(type->is_supported));
	}
}

static void put_file(struct writer *w, json_t *out, const struct gguf *gguf)
{
	json_t *files;

	put(w, out, "file", text_of(gguf_path(gguf)));
	put(w, out, "file_bytes", unsigned_of(gguf_n_bytes(gguf)));
	files = put_array(w, out, "files");
	for (size_t i = 0; i < gguf_n_files(gguf); i++) {
		const struct gguf_part part = gguf_part(gguf, i);
		json_t *file = append_object(w, files);

		put(w, file, "path", text_of(part.path));
		put(w, file, "bytes", unsigned_of(part.n_bytes));
		put(w, file, "n_tensors", unsigned_of(part.n_tensors));
	}
}

static void put_model(struct writer *w, json_t *out, const struct inspection *inspection)
{
	const struct summary *summary = &inspection->summary;

	put(w, out, "name", text_of(summary->name));
	if (summary->arch.length)
		put(w, out, "architecture", string_of(summary->arch));
	put(w, out, "n_parameters", unsigned_of(summary->n_elements));
	put(w, out, "n_tensors", unsigned_of(gguf_n_tensors(inspection->gguf)));
	put(w, out, "tensor_bytes", unsigned_of(summary->tensor_bytes));
	put(w, out, "bits_per_weight", json_real(summary_bits_per_weight(summary)));
	put_shape(w, put_object(w, out, "shape"), &summary->shape);
	put_types(w, out, summary);
}

static void put_special(struct writer *w, json_t *out, const struct summary *summary)
{
	json_t *special = put_array(w, out, "special");

	for (size_t i = 0; i < summary->n_tokens; i++) {
		json_t *token = append_object(w, special);

		put(w, token, "name", string_of(summary->tokens[i].name));
		put(w, token, "id", json_integer(summary->tokens[i].id));
		if (summary->tokens[i].has_text)
			put(w, token, "text", string_of(summary->tokens[i].text));
	}
}

static void put_tokenizer(struct writer *w, json_t *out, const struct inspection *inspection)
{
	const struct summary *summary = &inspection->summary;
	const struct tokenizer *tokenizer = inspection->opened.tokenizer;
	json_t *ends;

	if (summary->tokenizer.length)
		put(w, out, "model", string_of(summary->tokenizer));
	if (summary->pre.length)
		put(w, out, "pre", string_of(summary->pre));
	put_special(w, out, summary);
	if (!tokenizer)
		return;
	put(w, out, "adds_bos", json_boolean(tokenizer_adds_bos(tokenizer)));
	ends = put_array(w, out, "ends");
	for (uint32_t id = 0; id < tokenizer_n_vocab(tokenizer); id++)
		if (tokenizer_is_end(tokenizer, id))
			append(w, ends, json_integer(id));
}

static void put_templates(struct writer *w, json_t *out, const struct summary *summary,
			  bool with_text)
{
	json_t *templates = put_array(w, out, "chat_templates");

	for (size_t i = 0; i < summary->n_templates; i++) {
		json_t *object = append_object(w, templates);

		put(w, object, "name", string_of(summary->templates[i].name));
		put(w, object, "bytes", unsigned_of(summary->templates[i].text.length));
		if (with_text)
			put(w, object, "text", string_of(summary->templates[i].text));
	}
}

/* --- does it fit --- */

static void put_plan(struct writer *w, json_t *out, const struct plan *plan)
{
	json_t *stages = put_array(w, out, "plan");

	for (unsigned i = 0; i < plan->n_stages; i++) {
		const struct plan_stage *stage = &plan->stages[i];
		json_t *object = append_object(w, stages);

		put(w, object, "first_layer", json_integer(stage->first_layer));
		put(w, object, "n_layers", json_integer(stage->n_layers));
		put(w, object, "weight_bytes", unsigned_of(stage->weight_bytes));
		put(w, object, "kv_bytes", unsigned_of(stage->kv_bytes));
		put(w, object, "work_bytes", unsigned_of(stage->work_bytes));
	}
}

static void put_answer(struct writer *w, json_t *out, const struct fit *fit, unsigned n_stages)
{
	put(w, out, "fits", json_boolean(fit->plan != NULL));
	put(w, out, "n_stages", json_integer(n_stages));
	if (!fit->plan) {
		put(w, out, "reason", text_of(fit->why_not.text));
		return;
	}
	put(w, out, "context", json_integer(fit->context));
	put(w, out, "kv_positions", unsigned_of(fit->n_positions));
	put_plan(w, out, fit->plan);
}

static void put_fit(struct writer *w, json_t *out, const struct inspection_fit *fit)
{
	put(w, out, "memory_bytes", fit->memory_bytes ? unsigned_of(fit->memory_bytes)
						      : json_null());
	put(w, out, "context", json_integer(fit->context));
	put(w, out, "kv_type", json_string(tensor_type_info(fit->kv_type)->name));
	put(w, out, "kv_bytes_per_token", unsigned_of(fit->position_bytes));
	put(w, out, "kv_bytes_per_token_beyond_windows", unsigned_of(fit->whole_position_bytes));
	put(w, out, "kv_bytes_of_context", unsigned_of(fit->context_bytes));
	put(w, out, "weight_bytes", unsigned_of(fit->weight_bytes));
	put(w, out, "work_bytes", unsigned_of(fit->work_bytes));
	put_answer(w, put_object(w, out, "here"), &fit->here, fit->n_stages);
	put(w, out, "n_stages_whole_context", json_integer(fit->n_stages_whole));
	put(w, out, "n_stages_least", json_integer(fit->n_stages_least));
	if (fit->apart.plan)
		put_answer(w, put_object(w, out, "apart"), &fit->apart, fit->n_stages_apart);
}

/* --- lists --- */

static void put_value(struct writer *w, json_t *out, const struct gguf_array *value, bool is_array)
{
	json_t *elements;

	put(w, out, "type", json_string(gguf_type_name(value->type)));
	if (!is_array) {
		put(w, out, "value", element_of(value, 0));
		return;
	}
	put(w, out, "n", unsigned_of(value->n));
	elements = put_array(w, out, value->n > MAX_ELEMENTS ? "first" : "value");
	for (size_t i = 0; i < value->n && i < MAX_ELEMENTS; i++)
		append(w, elements, element_of(value, i));
}

static void put_keys(struct writer *w, json_t *out, const struct gguf *gguf)
{
	json_t *keys = put_array(w, out, "keys");

	for (size_t i = 0; i < gguf_n_keys(gguf); i++) {
		const struct gguf_string key = gguf_key(gguf, i);
		struct gguf_array value;
		json_t *object;
		bool is_array;

		if (!key.length)
			continue;
		value = gguf_value(gguf, i, &is_array);
		object = append_object(w, keys);
		put(w, object, "key", string_of(key));
		put_value(w, object, &value, is_array);
	}
}

static void put_tensors(struct writer *w, json_t *out, const struct gguf *gguf)
{
	json_t *tensors = put_array(w, out, "tensors");

	for (size_t i = 0; i < gguf_n_tensors(gguf); i++) {
		const struct tensor *tensor = gguf_tensor(gguf, i);
		json_t *object = append_object(w, tensors);
		json_t *dims;

		put(w, object, "name", text_of(tensor->name));
		put(w, object, "type", json_string(summary_type_name(tensor->type).text));
		dims = put_array(w, object, "dims");
		for (unsigned k = 0; k < tensor->n_dims; k++)
			append(w, dims, unsigned_of(tensor->dims[k]));
		put(w, object, "bytes", unsigned_of(tensor->n_bytes));
	}
}

json_t *inspection_json(const struct inspection *inspection, unsigned parts)
{
	const bool is_servable = inspection->why_not.status == SC_OK;
	json_t *out = json_object();
	struct writer w = { .has_failed = !out };

	put_file(&w, out, inspection->gguf);
	put_model(&w, out, inspection);
	put_tokenizer(&w, put_object(&w, out, "tokenizer"), inspection);
	put_templates(&w, out, &inspection->summary, parts & INSPECTION_TEMPLATES);
	put(&w, out, "servable", json_boolean(is_servable));
	if (is_servable)
		put_fit(&w, put_object(&w, out, "fit"), &inspection->fit);
	else
		put(&w, out, "reason", text_of(inspection->why_not.text));
	if (parts & INSPECTION_KEYS)
		put_keys(&w, out, inspection->gguf);
	if (parts & INSPECTION_TENSORS)
		put_tensors(&w, out, inspection->gguf);
	if (!w.has_failed)
		return out;
	json_decref(out);
	return NULL;
}
