/* SPDX-License-Identifier: Apache-2.0 */
#include "chat/arguments.h"

#include "chat/chat.h"
#include "chat/json_scan.h"

#include <string.h>

#define MAX_DEPTH 16		/* of schemas in schemas, and of references */
#define MAX_SCHEMAS 256		/* that are looked at for one argument; and of one schema, the types
				 * and values of its lists */

static const json_t *tool_function(const json_t *tool)
{
	const json_t *function = json_object_get(tool, "function");

	return json_is_object(function) ? function : tool;
}

const char *tool_name(const json_t *tool)
{
	return json_string_value(json_object_get(tool_function(tool), "name"));
}

const json_t *tools_find(const json_t *tools, const char *name, size_t n)
{
	for (size_t i = 0; i < json_array_size(tools); i++) {
		const json_t *tool = json_array_get(tools, i);
		const char *other = tool_name(tool);

		if (other && strlen(other) == n && !memcmp(other, name, n))
			return tool;
	}
	return NULL;
}

static unsigned type_bit(const char *name)
{
	static const struct {
		const char *name;
		unsigned bit;
	} names[] = {
		{ "string", ARGUMENT_STRING }, { "str", ARGUMENT_STRING },
		{ "text", ARGUMENT_STRING }, { "enum", ARGUMENT_STRING },
		{ "integer", ARGUMENT_NUMBER }, { "number", ARGUMENT_NUMBER },
		{ "int", ARGUMENT_NUMBER }, { "float", ARGUMENT_NUMBER },
		{ "boolean", ARGUMENT_BOOL }, { "bool", ARGUMENT_BOOL },
		{ "null", ARGUMENT_NULL }, { "object", ARGUMENT_OBJECT },
		{ "dict", ARGUMENT_OBJECT }, { "array", ARGUMENT_ARRAY },
		{ "list", ARGUMENT_ARRAY },
	};

	for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i].name, name))
			return names[i].bit;
	return 0;
}

static unsigned value_bit(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT: return ARGUMENT_OBJECT;
	case JSON_ARRAY: return ARGUMENT_ARRAY;
	case JSON_STRING: return ARGUMENT_STRING;
	case JSON_INTEGER:
	case JSON_REAL: return ARGUMENT_NUMBER;
	case JSON_TRUE:
	case JSON_FALSE: return ARGUMENT_BOOL;
	default: return ARGUMENT_NULL;
	}
}

/* A reference within the same schema: #/$defs/Name. */
static const json_t *follow(const json_t *root, const char *reference)
{
	const json_t *at = root;

	if (strncmp(reference, "#/", 2))
		return NULL;
	for (reference += 2; at && *reference;) {
		size_t n = strcspn(reference, "/");

		at = json_object_getn(at, reference, n);
		reference += n + (reference[n] == '/');
	}
	return at;
}

struct walk {
	const json_t *root;	/* whose references are followed */
	unsigned n_left;	/* schemas that may still be looked at: they may refer to each other
				 * in ways that never end */
};

static unsigned schema_types(struct walk *walk, const json_t *schema, unsigned depth);

static unsigned types_of_all(struct walk *walk, const json_t *schemas, unsigned depth)
{
	unsigned types = 0;

	for (size_t i = 0; i < json_array_size(schemas) && walk->n_left; i++)
		types |= schema_types(walk, json_array_get(schemas, i), depth);
	return types;
}

static unsigned listed_types(const json_t *type)
{
	unsigned types = type_bit(json_string_value(type));

	for (size_t i = 0; i < json_array_size(type) && i < MAX_SCHEMAS; i++)
		types |= type_bit(json_string_value(json_array_get(type, i)));
	return types;
}

/* Types of a schema that does not name them. */
static unsigned implied_types(const json_t *schema)
{
	const json_t *values = json_object_get(schema, "enum");
	const json_t *value = json_object_get(schema, "const");
	unsigned types = value ? value_bit(value) : 0;

	for (size_t i = 0; i < json_array_size(values) && i < MAX_SCHEMAS; i++)
		types |= value_bit(json_array_get(values, i));
	if (json_object_get(schema, "properties"))
		types |= ARGUMENT_OBJECT;
	if (json_object_get(schema, "items"))
		types |= ARGUMENT_ARRAY;
	return types;
}

