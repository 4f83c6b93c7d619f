/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/conversation.h"

#include <string.h>

static enum sc_status no_memory(struct error *err)
{
	return error_set(err, SC_E_NOMEM, "out of memory for the conversation");
}

enum sc_status conversation_init(struct conversation *conversation, struct error *err)
{
	conversation->messages = json_array();
	return conversation->messages ? SC_OK : no_memory(err);
}

void conversation_deinit(struct conversation *conversation)
{
	json_decref(conversation->messages);
	conversation->messages = NULL;
}

size_t conversation_n_messages(const struct conversation *conversation)
{
	return json_array_size(conversation->messages);
}

static bool has_role(const struct conversation *conversation, size_t i, const char *role)
{
	const json_t *message = json_array_get(conversation->messages, i);
	const char *found = json_string_value(json_object_get(message, "role"));

	return found && !strcmp(found, role);
}

static enum sc_status make(const char *role, const char *text, size_t n_bytes,
			   json_t **message_out, struct error *err)
{
	json_t *content;

	if (memchr(text, '\0', n_bytes))
		return error_set(err, SC_E_INVALID, "the text has a NUL character");
	content = json_stringn(text, n_bytes);
	if (!content)
		return error_set(err, SC_E_INVALID, "the text is not valid UTF-8");
	*message_out = json_pack("{s:s, s:o}", "role", role, "content", content);
	return *message_out ? SC_OK : no_memory(err);
}

enum sc_status conversation_set_system(struct conversation *conversation, const char *text,
				       size_t n_bytes, struct error *err)
{
	json_t *message = NULL;
	enum sc_status status = SC_OK;

	if (n_bytes)
		status = make("system", text, n_bytes, &message, err);
	if (status != SC_OK)
		return status;
	if (has_role(conversation, 0, "system"))
		json_array_remove(conversation->messages, 0);
	if (message && json_array_insert_new(conversation->messages, 0, message) < 0)
		return no_memory(err);
	return SC_OK;
}

enum sc_status conversation_add_user(struct conversation *conversation, const char *text,
				     size_t n_bytes, struct error *err)
{
	json_t *message;
	enum sc_status status = make("user", text, n_bytes, &message, err);
	size_t n = conversation_n_messages(conversation);

	if (status != SC_OK)
		return status;
	if (n && has_role(conversation, n - 1, "user"))
		conversation_drop_last(conversation);
	return conversation_add(conversation, message, err);
}

enum sc_status conversation_add(struct conversation *conversation, json_t *message,
				struct error *err)
{
	if (!message || json_array_append_new(conversation->messages, message) < 0)
		return no_memory(err);
	return SC_OK;
}

void conversation_clear(struct conversation *conversation)
{
	size_t n_kept = has_role(conversation, 0, "system");

	while (conversation_n_messages(conversation) > n_kept)
		conversation_drop_last(conversation);
}

bool conversation_drop_answer(struct conversation *conversation)
{
	size_t n = conversation_n_messages(conversation);

	while (n && !has_role(conversation, n - 1, "user"))
		n--;
	if (!n)
		return false;
	while (conversation_n_messages(conversation) > n)
		conversation_drop_last(conversation);
	return true;
}

void conversation_drop_last(struct conversation *conversation)
{
	size_t n = conversation_n_messages(conversation);

	if (n)
		json_array_remove(conversation->messages, n - 1);
}
