/* SPDX-License-Identifier: Apache-2.0 */
#include "chat/place_tools.h"

#include "chat/arguments.h"

#include <stdlib.h>
#include <string.h>

static enum sc_status add_json(struct buf *text, const json_t *json, const char *end)
{
	char *dump = json_dumps(json, 0);
	enum sc_status status = dump ? buf_add_string(text, dump) : SC_E_NOMEM;

	free(dump);
	return status ? status : buf_add_string(text, end);
}

/* The system message at the start, which is made if it is missing. */
static json_t *system_message(const struct chat_template *tmpl, json_t *messages)
{
	json_t *message = json_array_get(messages, 0);
	const char *role = json_string_value(json_object_get(message, "role"));
	bool is_string = tmpl->abilities.takes_strings || !tmpl->abilities.takes_parts;

	if (role && (!strcmp(role, "system") || !strcmp(role, "developer")))
		return message;
	message = is_string ? json_pack("{s:s, s:s}", "role", "system", "content", "")
			    : json_pack("{s:s, s:[]}", "role", "system", "content");
	return json_array_insert_new(messages, 0, message) ? NULL : message;
}

static enum sc_status describe(const struct chat_family *family, const json_t *tools,
			       struct buf *text)
{
	enum sc_status status = buf_add_string(text, "You can call these functions:\n\n");

	for (size_t i = 0; i < json_array_size(tools) && !status; i++)
		status = add_json(text, json_array_get(tools, i), "\n");
	if (!status)
		status = buf_add_string(text, "\nTo call one, write nothing but this, with the "
					      "name of the function and its arguments as "
					      "JSON:\n\n");
	return status ? status : family_write_call(family, "NAME", "{\"ARGUMENT\": VALUE}", text);
}

/* Puts text behind the content, which is a string or a list of parts. */
static enum sc_status append(json_t *message, const char *text)
{
	json_t *content = json_object_get(message, "content");
	const char *old = json_string_value(content);
	json_t *joined;

	if (json_is_array(content))
		return json_array_append_new(content, json_pack("{s:s, s:s}", "type", "text",
								"text", text))
			       ? SC_E_NOMEM : SC_OK;
	joined = old && *old ? json_sprintf("%s\n\n%s", old, text) : json_string(text);
	return json_object_set_new(message, "content", joined) ? SC_E_NOMEM : SC_OK;
}

enum sc_status place_tools(const struct chat_format *format, const struct chat_template *tmpl,
			   const json_t *tools, json_t *messages)
{
	const enum tool_place place = tmpl->abilities.tools;
	struct buf text = BUF_INIT;
	json_t *message;
	enum sc_status status = SC_OK;

	if (place == TOOLS_VARIABLE)
		return SC_OK;
	message = system_message(tmpl, messages);
	if (!message)
		return SC_E_NOMEM;
	if (place == TOOLS_IN_SYSTEM)
		return json_object_set(message, "tools", (json_t *)tools) ? SC_E_NOMEM : SC_OK;
	status = place == TOOLS_NOWHERE ? describe(format->family, tools, &text)
					: add_json(&text, tools, "");
	if (!status && place == TOOLS_NOWHERE)
		status = append(message, text.data);
	else if (!status && json_object_set_new(message, "tools", json_string(text.data)))
		status = SC_E_NOMEM;
	buf_deinit(&text);
	return status;
}
