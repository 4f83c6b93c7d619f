/* SPDX-License-Identifier: Apache-2.0 */
#include "chat/tool_choice.h"

#include "chat/arguments.h"
#include "chat/chat.h"
#include "chat/format.h"

/* The tool that must be called, if it is certain which. */
static const char *certain_name(const struct chat_request *request)
{
	if (request->tool_choice == CHAT_TOOLS_NAMED)
		return request->tool_name;
	if (json_array_size(request->tools) == 1)
		return tool_name(json_array_get(request->tools, 0));
	return NULL;
}

enum sc_status tool_choice_prefill(const struct chat_format *format,
				   const struct chat_request *request, struct buf *text,
				   struct error *err)
{
	const struct chat_family *family = format->family;
	const char *name;
	enum sc_status status;

	if (request->tool_choice != CHAT_TOOLS_REQUIRED &&
	    request->tool_choice != CHAT_TOOLS_NAMED)
		return SC_OK;
	name = certain_name(request);
	if (!family->prefill || (!name && !*family->prefill))
		return error_set(err, SC_E_UNSUPPORTED, "tool_choice \"required\": calls of the "
				 "model's family (%s) begin with the name of the tool, and the "
				 "request has several tools: name one, or use \"auto\"",
				 family->name);
	status = buf_add_string(text, family->prefill);
	if (!status && name)
		status = buf_add_string(text, name);
	if (!status && name)
		status = buf_add_string(text, family->prefill_arguments);
	return status ? error_set(err, status, "no memory for a prompt") : SC_OK;
}
