/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.dumps of Python, as the filter tojson of transformers calls it.
 */
#include "jinja/codepoint.h"
#include "jinja/compare.h"
#include "jinja/dict.h"
#include "jinja/number.h"
#include "jinja/sort.h"
#include "jinja/write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct json {
	struct render *r;
	const struct json_style *style;
	unsigned level;
};

static void put_value(struct json *json, struct value value);

/* --- strings --- */

static void put_escape(struct render *r, uint32_t c, bool is_own)
{
	static const char from[] = "\"\\\n\r\t\f\b", to[] = "\"\\nrtfb";
	const char *simple = c && c < 0x80 ? strchr(from, (int)c) : NULL;
	char text[16];

	if (simple)
		snprintf(text, sizeof text, "\\%c", to[simple - from]);
	else if (c < 0x10000)
		snprintf(text, sizeof text, "\\u%04" PRIx32, c);
	else
		snprintf(text, sizeof text, "\\u%04" PRIx32 "\\u%04" PRIx32,
			 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
	text_add(r, text, strlen(text), is_own);
}

static bool needs_escape(uint32_t c, bool is_ascii)
{
	return c < 0x20 || c == '"' || c == '\\' || (is_ascii && c > 0x7e);
}

static void put_string(struct json *json, const struct str *str)
{
	struct render *r = json->r;
	size_t done = 0, next;

	text_add_foreign(r, "\"");
	for (size_t at = 0; at < str->n_bytes; at = next) {
		uint32_t c = codepoint_at(str->bytes + at);

		next = at + codepoint_length((unsigned char)str->bytes[at]);
		if (!needs_escape(c, json->style->is_ascii))
			continue;
		text_add_part(r, str, done, at);
		put_escape(r, c, str_byte_is_own(str, at));
		done = next;
		if (!render_goes_on(r))
			return;
	}
	text_add_part(r, str, done, str->n_bytes);
	text_add_foreign(r, "\"");
}

/* --- containers --- */

static void put_line(struct json *json)
{
	if (!json->style->indent)
		return;
	text_add_foreign(json->r, "\n");
	for (unsigned i = 0; i < json->level && render_step(json->r, 1); i++)
		text_add_str(json->r, json->style->indent);
}

static void put_array(struct json *json, const struct array *array)
{
	text_add_foreign(json->r, "[");
	json->level++;
	for (size_t i = 0; i < array->n && render_step(json->r, 1); i++) {
		if (i)
			text_add_str(json->r, json->style->item_separator);
		put_line(json);
		put_value(json, array->values[i]);
	}
	json->level--;
	if (array->n)
		put_line(json);
	text_add_foreign(json->r, "]");
}

static void put_float(struct render *r, double real)
{
	char text[NUMBER_TEXT_MAX];

	number_write_float(real, text);
	text_add_foreign(r, strcmp(text, "nan") == 0 ? "NaN" :
			    strcmp(text, "inf") == 0 ? "Infinity" :
			    strcmp(text, "-inf") == 0 ? "-Infinity" : text);
}

static void put_integer(struct render *r, int64_t integer)
{
	char text[NUMBER_TEXT_MAX];

	snprintf(text, sizeof text, "%" PRId64, integer);
	text_add_foreign(r, text);
}

/* Returns false if value is no scalar. */
static bool put_scalar(struct render *r, struct value value)
{
	switch (value.kind) {
	case VALUE_NONE:
		text_add_foreign(r, "null");
		return true;
	case VALUE_BOOL:
		text_add_foreign(r, value.is_true ? "true" : "false");
		return true;
	case VALUE_INT:
		put_integer(r, value.integer);
		return true;
	case VALUE_FLOAT:
		put_float(r, value.real);
		return true;
	default:
		return false;
	}
}

static void put_key(struct json *json, struct value key)
{
	if (key.kind == VALUE_STRING) {
		put_string(json, key.string);
		return;
	}
	text_add_foreign(json->r, "\"");
	if (!put_scalar(json->r, key))
		render_fail(json->r, "keys must be str, int, float, bool or None, not %s",
			    value_type(key));
	text_add_foreign(json->r, "\"");
}

static const struct dict_entry *sorted_entries(struct render *r, const struct dict *dict)
{
	struct array *pairs = array_create(r, dict->n);
	struct dict_entry *entries = render_alloc_array(r, dict->n + 1, sizeof *entries);

	for (size_t i = 0; i < dict->n; i++)
		array_add(r, pairs, value_pair(r, dict->entries[i].key, value_int((int64_t)i)));
	sort_pairs(r, pairs, false);
	for (size_t i = 0; render_goes_on(r) && i < dict->n; i++)
		entries[i] = dict->entries[pairs->values[i].array->values[1].integer];
	return entries;
}

static void put_dict(struct json *json, const struct dict *dict)
{
	const struct dict_entry *entries = dict->entries;

	if (json->style->is_sorted)
		entries = sorted_entries(json->r, dict);
	text_add_foreign(json->r, "{");
	json->level++;
	for (size_t i = 0; i < dict->n && render_step(json->r, 1); i++) {
		if (i)
			text_add_str(json->r, json->style->item_separator);
		put_line(json);
		put_key(json, entries[i].key);
		text_add_str(json->r, json->style->key_separator);
		put_value(json, entries[i].value);
	}
	json->level--;
	if (dict->n)
		put_line(json);
	text_add_foreign(json->r, "}");
}

static void put_value(struct json *json, struct value value)
{
	if (value.kind == VALUE_STRING) {
		put_string(json, value.string);
		return;
	}
	if (put_scalar(json->r, value) || !render_enter(json->r))
		return;
	if (value.kind == VALUE_LIST || value.kind == VALUE_TUPLE)
		put_array(json, value.array);
	else if (value.kind == VALUE_DICT)
		put_dict(json, value.dict);
	else
		render_fail(json->r, "Object of type %s is not JSON serializable",
			    value_type(value));
	render_leave(json->r);
}

void write_json(struct render *r, struct value value, const struct json_style *style)
{
	struct json json = { .r = r, .style = style };

	put_value(&json, value);
}
