/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations in files. What a file says is checked and copied field by field, so that everything
 * behind it meets only messages of a known shape. */
#include "cli/conversation.h"

#include "base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- save --- */

enum sc_status conversation_save(const struct conversation *conversation, const char *path,
				 struct error *err)
{
	FILE *file = fopen(path, "we");
	bool is_written;

	if (!file)
		return error_errno(err, SC_E_IO, errno, "%s", path);
	is_written = json_dumpf(conversation->messages, file, JSON_INDENT(2)) == 0 &&
		     fputc('\n', file) != EOF && fflush(file) == 0;
	if (!is_written)
		error_errno(err, SC_E_IO, errno, "%s", path);
	if (fclose(file) != 0 && is_written)
		return error_errno(err, SC_E_IO, errno, "%s", path);
	return is_written ? SC_OK : SC_E_IO;
}

/* --- the fields of a message --- */

struct reader {
	const char *path;
	size_t at;		/* number of the message, from 1 */
	struct error *err;
};

static const char *type_name(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a text",
		[JSON_INTEGER] = "a number", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
		[JSON_FALSE] = "false", [JSON_NULL] = "null",
	};

	return value ? names[json_typeof(value)] : "nothing";
}

static enum sc_status refuse(const struct reader *reader, const char *field, const char *expected,
			     const json_t *found)
{
	if (json_is_string(found))
		return error_set(reader->err, SC_E_FORMAT, "%s: message %zu: %s: expected %s, "
				 "found '%.40s'", reader->path, reader->at, field, expected,
				 json_string_value(found));
	return error_set(reader->err, SC_E_FORMAT, "%s: message %zu: %s: expected %s, found %s",
			 reader->path, reader->at, field, expected, type_name(found));
}

static enum sc_status no_memory(const struct reader *reader)
{
	return error_set(reader->err, SC_E_NOMEM, "%s: out of memory", reader->path);
}

/* Copies a text, if there is one. */
static enum sc_status copy_text(const struct reader *reader, const json_t *from,
				const char *field, json_t *to)
{
	json_t *value = json_object_get(from, field);

	if (!value || json_is_null(value))
		return SC_OK;
	if (!json_is_string(value))
		return refuse(reader, field, "a text", value);
	return json_object_set(to, field, value) == 0 ? SC_OK : no_memory(reader);
}

static enum sc_status copy_role(const struct reader *reader, const json_t *from, json_t *to)
{
	static const char *const roles[] = { "system", "developer", "user", "assistant", "tool" };
	json_t *role = json_object_get(from, "role");

	for (size_t i = 0; json_is_string(role) && i < sizeof roles / sizeof roles[0]; i++)
		if (!strcmp(json_string_value(role), roles[i]))
			return json_object_set(to, "role", role) == 0 ? SC_OK : no_memory(reader);
	return refuse(reader, "role", "system, developer, user, assistant or tool", role);
}

static enum sc_status add_part(const struct reader *reader, const json_t *part, struct buf *text)
{
	const json_t *type = json_object_get(part, "type");
	const json_t *value = json_object_get(part, "text");

	if (json_is_string(type) && strcmp(json_string_value(type), "text") != 0)
		return error_set(reader->err, SC_E_UNSUPPORTED, "%s: message %zu: content: expected "
				 "text, found a part of type '%.40s', which is not supported",
				 reader->path, reader->at, json_string_value(type));
	if (!json_is_string(value))
		return refuse(reader, "content", "parts with a text", value);
	if (buf_add(text, json_string_value(value), json_string_length(value)) != SC_OK)
		return no_memory(reader);
	return SC_OK;
}

static enum sc_status join_parts(const struct reader *reader, const json_t *parts, json_t *to)
{
	struct buf text = BUF_INIT;
	enum sc_status status = SC_OK;

	for (size_t i = 0; status == SC_OK && i < json_array_size(parts); i++)
		status = add_part(reader, json_array_get(parts, i), &text);
	if (status == SC_OK &&
	    json_object_set_new(to, "content", json_stringn(text.data, text.length)) < 0)
		status = no_memory(reader);
	buf_deinit(&text);
	return status;
}

/* Null, or nothing, where the assistant only called tools. */
static enum sc_status copy_content(const struct reader *reader, const json_t *from, json_t *to)
{
	json_t *content = json_object_get(from, "content");
	bool has_calls = json_array_size(json_object_get(from, "tool_calls")) > 0;

	if (json_is_array(content))
		return join_parts(reader, content, to);
	if (!json_is_string(content) && !(has_calls && (!content || json_is_null(content))))
		return refuse(reader, "content", "a text, or an array of text parts", content);
	if (json_object_set_new(to, "content", content ? json_incref(content) : json_null()) < 0)
		return no_memory(reader);
	return SC_OK;
}

/* --- tool calls --- */

/* Arguments are JSON in a text; some programs write the object itself. */
static json_t *arguments_text(const json_t *arguments)
{
	char *text;
	json_t *value;

	if (json_is_string(arguments))
		return json_stringn(json_string_value(arguments), json_string_length(arguments));
	text = json_dumps(arguments, JSON_COMPACT);
	value = text ? json_string(text) : NULL;
	free(text);
	return value;
}