static unsigned schema_types(struct walk *walk, const json_t *schema, unsigned depth)
{
	static const char *const unions[] = { "anyOf", "oneOf", "allOf" };
	const char *reference;
	unsigned types;

	if (!depth || !walk->n_left || !json_is_object(schema))
		return 0;
	walk->n_left--;
	reference = json_string_value(json_object_get(schema, "$ref"));
	types = listed_types(json_object_get(schema, "type"));
	if (json_is_true(json_object_get(schema, "nullable")))
		types |= ARGUMENT_NULL;
	if (reference)
		types |= schema_types(walk, follow(walk->root, reference), depth - 1);
	for (size_t i = 0; i < 3; i++)
		types |= types_of_all(walk, json_object_get(schema, unions[i]), depth - 1);
	return types ? types : implied_types(schema);
}

unsigned argument_types(const json_t *tool, const char *name, size_t n)
{
	const json_t *root = json_object_get(tool_function(tool), "parameters");
	const json_t *properties = json_object_get(root, "properties");
	struct walk walk = { .root = root, .n_left = MAX_SCHEMAS };

	return schema_types(&walk, json_object_getn(properties, name, n), MAX_DEPTH);
}

static bool is_word(const char *value, size_t n, const char *word)
{
	return n == strlen(word) && !memcmp(value, word, n);
}

/* Python's words, if the types allow what they mean. */
static const char *python_word(unsigned types, const char *value, size_t n)
{
	if ((is_word(value, n, "None") || is_word(value, n, "null")) &&
	    (types & ARGUMENT_NULL || !(types & ARGUMENT_STRING)))
		return "null";
	if (types & ARGUMENT_BOOL && (is_word(value, n, "True") || is_word(value, n, "true")))
		return "true";
	if (types & ARGUMENT_BOOL && (is_word(value, n, "False") || is_word(value, n, "false")))
		return "false";
	return NULL;
}

static bool is_json_of(unsigned types, const char *value, size_t n)
{
	json_t *json = json_loadb(value, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	bool is = json && value_bit(json) & types & ~(unsigned)ARGUMENT_STRING;

	json_decref(json);
	return is;
}

enum sc_status argument_write(struct buf *out, unsigned types, const char *value, size_t n)
{
	const char *trimmed = value, *word;
	size_t n_trimmed = n;
	enum sc_status status;

	while (n_trimmed && is_json_space(*trimmed)) {
		trimmed++;
		n_trimmed--;
	}
	while (n_trimmed && is_json_space(trimmed[n_trimmed - 1]))
		n_trimmed--;
	word = types ? python_word(types, trimmed, n_trimmed) : NULL;
	if (word)
		return buf_add_string(out, word);
	if (is_json_of(types, trimmed, n_trimmed))
		return buf_add(out, trimmed, n_trimmed);
	status = buf_add(out, "\"", 1);
	if (!status)
		status = json_write_escaped(out, value, n);
	return status ? status : buf_add(out, "\"", 1);
}

static const char *short_escape(char c)
{
	switch (c) {
	case '"': return "\\\"";
	case '\\': return "\\\\";
	case '\n': return "\\n";
	case '\r': return "\\r";
	case '\t': return "\\t";
	default: return NULL;
	}
}

enum sc_status json_write_escaped(struct buf *out, const char *text, size_t n)
{
	enum sc_status status = SC_OK;
	size_t from = 0;

	for (size_t i = 0; i < n && !status; i++) {
		const char *escape = short_escape(text[i]);
		size_t frame = 0;

		if (text[i] == CHAT_MARK_BEGIN)
			while (i + frame + 1 < n && text[i + frame] != CHAT_MARK_END)
				frame++;
		else if (!escape && (unsigned char)text[i] >= 0x20)
			continue;
		status = buf_add(out, text + from, i - from);
		if (!status && escape)
			status = buf_add_string(out, escape);
		else if (!status && text[i] != CHAT_MARK_BEGIN)
			status = buf_add_format(out, "\\u%04x", (unsigned)text[i]);
		i += frame;
		from = i + 1;
	}
	return status ? status : buf_add(out, text + from, n - from);
}
