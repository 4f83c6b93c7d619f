/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_PLACE_TOOLS_H
#define STAGECOACH_CHAT_PLACE_TOOLS_H
/*
 * place_tools - puts the definitions of tools into the system message, for templates that do not
 * read the variable `tools`: as a member, or, if the template knows nothing of tools, as text that
 * describes the calls of the family (DeepSeek's templates write calls, but no definitions).
 * Private to chat. Thread: any.
 */
#include "chat/format.h"

/* Changes messages, which are normalised. Does nothing if the template reads `tools`.
 * SC_E_NOMEM. */
must_check enum sc_status place_tools(const struct chat_format *format,
				      const struct chat_template *tmpl, const json_t *tools,
				      json_t *messages);

#endif