static enum sc_status copy_call(const struct reader *reader, const json_t *from, json_t *calls)
{
	const json_t *function = json_object_get(from, "function");
	const json_t *id = json_object_get(from, "id");
	const json_t *name = json_object_get(function, "name");
	const json_t *arguments = json_object_get(function, "arguments");
	json_t *call;

	if (!json_is_string(name))
		return refuse(reader, "tool_calls", "a function with a name", name);
	if (id && !json_is_string(id))
		return refuse(reader, "tool_calls", "an id that is a text", id);
	if (!json_is_string(arguments) && !json_is_object(arguments))
		return refuse(reader, "tool_calls", "arguments", arguments);
	call = json_pack("{s:s, s:s, s:{s:s, s:o}}", "id", id ? json_string_value(id) : "",
			 "type", "function", "function", "name", json_string_value(name),
			 "arguments", arguments_text(arguments));
	return json_array_append_new(calls, call) == 0 ? SC_OK : no_memory(reader);
}

static enum sc_status copy_calls(const struct reader *reader, const json_t *from, json_t *to)
{
	const json_t *calls = json_object_get(from, "tool_calls");
	json_t *copies;
	enum sc_status status = SC_OK;

	if (!calls || json_is_null(calls))
		return SC_OK;
	if (!json_is_array(calls))
		return refuse(reader, "tool_calls", "an array", calls);
	copies = json_array();
	if (json_object_set_new(to, "tool_calls", copies) < 0)
		return no_memory(reader);
	for (size_t i = 0; status == SC_OK && i < json_array_size(calls); i++)
		status = copy_call(reader, json_array_get(calls, i), copies);
	return status;
}

/* --- load --- */

static enum sc_status copy_message(const struct reader *reader, const json_t *from, json_t *to)
{
	static const char *const texts[] = { "reasoning_content", "tool_call_id", "name" };
	enum sc_status status;

	if (!json_is_object(from))
		return error_set(reader->err, SC_E_FORMAT, "%s: message %zu: expected an object, "
				 "found %s", reader->path, reader->at, type_name(from));
	status = copy_role(reader, from, to);
	if (status == SC_OK)
		status = copy_content(reader, from, to);
	for (size_t i = 0; status == SC_OK && i < sizeof texts / sizeof texts[0]; i++)
		status = copy_text(reader, from, texts[i], to);
	return status == SC_OK ? copy_calls(reader, from, to) : status;
}

static enum sc_status copy_messages(struct reader *reader, const json_t *from, json_t *to)
{
	enum sc_status status = SC_OK;

	if (!json_is_array(from))
		return error_set(reader->err, SC_E_FORMAT, "%s: expected an array of messages, "
				 "found %s", reader->path, type_name(from));
	if (json_array_size(from) > CONVERSATION_MAX_MESSAGES)
		return error_set(reader->err, SC_E_TOO_LARGE, "%s: expected at most %d messages, "
				 "found %zu", reader->path, CONVERSATION_MAX_MESSAGES,
				 json_array_size(from));
	for (size_t i = 0; status == SC_OK && i < json_array_size(from); i++) {
		json_t *copy = json_object();

		reader->at = i + 1;
		status = json_array_append_new(to, copy) == 0
			 ? copy_message(reader, json_array_get(from, i), copy)
			 : no_memory(reader);
	}
	return status;
}

static enum sc_status read_file(const char *path, struct buf *text, struct error *err)
{
	FILE *file = fopen(path, "re");
	char chunk[65536];
	enum sc_status status = SC_OK;
	size_t n;

	if (!file)
		return error_errno(err, errno == ENOENT ? SC_E_NOT_FOUND : SC_E_IO, errno, "%s",
				   path);
	while (status == SC_OK && (n = fread(chunk, 1, sizeof chunk, file)) > 0) {
		if (text->length + n > CONVERSATION_MAX_BYTES)
			status = error_set(err, SC_E_TOO_LARGE, "%s: longer than %zu bytes", path,
					   CONVERSATION_MAX_BYTES);
		else if (buf_add(text, chunk, n) != SC_OK)
			status = error_set(err, SC_E_NOMEM, "%s: out of memory", path);
	}
	if (status == SC_OK && ferror(file))
		status = error_errno(err, SC_E_IO, errno, "%s", path);
	fclose(file);
	return status;
}

static enum sc_status parse_file(const char *path, json_t **json_out, struct error *err)
{
	struct buf text = BUF_INIT;
	json_error_t fault;
	enum sc_status status = read_file(path, &text, err);

	if (status == SC_OK) {
		*json_out = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, &fault);
		if (!*json_out)
			status = error_set(err, SC_E_FORMAT, "%s:%d:%d: expected JSON: %s", path,
					   fault.line, fault.column, fault.text);
	}
	buf_deinit(&text);
	return status;
}

enum sc_status conversation_load(struct conversation *conversation, const char *path,
				 struct error *err)
{
	struct reader reader = { .path = path, .err = err };
	json_t *json = NULL, *messages = json_array();
	const json_t *list;
	enum sc_status status = messages ? parse_file(path, &json, err) : no_memory(&reader);

	list = json_is_object(json) ? json_object_get(json, "messages") : json;
	if (status == SC_OK)
		status = copy_messages(&reader, list, messages);
	json_decref(json);
	if (status != SC_OK) {
		json_decref(messages);
		return status;
	}
	json_decref(conversation->messages);
	conversation->messages = messages;
	return SC_OK;
}
