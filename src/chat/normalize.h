/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CHAT_NORMALIZE_H
#define STAGECOACH_CHAT_NORMALIZE_H
/*
 * normalize - turns messages of OpenAI's API into what a template can read, by its abilities:
 * - content becomes a string: parts of text are joined by line breaks. Templates that only read
 *   lists get a list of one part. Images and audio are refused.
 * - members that are null count as absent, and so does an empty list of tool calls.
 * - developer becomes system, and later system messages are put into the first, where the template
 *   lacks them.
 * - arguments of calls become objects or JSON text; ids of calls nine letters and digits where they
 *   must be; a tool's result gets the name of the function that was called; function_call and the
 *   role function become tool calls.
 * - calls become content as the family writes them, where the template leaves calls out (Granite).
 * - reasoning_content and reasoning are the same; the template finds it under both names, and under
 *   thinking if it reads that.
 * Private to chat. Thread: any.
 */
#include "base/error.h"
#include "chat/family.h"
#include "chat/template.h"

#include <stdbool.h>

/* *messages_out: a new array, which the caller decrefs; messages stays unchanged. ends_with: text
 * to add to the last message, to its content, or to its reasoning if that is all it has; NULL:
 * none. *in_reasoning_out: it was added to the reasoning.
 * SC_E_INVALID: err says which message is wrong, and why. SC_E_NOMEM. */
must_check enum sc_status normalize_messages(const struct chat_template *tmpl,
					     const json_t *messages,
					     const struct chat_family *family,
					     const char *ends_with,
					     json_t **messages_out, bool *in_reasoning_out,
					     struct error *err);

/* Parts of normalize_messages. */

/* The text of `content`, a new string. where: names the message in errors. */
must_check enum sc_status normalize_content(const json_t *content, const char *where,
					    json_t **text_out, struct error *err);
/* Tool calls of an assistant's message; NULL: it has none. */
must_check enum sc_status normalize_calls(const struct chat_abilities *abilities,
					  const json_t *message, const char *where,
					  json_t **calls_out, struct error *err);
/* The id as the template must have it: a new string. */
json_t *normalize_id(const struct chat_abilities *abilities, const char *id);

#endif
