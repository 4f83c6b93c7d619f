/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGECOACH_CLI_CONVERSATION_H
#define STAGECOACH_CLI_CONVERSATION_H
/*
 * conversation - the messages between a person and a model, as OpenAI's API has them: an array of
 * {role, content, reasoning_content, tool_calls, ...}. A system message, if there is one, is the
 * first.
 * Thread: one.
 */
#include "base/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* What a file may have. */
#define CONVERSATION_MAX_BYTES ((size_t)16 << 20)
#define CONVERSATION_MAX_MESSAGES 10000

struct conversation {
	json_t *messages;
};

/* SC_E_NOMEM. */
must_check enum sc_status conversation_init(struct conversation *conversation, struct error *err);
void conversation_deinit(struct conversation *conversation);

/* Replaces the system message; no bytes: removes it. SC_E_INVALID: text is not UTF-8, or has a NUL
 * character. SC_E_NOMEM. */
must_check enum sc_status conversation_set_system(struct conversation *conversation,
						  const char *text, size_t n_bytes,
						  struct error *err);
/* Adds what the person says, in the place of a message before it that was not answered. Errors as
 * above. */
must_check enum sc_status conversation_add_user(struct conversation *conversation,
						const char *text, size_t n_bytes,
						struct error *err);
/* Adds any message. Takes message, also on failure; NULL means that making it failed.
 * SC_E_NOMEM. */
must_check enum sc_status conversation_add(struct conversation *conversation, json_t *message,
					   struct error *err);

/* Removes everything but the system message. */
void conversation_clear(struct conversation *conversation);
/* Removes what follows the last message of the user. False: the user said nothing. */
bool conversation_drop_answer(struct conversation *conversation);
/* Removes the last message. */
void conversation_drop_last(struct conversation *conversation);
size_t conversation_n_messages(const struct conversation *conversation);

/* Writes the array to a file, which is replaced. SC_E_IO. */
must_check enum sc_status conversation_save(const struct conversation *conversation,
					    const char *path, struct error *err);
/* Replaces all messages by those of a file: an array of messages, or an object that has one as
 * "messages". Contents of several text parts become one text.
 * SC_E_NOT_FOUND, SC_E_IO. SC_E_FORMAT: err names the message and the field, what was expected and
 * what was found. SC_E_TOO_LARGE, SC_E_UNSUPPORTED: pictures and sounds. The conversation then stays
 * as it was. */
must_check enum sc_status conversation_load(struct conversation *conversation, const char *path,
					    struct error *err);

#endif
