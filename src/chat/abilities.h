/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_ABILITIES_H
#define STAGECOACH_CHAT_ABILITIES_H
/*
 * abilities - what a template can do, found out by rendering small conversations. Private to chat.
 * Thread: any.
 */
#include "base/status.h"

#include <stdbool.h>

struct chat_template;

/* Where a template looks for the definitions of tools. */
enum tool_place {
	TOOLS_NOWHERE,
	TOOLS_VARIABLE,		/* `tools`, as all but a few do */
	TOOLS_IN_SYSTEM,	/* the member `tools` of the system message: a list (GLM-4) */
	TOOLS_IN_SYSTEM_TEXT,	/* the same, as JSON text (Phi-4-mini) */
};

struct chat_abilities {
	bool takes_strings;	/* content as a string */
	bool takes_parts;	/* content as a list of parts */
	bool has_system;	/* system messages, first of all */
	bool has_late_system;	/* also behind other messages */
	bool has_developer;	/* messages of role developer */
	enum tool_place tools;
	bool needs_tool_list;	/* fails without tools unless it gets an empty list */
	bool has_calls;		/* tool calls of earlier messages are written */
	bool takes_argument_text;	/* arguments of calls as JSON text, which is written as it
					 * is; false: as an object */
	bool needs_null_content;	/* of messages with calls; false: an empty string */
	bool needs_plain_ids;	/* ids of calls must be nine letters and digits */
};

/* SC_E_NOMEM. */
must_check enum sc_status abilities_find(const struct chat_template *tmpl,
					 struct chat_abilities *abilities);

#endif
