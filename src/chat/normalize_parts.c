/* SPDX-License-Identifier: Apache-2.0 */
/* Content and tool calls of one message. */
#include "chat/normalize.h"

#include "chat/call_id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum sc_status no_memory(struct error *err)
{
	return error_set(err, SC_E_NOMEM, "no memory for the messages");
}

/* The text of a part, or NULL with an error. */
static const json_t *part_text(const json_t *part, const char *where, size_t i, struct error *err)
{
	const char *type = json_string_value(json_object_get(part, "type"));
	const json_t *text = NULL;

	if (json_is_string(part))
		return part;
	if (type && (!strcmp(type, "text") || !strcmp(type, "input_text") ||
		     !strcmp(type, "output_text")))
		text = json_object_get(part, "text");
	else if (type && !strcmp(type, "refusal"))
		text = json_object_get(part, "refusal");
	else if (type)
		error_set(err, SC_E_INVALID, "%s.content[%zu]: parts of type '%.40s' are not "
			  "supported, because the model reads text only", where, i, type);
	else
		error_set(err, SC_E_INVALID, "%s.content[%zu]: expected a part with a type",
			  where, i);
	if (json_is_string(text))
		return text;
	if (text || (type && !strcmp(type, "text")))
		error_set(err, SC_E_INVALID, "%s.content[%zu].text: expected a string", where, i);
	return NULL;
}

static enum sc_status join_parts(const json_t *parts, const char *where, struct buf *text,
				 struct error *err)
{
	for (size_t i = 0; i < json_array_size(parts); i++) {
		const json_t *part = part_text(json_array_get(parts, i), where, i, err);

		if (!part)
			return SC_E_INVALID;
		if ((i && buf_add(text, "\n", 1)) ||
		    buf_add(text, json_string_value(part), json_string_length(part)))
			return no_memory(err);
	}
	return SC_OK;
}

enum sc_status normalize_content(const json_t *content, const char *where, json_t **text_out,
				 struct error *err)
{
	struct buf text = BUF_INIT;
	enum sc_status status = SC_OK;
	json_t *string = NULL;

	if (json_is_array(content))
		status = join_parts(content, where, &text, err);
	else if (json_is_string(content))
		status = buf_add(&text, json_string_value(content), json_string_length(content));
	else if (content && !json_is_null(content))
		status = error_set(err, SC_E_INVALID, "%s.content: expected a string or a list of "
				   "parts", where);
	if (!status)
		string = json_stringn(text.data, text.length);
	buf_deinit(&text);
	if (!status && !string)
		status = no_memory(err);
	if (!status)
		*text_out = string;
	return status;
}

json_t *normalize_id(const struct chat_abilities *abilities, const char *id)
{
	char plain[CALL_ID_BYTES + 1];

	if (!abilities->needs_plain_ids || call_id_is_plain(id))
		return json_string(id);
	call_id_write(call_id_seed(0, id, strlen(id)), 0, plain);
	return json_string(plain);
}

/* Arguments as text that is JSON, or as an object. */
static enum sc_status normalize_arguments(const struct chat_abilities *abilities,
					  const json_t *arguments, const char *where, size_t i,
					  json_t **out, struct error *err)
{
	const char *text = json_string_value(arguments);
	json_t *value = NULL;
	json_error_t fault;
	char *dump;

	if (!arguments || json_is_null(arguments) || (text && !text[strspn(text, " \t\r\n")]))
		text = "{}";
	if (abilities->takes_argument_text) {
		if (text) {
			value = json_string(text);
		} else {
			dump = json_dumps(arguments, JSON_ENCODE_ANY);
			value = dump ? json_string(dump) : NULL;
			free(dump);
		}
		*out = value;
		return value ? SC_OK : no_memory(err);
	}
	/* Jansson says of every fault in a text what it is, but not that memory ran out. */
	value = text ? json_loads(text, 0, &fault) : json_deep_copy(arguments);
	if (!value && (!text || json_error_code(&fault) == json_error_unknown ||
		       json_error_code(&fault) == json_error_out_of_memory))
		return no_memory(err);
	if (!json_is_object(value)) {
		json_decref(value);
		return error_set(err, SC_E_INVALID, "%s.tool_calls[%zu].function.arguments: "
				 "expected the text of a JSON object", where, i);
	}
	*out = value;
	return SC_OK;
}

static enum sc_status normalize_call(const struct chat_abilities *abilities, const json_t *id,
				     const json_t *function, const char *where, size_t i,
				     json_t **call_out, struct error *err)
{
	const json_t *name = json_object_get(function, "name");
	json_t *arguments;
	char made_up[32];
	enum sc_status status;

	if (!json_is_string(name))
		return error_set(err, SC_E_INVALID, "%s.tool_calls[%zu].function.name: expected a "
				 "string", where, i);
	status = normalize_arguments(abilities, json_object_get(function, "arguments"), where, i,
				     &arguments, err);
	if (status)
		return status;
	snprintf(made_up, sizeof made_up, "call_%zu", i);
	*call_out = json_pack("{s:o, s:s, s:{s:O, s:o}}", "id",
			      normalize_id(abilities, json_is_string(id) ? json_string_value(id)
									 : made_up),
			      "type", "function", "function", "name", name, "arguments",
			      arguments);
	return *call_out ? SC_OK : no_memory(err);
}

enum sc_status normalize_calls(const struct chat_abilities *abilities, const json_t *message,
			       const char *where, json_t **calls_out, struct error *err)
{
	const json_t *calls = json_object_get(message, "tool_calls");
	const json_t *old = json_object_get(message, "function_call");
	size_t n = json_array_size(calls);
	json_t *out;

	*calls_out = NULL;
	if (calls && !json_is_null(calls) && !json_is_array(calls))
		return error_set(err, SC_E_INVALID, "%s.tool_calls: expected a list", where);
	if (!n && !json_is_object(old))
		return SC_OK;
	out = json_array();
	if (!out)
		return no_memory(err);
	for (size_t i = 0; i < (n ? n : 1); i++) {
		const json_t *call = json_array_get(calls, i);
		const json_t *function = n ? json_object_get(call, "function") : old;
		json_t *made;
		enum sc_status status = normalize_call(abilities, json_object_get(call, "id"),
						       function, where, i, &made, err);

		if (!status && json_array_append_new(out, made))
			status = no_memory(err);
		if (status) {
			json_decref(out);
			return status;
		}
	}
	*calls_out = out;
	return SC_OK;
}
